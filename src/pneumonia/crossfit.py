"""Cross-fitting: members learn from validation images too, each but for its own patients of them.

So every image is learnt from, and every validation image is still judged by a member that has not
learnt from its patient: calibration and threshold are fixed on such scores. (Its batch
normalisation sees those pixels among others, never their labels.) Source: Chernozhukov et al.,
arXiv 1608.00060; for classifiers, scikit-learn's CalibratedClassifierCV(ensemble=True).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pneumonia.data.dealing import deal_by_class
from pneumonia.data.store import Part


@dataclass(frozen=True)
class Crossed:
    """Copies of V validation images, and which of M members stay without which: bool (V, M)."""

    copies: Part
    unseen: np.ndarray


def find_unseen(rows: pd.DataFrame, members: int, *, enabled: bool) -> np.ndarray:
    """Which validation image stays unseen by which member: bool (V, M).

    One member for each image, all where it is not enabled or there is one member. `rows` are the
    manifest's, with group (patient) and label. Members share each class evenly, by patient; with
    fewer patients than members, the last ones learn from all.
    """
    if not enabled or members == 1:
        return np.ones((len(rows), members), bool)
    labels = rows.groupby("group")["label"].mean() >= 0.5
    shares = min(members, int(labels.value_counts().min()))
    homes = deal_by_class(rows, {str(share): 1 / shares for share in range(shares)}, seed=0)
    return rows["group"].map(homes).to_numpy(int)[:, None] == np.arange(members)
