"""The search for hyperparameters: what a trial is, how it is judged, and the table of all.

The search's state lies outside DVC's outputs, keyed by data and settings, so that an interrupted
search goes on with the trials it has.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import pandas as pd
import tensorflow as tf
from keras_tuner.engine.trial import Trial
from sklearn.metrics import roc_auc_score

from pneumonia.data.store import Part
from pneumonia.errors import InputError
from pneumonia.evaluation.predictor import predict_images
from pneumonia.files import hash_work
from pneumonia.params import ModelParams, Params, TuneParams
from pneumonia.progress import announce
from pneumonia.shift import add_shifted
from pneumonia.training import FIGURES, last_figures, train_model
from pneumonia.tuning_oracle import MESSAGE, SearchOracle, build_oracle, build_space, read_curve

CURVE_COLUMNS = ["trial", "epoch", "part", *FIGURES]
PRUNED = "pruned"
IDLE_PAUSE = 0.2  # seconds until a worker for which there is no trial yet asks again
WORKING = {"pruning", "max_minutes", "workers", "listen"}  # settings of tune that change no trial
FINAL = {"epochs", "cross_fit"}  # settings of train that trials do not take over
Fit = Callable[..., tuple[keras.Model, pd.DataFrame]]


@dataclass(frozen=True)
class Objective:
    """What trials are judged by: `measure(model, val, history)` of the trained model.

    `direction` is max or min; `curve` is the validation figure that pruning looks at meanwhile.
    """

    direction: str
    curve: str
    measure: Callable[[keras.Model, Part, pd.DataFrame], float]


def read_last(figure: str, _model: keras.Model, _val: Part, history: pd.DataFrame) -> float:
    """A validation figure after the last epoch."""
    return last_figures(history)[figure]


def measure_shifted(model: keras.Model, val: Part, _history: pd.DataFrame) -> float:
    """AUC on the validation images and on each of them under `mixed`; see `add_shifted`."""
    judged = add_shifted(val, seed=0)
    return float(roc_auc_score(judged.labels, predict_images(model, judged.images)))


OBJECTIVES = {
    "auc": Objective("max", "val_auc", partial(read_last, "auc")),
    "loss": Objective("min", "val_loss", partial(read_last, "loss")),
    "shifted_auc": Objective("max", "val_auc", measure_shifted),
}


class TrialEndedError(Exception):
    """A trial ends before its last epoch, for the reason that the message tells."""


def prepare_oracle(settings: Params, key: str, work: Path) -> SearchOracle:
    """The search in the folder `work`, as far as it is. Raises InputError on contradictions."""
    objective = OBJECTIVES[settings.tune.objective]
    space = build_space(settings.tune.space, settings.model)
    oracle = build_oracle(settings.tune, objective.direction, settings.seed, space)
    oracle.prepare(work, key, settings.tune, objective.curve)
    return oracle


def key_search(augmented: Path, val: Path, settings: Params) -> str:
    """Equal keys, equal trials: of the data, of what a trial's values and score come from, of code.

    A bound of time or the number of workers may change between two parts of one search.
    """
    tune = settings.tune.model_dump(exclude=WORKING)
    train = settings.train.model_dump(exclude=FINAL)
    values = (settings.seed, settings.data.image_size, settings.model, tune, train)
    return hash_work([augmented, val, settings.model.start], *values)


def run_trials(
    oracle: Any, worker: str, settings: Params, train: Part, val: Part, work: Path
) -> None:
    """Run trials of an oracle, or of a client of one, until there are no more."""
    while (trial := oracle.create_trial(worker)).status != "STOPPED":
        if trial.status == "IDLE":
            time.sleep(IDLE_PAUSE)
            continue
        folder = work / f"trial_{trial.trial_id}"
        run_trial(oracle, trial, settings, train, val, folder)
        oracle.end_trial(trial)
        shutil.rmtree(folder, ignore_errors=True)


def run_trial(
    oracle: Any, trial: Trial, settings: Params, train: Part, val: Part, folder: Path
) -> None:
    """Train one model from scratch with the recipe of the train stage; sets the trial's status.

    It has one member: a network that does better alone does so among others, and costs a third.
    Hyperband's promoted trials train anew as well: a one-cycle schedule cannot be prolonged. Out of
    memory, a loss that is not finite and pruning end a trial; any other error ends the search.
    """
    values = trial.hyperparameters.values
    epochs = int(values.get("tuner/epochs", settings.tune.epochs))
    chosen = select_hyperparameters(values)
    alone = chosen.model_copy(update={"members": 1})
    announce(f"trial {trial.trial_id}: {chosen.model_dump()}")
    report = partial(tell_epochs, oracle, trial.trial_id, set())
    try:
        model, history = train_model(
            alone,
            settings.data.image_size,
            train,
            val,
            settings.train.model_copy(update={"epochs": epochs}),
            seed=settings.seed,
            work=folder,
            keep_aspect=settings.data.keep_aspect,
            report=report,
        )
        report(history)  # what an interrupted worker may not have told
        score = OBJECTIVES[settings.tune.objective].measure(model, val, history)
        oracle.update_trial(trial.trial_id, {"score": score})
        trial.status = "COMPLETED"
    except tf.errors.ResourceExhaustedError as error:
        fail(trial, f"out of memory: {find_reason(str(error.message))}")
    except TrialEndedError as error:
        fail(trial, str(error))


def find_reason(message: str) -> str:
    """The line that tells what did not fit, among those that tell where in the code it was."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("OOM")), lines[0] if lines else "")


def fail(trial: Trial, reason: str) -> None:
    """End a trial without a score."""
    announce(f"trial {trial.trial_id} ends: {reason}")
    trial.status = "FAILED"
    trial.hyperparameters.values[MESSAGE] = reason.strip().split("\n")[0]


def tell_epochs(oracle: Any, trial_id: str, told: set[int], history: pd.DataFrame) -> None:
    """Send the epochs not in `told`. Raises TrialEndedError if the trial is not to go on."""
    for number in sorted({int(epoch) for epoch in history["epoch"]} - told):
        told.add(number)
        rows = history[history["epoch"] == number]
        figures = {
            f"{row['part']}_{name}": float(row[name])
            for row in rows.to_dict("records")
            for name in FIGURES
        }
        if not math.isfinite(figures["train_loss"]):
            raise TrialEndedError(f"the loss is not finite in epoch {number}")
        if oracle.update_trial(trial_id, figures, step=number).status == "STOPPED":
            raise TrialEndedError(f"{PRUNED} after epoch {number}: below the median of others")


def select_hyperparameters(values: dict[str, Any]) -> ModelParams:
    """A trial's values without the tuner's own entries."""
    return ModelParams(**{name: values[name] for name in ModelParams.model_fields})


@dataclass(frozen=True)
class Search:
    """What a search found.

    trials: trial, status, score, validation figures, hyperparameters, message;
    curves: trial, epoch, part, loss, accuracy, auc; timed_out: whether `max_minutes` ended it;
    best_trial: whose values `best` are, None without a search.
    """

    best: ModelParams
    best_trial: int | None
    trials: pd.DataFrame
    curves: pd.DataFrame
    timed_out: bool = False


def collect_search(oracle: SearchOracle, settings: TuneParams) -> Search:
    """Best hyperparameters, trials and curves. Raises InputError if no trial was completed."""
    trials = tabulate_trials(oracle)
    completed = trials[trials["status"] == "COMPLETED"]
    if completed.empty:
        oracle.file.unlink()  # the next attempt shall try again
        raise InputError(f"no trial was completed; the last one said: {trials['message'].iloc[-1]}")
    ascending = OBJECTIVES[settings.objective].direction == "min"
    best = completed.sort_values("score", ascending=ascending, kind="stable").iloc[0]
    trial = oracle.trials[oracle.start_order[int(best.name)]]  # pyright: ignore
    values = select_hyperparameters(trial.hyperparameters.values)
    return Search(values, int(best["trial"]), trials, collect_curves(oracle), oracle.timed_out)


def skip_search(default: ModelParams) -> Search:
    """The default as the only trial, not run."""
    row = {"trial": 0, "status": "SKIPPED", "score": None} | default.model_dump() | {"message": ""}
    return Search(default, None, pd.DataFrame([row]), pd.DataFrame(columns=CURVE_COLUMNS))


def summarise(search: Search) -> dict[str, Any]:
    """How many trials ended how, the best one's number and score, and its hyperparameters."""
    done = search.trials[search.trials["status"] == "COMPLETED"]
    failed = search.trials[search.trials["status"] == "FAILED"]
    scores = dict(zip(done["trial"], done["score"], strict=True))
    return {
        "trials": len(search.trials),
        "completed": len(done),
        "pruned": int((search.trials["status"] == "PRUNED").sum()),
        "failed": {str(row["trial"]): row["message"] for row in failed.to_dict("records")},
        "timed_out": search.timed_out,
        "best_trial": search.best_trial,
        "best_score": scores.get(search.best_trial),
        "default_score": scores.get(0),
        "best": search.best.model_dump(),
    }


def tabulate_trials(oracle: SearchOracle) -> pd.DataFrame:
    """One row a trial, in order: trial, status, score, metrics, hyperparameters, message."""
    rows = []
    for trial in (oracle.trials[trial_id] for trial_id in oracle.start_order):
        figures = {
            f"val_{name}": curve[-1]
            for name in ("auc", "loss", "accuracy")
            if (curve := read_curve(trial, f"val_{name}"))
        }
        message = trial.message or ""
        status = "PRUNED" if message.startswith(PRUNED) else trial.status
        row = {"trial": int(trial.trial_id), "status": status, "score": trial.score}
        values = select_hyperparameters(trial.hyperparameters.values).model_dump()
        rows.append(row | figures | values | {"message": message})
    return pd.DataFrame(rows)


def collect_curves(oracle: SearchOracle) -> pd.DataFrame:
    """The history of every trial under each other."""
    rows = []
    for trial_id in oracle.start_order:
        trial = oracle.trials[trial_id]
        for index in range(len(read_curve(trial, "val_loss"))):
            for part in ("train", "val"):
                figures = {name: read_curve(trial, f"{part}_{name}")[index] for name in FIGURES}
                rows.append({"trial": int(trial_id), "epoch": index + 1, "part": part} | figures)
    return pd.DataFrame(rows, columns=pd.Index(CURVE_COLUMNS))
