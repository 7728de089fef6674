"""From a model's score to a probability: a map fitted on validation images, kept as plain numbers.

A calibration is {"method": "none"}, {"method": "temperature", "temperature": T},
{"method": "platt", "slope": A, "intercept": B} or {"method": "isotonic", "x": [...], "y": [...]},
as it stands in models/decision.json.
"""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

from pneumonia.errors import InputError
from pneumonia.evaluation.metrics import log_loss, to_logits


def fit_calibration(method: str, labels: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """The calibration by `method` of labels int (N,) and scores float (N,)."""
    if method == "temperature":
        return {"method": method, "temperature": fit_temperature(labels, scores)}
    if method == "platt":
        slope, intercept = fit_line(labels, scores)
        return {"method": method, "slope": slope, "intercept": intercept}
    if method == "isotonic":
        x, y = fit_steps(labels, scores)
        return {"method": method, "x": x.tolist(), "y": y.tolist()}
    return {"method": "none"}


def apply_calibration(scores: np.ndarray, calibration: dict[str, Any]) -> np.ndarray:
    """Calibrated probabilities float (N,); the order of the scores is kept, ties may be made.

    Raises InputError for a method that this version does not know.
    """
    method = calibration["method"]
    if method == "none":
        return scores
    if method == "temperature":
        return apply_temperature(scores, calibration["temperature"])
    if method == "platt":
        return expit(calibration["slope"] * to_logits(scores) + calibration["intercept"])
    if method == "isotonic":
        return np.interp(scores, calibration["x"], calibration["y"])
    raise InputError(f"decision.json has the unknown calibration {method!r}: run `dvc repro`")


def fit_temperature(labels: np.ndarray, scores: np.ndarray) -> float:
    """The T that minimises the log loss of sigmoid(logit / T) (Guo et al., arXiv 1706.04599)."""
    ones = np.ones((1, len(labels)))
    found = minimize_scalar(
        lambda log_t: log_loss(labels, apply_temperature(scores, float(np.exp(log_t))), ones)[0],
        bounds=(np.log(0.1), np.log(10)),
        method="bounded",
    )
    return round(float(np.exp(found.x)), 6)


def apply_temperature(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities float (N,) with their logits divided by the temperature."""
    return expit(to_logits(scores) / temperature)


def fit_line(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Slope (above 0) and intercept of sigmoid(slope * logit + intercept).

    Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999, with his softened
    targets, which keep the line finite where the classes are told apart without an error. Unlike
    a temperature it also shifts: a net trained with both classes weighing the same needs that.
    """
    from sklearn.linear_model import LogisticRegression

    positives = int(labels.sum())
    high, low = (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2)
    target = np.where(labels == 1, high, low)
    logits = to_logits(scores)[:, None]
    line = LogisticRegression(C=1e6, max_iter=1000).fit(
        np.concatenate([logits, logits]),
        np.repeat([1, 0], len(labels)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    return round(max(float(line.coef_[0, 0]), 1e-3), 6), round(float(line.intercept_[0]), 6)


def fit_steps(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners x, y of the rising line that fits labels best (Zadrozny and Elkan, KDD 2002).

    It stays 1 / (N + 2) away from 0 and 1: N images are no proof of certainty (Laplace's rule).
    """
    from sklearn.isotonic import IsotonicRegression

    edge = 1 / (len(labels) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
    fitted.fit(scores, labels)
    return fitted.X_thresholds_, fitted.y_thresholds_
