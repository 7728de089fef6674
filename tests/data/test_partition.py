"""Patients stay together, shares are kept, pictures are never on two sides."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pneumonia.data import partition
from pneumonia.errors import InputError
from pneumonia.params import Params

SHARES = {"val": 0.15, "test": 0.2}


def make_table(sizes: list[int], seed: int = 0) -> pd.DataFrame:
    """A patient for each size, classes in turn, all pictures different."""
    rows = [
        {"path": f"{g}/{i}", "label": g % 2, "group": f"p{g}", "pixels": f"{g}-{i}"}
        for g, size in enumerate(sizes)
        for i in range(size)
    ]
    order = np.random.default_rng(seed).permutation(len(rows))
    table = pd.DataFrame(rows).iloc[order].reset_index(drop=True)
    return table.assign(split="", reason="", published="")


sizes = st.lists(st.integers(1, 6), min_size=12, max_size=60)


@settings(deadline=None, max_examples=40)
@given(sizes, st.integers(0, 5))
def test_carve_keeps_patients_together_and_shares(sizes: list[int], seed: int) -> None:
    table = partition.carve(make_table(sizes), SHARES, seed)
    partition.assert_disjoint(table)
    for label in (0, 1):
        rows = table[table["label"] == label]
        for part, share in SHARES.items():
            got = (rows["split"] == part).sum()
            assert abs(got - share * len(rows)) <= max(sizes) + 1
        assert set(rows["split"]) == {"train", "val", "test"}


@settings(deadline=None, max_examples=20)
@given(sizes)
def test_the_order_of_files_does_not_matter(sizes: list[int]) -> None:
    one, two = (
        partition.carve(make_table(sizes, seed), SHARES, 1).set_index("path")["split"].sort_index()
        for seed in (0, 1)
    )
    pd.testing.assert_series_equal(one, two)


def test_equal_pictures_join_patients_and_contradictions_leave() -> None:
    table = make_table([2] * 6)
    table = table.sort_values("path").reset_index(drop=True)
    table.loc[table["group"].isin(["p0", "p2"]), "pixels"] = "same"
    table.loc[table["path"].isin(["1/0", "4/0"]), "pixels"] = "contradiction"
    merged = partition.merge_duplicates(table).set_index("path")
    assert merged["group"]["0/0"] == merged["group"]["2/1"] == "p0"
    assert "both labels" in merged["reason"]["1/0"]
    assert "both labels" in merged["reason"]["4/0"]
    assert (merged["reason"] != "").sum() == 2


def test_published_parts_stay_but_for_leaks_and_a_tiny_val() -> None:
    table = make_table([2] * 60).sort_values("path").reset_index(drop=True)
    table["published"] = "train"
    table.loc[table["group"].isin(["p10", "p11"]), "published"] = "test"
    table.loc[table["path"] == "10/0", "published"] = "train"
    table.loc[table["path"] == "20/0", "published"] = "val"
    kept = partition.keep_published(table).set_index("path")
    assert kept["split"]["20/0"] == "train"
    assert kept["reason"]["10/0"] == "the patient is in another published part as well"
    assert kept["split"]["10/1"] == "test"
    partition.assert_disjoint(kept)


def test_too_few_patients_are_refused_with_the_number() -> None:
    with pytest.raises(InputError, match="label 1 has images of 2 patients, but 3 are needed"):
        partition.carve(make_table([1, 1, 1, 1, 1]), SHARES, 1)


def test_a_patient_on_two_sides_is_noticed() -> None:
    table = make_table([2, 2]).assign(split=["train", "test", "train", "test"])
    with pytest.raises(AssertionError, match="on two sides"):
        partition.assert_disjoint(table)


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person123_bacteria_45.jpeg", "person123"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("NORMAL2-IM-0383-0001-0002.jpeg", "NORMAL2-IM-0383"),
        ("2020.03.04.20026930-p15-95%1.png", "2020.03.04.20026930"),
        ("PIIS0140673620303603%4.png", "PIIS0140673620303603"),
        ("21%0.jpg", "21"),
        ("patient0007_2.png", "patient0007"),
        ("scan.dcm", "scan"),
    ],
)
def test_the_default_pattern_finds_patients(params: Params, name: str, patient: str) -> None:
    assert partition.find_groups([name], params.split.group_pattern) == [patient]


def test_a_bad_pattern_is_named() -> None:
    with pytest.raises(InputError, match=r"split\.group_pattern is '\('"):
        partition.find_groups(["a"], "(")
