"""Who belongs together: patients are found, and joined where they share a picture."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pandas as pd

from pneumonia.data.duplicates import NearPair, Unions
from pneumonia.errors import InputError

PARTS = ("train", "val", "test")


def find_groups(names: Iterable[str], pattern: str) -> list[str]:
    """The patient in each file name: the first group of the regular expression, or its match.

    A name without a match is its own patient. Raises InputError for a bad regular expression.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"split.group_pattern is {pattern!r}, no regular expression ({error}): mend it"
        ) from None
    groups = []
    for name in names:
        match = expression.search(name)
        groups.append((match[1] if expression.groups else match[0]) or name if match else name)
    return groups


def name_pictures(table: pd.DataFrame, near: Sequence[NearPair] = ()) -> pd.Series:
    """One name for all files that show a picture: the first path; '' for an unusable file.

    Columns read: path, pixels (hash), reason; rows of `near` are the table's positions.
    """
    joined = Unions(len(table))
    first: dict[str, int] = {}
    usable = (table["reason"] == "").to_numpy()
    for row, pixels in enumerate(table["pixels"]):
        if usable[row]:
            joined.join(row, first.setdefault(pixels, row))
    for pair in near:
        joined.join(pair.first, pair.second)
    members: dict[int, str] = {}
    for row, path in enumerate(table["path"]):
        name = joined.find(row)
        members[name] = min(path, members.get(name, path))
    return pd.Series(
        [members[joined.find(row)] if usable[row] else "" for row in range(len(table))],
        index=table.index,
    )


def leave_out_contradictions(table: pd.DataFrame) -> pd.DataFrame:
    """A picture with both labels tells nothing: all its files get a reason.

    Columns read: picture, pixels, label, reason; changed: reason.
    """
    table = table.copy()
    usable = table[table["reason"] == ""]
    for column, words in (("picture", "nearly the same picture"), ("pixels", "the same picture")):
        labels = usable.groupby(column)["label"].transform("nunique")
        table.loc[labels.index[labels > 1], "reason"] = f"{words} has both labels"
    return table


def join_patients(table: pd.DataFrame) -> pd.DataFrame:
    """Patients who share a picture become one group, named by the first of them.

    Columns read: patient, picture, reason; set: group.
    """
    names = sorted(table["patient"].unique())
    numbers = {name: number for number, name in enumerate(names)}
    joined = Unions(len(names))
    usable = table[table["reason"] == ""]
    for _, patients in usable.groupby("picture")["patient"]:
        first, *others = (numbers[name] for name in patients.unique())
        for other in others:
            joined.join(first, other)
    groups = [names[joined.find(numbers[name])] for name in table["patient"]]
    return table.assign(group=groups)


def assert_disjoint(table: pd.DataFrame) -> None:
    """No patient and no picture on two sides; a violation is a mistake in this program."""
    used = table[table["split"] != ""]
    for column in ("group", "pixels", "picture"):
        sides = used.groupby(column)["split"].nunique()
        shared = sides[sides > 1].index.tolist()
        if shared:
            raise AssertionError(f"{column} {shared[0]} is on two sides of the split")


def count_parts(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Images of each label and patients, by part."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for part in PARTS:
        rows = table[table["split"] == part]
        counts[part] = {
            "images": len(rows),
            "no_pneumonia": int((rows["label"] == 0).sum()),
            "pneumonia": int((rows["label"] == 1).sum()),
            "patients": int(rows["group"].nunique()),
        }
    return dict(counts)
