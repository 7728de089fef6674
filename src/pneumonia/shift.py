"""The shift suite's changes: images as another hospital might have made them.

The kinds and strengths follow what differs between sites (exposure, framing, sharpness, labels
burnt in); source of the idea: Hendrycks and Dietterich, arXiv 1903.12261. Every image of a set
gets the same change, but `mixed`, where each draws its own exposure, framing and sharpness.
"""

from collections.abc import Callable

import cv2
import numpy as np

from pneumonia.data.store import Part

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def map_greys(function: Callable[[np.ndarray], np.ndarray]) -> Change:
    """A change of grey values alone, given on the scale 0 to 1."""
    table = np.rint(255 * np.clip(function(np.arange(256) / 255), 0, 1)).astype("uint8")
    return lambda image, _rng: cv2.LUT(image, table)


def frame(zoom: float = 1.0, aspect: float = 1.0, degrees: float = 0.0) -> Change:
    """Zoom about the centre, widen by `aspect` while lowering by it, turn; outside is black."""
    return lambda image, _rng: _warp(image, zoom, aspect, degrees, (0.0, 0.0))


def _warp(
    image: np.ndarray, zoom: float, aspect: float, degrees: float, move: tuple[float, float]
) -> np.ndarray:
    height, width = image.shape
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, degrees, zoom)
    matrix[:, :2] *= np.array([[aspect], [1 / aspect]])
    matrix[:, 2] = np.array(centre) - matrix[:, :2] @ centre + np.multiply(move, (width, height))
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)


def add_border(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """The image at 85 % of its size within a white border."""
    small = cv2.resize(image, None, fx=0.85, fy=0.85, interpolation=cv2.INTER_AREA)
    (h, w), (sh, sw) = image.shape, small.shape
    top, left = (h - sh) // 2, (w - sw) // 2
    return cv2.copyMakeBorder(
        small, top, h - sh - top, left, w - sw - left, cv2.BORDER_CONSTANT, value=(255,)
    )


def blur(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur with a standard deviation of 2 % of the side."""
    return cv2.GaussianBlur(image, (0, 0), 0.02 * image.shape[0])


def lower_resolution(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Down to half of the pixels a side, and up again."""
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return cv2.resize(half, image.shape[::-1], interpolation=cv2.INTER_LINEAR)


def compress(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """JPEG of quality 25."""
    packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE))


def add_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise with a standard deviation of 5 % of full scale."""
    noisy = image + rng.normal(0, 0.05 * 255, image.shape)
    return np.rint(np.clip(noisy, 0, 255)).astype("uint8")


def burn_text(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """A white 'R' in the upper left corner, as markers of the side are."""
    side = image.shape[0]
    marked = image.copy()
    cv2.putText(marked, "R", (side // 20, side // 5), cv2.FONT_HERSHEY_SIMPLEX, side / 120, (255,))
    return marked


def mix(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, framing and sharpness, each drawn for this image."""
    gamma, contrast = np.exp(rng.uniform(-0.6, 0.6)), np.exp(rng.uniform(-0.4, 0.4))
    offset = rng.uniform(-0.1, 0.1)
    image = map_greys(lambda v: 0.5 + (v**gamma - 0.5) * contrast + offset)(image, rng)
    zoom, aspect = np.exp(rng.uniform(-0.2, 0.2)), np.exp(rng.uniform(-0.15, 0.15))
    move = (rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06))
    image = _warp(image, zoom, aspect, rng.uniform(-8, 8), move)
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.005, 0.014) * image.shape[0])
    noisy = image + rng.normal(0, rng.uniform(2, 10), image.shape)
    return np.rint(np.clip(noisy, 0, 255)).astype("uint8")


SHIFTS: dict[str, Change] = {
    "none": lambda image, _rng: image,
    "brighter": map_greys(lambda v: v + 0.2),
    "darker": map_greys(lambda v: v - 0.2),
    "gamma 0.5": map_greys(lambda v: v**0.5),
    "gamma 2": map_greys(lambda v: v**2),
    "low contrast": map_greys(lambda v: 0.5 + 0.5 * (v - 0.5)),
    "high contrast": map_greys(lambda v: 0.5 + 1.6 * (v - 0.5)),
    "equalised": lambda image, _rng: cv2.equalizeHist(image),
    "cropped": frame(zoom=1.25),
    "zoomed out": frame(zoom=0.8),
    "aspect 4:5": frame(aspect=0.89),
    "rotated": frame(degrees=10),
    "white border": add_border,
    "blurred": blur,
    "half resolution": lower_resolution,
    "JPEG 25": compress,
    "noisy": add_noise,
    "burnt-in R": burn_text,
    "inverted": map_greys(lambda v: 1 - v),
    "mixed": mix,
}


def shift_images(images: np.ndarray, name: str, seed: int) -> np.ndarray:
    """Images uint8 (N, H, W) under a change of `SHIFTS`: uint8 (N, H, W)."""
    change = SHIFTS[name]
    return np.stack(
        [change(image, np.random.default_rng([seed, i])) for i, image in enumerate(images)]
    )


def add_shifted(part: Part, seed: int) -> Part:
    """The images of a part, followed by each of them under `mixed`.

    Images of one hospital are told apart so easily that any threshold in a wide gap and most
    recipes look best; those under shift say which one holds elsewhere.
    """
    images = np.asarray(part.images)
    both = np.concatenate([images, shift_images(images, "mixed", seed)])
    return Part(both, np.concatenate([part.labels, part.labels]))
