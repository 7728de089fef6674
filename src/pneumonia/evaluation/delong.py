"""Variance of the AUC, and of the difference of two on the same images, without resampling.

Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 1988; the fast algorithm: Sun and Xu, IEEE
Signal Processing Letters 2014; images that come in patients: Obuchowski, Biometrics 1997.
"""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, rankdata


def estimate_aucs(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """AUCs (K,) of scores (K, N) and their covariance (K, K); NaN with fewer than two of a class.

    Without `groups` each image counts as independent (DeLong); with them, patients do (Obuchowski).
    """
    positive, negative = scores[:, labels == 1], scores[:, labels == 0]
    m, n = positive.shape[1], negative.shape[1]
    if min(m, n) < 2:
        unknown = np.full(len(scores), np.nan)
        return unknown, np.full((len(scores), len(scores)), np.nan)
    joint = rankdata(np.concatenate([positive, negative], axis=1), axis=1)
    above = (joint[:, :m] - rankdata(positive, axis=1)) / n
    below = 1 - (joint[:, m:] - rankdata(negative, axis=1)) / m
    aucs = above.mean(1)
    if groups is None:
        return aucs, np.atleast_2d(np.cov(above) / m + np.cov(below) / n)
    excess = above - aucs[:, None], below - aucs[:, None]
    return aucs, _cluster(*excess, groups[labels == 1], groups[labels == 0])


def _cluster(
    above: np.ndarray, below: np.ndarray, positives: np.ndarray, negatives: np.ndarray
) -> np.ndarray:
    """Covariance from sums over patients of what each image adds to the AUCs, (K, M) and (K, N)."""
    _, places = np.unique(np.concatenate([positives, negatives]), return_inverse=True)
    m, n, patients = len(positives), len(negatives), places.max() + 1
    with_class = len(np.unique(positives)), len(np.unique(negatives))
    if min(with_class) < 2:
        return np.full((len(above), len(above)), np.nan)
    up = np.stack([np.bincount(places[:m], row, patients) for row in above]) / m
    down = np.stack([np.bincount(places[m:], row, patients) for row in below]) / n
    own = [
        side @ side.T * (count / (count - 1))
        for side, count in zip((up, down), with_class, strict=True)
    ]
    cross = (up @ down.T + down @ up.T) * (patients / (patients - 1))
    return own[0] + own[1] + cross


def logit_interval(auc: float, variance: float, confidence: float) -> tuple[float, float] | None:
    """Interval of an AUC on the logit scale, so that it stays within 0 and 1 (Pepe 2003, 5.2.4).

    None where there is no variance to go by: AUC 0, 1 or unknown.
    """
    if not (0 < auc < 1 and variance > 0):
        return None
    half = norm.ppf((1 + confidence) / 2) * np.sqrt(variance) / (auc * (1 - auc))
    low, high = expit(logit(auc) + np.array([-half, half]))
    return float(low), float(high)


def compare_aucs(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray | None,
    confidence: float,
) -> dict[str, float | None]:
    """difference (second - first), low, high, z and two-sided p of two AUCs on the same images."""
    aucs, covariance = estimate_aucs(labels, np.stack([first, second]), groups)
    difference = float(aucs[1] - aucs[0])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if not variance > 1e-15:
        known = None if np.isnan(difference) else difference
        return {"difference": known, "low": None, "high": None, "z": None, "p": None}
    error = np.sqrt(variance)
    half = float(norm.ppf((1 + confidence) / 2) * error)
    z = difference / error
    return {
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
        "z": float(z),
        "p": float(2 * norm.sf(abs(z))),
    }
