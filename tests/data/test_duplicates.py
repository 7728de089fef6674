"""Copies of a picture are found after what people do to files; other patients are not confused."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumonia.data import duplicates
from pneumonia.data.phantom import simulate_samples
from pneumonia.data.store import open_scratch


def change(image: np.ndarray, factor: float, added: float) -> np.ndarray:
    return np.clip(image.astype("float64") * factor + added, 0, 255).astype("uint8")


def save_jpeg(image: np.ndarray) -> np.ndarray:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)


def crop(image: np.ndarray, share: float) -> np.ndarray:
    top, left = (round(share * side) for side in image.shape)
    return image[top : image.shape[0] - top, left : image.shape[1] - left]


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG, quality 25": save_jpeg,
    "brighter": lambda image: change(image, 1, 20),
    "less contrast": lambda image: change(image, 0.7, 30),
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5),
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 1),
    "cropped by 1 % a side": lambda image: crop(image, 0.01),
    "cropped by 2 % a side": lambda image: crop(image, 0.02),
}


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """The first picture of each of 40 patients."""
    samples = simulate_samples(110, seed=5)
    return [sample.image for sample in samples if sample.path.endswith("_1.png")][:40]


def find_pairs(
    folder: Path, images: list[np.ndarray], distance: int = 8, workers: int | None = None
) -> list[duplicates.NearPair]:
    with open_scratch(folder, len(images), duplicates.SIDE) as scratch:
        for row, image in enumerate(images):
            scratch.write(row, duplicates.make_thumbnail(image))
        return duplicates.find_near_pairs(scratch, np.arange(len(images)), distance, workers)


def test_different_patients_are_not_confused(pictures, tmp_path: Path) -> None:
    assert len(pictures) == 40
    assert find_pairs(tmp_path, pictures) == []


@pytest.mark.parametrize("copy", COPIES)
def test_copies_are_found(pictures, tmp_path: Path, copy: str) -> None:
    copies = [COPIES[copy](image) for image in pictures[:20]]
    pairs = {(pair.first, pair.second) for pair in find_pairs(tmp_path, pictures[:20] + copies)}
    true = {(row, row + 20) for row in range(20)}
    assert pairs <= true, "a picture was taken for another one"
    assert len(pairs) >= (14 if "2 %" in copy else 19)


def test_rows_without_a_picture_are_not_looked_at(pictures, tmp_path: Path) -> None:
    with open_scratch(tmp_path, 6, duplicates.SIDE) as scratch:
        for row in (1, 4, 5):
            image = pictures[row] if row < 5 else save_jpeg(pictures[1])
            scratch.write(row, duplicates.make_thumbnail(image))
        (pair,) = duplicates.find_near_pairs(scratch, np.array([1, 4, 5]), 8)
    assert (pair.first, pair.second) == (1, 5)


def test_neither_order_nor_workers_nor_blocks_change_who_is_joined(
    pictures, tmp_path: Path, monkeypatch
) -> None:
    images = [*pictures[:8], *map(save_jpeg, pictures[:8]), *(crop(p, 0.01) for p in pictures[:8])]
    order = np.random.default_rng(0).permutation(len(images))

    def join(rows: np.ndarray, workers: int) -> set[frozenset[int]]:
        joined = duplicates.Unions(len(images))
        for pair in find_pairs(tmp_path, [images[row] for row in rows], workers=workers):
            joined.join(pair.first, pair.second)
        sets: dict[int, set[int]] = {}
        for place, row in enumerate(rows):
            sets.setdefault(joined.find(place), set()).add(int(row))
        return {frozenset(found) for found in sets.values()}

    expected = join(np.arange(len(images)), 1)
    assert expected == {frozenset({row, row + 8, row + 16}) for row in range(8)}
    monkeypatch.setattr(duplicates, "TILE", 5)
    monkeypatch.setattr(duplicates, "CHUNK", 2)
    assert join(order, 4) == expected


def test_thousands_of_copies_of_one_picture_take_no_ages(pictures, tmp_path: Path) -> None:
    thumbnail = duplicates.make_thumbnail(pictures[0])
    grain = np.random.default_rng(0).integers(0, 4, (2500, 64, 64), dtype=np.uint8)
    with open_scratch(tmp_path, len(grain), duplicates.SIDE) as scratch:
        for row, image in enumerate(grain):
            scratch.write(row, np.minimum(thumbnail, 251) + image)
        pairs = duplicates.find_near_pairs(scratch, np.arange(len(grain)), 8)
    assert len(grain) - 1 <= len(pairs) < 3 * len(grain)  # of more than three million


def test_candidates_are_all_pairs_within_the_distance(monkeypatch) -> None:
    monkeypatch.setattr(duplicates, "TILE", 16)
    rng = np.random.default_rng(1)
    hashes = (rng.integers(0, 2**6, 100) * np.array(2**20 + 1)).astype("uint64")
    for distance in (0, 2, 5):
        found = [
            tuple(pair) for block in duplicates.find_candidates(hashes, distance) for pair in block
        ]
        bits = [(int(a) ^ int(b)).bit_count() for a in hashes for b in hashes]
        near = np.array(bits).reshape(100, 100) <= distance
        assert sorted(found) == [
            (a, b) for a in range(100) for b in range(a + 1, 100) if near[a, b]
        ]


def test_the_hash_follows_its_definition() -> None:
    image = np.random.default_rng(2).integers(0, 256, (64, 64), dtype=np.uint8)
    small = image.reshape(32, 2, 32, 2).sum(axis=(1, 3)).astype("float32")
    strengths = cv2.dct(small)[1:9, 1:9].ravel()
    expected = np.packbits(strengths > np.median(strengths)).view("uint64")[0]
    (got,) = duplicates.hash_thumbnails(image[None])
    assert int(got ^ expected).bit_count() <= 2  # cosines are rounded to three digits


def test_constant_pictures_have_no_correlation() -> None:
    flat = np.full((1, 4, 4), 7.0)
    assert duplicates.correlate(flat, flat)[0] == 0
    assert duplicates.align(np.zeros((64, 64), "uint8"), np.zeros((64, 64), "uint8")) == -1
