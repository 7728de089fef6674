"""Is an image like those that the model was trained on? A distance in the space of its features.

Source: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and
Adversarial Attacks, arXiv 1807.03888: the Mahalanobis distance, here without regard to class.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pneumonia.errors import InputError
from pneumonia.files import atomic

TYPICAL_SHARE = 0.99  # of validation images, each unseen by one member at least


@dataclass(frozen=True)
class Typicality:
    """Mean float64 (D,) and inverse covariance (D, D) of features, and the distance to call far."""

    mean: np.ndarray
    precision: np.ndarray
    limit: float

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Distances float64 (N,) of features (N, D), in standard deviations over all axes."""
        offsets = features.astype("float64") - self.mean
        squared = np.einsum("nd,de,ne->n", offsets, self.precision, offsets)
        return np.sqrt(np.maximum(squared, 0))

    def is_atypical(self, features: np.ndarray) -> np.ndarray:
        """Bool (N,): farther from the training images than nearly all validation images were."""
        return self.measure(features) > self.limit


def fit_typicality(train: np.ndarray, val: np.ndarray) -> Typicality:
    """From features float (N, D) of training and of validation images; shrunk covariance."""
    from sklearn.covariance import LedoitWolf

    fitted = LedoitWolf().fit(train.astype("float64"))
    reference = Typicality(fitted.location_, np.asarray(fitted.precision_), 0.0)
    limit = float(np.quantile(reference.measure(val), TYPICAL_SHARE))
    return Typicality(reference.mean, reference.precision, limit)


def save_typicality(typicality: Typicality, path: Path) -> None:
    """Write as .npy (D + 2, D): mean, precision, and a row of the limit.

    One array, since the bytes of .npz depend on the version of Python.
    """
    limit = np.full_like(typicality.mean, typicality.limit)
    with atomic(path) as partial:
        np.save(partial, np.vstack([typicality.mean, typicality.precision, limit]))


def load_typicality(path: Path) -> Typicality:
    """Raises InputError where the file is missing or is not what `save_typicality` wrote."""
    try:
        rows = np.load(path, allow_pickle=False)
        return Typicality(rows[0], rows[1:-1], float(rows[-1, 0]))
    except (OSError, ValueError, EOFError, IndexError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}): run `dvc repro`") from None
