"""What the search for near copies finds and confuses, on a folder of images with known patients.

Usage: python benchmarks/near_copies.py FOLDER
"""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pneumonia.data import duplicates as near
from pneumonia.data.decode import read_gray
from pneumonia.data.partition import find_groups
from pneumonia.data.slices import find_successors
from pneumonia.data.sources import find_sources
from pneumonia.params import load_params

CHANGED = 100  # images, by chance
DISTANCES = (4, 8, 10)


def scale(image: np.ndarray, factor: float, added: float) -> np.ndarray:
    return np.clip(image.astype("float64") * factor + added, 0, 255).astype("uint8")


def save_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))


def crop(image: np.ndarray, share: float) -> np.ndarray:
    top, left = (round(share * side) for side in image.shape)
    return image[top : image.shape[0] - top, left : image.shape[1] - left]


def turn(image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    return cv2.warpAffine(
        image, cv2.getRotationMatrix2D((width / 2, height / 2), 2, 1), (width, height)
    )


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG, quality 20": lambda image: save_jpeg(image, 20),
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5),
    "brighter by 25 of 255": lambda image: scale(image, 1, 25),
    "brightness times 0.6": lambda image: scale(image, 0.6, 0),
    "contrast times 1.3": lambda image: scale(image, 1.3, -38),
    "gamma 0.6": lambda image: (255 * (image / 255) ** 0.6).astype("uint8"),
    "cropped by 1 % a side": lambda image: crop(image, 0.01),
    "cropped by 2 % a side": lambda image: crop(image, 0.02),
    "cropped by 3 % a side": lambda image: crop(image, 0.03),
    "cropped by 5 % a side": lambda image: crop(image, 0.05),
    "turned by 2 degrees": turn,
    "equalised histogram": cv2.equalizeHist,
}


def compare(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Correlations as `near.verify` has them, float (N,), of thumbnails (N, SIDE, SIDE)."""
    found = near.correlate(near.sharpen(left), near.sharpen(right))
    for row in np.flatnonzero((found >= near.ALIGN_FROM) & (found < near.SAME)):
        found[row] = max(found[row], near.align(left[row], right[row]))
    return found


def show_found(images: list[np.ndarray]) -> None:
    thumbnails = np.stack([near.make_thumbnail(image) for image in images])
    hashes = near.hash_thumbnails(thumbnails)
    for name, change in CHANGES.items():
        copies = np.stack([near.make_thumbnail(change(image)) for image in images])
        bits = np.bitwise_count(hashes ^ near.hash_thumbnails(copies))
        same = compare(thumbnails, copies) >= near.SAME
        shares = [f"{(same & (bits <= distance)).mean():5.0%}" for distance in DISTANCES]
        print(f"found     {name:24}", *shares)


def show_confused(thumbnails: np.ndarray, groups: np.ndarray) -> None:
    hashes = near.hash_thumbnails(thumbnails)
    for distance in DISTANCES[:2]:
        pairs = np.vstack(list(near.find_candidates(hashes, distance)))
        pairs = pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]]
        values = compare(thumbnails[pairs[:, 0]], thumbnails[pairs[:, 1]])
        counts = ", ".join(f"{bound}: {(values >= bound).sum()}" for bound in (0.9, 0.93, 0.95))
        print(f"patients  {len(pairs)} candidates at {distance} bits; correlated from {counts}")


def show_slices(thumbnails: np.ndarray, table: pd.DataFrame) -> None:
    """Files numbered one after the other, and as many as chance gives of different patients."""
    drawn = np.random.default_rng(1).integers(len(table), size=(10 * CHANGED, 2))
    other = table["patient"].to_numpy()[drawn]
    others = drawn[other[:, 0] != other[:, 1]]
    successors = np.array(list(find_successors(table)), int).reshape(-1, 2)
    kinds = {"numbered one after the other": successors, "of different patients": others}
    for name, pairs in kinds.items():
        if not len(pairs):
            continue
        found = near.correlate(*(near.sharpen(thumbnails[pairs[:, side]]) for side in (0, 1)))
        shares = [f"{bound}: {(found >= bound).sum()}" for bound in (0.3, 0.4, 0.5)]
        print(f"slices    {len(pairs)} pairs {name}; correlated from", ", ".join(shares))


def main(folder: Path) -> None:
    params = load_params(Path("params.yaml"))
    sources = find_sources(folder, params.data.classes)
    paths = [source.path for source in sources]
    names = find_groups((Path(path).name for path in paths), params.split.group_pattern)
    thumbnails = np.stack([near.make_thumbnail(read_gray(folder / path)) for path in paths])
    chosen = np.random.default_rng(0).choice(len(paths), CHANGED, replace=False)
    print(f"{'':34}", *(f"{distance} bits" for distance in DISTANCES))
    show_found([read_gray(folder / paths[row]) for row in chosen])
    show_confused(thumbnails, np.array(names))
    labels = [source.label for source in sources]
    show_slices(
        thumbnails, pd.DataFrame({"path": paths, "label": labels, "patient": names, "reason": ""})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
