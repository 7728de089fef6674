"""The curves of one set of scores as tables, each with its interval; empty where there is none."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from pneumonia.evaluation.figures import Scores
from pneumonia.evaluation.intervals import Resampling, draw_weights, wilson
from pneumonia.evaluation.metrics import confusion
from pneumonia.files import write_csv

NAMES = ("no pneumonia", "pneumonia")
GRID = np.linspace(0, 1, 101)
ODDS = np.arange(1, 100) / 100
BAND_DRAWS = 500
BINS = 10
TEXTS = ("path", "group", "by", "note")


def write_tables(
    folder: Path, scores: Scores, paths: np.ndarray, threshold: float, how: Resampling
) -> None:
    """predictions, confusion, roc, roc_band, pr, calibration and decision_curve, all CSV."""
    write_csv(folder / "predictions.csv", list_predictions(scores, paths, threshold))
    write_csv(folder / "confusion.csv", list_outcomes(scores, threshold))
    write_csv(folder / "roc.csv", tabulate_roc(scores))
    write_csv(folder / "roc_band.csv", bound_roc(scores, how))
    write_csv(folder / "pr.csv", tabulate_precision(scores))
    both = {"raw": scores.raw, "calibrated": scores.p}
    tables = [tabulate_calibration(scores, name, p, how.confidence) for name, p in both.items()]
    write_csv(folder / "calibration.csv", pd.concat(tables))
    write_csv(folder / "decision_curve.csv", tabulate_benefit(scores, how))


def read_table(source: Path | BytesIO) -> pd.DataFrame:
    """A table of `plots/`: texts as they stand, also a patient or group that is called NA.

    An empty cell is '' among texts, NaN elsewhere.
    """
    texts = dict.fromkeys(TEXTS, str)
    table = pd.read_csv(source, dtype=texts, keep_default_na=False, na_values=[""])
    return table.fillna({name: "" for name in TEXTS if name in table})


def list_predictions(scores: Scores, paths: np.ndarray, threshold: float) -> pd.DataFrame:
    """Columns path, group, label, raw, p, predicted (empty without a score); a row an image."""
    table = {"path": paths, "group": scores.groups, "label": scores.labels, "raw": scores.raw}
    predicted = pd.Series(scores.p >= threshold).astype("Int64").mask(~np.isfinite(scores.p))
    return pd.DataFrame(table | {"p": scores.p, "predicted": predicted})


def list_outcomes(scores: Scores, threshold: float) -> pd.DataFrame:
    """Columns actual and predicted in words, as DVC's confusion template wants them."""
    if not scores.finite:
        return pd.DataFrame(columns=["actual", "predicted"])
    predicted = (scores.p >= threshold).astype(int)
    return pd.DataFrame(
        {"actual": np.take(NAMES, scores.labels), "predicted": np.take(NAMES, predicted)}
    )


def has_curves(scores: Scores) -> bool:
    """Whether both classes are there and every score is a number."""
    return scores.finite and len(np.unique(scores.labels)) == 2


def tabulate_roc(scores: Scores) -> pd.DataFrame:
    """Columns fpr, tpr and threshold (positive at or above it; the first one finds nothing)."""
    from sklearn.metrics import roc_curve

    if not has_curves(scores):
        return pd.DataFrame(columns=["fpr", "tpr", "threshold"])
    fpr, tpr, thresholds = roc_curve(scores.labels, scores.p)
    return pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": np.minimum(thresholds, 1)})


def bound_roc(scores: Scores, how: Resampling) -> pd.DataFrame:
    """Columns fpr, low, high: sensitivity over `GRID` in at most 500 draws of patients."""
    from sklearn.metrics import roc_curve

    curves = []
    draws = min(BAND_DRAWS, how.draws) if has_curves(scores) else 0
    for weights in draw_weights(scores.groups, draws, how.seed):
        for row in weights:
            labels, p = scores.labels[row > 0], scores.p[row > 0]
            if len(np.unique(labels)) == 2:
                fpr, tpr, _ = roc_curve(labels, p, sample_weight=row[row > 0])
                curves.append(np.interp(GRID, fpr, tpr))
    if not curves:
        return pd.DataFrame(columns=["fpr", "low", "high"])
    low, high = np.quantile(curves, _tails(how), axis=0)
    return pd.DataFrame({"fpr": GRID, "low": low, "high": high})


def tabulate_precision(scores: Scores) -> pd.DataFrame:
    """Columns recall, precision and threshold, from the lowest threshold up."""
    from sklearn.metrics import precision_recall_curve

    if not has_curves(scores):
        return pd.DataFrame(columns=["recall", "precision", "threshold"])
    precision, recall, thresholds = precision_recall_curve(scores.labels, scores.p)
    ends = np.append(thresholds, 1.0)
    return pd.DataFrame({"recall": recall, "precision": precision, "threshold": ends})


def tabulate_calibration(
    scores: Scores, name: str, p: np.ndarray, confidence: float
) -> pd.DataFrame:
    """Columns scores (`name`), bin_low, bin_high, images, p, observed and its Wilson interval."""
    columns = ["scores", "bin_low", "bin_high", "images", "p", "observed"]
    places = np.minimum((np.nan_to_num(p) * BINS).astype(int), BINS - 1)
    rows = []
    for place in np.unique(places) if scores.finite else ():
        members = places == place
        hits, total = int(scores.labels[members].sum()), int(members.sum())
        low, high = wilson(hits, total, confidence) or (np.nan, np.nan)
        ends = (place / BINS, (place + 1) / BINS)
        rows.append((name, *ends, total, p[members].mean(), hits / total, low, high))
    return pd.DataFrame(rows, columns=[*columns, "observed_low", "observed_high"])


def tabulate_benefit(scores: Scores, how: Resampling) -> pd.DataFrame:
    """Columns threshold, model, model_low, model_high, all, none: net benefit per image.

    Source: Vickers and Elkin, Medical Decision Making 2006.
    """
    if not scores.finite:
        columns = ["threshold", "model", "model_low", "model_high", "all", "none"]
        return pd.DataFrame(columns=columns)
    odds = ODDS / (1 - ODDS)
    gains = scores.labels[:, None] - (1 - scores.labels)[:, None] * odds
    gained = np.where(scores.p[:, None] >= ODDS, gains, 0)
    blocks = draw_weights(scores.groups, min(BAND_DRAWS, how.draws), how.seed)
    drawn = np.concatenate([w @ gained / w.sum(1, keepdims=True) for w in blocks])
    low, high = np.quantile(drawn, _tails(how), axis=0)
    table = {"threshold": ODDS, "model": gained.mean(0), "model_low": low, "model_high": high}
    return pd.DataFrame(table | {"all": gains.mean(0), "none": 0.0})


def _tails(how: Resampling) -> list[float]:
    return [(1 - how.confidence) / 2, (1 + how.confidence) / 2]


def count_outcomes(outcomes: pd.DataFrame) -> np.ndarray:
    """Counts (2, 2), rows actual and columns predicted, from `list_outcomes`."""
    actual, predicted = (
        (outcomes[column] == NAMES[1]).to_numpy(int) for column in ("actual", "predicted")
    )
    cells = confusion(actual, predicted, np.ones((1, len(actual))))
    return np.array([[cells["tn"][0], cells["fp"][0]], [cells["fn"][0], cells["tp"][0]]], int)
