"""One image file to gray pixels: PNG, JPEG, TIFF, BMP, WebP by Pillow, DICOM by pydicom."""

import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageChops, ImageOps, TiffImagePlugin

from pneumonia.data.pixels import MAX_PIXELS, DecodeError, bound_pixels, scale_to_uint8

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")  # no others of Pillow's: some run programs
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
SUFFIXES = DICOM_SUFFIXES | {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}

Window = Sequence[float]  # centre and width, Hounsfield units


def decode_file(
    path: Path, size: int, *, keep_aspect: bool, frame: int = 0, ct_window: Window | None = None
) -> np.ndarray:
    """An image as uint8 (size, size): see `read_gray` and `fit_square`."""
    gray = read_gray(path, frame=frame, ct_window=ct_window)
    return fit_square(gray, size, keep_aspect=keep_aspect)


def read_gray(
    path: Path,
    *,
    frame: int = 0,
    ct_window: Window | None = None,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """All pixels of an image as uint8 (H, W), brightest = 255; of a TIFF, the first page.

    `frame` (from 0) and `ct_window` are for DICOM. Transparent pixels are black; more than eight
    bits are scaled as `scale_to_uint8` says. Raises DecodeError with the reason;
    FileNotFoundError where there is no such file.
    """
    if path.stat().st_size == 0:
        raise DecodeError("the file is empty")
    if looks_like_dicom(path):
        from pneumonia.data.dicom import read_frame

        return read_frame(path, frame, ct_window, max_pixels)
    TiffImagePlugin.READ_LIBTIFF = True  # Pillow's own reader scrambles TIFFs that are turned
    try:
        with Image.open(path, formats=FORMATS) as image, bound_pixels(*image.size, max_pixels):
            return _convert(image)
    except (OSError, ValueError, SyntaxError, Warning, ArithmeticError, LookupError, TypeError,
            AttributeError, MemoryError, RuntimeError, struct.error,
            Image.DecompressionBombError) as error:  # fmt: skip
        raise DecodeError(_explain(error)) from None


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of the decoders about odd metadata; around all threads, as it is not theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_image(path: Path) -> bool:
    """Whether a file's name, or DICOM's mark in it, says that it is an image."""
    if path.name.startswith(".") or path.name == "DICOMDIR" or not path.is_file():
        return False
    return path.suffix.lower() in SUFFIXES or looks_like_dicom(path)


def looks_like_dicom(path: Path) -> bool:
    """By its name, or by DICOM's mark after the preamble."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM" or path.suffix.lower() in DICOM_SUFFIXES


def _explain(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0][:200]
    return "not an image" if "cannot identify" in text else f"cannot be decoded: {text}"


def _convert(image: Image.Image) -> np.ndarray:
    if image.mode == "RGB":
        image.draft("L", image.size)  # a colour JPEG gives its luma alone: 1.4 times as fast
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith(("I", "F")):
        return scale_to_uint8(np.asarray(image))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        gray, alpha = image.convert("L"), image.getchannel("A")
        return np.asarray(ImageChops.multiply(gray, alpha))  # over black
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def fit_square(gray: np.ndarray, size: int, *, keep_aspect: bool) -> np.ndarray:
    """Resize uint8 (H, W) to (size, size); with `keep_aspect`, padded with black on both sides."""
    height, width = gray.shape
    scale = size / max(height, width)
    shape = (size, size)
    if keep_aspect:
        shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    shrinks = shape[0] < height or shape[1] < width
    resized = cv2.resize(
        gray, shape[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    square = np.zeros((size, size), "uint8")
    top, left = (size - shape[0]) // 2, (size - shape[1]) // 2
    square[top : top + shape[0], left : left + shape[1]] = resized
    return square
