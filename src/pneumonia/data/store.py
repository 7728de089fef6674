"""Images on their way between stages: .npy files that are memory-mapped, and the manifest."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pneumonia.errors import InputError
from pneumonia.files import atomic

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """Row-aligned images uint8 (N, H, W) and labels int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise InputError(f"{len(self.images)} images but {len(self.labels)} labels: rebuild")


def load_part(folder: Path) -> Part:
    """The images of a folder, memory-mapped read-only. Raises InputError where there are none."""
    try:
        images = np.load(folder / "images.npy", mmap_mode="r")
        return Part(images, np.load(folder / "labels.npy"))
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{folder} holds no images ({error}): run `dvc repro`") from None


def allocate_images(path: Path, count: int, size: int) -> np.memmap:
    """A new .npy file of uint8 zeros (count, size, size), memory-mapped for writing.

    Its space is taken at once: a full disk is an OSError here, not a crash at a later write.
    """
    images = np.lib.format.open_memmap(path, "w+", "uint8", (count, size, size))
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return images


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


def part_groups(manifest: pd.DataFrame, part: str) -> np.ndarray:
    """The patient of each image of a part, str (N,), in the order of its images.npy."""
    rows = manifest[manifest["split"] == part].sort_values("row")
    return rows["group"].to_numpy(dtype=str)
