"""Which patients go to train, val and test, when that is not given: by class, or by hash alone."""

import hashlib

import pandas as pd

from pneumonia.errors import InputError


def carve(
    table: pd.DataFrame, shares: dict[str, float], seed: int, strategy: str = "stratified"
) -> pd.DataFrame:
    """Deal the patients that are in train or nowhere yet out to train and the parts of `shares`.

    Columns read: group, patient, label, reason, split; changed: split. `shares` are fractions of
    all images, or, by hash, of the patients dealt here.
    """
    table = table.copy()
    free = table[(table["reason"] == "") & table["split"].isin(["", "train"])]
    wanted = dict(shares)
    if strategy == "stratified":
        total = (table["reason"] == "").sum()
        wanted = {part: share * total / max(len(free), 1) for part, share in shares.items()}
    wanted["train"] = 1 - sum(wanted.values())
    if wanted["train"] <= 0:
        raise InputError("split.val_share and split.test_share leave nothing to train: lower them")
    choose = deal_by_class if strategy == "stratified" else deal_by_hash
    homes = choose(free, wanted, seed)
    table.loc[free.index, "split"] = free["group"].map(homes)
    return table


def carve_fold(
    table: pd.DataFrame, folds: int, fold: int, val_share: float, seed: int, strategy: str
) -> pd.DataFrame:
    """Test on the patients of one of `folds` parts that share nobody; val comes from the rest."""
    usable = table[table["reason"] == ""]
    names = {str(number): 1 / folds for number in range(folds)}
    choose = deal_by_class if strategy == "stratified" else deal_by_hash
    homes = usable["group"].map(choose(usable, names, seed))
    table = table.copy()
    table.loc[usable.index, "split"] = homes.map(
        lambda name: "test" if name == str(fold) else "train"
    )
    # another seed: by hash, the patients of fold 0 would else be all that could be in val
    return carve(table, {"val": val_share}, seed + 1, strategy)


def deal_by_class(rows: pd.DataFrame, wanted: dict[str, float], seed: int) -> dict[str, str]:
    """The part of each group: by class, in an order that depends on seed and name alone.

    Each goes to the part that lacks most images, so that by class no part ends further from its
    share than the largest group.
    """
    labels = rows.groupby("group")["label"].agg(lambda values: int(values.mean() >= 0.5))
    sizes = rows.groupby("group").size()
    homes: dict[str, str] = {}
    for label in (0, 1):
        groups = sorted(labels.index[labels == label], key=lambda g: hash_text(seed, str(g)))
        if len(groups) < len(wanted):
            raise InputError(
                f"label {label} has images of {len(groups)} patients, but {len(wanted)} are "
                "needed, one for each part: bring more patients, mend split.group_pattern or, "
                "where files in several folders have one name, name patients in a table "
                "(docs/data.md)"
            )
        homes |= deal([(str(group), int(sizes[group])) for group in groups], wanted)
    return homes


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


def deal_by_hash(rows: pd.DataFrame, wanted: dict[str, float], seed: int) -> dict[str, str]:
    """The part of each group from its patients' names and the seed alone.

    Other images move nobody. Where pictures join patients, the one with the lowest place decides,
    and places begin with test, then val: who is joined moves towards the test part or not at all.
    """
    patients = rows.drop_duplicates(["group", "patient"])
    places = patients["patient"].map(lambda name: place(seed, str(name)))
    lowest = places.groupby(patients["group"]).min()
    order = sorted(wanted, key=lambda part: {"test": 0, "val": 1, "train": 3}.get(part, 2))
    homes = {str(group): order[-1] for group in lowest.index}
    for group, where in lowest.items():
        end = 0.0
        for part in order[:-1]:
            end += wanted[part]
            if where < end:
                homes[str(group)] = part
                break
    return homes


def place(seed: int, name: str) -> float:
    """A number from 0 to 1 (exclusive), evenly spread, the same on every machine."""
    return int(hash_text(seed, name)[:13], 16) / 16**13


def hash_text(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
