"""MedMNIST's .npz files (medmnist.com): two classes, gray or RGB, with their split."""

import csv
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from pneumonia.data.listing import MANIFEST
from pneumonia.data.store import PARTS
from pneumonia.errors import InputError
from pneumonia.progress import track

MAX_SIDE = 4096
MAX_LABELS = 10_000_000
DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, SyntaxError, RuntimeError,
    NotImplementedError, TypeError, LookupError, OverflowError, MemoryError,
)  # fmt: skip


def unpack_npz(path: Path, folder: Path) -> None:
    """Write each image as PNG into `folder`/images, and a manifest.csv with label and split.

    Images stream through memory one by one. Raises InputError where the file is damaged, holds
    3-D images or others than uint8, or labels that are not 0 and 1.
    """
    (folder / "images").mkdir(parents=True)
    try:
        with zipfile.ZipFile(path) as archive, (folder / MANIFEST).open("w", newline="") as table:
            writer = csv.writer(table, lineterminator="\n")
            writer.writerow(["path", "label", "split"])
            there = [part for part in PARTS if f"{part}_images.npy" in archive.namelist()]
            if not there:
                raise InputError(f"{path} holds no train_images, val_images or test_images")
            for part in there:
                labels = _read_labels(path, archive, part)
                images = _stream_images(path, archive, part, len(labels))
                for number, image in enumerate(track(images, part, total=len(labels))):
                    name = f"images/{part}_{number:06}.png"
                    (folder / name).write_bytes(cv2.imencode(".png", image)[1].tobytes())
                    writer.writerow([name, labels[number], part])
    except DAMAGE as error:
        raise InputError(f"{path} is no whole .npz file ({error}): bring it anew") from None


def _read_labels(path: Path, archive: zipfile.ZipFile, part: str) -> np.ndarray:
    """0 and 1, int64 (N,)."""
    with archive.open(f"{part}_labels.npy") as file:
        shape, dtype = _read_header(file)
        if len(shape) not in (1, 2) or shape[1:] not in ((), (1,)) or dtype.kind not in "biu":
            raise InputError(
                f"{path}: {part}_labels is {dtype} {shape}, not one whole number an image: only "
                "sets of two classes can be used"
            )
        if shape[0] > MAX_LABELS:
            raise InputError(f"{path}: {part}_labels says that there are {shape[0]} images")
        labels = np.frombuffer(_read_exactly(file, shape[0] * dtype.itemsize), dtype)
    others = set(np.unique(labels).tolist()) - {0, 1}
    if others:
        raise InputError(
            f"{path}: {part}_labels holds the label {min(others)}: only sets of two classes, 0 and "
            "1, can be used"
        )
    return labels.astype("int64")


def _stream_images(
    path: Path, archive: zipfile.ZipFile, part: str, count: int
) -> Iterator[np.ndarray]:
    """Gray uint8 (H, W), or colour in OpenCV's order (H, W, 3), one after the other."""
    with archive.open(f"{part}_images.npy") as file:
        shape, dtype = _read_header(file)
        colour = len(shape) == 4 and shape[3] == 3
        if len(shape) not in (3, 4) or (len(shape) == 4 and not colour):
            what = "3-D images" if len(shape) in (4, 5) else "no images"
            raise InputError(f"{path}: {part}_images is {shape}, {what}: bring gray or RGB images")
        if dtype != np.uint8 or max(shape[1:3]) > MAX_SIDE or min(shape[1:3]) < 1:
            raise InputError(
                f"{path}: {part}_images is {dtype} {shape}: bring uint8 of at most {MAX_SIDE} px"
            )
        if shape[0] != count:
            raise InputError(f"{path} has {shape[0]} images but {count} labels for {part}")
        for _ in range(count):
            image = np.frombuffer(_read_exactly(file, int(np.prod(shape[1:]))), "uint8")
            image = image.reshape(shape[1:])
            yield image[..., ::-1] if colour else image


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of a .npy stream in C order; nothing of it is executed."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, fortran, dtype = read[version](file)
    if dtype.hasobject or (fortran and len(shape) > 1) or not shape or min(shape) < 0:
        raise ValueError("an array is of Python objects or in Fortran order")
    return shape, dtype


def _read_exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError("an array is cut off")
    return data
