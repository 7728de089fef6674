"""Files become gray squares, or say why they cannot."""

import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pneumonia.data.decode import DecodeError, decode_file, fit_square, quiet, read_gray

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


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), np.array([[0, 32896, 65535]], np.uint16))
    assert read_gray(path).tolist() == [[0, 128, 255]]
    cv2.imwrite(str(path), np.array([[0, 1000, 5000]], np.uint16))
    assert read_gray(path).tolist() == [[0, 4, 19]]  # dark, yet of 16 bits


def test_twelve_bits_floats_and_big_endian_take_their_own_range(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[95, 2095, 4095]], np.uint16))
    Image.fromarray(np.array([[-1, 0, 1]], np.float32)).save(tmp_path / "b.tif")
    Image.fromarray(np.array([[95, 2095, 4095]], ">u2")).save(tmp_path / "c.tif")
    for name in ("a.png", "b.tif", "c.tif"):
        assert read_gray(tmp_path / name).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colour_keeps_the_upper_eight(tmp_path: Path, channels: int) -> None:
    pixels = np.dstack([PIXELS.astype(np.uint16) * 257] * channels)
    pixels[..., 3:] = 65535
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    np.testing.assert_allclose(read_gray(tmp_path / "a.png"), PIXELS, atol=1)


def test_values_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, np.nan]], np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DecodeError, match="no finite numbers"):
        read_gray(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
def test_tiff_compressions(tmp_path: Path, compression: str) -> None:
    smooth = cv2.GaussianBlur(PIXELS, (0, 0), 3)
    Image.fromarray(smooth).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_allclose(read_gray(tmp_path / "a.tif"), smooth, atol=4)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_of_every_kind(tmp_path: Path, mode: str, progressive: bool) -> None:
    smooth = cv2.GaussianBlur(PIXELS, (0, 0), 3)
    image = Image.fromarray(smooth).convert("RGB" if mode == "CMYK" else mode).convert(mode)
    image.save(tmp_path / "a.jpg", quality=95, progressive=progressive)
    np.testing.assert_allclose(read_gray(tmp_path / "a.jpg"), smooth, atol=4)


def test_palette_and_transparency_of_a_palette(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "a.png", transparency=1)
    assert read_gray(tmp_path / "a.png").tolist() == [[255, 255]]
    image.save(tmp_path / "b.png", transparency=0)
    assert read_gray(tmp_path / "b.png").tolist() == [[0, 0]]


def test_half_transparent_pixels_are_half_as_bright(tmp_path: Path) -> None:
    for suffix in ("png", "webp", "tif"):
        Image.new("RGBA", (4, 4), (200, 200, 200, 128)).save(tmp_path / f"a.{suffix}")
        np.testing.assert_allclose(read_gray(tmp_path / f"a.{suffix}"), 100, atol=2)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_exif_orientation_is_followed(tmp_path: Path, suffix: str) -> None:
    smooth = cv2.GaussianBlur(PIXELS, (0, 0), 3)
    image = Image.fromarray(smooth)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / f"a.{suffix}", exif=exif, quality=95)
    np.testing.assert_allclose(read_gray(tmp_path / f"a.{suffix}"), np.rot90(smooth, -1), atol=5)


def test_bad_files_say_why(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "good.jpg"), PIXELS)
    whole = (tmp_path / "good.jpg").read_bytes()
    bad = {"text.png": b"no image", "cut.jpg": whole[: len(whole) // 2], "empty.png": b""}
    reasons = {"text.png": "not an image", "cut.jpg": "truncated", "empty.png": "empty"}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DecodeError, match=reasons[name]):
            decode_file(tmp_path / name, 16, keep_aspect=True)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and holds next to nothing."""
    chunks = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000)))):
        crc = zlib.crc32(name + content)
        chunks += struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)
    return chunks


@pytest.mark.parametrize("size", [(8193, 8193), (2**31 - 1, 2), (100_000, 100_000)])
def test_huge_images_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "a.png").write_bytes(png_header(*size))
    tracemalloc.start()
    with quiet(), pytest.raises(DecodeError):
        read_gray(tmp_path / "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_odd_metadata_is_no_reason_to_leave_an_image_out(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    with quiet():
        assert read_gray(tmp_path / "a.jpg").shape == PIXELS.shape


def test_formats_that_nobody_asked_for_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(DecodeError, match="not an image"):
        read_gray(tmp_path / "a.png")


@settings(deadline=None)
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
