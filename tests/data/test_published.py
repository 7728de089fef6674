"""A published partition is kept; its leaks are counted, and mended where that is asked for."""

import pandas as pd

from pneumonia.data.dealing import carve
from pneumonia.data.partition import assert_disjoint, join_patients
from pneumonia.data.published import find_leaks, keep_published


def make_table() -> pd.DataFrame:
    """60 patients with two pictures each in train, but for the leaks of each kind below."""
    rows = [{"path": f"{p:02d}/{i}", "patient": f"p{p:02d}"} for p in range(60) for i in (0, 1)]
    table = pd.DataFrame(rows).assign(published="train", reason="", split="")
    table["label"] = [p % 2 for p in range(60) for _ in (0, 1)]
    table["pixels"] = table["picture"] = table["path"]
    table = table.set_index("path", drop=False)
    table.loc[["10/1", "11/0", "11/1", "12/0", "12/1", "13/0", "13/1"], "published"] = "test"
    table.loc["20/0", "published"] = "val"
    table.loc[["12/0", "30/0"], ["pixels", "picture"]] = "equal"
    table.loc[["13/1", "31/0"], "picture"] = "near"
    return join_patients(table)


def test_leaks_are_counted_by_kind() -> None:
    leaks = find_leaks(make_table())
    assert {key: leaks[key] for key in ("patients", "equal_pictures", "near_copies")} == {
        "patients": 2, "equal_pictures": 1, "near_copies": 1,
    }  # fmt: skip
    assert {"10/0", "10/1", "12/0", "30/0", "13/1", "31/0"} <= set(leaks["examples"])


def test_repair_leaves_the_test_part_as_published() -> None:
    table = make_table()
    kept = keep_published(table, repair=True)
    assert_disjoint(kept)
    assert (kept["split"] == "test").equals(table["published"] == "test")
    assert kept["reason"]["10/0"] == "the patient is in another published part as well"
    for path in ("30/0", "30/1", "31/0", "31/1"):
        assert kept["reason"][path].startswith("a picture of the patient is in another")
    assert (kept["reason"] != "").sum() == 5
    assert find_leaks(kept)["patients"] == 1  # the one in train and a val of under 2 %
    assert kept["split"]["20/0"] == "train"


def test_without_repair_every_image_stays_where_it_was() -> None:
    table = make_table()
    kept = keep_published(table, repair=False)
    assert (kept["reason"] == "").all()
    assert kept["split"].replace("val", "train").equals(table["published"].replace("val", "train"))
    carved = carve(kept, {"val": 0.15}, 1)
    assert (carved["split"] == "test").equals(kept["split"] == "test")


def test_a_clean_partition_has_no_leaks() -> None:
    table = make_table()
    table["published"] = ["test" if int(path[:2]) > 40 else "train" for path in table["path"]]
    leaks = find_leaks(table)
    assert leaks == {"patients": 0, "equal_pictures": 0, "near_copies": 0, "examples": []}


def test_images_of_no_published_part_are_for_training() -> None:
    table = make_table()
    table.loc[["10/0", "13/0", "41/0", "41/1", "42/0"], "published"] = ""
    kept = keep_published(table, repair=True)
    assert_disjoint(kept)
    assert kept["reason"]["10/0"] == "the patient is in another published part as well"
    assert find_leaks(table)["patients"] == find_leaks(make_table())["patients"] + 1  # 13 as well
    assert set(kept["split"][["41/0", "41/1", "42/0", "42/1"]]) == {"train"}
    assert ((kept["split"] != "") == (kept["reason"] == "")).all()
