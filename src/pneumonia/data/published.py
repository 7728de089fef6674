"""A train, val and test partition that the data set came with: taken over, its leaks mended."""

from typing import Any

import pandas as pd

SMALL_VAL = 0.02
RANK = {"train": 0, "val": 1, "test": 2}
EXAMPLES = 10


def keep_published(table: pd.DataFrame, *, repair: bool) -> pd.DataFrame:
    """Take over the published parts; a val of under 2 % and images of no part join train.

    With `repair`, of a patient on two sides (or two who share a picture) only the images in test
    stay, else those in val: the rest are left out, and a published test part stays as it is.
    """
    table = table.copy()
    usable = table["reason"] == ""
    table.loc[usable, "split"] = _fill(table.loc[usable, "published"])
    if (table["split"] == "val").sum() < SMALL_VAL * usable.sum():
        table.loc[table["split"] == "val", "split"] = "train"
    if not repair:
        return table
    rank = table["split"].map(RANK)
    leaks = usable & (rank < rank.groupby(table["group"]).transform("max"))
    own = leaks & (rank < rank.groupby(table["patient"]).transform("max"))
    table.loc[leaks, "reason"] = "a picture of the patient is in another published part as well"
    table.loc[own, "reason"] = "the patient is in another published part as well"
    table.loc[leaks, "split"] = ""
    return table


def find_leaks(table: pd.DataFrame) -> dict[str, Any]:
    """Patients and pictures that a published partition has on two sides, with examples.

    Columns read: path, published, reason, patient, pixels (hash of an exact picture), picture (one
    name for exact and near copies). Near copies are counted without the exact ones.
    """
    usable = table[table["reason"] == ""].assign(published=_fill(table["published"]))
    exact = _cross(usable, "pixels")
    joined = _cross(usable, "picture")
    near = joined[~joined.isin(usable.loc[usable["pixels"].isin(exact), "picture"])]
    patients = _cross(usable, "patient")
    shown = usable[usable["patient"].isin(patients[:EXAMPLES])].drop_duplicates(
        ["patient", "published"]
    )
    copies = usable[usable["picture"].isin(joined[:EXAMPLES])]
    return {
        "patients": len(patients),
        "equal_pictures": len(exact),
        "near_copies": len(near),
        "examples": sorted({*shown["path"], *copies["path"]})[: 2 * EXAMPLES],
    }


def _fill(published: pd.Series) -> pd.Series:
    """Where some images have a part, those without one are for training, or for carving parts."""
    return published.replace("", "train")


def _cross(table: pd.DataFrame, column: str) -> pd.Series:
    """The values of a column that stand on more than one published side."""
    sides = table.groupby(column)["published"].nunique()
    return sides.index[sides > 1].to_series()
