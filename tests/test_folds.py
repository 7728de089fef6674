"""Folds of one setting become one row of means; what is no such fold does not get in."""

from typing import Any

import pytest

from pneumonia.tracking.folds import summarise_folds
from pneumonia.tracking.table import format_rows

Row = dict[str, Any]


def make_row(fold: int, auc: float | None, baseline: str = "a", **parameters: str) -> Row:
    """A row as `list_results` makes it of a run."""
    metrics = {"auc": {"value": auc, "low": 0.0, "high": 1.0}}
    told = {"split.folds": "5", "split.fold": str(fold), "seed": "1", "best.width": str(fold)}
    keys = ("run", "run_id", "status", "started", "source", "experiment", "commit", "back", "folds")
    return dict.fromkeys(keys) | {
        "baseline": baseline,
        "metrics": metrics if auc is not None else {},
        "parameters": told | parameters,
    }


def test_folds_of_one_setting_are_one_row_with_mean_and_deviation() -> None:
    rows = [make_row(1, 0.8), make_row(0, 0.9), make_row(2, 0.7), make_row(0, 0.1)]
    (row,) = summarise_folds(rows)  # newest first: the 0.1 is of an earlier run
    assert row["folds"] == [0, 1, 2]
    assert row["metrics"]["auc"]["value"] == pytest.approx(0.8)
    assert row["metrics"]["auc"]["spread"] == pytest.approx(0.1)
    assert row["parameters"] == {"split.folds": "5", "seed": "1"}
    cells = format_rows([*rows, row], "auc")[-1]
    assert cells[:4] == ["mean of folds 0, 1, 2 of 5", "", "", "mean ± deviation"]
    assert cells[4] == "0.800 ± 0.100"


@pytest.mark.parametrize(
    "other",
    [
        make_row(0, 0.8),
        make_row(1, None),
        make_row(1, 0.8, seed="2"),
        make_row(1, 0.8, baseline="b"),
        make_row(1, 0.8, **{"split.folds": "0"}),
    ],
)
def test_other_results_are_no_folds_of_it(other: Row) -> None:
    assert summarise_folds([make_row(0, 0.9), other]) == []


def test_a_training_that_waits_for_its_evaluation_is_told() -> None:
    waits = make_row(0, None) | {"status": "FINISHED", "source": "train"}
    done = make_row(0, 0.9) | {"status": "FINISHED", "source": "train"}
    states = [cells[3] for cells in format_rows([waits, done], "auc")[1:]]
    assert states == ["FINISHED, not evaluated", "FINISHED"]
