"""The search: default first, every strategy, resumed where it stopped, mistakes not swallowed."""

from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from test_training import RECIPE, SMALL, make_part

from pneumonia import tuning
from pneumonia.errors import InputError
from pneumonia.params import Interval, ModelParams, TuneParams

SPACE: Any = {"width": [4, 6], "learning_rate": Interval(min=0.001, max=0.1, log=True)}


def settings(**changes: Any) -> TuneParams:
    values = {
        "enabled": True,
        "strategy": "random",
        "max_trials": 3,
        "epochs": 1,
        "objective": "auc",
        "judge_on": "clean",
        "space": SPACE,
    }
    return TuneParams(**(values | changes))


def search(work: Path, chosen: TuneParams) -> tuning.Search:
    return tuning.tune(
        make_part(2), make_part(1), chosen, SMALL, RECIPE, image_size=16, copies=2, seed=1,
        work=work,
    )  # fmt: skip


@pytest.mark.parametrize("strategy", ["random", "bayesian", "grid"])
def test_default_is_trial_0_and_the_best_is_chosen(tmp_path: Path, strategy: str) -> None:
    found = search(tmp_path / "w", settings(strategy=strategy))
    assert list(found.trials["status"]) == ["COMPLETED"] * 3
    first = found.trials.iloc[0]
    assert {name: first[name] for name in ModelParams.model_fields} == SMALL.model_dump()
    best = found.trials.sort_values("score", ascending=False, kind="stable").iloc[0]
    assert best["width"] == found.best.width
    assert set(found.curves["trial"]) == {0, 1, 2}
    assert tuning.summarise(found)["best_score"] == best["score"]
    assert not (tmp_path / "w").exists()


def test_hyperband_trains_promoted_trials_longer(tmp_path: Path) -> None:
    found = search(tmp_path / "w", settings(strategy="hyperband", max_trials=None, epochs=4))
    lengths = found.curves.groupby("trial")["epoch"].max()
    assert lengths.min() < lengths.max() == 4


def test_loss_is_minimised(tmp_path: Path) -> None:
    found = search(tmp_path / "w", settings(objective="loss"))
    assert tuning.summarise(found)["best_score"] == found.trials["val_loss"].min()


def test_interrupted_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(tmp_path / "a", settings())
    train, calls = tuning.train_model, []

    def stop_at_second(*args: Any, **kwargs: Any) -> Any:
        calls.append(kwargs["work"])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*args, **kwargs)

    monkeypatch.setattr(tuning, "train_model", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "b", settings())
    resumed = search(tmp_path / "b", settings())
    assert len(calls) == 4
    assert resumed.best == whole.best
    assert list(resumed.trials["score"]) == list(whole.trials["score"])


def test_a_programming_error_stops_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tuning, "train_model", fail)
    with pytest.raises(keras_tuner.errors.FatalError):
        search(tmp_path / "w", settings())


def test_contradictions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"set tune\.max_trials to null"):
        search(tmp_path / "w", settings(strategy="hyperband"))
    with pytest.raises(InputError, match=r"tune\.max_trials is null"):
        search(tmp_path / "w", settings(max_trials=None))


def test_disabled_search_takes_the_default(tmp_path: Path) -> None:
    found = search(tmp_path / "w", settings(enabled=False))
    assert found.best == SMALL
    assert list(found.trials["status"]) == ["SKIPPED"]
    assert tuning.summarise(found)["best_trial"] is None
