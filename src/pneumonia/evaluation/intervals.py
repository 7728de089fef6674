"""Intervals by bootstrap over patients: whole patients are drawn, since their images are alike."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

BLOCK = 250  # draws at once: bounds the memory
MIN_DEFINED = 0.9
MIN_PATIENTS = 5
FAR = 1e300  # stands for infinity where percentiles are interpolated


@dataclass(frozen=True)
class Resampling:
    """How intervals are drawn: how often, how wide, from which seed."""

    draws: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; `reason` says why something is None."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


def draw_weights(groups: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """How often each image is in each draw when patients are resampled: blocks float64 (<= 250, N).

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8.
    """
    names, places = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    for start in range(0, draws, BLOCK):
        rows = min(BLOCK, draws - start)
        drawn = rng.integers(0, len(names), (rows, len(names)))
        drawn += len(names) * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * len(names)).astype(float)
        yield counts.reshape(rows, -1)[:, places]


def resample(
    measure: Callable[[np.ndarray], dict[str, np.ndarray]],
    groups: np.ndarray,
    how: Resampling,
    explain: Callable[[str, float], str],
) -> dict[str, Estimate]:
    """Each figure that `measure` gives for weights (D, N), with percentiles over the draws.

    `groups` str (N,) are the patients; `explain(name, value)` says why a value is not finite.
    """
    points = measure(np.ones((1, len(groups))))
    blocks = [measure(weights) for weights in draw_weights(groups, how.draws, how.seed)]
    patients = len(np.unique(groups))
    estimates = {}
    for name, point in points.items():
        value = float(point[0])
        if np.isfinite(value):
            samples = np.concatenate([block[name] for block in blocks])
            estimates[name] = _summarise(value, samples, how.confidence, patients)
        else:
            estimates[name] = Estimate(None, reason=explain(name, value))
    return estimates


def _summarise(value: float, samples: np.ndarray, confidence: float, patients: int) -> Estimate:
    if patients < MIN_PATIENTS:
        return Estimate(value, reason=f"no interval: {patients} patients are too few to resample")
    defined = samples[~np.isnan(samples)]
    counts = f"{len(defined)} of {len(samples)} draws"
    if len(defined) < MIN_DEFINED * len(samples):
        return Estimate(value, reason=f"no interval: defined in only {counts} of patients")
    if np.ptp(np.clip(defined, -FAR, FAR)) == 0:
        return Estimate(value, reason="no interval: every draw of patients gives the same value")
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = (float(end) for end in np.quantile(np.clip(defined, -FAR, FAR), tails))
    infinite = np.isinf(defined).sum()
    if max(abs(low), abs(high)) < FAR / 1e9:
        return Estimate(value, low, high)
    reason = f"one end of the interval is infinite: so are {infinite} of {len(samples)} draws"
    ends = [end if abs(end) < FAR / 1e9 else None for end in (low, high)]
    return Estimate(value, *ends, reason=reason)


def wilson(hits: float, total: float, confidence: float) -> tuple[float, float] | None:
    """Score interval of a proportion; None of nothing. Source: Wilson 1927, Newcombe 1998."""
    if total == 0:
        return None
    z = float(norm.ppf((1 + confidence) / 2))
    share = hits / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    inner = share * (1 - share) / total + z * z / (4 * total * total)
    half = z * np.sqrt(inner) / (1 + z * z / total)
    low = 0.0 if hits == 0 else float(centre - half)
    return low, 1.0 if hits == total else float(centre + half)
