"""From a folder to three parts on disk, by the real stage script."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumonia.data.splitting import split_dataset
from pneumonia.data.store import load_copies, load_manifest, load_part, part_rows, write_labels
from pneumonia.errors import InputError
from pneumonia.files import hash_file
from pneumonia.params import Params

STAGE = [sys.executable, "stages/split.py"]


def run_split(params: Params, root: Path, output: Path, **split: object) -> dict:
    chosen = params.split.model_copy(update=split)
    return split_dataset(root, output, params.data, chosen, params.seed)[0]


def name_outputs(out: Path) -> list[str]:
    return ["--output", str(out), "--metrics", str(out / "m.json"), "--picture", str(out / "p.png")]


def hash_outputs(out: Path) -> dict[str, str]:
    """Every file below the folder, hidden ones as well."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): hash_file(path) for path in files}


def test_parts_and_manifest_agree(params: Params, make_images, tmp_path: Path) -> None:
    root = make_images(patients=10, images=3)
    figures = run_split(params, root, tmp_path / "out")
    manifest = load_manifest(tmp_path / "out" / "manifest.csv")
    assert len(manifest) == figures["files"] == figures["used"] == 60
    for part in ("train", "val", "test"):
        loaded = load_part(tmp_path / "out" / part)
        rows = manifest[manifest["split"] == part].sort_values("row")
        assert loaded.images.shape == (len(rows), 96, 96)
        np.testing.assert_array_equal(loaded.labels, rows["label"])
        assert len(part_rows(manifest, part)) == len(rows)
    assert manifest.groupby("group")["split"].nunique().max() == 1
    assert not list((tmp_path / "out").glob(".*"))


def test_bad_files_are_left_out_and_listed(params: Params, make_images, tmp_path: Path) -> None:
    root = make_images(patients=8)
    first = next((root / "NORMAL").iterdir())
    cv2.imwrite(str(root / "NORMAL" / "whole.jpg"), cv2.imread(str(first)))
    whole = (root / "NORMAL" / "whole.jpg").read_bytes()
    (root / "NORMAL" / "whole.jpg").unlink()
    (root / "NORMAL" / "text.png").write_text("no image")
    (root / "NORMAL" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "NORMAL" / "empty.png").touch()
    figures = run_split(params, root, tmp_path / "out")
    assert set(figures["left_out_files"]) == {
        "NORMAL/text.png", "NORMAL/cut.jpg", "NORMAL/empty.png",
    }  # fmt: skip
    assert figures["used"] == 32
    assert figures["reasons"] == {
        "not an image": 1, "cannot be decoded": 1, "the file is empty": 1,
    }  # fmt: skip


def test_one_name_in_both_classes_is_warned_of(params: Params, make_images, tmp_path: Path) -> None:
    root = make_images(patients=10, images=1)
    assert not [w for w in run_split(params, root, tmp_path / "a")["warnings"] if "one name" in w]
    moved = root / "PNEUMONIA" / "patient1000_0.png"
    moved.rename(root / "PNEUMONIA" / "patient0000_0.png")
    (warning,) = [w for w in run_split(params, root, tmp_path / "b")["warnings"] if "one name" in w]
    assert "2 files" in warning
    assert "NORMAL/patient0000_0.png and PNEUMONIA/patient0000_0.png" in warning


def test_equal_pictures_are_on_one_side(params: Params, make_images, tmp_path: Path) -> None:
    root = make_images(patients=12, images=1)
    pictures = sorted((root / "NORMAL").iterdir())
    for number in range(5):
        shutil.copy(pictures[0], root / "NORMAL" / f"patient9{number:02d}_0.png")
    shutil.copy(pictures[1], root / "PNEUMONIA" / "patient999_0.png")
    figures = run_split(params, root, tmp_path / "out")
    assert figures["duplicates"] == 5
    assert figures["reasons"] == {"the same picture has both labels": 2}


def test_near_copies_are_on_one_side_and_listed(
    params: Params, make_images, tmp_path: Path
) -> None:
    root = make_images(patients=12, images=1)
    pictures = sorted((root / "NORMAL").iterdir())
    for number, picture in enumerate(pictures[:6]):
        copy = root / "NORMAL" / f"patient9{number:02d}_0.jpg"
        cv2.imwrite(str(copy), cv2.imread(str(picture)), [cv2.IMWRITE_JPEG_QUALITY, 70])
    shutil.copy(root / "NORMAL" / "patient905_0.jpg", root / "PNEUMONIA" / "patient999_0.jpg")
    figures = run_split(params, root, tmp_path / "out")
    assert figures["near_copies"]["pairs"] == figures["near_copies"]["files"] / 2 == 6
    assert figures["joined_patients"] == 5
    assert figures["reasons"] == {
        "the same picture has both labels": 2, "nearly the same picture has both labels": 1,
    }  # fmt: skip
    manifest = load_manifest(tmp_path / "out" / "manifest.csv").set_index("path")
    copy = manifest.loc["NORMAL/patient900_0.jpg"]
    assert copy["duplicate_of"] == "NORMAL/patient0000_0.png"
    assert copy["patient"] == "patient900"
    assert copy["group"] == manifest.loc[copy["duplicate_of"], "group"]
    assert copy["split"] == manifest.loc[copy["duplicate_of"], "split"]
    apart = run_split(params, root, tmp_path / "apart", near_duplicates=False)
    assert apart["near_copies"]["pairs"] == apart["joined_patients"] == 0


def publish(root: Path) -> Path:
    """Half of each class as train, half as test, and one patient of the test part in both."""
    for folder in list(root.iterdir()):
        for number, file in enumerate(sorted(folder.iterdir())):
            part = "train" if number < len(list(folder.parent.rglob("*.png"))) // 4 else "test"
            target = root / part / folder.name
            target.mkdir(parents=True, exist_ok=True)
            file.rename(target / file.name)
        folder.rmdir()
    moved = max((root / "test" / "NORMAL").iterdir())
    moved.rename(root / "train" / "NORMAL" / moved.name)
    return root


def test_a_leaking_published_split_is_told_and_mended(make_images, tmp_path: Path, params) -> None:
    root, out = publish(make_images(patients=12)), tmp_path / "out"
    command = [*STAGE, str(root), *name_outputs(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.startswith("warning: the published split has on two sides 1 patients, 0 eq")
    figures = json.loads((out / "m.json").read_text())
    assert figures["published"]["patients"] == 1
    assert figures["published"]["repaired"]
    assert "repaired" in figures["warnings"][0]
    manifest = load_manifest(out / "manifest.csv")
    left = manifest[manifest["reason"] != ""]
    assert (left["published"] == "train").all()
    assert len(left) == 1
    kept = run_split(params, root, tmp_path / "kept", repair_published=False)
    assert kept["left_out"] == 0
    assert "not repaired" in kept["warnings"][0]
    anew = run_split(params, root, tmp_path / "anew", keep_published=False)
    assert anew["left_out"] == 0
    assert "carved anew" in anew["warnings"][0]


def test_each_fold_tests_other_patients(params: Params, make_images, tmp_path: Path) -> None:
    root, tested = make_images(patients=9), []
    for fold in range(3):
        out = tmp_path / str(fold)
        run_split(params, root, out, folds=3, fold=fold)
        manifest = load_manifest(out / "manifest.csv")
        tested += manifest.loc[manifest["split"] == "test", "path"].tolist()
    assert sorted(tested) == sorted(manifest["path"])
    published = publish(make_images("published", patients=9))
    with pytest.raises(InputError, match=r"set split\.keep_published: false"):
        run_split(params, published, tmp_path / "out", folds=3)
    run_split(params, published, tmp_path / "out", folds=3, keep_published=False)


def test_patients_come_from_the_manifest_or_the_name(params, make_images, tmp_path: Path) -> None:
    root = make_images(patients=12, images=1)
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    lines = [f"{path},{path.split('/')[0]},ward{number // 4}" for number, path in enumerate(paths)]
    (root / "manifest.csv").write_text("\n".join(["path,label,patient", *lines]) + "\n")
    assert run_split(params, root, tmp_path / "out")["patients"] == 6
    assert run_split(params, root, tmp_path / "out", group_by="name")["patients"] == 24


def test_subgroups_are_counted_by_part(params: Params, make_images, tmp_path: Path) -> None:
    root = make_images(patients=10)
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    lines = [f"{path},{path[: path.index('/')]},{'FM'[n % 2]},{n}" for n, path in enumerate(paths)]
    (root / "manifest.csv").write_text("\n".join(["path,label,sex,age", *lines, ""]))
    figures = run_split(params, root, tmp_path / "out")
    female, male, age = figures["subgroups"]
    assert (female["value"], male["value"]) == ("F", "M")
    for row in (female, male):
        assert sum(row[part] for part in ("train", "val", "test")) == 20
    assert female["train"] + male["train"] == figures["parts"]["train"]["images"]
    assert age == {"column": "age", "values": 40}


def test_the_same_bytes_whatever_the_order_of_files_locale_and_hash_seed(
    make_images, tmp_path: Path
) -> None:
    root = make_images(patients=8)
    other = tmp_path / "other"
    for file in sorted(root.rglob("*.png"), reverse=True):  # made in another order, at another time
        (other / file.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, other / file.relative_to(root))
    for number, folder in enumerate((root, other)):
        environment = os.environ | {
            "PYTHONHASHSEED": str(number),
            "LC_ALL": ["C", "C.UTF-8"][number],
        }
        command = [*STAGE, str(folder), *name_outputs(tmp_path / str(number))]
        subprocess.run(command, env=environment, check=True)
    assert hash_outputs(tmp_path / "0") == hash_outputs(tmp_path / "1")


@pytest.mark.parametrize("moment", [".*-partial", ".*-partial/train"])
def test_killed_it_leaves_nothing_half_written_and_runs_again(
    params: Params, make_images, tmp_path: Path, moment: str
) -> None:
    root, out, whole = make_images(patients=60), tmp_path / "out", tmp_path / "whole"
    run_split(params, root, whole)
    process = subprocess.Popen([*STAGE, str(root), *name_outputs(out)])
    while process.poll() is None and not list(out.glob(moment)):
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.005)
    process.kill()
    process.wait()
    visible = {path: key for path, key in hash_outputs(out).items() if path[0] != "."}
    assert visible.items() <= hash_outputs(whole).items()
    run_split(params, root, out)
    assert hash_outputs(out) == hash_outputs(whole)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda root: shutil.rmtree(root), "does not exist"),
        (lambda root: [shutil.rmtree(p) for p in root.iterdir()], "no class folders"),
        (lambda root: [f.unlink() for f in root.rglob("*.png")], "no images"),
        (lambda root: shutil.rmtree(root / "NORMAL"), "one label only"),
        (lambda root: (root / "NORMAL").rename(root / "Healthy"), "data.classes does not name"),
        (
            lambda root: [
                f.unlink() for f in (root / "NORMAL").iterdir() if f.name[:11] > "patient0001"
            ],
            "2 patients, but 3 are needed",
        ),
        (lambda root: [f.write_text("x") for f in root.rglob("*.png")], "no image can be read"),
    ],
)
def test_stage_refuses_in_one_sentence(make_images, tmp_path: Path, change, words: str) -> None:
    root = make_images()
    change(root)
    out = tmp_path / "out"
    script = [*STAGE, str(root), *name_outputs(out)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(out.rglob("*.npy"))


def test_stage_writes_figures_and_picture(make_images, tmp_path: Path) -> None:
    root, out = make_images(), tmp_path / "out"
    done = subprocess.run(
        [*STAGE, str(root), *name_outputs(out)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    figures = json.loads((out / "m.json").read_text())
    assert figures["patients"] == 16
    assert figures["distributions"][0] == {
        "of": "images per patient", "min": 2, "median": 2, "max": 2,
    }  # fmt: skip
    assert figures["warnings"] == []
    assert cv2.imread(str(out / "p.png")).shape[1] == 1400
    assert cv2.imread(str(out / "samples.png")).shape[1] > 1000


def test_unwritable_output_is_one_sentence(make_images) -> None:
    script = [*STAGE, str(make_images()), "--output", "/sys/out"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot read or write /sys/out" in done.stderr
    assert "Traceback" not in done.stderr


def test_full_disk_is_one_sentence(make_images, tmp_path: Path) -> None:
    script = (
        "import resource, runpy, signal, sys;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "sys.argv = sys.argv[1:];"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", script, "stages/split.py", str(make_images())]
    command += ["--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").rglob("*.npy"))


def test_missing_stage_output_is_named() -> None:
    with pytest.raises(InputError, match="dvc repro"):
        load_part(Path("nowhere"))


@pytest.mark.parametrize("count", [0, 3, 5, 8])
def test_images_without_a_label_each_are_no_part(tmp_path: Path, count: int) -> None:
    np.save(tmp_path / "images.npy", np.zeros((count, 2, 2), "uint8"))
    write_labels(tmp_path, np.arange(4) % 2)
    with pytest.raises(InputError, match=f"{count} images but 4 labels"):
        load_part(tmp_path)
    if count != 8:  # two copies of each
        with pytest.raises(InputError, match=f"{count} images but 4 labels"):
            load_copies(tmp_path)
