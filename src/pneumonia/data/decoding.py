"""All files of a data set to pixels on disk: streamed, in parallel, each looked at on its way."""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pneumonia.data.decode import fit_square, quiet, read_gray
from pneumonia.data.duplicates import make_thumbnail
from pneumonia.data.pixels import DecodeError
from pneumonia.data.sources import Source
from pneumonia.data.store import Scratch
from pneumonia.errors import InputError
from pneumonia.files import hash_file
from pneumonia.params import DataParams
from pneumonia.progress import track

AHEAD = 1024  # files in work or waiting: bounds the memory
BORDER = 0.04  # of the shorter side


@dataclass(frozen=True)
class Measured:
    """What one file is like; numbers are missing where it cannot be decoded.

    `pixels` is a hash of what was decoded, brightness and contrast the mean and the standard
    deviation of its grey values, `border` their mean along the edge, `bytes` the file's size.
    """

    sha256: str
    bytes: int
    reason: str = ""
    pixels: str = ""
    width: int | None = None
    height: int | None = None
    brightness: float | None = None
    contrast: float | None = None
    border: float | None = None


def decode_sources(
    root: Path,
    sources: list[Source],
    images: Scratch,
    thumbnails: Scratch,
    data: DataParams,
    workers: int | None = None,
) -> pd.DataFrame:
    """Fill both scratch files, row by row of `sources`; a table of these and what was measured.

    An unusable file has its `reason` there. Raises InputError where data.on_bad_image is fail or
    more than data.max_skipped_share of the files are unusable.
    """

    def work(row: int) -> Measured:
        return decode_one(root, sources[row], row, images, thumbnails, data)

    rows: list[Measured] = []
    with quiet(), ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        done = track(map_ahead(pool, work, len(sources)), "decode", total=len(sources))
        for source, measured in zip(sources, done, strict=True):
            if measured.reason and data.on_bad_image == "fail":
                raise InputError(
                    f"{root / source.path} cannot be used ({measured.reason}) and "
                    "data.on_bad_image is fail: mend or remove the file, or set skip"
                )
            rows.append(measured)
    table = tabulate(sources, rows)
    check_skipped(table, data.max_skipped_share)
    return table


def decode_one(
    root: Path, source: Source, row: int, images: Scratch, thumbnails: Scratch, data: DataParams
) -> Measured:
    """Fill one row of both scratch files, unless the file is no use: then say why."""
    path = root / source.file
    try:
        measured = Measured(hash_file(path), path.stat().st_size)
    except OSError as error:
        return Measured("", 0, f"cannot be read: {error.strerror}")
    try:
        gray = read_usable(path, source.frame, data)
    except DecodeError as error:
        return replace(measured, reason=str(error))
    images.write(row, fit_square(gray, images.size, keep_aspect=data.keep_aspect))
    thumbnails.write(row, make_thumbnail(gray))
    return measure(gray, measured)


def map_ahead(
    pool: ThreadPoolExecutor, work: Callable[[int], Measured], count: int
) -> Iterator[Measured]:
    """work(0), work(1), … in this order, with a bounded number of them under way."""
    for start in range(0, count, AHEAD):
        yield from pool.map(work, range(start, min(start + AHEAD, count)))


def read_usable(path: Path, frame: int, data: DataParams) -> np.ndarray:
    """All pixels, uint8 (H, W). DecodeError with the reason where they are not worth a row."""
    gray = read_gray(path, frame=frame, ct_window=data.ct_window, max_pixels=data.max_pixels)
    height, width = gray.shape
    if min(height, width) < data.min_size:
        raise DecodeError(f"too small: {width} x {height} pixels")
    low, high, *_ = cv2.minMaxLoc(gray)
    if high - low <= 1:  # a compressed plain image may waver by one
        raise DecodeError("constant: all pixels are equal")
    return gray


def measure(gray: np.ndarray, measured: Measured) -> Measured:
    """Add size, hash and grey values of an image uint8 (H, W)."""
    height, width = gray.shape
    mean, deviation = cv2.meanStdDev(gray)
    edge = max(1, round(BORDER * min(height, width)))
    inside = gray[edge : height - edge, edge : width - edge]
    total = cv2.sumElems(gray)[0] - (cv2.sumElems(inside)[0] if inside.size else 0)
    return replace(
        measured,
        pixels=hashlib.sha256(repr(gray.shape).encode() + gray.tobytes()).hexdigest(),
        width=width,
        height=height,
        brightness=round(float(mean[0, 0]), 3),
        contrast=round(float(deviation[0, 0]), 3),
        border=round(total / (gray.size - inside.size), 3),
    )


def tabulate(sources: list[Source], rows: list[Measured]) -> pd.DataFrame:
    """A row a source: path, label, published, and the fields of `Measured`."""
    told = ((source.path, source.label, source.published) for source in sources)
    table = pd.DataFrame(told, columns=["path", "label", "published"])
    measured = pd.DataFrame(_as_columns(rows))
    return table.join(measured.astype({"width": "Int64", "height": "Int64"}))


def _as_columns(rows: list[Measured]) -> dict[str, list]:
    names = list(asdict(rows[0]))
    return {name: [getattr(row, name) for row in rows] for name in names}


def check_skipped(table: pd.DataFrame, bound: float) -> None:
    """InputError where no file, or too few of them, can be used."""
    bad = table[table["reason"] != ""]
    if bad.empty:
        return
    first = f"{bad['path'].iloc[0]} ({bad['reason'].iloc[0]})"
    if len(bad) == len(table):
        raise InputError(f"no image can be read; the first is {first}: bring image files")
    if len(bad) > bound * len(table):
        raise InputError(
            f"{len(bad)} of {len(table)} files ({len(bad) / len(table):.1%}) cannot be used, more "
            f"than data.max_skipped_share ({bound:g}) allows; the first is {first}: mend the files "
            "or raise the bound"
        )
