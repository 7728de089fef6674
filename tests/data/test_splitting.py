"""From a folder to three parts on disk, by the real stage script."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumonia.data.splitting import split_dataset
from pneumonia.data.store import load_manifest, load_part, part_groups
from pneumonia.errors import InputError
from pneumonia.params import Params


def run_split(params: Params, root: Path, output: Path) -> dict:
    return split_dataset(root, output, params.data, params.split, params.seed)


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
        assert len(part_groups(manifest, part)) == len(rows)
    assert manifest.groupby("group")["split"].nunique().max() == 1
    assert not list((tmp_path / "out").glob(".*"))


def test_bad_files_are_left_out_and_listed(params: Params, make_images, tmp_path: Path) -> None:
    root = make_images(patients=6)
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
    assert figures["used"] == 24


def test_equal_pictures_are_on_one_side(params: Params, make_images, tmp_path: Path) -> None:
    root = make_images(patients=12, images=1)
    pictures = sorted((root / "NORMAL").iterdir())
    for number in range(5):
        shutil.copy(pictures[0], root / "NORMAL" / f"patient9{number:02d}_0.png")
    shutil.copy(pictures[1], root / "PNEUMONIA" / "patient999_0.png")
    figures = run_split(params, root, tmp_path / "out")
    assert figures["duplicates"] == 5
    assert figures["reasons"] == {"the same picture has both labels": 2}


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
    script = [sys.executable, "stages/split.py", str(root), "--output", str(out)]
    script += ["--metrics", str(out / "m.json"), "--picture", str(out / "p.png")]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(out.rglob("*.npy"))


def test_stage_writes_figures_and_picture(make_images, tmp_path: Path) -> None:
    root, out = make_images(), tmp_path / "out"
    script = [sys.executable, "stages/split.py", str(root), "--output", str(out)]
    script += ["--metrics", str(out / "m.json"), "--picture", str(out / "p.png")]
    subprocess.run(script, check=True)
    assert json.loads((out / "m.json").read_text())["patients"] == 16
    assert cv2.imread(str(out / "p.png")).size


def test_unwritable_output_is_one_sentence(make_images) -> None:
    script = [sys.executable, "stages/split.py", str(make_images()), "--output", "/sys/out"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot write /sys/out" in done.stderr
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
