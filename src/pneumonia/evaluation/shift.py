"""What the shift suite does to a model: its figures under each change of `pneumonia.shift`."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from pneumonia.data.store import Part
from pneumonia.evaluation import metrics
from pneumonia.progress import track
from pneumonia.shift import SHIFTS, shift_images

REPORTED = ("auc", "accuracy", "sensitivity", "specificity", "ece")


def measure_shifts(
    predict: Callable[[np.ndarray], np.ndarray],
    find_atypical: Callable[[np.ndarray], np.ndarray],
    part: Part,
    threshold: float,
    seed: int,
) -> pd.DataFrame:
    """Columns shift, `REPORTED` and atypical (the share of images flagged), a row a shift.

    `predict` gives probabilities float (N,), `find_atypical` flags bool (N,).
    """
    ones = np.ones((1, len(part.labels)))
    rows = []
    for name in track(SHIFTS, "shift suite", total=len(SHIFTS)):
        images = shift_images(part.images, name, seed)
        figures = metrics.all_metrics(part.labels, predict(images), threshold, ones)
        row = {"shift": name} | {key: float(figures[key][0]) for key in REPORTED}
        rows.append(row | {"atypical": float(find_atypical(images).mean())})
    return pd.DataFrame(rows)
