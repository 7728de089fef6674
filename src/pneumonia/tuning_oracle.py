"""Which hyperparameters come next: Keras Tuner's strategies, the default model always first.

The whole search lies in one file that is replaced at once, so that a kill at any moment leaves one
of its states. Trial n of `random` and `grid` has the same values whoever asks for it and when.
"""

import itertools
import json
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial

from pneumonia.allowed import Interval
from pneumonia.errors import InputError
from pneumonia.files import write_text
from pneumonia.params import ModelParams, TuneParams
from pneumonia.processes import is_gone

Space = dict[str, list[int | float | str] | Interval]
MEDIAN_OF = 3  # finished trials that the median rule needs before it judges
LOST_AFTER, LOSSES = 60.0, 3  # seconds of silence; workers that a trial may cost
MESSAGE = "message"  # Keras Tuner's wire format has no place for it but among the values


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


class SearchOracle(keras_tuner.Oracle):
    """What is added to each strategy: default first, one file, time bound, pruning, lost workers.

    `score` is the metric that the trials are judged by; the curve that pruning judges is set in
    `prepare`.
    """

    def prepare(self, folder: Path, key: str, settings: TuneParams, curve: str) -> None:
        """Keep the state in `folder`, going on with what is there; serve workers of this key."""
        self.file, self.key = folder / "search.json", key
        self.settings, self.curve = settings, curve
        self.stopped = self.timed_out = False
        self.heard: dict[str, float] = {}
        self.losses: dict[str, int] = {}
        self.seconds, self.began = 0.0, time.monotonic()
        self.verbose = 0
        if self.file.exists():
            self.reload()

    # -- what Keras Tuner calls

    def save(self) -> None:
        trials = [trial.get_state() for trial in self.trials.values()]
        state = {"oracle": self.get_state(), "trials": trials, "seconds": self.elapsed()}
        write_text(self.file, json.dumps(state))

    def _save_trial(self, trial: Trial) -> None:
        """Saved with all else."""

    def reload(self) -> None:
        state = json.loads(self.file.read_text())
        self.trials = {t["trial_id"]: Trial.from_state(t) for t in state["trials"]}
        self.set_state(state["oracle"])
        self.seconds = state["seconds"]
        self._retry_queue += [trial.trial_id for trial in self.ongoing_trials.values()]
        self.ongoing_trials = {}

    def _random_values(self) -> dict[str, Any] | None:
        if self.trials:
            return super()._random_values()
        return {item.name: item.default for item in self.hyperparameters.space}

    def create_trial(self, tuner_id: str) -> Trial:
        if not tuner_id.startswith(self.key):
            raise InputError("the chief has other data, parameters or code: make them the same")
        self.heard[tuner_id] = time.monotonic()
        trial = super().create_trial(tuner_id)
        self.stopped |= trial.status == "STOPPED"
        return trial

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if self.is_over():
            return {"status": "STOPPED", "values": None}
        return super().populate_space(trial_id)

    def get_trial(self, trial_id: str) -> Trial:
        """Keras Tuner's workers ask for it now and then: a sign of life."""
        self.heard[trial_id] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Trial:
        """Keep an epoch's figures; what comes back is STOPPED if the trial is hopeless."""
        trial = self.trials[trial_id]
        self.heard[trial_id] = time.monotonic()
        for name, value in metrics.items():
            if not trial.metrics.exists(name):
                trial.metrics.register(name, direction=find_direction(name))
            known = {item.step for item in trial.metrics.get_history(name)}
            if step not in known:
                trial.metrics.update(name, value, step=step)
        self.save()
        answer = Trial(trial.hyperparameters, trial_id, trial.status)
        if self.curve in metrics and self.is_hopeless(trial, step):
            answer.status = "STOPPED"
        return answer

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        trial.message = trial.hyperparameters.values.pop(MESSAGE, trial.message)
        if trial.trial_id in self.end_order:
            return  # a worker that was thought lost came back
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
        super().end_trial(trial)

    # -- what is ours

    def elapsed(self) -> float:
        """Seconds of search, those before an interruption included."""
        return self.seconds + time.monotonic() - self.began

    def is_over(self) -> bool:
        """Whether the time is up; the first trial always runs."""
        limit = self.settings.max_minutes
        self.timed_out = bool(self.trials and limit and self.elapsed() > 60 * limit)
        return self.timed_out

    def is_hopeless(self, trial: Trial, epoch: int) -> bool:
        """The median rule: its best epoch is worse than the median of others' running averages.

        Source: Golovin et al., Google Vizier, KDD 2017, section 3.2.2.
        """
        if self.settings.pruning != "median" or trial.trial_id == self.start_order[0]:
            return False
        others = [other for other in self.trials.values() if other.status == "COMPLETED"]
        curves = [read_curve(other, self.curve)[:epoch] for other in others]
        if len(curves) < MEDIAN_OF:
            return False
        bound, own = median(map(mean, curves)), read_curve(trial, self.curve)
        return max(own) < bound if find_direction(self.curve) == "max" else min(own) > bound

    @keras_tuner.synchronized
    def give_back(self, tuner_id: str, reason: str) -> None:
        """Let another worker have the trial of one that is gone; FAILED after a few."""
        self.tuner_ids.discard(tuner_id)
        trial = self.ongoing_trials.pop(tuner_id, None)
        if trial is None:
            return
        self.losses[trial.trial_id] = self.losses.get(trial.trial_id, 0) + 1
        if self.losses[trial.trial_id] >= LOSSES:
            self.end_trial(Trial(trial.hyperparameters, trial.trial_id, "FAILED", reason))
        else:
            waiting: list[str] = self._retry_queue
            waiting.append(trial.trial_id)
            self.save()

    def give_back_lost(self, now: float) -> None:
        """Give back the trials of workers that are gone or silent at `now` (monotonic seconds)."""
        for tuner_id in list(self.tuner_ids):
            trial = self.ongoing_trials.get(tuner_id)
            names = (tuner_id, trial.trial_id if trial else tuner_id)
            signs = [self.heard.get(name, 0.0) for name in names]
            if now - max(signs) > LOST_AFTER or is_gone(tuner_id.partition("/")[2]):
                self.give_back(tuner_id, f"its worker was lost {LOSSES} times (out of memory?)")

    def needs_workers(self) -> bool:
        """Whether there may be trials to begin, or one waits whose worker was lost."""
        return not self.stopped or bool(self._retry_queue)

    def has_ended(self) -> bool:
        """Whether no trial is left to be run, and every worker knows."""
        open_ends = self.ongoing_trials or self._retry_queue or self.tuner_ids
        return self.stopped and not open_ends


def find_direction(metric: str) -> str:
    """Losses and errors are better when lower."""
    return "min" if metric.endswith("loss") else "max"


def read_curve(trial: Trial, metric: str) -> list[float]:
    """A metric by epoch."""
    if not trial.metrics.exists(metric):
        return []
    return [item.value[0] for item in trial.metrics.get_history(metric)]


class RandomOracle(SearchOracle, keras_tuner.oracles.RandomSearchOracle):
    pass


class HyperbandOracle(SearchOracle, keras_tuner.oracles.HyperbandOracle):
    pass


class BayesianOracle(SearchOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """As Keras Tuner does, but with random numbers that an interruption does not change."""
        self._random_state = np.random.RandomState((self.seed + len(self.trials)) % 2**32)
        return super().populate_space(trial_id)


class GridOracle(SearchOracle):
    """Every combination, the last hyperparameter changing fastest, its default first.

    Keras Tuner's own grid search forgets its place when it is interrupted.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        space = self.hyperparameters.space
        choices = [[h.default, *(v for v in h.values if v != h.default)] for h in space]
        row = next(itertools.islice(itertools.product(*choices), len(self.trials), None), None)
        if row is None or self.is_over():
            return {"status": "STOPPED", "values": None}
        names = (item.name for item in space)
        return {"status": "RUNNING", "values": dict(zip(names, row, strict=True))}


ORACLES = {"random": RandomOracle, "bayesian": BayesianOracle, "grid": GridOracle}


def build_oracle(
    settings: TuneParams, direction: str, seed: int, space: keras_tuner.HyperParameters
) -> SearchOracle:
    """The search strategy; hyperband derives its number of trials from `epochs`.

    `direction` of the score: max or min. Raises InputError where settings contradict each other.
    """
    strategy, max_trials = settings.strategy, settings.max_trials
    common: dict[str, Any] = {
        "objective": keras_tuner.Objective("score", direction),
        "hyperparameters": space,
        "seed": seed or 2**32 - 1,  # Keras Tuner takes 0 for none
        "allow_new_entries": False,
        "tune_new_entries": False,
        "max_consecutive_failed_trials": 10**9,
    }
    if settings.pruning != "none" and strategy not in ("random", "grid"):
        raise InputError(
            f"tune.pruning is {settings.pruning}, but {strategy} learns from whole trials: set "
            "tune.pruning to none"
        )
    if strategy == "hyperband":
        if max_trials is not None:
            raise InputError(
                f"tune.max_trials is {max_trials}, but tune.strategy hyperband derives the number "
                "of trials from tune.epochs: set tune.max_trials to null"
            )
        return HyperbandOracle(max_epochs=settings.epochs, **common)
    if max_trials is None:
        raise InputError(f"tune.max_trials is null, but {strategy} needs it: set it to 1 or more")
    return ORACLES[strategy](max_trials=max_trials, **common)
