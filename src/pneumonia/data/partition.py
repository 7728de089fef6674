"""Who goes where: patients are found, kept together and dealt out to train, val and test."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable

import pandas as pd

from pneumonia.errors import InputError

SMALL_VAL = 0.02
RANK = {"train": 0, "val": 1, "test": 2}


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


def merge_duplicates(table: pd.DataFrame) -> pd.DataFrame:
    """Keep equal pictures together: their patients become one; contradictions are left out.

    Columns read: path, label, group, pixels (hash), reason; changed: group, reason.
    """
    table = table.copy()
    parent: dict[str, str] = {}

    def find(group: str) -> str:
        while parent.get(group, group) != group:
            group = parent[group]
        return group

    usable = table[table["reason"] == ""]
    for _, same in usable.groupby("pixels", sort=True):
        if len(same) == 1:
            continue
        if same["label"].nunique() > 1:
            table.loc[same.index, "reason"] = "the same picture has both labels"
            continue
        first, *others = sorted({find(group) for group in same["group"]})
        parent |= dict.fromkeys(others, first)
    table["group"] = [find(group) for group in table["group"]]
    return table


def keep_published(table: pd.DataFrame) -> pd.DataFrame:
    """Take over published parts; a val of under 2 % joins train; no patient stays on two sides.

    Of a patient on two sides, the images in the rarer-touched part (test before val before train)
    stay and the others are left out, so that a published test part stays whole.
    """
    table = table.copy()
    usable = table["reason"] == ""
    table.loc[usable, "split"] = table.loc[usable, "published"]
    if (table["split"] == "val").sum() < SMALL_VAL * usable.sum():
        table.loc[table["split"] == "val", "split"] = "train"
    rank = table["split"].map(RANK)
    kept = rank.groupby(table["group"]).transform("max")
    leaks = usable & (rank < kept)
    table.loc[leaks, "reason"] = "the patient is in another published part as well"
    table.loc[leaks, "split"] = ""
    return table


def carve(table: pd.DataFrame, shares: dict[str, float], seed: int) -> pd.DataFrame:
    """Deal the patients that are in train or nowhere yet out to train and the parts of `shares`.

    By class, patients come in an order that depends on seed and name alone; each goes to the part
    that lacks most images, so that the parts end within one patient of their shares.
    """
    table = table.copy()
    free = table[(table["reason"] == "") & table["split"].isin(["", "train"])]
    total = (table["reason"] == "").sum()
    wanted = {part: share * total / len(free) for part, share in shares.items()}
    wanted["train"] = 1 - sum(wanted.values())
    if wanted["train"] <= 0:
        raise InputError("split.val_share and split.test_share leave nothing to train: lower them")
    labels = free.groupby("group")["label"].agg(lambda values: int(values.mean() >= 0.5))
    sizes = free.groupby("group").size()
    for label in (0, 1):
        groups = sorted(labels.index[labels == label], key=lambda g: _hash(seed, str(g)))
        _require_groups(label, len(groups), len(wanted))
        homes = deal([(str(group), int(sizes[group])) for group in groups], wanted)
        rows = free.index[free["group"].isin(groups)]
        table.loc[rows, "split"] = table.loc[rows, "group"].map(homes)
    return table


def _hash(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()


def _require_groups(label: int, found: int, needed: int) -> None:
    if found < needed:
        raise InputError(
            f"label {label} has images of {found} patients, but {needed} are needed, one for each "
            "part: bring more patients or mend split.group_pattern"
        )


def deal(groups: list[tuple[str, int]], wanted: dict[str, float]) -> dict[str, str]:
    """The part of each group (name, images): always the one furthest behind its share.

    The first groups go one to each part, so that none is empty.
    """
    total = sum(size for _, size in groups)
    missing = {part: share * total for part, share in wanted.items()}
    homes: dict[str, str] = {}
    for number, (group, size) in enumerate(groups):
        open_parts = [part for part in missing if part not in homes.values()]
        urgent = open_parts and len(groups) - number <= len(open_parts)
        part = max(open_parts if urgent else missing, key=lambda name: missing[name])
        homes[group] = part
        missing[part] -= size
    return homes


def assert_disjoint(table: pd.DataFrame) -> None:
    """No patient and no picture on two sides; a violation is a mistake in this program."""
    used = table[table["split"] != ""]
    for column in ("group", "pixels"):
        sides = used.groupby(column)["split"].nunique()
        shared = sides[sides > 1].index.tolist()
        if shared:
            raise AssertionError(f"{column} {shared[0]} is on two sides of the split")


def count_parts(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Images of each label and patients, by part."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for part in RANK:
        rows = table[table["split"] == part]
        counts[part] = {
            "images": len(rows),
            "no_pneumonia": int((rows["label"] == 0).sum()),
            "pneumonia": int((rows["label"] == 1).sum()),
            "patients": int(rows["group"].nunique()),
        }
    return dict(counts)
