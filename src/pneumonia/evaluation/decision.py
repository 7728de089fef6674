"""What is fixed on validation images before the test part is opened: calibration, thresholds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from pneumonia.data.store import Part
from pneumonia.errors import InputError
from pneumonia.evaluation.calibration import apply_calibration, fit_calibration, fit_line
from pneumonia.evaluation.metrics import CLIP
from pneumonia.files import hash_file, read_json
from pneumonia.params import EvaluateParams
from pneumonia.shift import add_shifted

NEEDED = {"calibration", "rule", "threshold", "thresholds"}


def decide(
    predict: Callable[[np.ndarray], np.ndarray], val: Part, settings: EvaluateParams, seed: int
) -> dict[str, Any]:
    """Calibration and thresholds, fitted on validation images, also as other sites make them.

    See `add_shifted` for why. Raises InputError where the model's scores are not finite or the
    validation images are of one class.
    """
    judged = add_shifted(val, seed) if settings.fit_on == "shifted" else val
    return fix_decision(judged.labels, predict(judged.images), settings)


def fix_decision(labels: np.ndarray, raw: np.ndarray, settings: EvaluateParams) -> dict[str, Any]:
    """Calibration and thresholds of validation images: labels int (N,), a model's scores (N,).

    Raises InputError as `decide` does.
    """
    _require_usable(labels, raw)
    calibration = fit_calibration(settings.calibration, labels, raw)
    thresholds = choose_thresholds(labels, apply_calibration(raw, calibration), settings)
    return {
        "calibration": calibration,
        "threshold": thresholds[settings.threshold_rule],
        "thresholds": thresholds,
        "rule": settings.threshold_rule,
        "fit_on": settings.fit_on,
    }


def _require_usable(labels: np.ndarray, scores: np.ndarray) -> None:
    if broken := int((~np.isfinite(scores)).sum()):
        raise InputError(
            f"the model's scores of {broken} of {len(scores)} validation images are not finite: "
            "train again with a lower model.learning_rate"
        )
    if len(np.unique(labels)) < 2:
        raise InputError("validation images of both classes are needed to choose a threshold")


def read_decision(path: Path) -> dict[str, Any]:
    """What models/decision.json says.

    Raises InputError where it was made for another model than the `model.keras` beside it: after an
    interruption, or a copy of one file alone, its threshold would mean nothing. Likewise where
    somebody edited something away, or it is of an early version.
    """
    decision, model = read_json(path), path.with_name("model.keras")
    if missing := NEEDED.difference(decision if isinstance(decision, dict) else ()):
        names = ", ".join(sorted(missing))
        raise InputError(f"{path} lacks {names}: delete it and run `dvc repro`")
    made_for = decision.get("model_sha256")
    if made_for and model.exists() and made_for != hash_file(model):
        raise InputError(
            f"{path} was made for another model than {model}: run `dvc repro`, or `dvc checkout` "
            "for the committed ones"
        )
    return decision


def choose_thresholds(
    labels: np.ndarray, scores: np.ndarray, settings: EvaluateParams
) -> dict[str, float]:
    """The threshold by each rule; see `choose_middle` and `choose_threshold`."""
    targets = {
        "youden": 1.0,
        "sensitivity": settings.target_sensitivity,
        "specificity": settings.target_specificity,
        "cost": settings.false_negative_cost,
    }
    counted = {rule: choose_threshold(labels, scores, rule, t) for rule, t in targets.items()}
    return {"middle": choose_middle(labels, scores), **counted}


def choose_threshold(labels: np.ndarray, scores: np.ndarray, rule: str, target: float) -> float:
    """The threshold (positive at or above it) by a rule, halfway between two scores.

    youden: greatest sensitivity + specificity; sensitivity: the highest threshold that reaches
    `target`; specificity: the lowest one; cost: fewest errors, a missed pneumonia counting as
    `target` false alarms. Needs both labels.
    """
    distinct = np.unique(scores)
    cuts = np.concatenate([[0.0], (distinct[1:] + distinct[:-1]) / 2, [1.0 + CLIP]])
    positive, negative = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    missed, cleared = np.searchsorted(positive, cuts), np.searchsorted(negative, cuts)
    sensitivity, specificity = 1 - missed / len(positive), cleared / len(negative)
    if rule == "youden":
        return float(cuts[np.argmax(sensitivity + specificity)])
    if rule == "cost":
        return float(cuts[np.argmin(target * missed + len(negative) - cleared)])
    if rule == "sensitivity":
        return float(cuts[np.flatnonzero(sensitivity >= target)[-1]])
    return float(cuts[np.flatnonzero(specificity >= target)[0]])


def choose_middle(labels: np.ndarray, scores: np.ndarray) -> float:
    """Where a logistic line through the scores puts the odds at sqrt(P : N), of P and N images.

    Errors are fewest at odds of 1 : 1, sensitivity + specificity is greatest at P : N, and this is
    halfway. By a line, since what is best for the few images at hand lies where chance puts it.
    """
    slope, intercept = fit_line(labels, scores)
    positives = labels.sum()
    odds = np.log(positives / (len(labels) - positives)) / 2
    return float(expit((odds - intercept) / slope))
