"""The same picture in two files: found by hash, looked at again before it is believed.

Candidates are pairs whose perceptual hashes differ in few bits; these hold the signs of the low
frequencies of a cosine transform (Zauner, Implementation and Benchmarking of Perceptual Image Hash
Functions, 2010). Chest images share their low frequencies, so each pair is then compared without
them. What the bounds below find and what they confuse was measured: docs/data-checks.md.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from pneumonia.data.store import Scratch
from pneumonia.progress import track

SIDE = 64  # pixels of a thumbnail
SAME = 0.95  # correlation from which two pictures are one; different patients reach 0.94
ALIGN_FROM = 0.6  # correlation from which moving one onto the other is tried
MIN_OVERLAP = 0.6  # of the area, after moving
HASH_SIDE = 8
TILE, CHUNK = 1024, 1024  # hashes compared, and pairs verified, at a time: bounds the memory


@dataclass(frozen=True, order=True)
class NearPair:
    """Rows of two thumbnails that show one picture, and how well they correlate."""

    first: int
    second: int
    correlation: float


class Unions:
    """Sets of rows 0 to count - 1 that were joined; each is named by its lowest row."""

    def __init__(self, count: int) -> None:
        self.parent = np.arange(count)

    def find(self, row: int) -> int:
        while self.parent[row] != row:
            self.parent[row] = self.parent[self.parent[row]]
            row = self.parent[row]
        return int(row)

    def find_all(self, rows: np.ndarray) -> np.ndarray:
        """The names of the sets of many rows at once, int (…)."""
        while (self.parent[rows] != rows).any():
            rows = self.parent[rows]
        return rows

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.find(one), self.find(other)))
        self.parent[high] = low


def make_thumbnail(gray: np.ndarray) -> np.ndarray:
    """An image uint8 (H, W), squeezed to uint8 (SIDE, SIDE)."""
    method = cv2.INTER_AREA if min(gray.shape) >= SIDE else cv2.INTER_LINEAR
    return cv2.resize(gray, (SIDE, SIDE), interpolation=method)


def hash_thumbnails(thumbnails: np.ndarray) -> np.ndarray:
    """uint64 (N,) of thumbnails uint8 (N, SIDE, SIDE): a bit says that a frequency is strong.

    Sums of whole numbers below 2^53, so that every machine gets the same bits.
    """
    pairs = thumbnails.reshape(len(thumbnails), SIDE // 2, 2, SIDE // 2, 2)
    small = pairs.sum(axis=(2, 4), dtype="float64")
    places = 2 * np.arange(SIDE // 2) + 1
    waves = np.arange(1, HASH_SIDE + 1)[:, None]
    cosines = np.rint(1024 * np.cos(np.pi * waves * places / SIDE))
    strengths = (cosines @ small @ cosines.T).reshape(len(small), HASH_SIDE**2)
    bits = strengths > np.median(strengths, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view("uint64")[:, 0]


def find_candidates(hashes: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    """Pairs of rows whose hashes differ in at most `distance` bits, int64 (M, 2), by blocks."""
    for top in range(0, len(hashes), TILE):
        for left in range(top, len(hashes), TILE):
            different = hashes[top : top + TILE, None] ^ hashes[None, left : left + TILE]
            near = np.bitwise_count(different) <= distance
            if not near.any():
                continue
            found = np.argwhere(near) + (top, left)
            found = found[found[:, 0] < found[:, 1]]
            for start in range(0, len(found), CHUNK):
                yield found[start : start + CHUNK]


def find_near_pairs(
    thumbnails: Scratch, rows: np.ndarray, distance: int, workers: int | None = None
) -> list[NearPair]:
    """Pairs among `rows` that show one picture; of a chain of them not every pair is named.

    `distance` is in bits of 64. The result depends on neither `workers` nor time.
    """
    hashes = np.empty(len(rows), "uint64")
    done = 0
    for block in thumbnails.read_blocks(rows):
        hashes[done : done + len(block)] = hash_thumbnails(block)
        done += len(block)
    joined, pairs = Unions(len(rows)), []
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for found in track(find_candidates(hashes, distance), "compare"):
            left, right = joined.find_all(found).T
            unknown = found[left != right]  # in a set of thousands of copies most are known
            for pair in verify(thumbnails, rows, unknown, pool) if len(unknown) else ():
                joined.join(pair.first, pair.second)
                pairs.append(
                    NearPair(int(rows[pair.first]), int(rows[pair.second]), pair.correlation)
                )
    return sorted(pairs)


def verify(
    thumbnails: Scratch, rows: np.ndarray, found: np.ndarray, pool: ThreadPoolExecutor
) -> Iterator[NearPair]:
    """Those of the candidate pairs, int (M, 2) into `rows`, that show one picture."""
    left, right = (thumbnails.read(rows[found[:, side]]) for side in (0, 1))
    correlations = correlate(sharpen(left), sharpen(right))
    unsure = np.flatnonzero((correlations >= ALIGN_FROM) & (correlations < SAME))
    for number, better in zip(
        unsure, pool.map(lambda k: align(left[k], right[k]), unsure), strict=True
    ):
        correlations[number] = max(better, correlations[number])
    for number in np.flatnonzero(correlations >= SAME):
        yield NearPair(int(found[number, 0]), int(found[number, 1]), float(correlations[number]))


def sharpen(thumbnails: np.ndarray) -> np.ndarray:
    """What lies between fine grain and the shape of a chest, float32 (N, SIDE, SIDE)."""
    sharp = np.empty(thumbnails.shape, "float32")
    for target, image in zip(sharp, thumbnails.astype("float32"), strict=True):
        target[:] = cv2.GaussianBlur(image, (0, 0), 0.8) - cv2.GaussianBlur(image, (0, 0), 4)
    return sharp


def correlate(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Pearson's correlation of row-aligned images (N, …), float64 (N,); 0 for a constant one."""
    left, right = (a.reshape(len(a), -1).astype("float64") for a in (left, right))
    left, right = (a - a.mean(1, keepdims=True) for a in (left, right))
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(1) / np.maximum(norms, 1e-9)


def align(left: np.ndarray, right: np.ndarray) -> float:
    """Correlation where two thumbnails overlap after the affine map that fits them best.

    A crop or a slight turn moves every pixel. -1 where no map is found. Source: Evangelidis and
    Psarakis, Parametric Image Alignment using Enhanced Correlation Coefficient, 2008 (by OpenCV).
    """
    small = (SIDE // 2, SIDE // 2)
    one, other = (cv2.resize(a, small, interpolation=cv2.INTER_AREA) for a in (left, right))
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 25, 1e-4)
    half, everywhere = np.eye(2, 3, dtype="float32"), np.full(small, 255, "uint8")
    try:
        _, half = cv2.findTransformECC(one, other, half, cv2.MOTION_AFFINE, stop, everywhere, 3)
    except cv2.error:  # no convergence: the two have little in common
        return -1.0
    moved = half.astype("float32").copy()
    moved[:, 2] = 2 * half[:, 2] + 0.5 - half[:, :2].sum(1) / 2  # pixel centres at full size
    sharp_left, sharp_right = sharpen(np.stack([left, right]))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(sharp_right, moved, (SIDE, SIDE), flags=flags)
    inside = cv2.warpAffine(np.ones_like(warped), moved, (SIDE, SIDE), flags=flags) > 0.999
    if inside.mean() < MIN_OVERLAP:
        return -1.0
    return float(correlate(sharp_left[inside][None], warped[inside][None])[0])
