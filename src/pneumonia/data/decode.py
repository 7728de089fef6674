"""One image file to gray pixels: PNG, JPEG, TIFF, BMP, WebP by Pillow, DICOM by pydicom."""

import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm"})
MAX_PIXELS = 100_000_000


class DecodeError(Exception):
    """The file is no usable image; the message is the reason."""


def decode_file(path: Path, size: int, *, keep_aspect: bool) -> np.ndarray:
    """An image as uint8 (size, size): see `read_gray` and `fit_square`."""
    return fit_square(read_gray(path), size, keep_aspect=keep_aspect)


def read_gray(path: Path) -> np.ndarray:
    """All pixels of an image as uint8 (H, W), brightest = 255.

    Raises DecodeError with the reason; FileNotFoundError where there is no such file.
    """
    if path.stat().st_size == 0:
        raise DecodeError("the file is empty")
    if path.suffix.lower() == ".dcm" or _is_dicom(path):
        return _read_dicom(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(path) as image:
                return _convert(image)
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise DecodeError(_explain(error)) from None


def _explain(error: BaseException) -> str:
    text = str(error).split("\n")[0]
    return "not an image" if "cannot identify" in text else f"cannot be decoded: {text}"


def _convert(image: Image.Image) -> np.ndarray:
    if image.width * image.height > MAX_PIXELS:
        raise DecodeError(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS:,}")
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return scale_to_uint8(np.asarray(image, "float64"))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return np.asarray(image.convert("L"))


def scale_to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Values of more than eight bits onto 0 to 255: full 16-bit scale, or their own range."""
    low, high = pixels.min(), pixels.max()
    if low >= 0 and 4096 <= high <= 65535:
        low, high = 0, 65535
    return np.rint((pixels - low) * (255 / max(high - low, 1e-12))).astype("uint8")


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _read_dicom(path: Path) -> np.ndarray:
    """The first frame, with modality and VOI transformations, MONOCHROME1 inverted."""
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
            if int(dataset.Rows) * int(dataset.Columns) > MAX_PIXELS:
                raise DecodeError(f"more than {MAX_PIXELS:,} pixels")
            frames = dataset.pixel_array
            if int(dataset.get("NumberOfFrames", 1) or 1) > 1:
                frames = frames[0]
            if frames.ndim == 3:
                return cv2.cvtColor(frames.astype("uint8"), cv2.COLOR_RGB2GRAY)
            values = apply_voi_lut(apply_modality_lut(frames, dataset), dataset).astype("float64")
    except (InvalidDicomError, AttributeError, ValueError, RuntimeError, NotImplementedError,
            KeyError, TypeError, EOFError, OSError) as error:  # fmt: skip
        raise DecodeError(f"cannot be decoded as DICOM: {str(error).split(chr(10))[0]}") from None
    low, high = values.min(), values.max()
    gray = np.rint((values - low) * (255 / max(high - low, 1e-12))).astype("uint8")
    return 255 - gray if dataset.PhotometricInterpretation == "MONOCHROME1" else gray


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
