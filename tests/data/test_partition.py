"""Patients are found, pictures are named, and who shares a picture is joined."""

import pandas as pd
import pytest

from pneumonia.data import partition
from pneumonia.data.duplicates import NearPair
from pneumonia.errors import InputError
from pneumonia.params import Params


def make_table(pixels: str, labels: str = "", patients: str = "") -> pd.DataFrame:
    """A file for each letter of `pixels`, its picture; labels and patients likewise."""
    count = len(pixels)
    return pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(count)],
            "pixels": list(pixels),
            "label": [int(label) for label in labels or "0" * count],
            "patient": list(patients or "abcdefghij"[:count]),
            "reason": "",
            "split": "",
        }
    )


def test_equal_and_near_pictures_have_the_name_of_the_first() -> None:
    table = make_table("xyxzw")
    names = partition.name_pictures(table, [NearPair(2, 3, 0.97)])
    assert list(names) == ["0.png", "1.png", "0.png", "0.png", "4.png"]


def test_unusable_files_show_no_picture() -> None:
    table = make_table("x  ")
    table.loc[1:, "reason"] = "not an image"
    assert list(partition.name_pictures(table)) == ["0.png", "", ""]


def test_a_picture_with_two_labels_is_left_out_with_all_its_copies() -> None:
    table = make_table("xxyzww", labels="010111")
    table["picture"] = partition.name_pictures(table, [NearPair(2, 3, 0.97)])
    reasons = partition.leave_out_contradictions(table)["reason"].tolist()
    assert reasons[:2] == ["the same picture has both labels"] * 2
    assert reasons[2:4] == ["nearly the same picture has both labels"] * 2
    assert reasons[4:] == ["", ""]


def test_patients_who_share_a_picture_become_one_whatever_the_chain() -> None:
    table = make_table("xyxzyw", patients="cbadde")
    table["picture"] = partition.name_pictures(table)
    groups = partition.join_patients(table)["group"]
    assert list(groups) == ["a", "b", "a", "b", "b", "e"]


def test_contradictions_join_nobody() -> None:
    table = make_table("xxy", labels="010", patients="abb")
    table["picture"] = partition.name_pictures(table)
    table = partition.join_patients(partition.leave_out_contradictions(table))
    assert list(table["group"]) == ["a", "b", "b"]


@pytest.mark.parametrize("column", ["group", "pixels", "picture"])
def test_who_is_on_two_sides_is_noticed(column: str) -> None:
    table = make_table("xy").assign(split=["train", "test"], group=["a", "b"], picture=["x", "y"])
    partition.assert_disjoint(table)
    table[column] = "same"
    with pytest.raises(AssertionError, match=f"{column} same is on two sides"):
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
