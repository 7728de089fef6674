"""The evaluation of one trained model: fixed on validation, measured on test, written to files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumonia.data.store import Part, load_manifest, load_part, part_groups
from pneumonia.evaluation import metrics
from pneumonia.evaluation.card import write_card
from pneumonia.evaluation.decision import apply_temperature, choose_threshold, fit_temperature
from pneumonia.evaluation.intervals import draw_weights, estimate
from pneumonia.evaluation.pictures import draw_pictures
from pneumonia.evaluation.shift import measure_shifts, shift_images
from pneumonia.files import hash_file, write_csv, write_json
from pneumonia.params import EvaluateParams
from pneumonia.plots.style import NAMES

GRID = np.linspace(0, 1, 101)
SIMULATED = "simulated images: these figures show that the pipeline runs, they are not clinical"


@dataclass(frozen=True)
class Scores:
    """Row-aligned: labels int (N,), calibrated probabilities (N,), patients str (N,)."""

    labels: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Folders:
    """Where evaluate reads and writes."""

    split: Path
    models: Path
    metrics: Path
    plots: Path


def evaluate(
    folders: Folders, settings: EvaluateParams, data: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Write decision.json, the metrics, tables, pictures and the model card; returns the metrics.

    `data` holds name, image_size and keep_aspect. Threshold and temperature come from validation
    images; the test part is read only after both are fixed.
    """
    from pneumonia.evaluation.predictor import predict_epochs, predict_images
    from pneumonia.model import load_model

    model = folders.models / "model.keras"
    network = load_model(model)
    val = load_part(folders.split / "val")
    decision = decide(partial(predict_images, network), val, settings, seed) | data
    write_json(folders.models / "decision.json", decision)

    def predict(images: np.ndarray) -> np.ndarray:
        return apply_temperature(predict_images(network, images), decision["temperature"])

    test = load_part(folders.split / "test")
    manifest = load_manifest(folders.split / "manifest.csv")
    scores = Scores(test.labels, predict(test.images), part_groups(manifest, "test"))
    weights = sorted((folders.models / "epochs").glob("*.weights.h5"))
    epochs = tabulate_epochs(
        pd.read_csv(folders.plots / "history.csv"),
        test.labels,
        predict_epochs(model, weights, test.images),
    )
    figures = measure(scores, decision["threshold"], settings, seed)
    figures |= {"data": data["name"], "threshold": decision["threshold"]}
    figures |= {"temperature": decision["temperature"], "model_sha256": hash_file(model)}
    shifts = measure_shifts(predict, test.images, test.labels, decision["threshold"], seed)
    figures |= summarise_shifts(shifts)
    if data["name"] == "phantom":
        figures["note"] = SIMULATED
    predicted = (scores.probabilities >= decision["threshold"]).astype(int)
    cells = metrics.confusion(scores.labels, predicted, np.ones((1, len(predicted))))
    figures |= {name: int(count[0]) for name, count in cells.items()}
    write_json(folders.metrics, figures)
    write_tables(folders.plots, scores, manifest, epochs, decision["threshold"])
    write_csv(folders.plots / "shift.csv", shifts)
    write_csv(folders.plots / "roc_band.csv", bootstrap_roc(scores, settings, seed))
    draw_pictures(folders.plots, figures)
    write_card(folders.models / "card.md", figures, settings.confidence)
    return figures


def decide(
    predict: Callable[[np.ndarray], np.ndarray], val: Part, settings: EvaluateParams, seed: int
) -> dict[str, Any]:
    """Temperature and threshold, fitted on validation images, also as other sites might make them.

    Images of one hospital are told apart so easily that any threshold in a wide gap looks best;
    those under `mixed` shifts say which one holds elsewhere.
    """
    images, labels = np.asarray(val.images), val.labels
    if settings.fit_on == "shifted":
        images = np.concatenate([images, shift_images(images, "mixed", seed)])
        labels = np.concatenate([labels, labels])
    raw = predict(images)
    temperature = fit_temperature(labels, raw)
    threshold = choose_threshold(
        labels,
        apply_temperature(raw, temperature),
        settings.threshold_rule,
        settings.threshold_target,
    )
    return {
        "temperature": temperature,
        "threshold": threshold,
        "rule": settings.threshold_rule,
        "fit_on": settings.fit_on,
    }


def summarise_shifts(shifts: pd.DataFrame) -> dict[str, float]:
    """Mean and worst over the shift suite of AUC and of accuracy at the fixed threshold."""
    changed = shifts[shifts["shift"] != "none"]
    return {
        f"shift_{name}_{word}": float(value)
        for name in ("auc", "accuracy")
        for word, value in (("mean", changed[name].mean()), ("worst", changed[name].min()))
    }


def measure(
    scores: Scores, threshold: float, settings: EvaluateParams, seed: int
) -> dict[str, Any]:
    """All figures flat: name, name_low, name_high; nulls are explained under `reasons`."""
    table = estimate(
        scores.labels,
        scores.probabilities,
        scores.groups,
        threshold,
        draws=settings.bootstrap_draws,
        confidence=settings.confidence,
        seed=seed,
    )
    flat: dict[str, Any] = {}
    for name, row in table.items():
        flat |= {name: row["value"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
    reasons = {name: row["reason"] for name, row in table.items() if "reason" in row}
    flat |= {"reasons": reasons} if reasons else {}
    counts = {"images": len(scores.labels), "patients": len(np.unique(scores.groups))}
    return flat | counts | {"prevalence": float(scores.labels.mean())}


def tabulate_epochs(history: pd.DataFrame, labels: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
    """Columns epoch, {train,val,test}_{loss,accuracy}; test from the weights of each epoch."""
    wide = history.pivot_table(index="epoch", columns="part", values=["loss", "accuracy"])
    table = pd.DataFrame(
        {f"{p}_{m}": wide[(m, p)] for m in ("loss", "accuracy") for p in ("train", "val")}
    )
    ones = np.ones((1, len(labels)))
    table["test_loss"] = [float(metrics.log_loss(labels, row, ones)[0]) for row in scores]
    table["test_accuracy"] = [float(((row >= 0.5) == labels).mean()) for row in scores]
    return table.reset_index()


def tabulate_roc(scores: Scores) -> pd.DataFrame:
    """Columns fpr, tpr and threshold; empty where a class is missing."""
    from sklearn.metrics import roc_curve

    if len(np.unique(scores.labels)) < 2:
        return pd.DataFrame({"fpr": [], "tpr": [], "threshold": []})
    fpr, tpr, thresholds = roc_curve(scores.labels, scores.probabilities)
    return pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": np.minimum(thresholds, 1)})


def write_tables(
    folder: Path, scores: Scores, manifest: pd.DataFrame, epochs: pd.DataFrame, threshold: float
) -> None:
    """roc.csv, confusion.csv (a row a sample), predictions.csv and epochs.csv."""
    write_csv(folder / "roc.csv", tabulate_roc(scores))
    predicted = (scores.probabilities >= threshold).astype(int)
    samples = pd.DataFrame({"actual": scores.labels, "predicted": predicted})
    write_csv(folder / "confusion.csv", samples.replace(dict(enumerate(NAMES))))
    paths = manifest[manifest["split"] == "test"].sort_values("row")["path"].to_numpy()
    table = {"path": paths, "group": scores.groups, "label": scores.labels}
    write_csv(folder / "predictions.csv", pd.DataFrame(table | {"p": scores.probabilities}))
    write_csv(folder / "epochs.csv", epochs)


def bootstrap_roc(scores: Scores, settings: EvaluateParams, seed: int) -> pd.DataFrame:
    """Columns fpr, low and high (sensitivity), from at most 500 draws of patients."""
    from sklearn.metrics import roc_curve

    curves = []
    for weights in draw_weights(scores.groups, min(500, settings.bootstrap_draws), seed):
        drawn = weights > 0
        if len(np.unique(scores.labels[drawn])) < 2:
            continue
        fpr, tpr, _ = roc_curve(
            scores.labels[drawn], scores.probabilities[drawn], sample_weight=weights[drawn]
        )
        curves.append(np.interp(GRID, fpr, tpr))
    if not curves:
        return pd.DataFrame({"fpr": [], "low": [], "high": []})
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(curves, [tail, 1 - tail], axis=0)
    return pd.DataFrame({"fpr": GRID, "low": low, "high": high})
