"""DICOM as radiologists see it: transfer syntaxes, windows, frames; and what the header tells."""

import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid

from pneumonia.data.decode import DecodeError, quiet, read_gray
from pneumonia.data.dicom import list_frames, read_header
from pneumonia.data.sources import find_sources
from pneumonia.data.splitting import split_dataset
from pneumonia.data.store import load_manifest
from pneumonia.params import Params


def sample(name: str) -> Path:
    """A file that ships with pydicom."""
    path = get_testdata_file(name, download=False)
    assert path, name
    return Path(str(path))


def write_dicom(path: Path, pixels: np.ndarray, **elements: object) -> Path:
    """A file of one or more frames; signed or not, 8 or 16 bits, as the array is."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = elements.pop("TransferSyntaxUID", ExplicitVRLittleEndian)
    dataset = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    bits = 8 * pixels.dtype.itemsize
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.SamplesPerPixel = bits - 1, 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def items(**elements: object) -> Sequence:
    """A sequence of one item."""
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return Sequence([item])


RAMP = np.arange(-1024, 3072, dtype=np.int16).reshape(64, 64)


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_bigendian.dcm", "MR_small_expb.dcm", "MR_small_implicit.dcm",
        "MR_small_padded.dcm",
    ],
)  # fmt: skip
def test_transfer_syntaxes_give_the_same_pixels(name: str) -> None:
    with quiet():
        np.testing.assert_array_equal(read_gray(sample(name)), read_gray(sample("MR_small.dcm")))


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_lossy_gdcm.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_rle.dcm",
        "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_32bit.dcm", "SC_ybr_full_422_uncompressed.dcm",
    ],
)  # fmt: skip
def test_colour_becomes_gray_whatever_its_coding(name: str) -> None:
    with quiet():
        lossless = read_gray(sample("SC_rgb_jpeg_gdcm.dcm"))  # JPEG Lossless, first-order
        difference = np.abs(read_gray(sample(name)).astype(int) - lossless)
    assert np.median(difference) <= 1
    assert difference.mean() < 6


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("693_J2KI.dcm", (512, 512)), ("J2K_pixelrep_mismatch.dcm", (512, 512)),
        ("JPEG2000.dcm", (1024, 256)), ("JPGExtended.dcm", (1024, 256)),
        ("JPEGLSNearLossless_16.dcm", (50, 10)), ("examples_palette.dcm", (350, 800)),
        ("image_dfl.dcm", (512, 512)), ("liver_1frame.dcm", (512, 512)),
        ("examples_overlay.dcm", (300, 484)), ("rtdose_rle.dcm", (10, 10)),
    ],
)  # fmt: skip
def test_real_files_are_read(name: str, shape: tuple[int, int]) -> None:
    with quiet():
        gray = read_gray(sample(name))
    assert (gray.shape, gray.dtype) == (shape, np.uint8)
    assert gray.std() > 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MR_truncated.dcm", "cannot be decoded as DICOM"),
        ("no_meta.dcm", "not an image: it lacks the mark"),
        ("rtplan.dcm", "a DICOM file without a picture"),
        ("badVR.dcm", "cannot be decoded as DICOM"),
    ],
)
def test_broken_files_say_why(name: str, words: str) -> None:
    with quiet(), pytest.raises(DecodeError, match=words):
        read_gray(sample(name))


def test_no_window_stretches_the_values_but_not_the_padding(tmp_path: Path) -> None:
    values = np.array([[-2000, 0], [500, 1000]], np.int16)
    path = write_dicom(tmp_path / "a.dcm", values, PixelPaddingValue=-2000)
    assert read_gray(path).tolist() == [[0, 0], [128, 255]]
    inverted = {"PixelPaddingValue": -2000, "PhotometricInterpretation": "MONOCHROME1"}
    path = write_dicom(tmp_path / "b.dcm", values, **inverted)
    assert read_gray(path).tolist() == [[0, 255], [127, 0]]
    window = {"WindowCenter": 500, "WindowWidth": 1001}
    path = write_dicom(tmp_path / "c.dcm", values, **inverted, **window)
    assert read_gray(path).tolist() == [[0, 255], [127, 0]]


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    plain = read_gray(write_dicom(tmp_path / "a.dcm", RAMP))
    path = write_dicom(tmp_path / "b.dcm", RAMP, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_gray(path), 255 - plain)


def test_ct_window_is_in_hounsfield_units_for_ct_alone(tmp_path: Path) -> None:
    raw = (RAMP + 1024).astype(np.uint16)
    units = {"RescaleSlope": 1, "RescaleIntercept": -1024}
    path = write_dicom(tmp_path / "a.dcm", raw, Modality="CT", **units)
    expected = np.clip((RAMP + 1350) / 1500 * 255, 0, 255)
    np.testing.assert_allclose(read_gray(path, ct_window=(-600, 1500)), expected, atol=0.51)
    other = write_dicom(tmp_path / "b.dcm", raw, Modality="CR", **units)
    np.testing.assert_array_equal(read_gray(other, ct_window=(-600, 1500)), read_gray(other))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_the_window_of_the_file_agrees_with_pydicom(tmp_path: Path, function: str) -> None:
    window = {"WindowCenter": [-600, 40], "WindowWidth": [1500, 400], "VOILUTFunction": function}
    units = {"RescaleSlope": 2, "RescaleIntercept": -100}
    path = write_dicom(tmp_path / "a.dcm", RAMP, **window, **units)
    dataset = pydicom.dcmread(path)
    values = pydicom.pixels.apply_rescale(dataset.pixel_array, dataset)
    theirs = pydicom.pixels.apply_windowing(values, dataset)
    low, high = -32768 * 2 - 100, 32767 * 2 - 100  # what pydicom maps onto
    expected = (theirs - low) * 255 / (high - low)
    np.testing.assert_allclose(read_gray(path), expected, atol=0.51)


def test_voi_table_is_applied(tmp_path: Path) -> None:
    lut = np.array([0, 1000, 3000, 4095], "<u2")
    table = items(LUTDescriptor=[4, 10, 12], LUTData=lut.tobytes())
    pixels = np.array([[0, 10, 11], [12, 13, 99]], np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels, VOILUTSequence=table)
    assert read_gray(path).tolist() == [[0, 0, 62], [187, 255, 255]]


def test_functional_groups_of_a_frame_are_found(tmp_path: Path) -> None:
    shared = items(
        PixelValueTransformationSequence=items(RescaleSlope=1, RescaleIntercept=-1000),
        FrameVOILUTSequence=items(WindowCenter=-500.5, WindowWidth=1001),
    )
    own = Sequence([Dataset(), items(
        FrameVOILUTSequence=items(WindowCenter=0.5, WindowWidth=1001))[0]])  # fmt: skip
    frames = np.array([[[0, 500, 1000]]] * 2, np.uint16)
    path = write_dicom(
        tmp_path / "a.dcm", frames, SharedFunctionalGroupsSequence=shared,
        PerFrameFunctionalGroupsSequence=own,
    )  # fmt: skip
    assert read_gray(path, frame=0).tolist() == [[0, 128, 255]]
    assert read_gray(path, frame=1).tolist() == [[0, 0, 128]]


def test_frames_are_chosen_and_named() -> None:
    path = sample("examples_ybr_color.dcm")
    first, middle = list_frames(path, "first"), list_frames(path, "middle")
    assert (first, middle) == ([(str(path), 0)], [(str(path), 15)])
    every = list_frames(path, "all")
    assert every[2] == (f"{path}#3", 2)
    assert len({read_gray(path, frame=frame).tobytes() for _, frame in every}) > 20
    with pytest.raises(DecodeError, match="no frame 31"):
        read_gray(path, frame=30)


def test_headers_without_a_sane_size_are_refused_before_decoding(tmp_path: Path) -> None:
    huge = write_dicom(tmp_path / "a.dcm", RAMP, Rows=65535, Columns=65535)
    with pytest.raises(DecodeError, match="65535 x 65535 pixels are more than"):
        read_gray(huge)
    many = write_dicom(tmp_path / "b.dcm", RAMP, NumberOfFrames=2**31 - 1)
    with pytest.raises(DecodeError, match="2147483647 frames"):
        list_frames(many, "all")


def test_a_deflated_bomb_is_refused(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, TransferSyntaxUID=DeflatedExplicitVRLittleEndian)
    assert read_gray(path).shape == RAMP.shape
    whole = path.read_bytes()
    (length,) = struct.unpack("<I", whole[140:144])
    deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = b"".join(deflater.compress(bytes(2**20)) for _ in range(65)) + deflater.flush()
    path.write_bytes(whole[: 144 + length] + zeros)
    for read in (read_gray, read_header):
        with pytest.raises(DecodeError, match="when inflated"):
            read(path)


@pytest.mark.parametrize(
    ("name", "marker", "offset"),
    [
        ("SC_rgb_jpeg_dcmtk.dcm", b"\xff\xc0\x00\x11", 5),
        ("JPGExtended.dcm", b"\xff\xc1\x00\x0b", 5),
        ("SC_rgb_jpeg_gdcm.dcm", b"\xff\xc3\x00\x11", 5),
        ("MR_small_jpeg_ls_lossless.dcm", b"\xff\xf7\x00\x0b", 5),
        ("MR_small_jp2klossless.dcm", b"\xff\x4f\xff\x51", 8),
    ],
)
def test_a_stream_that_claims_more_pixels_is_not_decoded(
    tmp_path: Path, name: str, marker: bytes, offset: int
) -> None:
    content = bytearray(sample(name).read_bytes())
    at = content.index(marker) + offset
    content[at : at + 4] = b"\x00\x00\xff\xf0" if offset == 8 else b"\xff\xf0\xff\xf0"
    (tmp_path / "a.dcm").write_bytes(content)
    with (
        quiet(),
        pytest.raises(DecodeError, match=r"its pixels are 65520 x .* but its header says"),
    ):
        read_gray(tmp_path / "a.dcm")


def test_a_run_length_segment_in_the_wrong_place_is_named(tmp_path: Path) -> None:
    content = bytearray(sample("MR_small_RLE.dcm").read_bytes())
    at = content.index(struct.pack("<II", 2, 64))
    content[at + 8 : at + 12] = struct.pack("<I", 70)
    (tmp_path / "a.dcm").write_bytes(content)
    with quiet(), pytest.raises(DecodeError, match="cannot be decoded as DICOM"):
        read_gray(tmp_path / "a.dcm")


def test_a_stream_of_countless_tiles_is_not_decoded(tmp_path: Path) -> None:
    content = bytearray(sample("MR_small_jp2klossless.dcm").read_bytes())
    at = content.index(b"\xff\x4f\xff\x51")
    content[at + 24 : at + 32] = struct.pack(">II", 1, 1)
    (tmp_path / "a.dcm").write_bytes(content)
    content[at + 24 : at + 32] = struct.pack(">II", 0, 0)
    (tmp_path / "b.dcm").write_bytes(content)
    for name in ("a.dcm", "b.dcm"):
        with quiet(), pytest.raises(DecodeError, match="too many tiles"):
            read_gray(tmp_path / name)


@pytest.fixture
def dicom_set(tmp_path: Path) -> SimpleNamespace:
    """Ten patients with two files each, without a suffix, and one file without a patient."""
    root = tmp_path / "set"
    rng = np.random.default_rng(0)
    for number in range(20):
        name = ("NORMAL", "PNEUMONIA")[number // 2 % 2]
        (root / name).mkdir(parents=True, exist_ok=True)
        write_dicom(
            root / name / f"IM{number}", rng.integers(0, 255, (2, 20, 20), dtype=np.uint8),
            PatientID=f"MRN-SECRET-{number // 2}", PatientSex="F", Modality="DX",
            BurnedInAnnotation="YES" if number < 3 else "NO",
        )  # fmt: skip
    write_dicom(root / "NORMAL" / "loose.dcm", rng.integers(0, 255, (2, 20, 20), dtype=np.uint8))
    (root / "NORMAL" / "notes").write_text("no image")
    return SimpleNamespace(root=root, out=tmp_path / "out")


def test_split_groups_by_patient_id_and_hides_it(params: Params, dicom_set) -> None:
    data = params.data.model_copy(update={"frames": "all"})
    figures, _ = split_dataset(dicom_set.root, dicom_set.out, data, params.split, params.seed)
    manifest = load_manifest(dicom_set.out / "manifest.csv")
    assert "NORMAL/IM0#1" in set(manifest["path"])
    assert (figures["files"], figures["patients"], figures["burned_in"]) == (42, 11, 6)
    assert manifest[manifest["path"].str.contains("loose")]["group"].nunique() == 1
    assert manifest.groupby("group")["split"].nunique().max() == 1
    assert set(manifest["sex"]) == {"F", ""}
    assert "SECRET" not in (dicom_set.out / "manifest.csv").read_text()


def test_middle_frames_keep_the_file_name(params: Params, dicom_set) -> None:
    sources = find_sources(dicom_set.root, params.data.classes, "middle")
    assert len(sources) == 21
    assert {source.frame for source in sources} == {1}
    assert all(source.path == source.file for source in sources)


def test_a_manifest_knows_the_patient_better_than_the_header(params: Params, dicom_set) -> None:
    text = "path,label,patient,sex\nNORMAL/IM0,0,one,M\nPNEUMONIA/IM2,1,,\n"
    (dicom_set.root / "manifest.csv").write_text(text)
    told, header = find_sources(dicom_set.root, params.data.classes)
    assert (told.patient, dict(told.extra)["sex"]) == ("one", "M")
    assert header.patient == read_header(dicom_set.root / "PNEUMONIA/IM2").patient


def test_equal_numbers_of_two_hospitals_are_two_patients(tmp_path: Path) -> None:
    issuers = ("A", "B", "A")
    patients = [
        read_header(write_dicom(tmp_path / "a.dcm", RAMP, PatientID="1", IssuerOfPatientID=issuer))
        for issuer in issuers
    ]
    assert patients[0].patient == patients[2].patient != patients[1].patient
