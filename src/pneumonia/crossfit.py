"""Cross-fitting: members learn from validation images too, each but for its own patients of them.

So every image is learnt from, and every validation image is still judged by a member that has not
learnt from its patient: calibration and threshold are fixed on such scores. (Its batch
normalisation sees those pixels among others, never their labels.) Source: Chernozhukov et al.,
arXiv 1608.00060; for classifiers, scikit-learn's CalibratedClassifierCV(ensemble=True).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pneumonia.data.dealing import deal_by_class
from pneumonia.data.store import Part, load_copies, part_rows
from pneumonia.params import TrainParams


@dataclass(frozen=True)
class Crossed:
    """Copies of V validation images, and which of M members stay without which: bool (V, M)."""

    copies: Part
    unseen: np.ndarray


def load_crossed(
    augmented: Path, manifest: pd.DataFrame, members: int, settings: TrainParams
) -> Crossed | None:
    """What members learn from besides the training images, of what the augment stage wrote."""
    unseen = find_unseen(manifest, members, enabled=settings.cross_fit)
    return None if unseen.all() else Crossed(load_copies(augmented / "val"), unseen)


def find_unseen(manifest: pd.DataFrame, members: int, *, enabled: bool) -> np.ndarray:
    """Which validation image stays unseen by which member: bool (V, M).

    One member for each image, all where it is not enabled or there is one member. Members share
    each class evenly, by patient (`group`); with fewer patients than members, the last ones learn
    from all.
    """
    rows = part_rows(manifest, "val")
    if not enabled or members == 1:
        return np.ones((len(rows), members), bool)
    labels = rows.groupby("group")["label"].mean() >= 0.5
    shares = min(members, int(labels.value_counts().min()))
    homes = deal_by_class(rows, {str(share): 1 / shares for share in range(shares)}, seed=0)
    return rows["group"].map(homes).to_numpy(int)[:, None] == np.arange(members)
