"""The evaluation of one trained model: fixed on validation, measured on test, written to files."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumonia.crossfit import find_unseen
from pneumonia.data.store import Part, load_manifest, load_part, part_rows
from pneumonia.evaluation import metrics
from pneumonia.evaluation.calibration import apply_calibration
from pneumonia.evaluation.decision import decide
from pneumonia.evaluation.drift import tabulate_reference
from pneumonia.evaluation.figures import Scores, measure
from pneumonia.evaluation.intervals import Resampling
from pneumonia.evaluation.pictures import draw_pictures
from pneumonia.evaluation.shift import OTHER_RIM, measure_shifts
from pneumonia.evaluation.subgroups import tabulate_subgroups, tell_unmatched
from pneumonia.evaluation.tables import write_tables
from pneumonia.evaluation.typicality import fit_typicality, save_typicality
from pneumonia.files import hash_file, write_csv, write_json
from pneumonia.params import EvaluateParams

SIMULATED = "simulated images: these figures show that the pipeline runs, they are not clinical"


@dataclass(frozen=True)
class Folders:
    """Where evaluate reads and writes."""

    split: Path
    models: Path
    metrics: Path
    plots: Path


def evaluate(
    folders: Folders, settings: EvaluateParams, data: dict[str, Any], seed: int, *, cross_fit: bool
) -> dict[str, Any]:
    """Write decision.json, the metrics, tables and pictures; returns the metrics.

    `data` holds its name and how files are decoded. Thresholds and calibration come from
    validation images, with `cross_fit` as the members say that have not learnt from them; the test
    part is read only after both are fixed.
    """
    from pneumonia.evaluation import predictor
    from pneumonia.model import load_model

    model = folders.models / "model.keras"
    network = load_model(model)
    read = partial(predictor.predict_with_features, predictor.add_features(network))
    parts = {name: load_part(folders.split / name) for name in ("train", "val")}
    manifest = load_manifest(folders.split / "manifest.csv")
    members = predictor.open_members(network)
    unseen = find_unseen(manifest, members.output_shape[1], enabled=cross_fit)
    judge_val = partial(predictor.predict_unseen, members, unseen=unseen)
    data = data | {"model_sha256": hash_file(model)}
    decision = decide(judge_val, parts["val"], settings, seed) | data
    write_json(folders.models / "decision.json", decision)
    typicality = fit_typicality(*(read(part.images)[1] for part in parts.values()))
    save_typicality(typicality, folders.models / "typicality.npy")

    def judge(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raw, features = read(images)
        p = apply_calibration(raw, decision["calibration"])
        return p, typicality.is_atypical(features)

    val_p = apply_calibration(judge_val(parts["val"].images), decision["calibration"])
    reference = tabulate_reference(parts, manifest, val_p)
    write_csv(folders.models / "reference.csv", reference)
    test = load_part(folders.split / "test")
    weights = sorted((folders.models / "epochs").glob("*.weights.h5"))
    by_epoch = predictor.predict_epochs(model, weights, test.images)
    history = pd.read_csv(folders.plots / "history.csv")
    write_csv(folders.plots / "epochs.csv", tabulate_epochs(history, test.labels, by_epoch))
    shifts = measure_shifts(judge, test, decision["threshold"], seed)
    write_csv(folders.plots / "shift.csv", shifts)
    rows, raw = part_rows(manifest, "test"), read(test.images)[0]
    facts = {"data": data["name"], "model_sha256": data["model_sha256"]} | summarise_shifts(shifts)
    return report(test, raw, rows, decision, settings, seed, folders, facts)


def report(
    part: Part,
    raw: np.ndarray,
    rows: pd.DataFrame,
    decision: dict[str, Any],
    settings: EvaluateParams,
    seed: int,
    folders: Folders,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Measure scores `raw` (N,) of a part and write metrics, tables and pictures; the figures.

    `rows` are the manifest's, aligned with the part; `facts` go into the metrics as they are.
    """
    p = apply_calibration(raw, decision["calibration"])
    scores = Scores(part.labels, raw, p, rows["group"].to_numpy(dtype=str))
    how = Resampling(settings.bootstrap_draws, settings.confidence, seed)
    figures = measure(scores, decision, settings.prevalences, how) | facts
    if facts["data"] == "phantom":
        figures["note"] = SIMULATED
    threshold = decision["threshold"]
    subgroups = tabulate_subgroups(scores, rows, threshold, settings, how)
    write_tables(folders.plots, scores, rows["path"].to_numpy(), threshold, how)
    figures["reasons"] |= tell_unmatched(subgroups, settings)
    figures["reasons"] |= {
        name: "the part holds one class, or scores under a shift are not finite"
        for name in facts
        if facts[name] is None
    }
    write_csv(folders.plots / "subgroups.csv", subgroups)
    draw_pictures(folders.plots, figures)
    write_json(folders.metrics, figures)
    return figures


def summarise_shifts(shifts: pd.DataFrame) -> dict[str, float | None]:
    """Mean and worst over the shift suite of AUC and accuracy; the control; the atypical share."""
    changed = shifts[~shifts["shift"].isin(["none", OTHER_RIM])]
    figures = {
        f"shift_{name}_{word}": float(value)
        for name in ("auc", "accuracy")
        for word, value in (("mean", changed[name].mean()), ("worst", changed[name].min()))
    }
    at = shifts.set_index("shift").to_dict()
    figures |= {f"other_rim_{name}": at[name][OTHER_RIM] for name in ("auc", "accuracy")}
    figures["atypical_share"] = at["atypical"]["none"]
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}


def tabulate_epochs(history: pd.DataFrame, labels: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
    """Columns epoch, {train,val,test}_{loss,accuracy}; test from the weights of each epoch."""
    wide = history.pivot_table(index="epoch", columns="part", values=["loss", "accuracy"])
    table = pd.DataFrame(
        {f"{p}_{m}": wide[(m, p)] for m in ("loss", "accuracy") for p in ("train", "val")}
    )
    ones = np.ones((1, len(labels)))
    table["test_loss"] = [float(metrics.log_loss(labels, row, ones)[0]) for row in scores]
    right = (scores >= 0.5) == labels
    table["test_accuracy"] = np.where(np.isfinite(scores), right, np.nan).mean(1)
    return table.reset_index()
