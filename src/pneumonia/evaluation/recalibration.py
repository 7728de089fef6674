"""Calibration slope and intercept: logistic regression of the label on the model's own logit.

Fitted for all bootstrap draws at once by Newton's method. Source: Cox, Biometrika 1958; Van
Calster et al., J Clin Epidemiol 2016.
"""

import numpy as np
from scipy.special import expit

TOLERANCE = 1e-6  # of a step; the error after it is about its square
MAX_STEPS = 40
MAX_STEP = 3.0  # in standard deviations of the logit: keeps Newton's method from overshooting


def recalibrate(
    labels: np.ndarray, logits: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """calibration_slope, calibration_intercept and calibration_in_the_large, each (D,).

    labels int (N,), logits float (N,), weights float (D, N). The slope of perfectly separated
    classes is infinite (its sign says which is above) and its intercept NaN; of constant logits
    or a single class, all are NaN.
    """
    below, above = _bounds(logits, weights, labels == 0), _bounds(logits, weights, labels == 1)
    both = np.isfinite(below[0]) & np.isfinite(above[0])
    constant = np.minimum(below[0], above[0]) == np.maximum(below[1], above[1])
    ahead, behind = above[0] >= below[1], above[1] <= below[0]
    slope, intercept = np.full((2, len(weights)), np.nan)
    slope[both & ~constant & ahead] = np.inf
    slope[both & ~constant & behind] = -np.inf
    fittable = both & ~ahead & ~behind
    if fittable.any():
        found = _fit_line(labels, logits, weights[fittable])
        intercept[fittable], slope[fittable] = found.T
    shift = np.full(len(weights), np.nan)
    if both.any():
        shift[both] = _fit(labels, logits, np.ones((1, len(labels))), weights[both])[:, 0]
    return {
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "calibration_in_the_large": shift,
    }


def _bounds(
    logits: np.ndarray, weights: np.ndarray, members: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest logit of the members that are in each draw; infinite without any."""
    order = np.argsort(logits[members], kind="stable")
    values, drawn = logits[members][order], weights[:, members][:, order] > 0
    if not len(values):
        empty = np.full(len(weights), np.inf)
        return empty, -empty
    some = drawn.any(1)
    first, last = drawn.argmax(1), len(values) - 1 - drawn[:, ::-1].argmax(1)
    return np.where(some, values[first], np.inf), np.where(some, values[last], -np.inf)


def _fit_line(labels: np.ndarray, logits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Intercept and slope of each draw (D, 2), found on standardised logits."""
    centre, spread = logits.mean(), logits.std()
    design = np.stack([np.ones(len(logits)), (logits - centre) / spread])
    found = _fit(labels, np.zeros(len(logits)), design, weights)
    slope = found[:, 1] / spread
    return np.stack([found[:, 0] - slope * centre, slope], axis=1)


def _fit(
    labels: np.ndarray, offset: np.ndarray, design: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Coefficients (D, K) of design (K, N) that maximise the weighted likelihood; NaN if none."""
    terms = len(design)
    products = (design[:, None] * design[None]).reshape(terms * terms, -1)
    found = np.zeros((len(weights), terms))
    if len(weights) > 1:  # begin where all images together end
        found[:] = np.nan_to_num(_fit(labels, offset, design, weights.sum(0, keepdims=True)))
    active = np.arange(len(weights))
    for _ in range(MAX_STEPS):
        w = weights if len(active) == len(weights) else weights[active]
        p = expit(found[active] @ design + offset)
        gradient = (w @ (design * labels).T) - (wp := w * p) @ design.T
        wp *= 1 - p
        curvature = (wp @ products.T).reshape(-1, terms, terms)
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        size = np.abs(step).max(1)
        found[active] += step * np.minimum(1, MAX_STEP / np.maximum(size, MAX_STEP))[:, None]
        active = active[size > TOLERANCE]
        if not len(active):
            break
    found[active] = np.nan
    return found
