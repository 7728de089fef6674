"""Changed copies of images: one affine warp, one lookup table, some operations each.

Flip, shear, zoom, rotation, aspect ratio and translation are multiplied into one matrix, so that
pixels are interpolated once; gamma, contrast, brightness, inversion make one table of grey values.
What the warp pulls in from outside is black, like the padding that split adds: mirrored ribs would
be anatomy that does not exist, and the warp with mirrored borders is 1.7 times slower.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pneumonia.data.store import Part, write_images, write_labels
from pneumonia.files import atomic
from pneumonia.params import AugmentParams
from pneumonia.progress import track

BLOCK = 512  # images drawn and tabulated at once: bounds the memory, does not change the result
DRAWS = 12  # random numbers that an image takes
PREVIEW_ROWS, PREVIEW_COLUMNS = 8, 8


@dataclass(frozen=True)
class Ranges:
    """How far each change may go, evenly to both signs, or how often. Units: params.yaml."""

    horizontal_flip: bool = False
    shear_range: float = 0.0
    zoom_range: float = 0.0
    translation_range: float = 0.0
    aspect_range: float = 0.0
    rotation_range: float = 0.0
    brightness_range: float = 0.0
    contrast_range: float = 0.0
    gamma_range: float = 0.0
    invert_share: float = 0.0
    operations: int = 0


def augment_images(
    images: np.ndarray, labels: np.ndarray, folder: Path, *, copies: int, ranges: Ranges, seed: int
) -> None:
    """Write changed copies of images uint8 (N, H, W) with labels int (N,), and a preview.

    images.npy is uint8 (copies*N, H, W), labels.npy int64 (N,), preview.png for the eye. Copy c of
    image i is row c*N + i; copy 0 is the original. A row depends on seed, c and i alone.
    """
    blocks = _make_blocks(images, copies, ranges, seed)
    shape = (copies * len(images), *images.shape[1:])
    path = folder / "images.npy"
    write_images(path, shape, track(blocks, "augment", total=copies * _count_blocks(images)))
    write_preview(np.load(path, mmap_mode="r"), copies, folder / "preview.png")
    write_labels(folder, labels)


def augment_parts(train: Part, val: Part, folder: Path, settings: AugmentParams, seed: int) -> None:
    """`augment_images` as params.yaml's section says; those of `val` in a folder of that name."""
    copies = count_copies(len(train.labels), settings.copies, settings.min_images)
    ranges = Ranges(**settings.model_dump(exclude={"copies", "min_images"}))
    for part, place, start in ((train, folder, seed), (val, folder / "val", seed + 1)):
        augment_images(part.images, part.labels, place, copies=copies, ranges=ranges, seed=start)


def count_copies(images: int, copies: int, least: int) -> int:
    """Versions of each of some images: `copies`, or as many as make `least` in all."""
    return max(copies, -(-least // images))


def _count_blocks(images: np.ndarray) -> int:
    return -(-len(images) // BLOCK)


def _make_blocks(
    images: np.ndarray, copies: int, ranges: Ranges, seed: int
) -> Iterator[np.ndarray]:
    for copy in range(copies):
        rng = np.random.default_rng([seed, copy])
        for start in range(0, len(images), BLOCK):
            block = np.ascontiguousarray(images[start : start + BLOCK])
            yield change_images(block, rng, ranges) if copy else block


def change_images(images: np.ndarray, rng: np.random.Generator, ranges: Ranges) -> np.ndarray:
    """Images uint8 (N, H, W) after one draw each from `rng`: uint8 (N, H, W).

    The generator moves on by twelve numbers an image, so that blocks of any length give the same.
    """
    draws = rng.uniform(-1, 1, (len(images), DRAWS))
    matrices = compose_matrices(draws, ranges, height=images.shape[1], width=images.shape[2])
    tables = compose_tables(draws, ranges, images.mean(axis=(1, 2)))
    changed = np.empty_like(images)
    for image, matrix, table, target in zip(images, matrices, tables, changed, strict=True):
        cv2.LUT(warp(image, matrix), table, dst=target)
    if ranges.operations:
        for image, draw in zip(changed, draws[:, -1], strict=True):
            image[:] = apply_operations(image, ranges.operations, int((draw + 1) * 2**31))
    return changed


def apply_operations(image: np.ndarray, count: int, seed: int) -> np.ndarray:
    """An image uint8 (H, W) after `count` of `OPERATIONS`, drawn evenly, each of random strength.

    Source of the idea: Cubuk et al., RandAugment, arXiv 1909.13719.
    """
    rng = np.random.default_rng(seed)
    for index in rng.integers(len(OPERATIONS), size=count):
        image = OPERATIONS[index](image, rng.uniform(), rng)
    return image


def _blur(image: np.ndarray, strength: float, _rng: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), (0.003 + 0.012 * strength) * image.shape[0])


def _sharpen(image: np.ndarray, strength: float, _rng: np.random.Generator) -> np.ndarray:
    soft = cv2.GaussianBlur(image, (0, 0), 0.01 * image.shape[0])
    return cv2.addWeighted(image, 1 + strength, soft, -strength, 0)


def _add_noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(image.shape, "float32") * (1 + 9 * strength)
    return np.rint(np.clip(image + noise, 0, 255)).astype("uint8")


def _lower_resolution(image: np.ndarray, strength: float, _rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape
    size = [max(1, round((1 - 0.6 * strength) * side)) for side in (width, height)]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _add_border(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape
    top, left = (round(0.12 * strength * side) for side in (height, width))
    inside = cv2.resize(image, (width - 2 * left, height - 2 * top), interpolation=cv2.INTER_AREA)
    grey = (int(rng.integers(256)),)
    return cv2.copyMakeBorder(inside, top, top, left, left, cv2.BORDER_CONSTANT, value=grey)


def _crop(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape
    rows, columns = (round((0.95 - 0.2 * strength) * side) for side in (height, width))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    inside = image[top : top + rows, left : left + columns]
    return cv2.resize(inside, (width, height), interpolation=cv2.INTER_LINEAR)


# none that equalises greys or makes them fewer: CT pays for it (docs/model.md, "No equalising")
OPERATIONS = (_blur, _sharpen, _add_noise, _lower_resolution, _add_border, _crop)


def warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Warp an image uint8 (H, W) bilinearly by a matrix float (2, 3) from old to new (x, y)."""
    return cv2.warpAffine(image, matrix, image.shape[::-1], flags=cv2.INTER_LINEAR)


def compose_matrices(draws: np.ndarray, ranges: Ranges, *, height: int, width: int) -> np.ndarray:
    """Matrices float64 (N, 2, 3) that flip, zoom, shear, rotate, widen about the centre, then move.

    `draws` are numbers (N, 12) from -1 to 1, one column a change; 0 is no change.
    """
    flip, shear, zoom, move_x, move_y, turn = draws.T[:6]
    factor = 1 + ranges.zoom_range * zoom
    mirror = np.where((flip < 0) & ranges.horizontal_flip, -1.0, 1.0)
    slant = ranges.shear_range * shear
    angle = np.deg2rad(ranges.rotation_range) * turn
    cos, sin = np.cos(angle), np.sin(angle)
    columns = [cos * mirror, cos * slant - sin, sin * mirror, sin * slant + cos]
    linear = factor[:, None, None] * np.stack(columns, axis=1).reshape(-1, 2, 2)
    widening = (1 + ranges.aspect_range) ** (draws[:, 10] / 2)
    linear *= np.stack([widening, 1 / widening], axis=1)[:, :, None]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = ranges.translation_range * np.stack([move_x * width, move_y * height], axis=1)
    return np.concatenate([linear, (centre - linear @ centre + shift)[:, :, None]], axis=2)


def compose_tables(draws: np.ndarray, ranges: Ranges, means: np.ndarray) -> np.ndarray:
    """Grey values after gamma, contrast about the mean, brightness, inversion: uint8 (N, 256).

    `draws` as in `compose_matrices`; `means` are the images' mean grey values (N,), 0 to 255.
    """
    brightness, contrast, gamma, invert = draws.T[6:10, :, None]
    exponent = (1 + ranges.gamma_range) ** gamma
    grey = (np.arange(256) / 255) ** exponent
    mean = (means[:, None] / 255) ** exponent
    grey = mean + (1 + ranges.contrast_range * contrast) * (grey - mean)
    grey += ranges.brightness_range * brightness
    grey = np.where(invert < 2 * ranges.invert_share - 1, 1 - grey, grey)
    return np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8)


def write_preview(images: np.ndarray, copies: int, path: Path) -> None:
    """A picture of some originals (left column) beside their copies, from copy-major images."""
    count = len(images) // copies
    rows = np.linspace(0, count - 1, min(PREVIEW_ROWS, count)).astype(int)
    columns = range(min(PREVIEW_COLUMNS, copies))
    grid = np.vstack([np.hstack([images[c * count + row] for c in columns]) for row in rows])
    with atomic(path) as partial:
        partial.write_bytes(cv2.imencode(".png", grid)[1].tobytes())
