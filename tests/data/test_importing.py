"""Folders, tables, .npz and archives come in whole or not at all."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumonia.data.importing import place_data
from pneumonia.data.sources import find_sources
from pneumonia.errors import InputError

CLASSES = {"NORMAL": 0, "PNEUMONIA": 1}


def place(path: Path, raw: Path, **options: bool) -> str:
    return place_data("new", path, raw, **({"link": False, "replace": False} | options))


def list_all(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw"


@pytest.fixture
def folder(make_images) -> Path:
    return make_images(patients=2, images=1)


def pack(folder: Path, archive: Path, top: str = "") -> Path:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in files:
                file.write(path, top + path.relative_to(folder).as_posix())
    else:
        with tarfile.open(archive, "w:" + archive.name.partition("tar")[2].strip(".")) as file:
            for path in files:
                file.add(path, top + path.relative_to(folder).as_posix())
    return archive


def save_npz(path: Path, side: int = 28, channels: tuple[int, ...] = (), **changes) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in {"train": 4, "val": 2, "test": 2}.items():
        shape = (count, side, side, *channels)
        arrays[f"{part}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 2).astype(np.uint8)[:, None]
    np.savez_compressed(path, **(arrays | changes))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
@pytest.mark.parametrize("top", ["", "./", "chest/"])
def test_an_archive_gives_what_its_folder_gives(folder, raw, tmp_path, name, top) -> None:
    (folder / "NORMAL" / ".DS_Store").write_text("x")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "a.png").write_text("x")
    said = place(pack(folder, tmp_path / name, top), raw)
    assert "NORMAL: 2 images" in said
    assert "4 images in" in said
    assert list_all(raw) == [f"new/{n}" for n in list_all(folder) if "." not in (n[0], n[7])][:4]
    first = next(iter((folder / "NORMAL").glob("*.png")))
    assert (raw / "new/NORMAL" / first.name).read_bytes() == first.read_bytes()


def test_published_parts_and_manifests_come_through_archives(folder, raw, tmp_path) -> None:
    (tmp_path / "parts").mkdir()
    shutil.move(folder, tmp_path / "parts" / "train")
    place(pack(tmp_path / "parts", tmp_path / "a.zip"), raw)
    assert {s.published for s in find_sources(raw / "new", CLASSES)} == {"train"}
    table = (
        "path,label,ward\n"
        "train/NORMAL/patient0000_0.png,0,7\ntrain/PNEUMONIA/patient1001_0.png,1,8\n"
    )
    (tmp_path / "parts" / "manifest.csv").write_text(table)
    place(pack(tmp_path / "parts", tmp_path / "b.tar.gz", "top/"), raw, replace=True)
    assert len(list_all(raw / "new")) == 3
    assert dict(find_sources(raw / "new", CLASSES)[0].extra) == {"ward": "7"}


def test_a_csv_file_brings_what_it_lists(folder, raw) -> None:
    table = folder / "cohort.csv"
    table.write_text("path,label\nNORMAL/patient0000_0.png,0\nPNEUMONIA/patient1000_0.png,1\n")
    assert "label 1: 1 images" in place(table, raw)
    assert list_all(raw / "new") == [
        "NORMAL/patient0000_0.png", "PNEUMONIA/patient1000_0.png", "manifest.csv",
    ]  # fmt: skip
    assert "already" in place(table, raw)


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("side", [28, 64])
def test_medmnist_keeps_pixels_labels_and_split(raw, tmp_path, side, channels) -> None:
    path = save_npz(tmp_path / "a.npz", side, channels)
    place(path, raw)
    sources = find_sources(raw / "new", {})
    assert [s.published for s in sources] == ["test"] * 2 + ["train"] * 4 + ["val"] * 2
    assert [s.label for s in sources] == [0, 1] * 4
    image = cv2.imread(str(raw / "new" / sources[2].path), cv2.IMREAD_UNCHANGED)
    expected = np.load(path)["train_images"][0]
    np.testing.assert_array_equal(image, expected[..., ::-1] if channels else expected)


def test_an_npz_in_a_zip_is_found(raw, tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.write(save_npz(tmp_path / "a.npz"), "data/pneumoniamnist.npz")
    assert "8 images" in place(tmp_path / "a.zip", raw)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_images": np.zeros((4, 28, 28, 28), "u1")}, "3-D images: bring gray or RGB"),
        ({"train_images": np.zeros((4, 28, 28, 28, 3), "u1")}, "3-D images"),
        ({"train_images": np.zeros((4, 28, 28), "f4")}, "is float32 .*: bring uint8"),
        ({"train_images": np.zeros((3, 28, 28), "u1")}, "3 images but 4 labels for train"),
        ({"train_images": np.zeros((4, 1, 5000), "u1")}, "at most 4096 px"),
        ({"val_labels": np.array([[0], [7]], "u1")}, "val_labels holds the label 7"),
        ({"val_labels": np.zeros((2, 14), "u1")}, "only sets of two classes"),
        ({"val_labels": np.array([0.5, 1])}, "not one whole number"),
        ({"val_labels": np.array([None, 1])}, "no whole .npz file"),
    ],
)
def test_other_npz_files_are_refused(raw, tmp_path, changes, words) -> None:
    with pytest.raises(InputError, match=words):
        place(save_npz(tmp_path / "a.npz", **changes), raw)
    assert not list(raw.iterdir())


def add_tar(
    file: tarfile.TarFile, name: str, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, 1 if kind == tarfile.REGTYPE else 0
    file.addfile(info, io.BytesIO(b"x"))


@pytest.mark.parametrize("name", ["../evil.png", "NORMAL/../../evil.png", "/evil.png", "..\\e"])
@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_paths_that_lead_outside_are_refused(raw, tmp_path, name, suffix) -> None:
    archive = tmp_path / f"a{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr(name, "x")
    else:
        with tarfile.open(archive, "w") as file:
            add_tar(file, name)
    before = list_all(tmp_path)
    with pytest.raises(InputError, match="leads out of it"):
        place(archive, raw)
    assert list_all(tmp_path) == before


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(raw, tmp_path, kind) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        add_tar(file, "NORMAL/a.png", kind, "/etc/passwd")
    with pytest.raises(InputError, match="a link or device"):
        place(tmp_path / "a.tar", raw)
    assert not list(raw.iterdir())


def test_links_in_a_zip_are_refused(raw, tmp_path) -> None:
    info = zipfile.ZipInfo("NORMAL/a.png")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="a link or device"):
        place(tmp_path / "a.zip", raw)


def test_bombs_are_refused_before_they_fill_the_disk(raw, tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(3):
            file.writestr(f"NORMAL/{number}.png", bytes(2**23))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as file:
        info = tarfile.TarInfo("NORMAL/a.png")
        info.size = 3 * 2**23
        file.addfile(info, io.BytesIO(bytes(info.size)))
    for name in ("a.zip", "a.tar.gz"):
        with pytest.raises(InputError, match="100 times its size"):
            place(tmp_path / name, raw)
        assert not list(raw.iterdir())


def test_a_tar_header_that_fills_the_memory_is_refused(raw, tmp_path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as file:
        info = tarfile.TarInfo("a.png")
        info.pax_headers = {"comment": "x" * 2**23}
        file.addfile(info)
    with pytest.raises(InputError, match="a header is too long"):
        place(tmp_path / "a.tar.gz", raw)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_archives_that_are_cut_off_are_refused(folder, raw, tmp_path, name) -> None:
    whole = pack(folder, tmp_path / name).read_bytes()
    for share in (0.3, 0.6, 0.97):
        (tmp_path / name).write_bytes(whole[: int(share * len(whole) - 1)])
        if name == "a.tar" and share == 0.97:
            continue  # all images are there: the end alone is padding
        with pytest.raises(InputError, match="is it whole"):
            place(tmp_path / name, raw)
    assert not list(raw.iterdir())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"x", "no folder and no .csv, .npz, .zip"),
        ("a.zip", b"x", "cannot be unpacked"),
        ("a.npz", b"x", "no whole .npz file"),
        ("a.csv", b"", "is empty"),
        ("a.zip", b"PK\5\6" + bytes(18), "holds no files"),
        (None, b"", "does not exist"),
    ],
)
def test_what_is_no_data_set_is_one_sentence(raw, tmp_path, name, content, words) -> None:
    path = tmp_path / (name or "nowhere")
    if name:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        place(path, raw)
    assert not list(raw.iterdir())


def test_a_failed_replacement_keeps_the_old_set(folder, raw, tmp_path) -> None:
    place(folder, raw)
    before = list_all(raw)
    (tmp_path / "bad.zip").write_bytes(b"PK")
    with pytest.raises(InputError):
        place(tmp_path / "bad.zip", raw, replace=True)
    assert list_all(raw) == before


def test_hard_links_share_the_bytes(folder, raw) -> None:
    place(folder, raw, link=True)
    first = next(iter((folder / "NORMAL").iterdir()))
    assert (raw / "new/NORMAL" / first.name).samefile(first)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_import_leaves_nothing_and_a_second_works(
    folder, raw, tmp_path, how
) -> None:
    os.mkfifo(tmp_path / "wait")
    script = (
        "import sys\nfrom pathlib import Path\nfrom pneumonia.errors import run\n"
        "from pneumonia.data import importing\n"
        "def stop(source, target):\n    target.write_bytes(b'half')\n    open(sys.argv[3]).read()\n"
        "importing.shutil.copyfile = stop\n"
        "def main(path: Path, raw: Path, fifo: Path):\n"
        "    importing.place_data('new', path, raw, link=False, replace=False)\n"
        "run(main)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder), str(raw), str(tmp_path / "wait")]
    )
    writer = os.open(tmp_path / "wait", os.O_WRONLY)  # returns when the copy waits
    process.send_signal(how)
    process.wait()
    os.close(writer)
    assert not (raw / "new").exists()
    if how == signal.SIGTERM:
        assert not list(raw.iterdir())
    assert "4 images" in place(folder, raw)
    assert [path.name for path in raw.iterdir()] == ["new"]
