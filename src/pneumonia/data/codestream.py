"""The size that a compressed frame itself claims: its decoder allocates by it, not by the header.

A few bytes in a JPEG or JPEG 2000 stream can make the decoders behind pydicom ask for all memory.
Markers: ITU-T T.81 (JPEG), T.87 (JPEG-LS), T.800 (JPEG 2000).
"""

import struct

from pneumonia.data.pixels import DecodeError

JPEG, JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"
FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, and JPEG-LS's
SCAN, HIERARCHICAL = 0xDA, 0xDE
MAX_TILES, MAX_COMPONENTS = 1024, 4


def check_codestream(data: bytes, width: int, height: int) -> None:
    """Raise DecodeError where a JPEG or JPEG 2000 stream is not of this size in pixels."""
    sizes = set()
    if data.startswith(JPEG):
        sizes = _find_jpeg_sizes(data)
    at = data.find(JPEG_2000)
    while at >= 0:  # also inside of a JP2 file, which some devices write
        sizes.add(_read_jpeg_2000_size(data[at + 6 : at + 42]))
        at = data.find(JPEG_2000, at + 1)
    if others := sizes - {(width, height)}:
        raise DecodeError(
            f"its pixels are {min(others)[0]} x {min(others)[1]}, "
            f"but its header says {width} x {height}"
        )


def _find_jpeg_sizes(data: bytes) -> set[tuple[int, int]]:
    """Width and height in every frame header before the first scan."""
    sizes, at = set(), 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            raise DecodeError("its JPEG stream is damaged")
        marker = data[at + 1]
        if marker == 0xFF:  # a filler
            at += 1
            continue
        if marker == HIERARCHICAL:
            raise DecodeError("its JPEG stream is hierarchical")
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            sizes.add((width, height))
        if marker == SCAN:
            break
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return sizes


def _read_jpeg_2000_size(segment: bytes) -> tuple[int, int]:
    if len(segment) < 36:
        raise DecodeError("its JPEG 2000 stream is cut off")
    _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components = (
        struct.unpack_from(">H8IH", segment)
    )
    columns, rows = (
        (right - tile_left) / max(tile_width, 1),
        (bottom - tile_top) / max(tile_height, 1),
    )
    if columns * rows > MAX_TILES or not 0 < components <= MAX_COMPONENTS:
        raise DecodeError("its JPEG 2000 stream has too many tiles or components")
    return right - left, bottom - top
