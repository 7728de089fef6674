"""What a folder or a manifest.csv lists becomes sources, or one sentence with the line number."""

import os
from pathlib import Path

import pandas as pd
import pytest

from pneumonia.data.sources import Source, find_sources
from pneumonia.data.splitting import split_dataset
from pneumonia.data.store import load_manifest
from pneumonia.errors import InputError
from pneumonia.params import Params

CLASSES = {"NORMAL": 0, "PNEUMONIA": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "sub/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "manifest.csv").write_text(text, encoding=encoding)
    return folder


def test_a_name_that_is_not_utf_8_is_named(folder: Path) -> None:
    for name in (b"NORMAL/a\xe9.png", "PNEUMONIA/aé\u202f.png".encode()):
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        path.parent.mkdir()
        path.write_bytes(b"x")
    (folder / "sub/c.png").unlink()
    (folder / "sub").rmdir()
    with pytest.raises(InputError, match=r"NORMAL/a\\udce9.png' is not UTF-8: rename"):
        find_sources(folder, CLASSES)


def test_a_folder_beside_parts_is_named_and_what_macos_adds_is_passed_over(tmp_path: Path) -> None:
    for name in ("train/NORMAL", "train/PNEUMONIA", "__MACOSX/train"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.png").write_bytes(b"x")
    assert [source.published for source in find_sources(tmp_path, CLASSES)] == ["train", "train"]
    (tmp_path / "unlabelled").mkdir()
    with pytest.raises(InputError, match=r"unlabelled lies beside train: move one"):
        find_sources(tmp_path, CLASSES)


def test_manifest_gives_label_part_patient_and_the_other_columns(folder: Path) -> None:
    text = (
        "sex,path,label,patient,split\n"
        ' F , sub/c.png,PNEUMONIA,p2,Validation\n\nM,./a.png,0,,\n"x, y",b.png,1,p1,test\n'
    )
    assert find_sources(write(folder, text, "utf-8-sig"), CLASSES) == [
        Source("a.png", 0, "", "", (("sex", "M"),)),
        Source("b.png", 1, "test", "p1", (("sex", "x, y"),)),
        Source("sub/c.png", 1, "val", "p2", (("sex", "F"),)),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("path,label\n\n", "lists no images"),
        ("path;label\na.png;0\n", "line 1: the column path is missing"),
        ("path,class\na.png,0\n", "line 1: the column label is missing"),
        ("path,label,sex,sex\n", "line 1: 'sex' names two columns"),
        ("path,label,\na.png,0,\n", "line 1: '' names two columns or none"),
        ("path,label\na.png,0\nb.png,sick\n", "line 3: data.classes does not name .* 'sick'"),
        ("path,label\na.png,\n", "line 2: path or label is empty"),
        ("path,label\n/etc/passwd,0\n", "line 2: /etc/passwd leads out of"),
        ("path,label\nsub/../../a.png,0\n", r"line 2: sub/\.\./\.\./a.png leads out of"),
        ("path,label\na.png,0\n\n./a.png,1\n", "line 4: a.png stands in line 2 already"),
        ("path,label\na.png,0\nno.png,1\n", "line 3: 'no.png' is no file"),
        ("path,label\nsub,0\n", "line 2: 'sub' is no file"),
        ("path,label,split\na.png,0,extra\n", "line 2: the split 'extra' is not"),
        ("path,label\na.png,0,1\n", "line 2: 3 values for 2 columns"),
        ('path,label\n"a.png,0\n', "is no CSV file"),
        ("path,label\na.png,0\nb.png,0\n", "one label only"),
    ],
)
def test_a_bad_manifest_is_one_sentence(folder: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        find_sources(write(folder, text), CLASSES)
    assert "\n" not in str(error.value)


def test_a_manifest_in_another_encoding_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="no CSV file in UTF-8"):
        find_sources(write(folder, "path,label,ward\na.png,0,Köln\n", "latin-1"), CLASSES)


def list_images(root: Path, **columns: object) -> pd.DataFrame:
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    labels = [path.split("/")[0] for path in paths]
    return pd.DataFrame({"path": paths, "label": labels}).assign(**columns)


def test_split_keeps_patients_and_other_columns(params: Params, make_images, tmp_path) -> None:
    root = make_images(patients=10, images=2)
    frame = list_images(root, sex="F", ward="7")
    frame["patient"] = [f"p{number // 4}" for number in range(len(frame))]
    frame.loc[frame["patient"] == "p0", "patient"] = ""
    frame.to_csv(root / "manifest.csv", index=False)
    split_dataset(root, tmp_path / "out", params.data, params.split, params.seed)
    manifest = load_manifest(tmp_path / "out" / "manifest.csv")
    assert list(manifest.columns)[-2:] == ["sex", "ward"]
    assert (manifest["sex"] == "F").all()
    groups = manifest.set_index("path")["group"]
    given = frame.set_index("path")["patient"]
    assert (groups[given != ""] == given[given != ""]).all()
    assert groups["NORMAL/patient0000_0.png"] == "patient0000"
    assert manifest.groupby("group")["split"].nunique().max() == 1


@pytest.mark.parametrize("name", ["row", "group", "pixels"])
def test_a_column_with_a_name_of_ours_is_refused(params, make_images, tmp_path, name) -> None:
    root = make_images()
    list_images(root, **{name: "x"}).to_csv(root / "manifest.csv", index=False)
    with pytest.raises(InputError, match=f"has a column {name}"):
        split_dataset(root, tmp_path / "out", params.data, params.split, params.seed)
