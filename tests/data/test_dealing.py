"""Patients stay together and shares are kept; by hash, new images move no old ones."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pneumonia.data.dealing import carve, carve_fold
from pneumonia.data.partition import join_patients
from pneumonia.errors import InputError

SHARES = {"val": 0.15, "test": 0.2}
ORDER = ["train", "val", "test"]
sizes = st.lists(st.integers(1, 9), min_size=16, max_size=60)


def make_table(sizes: list[int], seed: int = 0) -> pd.DataFrame:
    """A patient for each size, classes in turn, files in an order by `seed`."""
    rows = [
        {"path": f"{patient}/{image}", "label": patient % 2, "patient": f"p{patient}"}
        for patient, size in enumerate(sizes)
        for image in range(size)
    ]
    order = np.random.default_rng(seed).permutation(len(rows))
    table = pd.DataFrame(rows).iloc[order].reset_index(drop=True)
    return table.assign(group=table["patient"], split="", reason="")


def list_parts(table: pd.DataFrame) -> pd.Series:
    return table.set_index("path")["split"].sort_index()


@settings(deadline=None, max_examples=60)
@given(sizes, st.integers(0, 5))
def test_shares_are_kept_within_one_patient(sizes: list[int], seed: int) -> None:
    table = carve(make_table(sizes), SHARES, seed)
    assert table.groupby("group")["split"].nunique().max() == 1
    for label in (0, 1):
        rows = table[table["label"] == label]
        largest = rows.groupby("group").size().max()
        for part, share in {**SHARES, "train": 0.65}.items():
            assert abs((rows["split"] == part).sum() - share * len(rows)) <= largest
        assert set(rows["split"]) == {"train", "val", "test"}


@settings(deadline=None, max_examples=20)
@given(sizes, st.sampled_from(["stratified", "hashed"]))
def test_the_order_of_files_does_not_matter(sizes: list[int], strategy: str) -> None:
    one, two = (
        list_parts(carve(make_table(sizes, order), SHARES, 1, strategy)) for order in (0, 1)
    )
    pd.testing.assert_series_equal(one, two)


@settings(deadline=None, max_examples=30)
@given(sizes, sizes, st.integers(0, 5), st.sampled_from([0, 4]))
def test_by_hash_new_images_move_no_old_ones(
    sizes: list[int], more: list[int], seed: int, folds: int
) -> None:
    def deal(table: pd.DataFrame) -> pd.Series:
        if folds:
            return list_parts(carve_fold(table, folds, 1, 0.15, seed, "hashed"))
        return list_parts(carve(table, SHARES, seed, "hashed"))

    before, after = deal(make_table(sizes)), deal(make_table(sizes + more))
    pd.testing.assert_series_equal(before, after[before.index])


@settings(deadline=None, max_examples=30)
@given(sizes, st.lists(st.tuples(st.integers(0, 15), st.integers(0, 59)), max_size=6))
def test_by_hash_who_is_joined_moves_towards_test_or_not_at_all(
    sizes: list[int], shared: list[tuple[int, int]]
) -> None:
    table = make_table(sizes)
    before = list_parts(carve(table, SHARES, 1, "hashed"))
    table["picture"] = table["path"]
    for old, new in shared:  # a new picture shows up with two patients: they are joined
        there = table["path"].isin([f"{old}/0", f"{new % len(sizes)}/0"])
        table.loc[there, "picture"] = table.loc[there, "picture"].min()
    joined = join_patients(table)
    after = list_parts(carve(joined, SHARES, 1, "hashed"))
    assert all(ORDER.index(after[path]) >= ORDER.index(before[path]) for path in before.index)
    alone = joined.groupby("group")["patient"].transform("nunique") == 1
    paths = joined.loc[alone, "path"]
    assert (after[paths] == before[paths]).all()


def test_by_hash_shares_are_about_kept() -> None:
    parts = list_parts(carve(make_table([1] * 4000), SHARES, 1, "hashed")).value_counts() / 4000
    assert parts["test"] == pytest.approx(0.2, abs=0.03)
    assert parts["val"] == pytest.approx(0.15, abs=0.03)


@settings(deadline=None, max_examples=20)
@given(sizes, st.integers(2, 5), st.sampled_from(["stratified", "hashed"]))
def test_over_all_folds_every_patient_is_tested_once(
    sizes: list[int], folds: int, strategy: str
) -> None:
    table = make_table(sizes)
    tested = []
    for fold in range(folds):
        dealt = carve_fold(table, folds, fold, 0.15, 1, strategy)
        assert dealt.groupby("group")["split"].nunique().max() == 1
        tested += dealt.loc[dealt["split"] == "test", "path"].tolist()
        if strategy == "stratified":
            assert set(dealt["split"]) == {"train", "val", "test"}
    assert sorted(tested) == sorted(table["path"])


def test_too_few_patients_are_refused_with_the_number() -> None:
    with pytest.raises(InputError, match="label 1 has images of 2 patients, but 3 are needed"):
        carve(make_table([1, 1, 1, 1, 1]), SHARES, 1)
    with pytest.raises(InputError, match="leave nothing to train"):
        carve(make_table([1] * 20), {"val": 0.5, "test": 0.5}, 1)
