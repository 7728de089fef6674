"""What is fixed on validation images: the temperature of the probabilities and the threshold."""

import numpy as np
from scipy.optimize import minimize_scalar

from pneumonia.errors import InputError
from pneumonia.evaluation.metrics import CLIP, log_loss


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
    p = np.clip(scores, CLIP, 1 - CLIP)
    return 1 / (1 + np.exp(-(np.log(p) - np.log1p(-p)) / temperature))


def choose_threshold(labels: np.ndarray, scores: np.ndarray, rule: str, target: float) -> float:
    """The threshold (positive at or above it) by a rule, halfway between two scores.

    youden: greatest sensitivity + specificity; sensitivity: the highest threshold that reaches
    `target`; specificity: the lowest one. Raises InputError where the labels are of one class.
    """
    if len(np.unique(labels)) < 2:
        raise InputError("validation images of both classes are needed to choose a threshold")
    distinct = np.unique(scores)
    cuts = np.concatenate([[0.0], (distinct[1:] + distinct[:-1]) / 2, [1.0 + CLIP]])
    positive = np.sort(scores[labels == 1])
    negative = np.sort(scores[labels == 0])
    sensitivity = 1 - np.searchsorted(positive, cuts) / len(positive)
    specificity = np.searchsorted(negative, cuts) / len(negative)
    if rule == "youden":
        return float(cuts[np.argmax(sensitivity + specificity)])
    if rule == "sensitivity":
        return float(cuts[np.flatnonzero(sensitivity >= target)[-1]])
    return float(cuts[np.flatnonzero(specificity >= target)[0]])
