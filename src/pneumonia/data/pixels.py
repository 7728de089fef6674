"""What all decoders share: the bound on pixels, and values of any depth onto 0 to 255."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

MAX_PIXELS = 2**26  # 8192 x 8192: a colour image of that size is 268 MB while it is decoded


class DecodeError(Exception):
    """The file is no usable image; the message is the reason."""


class PixelBudget:
    """Pixels that all threads together may decode at once: memory stays bounded, whatever comes."""

    def __init__(self, pixels: int) -> None:
        self.free = pixels
        self.changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Wait until so many are free."""
        with self.changed:
            self.changed.wait_for(lambda: self.free >= pixels)
            self.free -= pixels
        try:
            yield
        finally:
            with self.changed:
                self.free += pixels
                self.changed.notify_all()


_in_flight = PixelBudget(MAX_PIXELS)


@contextmanager
def bound_pixels(width: int, height: int, most: int = MAX_PIXELS) -> Iterator[None]:
    """Refuse more than `most` before anything is decoded, and wait while others fill memory."""
    if min(width, height) < 1:
        raise DecodeError(f"it says that it has {width} x {height} pixels")
    if width * height > min(most, MAX_PIXELS):
        raise DecodeError(f"too large: {width} x {height} pixels are more than {most:,}")
    with _in_flight.take(width * height):
        yield


def scale_to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Values of more than eight bits onto 0 to 255: full 16-bit scale, or their own range.

    Whole numbers from 0 to 65535 that reach 4096 count as 16 bits; any others (12 bits, signed,
    floats) are stretched from their least to their greatest.
    """
    low, high = value_range(pixels)
    if low >= 0 and 4096 <= high <= 65535 and pixels.dtype.kind in "iu":
        low, high = 0, 65535
    return stretch(pixels, low, high)


def value_range(pixels: np.ndarray) -> tuple[float, float]:
    """Least and greatest value. Raises DecodeError where one is not finite."""
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite([low, high]).all():
        raise DecodeError("it has values that are no finite numbers")
    return low, high


def stretch(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """`low` and below onto 0, `high` and above onto 255, linear between, as uint8."""
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2:
        info = np.iinfo(pixels.dtype)
        table = _stretch(np.arange(info.min, info.max + 1), low, high)
        table = np.roll(table, info.min)  # values below 0 index from the end
        return map_blocks(pixels, lambda block: table[block])
    return map_blocks(pixels, lambda block: _stretch(block, low, high))


def map_blocks(pixels: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`change` of some rows at a time, to uint8: no large image of floats comes to be."""
    result = np.empty(pixels.shape, "uint8")
    rows = max(1, 2**20 // pixels.shape[1])
    for start in range(0, len(pixels), rows):
        result[start : start + rows] = change(pixels[start : start + rows])
    return result


def _stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (values.astype("float64") - low) * (255 / max(high - low, 1e-12))
    return np.rint(np.clip(scaled, 0, 255)).astype("uint8")
