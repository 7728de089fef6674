"""Public data sets from their publishers: resumed after a break, checked, then imported."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pneumonia.errors import InputError
from pneumonia.progress import announce, track

if TYPE_CHECKING:
    from requests import Response

BLOCK = 2**16  # bytes; what came of the last one is lost when a transfer breaks off
TIMEOUT = 60  # seconds without a byte
PARTIAL, RANGE_PAST_END = 206, 416  # HTTP (RFC 9110, 15.3.7 and 15.5.17)
ZENODO = "https://zenodo.org/records/10519652/files"
MENDELEY = "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files"


@dataclass(frozen=True)
class Download:
    """A file to fetch: its address, the name it gets, and `md5:` or `sha256:` with its digits."""

    url: str
    file: str
    checksum: str | None = None


# PneumoniaMNIST (CC BY 4.0): addresses and MD5 as the publisher's own package states them
# (MedMNIST/MedMNIST on GitHub, medmnist/info.py, version 3; Zenodo record 10519652).
# chest_xray (CC BY 4.0): file ChestXRay2017.zip of doi 10.17632/rscbjbr9sj.2 on Mendeley Data;
# we know of no published checksum, so that its zip's own CRC-32 of each image is what is checked.
REGISTRY = {
    "chest_xray": Download(
        f"{MENDELEY}/f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded", "ChestXRay2017.zip"
    ),
    "pneumoniamnist": Download(
        f"{ZENODO}/pneumoniamnist.npz?download=1", "pneumoniamnist.npz",
        "md5:28209eda62fecd6e6a2d98b1501bb15f",
    ),
    "pneumoniamnist-64": Download(
        f"{ZENODO}/pneumoniamnist_64.npz?download=1", "pneumoniamnist_64.npz",
        "md5:8f4eceb4ccffa70c672198ea285246c6",
    ),
    "pneumoniamnist-128": Download(
        f"{ZENODO}/pneumoniamnist_128.npz?download=1", "pneumoniamnist_128.npz",
        "md5:05b46931834c231683c68f40c47b2971",
    ),
    "pneumoniamnist-224": Download(
        f"{ZENODO}/pneumoniamnist_224.npz?download=1", "pneumoniamnist_224.npz",
        "md5:d6a3c71de1b945ea11211b03746c1fe1",
    ),
}  # fmt: skip


def choose_download(name: str, url: str | None, checksum: str | None) -> Download:
    """The registered download, from another address or with a checksum of the user's own.

    Raises InputError for an unknown name or a checksum that is none.
    """
    if name not in REGISTRY:
        raise InputError(f"{name!r} is not one of {', '.join(REGISTRY)}: choose one of them")
    known = REGISTRY[name]
    if checksum:
        kind, _, digits = checksum.partition(":")
        length = {"md5": 32, "sha256": 64}.get(kind)
        if len(digits) != length or set(digits) - set("0123456789abcdef"):
            raise InputError(f"{checksum!r} is no checksum: write md5: or sha256: and its digits")
    return Download(url or known.url, known.file, checksum or known.checksum)


def fetch(download: Download, cache: Path) -> Path:
    """The file in the folder `cache`, complete and with the right checksum.

    A transfer that broke off goes on where it ended, at the next call; nothing else is kept of a
    failed one. Raises InputError with the address and the reason.
    """
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("ERROR")
    cache.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(repr(download).encode()).hexdigest()[:12]
    name = f"{key}-{download.file}"  # another address or checksum may give another file
    partial = cache / f".{name}.part"
    resuming: Any = Resuming(partial)  # pooch's own type knows its own downloaders only
    try:
        path = pooch.retrieve(download.url, download.checksum, name, cache, downloader=resuming)
    except RequestException as error:
        raise InputError(_explain(download.url, partial, error)) from None
    except ValueError:  # pooch's, of a hash that does not match
        raise InputError(
            f"{download.url} gave a file without the published checksum {download.checksum}; "
            "nothing of it is kept: try again, or give another address by --url"
        ) from None
    return Path(path)


def _explain(url: str, partial: Path, error: Any) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"{url} answers {response.status_code} {response.reason}: give another by --url"
    if partial.exists():
        done = partial.stat().st_size / 1e6
        return f"the transfer of {url} broke off after {done:.1f} MB: run it again to go on"
    return (
        f"{url} does not answer ({type(error).__name__}): check the network or give another --url"
    )


class Resuming:
    """A downloader for pooch that keeps what came in `partial` and asks for the rest."""

    def __init__(self, partial: Path) -> None:
        self.partial = partial

    def __call__(self, url: str, output: str, _pooch: Any) -> None:
        from requests import RequestException

        complete = False
        while not complete:
            before = self._count()
            try:
                complete = self._go_on(url)
            except RequestException:
                if self._count() <= before:  # no progress: leave it to the user
                    raise
        self.partial.replace(output)

    def _count(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _go_on(self, url: str) -> bool:
        """Append what is missing; whether the server holds no more."""
        import requests

        offset = self._count()
        headers = {"Accept-Encoding": "identity"}  # ranges are of the bytes as they are stored
        if offset:
            headers["Range"] = f"bytes={offset}-"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == RANGE_PAST_END and offset:
                return self._judge_end(response.headers.get("Content-Range", ""), offset)
            if 400 <= response.status_code < 500:
                self.partial.unlink(missing_ok=True)  # it will not be there the next time either
            response.raise_for_status()
            self._append(response, offset)
        return True

    def _append(self, response: "Response", offset: int) -> None:
        goes_on = response.status_code == PARTIAL
        if goes_on:
            announce(f"{offset / 1e6:.1f} MB are here already")
        length = int(response.headers.get("Content-Length", 0))
        blocks = track(response.iter_content(BLOCK), "fetch", total=-(-length // BLOCK) or None)
        with self.partial.open("ab" if goes_on else "wb") as file:
            for block in blocks:
                file.write(block)

    def _judge_end(self, content_range: str, offset: int) -> bool:
        """All is here, if the length is right; else what is here is of another file."""
        if content_range.rpartition("/")[2] == str(offset):
            return True
        self.partial.unlink()
        return False
