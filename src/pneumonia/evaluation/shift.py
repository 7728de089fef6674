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
    judge: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    part: Part,
    threshold: float,
    seed: int,
) -> pd.DataFrame:
    """Columns shift, `REPORTED` and atypical (the share of images flagged), a row a shift.

    `judge` gives probabilities float (N,) and whether each image is atypical, bool (N,).
    """
    ones = np.ones((1, len(part.labels)))
    rows = []
    for name in track(SHIFTS, "shift suite", total=len(SHIFTS)):
        images = shift_images(part.images, name, seed)
        scores, atypical = judge(images)
        figures = metrics.all_metrics(part.labels, scores, threshold, ones)
        row = {"shift": name} | {key: float(figures[key][0]) for key in REPORTED}
        rows.append(row | {"atypical": float(atypical.mean())})
    return pd.DataFrame(rows)
