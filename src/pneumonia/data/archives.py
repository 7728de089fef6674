"""Zip and tar archives of strangers: no path outside, no links or devices, no bombs."""

import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from bz2 import BZ2File
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pneumonia.data.sources import SPLITS
from pneumonia.errors import FILE_ERRNOS, InputError
from pneumonia.progress import track

OPENERS: dict[str, Callable[[Path], Any]] = {
    ".tar": lambda path: path.open("rb"), ".tar.gz": gzip.open, ".tgz": gzip.open,
    ".tar.bz2": BZ2File, ".tbz2": BZ2File, ".tar.xz": lzma.open, ".txz": lzma.open,
}  # fmt: skip
SUFFIXES = (".zip", *OPENERS)
MAX_FILES = 2_000_000
MAX_RATIO, SLACK = 100, 2**24  # bytes that come out: 100 times the archive's, and 16 MiB
MAX_HEADER = 2**22  # bytes of one tar header
BLOCK = 2**18
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,
    RuntimeError, NotImplementedError, LookupError, struct.error, OverflowError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A regular file in an archive; `open` gives its bytes."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """By its name; the content is checked when it is unpacked."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path) -> None:
    """Write the regular files of a zip or tar into `folder`; hidden ones are passed over.

    Raises InputError for a damaged archive, an absolute path or one with `..`, a link, a device,
    an encrypted or doubled member, and for more files or bytes than an image archive can hold.
    """
    limit = MAX_RATIO * archive.stat().st_size + SLACK
    read = _read_zip if archive.name.lower().endswith(".zip") else _read_tar
    try:
        for number, member in enumerate(track(read(archive, limit), "unpack")):
            limit -= member.size
            if number >= MAX_FILES or limit < 0:
                raise InputError(
                    f"{archive} unpacks to more than {MAX_FILES:,} files or {MAX_RATIO} times its "
                    "size, more than images do: unpack it by hand if you trust it"
                )
            if target := _find_target(archive, folder, member.name):
                _write_member(archive, member, target)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in FILE_ERRNOS:
            raise
        raise InputError(f"{archive} cannot be unpacked ({error}): is it whole?") from None


def _find_target(archive: Path, folder: Path, name: str) -> Path | None:
    """Where a member goes; None for what systems leave behind (.DS_Store, __MACOSX)."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise InputError(f"{archive} holds {name!r}, which leads out of it: do not trust it")
    if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
        return None
    return folder / path


def _write_member(archive: Path, member: Member, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        output = target.open("xb")
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise InputError(f"{archive} holds {member.name!r} twice: pack it anew") from None
    with output, member.open() as source:
        left = member.size
        while block := source.read(min(BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                break
            output.write(block)
    if left:
        raise InputError(f"{archive}: {member.name!r} is not as long as it says: is it whole?")


def _read_zip(archive: Path, _limit: int) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.flag_bits & 1:
                raise InputError(f"{archive} is encrypted: unpack it by hand")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InputError(f"{archive} holds {info.filename!r}, a link or device: remove it")
            if not info.is_dir():
                yield Member(info.filename, info.file_size, lambda info=info: file.open(info))


def _read_tar(archive: Path, limit: int) -> Iterator[Member]:
    suffix = max((s for s in OPENERS if archive.name.lower().endswith(s)), key=len)
    with OPENERS[suffix](archive) as plain:
        reader = _BoundedReader(plain, limit)
        with tarfile.open(fileobj=reader, mode="r:") as file:  # pyright: ignore[reportCallIssue, reportArgumentType]
            for info in file:
                if info.isreg():
                    yield Member(info.name, info.size, lambda info=info: _extract(file, info))
                elif not info.isdir():
                    raise InputError(f"{archive} holds {info.name!r}, a link or device: remove it")
                file.members = []  # else tarfile keeps them all
            reader.check_end(file.offset)


def _extract(file: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = file.extractfile(info)
    assert stream is not None, "asked of regular files only"
    return stream


class _BoundedReader:
    """What tarfile reads from: headers of some MiB are refused, and so is too much in all."""

    def __init__(self, file: Any, limit: int) -> None:
        self.file, self.limit = file, 4 * limit  # headers and padding come on top

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError("a header is too long")
        return self.file.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        if position > self.limit:
            raise tarfile.ReadError("it is longer than images can be")
        return self.file.seek(position, whence)

    def tell(self) -> int:
        return self.file.tell()

    def check_end(self, position: int) -> None:
        """A tar ends in zeros, and what is around it in a checksum; tarfile checks neither."""
        self.seek(position)
        if self.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("the end is missing")
        while self.file.read(BLOCK) and self.file.tell() <= self.limit:
            pass


def enter_folder(folder: Path) -> Path:
    """The folder with the data: archives often hold one folder that holds everything.

    A lone `train` is a part of the data set, and a lone folder of images a class.
    """
    entries = list(folder.iterdir())
    if len(entries) != 1 or not entries[0].is_dir() or entries[0].name.lower() in SPLITS:
        return folder
    inside = list(entries[0].iterdir())
    if any(path.is_dir() or path.suffix in (".csv", ".npz") for path in inside):
        return enter_folder(entries[0])
    return folder
