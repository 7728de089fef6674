"""Subgroups are the images they say, measured as those images alone would be."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score, roc_auc_score

from pneumonia.errors import InputError
from pneumonia.evaluation.figures import Scores
from pneumonia.evaluation.intervals import Resampling
from pneumonia.evaluation.subgroups import band_values, tabulate_subgroups, tell_unmatched
from pneumonia.params import EvaluateParams, Params

HOW = Resampling(100, 0.95, 1)


def make() -> tuple[Scores, pd.DataFrame]:
    """80 images: label, sex and kind in turn; ages from 1 to 80."""
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    p = np.clip(0.3 + 0.4 * labels + rng.normal(0, 0.25, 80), 0, 1)
    kind = np.where(labels == 0, "normal", np.where(np.arange(80) % 4 == 1, "bacteria", "virus"))
    rows = pd.DataFrame(
        {
            "path": [f"X/person{i}_{k}_1.jpeg" for i, k in enumerate(kind)],
            "sha256": "",
            "label": labels,
            "group": np.arange(80).astype(str),
            "sex": np.where(np.arange(80) < 30, "F", "M"),
            "age": np.arange(1, 81).astype(str),
            "site": "one",
        }
    )
    return Scores(labels, p, p, rows["group"].to_numpy(dtype=str)), rows


def choose(params: Params, **update: object) -> EvaluateParams:
    return params.evaluate.model_copy(update=update)


def test_columns_and_kinds(params: Params) -> None:
    scores, rows = make()
    settings = choose(params, subgroups="auto")
    table = tabulate_subgroups(scores, rows, 0.5, settings, HOW).set_index(["by", "group"])
    assert list(table.index.get_level_values("by").unique()) == ["all", "sex", "age", "pattern"]
    women = scores.pick(np.arange(80) < 30)
    row = table.loc[("sex", "F")]
    assert row["auc"] == pytest.approx(roc_auc_score(women.labels, women.p), abs=1e-12)
    assert row["sensitivity"] == pytest.approx(recall_score(women.labels, women.p >= 0.5))
    assert row["auc_low"] <= row["auc"] <= row["auc_high"]
    assert list(table.loc["age"]["images"]) == [20] * 4
    assert table.index[3] == ("age", "1 to 20")


def test_a_kind_of_pneumonia_is_held_against_all_normal_images(params: Params) -> None:
    scores, rows = make()
    table = tabulate_subgroups(scores, rows, 0.5, choose(params), HOW).set_index("group")
    assert (table.loc["virus", "positives"], table.loc["virus", "negatives"]) == (20, 40)
    assert table.loc["virus", "specificity"] == table.loc["all", "specificity"]
    one_kind = choose(params, subgroup_patterns={"early": r"person\d_", "typo": "bacterai"})
    table = tabulate_subgroups(scores, rows, 0.5, one_kind, HOW)
    assert table.iloc[-1]["images"] == 10
    assert tell_unmatched(table, one_kind) == {"subgroup typo": "no file name matches 'bacterai'"}


def test_small_groups_are_marked_and_single_classes_explained(params: Params) -> None:
    scores, rows = make()
    rows["site"] = np.where(scores.labels == 1, "ward", "")
    rows.loc[:5, "sex"] = "X"
    settings = choose(params, subgroups=["site", "sex"])
    table = tabulate_subgroups(scores, rows, 0.5, settings, HOW).set_index("group")
    assert table.loc["X", "small"] == "true"
    assert table.loc["M", "small"] == "false"
    assert table.loc["ward", "images"] == 40
    assert pd.isna(table.loc["ward", "auc"])
    assert "auc: no image is free of pneumonia" in table.loc["ward", "note"]


def test_an_unknown_column_is_named(params: Params) -> None:
    scores, rows = make()
    with pytest.raises(InputError, match=r"'sexe', no column.*sex, age, site"):
        tabulate_subgroups(scores, rows, 0.5, choose(params, subgroups=["sexe"]), HOW)


def test_bands_keep_text_and_gaps() -> None:
    text = pd.Series(["PA", "AP", ""])
    assert list(band_values(text)) == ["PA", "AP", ""]
    ages = pd.Series([str(i) for i in range(40)] + [""])
    assert set(band_values(ages)) == {"0 to 9", "10 to 19", "20 to 29", "30 to 39", ""}
