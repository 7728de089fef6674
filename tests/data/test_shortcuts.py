"""What gives the label or the split away without the picture is noticed; chance is not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pneumonia.data import shortcuts


def make_table(patients: int = 60, images: int = 3, seed: int = 0) -> pd.DataFrame:
    """Patients whose sizes, files and grey values have nothing to do with label and split."""
    rng = np.random.default_rng(seed)
    count = patients * images
    numbers = np.repeat(np.arange(patients), images)
    return pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(count)],
            "group": [f"p{number}" for number in numbers],
            "label": numbers % 2,
            "split": np.array(["train", "train", "test", "val"])[numbers // 2 % 4],
            "width": rng.integers(100, 200, count),
            "height": rng.integers(100, 200, count),
            "bytes": rng.integers(1000, 2000, count),
            **{name: rng.uniform(0, 255, count) for name in ("brightness", "contrast", "border")},
        }
    )


def test_nothing_to_find_gives_chance_and_no_warning() -> None:
    found = shortcuts.audit_shortcuts(make_table())
    assert found["label"]["low"] < 0.6
    assert all(feature["auc"] >= 0.5 for feature in found["label"]["features"])
    assert shortcuts.warn_of_shortcuts(found) == []


def test_a_class_of_another_size_is_warned_of_by_name() -> None:
    table = make_table()
    table["width"] += 80 * table["label"]
    found = shortcuts.audit_shortcuts(table)
    assert found["label"]["auc"] > 0.85
    assert found["label"]["low"] < found["label"]["auc"] < found["label"]["high"]
    (warning,) = shortcuts.warn_of_shortcuts(found)
    assert "tell the label" in warning
    assert "most of all width" in warning


def test_a_test_part_in_another_format_is_warned_of() -> None:
    table = make_table()
    test = table["split"] == "test"
    table.loc[test, "path"] = table.loc[test, "path"].str.replace(".png", ".jpg")
    (warning,) = shortcuts.warn_of_shortcuts(shortcuts.audit_shortcuts(table))
    assert "tell train from test" in warning
    assert "most of all format" in warning


def test_patients_known_from_training_do_not_count() -> None:
    table = make_table(patients=40, images=10)
    table["width"] = 100 + table["group"].str[1:].astype(int).map(
        dict(enumerate(np.random.default_rng(1).permutation(40)))
    )
    assert shortcuts.audit_shortcuts(table)["label"]["auc"] < 0.7


def test_few_patients_give_a_reason_instead_of_a_figure() -> None:
    found = shortcuts.audit_shortcuts(make_table(patients=8))
    assert found["label"] == {
        "auc": None, "reason": "4 patients in the smaller class are too few",
    }  # fmt: skip
    assert shortcuts.warn_of_shortcuts(found) == []


@pytest.mark.parametrize("images", [1, 7])
def test_of_many_images_whole_patients_are_taken_the_same_each_time(images: int) -> None:
    groups = pd.Series([f"p{number // images}" for number in range(12000)])
    chosen = shortcuts.choose_rows(groups)
    assert shortcuts.MAX_IMAGES <= chosen.sum() < shortcuts.MAX_IMAGES + images
    assert (groups[chosen].value_counts() == groups.value_counts()[groups[chosen].unique()]).all()
    order = np.random.default_rng(0).permutation(len(groups))
    again = shortcuts.choose_rows(groups.iloc[order])
    assert set(groups.iloc[order][again]) == set(groups[chosen])


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), max_size=40))
def test_the_auc_is_that_of_scikit_learn(rows: list[tuple[bool, int, int]]) -> None:
    rows = [*rows, (True, 1, 1), (False, 1, 1)]
    target, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    expected = roc_auc_score(target, scores, sample_weight=weights)
    assert shortcuts.weigh_auc(target, scores, weights) == pytest.approx(expected)
    assert np.isnan(shortcuts.weigh_auc(target, scores, weights * target))
