"""Figures of a diagnostic test as pure functions of labels, scores and weights.

Every figure takes weights float (D, N), one row a bootstrap draw (a single row of ones for the
estimate itself), and gives float (D,), NaN where a figure is not defined.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import logit

from pneumonia.evaluation.recalibration import recalibrate

CLIP = 1e-7


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: the share of concordant pairs, ties counting half."""
    positive, negative = _weigh_by_score(labels, scores, weights)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(1) * negative.sum(1)
    return _divide((positive * (below + negative / 2)).sum(1), pairs)


def average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of the precisions at each threshold, weighted by the recall gained there."""
    positive, negative = _weigh_by_score(labels, scores, weights)
    hits = np.cumsum(positive[:, ::-1], axis=1)
    flagged = hits + np.cumsum(negative[:, ::-1], axis=1)
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    return _divide((precision * positive[:, ::-1]).sum(1), positive.sum(1))


def _weigh_by_score(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weight of positives and of negatives at each distinct score, ascending: (D, U) both."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    sorted_weights, positive = weights[:, order], labels[order] == 1
    return (
        np.add.reduceat(sorted_weights * positive, starts, axis=1),
        np.add.reduceat(sorted_weights * ~positive, starts, axis=1),
    )


def confusion(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Weights of true and false positives and negatives: tp, fp, fn, tn, each (D,)."""
    cells = {"tp": (1, 1), "fp": (0, 1), "fn": (1, 0), "tn": (0, 0)}
    members = [(labels == actual) & (predicted == said) for actual, said in cells.values()]
    counts = weights @ np.array(members, float).T
    return dict(zip(cells, counts.T, strict=True))


def rates(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Figures at a threshold, from the confusion matrix; a ratio over nothing is infinite."""
    c = confusion(labels, predicted, weights)
    tp, fp, fn, tn = c["tp"], c["fp"], c["fn"], c["tn"]
    sensitivity, specificity = _divide(tp, tp + fn), _divide(tn, tn + fp)
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "accuracy": _divide(tp + tn, tp + fp + fn + tn),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": _divide(tp, tp + fp),
        "npv": _divide(tn, tn + fn),
        "lr_positive": _ratio(sensitivity, _divide(fp, tn + fp)),
        "lr_negative": _ratio(_divide(fn, tp + fn), specificity),
        "f1": _divide(2 * tp, 2 * tp + fp + fn),
        "mcc": _divide(tp * tn - fp * fn, np.sqrt(product)),
    }


def predictive_values(
    sensitivity: np.ndarray, specificity: np.ndarray, prevalence: float
) -> dict[str, np.ndarray]:
    """PPV and NPV at another prevalence, by Bayes' rule; each (D,)."""
    hits, alarms = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    misses, cleared = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    return {"ppv": _divide(hits, hits + alarms), "npv": _divide(cleared, cleared + misses)}


def brier(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean squared distance of probability and label."""
    return _divide(weights @ (scores - labels) ** 2, weights.sum(1))


def log_loss(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Binary cross-entropy in nats, probabilities clipped by 1e-7 as in Keras."""
    p = np.clip(scores, CLIP, 1 - CLIP)
    return _divide(weights @ -np.where(labels == 1, np.log(p), np.log1p(-p)), weights.sum(1))


def calibration_error(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, bins: int = 15
) -> np.ndarray:
    """Expected calibration error over bins of equal width (Naeini et al., AAAI 2015)."""
    places = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [np.abs(weights @ ((places == b) * (labels - scores))) for b in range(bins)]
    return _divide(np.sum(gaps, axis=0), weights.sum(1))


def to_logits(scores: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) float (N,), of probabilities clipped by 1e-7."""
    return logit(np.clip(scores, CLIP, 1 - CLIP))


def calibration_figures(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """How far probabilities can be taken at their word, each (D,)."""
    figures: dict[str, Callable[..., np.ndarray]] = {
        "brier": brier,
        "loss": log_loss,
        "ece": calibration_error,
    }
    plain = {name: metric(labels, scores, weights) for name, metric in figures.items()}
    return plain | recalibrate(labels, to_logits(scores), weights)


def _divide(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    return np.divide(over, under, out=np.full(len(under), np.nan), where=under > 0)


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Like a division, but something over nothing is infinite; nothing over nothing is NaN."""
    return np.where((under == 0) & (over > 0), np.inf, _divide(over, under))


def all_metrics(
    labels: np.ndarray, scores: np.ndarray, threshold: float, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Every figure, each (D,), of labels int (N,) and probabilities (N,); NaN if one score is."""
    if not np.isfinite(scores).all():
        names = all_metrics(labels, np.zeros(len(labels)), threshold, weights)
        return {name: np.full(len(weights), np.nan) for name in names}
    return {
        "auc": auc(labels, scores, weights),
        "average_precision": average_precision(labels, scores, weights),
        **calibration_figures(labels, scores, weights),
        **rates(labels, (scores >= threshold).astype(int), weights),
    }
