"""Downloads from a real HTTP server on loopback: whole, broken off, resumed, wrong, missing."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from pipeline import Project

from pneumonia.data.fetching import REGISTRY, Download, choose_download, fetch
from pneumonia.errors import InputError

CONTENT = np.random.default_rng(0).bytes(700_000)
MD5 = "md5:" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; closes the connection after `cuts` bytes, one number a request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts: list[int] = []
        self.ranges: list[str | None] = []
        self.knows_ranges = True
        self.content = CONTENT

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content = self.server.content
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if self.path != "/set.zip":
            self.send_error(404)
            return
        start = int(asked[6:-1]) if asked and self.server.knows_ranges else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = start + self.server.cuts.pop(0) if self.server.cuts else len(content)
        self.wfile.write(content[start:stop])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_whole_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    download = Download(f"{server.url}/set.zip", "set.zip", MD5)
    for _ in range(2):
        path = fetch(download, tmp_path)
        assert path.read_bytes() == CONTENT
    assert server.ranges == [None]
    assert list(tmp_path.iterdir()) == [path]


def test_a_transfer_that_breaks_off_goes_on_by_itself(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 200_000]
    path = fetch(Download(f"{server.url}/set.zip", "set.zip", MD5), tmp_path)
    assert path.read_bytes() == CONTENT
    starts = [0 if asked is None else int(asked[6:-1]) for asked in server.ranges]
    assert starts == sorted(set(starts))
    assert 0 < starts[1] <= 300_000
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_try_goes_on_where_the_first_ended(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 0]
    download = Download(f"{server.url}/set.zip", "set.zip", MD5)
    with pytest.raises(InputError, match=r"broke off after 0\.\d MB: run it again"):
        fetch(download, tmp_path)
    (partial,) = tmp_path.iterdir()
    size = partial.stat().st_size
    assert fetch(download, tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={size}-"
    assert not partial.exists()


def test_a_server_without_ranges_begins_anew(server: Server, tmp_path: Path) -> None:
    server.cuts, server.knows_ranges = [300_000], False
    path = fetch(Download(f"{server.url}/set.zip", "set.zip", MD5), tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_complete_partial_file_needs_no_more_bytes(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 0]
    download = Download(f"{server.url}/set.zip", "set.zip", MD5)
    with pytest.raises(InputError):
        fetch(download, tmp_path)
    (partial,) = tmp_path.iterdir()
    partial.write_bytes(CONTENT)
    path = fetch(download, tmp_path)
    assert path.read_bytes() == CONTENT
    path.unlink()
    partial.write_bytes(CONTENT + b"more")
    assert fetch(download, tmp_path).read_bytes() == CONTENT


def test_another_address_is_another_file(server: Server, tmp_path: Path) -> None:
    first = fetch(Download(f"{server.url}/set.zip", "set.zip", None), tmp_path)
    server.content = b"other bytes"
    mirror = server.url.replace("127.0.0.1", "localhost")
    second = fetch(Download(f"{mirror}/set.zip", "set.zip", None), tmp_path)
    assert (first.read_bytes(), second.read_bytes()) == (CONTENT, b"other bytes")


def test_a_wrong_checksum_keeps_nothing(server: Server, tmp_path: Path) -> None:
    download = Download(f"{server.url}/set.zip", "set.zip", "md5:" + "0" * 32)
    with pytest.raises(InputError, match="without the published checksum md5:000"):
        fetch(download, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_is_named_and_keeps_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="answers 404 Not Found: give another"):
        fetch(Download(f"{server.url}/other.zip", "set.zip", MD5), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_silent_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not answer"):
        fetch(Download("http://127.0.0.1:9/set.zip", "set.zip", MD5), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore")
def test_the_command_fetches_and_imports(server: Server, tmp_path: Path) -> None:
    arrays = {f"{part}_images": np.zeros((2, 28, 28), np.uint8) for part in ("train", "test")}
    labels = {f"{part}_labels": np.array([[0], [1]]) for part in ("train", "test")}
    np.savez(tmp_path / "a.npz", **arrays, **labels)
    server.content = (tmp_path / "a.npz").read_bytes()
    digest = hashlib.sha256(server.content).hexdigest()
    project = Project(tmp_path / "project")
    project.root.mkdir()
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    command = ["pneumonia", "data", "fetch", "pneumoniamnist", "--url", f"{server.url}/set.zip"]
    source = str(Path("src").resolve())
    assert "without the published" in project.run(*command, code=2, PYTHONPATH=source)
    assert not (project.root / "data").exists()
    whole, server.content = server.content, b"<html>Please log in</html>"
    page = f"sha256:{hashlib.sha256(server.content).hexdigest()}"
    said = project.run(*command, "--checksum", page, code=2, PYTHONPATH=source)
    assert "is no whole .npz file" in said
    server.content = whole
    assert not list((project.root / ".cache/fetch").iterdir())
    said = project.run(*command, "--checksum", f"sha256:{digest}", PYTHONPATH=source)
    assert "4 images in data/raw/pneumoniamnist" in said
    assert "data/raw/pneumoniamnist.dvc" in project.run("git", "status", "--porcelain")
    assert not list((project.root / ".cache/fetch").iterdir())


def test_names_addresses_and_checksums_are_checked() -> None:
    assert choose_download("pneumoniamnist-64", None, None) == REGISTRY["pneumoniamnist-64"]
    mirror = choose_download("pneumoniamnist", "http://mirror/a.npz", None)
    assert (mirror.url, mirror.checksum) == (
        "http://mirror/a.npz", REGISTRY["pneumoniamnist"].checksum,
    )  # fmt: skip
    with pytest.raises(InputError, match="'mnist' is not one of chest_xray"):
        choose_download("mnist", None, None)
    for bad in ("sha256:123", "crc:00", "0" * 32, "md5:" + "g" * 32):
        with pytest.raises(InputError, match="is no checksum"):
            choose_download("chest_xray", None, bad)
