"""Images on their way between stages: .npy files that are memory-mapped, and the manifest."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from pneumonia.errors import InputError
from pneumonia.files import atomic

PARTS = ("train", "val", "test")
BLOCK_BYTES = 16 * 2**20  # of images held in memory at a time


@dataclass(frozen=True)
class Part:
    """Images uint8 (copies*N, H, W), copy c of image i in row c*N + i, and labels int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray
    copies: int = 1

    def __post_init__(self) -> None:
        if len(self.images) != self.copies * len(self.labels):
            raise InputError(f"{len(self.images)} images but {len(self.labels)} labels: rebuild")


def load_part(folder: Path) -> Part:
    """The images of a folder, memory-mapped read-only. Raises InputError where there are none."""
    return Part(*_load_arrays(folder))


def load_copies(folder: Path) -> Part:
    """Likewise what the augment stage wrote: the labels tell how many copies of each image."""
    images, labels = _load_arrays(folder)
    return Part(images, labels, copies=max(1, len(images) // max(1, len(labels))))


def _load_arrays(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        return np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "labels.npy")
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{folder} holds no images ({error}): run `dvc repro`") from None


@dataclass(frozen=True)
class Scratch:
    """Square images uint8 (N, size, size) in a file, written and read by row, never mapped.

    Memory holds what is asked for alone, while a mapped file would count as a whole.
    """

    file: IO[bytes]
    size: int

    def write(self, row: int, image: np.ndarray) -> None:
        """Store an image uint8 (size, size); several threads may do so at once."""
        os.pwrite(self.file.fileno(), image.tobytes(), row * self.size**2)

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The images of the rows, uint8 (len(rows), size, size)."""
        images = np.empty((len(rows), self.size, self.size), "uint8")
        for image, row in zip(images, rows, strict=True):
            os.preadv(self.file.fileno(), [image.data], int(row) * self.size**2)
        return images

    def read_blocks(self, rows: Sequence[int] | np.ndarray) -> Iterator[np.ndarray]:
        """The images of the rows, some at a time, in their order."""
        step = max(1, BLOCK_BYTES // self.size**2)
        for start in range(0, len(rows), step):
            yield self.read(rows[start : start + step])


@contextmanager
def open_scratch(folder: Path, count: int, size: int) -> Iterator[Scratch]:
    """A file for `count` images that has no name: it is gone however the process ends.

    Its space is taken at once: a full disk is an OSError here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, max(1, count * size**2))
        yield Scratch(file, size)


@contextmanager
def replace_entries(folder: Path, last: str) -> Iterator[Path]:
    """Yield an empty folder whose entries take their places in `folder` if the block succeeds.

    `last` goes first and comes last: where it is, all others are whole. What a killed process left
    half-written is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for remains in folder.glob(".*-partial"):
        shutil.rmtree(remains)
    partial = folder / f".{os.getpid()}-partial"
    partial.mkdir()
    try:
        yield partial
        (folder / last).unlink(missing_ok=True)
        for entry in sorted(partial.iterdir(), key=lambda path: (path.name == last, path.name)):
            target = folder / entry.name
            if target.is_dir():
                shutil.rmtree(target)
            entry.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_images(path: Path, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> None:
    """Write a .npy file, uint8 of a shape (N, H, W), from consecutive blocks of its images.

    By plain writes, not by a memory map: on a full disk they fail with an error, not with SIGBUS.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with atomic(path) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block.data)


def write_labels(folder: Path, labels: np.ndarray) -> None:
    """Write labels.npy, int64 (N,)."""
    with atomic(folder / "labels.npy") as partial:
        np.save(partial, np.asarray(labels, "int64"))


def load_manifest(path: Path) -> pd.DataFrame:
    """The manifest, one row per input file; text columns are text, empty where nothing is said."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run `dvc repro`") from None
    return frame.assign(label=pd.to_numeric(frame["label"]), row=pd.to_numeric(frame["row"]))


def part_rows(manifest: pd.DataFrame, part: str) -> pd.DataFrame:
    """The manifest's rows of a part, in the order of its images.npy."""
    return manifest[manifest["split"] == part].sort_values("row")
