"""From a folder of images to three parts on disk, without a patient or a picture on two sides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pneumonia.data import partition
from pneumonia.data.dealing import carve, carve_fold
from pneumonia.data.decoding import decode_sources
from pneumonia.data.describing import describe
from pneumonia.data.duplicates import SIDE, NearPair, find_near_pairs
from pneumonia.data.published import find_leaks, keep_published
from pneumonia.data.samples import draw_samples
from pneumonia.data.slices import join_slices
from pneumonia.data.sources import Source, find_sources
from pneumonia.data.store import (
    PARTS,
    Scratch,
    open_scratch,
    replace_entries,
    write_images,
    write_labels,
)  # fmt: skip
from pneumonia.errors import InputError
from pneumonia.files import write_csv
from pneumonia.params import DataParams, SplitParams

COLUMNS = [
    "path", "sha256", "label", "group", "published", "split", "row", "reason", "width", "height",
    "patient", "duplicate_of",
]  # fmt: skip
RESERVED = ("pixels", "picture")  # columns on the way, not in the manifest


def split_dataset(
    root: Path, output: Path, data: DataParams, split: SplitParams, seed: int
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Write train, val and test (images.npy, labels.npy), manifest.csv and samples.png to `output`.

    All of them or none. Returns the figures for metrics/data.json and the table behind them, one
    row a file. Images are streamed: memory does not grow with them. Raises InputError where the
    folder or the parameters do not allow a split.
    """
    sources = find_sources(root, data.classes, data.frames)
    extras = tabulate_extras(sources)
    with (
        open_scratch(output, len(sources), data.image_size) as images,
        open_scratch(output, len(sources), SIDE) as thumbnails,
        replace_entries(output, last="manifest.csv") as partial,
    ):
        table = decode_sources(root, sources, images, thumbnails, data)
        named = name_patients(sources, split)
        table["patient"] = named
        if split.near_duplicates:
            unnamed = [split.group_by == "name" or not source.patient for source in sources]
            table["patient"] = join_slices(table, thumbnails, unnamed)
        slices = int((table["patient"] != named).sum())
        near = find_near_copies(table, thumbnails, split)
        table["picture"] = partition.name_pictures(table, near)
        table, leaks = assign_parts(table, split, seed)
        write_parts(partial, images, table)
        draw_samples(partial / "samples.png", images, table)
        table["duplicate_of"] = table["picture"].where(table["picture"] != table["path"], "")
        write_csv(partial / "manifest.csv", table[COLUMNS].join(extras))
    return describe(table, extras, near, slices, leaks, data.name), table


def tabulate_extras(sources: list[Source]) -> pd.DataFrame:
    """The manifest's columns of the user's own; InputError where one has a name of ours."""
    names = [name for name, _ in sources[0].extra]
    if clashes := {*COLUMNS, *RESERVED} & set(names):
        raise InputError(
            f"the data set's manifest.csv has a column {min(clashes)}, a name that the split's "
            "own manifest uses: rename the column"
        )
    return pd.DataFrame([[value for _, value in s.extra] for s in sources], columns=names)


def name_patients(sources: list[Source], split: SplitParams) -> list[str]:
    """What the data set says, or the file name where it says nothing or is not asked."""
    names = partition.find_groups((Path(s.file).name for s in sources), split.group_pattern)
    if split.group_by == "name":
        return names
    return [source.patient or name for source, name in zip(sources, names, strict=True)]


def find_near_copies(
    table: pd.DataFrame, thumbnails: Scratch, split: SplitParams
) -> Sequence[NearPair]:
    """Near copies among the usable pictures; of equal ones only the first is looked at."""
    if not split.near_duplicates:
        return []
    usable = table[table["reason"] == ""].drop_duplicates("pixels")
    return find_near_pairs(thumbnails, usable.index.to_numpy(), split.near_distance)


def assign_parts(
    table: pd.DataFrame, split: SplitParams, seed: int
) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Set `group`, `split`, `row`, `reason` of every image; tell what a published split leaks."""
    table = partition.leave_out_contradictions(table.assign(split=""))
    table = partition.join_patients(table)
    published = bool((table["published"] != "").any())
    leaks = find_leaks(table) if published else None
    keeps = split.keep_published and published
    if keeps:
        table = keep_published(table, repair=split.repair_published)
    table = deal_fold(table, split, seed) if split.folds else fill_parts(table, split, seed)
    if not keeps or split.repair_published:
        partition.assert_disjoint(table)
    table["row"] = table.groupby("split").cumcount().astype(object)
    table.loc[table["split"] == "", "row"] = ""
    return table, leaks and leaks | {"kept": keeps, "repaired": keeps and split.repair_published}


def deal_fold(table: pd.DataFrame, split: SplitParams, seed: int) -> pd.DataFrame:
    """Cross-validation by patient. InputError where a published part would be dealt out again."""
    if taken := {"val", "test"} & set(table["split"]):
        raise InputError(
            f"split.folds deals all patients anew, but the data set comes with a {min(taken)} part "
            "and split.keep_published is true: set split.keep_published: false, or split.folds: 0"
        )
    return carve_fold(table, split.folds, split.fold, split.val_share, seed, split.strategy)


def fill_parts(table: pd.DataFrame, split: SplitParams, seed: int) -> pd.DataFrame:
    """Carve the parts that no published partition gave."""
    shares = {"val": split.val_share, "test": split.test_share}
    missing = {part: share for part, share in shares.items() if not (table["split"] == part).any()}
    return carve(table, missing, seed, split.strategy) if missing else table


def write_parts(output: Path, images: Scratch, table: pd.DataFrame) -> None:
    """Copy each part's images out of the scratch file, block by block."""
    for part in PARTS:
        rows = table[table["split"] == part]
        if rows["label"].nunique() < 2:
            raise InputError(
                f"the {part} part holds one class only: bring more patients of both, or set "
                "split.strategy: stratified where it is hashed"
            )
        write_labels(output / part, rows["label"].to_numpy())
        shape = (len(rows), images.size, images.size)
        blocks = images.read_blocks(rows.index.to_numpy())
        write_images(output / part / "images.npy", shape, blocks)
