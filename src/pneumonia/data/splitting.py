"""From a folder of images to three parts on disk, without a patient or a picture on two sides."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumonia.data import partition
from pneumonia.data.decode import DecodeError, fit_square, quiet, read_gray
from pneumonia.data.sources import Source, find_sources
from pneumonia.data.store import PARTS, allocate_images, write_labels
from pneumonia.errors import InputError
from pneumonia.files import atomic, hash_file, write_csv
from pneumonia.params import DataParams, SplitParams
from pneumonia.progress import track

COLUMNS = [
    "path", "sha256", "label", "group", "published", "split", "row", "reason", "width", "height",
]  # fmt: skip
RESERVED = (
    "extra",
    "frame",
    "framed",
    "patient",
    "pixels",
    "source",
)  # columns on the way, not in the manifest


def split_dataset(
    root: Path, output: Path, data: DataParams, split: SplitParams, seed: int
) -> dict[str, Any]:
    """Write train, val and test (images.npy, labels.npy) and manifest.csv below `output`.

    Returns the figures for metrics/data.json. Images are streamed: memory does not grow with them.
    Raises InputError where the folder or the parameters do not allow a split.
    """
    sources = find_sources(root, data.classes, data.frames)
    extras = name_extras(sources)
    with scratch_images(output, len(sources), data.image_size) as images:
        table = decode_sources(root, sources, images, data)
        names = partition.find_groups(
            (Path(source.file).name for source in sources), split.group_pattern
        )
        table["group"] = table["patient"].where(table["patient"] != "", names)
        table = assign_parts(table, split, seed)
        write_parts(output, images, table)
    write_csv(output / "manifest.csv", table[COLUMNS + extras])
    return describe(table, data.name)


def name_extras(sources: list[Source]) -> list[str]:
    """The manifest's columns of the user's own; InputError where one has a name of ours."""
    names = [name for name, _ in sources[0].extra]
    if clashes := {*COLUMNS, *RESERVED} & set(names):
        raise InputError(
            f"the data set's manifest.csv has a column {min(clashes)}, a name that the split's "
            "own manifest uses: rename the column"
        )
    return names


@contextmanager
def scratch_images(output: Path, count: int, size: int) -> Iterator[np.ndarray]:
    """A file-backed uint8 array (count, size, size) that is gone afterwards."""
    path = output / f".{os.getpid()}-images.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield allocate_images(path, count, size)
    finally:
        path.unlink(missing_ok=True)


def decode_sources(
    root: Path, sources: list[Source], images: np.ndarray, data: DataParams
) -> pd.DataFrame:
    """Fill `images` and tell of each file: hash of file and pixels, size, why it is left out."""
    hash_once = lru_cache(maxsize=256)(hash_file)  # many frames can be of one file

    def decode(number: int) -> dict[str, Any]:
        path, frame = root / sources[number].file, sources[number].frame
        row = {"sha256": hash_once(path), "pixels": "", "width": "", "height": "", "reason": ""}
        try:
            gray = read_gray(path, frame=frame, ct_window=data.ct_window)
        except DecodeError as error:
            return row | {"reason": str(error)}
        images[number] = fit_square(gray, data.image_size, keep_aspect=data.keep_aspect)
        pixels = hashlib.sha256(repr(gray.shape).encode() + gray.tobytes()).hexdigest()
        return row | {"pixels": pixels, "width": gray.shape[1], "height": gray.shape[0]}

    with quiet(), ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(track(pool.map(decode, range(len(sources))), "decode", total=len(sources)))
    table = pd.DataFrame([vars(source) | dict(source.extra) for source in sources])
    return table.join(pd.DataFrame(rows)).assign(split="", source=range(len(sources)))


def assign_parts(table: pd.DataFrame, split: SplitParams, seed: int) -> pd.DataFrame:
    """Set `split`, `row` and `reason` of every image; see `partition` for the rules."""
    if not (table["reason"] == "").any():
        first = table.iloc[0]
        raise InputError(f"no image can be read, the first ({first['path']}) is {first['reason']}")
    table = partition.merge_duplicates(table)
    if split.keep_published and (table["published"] != "").any():
        table = partition.keep_published(table)
    shares = {"val": split.val_share, "test": split.test_share}
    missing = {part: share for part, share in shares.items() if not (table["split"] == part).any()}
    if missing:
        table = partition.carve(table, missing, seed)
    partition.assert_disjoint(table)
    table["row"] = table.groupby("split").cumcount().astype(object)
    table.loc[table["split"] == "", "row"] = ""
    return table


def write_parts(output: Path, images: np.ndarray, table: pd.DataFrame) -> None:
    """Copy each part's images out of the scratch array, block by block."""
    for part in PARTS:
        rows = table[table["split"] == part]
        if rows["label"].nunique() < 2:
            raise InputError(f"the {part} part holds one class only: bring more patients of both")
        folder = output / part
        shutil.rmtree(folder, ignore_errors=True)
        write_labels(folder, rows["label"].to_numpy())
        numbers = rows["source"].to_numpy()
        with atomic(folder / "images.npy") as partial:
            target = allocate_images(partial, len(numbers), images.shape[1])
            for start in range(0, len(numbers), 1024):
                target[start : start + 1024] = images[numbers[start : start + 1024]]
            target.flush()


def describe(table: pd.DataFrame, name: str) -> dict[str, Any]:
    """Counts by part and class, patients, what was left out and why."""
    usable = table[table["reason"] == ""]
    left_out = table[table["reason"] != ""]
    return {
        "name": name,
        "simulated": name == "phantom",
        "files": len(table),
        "used": len(usable),
        "left_out": len(left_out),
        "reasons": {str(k): int(v) for k, v in left_out["reason"].value_counts().items()},
        "left_out_files": dict(
            zip(left_out["path"].head(100), left_out["reason"].head(100), strict=True)
        ),
        "patients": int(usable["group"].nunique()),
        "duplicates": int(usable["pixels"].duplicated().sum()),
        "burned_in": int((usable["burned_in"] == "YES").sum()) if "burned_in" in usable else 0,
        "parts": partition.count_parts(table),
    }
