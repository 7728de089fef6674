"""The study of recipes, benchmarks/shift.py: what it holds out, hides, keeps and compares."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pipeline import SMALL, change_params
from shift import FIFTHS, hold_out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split of images with a disc in the middle of those with pneumonia."""
    root = tmp_path_factory.mktemp("study")
    shutil.copyfile("params.yaml", root / "params.yaml")
    change_params(root, SMALL | {"epochs: 28 ": "epochs: 6 "})
    rng = np.random.default_rng(1)
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        (root / "set" / name).mkdir(parents=True)
        for patient in range(40):
            image = rng.integers(60, 140, (40, 40), dtype=np.uint8)
            if label:
                cv2.circle(image, (20, 20), 11, (220,), cv2.FILLED)
            cv2.imwrite(str(root / "set" / name / f"patient{label}{patient:02d}_0.png"), image)
    run(
        *("stages/split.py", str(root / "set"), "--output", str(root / "split")),
        *("--params", str(root / "params.yaml"), "--metrics", str(root / "data.json")),
        *("--picture", str(root / "data.png")),
    )
    return root


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def study(folder: Path, *arguments: str) -> dict[str, str]:
    """The printed row, by column."""
    said = run(
        *("benchmarks/shift.py", "--data", str(folder / "split"), "--seeds", "1"),
        *("--params", str(folder / "params.yaml"), "--results", str(folder / "results")),
        *arguments,
    )
    names, values = (line.strip("| ").split(" | ") for line in said.splitlines())
    return dict(zip(names, values, strict=True))


def list_trained(folder: Path) -> dict[str, int]:
    paths = (folder / "results").glob("*/training.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in paths}


def test_hidden_middle_or_rim(folder: Path) -> None:
    whole = float(study(folder)["AUC"].split()[0])
    without_rim = float(study(folder, "--hide", "rim")["AUC"].split()[0])
    without_middle = float(study(folder, "--hide", "middle")["AUC"].split()[0])
    assert min(whole, without_rim) > 0.95
    assert without_middle < 0.85


def test_what_was_trained_is_kept_and_compared(folder: Path) -> None:
    study(folder, "--name", "first")
    trained = list_trained(folder)
    row = study(
        folder, "--name", "cost", "--set", "evaluate.threshold_rule=cost", "--against", "first"
    )
    assert list_trained(folder) == trained
    assert row["Δ AUC"].startswith("+0.0000")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Two images each of patients whose label and kind alternate."""
    patients = pd.Series(range(200)).repeat(2)
    names = patients.map(lambda p: f"{'odd' if p % 4 == 3 else 'even'}/patient{p}")
    return pd.DataFrame({"path": names, "group": patients.astype(str), "label": patients % 2})


def test_each_patient_is_held_out_once_and_whole(rows: pd.DataFrame) -> None:
    held = np.zeros(len(rows), int)
    for fold in range(FIFTHS):
        train, measured = hold_out(rows["path"], rows["group"], rows["label"].to_numpy(), "", fold)
        np.testing.assert_array_equal(train, ~measured)
        assert not set(rows["group"][train]) & set(rows["group"][measured])
        held += measured
    assert (held == 1).all()


def test_a_kind_left_out_is_measured_and_never_trained_on(rows: pd.DataFrame) -> None:
    train, held = hold_out(rows["path"], rows["group"], rows["label"].to_numpy(), "odd", 0)
    kind = rows["path"].str.startswith("odd").to_numpy()
    assert held[kind].all()
    assert set(rows["label"][held & ~kind]) == {0}
    assert not set(rows["group"][train]) & set(rows["group"][held])
    assert set(rows["label"][train]) == {0, 1}
