"""Cross-validation: the runs of one setting that differ by `split.fold` alone, as one row."""

from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any

FOLD, FOLDS = "split.fold", "split.folds"
OWN = ("best.", "tracking.")  # what a search found in its fold, and what changes no figure
Row = dict[str, Any]
Key = tuple[str | None, frozenset[tuple[str, str]]]


def summarise_folds(rows: list[Row]) -> list[Row]:
    """A row for each setting of which two folds or more have figures.

    `rows` come newest first, with all their parameters: of several results of a fold the newest
    counts. A metric's value is the mean over `folds`, its `spread` the standard deviation; a fold's
    own interval tells of its patients, the spread also of the training.
    """
    groups: dict[Key, dict[int, Row]] = {}
    for row in rows:
        parameters = row["parameters"]
        if row["metrics"] and int(parameters.get(FOLDS, 0)):
            groups.setdefault(make_key(row), {}).setdefault(int(parameters[FOLD]), row)
    return [describe_folds(folds) for folds in groups.values() if len(folds) > 1]


def make_key(row: Row) -> Key:
    """What the folds of one setting share: the commit that they began at and all other values."""
    kept = {k: v for k, v in row["parameters"].items() if k != FOLD and not k.startswith(OWN)}
    return row["baseline"], frozenset(kept.items())


def describe_folds(folds: Mapping[int, Row]) -> Row:
    """Means and spreads of the metrics that all folds have, and the parameters that they share."""
    first, *others = (row["metrics"] for row in folds.values())
    names = [name for name in first if all(name in other for other in others)]
    values = {name: [row["metrics"][name]["value"] for row in folds.values()] for name in names}
    shared = frozenset.intersection(*(frozenset(r["parameters"].items()) for r in folds.values()))
    return dict.fromkeys(next(iter(folds.values()))) | {
        "folds": sorted(folds),
        "of_folds": int(dict(shared)[FOLDS]),
        "metrics": {
            name: {"value": mean(v), "spread": stdev(v), "low": None, "high": None}
            for name, v in values.items()
        },
        "parameters": dict(shared),
    }


def name_folds(row: Row) -> str:
    """'mean of folds 0, 1, 2 of 5'."""
    numbers = ", ".join(str(number) for number in row["folds"])
    return f"mean of folds {numbers} of {row['of_folds']}"
