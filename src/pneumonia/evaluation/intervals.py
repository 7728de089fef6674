"""Intervals by bootstrap over patients: whole patients are drawn, since their images are alike."""

import numpy as np

from pneumonia.evaluation.metrics import all_metrics

BLOCK = 250  # draws at once: bounds the memory
MIN_DEFINED = 0.9


def draw_weights(groups: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """How often each image is in each draw, float32 (draws, N), when patients are resampled.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8.
    """
    names, places = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return counts[:, places].astype("float32")


def estimate(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    threshold: float,
    *,
    draws: int,
    confidence: float,
    seed: int,
) -> dict[str, dict[str, float | str | None]]:
    """Each figure as value, low and high; null with a reason where it cannot be had.

    labels int (N,), scores float (N,), groups str (N,); percentiles of the draws in which the
    figure is defined, provided that these are 90 % of them.
    """
    if not np.isfinite(scores).all():
        reason = f"{(~np.isfinite(scores)).sum()} of {len(scores)} scores are not finite"
        names = all_metrics(labels, np.zeros(len(labels)), threshold, np.ones((1, len(labels))))
        return {name: _unknown(reason) for name in names}
    points = all_metrics(labels, scores, threshold, np.ones((1, len(labels))))
    weights = draw_weights(groups, draws, seed)
    blocks = [
        all_metrics(labels, scores, threshold, weights[start : start + BLOCK].astype("float64"))
        for start in range(0, draws, BLOCK)
    ]
    patients = len(np.unique(groups))
    return {
        name: _summarise(
            float(point[0]), np.concatenate([b[name] for b in blocks]), confidence, patients
        )
        for name, point in points.items()
    }


def _summarise(
    value: float, samples: np.ndarray, confidence: float, patients: int
) -> dict[str, float | str | None]:
    if np.isnan(value):
        return _unknown("not defined: a class or a prediction is missing in this part")
    defined = samples[~np.isnan(samples)]
    if patients < 5 or len(defined) < MIN_DEFINED * len(samples):
        reason = f"no interval: {patients} patients are too few to resample"
        return {"value": value, "low": None, "high": None, "reason": reason}
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"value": value, "low": float(low), "high": float(high)}


def _unknown(reason: str) -> dict[str, float | str | None]:
    return {"value": None, "low": None, "high": None, "reason": reason}
