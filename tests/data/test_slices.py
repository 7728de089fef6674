"""Slices of one scan, numbered one after the other, are one patient's."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumonia.data.splitting import split_dataset
from pneumonia.data.store import load_manifest
from pneumonia.params import Params


def write_scan(folder: Path, numbers: list[int], seed: int, prefix: str = "") -> None:
    """One body with a shape that changes from slice to slice."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (2, 64, 64)).astype("float32")
    body, other = (cv2.GaussianBlur(one, (0, 0), 2) for one in noise)
    for step, number in enumerate(numbers):
        slice_ = 128 + 180 * (body + 0.6 * np.sin(step) * other)
        picture = np.clip(slice_, 0, 255).astype("uint8")
        cv2.imwrite(str(folder / f"{prefix}{number}.png"), picture)


def split(params: Params, root: Path, output: Path, **changes: object) -> dict[str, str]:
    """The group of each file by its name."""
    chosen = params.split.model_copy(update=changes)
    figures, _ = split_dataset(root, output, params.data, chosen, params.seed)
    manifest = load_manifest(output / "manifest.csv")
    assert manifest.groupby("group")["split"].nunique().max() == 1
    assert figures["joined_slices"] == len(manifest) - manifest["patient"].nunique()
    return dict(zip(manifest["path"], manifest["group"], strict=True))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six patients a class, each with a single slice, far from each other in number."""
    folder = tmp_path / "set"
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        for patient in range(6):
            write_scan(
                folder / name, [1000 + 100 * patient + 10 * label], seed=10 * label + patient
            )
    return folder


def test_a_run_of_slices_is_one_patient(params: Params, root: Path, tmp_path: Path) -> None:
    write_scan(root / "NORMAL", [7, 8, 9, 10], seed=99)
    write_scan(root / "NORMAL", [1, 2], seed=98, prefix="scan_a_")
    groups = split(params, root, tmp_path / "out")
    assert {groups[f"NORMAL/{number}.png"] for number in (7, 8, 9, 10)} == {groups["NORMAL/10.png"]}
    assert groups["NORMAL/scan_a_1.png"] == groups["NORMAL/scan_a_2.png"]
    assert len(set(groups.values())) == 12 + 2
    apart = split(params, root, tmp_path / "apart", near_duplicates=False)
    assert len(set(apart.values())) == 12 + 6


def test_gaps_other_bodies_and_other_classes_stay_apart(
    params: Params, root: Path, tmp_path: Path
) -> None:
    write_scan(root / "NORMAL", [20, 22], seed=97)
    write_scan(root / "NORMAL", [30], seed=96)
    write_scan(root / "NORMAL", [31], seed=95)
    write_scan(root / "PNEUMONIA", [21], seed=97)
    groups = split(params, root, tmp_path / "out")
    assert len(set(groups.values())) == 12 + 5


def test_patients_that_a_table_names_are_believed(
    params: Params, root: Path, tmp_path: Path
) -> None:
    write_scan(root / "NORMAL", [7, 8], seed=99)
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    rows = [f"{file},{file.split('/')[0]},{Path(file).stem}" for file in files]
    (root / "manifest.csv").write_text("\n".join(["path,label,patient", *rows]) + "\n")
    groups = split(params, root, tmp_path / "out")
    assert groups["NORMAL/7.png"] != groups["NORMAL/8.png"]
