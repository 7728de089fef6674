"""The search: default first, every strategy, resumed where it stopped, mistakes not swallowed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from test_training import RECIPE, SMALL, make_part

from pneumonia import tuning
from pneumonia.allowed import Interval
from pneumonia.data.store import write_labels
from pneumonia.errors import InputError
from pneumonia.params import ModelParams, Params
from pneumonia.tuning_oracle import LOSSES, LOST_AFTER
from pneumonia.tuning_workers import search

pytestmark = pytest.mark.filterwarnings("ignore:Even though")  # of `without_graphs`

SPACE: Any = {"width": [4, 6], "learning_rate": Interval(min=0.001, max=0.1, log=True)}


def shrink(params: Params, **changes: Any) -> Params:
    """The project's parameters, for tiny images and trials of one epoch."""
    values = {"max_trials": 3, "epochs": 1, "space": SPACE}
    tune = params.tune.model_validate(params.tune.model_dump() | values | changes)
    data = params.data.model_copy(update={"image_size": 16})
    augment = params.augment.model_copy(update={"copies": 2})
    train = RECIPE.model_copy(update={"batch_size": 24})  # one step an epoch
    parts = {"tune": tune, "data": data, "augment": augment, "model": SMALL, "train": train}
    return params.model_copy(update=parts | {"seed": 1})


def write_parts(folder: Path) -> tuple[Path, Path]:
    """Folders of training images (two copies) and validation images."""
    for name, part in (("augmented", make_part(2)), ("val", make_part(1))):
        (folder / name).mkdir(exist_ok=True)
        np.save(folder / name / "images.npy", part.images)
        write_labels(folder / name, part.labels)
    return folder / "augmented", folder / "val"


@pytest.fixture(autouse=True)
def without_graphs() -> Iterator[None]:
    """To trace a graph takes seconds, the few steps of these trials do not."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def run(tmp_path: Path, params: Params):
    def run_search(work: str = "w", **changes: Any) -> tuning.Search:
        augmented, val = write_parts(tmp_path)
        return search(augmented, val, shrink(params, **changes), "key", tmp_path / work, Path())

    return run_search


def test_default_is_trial_0_and_the_best_is_chosen(run) -> None:
    found = run(strategy="random")
    assert list(found.trials["status"]) == ["COMPLETED"] * 3
    check_default_first(found)
    best = found.trials.sort_values("score", ascending=False, kind="stable").iloc[0]
    assert best["width"] == found.best.width
    assert set(found.curves["trial"]) == {0, 1, 2}
    assert tuning.summarise(found)["best_score"] == best["score"]


def check_default_first(found: tuning.Search) -> None:
    first = found.trials.iloc[0]
    assert {name: first[name] for name in ModelParams.model_fields} == SMALL.model_dump()


def test_hyperband_trains_promoted_trials_longer(run) -> None:
    found = run(strategy="hyperband", max_trials=None, epochs=3)
    lengths = found.curves.groupby("trial")["epoch"].max()
    assert lengths.min() < lengths.max() == 3
    assert found.trials["learning_rate"][0] == SMALL.learning_rate
    told = tuning.summarise(found)  # promoted, the best has the values of a worse trial as well
    assert told["best_score"] == found.trials["score"].max()
    assert found.trials["score"][told["best_trial"]] == told["best_score"]


def test_loss_is_minimised_and_the_grid_ends(run) -> None:
    found = run(strategy="grid", objective="loss", max_trials=9, space={"width": [4, 6]})
    assert list(found.trials["width"]) == [4, 6]
    assert tuning.summarise(found)["best_score"] == found.trials["val_loss"].min()


def test_trials_are_judged_on_shifted_images_on_demand(run) -> None:
    found = run(strategy="grid", objective="shifted_auc", max_trials=9, space={"width": [4, 6]})
    assert list(found.trials["score"]) != list(found.trials["val_auc"])
    assert found.trials["score"].between(0, 1).all()


def test_time_bound_is_kept_and_told(run) -> None:
    found = run(max_minutes=0.01, max_trials=50)
    assert 1 <= len(found.trials) < 50
    summary = tuning.summarise(found)
    assert summary["timed_out"]
    assert summary["trials"] == summary["completed"] == len(found.trials)


@pytest.mark.parametrize("strategy", ["bayesian", "grid"])
def test_interrupted_search_goes_on(run, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run("a", strategy=strategy, max_trials=2)
    check_default_first(whole)
    train, calls = tuning.train_model, []

    def stop_at_second(*args: Any, **kwargs: Any) -> Any:
        calls.append(kwargs["work"])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*args, **kwargs)

    monkeypatch.setattr(tuning, "train_model", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        run("b", strategy=strategy, max_trials=2)
    resumed = run("b", strategy=strategy, max_trials=2)
    assert len(calls) == 3
    pd.testing.assert_frame_equal(resumed.trials, whole.trials)
    pd.testing.assert_frame_equal(resumed.curves, whole.curves)


def test_a_search_is_known_by_its_data_and_space_not_by_who_works(
    tmp_path: Path, params: Params
) -> None:
    augmented, val = write_parts(tmp_path)

    def key(**changes: Any) -> str:
        return tuning.key_search(augmented, val, shrink(params, **changes))

    same = key()
    assert key(workers=2, max_minutes=1.0) == same
    others = {key(space={"width": [4, 8]}), key(epochs=2), key(strategy="grid")}
    weights = tmp_path / "start.weights.h5"
    started = params.model_copy(
        update={"model": params.model.model_copy(update={"weights": str(weights)})}
    )
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        others.add(tuning.key_search(augmented, val, started))
    write_labels(val, 1 - np.load(val / "labels.npy"))
    assert len(others | {key(), same}) == 7


def test_a_programming_error_stops_the_search(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tuning, "train_model", fail)
    with pytest.raises(ZeroDivisionError):
        run()


OUT_OF_MEMORY = """Graph execution error:

Detected at node pneumonia_1/block1_norm_1/moments/SquaredDifference defined at (most recent call last):
  File "keras/src/backend/tensorflow/nn.py", line 1548, in _compute_moments

OOM when allocating tensor with shape[64,64,64,256] and type float on device:CPU:0 by allocator cpu
\t [[{{node pneumonia_1/block1_norm_1/moments/SquaredDifference}}]]
"""  # noqa: E501


def test_a_trial_that_finds_no_memory_fails_alone(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's message of a real one, with a width of 256 under `ulimit -v`."""
    train = tuning.train_model

    def exhaust(chosen: ModelParams, *args: Any, **kwargs: Any) -> Any:
        if chosen.width == 6:
            raise tf.errors.ResourceExhaustedError(None, None, OUT_OF_MEMORY)
        return train(chosen, *args, **kwargs)

    monkeypatch.setattr(tuning, "train_model", exhaust)
    found = run(strategy="grid", max_trials=2, space={"width": [4, 6]})
    assert list(found.trials["status"]) == ["COMPLETED", "FAILED"]
    (reason,) = tuning.summarise(found)["failed"].values()
    assert reason.startswith("out of memory: OOM when allocating tensor with shape[64,64,64,256]")
    assert tuning.find_reason("") == ""


def test_contradictions_are_refused(run) -> None:
    for changes, words in (
        ({"strategy": "hyperband"}, r"set tune\.max_trials to null"),
        ({"max_trials": None}, r"tune\.max_trials is null"),
        ({"strategy": "bayesian", "pruning": "median"}, r"set tune\.pruning to none"),
        ({"workers": 0}, r"tune\.workers is 0"),
    ):
        with pytest.raises(InputError, match=words):
            run(**changes)


def test_disabled_search_takes_the_default(run) -> None:
    found = run(enabled=False)
    assert found.best == SMALL
    assert list(found.trials["status"]) == ["SKIPPED"]
    assert tuning.summarise(found)["best_trial"] is None


def make_history(*aucs: float, loss: float = 0.5) -> pd.DataFrame:
    """Curves of so many epochs."""
    rows = [
        {"epoch": epoch, "part": part, "loss": loss, "accuracy": 0.5, "auc": auc}
        for epoch, auc in enumerate(aucs, 1)
        for part in ("train", "val")
    ]
    return pd.DataFrame(rows)


def run_told(oracle: Any, score: float, history: pd.DataFrame) -> None:
    """A trial with these curves."""
    trial = oracle.create_trial("key/me")
    try:
        tuning.tell_epochs(oracle, trial.trial_id, set(), history)
        oracle.update_trial(trial.trial_id, {"score": score})
        trial.status = "COMPLETED"
    except tuning.TrialEndedError as error:
        tuning.fail(trial, str(error))
    oracle.end_trial(trial)


def test_hopeless_and_failed_trials_are_told_with_their_reason(
    tmp_path: Path, params: Params
) -> None:
    settings = shrink(params, max_trials=6, pruning="median")
    oracle = tuning.prepare_oracle(settings, "key", tmp_path)
    for auc in (0.7, 0.8, 0.9):
        run_told(oracle, auc, make_history(auc, auc))
    run_told(oracle, 0.99, make_history(0.79, 0.99))
    run_told(oracle, 0.85, make_history(0.81, 0.85))
    run_told(oracle, 0.99, make_history(0.99, loss=float("nan")))
    found = tuning.collect_search(oracle, settings.tune)
    assert list(found.trials["status"]) == [*["COMPLETED"] * 3, "PRUNED", "COMPLETED", "FAILED"]
    assert found.trials["message"][3] == "pruned after epoch 1: below the median of others"
    assert found.best.learning_rate == found.trials["learning_rate"][2]
    summary = tuning.summarise(found)
    assert summary["failed"] == {"5": "the loss is not finite in epoch 1"}
    assert summary["pruned"] == 1


def test_a_lost_worker_costs_no_trial_but_a_deadly_trial_ends(
    tmp_path: Path, params: Params
) -> None:
    oracle = tuning.prepare_oracle(shrink(params, max_trials=1), "key", tmp_path)
    with pytest.raises(InputError, match="other data, parameters or code"):
        oracle.create_trial("other/me")
    for worker in range(LOSSES):
        assert oracle.create_trial(f"key/elsewhere:{worker}:0").trial_id == "0"
        oracle.give_back_lost(oracle.began)
        assert oracle.ongoing_trials
        oracle.give_back_lost(oracle.began + LOST_AFTER + 60)
        assert not oracle.ongoing_trials
    assert oracle.trials["0"].status == "FAILED"
    assert "lost 3 times" in str(oracle.trials["0"].message)
    assert oracle.create_trial("key/me").status == "STOPPED"
    assert oracle.has_ended()
