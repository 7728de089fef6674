"""What the shift suite does to a model: its figures under each change of `pneumonia.shift`.

Last comes a control, no shift: each image within the rim of one of the other class.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from pneumonia.data.store import Part
from pneumonia.evaluation import metrics
from pneumonia.evaluation.rim import swap_rims
from pneumonia.progress import track
from pneumonia.shift import SHIFTS, shift_images

OTHER_RIM = "rim of other class"
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
    for name, images in track(change_part(part, seed), "shift suite", total=len(SHIFTS) + 1):
        scores, atypical = judge(images)
        figures = metrics.all_metrics(part.labels, scores, threshold, ones)
        row = {"shift": name} | {key: float(figures[key][0]) for key in REPORTED}
        rows.append(row | {"atypical": float(atypical.mean())})
    return pd.DataFrame(rows)


def change_part(part: Part, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Name and images uint8 (N, H, W) of each shift, and of the control."""
    for name in SHIFTS:
        yield name, shift_images(part.images, name, seed)
    yield OTHER_RIM, swap_rims(part, seed)
