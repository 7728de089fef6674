"""Two models on the same test images: is one better, or is it chance?"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumonia import revisions
from pneumonia.errors import InputError
from pneumonia.evaluation import metrics
from pneumonia.evaluation.delong import compare_aucs
from pneumonia.evaluation.intervals import Resampling, resample
from pneumonia.evaluation.tables import read_table

PREDICTIONS, FIGURES = Path("plots/predictions.csv"), Path("metrics/evaluate.json")
BY_SCORE = ("auc", "average_precision", "brier", "loss", "ece")
EXACT_BELOW = 25  # images on which the two differ: McNemar's exact test below


def load_predictions(name: str, experiment: str, environ: Mapping[str, str]) -> pd.DataFrame:
    """path, group, label, p and predicted of `workspace`, a DVC revision or an MLflow run's id.

    Raises InputError where the name means nothing or the result has no predictions.
    """
    read = _find_reader(name, experiment, environ)
    content = read(PREDICTIONS)
    if content is None:
        raise InputError(f"{name} has no {PREDICTIONS}: run `dvc repro` there and commit it")
    table = read_table(BytesIO(content))
    if "predicted" not in table:  # of a version that left the threshold to the figures
        threshold = json.loads(read(FIGURES) or b"{}").get("threshold", 0.5)
        table["predicted"] = (table["p"] >= threshold).astype(int)
    return table


def _find_reader(
    name: str, experiment: str, environ: Mapping[str, str]
) -> Callable[[Path], bytes | None]:
    """What gives the files of a result by their paths, None for one that it lacks."""
    if name == revisions.WORKSPACE:
        return lambda path: path.read_bytes() if path.is_file() else None
    if commit := revisions.find_commit(name):
        return partial(revisions.read_tracked, commit)
    from pneumonia.tracking_results import download, find_run

    if run_id := find_run(name, experiment, environ):
        return partial(download, run_id)
    raise InputError(
        f"{name} is no Git revision, no DVC experiment and no MLflow run: see `pneumonia runs`"
    )


def align(first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str]) -> pd.DataFrame:
    """One row an image, columns of the second with _2; InputError unless they are the same."""
    paths = set(first["path"]), set(second["path"])
    if paths[0] != paths[1]:
        only = [sorted(paths[0] - paths[1]), sorted(paths[1] - paths[0])]
        raise InputError(
            f"{names[0]} and {names[1]} were tested on different images ({len(only[0])} and "
            f"{len(only[1])} are in one alone, like {(only[0] + only[1])[0]}): compare results "
            "of the same data, seed and split"
        )
    both = first.merge(second, on="path", suffixes=("", "_2"), validate="one_to_one")
    if differing := int((both["label"] != both["label_2"]).sum()):
        raise InputError(
            f"{names[0]} and {names[1]} have different labels for {differing} of {len(both)} "
            "images: compare results of the same data"
        )
    return both


def compare(both: pd.DataFrame, names: tuple[str, str], how: Resampling) -> dict[str, Any]:
    """Figures of both with the interval of their difference, tests, and a sentence.

    `both` is what `align` gives; a difference is second minus first.
    """
    labels, groups = both["label"].to_numpy(int), both["group"].to_numpy(dtype=str)
    first, second = both["p"].to_numpy(float), both["p_2"].to_numpy(float)
    result: dict[str, Any] = {
        "first": names[0],
        "second": names[1],
        "images": len(both),
        "patients": len(np.unique(groups)),
        "confidence": how.confidence,
        "figures": compare_figures(both, groups, how),
    }
    if np.isfinite(first).all() and np.isfinite(second).all():
        result["delong"] = compare_aucs(labels, first, second, None, how.confidence)
        result["delong_patients"] = compare_aucs(labels, first, second, groups, how.confidence)
        right = ((both[column] == labels).to_numpy() for column in ("predicted", "predicted_2"))
        result["mcnemar"] = run_mcnemar(*right)
    return result | {"sentence": say(result)}


def compare_figures(
    both: pd.DataFrame, groups: np.ndarray, how: Resampling
) -> dict[str, dict[str, Any]]:
    """first, second, difference, low, high and perhaps reason of every figure."""

    def differ(weights: np.ndarray) -> dict[str, np.ndarray]:
        first, second = (_measure(both, ending, weights) for ending in ("", "_2"))
        return {name: second[name] - first[name] for name in first}

    estimates = resample(differ, groups, how, lambda *_: "one of the two has no such figure")
    ones = np.ones((1, len(both)))
    sides = {key: _measure(both, end, ones) for key, end in (("first", ""), ("second", "_2"))}
    table = {}
    for name, found in estimates.items():
        row = {key: _finite(side[name][0]) for key, side in sides.items()}
        row |= {"difference": found.value, "low": found.low, "high": found.high}
        table[name] = row | ({"reason": found.reason} if found.reason else {})
    return table


def _measure(both: pd.DataFrame, ending: str, weights: np.ndarray) -> dict[str, np.ndarray]:
    labels, p = both["label"].to_numpy(int), both[f"p{ending}"].to_numpy(float)
    by_score = metrics.all_metrics(labels, p, 0.5, weights)
    called = both[f"predicted{ending}"].fillna(0).to_numpy(int)
    rates = metrics.rates(labels, called, weights)
    known = 1.0 if np.isfinite(p).all() else np.nan
    kept = {name: values * known for name, values in rates.items() if name[:3] != "lr_"}
    return {name: by_score[name] for name in BY_SCORE} | kept


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def run_mcnemar(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """Whether two models are right on as many images, from bool (N,): McNemar 1947.

    Exact (binomial) where they differ on fewer than 25 images, else chi-square with continuity
    correction. Each image counts by itself.
    """
    from scipy.stats import binomtest, chi2

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    counts = {"only_first_right": only_first, "only_second_right": only_second}
    differing = only_first + only_second
    if differing < EXACT_BELOW:
        p = float(binomtest(only_first, differing).pvalue) if differing else 1.0
        return counts | {"p": p, "method": "exact"}
    statistic = (abs(only_first - only_second) - 1) ** 2 / differing
    return counts | {"p": float(chi2.sf(statistic, 1)), "method": "chi-square"}


def say(result: dict[str, Any]) -> str:
    """One sentence on the AUCs, from the draws of patients."""
    auc = result["figures"]["auc"]
    first, second = result["first"], result["second"]
    if auc["difference"] is None:
        return f"{first} and {second} cannot be compared by AUC: {auc['reason']}"
    told = f"AUC of {second} minus {first}: {auc['difference']:+.4f}"
    if auc["low"] is None:
        return f"{told}; {auc['reason']}"
    told += f" ({100 * result['confidence']:g}% interval {auc['low']:+.4f} to {auc['high']:+.4f})"
    if auc["low"] <= 0 <= auc["high"]:
        return f"{told}: chance alone may make such a difference"
    return f"{told}: {second if auc['low'] > 0 else first} is better on these images"


def show_comparison(result: dict[str, Any]) -> None:
    """The comparison as a table on standard output, with tests and sentence below."""
    from rich.console import Console
    from rich.table import Table

    ends = f"{100 * result['confidence']:g}% interval"
    table = Table("figure", result["first"], result["second"], "difference", ends)
    for name, row in result["figures"].items():
        sides = ["none" if row[k] is None else f"{row[k]:.4f}" for k in ("first", "second")]
        known = row["difference"] is not None
        change = f"{row['difference']:+.4f}" if known else "none"
        bounded = row["low"] is not None and row["high"] is not None
        interval = f"{row['low']:+.4f} to {row['high']:+.4f}" if bounded else row["reason"]
        table.add_row(name, *sides, change, interval)
    console = Console(markup=False)
    console.print(table)
    console.print(f"{result['images']} images of {result['patients']} patients, all in both")
    for key, name in (("delong", "DeLong, by image"), ("delong_patients", "DeLong, by patient")):
        if result.get(key, {}).get("p") is not None:
            console.print(f"{name}: z = {result[key]['z']:.3f}, p = {result[key]['p']:.4g}")
    if found := result.get("mcnemar"):
        console.print(
            f"McNemar ({found['method']}): {found['only_first_right']} images right in "
            f"{result['first']} alone, {found['only_second_right']} in {result['second']} alone, "
            f"p = {found['p']:.4g}"
        )
    console.print(result["sentence"])
