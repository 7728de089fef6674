"""DICOM: what the header tells, and a frame as gray pixels by the window that radiologists use."""

import hashlib
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless
from scipy.special import expit

from pneumonia.data.codestream import check_codestream
from pneumonia.data.pixels import (
    MAX_PIXELS,
    DecodeError,
    bound_pixels,
    map_blocks,
    stretch,
    value_range,
)

Window = Sequence[float]  # centre and width, Hounsfield units
MAX_BYTES = 2**26  # of a deflated file, inflated
MAX_FRAMES = 100_000
MAX_FRAME = 2**28  # bytes of one frame, decoded
PIXEL_DATA_HEADER = 12  # bytes before the frames of compressed pixel data (PS3.5, 7.1.2)
MALFORMED = (
    ArithmeticError, AttributeError, EOFError, IndexError, LookupError, MemoryError,
    NotImplementedError, OSError, RuntimeError, TypeError, ValueError, struct.error, zlib.error,
    BytesLengthException, InvalidDicomError,
)  # fmt: skip
COLUMNS = {
    "burned_in": "BurnedInAnnotation", "modality": "Modality", "view": "ViewPosition",
    "sex": "PatientSex", "manufacturer": "Manufacturer",
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What a data set needs to know of a file without its pixels."""

    frames: int
    patient: str  # digest of issuer and PatientID, '' without one
    columns: dict[str, str]  # see COLUMNS, '' where the file does not say


NO_HEADER = Header(1, "", dict.fromkeys(COLUMNS, ""))


def read_header(path: Path) -> Header:
    """Frames, patient, and columns for subgroups. Raises DecodeError.

    The digest is a pseudonym: it hides the PatientID from a reader of the manifest, not from
    someone who knows the IDs and can hash them. Issuer and ID make it, so that equal numbers of
    two hospitals stay two patients.
    """
    try:
        _bound_deflated(path)
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        issuer, name = (_text(dataset, tag) for tag in ("IssuerOfPatientID", "PatientID"))
        digest = hashlib.sha256(f"{issuer}\0{name}".encode()).hexdigest()[:16] if name else ""
        columns = {column: _text(dataset, tag) for column, tag in COLUMNS.items()}
        return Header(_count_frames(dataset), digest, columns)
    except MALFORMED as error:
        raise DecodeError(_explain(error)) from None


def name_frames(name: str, count: int, frames: str) -> list[tuple[str, int]]:
    """The frames (from 0) to use of `count` and their names: NAME, or NAME#1 ... for `all`."""
    if frames == "all" and count > 1:
        return [(f"{name}#{number + 1}", number) for number in range(count)]
    return [(name, count // 2 if frames == "middle" else 0)]


def list_frames(path: Path, frames: str) -> list[tuple[str, int]]:
    """`name_frames` of a file. Raises DecodeError."""
    return name_frames(str(path), read_header(path).frames, frames)


def read_frame(
    path: Path, frame: int, window: Window | None, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Frame number `frame` (from 0) as uint8 (H, W), brightest = 255. Raises DecodeError.

    `window` applies to CT alone; other files have their own window or VOI table, and without one
    they are stretched from their least to their greatest value, padding aside.
    """
    try:
        _bound_deflated(path)
        with path.open("rb") as file:
            dataset = pydicom.dcmread(file, stop_before_pixels=True)
            if "Rows" not in dataset or "Columns" not in dataset:
                raise DecodeError("a DICOM file without a picture: a report, plan or index")
            with bound_pixels(int(dataset.Columns), int(dataset.Rows), max_pixels):
                pixels = _read_pixels(file, dataset, frame)
                return _show(pixels, dataset, frame, window)
    except MALFORMED as error:
        raise DecodeError(_explain(error)) from None


def _read_pixels(file: BinaryIO, dataset: Dataset, frame: int) -> np.ndarray:
    """Stored values (H, W) or (H, W, 3) of one frame; `file` stands at the pixel data."""
    count = _count_frames(dataset)
    if not 0 <= frame < count:
        raise DecodeError(f"it has no frame {frame + 1}")
    cell = int(dataset.get("SamplesPerPixel") or 1) * int(dataset.BitsAllocated)
    if int(dataset.Columns) * int(dataset.Rows) * cell > 8 * MAX_FRAME:
        raise DecodeError(f"a frame of more than {MAX_FRAME:,} bytes")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        plugin = "pydicom" if syntax == RLELossless else ""  # the other one aborts on bad input
        pixels = pixel_array(_take_frame(file, dataset, frame, count), decoding_plugin=plugin)
    elif syntax == DeflatedExplicitVRLittleEndian:
        file.seek(0)
        pixels = pixel_array(pydicom.dcmread(file), index=frame)
    else:
        pixels = pixel_array(file, index=frame)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _take_frame(file: BinaryIO, dataset: Dataset, frame: int, count: int) -> Dataset:
    """A dataset of this compressed frame alone, after a look at the size that it claims."""
    tables = [dataset.get(f"ExtendedOffsetTable{part}") for part in ("", "Lengths")]
    offsets = (tables[0], tables[1]) if all(tables) else None
    file.seek(PIXEL_DATA_HEADER, os.SEEK_CUR)
    data = get_frame(file, frame, number_of_frames=count, extended_offsets=offsets)
    check_codestream(data, int(dataset.Columns), int(dataset.Rows))
    single = dataset.group_dataset(0x0028)
    single.file_meta = dataset.file_meta
    single.NumberOfFrames = 1
    single.PixelData = encapsulate([data])
    single["PixelData"].VR = "OB"
    single["PixelData"].is_undefined_length = True
    return single


def _explain(error: BaseException) -> str:
    if isinstance(error, InvalidDicomError):
        return "not an image: it lacks the mark of DICOM files"
    return f"cannot be decoded as DICOM: {' '.join(str(error).split())[:200]}"


def _text(dataset: Dataset, tag: str) -> str:
    """A value in one line, '' where it is missing."""
    return " ".join(str(dataset.get(tag) or "").split())[:64]


def _count_frames(dataset: Dataset) -> int:
    count = int(dataset.get("NumberOfFrames") or 1)
    if not 0 < count <= MAX_FRAMES:
        raise DecodeError(f"it says that it has {count} frames")
    return count


def _is_deflated(meta: Dataset) -> bool:
    return meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian


def _bound_deflated(path: Path) -> None:
    """Refuse a deflated file that grows beyond MAX_BYTES, before pydicom inflates it whole."""
    meta = read_file_meta_info(path)
    if not _is_deflated(meta):
        return
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as file:
        file.seek(132 + 12 + int(meta.FileMetaInformationGroupLength))
        chunk = file.read(2**16)
        while chunk:
            size += len(inflater.decompress(chunk, 2**20))
            if size > MAX_BYTES:
                raise DecodeError(f"more than {MAX_BYTES:,} bytes when inflated")
            chunk = inflater.unconsumed_tail or file.read(2**16)


def _show(pixels: np.ndarray, dataset: Dataset, frame: int, window: Window | None) -> np.ndarray:
    kind = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    if kind == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    if pixels.ndim == 3:
        bits = int(dataset.BitsStored) if kind == "RGB" else 8 * pixels.dtype.itemsize
        return cv2.cvtColor((pixels >> max(0, bits - 8)).astype("uint8"), cv2.COLOR_RGB2GRAY)
    gray = _apply_window(pixels, dataset, frame, window)
    if kind == "MONOCHROME1":
        gray = 255 - gray
    padded = _find_padding(pixels, dataset)
    return gray if padded is None else np.where(padded, np.uint8(0), gray)


def _find_padding(pixels: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """Where the image is no image, bool (H, W): black, whatever the window or the polarity."""
    value = dataset.get("PixelPaddingValue")
    return None if value is None else pixels == int(value)


def _apply_window(
    pixels: np.ndarray, dataset: Dataset, frame: int, window: Window | None
) -> np.ndarray:
    values = _to_physical(pixels, dataset, frame)
    if window and dataset.get("Modality") == "CT":
        return stretch(values, window[0] - window[1] / 2, window[0] + window[1] / 2)
    if "VOILUTSequence" in dataset:
        shown = apply_voi(values.astype("int32"), dataset)
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        return stretch(shown, 0, 2**bits - 1)
    voi = _find_group(dataset, frame, "FrameVOILUTSequence", "WindowWidth")
    if voi is None:
        return _stretch_own_range(pixels, values, dataset)
    centre, width = (_first_number(voi[name].value) for name in ("WindowCenter", "WindowWidth"))
    function = str(voi.get("VOILUTFunction", None) or "LINEAR")
    return _map_window(values, centre, width, function)


def _to_physical(pixels: np.ndarray, dataset: Dataset, frame: int) -> np.ndarray:
    """Stored values by the modality table or slope and intercept: Hounsfield units for CT."""
    if "ModalityLUTSequence" in dataset:
        return apply_modality_lut(pixels, dataset)
    rescale = _find_group(dataset, frame, "PixelValueTransformationSequence", "RescaleSlope")
    slope, intercept = 1.0, 0.0
    if rescale is not None:
        slope, intercept = float(rescale.RescaleSlope), float(rescale.get("RescaleIntercept") or 0)
    if (slope, intercept) == (1.0, 0.0):
        return pixels
    return pixels.astype("float32") * np.float32(slope) + np.float32(intercept)


def _find_group(dataset: Dataset, frame: int, name: str, needed: str) -> Dataset | None:
    """The dataset or functional group (of this frame, or shared) that holds a value `needed`."""
    groups: list[Any] = [dataset]
    for sequence, position in (
        ("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0),
    ):  # fmt: skip
        items = (dataset.get(sequence) or [])[position : position + 1]
        groups += [group for item in items for group in item.get(name) or []]
    return next((group for group in groups if group.get(needed) is not None), None)


def _first_number(value: Any) -> float:
    """Of several windows, the first is the one to show (DICOM PS3.3, C.11.2.1.2)."""
    return float(value if isinstance(value, (str, int, float)) else value[0])


def _map_window(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3, onto 0 to 255."""
    if (width < 1 and function == "LINEAR") or width <= 0:
        raise DecodeError(f"its window is {width:g} wide")
    if function == "SIGMOID":
        return map_blocks(values, lambda block: np.rint(255 * expit(4 * (block - centre) / width)))
    if function == "LINEAR_EXACT":
        return stretch(values, centre - width / 2, centre + width / 2)
    low = centre - 0.5 - (width - 1) / 2
    return stretch(values, low, low + width - 1)


def _stretch_own_range(pixels: np.ndarray, values: np.ndarray, dataset: Dataset) -> np.ndarray:
    padded = _find_padding(pixels, dataset)
    shown = values if padded is None else values[~padded]
    low, high = value_range(shown) if shown.size else (0, 0)
    return stretch(values, low, high)
