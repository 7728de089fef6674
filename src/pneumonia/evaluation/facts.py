"""What the report and the model card say, gathered from the pipeline's own files."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pneumonia.errors import InputError
from pneumonia.evaluation.tables import read_table
from pneumonia.files import hash_file, read_json

HEADLINE = {
    "auc": "AUC", "sensitivity": "Sensitivity", "specificity": "Specificity", "ppv": "PPV",
    "npv": "NPV", "ece": "ECE",
}  # fmt: skip
TITLES = {
    "auc": "AUC (area under the ROC curve)",
    "average_precision": "Average precision",
    "sensitivity": "Sensitivity (recall)",
    "specificity": "Specificity",
    "ppv": "Positive predictive value (precision)",
    "npv": "Negative predictive value",
    "lr_positive": "Positive likelihood ratio",
    "lr_negative": "Negative likelihood ratio",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "mcc": "Matthews correlation coefficient",
    "brier": "Brier score",
    "loss": "Log loss (nats)",
    "ece": "Expected calibration error",
    "calibration_slope": "Calibration slope (1 is ideal)",
    "calibration_intercept": "Calibration intercept (0 is ideal)",
    "calibration_in_the_large": "Calibration in the large (0 is ideal)",
}
WORST = 10  # errors that the report names


@dataclass(frozen=True)
class ResultPaths:
    """Where one pipeline result lies."""

    metrics: Path = Path("metrics")
    plots: Path = Path("plots")
    models: Path = Path("models")
    split: Path = Path("data/split")


@dataclass(frozen=True)
class Facts:
    """One result: JSON files as they are, `pictures` name -> data URI, tables, sha256 by file.

    An external result has no data, train, tune and hyperparameters: they are empty.
    """

    figures: dict[str, Any]
    data: dict[str, Any]
    train: dict[str, Any]
    tune: dict[str, Any]
    hyperparameters: dict[str, Any]
    params: dict[str, Any]
    pictures: dict[str, str]
    subgroups: pd.DataFrame
    predictions: pd.DataFrame
    hashes: dict[str, str]

    def number(self, name: str) -> str:
        """A figure to three digits, or 'none'."""
        return show(self.figures.get(name))

    def interval(self, name: str) -> str:
        """'0.930 to 0.965', or why there is none."""
        return show_interval(self.figures, name, self.figures.get("reasons", {}).get(name, ""))


def gather_facts(paths: ResultPaths, params: dict[str, Any]) -> Facts:
    """Read a result. Raises InputError where a file is missing, or model and figures disagree."""
    figures = read_json(paths.metrics / "evaluate.json")
    model = paths.models / "model.keras"
    if not model.exists():
        raise InputError(f"{model} does not exist: run `dvc repro` or `dvc pull`")
    files = {"data/split/manifest.csv": paths.split / "manifest.csv", "models/model.keras": model}
    hashes = {name: hash_file(path) for name, path in files.items()}
    if figures["model_sha256"] != hashes["models/model.keras"]:
        raise InputError(f"{paths.metrics}/evaluate.json is not of {model}: run `dvc repro`")
    return Facts(
        figures=figures,
        data=read_json(paths.metrics / "data.json"),
        train=read_json(paths.metrics / "train.json"),
        tune=read_json(paths.metrics / "tune.json"),
        hyperparameters=read_json(paths.models / "hyperparameters.json"),
        params=params,
        pictures={path.stem: embed(path) for path in sorted(paths.plots.glob("*.png"))},
        subgroups=_read_if_there(paths.plots / "subgroups.csv"),
        predictions=_read_if_there(paths.plots / "predictions.csv"),
        hashes=hashes,
    )


def gather_external(metrics: Path, plots: Path, params: dict[str, Any]) -> Facts:
    """Read what `pneumonia evaluate` wrote about another data set."""
    figures = read_json(metrics)
    return Facts(
        figures=figures,
        data={},
        train={},
        tune={},
        hyperparameters={},
        params=params,
        pictures={path.stem: embed(path) for path in sorted(plots.glob("*.png"))},
        subgroups=_read_if_there(plots / "subgroups.csv"),
        predictions=_read_if_there(plots / "predictions.csv"),
        hashes={"models/model.keras": figures["model_sha256"]},
    )


def _read_if_there(path: Path) -> pd.DataFrame:
    return read_table(path) if path.exists() else pd.DataFrame()


def embed(path: Path) -> str:
    """A PNG as data URI, so that the page needs no other file."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def show(value: Any) -> str:
    """A number to three digits; text as it is; what is missing as 'none'."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "none"
    return "none" if number != number else f"{number:.3f}"


def show_interval(figures: dict[str, Any], name: str, reason: str = "") -> str:
    """The interval of a figure; `low` without `high` has no upper end."""
    low, high = show(figures.get(f"{name}_low")), show(figures.get(f"{name}_high"))
    if low == "none":
        return reason
    return f"{low} to {'infinity' if high == 'none' else high}"


def list_misses(predictions: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The wrongly judged images, the surest error first; columns path, group, label, p."""
    wrong = (predictions["p"] >= threshold).astype(int) != predictions["label"]
    ranked = predictions.assign(error=(predictions["p"] - predictions["label"]).abs())
    ranked = ranked[wrong & predictions["p"].notna()]
    return ranked.sort_values(["error", "path"], ascending=[False, True]).drop(columns="error")
