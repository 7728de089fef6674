"""The search for hyperparameters: Keras Tuner's strategies, the default model always first.

The tuner's folder lies outside DVC's outputs, keyed by data and settings, so that an interrupted
search goes on with the trials it has; a finished search is deleted.
"""

import contextlib
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras_tuner
import pandas as pd
import tensorflow as tf

from pneumonia.data.store import Part
from pneumonia.errors import InputError
from pneumonia.params import Interval, ModelParams, TrainParams, TuneParams
from pneumonia.progress import announce
from pneumonia.training import last_figures, train_model

Space = dict[str, list[int | float | str] | Interval]
CURVE_COLUMNS = ["trial", "epoch", "part", "loss", "accuracy", "auc"]


def build_space(space: Space, default: ModelParams) -> keras_tuner.HyperParameters:
    """The search space as Keras Tuner wants it; what `space` leaves out stays at its default."""
    hyperparameters = keras_tuner.HyperParameters()
    for name, value in default.model_dump().items():
        values = space.get(name)
        if values is None:
            hyperparameters.Fixed(name, value)
        elif isinstance(values, Interval):
            low, high = min(values.min, value), max(values.max, value)
            sampling = "log" if values.log else "linear"
            hyperparameters.Float(name, low, high, sampling=sampling, default=value)
        else:
            choices = sorted({type(value)(choice) for choice in (*values, value)})
            ordered = not isinstance(value, str)
            hyperparameters.Choice(name, choices, ordered=ordered, default=value)
    return hyperparameters


class DefaultFirst(keras_tuner.Oracle):
    """Gives the default hyperparameters to trial 0, so that a search never loses to them."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if self.trials:
            return super().populate_space(trial_id)
        values = {item.name: item.default for item in self.hyperparameters.space}
        return {"status": "RUNNING", "values": values}


class DefaultFirstRandom(DefaultFirst, keras_tuner.oracles.RandomSearchOracle):
    pass


class DefaultFirstBayesian(DefaultFirst, keras_tuner.oracles.BayesianOptimizationOracle):
    pass


def build_oracle(
    settings: TuneParams, seed: int, space: keras_tuner.HyperParameters
) -> keras_tuner.Oracle:
    """The search strategy; hyperband derives its number of trials from `epochs`.

    Raises InputError where `tune.max_trials` does not go with `tune.strategy`.
    """
    objective, strategy, max_trials = settings.objective, settings.strategy, settings.max_trials
    goal = keras_tuner.Objective(f"val_{objective}", "max" if objective == "auc" else "min")
    common: dict[str, Any] = {"objective": goal, "hyperparameters": space, "seed": seed}
    common |= {"allow_new_entries": False, "tune_new_entries": False}
    if strategy == "hyperband":
        if max_trials is not None:
            raise InputError(
                f"tune.max_trials is {max_trials}, but tune.strategy hyperband derives the number "
                "of trials from tune.epochs: set tune.max_trials to null"
            )
        return keras_tuner.oracles.HyperbandOracle(max_epochs=settings.epochs, **common)
    if max_trials is None:
        raise InputError(f"tune.max_trials is null, but {strategy} needs it: set it to 1 or more")
    oracles = {
        "random": DefaultFirstRandom,
        "bayesian": DefaultFirstBayesian,
        "grid": keras_tuner.oracles.GridSearchOracle,
    }
    return oracles[strategy](max_trials=max_trials, **common)


@contextlib.contextmanager
def silence_tuner() -> Iterator[None]:
    """Keras Tuner announces reloads with print: keep standard output for results."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


class TrialRunner(keras_tuner.Tuner):
    """Trains each trial from scratch with the recipe of the train stage, and keeps its curves.

    Hyperband's promoted trials train anew as well: a one-cycle schedule cannot be prolonged.
    """

    def run_trial(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, trial: Any, fit: Callable[[ModelParams, int, Path], pd.DataFrame], epochs: int
    ) -> dict[str, float]:
        values = dict(trial.hyperparameters.values)
        epochs = int(values.get("tuner/epochs", epochs))
        folder = Path(self.get_trial_dir(trial.trial_id))
        announce(f"trial {trial.trial_id}: {select_hyperparameters(values).model_dump()}")
        try:
            history = fit(select_hyperparameters(values), epochs, folder)
        except tf.errors.ResourceExhaustedError as error:
            raise keras_tuner.errors.FailedTrialError(f"out of memory: {error.message}") from error
        except Exception as error:  # a mistake in the program is no failed trial: stop the search
            raise keras_tuner.errors.FatalError(str(error)) from error
        if history["loss"].isna().any():
            raise keras_tuner.errors.FailedTrialError("the loss is not finite")
        return {f"val_{name}": value for name, value in last_figures(history).items()}

    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)
        for weights in Path(self.get_trial_dir(trial.trial_id)).glob("*.weights.h5"):
            weights.unlink()


def select_hyperparameters(values: dict[str, Any]) -> ModelParams:
    """A trial's values without the tuner's own entries."""
    return ModelParams(**{name: values[name] for name in ModelParams.model_fields})


@dataclass(frozen=True)
class Search:
    """What a search found.

    trials: trial, status, score, validation figures, hyperparameters, message;
    curves: trial, epoch, part, loss, accuracy, auc.
    """

    best: ModelParams
    trials: pd.DataFrame
    curves: pd.DataFrame


def tune(
    train: Part,
    val: Part,
    settings: TuneParams,
    default: ModelParams,
    recipe: TrainParams,
    *,
    image_size: int,
    copies: int,
    seed: int,
    work: Path,
) -> Search:
    """Run the search, or go on with the one in the folder `work`.

    Raises InputError if settings contradict each other or no trial was completed.
    """
    if not settings.enabled:
        return skip_search(default)
    oracle = build_oracle(settings, seed, build_space(settings.space, default))

    def fit(hyperparameters: ModelParams, epochs: int, folder: Path) -> pd.DataFrame:
        trial_recipe = recipe.model_copy(update={"epochs": epochs})
        _, history = train_model(
            hyperparameters, image_size, train, val, trial_recipe,
            copies=copies, seed=seed, work=folder,
        )  # fmt: skip
        return history

    runner = TrialRunner(oracle=oracle, hypermodel=_no_model, directory=work, project_name="search")
    with silence_tuner():
        runner.search(fit=fit, epochs=settings.epochs)
    trials = tabulate_trials(oracle)
    if not (trials["status"] == "COMPLETED").any():
        shutil.rmtree(work)
        raise InputError(f"no trial was completed; the last one said: {trials['message'].iloc[-1]}")
    best = select_hyperparameters(oracle.get_best_trials(1)[0].hyperparameters.values)
    curves = collect_curves(runner, oracle)
    shutil.rmtree(work)
    return Search(best, trials, curves)


def skip_search(default: ModelParams) -> Search:
    """The default as the only trial, not run."""
    row = {"trial": 0, "status": "SKIPPED", "score": None} | default.model_dump() | {"message": ""}
    return Search(default, pd.DataFrame([row]), pd.DataFrame(columns=CURVE_COLUMNS))


def summarise(search: Search) -> dict[str, Any]:
    """How many trials ended how, the best one's number and score, and its hyperparameters."""
    done = search.trials[search.trials["status"] == "COMPLETED"]
    best = search.best.model_dump()
    chosen = [all(row[name] == best[name] for name in best) for row in done.to_dict("records")]
    row = done[chosen].iloc[0] if any(chosen) else None
    return {
        "trials": len(search.trials),
        "completed": len(done),
        "best_trial": None if row is None else int(row["trial"]),
        "best_score": None if row is None else float(row["score"]),
        "default_score": None if row is None else float(done["score"].iloc[0]),
        "best": best,
    }


def _no_model(_hyperparameters: keras_tuner.HyperParameters) -> None:
    """Keras Tuner asks for a builder; models are built in `TrialRunner.run_trial`."""


def tabulate_trials(oracle: keras_tuner.Oracle) -> pd.DataFrame:
    """One row a trial, in order: trial, status, score, metrics, hyperparameters, message."""
    rows = []
    for trial in (oracle.trials[trial_id] for trial_id in oracle.start_order):
        metrics = {
            name: trial.metrics.get_history(name)[-1].value[0]
            for name in ("val_auc", "val_loss", "val_accuracy")
            if trial.metrics.exists(name)
        }
        values = select_hyperparameters(trial.hyperparameters.values).model_dump()
        message = (trial.message or "").strip().split("\n")[-1]
        row = {"trial": int(trial.trial_id), "status": trial.status, "score": trial.score}
        rows.append(row | metrics | values | {"message": message})
    return pd.DataFrame(rows)


def collect_curves(runner: TrialRunner, oracle: keras_tuner.Oracle) -> pd.DataFrame:
    """The history of every trial under each other, with a first column `trial`."""
    frames = []
    for trial_id in oracle.start_order:
        path = Path(runner.get_trial_dir(trial_id)) / "history.csv"
        if path.exists():
            frames.append(pd.read_csv(path).assign(trial=int(trial_id)))
    return pd.concat(frames)[CURVE_COLUMNS]
