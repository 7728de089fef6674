"""Mutated files of every kind: one sentence, in bounded time and memory, and nothing outside."""

import io
import resource
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file

from pneumonia.data.decode import quiet, read_gray
from pneumonia.data.dicom import read_header
from pneumonia.data.importing import place_data
from pneumonia.data.pixels import DecodeError
from pneumonia.data.sources import find_sources
from pneumonia.errors import InputError

MEMORY = 2**30  # bytes that a reader may ask for beyond what the test has at its start
PIXELS = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (24, 20), np.uint8), (0, 0), 2)
Edit = tuple[str, float, bytes]

edits: st.SearchStrategy[list[Edit]] = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "cut", "repeat"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=4),
            st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"../", b"\xff\xd8\xff"]),
        ),
    ),
    min_size=1,
    max_size=6,
)
fuzz = settings(
    deadline=20_000, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def mutate(content: bytes, changes: list[Edit]) -> bytes:
    for how, where, new in changes:
        at = int(where * len(content))
        if how == "cut":
            content = content[:at]
        elif how == "repeat":
            content = content[:at] + content[at : at + 50] * 3 + content[at:]
        else:
            gone = 0 if how == "insert" else len(new)
            content = content[:at] + (b"" if how == "delete" else new) + content[at + gone :]
    return content


def encode(suffix: str, mode: str = "L", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, suffix, **options)
    return buffer.getvalue()


def dicom(name: str) -> bytes:
    return Path(str(get_testdata_file(name, download=False))).read_bytes()


IMAGES: dict[str, Callable[[], bytes]] = {
    "a.png": lambda: encode("png"), "palette.png": lambda: encode("png", "P"),
    "deep.png": lambda: cv2.imencode(".png", PIXELS.astype(np.uint16) * 257)[1].tobytes(),
    "a.jpg": lambda: encode("jpeg"), "progressive.jpg": lambda: encode(
        "jpeg", "RGB", progressive=True),
    "a.tif": lambda: encode("tiff"), "lzw.tif": lambda: encode("tiff", compression="tiff_lzw"),
    "a.bmp": lambda: encode("bmp"), "a.webp": lambda: encode("webp", "RGBA"),
    "plain.dcm": lambda: dicom("MR_small.dcm"), "rle.dcm": lambda: dicom("MR_small_RLE.dcm"),
    "j2k.dcm": lambda: dicom("MR_small_jp2klossless.dcm"),
    "ls.dcm": lambda: dicom("JPEGLSNearLossless_08.dcm"),
    "lossless.dcm": lambda: dicom("SC_rgb_jpeg_gdcm.dcm"),
    "baseline.dcm": lambda: dicom("SC_rgb_small_odd_jpeg.dcm"),
    "deflated.dcm": lambda: dicom("image_dfl.dcm"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def bounded_memory():
    """More than MEMORY is refused by the system: a MemoryError, not a full machine."""
    if not Path("/proc/self/statm").exists():  # macOS has no such bound
        yield
        return
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def refusing(kind: type[Exception]) -> Iterator[None]:
    """Let through one sentence of the kind that users see; nothing else."""
    try:
        yield
    except kind as error:
        if "\n" in str(error):
            raise


@pytest.mark.parametrize("name", IMAGES)
@fuzz
@given(changes=edits)
def test_mutated_images_give_pixels_or_a_reason(tmp_path: Path, name: str, changes) -> None:
    path = tmp_path / name
    path.write_bytes(mutate(IMAGES[name](), changes))
    with quiet():
        with refusing(DecodeError):
            gray = read_gray(path)
            assert (gray.ndim, gray.dtype) == (2, np.uint8)
        if name.endswith(".dcm"):
            with refusing(DecodeError):
                assert len(read_header(path).patient) in (0, 16)


def make_zip(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("NORMAL/a.png", "PNEUMONIA/b.png"):
            file.writestr(name, encode("png"))
    return buffer.getvalue()


def make_tar(folder: Path, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as file:
        for name in ("NORMAL/a.png", "PNEUMONIA/" + "b" * 120 + ".png"):
            info = tarfile.TarInfo(name)
            info.size = len(encode("png"))
            file.addfile(info, io.BytesIO(encode("png")))
    return buffer.getvalue()


def make_npz(folder: Path, save: Callable[..., None] = np.savez) -> bytes:
    buffer = io.BytesIO()
    images = np.stack([PIXELS] * 2)
    save(buffer, train_images=images, train_labels=np.array([[0], [1]], np.uint8))
    return buffer.getvalue()


def make_csv(folder: Path) -> bytes:
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(encode("png"))
    return b"path,label,patient,split,sex\na.png,0,p1,train,F\nb.png,1,p2,test,M\n"


SETS: dict[str, Callable[[Path], bytes]] = {
    "a.zip": make_zip, "a.tar": make_tar, "a.tar.gz": lambda folder: make_tar(folder, "w:gz"),
    "a.npz": make_npz, "packed.npz": lambda folder: make_npz(folder, np.savez_compressed),
    "a.csv": make_csv,
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
@fuzz
@given(changes=edits)
def test_mutated_sets_come_in_whole_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, name: str, changes
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    inside = folder / "inside"
    inside.mkdir()
    (inside / name).write_bytes(mutate(SETS[name](inside), changes))
    before = sorted(inside.rglob("*"))
    raw = folder / "raw"
    with refusing(InputError):
        place_data("new", inside / name, raw, link=False, replace=False)
        assert [path.name for path in raw.iterdir()] == ["new"]
        find_sources(raw / "new", {"NORMAL": 0, "PNEUMONIA": 1})
    assert sorted(inside.rglob("*")) == before
    assert {path.name for path in folder.iterdir()} <= {"inside", "raw"}
    assert not list(raw.glob(".*"))
