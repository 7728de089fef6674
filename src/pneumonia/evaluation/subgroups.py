"""The same figures by sex, age, view, source, kind of pneumonia: by column or by file name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumonia.errors import InputError
from pneumonia.evaluation import metrics
from pneumonia.evaluation.figures import Scores, explainer, tell_broken
from pneumonia.evaluation.intervals import Estimate, Resampling, resample
from pneumonia.params import EvaluateParams

FIXED = frozenset({
    "path", "sha256", "label", "group", "published", "split", "row", "reason", "width", "height",
    "patient", "duplicate_of",
})  # fmt: skip
REPORTED = ("auc", "sensitivity", "specificity")
SMALL = 10  # images of either class, or patients: below, a figure is hardly one
MAX_VALUES = 12
BANDS = 4


def tabulate_subgroups(
    scores: Scores,
    rows: pd.DataFrame,
    threshold: float,
    settings: EvaluateParams,
    how: Resampling,
) -> pd.DataFrame:
    """A row a subgroup, the first is all; `rows` are the manifest's, aligned with the scores.

    Columns by, group, images, patients, positives, negatives, REPORTED with _low and _high, small,
    note. Raises InputError for a column that the manifest lacks.
    """
    table = [_measure("all", "all", scores, threshold, how)]
    for by, group, members in find_subgroups(rows, scores.labels, settings):
        table.append(_measure(by, group, scores.pick(members), threshold, how))
    return pd.DataFrame(table)


def find_subgroups(
    rows: pd.DataFrame, labels: np.ndarray, settings: EvaluateParams
) -> Iterator[tuple[str, str, np.ndarray]]:
    """What it is by, its name, and which images are in it, bool (N,)."""
    for column in choose_columns(rows, settings.subgroups):
        values = band_values(rows[column])
        for value in sorted(set(values) - {""}, key=_natural):
            yield column, value, (values == value).to_numpy()
    names = [Path(path).name for path in rows["path"]]
    for name, pattern in settings.subgroup_patterns.items():
        matching = np.array([bool(re.search(pattern, file)) for file in names], bool)
        if matching.any():
            yield "pattern", name, complete(matching, labels)


def choose_columns(rows: pd.DataFrame, wanted: str | list[str]) -> list[str]:
    """The columns asked for; `auto`: all that say something of 2 to 12 kinds."""
    free = [column for column in rows.columns if column not in FIXED]
    if isinstance(wanted, list):
        for column in wanted:
            if column not in free:
                raise InputError(
                    f"evaluate.subgroups names {column!r}, no column of data/split/manifest.csv; "
                    f"it has {', '.join(free) or 'none to group by'}"
                )
        return wanted
    kinds = {column: len(set(band_values(rows[column])) - {""}) for column in free}
    return [column for column, count in kinds.items() if 2 <= count <= MAX_VALUES]


def band_values(column: pd.Series) -> pd.Series:
    """Text as it is; numbers of many values as four bands of equal counts, '34 to 52'."""
    text = column.astype(str)
    numbers = pd.to_numeric(text.mask(text == ""), errors="coerce")
    if numbers.nunique() <= MAX_VALUES or numbers.isna().ne(text == "").any():
        return text
    codes = pd.qcut(numbers, BANDS, labels=False, duplicates="drop")
    ends = numbers.groupby(codes).agg(["min", "max"])
    words = {code: f"{low:g} to {high:g}" for code, (low, high) in ends.iterrows()}
    return codes.map(words).fillna("")


def _natural(text: str) -> list[tuple[int, float, str]]:
    """Numbers within text in their order: '9 to 12' before '10 to 30'."""
    parts = re.findall(r"(\d+(?:\.\d+)?)|(\D+)", text)
    return [(0, float(number), "") if number else (1, 0.0, word) for number, word in parts]


def tell_unmatched(table: pd.DataFrame, settings: EvaluateParams) -> dict[str, str]:
    """Why a pattern of `subgroup_patterns` has no row in the table, so that a typo is seen."""
    found = set(table.loc[table["by"] == "pattern", "group"])
    return {
        f"subgroup {name}": f"no file name matches {pattern!r}"
        for name, pattern in settings.subgroup_patterns.items()
        if name not in found
    }


def complete(matching: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Images whose name matches; where they are of one class, against all of the other class.

    Bacteria and virus are kinds of pneumonia: each is told from every image without pneumonia.
    """
    present = set(labels[matching])
    return matching if len(present) == 2 else matching | ~np.isin(labels, list(present))


def _measure(
    by: str, group: str, scores: Scores, threshold: float, how: Resampling
) -> dict[str, Any]:
    positives, images = int(scores.labels.sum()), len(scores.labels)
    patients = len(np.unique(scores.groups))
    row: dict[str, Any] = {
        "by": by,
        "group": group,
        "images": images,
        "patients": patients,
        "positives": positives,
        "negatives": images - positives,
    }
    estimates = _estimate(scores, threshold, how)
    for name in REPORTED:
        found = estimates[name]
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    small = min(positives, images - positives, patients) < SMALL
    notes = dict.fromkeys(f"{n}: {estimates[n].reason}" for n in REPORTED if estimates[n].reason)
    return row | {"small": str(small).lower(), "note": "; ".join(notes)}


def _estimate(scores: Scores, threshold: float, how: Resampling) -> dict[str, Estimate]:
    if not scores.finite:
        return dict.fromkeys(REPORTED, Estimate(None, reason=tell_broken(scores)))
    called = (scores.p >= threshold).astype(int)

    def figures(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = metrics.rates(scores.labels, called, weights)
        areas = metrics.auc(scores.labels, scores.p, weights)
        return {"auc": areas} | {name: found[name] for name in REPORTED[1:]}

    return resample(figures, scores.groups, how, explainer(scores, threshold))
