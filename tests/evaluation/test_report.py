"""A whole report from scores: files, keys, and what is said of parts that allow no figure."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumonia.data.store import Part
from pneumonia.evaluation.report import Folders, report, summarise_shifts, tabulate_epochs
from pneumonia.evaluation.shift import OTHER_RIM
from pneumonia.params import Params

DECISION = {
    "calibration": {"method": "temperature", "temperature": 2.0},
    "threshold": 0.5,
    "thresholds": {"youden": 0.5, "sensitivity": 0.3, "specificity": 0.7, "cost": 0.2},
    "rule": "youden",
}


def make_case(images: int, patients: int) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Labels, scores and manifest rows."""
    rng = np.random.default_rng(1)
    labels = np.arange(images) % 2
    scores = 1 / (1 + np.exp(-rng.normal(3 * labels - 1.5, 2)))
    groups = [f"p{(i // 2) % patients}" for i in range(images)]
    paths = [f"{'AB'[label]}/{i}.png" for i, label in enumerate(labels)]
    return labels, scores, pd.DataFrame({"path": paths, "group": groups})


def make_report(
    folder: Path,
    params: Params,
    labels: np.ndarray,
    scores: np.ndarray,
    rows: pd.DataFrame,
) -> dict:
    part = Part(np.zeros((len(labels), 8, 8), "uint8"), labels)
    settings = params.evaluate.model_copy(update={"bootstrap_draws": 200})
    folders = Folders(folder, folder, folder / "figures.json", folder)
    report(part, scores, rows, DECISION, settings, 1, folders, {"data": "own"})
    return json.loads((folder / "figures.json").read_text())


def test_every_number_has_an_interval_or_a_reason(tmp_path: Path, params: Params) -> None:
    figures = make_report(tmp_path, params, *make_case(120, 60))
    names = [name[:-4] for name in figures if re.fullmatch(r"(?!.*(delong|wilson)).*_low", name)]
    assert len(names) == 18
    for name in names:
        known = figures[name], figures[f"{name}_low"], figures[f"{name}_high"]
        assert (None in known) == (name in figures["reasons"])
    assert figures["auc_delong_low"] < figures["auc"] < figures["auc_delong_high"]
    assert figures["ppv_wilson_low"] < figures["ppv"] < figures["ppv_wilson_high"]
    assert figures["thresholds"]["youden"]["ppv"] == figures["ppv"]
    assert set(figures["at_prevalence"]) == {"0.01", "0.05", "0.2"}
    assert figures["uncalibrated"]["calibration_slope"] == pytest.approx(
        figures["calibration_slope"] / 2
    )
    assert figures["tp"] + figures["fp"] + figures["fn"] + figures["tn"] == 120


def test_tables_and_pictures_are_there(tmp_path: Path, params: Params) -> None:
    make_report(tmp_path, params, *make_case(120, 60))
    for name in ("roc", "roc_band", "pr", "calibration", "decision_curve", "subgroups"):
        assert len(pd.read_csv(tmp_path / f"{name}.csv"))
    predictions = pd.read_csv(tmp_path / "predictions.csv")
    assert list(predictions) == ["path", "group", "label", "raw", "p", "predicted"]
    assert (predictions["predicted"] == (predictions["p"] >= 0.5)).all()
    assert (tmp_path / "roc.png").stat().st_size > 5000


@pytest.mark.parametrize("case", ["one class", "two patients", "constant", "nan", "two images"])
def test_bad_parts_get_a_report_all_the_same(tmp_path: Path, params: Params, case: str) -> None:
    labels, scores, rows = make_case(*{"two patients": (40, 2), "two images": (2, 2)}.get(
        case, (60, 30)
    ))  # fmt: skip
    if case == "one class":
        labels = np.zeros_like(labels)
    if case == "constant":
        scores = np.full_like(scores, 0.4)
    if case == "nan":
        scores[7] = np.nan
    figures = make_report(tmp_path, params, labels, scores, rows)
    words = {
        "one class": ("auc", "no image shows pneumonia"),
        "two patients": ("auc", "2 patients are too few"),
        "constant": ("calibration_slope", "all scores are equal"),
        "nan": ("sensitivity", "1 of 60 scores are not finite"),
        "two images": ("auc", "1 patients are too few"),
    }
    name, reason = words[case]
    assert reason in figures["reasons"][name]
    assert (figures[name] is None) == (case not in ("two patients", "two images"))
    assert (tmp_path / "roc.png").exists()
    assert (tmp_path / "confusion.png").exists()
    for key in [key for key, value in figures.items() if value is None]:
        assert re.sub("_(low|high)$", "", key) in figures["reasons"], key
    if case == "nan":
        assert all(figures[cell] is None for cell in ("tp", "fp", "fn", "tn"))
        assert all(figures[f"{n}_wilson_low"] is None for n in ("accuracy", "npv"))
        assert pd.read_csv(tmp_path / "predictions.csv")["predicted"].isna().sum() == 1


def test_summary_leaves_the_unchanged_images_out() -> None:
    table = pd.DataFrame(
        {
            "shift": ["none", "a", "b", OTHER_RIM],
            "auc": [0.4, 0.8, 0.9, 0.3],
            "accuracy": [0.1, 0.7, 0.5, 0.2],
            "atypical": [0.02, 0.1, 0.9, 0.0],
        }
    )
    assert summarise_shifts(table) == pytest.approx(
        {
            "shift_auc_mean": 0.85,
            "shift_auc_worst": 0.8,
            "shift_accuracy_mean": 0.6,
            "shift_accuracy_worst": 0.5,
            "other_rim_auc": 0.3,
            "other_rim_accuracy": 0.2,
            "atypical_share": 0.02,
        }
    )
    assert summarise_shifts(table.assign(auc=np.nan))["shift_auc_worst"] is None


def test_an_epoch_without_scores_has_no_accuracy() -> None:
    history = pd.DataFrame(
        [(e, part, 0.5, 0.7) for e in (1, 2) for part in ("train", "val")],
        columns=["epoch", "part", "loss", "accuracy"],
    )
    table = tabulate_epochs(history, np.array([0, 1]), np.array([[0.2, 0.4], [np.nan, 0.9]]))
    assert table["test_accuracy"].iloc[0] == 0.5
    assert np.isnan(table["test_accuracy"].iloc[1])
