"""The figures of metrics/data.json: what came in, what was left out and why, what leaks.

Details are lists, which DVC's tables of metrics pass over, so that these stay readable.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pneumonia.data.duplicates import NearPair
from pneumonia.data.partition import count_parts
from pneumonia.data.shortcuts import audit_shortcuts, warn_of_shortcuts

LISTED = 100  # files left out that are named
MEASURED = {
    "width": "width (pixels)", "height": "height (pixels)",
    "brightness": "mean grey value (0 to 255)",
    "contrast": "standard deviation of the grey values (0 to 255)",
}  # fmt: skip
VALUES = 12  # of a column up to which its values are counted one by one


def describe(
    table: pd.DataFrame,
    extras: pd.DataFrame,
    near: Sequence[NearPair],
    slices: int,
    leaks: dict[str, Any] | None,
    name: str,
) -> dict[str, Any]:
    """All figures of a split table, one row a file; `extras` are the user's row-aligned columns.

    `slices` counts the files that were given the patient of a neighbouring slice.
    """
    usable = table[table["reason"] == ""]
    left_out = table[table["reason"] != ""]
    kinds = left_out["reason"].str.split(":").str[0].value_counts()
    shortcuts = audit_shortcuts(table)
    figures: dict[str, Any] = {
        "name": name,
        "simulated": name == "phantom",
        "files": len(table),
        "used": len(usable),
        "left_out": len(left_out),
        "reasons": {str(kind): int(count) for kind, count in kinds.items()},
        "left_out_files": dict(
            zip(left_out["path"].head(LISTED), left_out["reason"].head(LISTED), strict=True)
        ),
        "patients": int(usable["group"].nunique()),
        "joined_patients": int(usable["patient"].nunique() - usable["group"].nunique()),
        "joined_slices": slices,
        "duplicates": int(usable["pixels"].duplicated().sum()),
        "near_copies": list_near_copies(table, near),
        "distributions": [
            summarise("images per patient", usable.groupby("group").size()),
            *(summarise(words, usable[column]) for column, words in MEASURED.items()),
        ],
        "burned_in": int((extras["burned_in"] == "YES").sum()) if "burned_in" in extras else 0,
        "parts": count_parts(table),
        "subgroups": count_subgroups(table, extras),
        "shortcuts": shortcuts,
    }
    if leaks:
        figures["published"] = leaks
    warnings = warn_of_names(table) + warn_of_leaks(leaks) + warn_of_shortcuts(shortcuts)
    return figures | {"warnings": warnings}


def summarise(what: str, values: pd.Series) -> dict[str, str | float]:
    """Least, middle and greatest value."""
    return {
        "of": what,
        "min": float(values.min()),
        "median": round(float(values.median()), 3),
        "max": float(values.max()),
    }


def list_near_copies(table: pd.DataFrame, near: Sequence[NearPair]) -> dict[str, Any]:
    """How many files are near copies of another, and the least alike pairs to look at."""
    paths = table["path"].to_numpy()
    doubtful = sorted(near, key=lambda pair: (pair.correlation, pair.first))[:20]
    return {
        "files": len({row for pair in near for row in (pair.first, pair.second)}),
        "pairs": len(near),
        "least_alike": [
            f"{paths[pair.first]} {paths[pair.second]} {pair.correlation:.3f}" for pair in doubtful
        ],
    }


def count_subgroups(table: pd.DataFrame, extras: pd.DataFrame) -> list[dict[str, Any]]:
    """Images by part for each value of a column; of a column with many values only their number."""
    counts: list[dict[str, Any]] = []
    for column in extras:
        values = extras[column].replace("", "not given")
        if values.nunique() > VALUES:
            counts.append({"column": str(column), "values": int(values.nunique())})
            continue
        parts = table["split"].replace("", "left_out")
        crossed = pd.crosstab(values, parts)
        for value, row in crossed.iterrows():
            by_part = {str(part): int(count) for part, count in row.items()}
            counts.append({"column": str(column), "value": str(value), **by_part})
    return counts


def warn_of_names(table: pd.DataFrame) -> list[str]:
    """A sentence where files of one name, but of two classes or parts, made one patient."""
    named = table.assign(name=table["path"].str.rpartition("/")[2])
    found = [patient in name for patient, name in zip(named["patient"], named["name"], strict=True)]
    named = named[found]
    sides = named.groupby(["patient", "name"])[["label", "published"]].transform("nunique")
    doubtful = named[sides.max(axis=1) > 1]
    if doubtful.empty:
        return []
    first, second = doubtful.loc[doubtful["name"] == doubtful["name"].iloc[0], "path"].iloc[:2]
    return [
        f"{len(doubtful)} files that have one name in several folders, like {first} and {second}, "
        "are taken for one patient's: if they are not, name patients in a table (docs/data.md)"
    ]


def warn_of_leaks(leaks: dict[str, Any] | None) -> list[str]:
    """A sentence where the published partition has a patient or a picture on two sides."""
    if not leaks or not (leaks["patients"] or leaks["equal_pictures"] or leaks["near_copies"]):
        return []
    if leaks["repaired"]:
        done = "repaired: only the images in test, or else in val, stay"
    elif leaks["kept"]:
        done = "not repaired, as split.repair_published is false: test figures are too good"
    else:
        done = "without effect, as the parts are carved anew"
    return [
        f"the published split has on two sides {leaks['patients']} patients, "
        f"{leaks['equal_pictures']} equal pictures and {leaks['near_copies']} near copies; {done}"
    ]
