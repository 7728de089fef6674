"""What the shift suite does to a model: its figures under each change of `pneumonia.shift`."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from pneumonia.evaluation import metrics
from pneumonia.progress import track
from pneumonia.shift import SHIFTS, shift_images

REPORTED = ("auc", "accuracy", "sensitivity", "specificity", "ece")


def measure_shifts(
    predict: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    threshold: float,
    seed: int,
) -> pd.DataFrame:
    """Columns shift and `REPORTED`, a row a shift; `predict` gives probabilities float (N,)."""
    ones = np.ones((1, len(labels)))
    rows = []
    for name in track(SHIFTS, "shift suite", total=len(SHIFTS)):
        scores = predict(shift_images(images, name, seed))
        figures = metrics.all_metrics(labels, scores, threshold, ones)
        rows.append({"shift": name} | {key: float(figures[key][0]) for key in REPORTED})
    return pd.DataFrame(rows)
