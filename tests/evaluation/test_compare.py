"""Two results on the same images: tests agree with statsmodels; other images are refused."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar

from pneumonia.errors import InputError
from pneumonia.evaluation.compare import align, compare, load_predictions, run_mcnemar, say
from pneumonia.evaluation.intervals import Resampling

HOW = Resampling(300, 0.95, 1)
NAMES = ("before", "after")


def make(seed: int, signal: float, images: int = 120) -> pd.DataFrame:
    """Predictions of a model that sees `signal` standard deviations of difference."""
    labels = np.arange(images) % 2
    p = 1 / (1 + np.exp(-(np.random.default_rng(seed).normal(signal * (labels - 0.5)))))
    table = {"path": [f"{i}.png" for i in range(images)], "label": labels, "p": p}
    groups = [f"patient{i // 4}" for i in range(images)]
    return pd.DataFrame(table | {"group": groups, "predicted": (p >= 0.5).astype(int)})


def test_the_better_model_is_named() -> None:
    both = align(make(1, 0.5), make(2, 4), NAMES)
    result = compare(both, NAMES, HOW)
    auc = result["figures"]["auc"]
    assert auc["difference"] == pytest.approx(auc["second"] - auc["first"], abs=1e-12)
    assert 0 < auc["low"] < auc["difference"] < auc["high"]
    assert result["delong"]["p"] < 0.001
    assert result["mcnemar"]["only_second_right"] > result["mcnemar"]["only_first_right"]
    assert result["sentence"].endswith("after is better on these images")
    back = compare(align(make(2, 4), make(1, 0.5), NAMES), NAMES, HOW)
    assert back["figures"]["auc"]["high"] == pytest.approx(-auc["low"], abs=1e-12)
    json.dumps(result, allow_nan=False)


def test_chance_is_called_chance() -> None:
    result = compare(align(make(1, 2), make(2, 2), NAMES), NAMES, HOW)
    assert "chance alone" in result["sentence"]
    assert result["delong_patients"]["p"] > 0.05


def test_order_of_rows_does_not_matter() -> None:
    first, second = make(1, 1), make(2, 3)
    turned = second.sample(frac=1, random_state=1)
    assert compare(align(first, turned, NAMES), NAMES, HOW) == compare(
        align(first, second, NAMES), NAMES, HOW
    )


def test_other_images_or_labels_are_refused() -> None:
    with pytest.raises(InputError, match=r"0 and 20 are in one alone, like 100\.png"):
        align(make(1, 1, 100), make(2, 1, 120), NAMES)
    turned = make(2, 1)
    turned.loc[3, "label"] = 0
    with pytest.raises(InputError, match="different labels for 1 of 120"):
        align(make(1, 1), turned, NAMES)


def test_scores_that_are_no_numbers_leave_reasons() -> None:
    broken = make(2, 1)
    broken.loc[5, ["p", "predicted"]] = np.nan
    result = compare(align(make(1, 1), broken, NAMES), NAMES, HOW)
    assert "mcnemar" not in result
    for row in result["figures"].values():
        assert row["difference"] is row["second"] is None
        assert row["first"] is not None
        assert "no such figure" in row["reason"]
    assert "cannot be compared" in say(result)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_agrees_with_statsmodels(one: int, two: int) -> None:
    first = np.array([True] * (one + 5) + [False] * (two + 3))
    second = np.array([False] * one + [True] * 5 + [True] * two + [False] * 3)
    found = run_mcnemar(first, second)
    exact = one + two < 25
    theirs = mcnemar([[5, one], [two, 3]], exact=exact, correction=True)
    assert found["p"] == pytest.approx(min(theirs.pvalue, 1), abs=1e-9)
    assert found["method"] == ("exact" if exact else "chi-square")


def test_revisions_are_read_without_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    def commit(table: pd.DataFrame, threshold: float) -> None:
        for folder in ("plots", "metrics"):
            Path(folder).mkdir(exist_ok=True)
        table.to_csv("plots/predictions.csv", index=False)
        Path("metrics/evaluate.json").write_text(json.dumps({"threshold": threshold}))
        git("add", "-A")
        git("commit", "-q", "-m", "result")

    git("init", "-q", "-b", "main")
    commit(make(1, 1).drop(columns="predicted"), 0.7)
    called_na = make(2, 3)
    called_na.loc[called_na["group"] == called_na["group"][0], "group"] = "NA"
    commit(called_na, 0.5)
    git("update-ref", f"refs/exps/ab/{'0' * 38}/brave-name", "HEAD~1")
    old = load_predictions("brave-name", "none", {})
    pd.testing.assert_frame_equal(old, load_predictions("HEAD~1", "none", {}))
    assert (old["predicted"] == (old["p"] >= 0.7)).all()
    pd.testing.assert_frame_equal(
        load_predictions("main", "none", {}), load_predictions("workspace", "none", {})
    )
    assert "NA" in set(load_predictions("main", "none", {})["group"])
    with pytest.raises(InputError, match="nowhere is no Git revision"):
        load_predictions("nowhere", "none", {})
    git("update-ref", f"refs/exps/cd/{'0' * 38}/brave-name", "HEAD")
    with pytest.raises(InputError, match="names 2 experiments"):
        load_predictions("brave-name", "none", {})
    git("rm", "-q", "plots/predictions.csv")
    git("commit", "-q", "-m", "nothing")
    with pytest.raises(InputError, match=r"main has no plots/predictions\.csv"):
        load_predictions("main", "none", {})
