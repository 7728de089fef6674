"""Files become gray squares, or say why they cannot."""

from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file

from pneumonia.data.decode import DecodeError, decode_file, fit_square, read_gray

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 50), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PIXELS).save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_allclose(read_gray(path), PIXELS, atol=2)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "1", "LA"])
def test_modes_become_gray(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(np.full((8, 8), 255, np.uint8)).convert(mode).save(path)
    assert (read_gray(path) >= 254).all()


def test_transparent_pixels_are_black(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 255, 255, 0)).save(tmp_path / "a.png")
    assert (read_gray(tmp_path / "a.png") == 0).all()


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[0, 32896, 65535]], np.uint16))
    assert read_gray(tmp_path / "a.png").tolist() == [[0, 128, 255]]


def test_exif_orientation_is_followed(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_gray(tmp_path / "a.png"), np.rot90(PIXELS, -1))


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm"])
def test_dicom_is_read(name: str) -> None:
    path = Path(str(get_testdata_file(name)))
    gray = read_gray(path)
    dataset = pydicom.dcmread(path)
    assert gray.shape == (dataset.Rows, dataset.Columns)
    assert (gray.min(), gray.max()) == (0, 255)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(str(get_testdata_file("MR_small.dcm")))
    plain = read_gray(Path(str(dataset.filename)))
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_gray(tmp_path / "a.dcm"), 255 - plain)


def test_bad_files_say_why(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "good.jpg"), PIXELS)
    whole = (tmp_path / "good.jpg").read_bytes()
    bad = {"text.png": b"no image", "cut.jpg": whole[: len(whole) // 2], "empty.png": b""}
    reasons = {"text.png": "not an image", "cut.jpg": "truncated", "empty.png": "empty"}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DecodeError, match=reasons[name]):
            decode_file(tmp_path / name, 16, keep_aspect=True)


@given(st.binary(max_size=300), st.sampled_from([".png", ".jpg", ".dcm", ".tif"]))
def test_garbage_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("garbage") / f"a{suffix}"
    path.write_bytes((b"\0" * 128 + b"DICM" if suffix == ".dcm" else b"") + content)
    with pytest.raises(DecodeError):
        read_gray(path)


@given(st.integers(1, 90), st.integers(1, 90), st.booleans())
def test_squares_have_the_asked_size(height: int, width: int, keep_aspect: bool) -> None:
    square = fit_square(np.full((height, width), 200, np.uint8), 32, keep_aspect=keep_aspect)
    assert (square.shape, square.dtype) == ((32, 32), np.uint8)
    covered = (square == 200).mean()
    wanted = min(height, width) / max(height, width) if keep_aspect else 1
    assert abs(covered - wanted) <= 1 / 32


def test_a_square_of_the_right_size_is_untouched() -> None:
    np.testing.assert_array_equal(fit_square(PIXELS[:, :30], 30, keep_aspect=True), PIXELS[:, :30])
