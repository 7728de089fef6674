"""Can label or split be told without looking at the picture? Then a model may do so as well.

Source of the concern: Zech et al., Variable generalization performance of a deep learning model to
detect pneumonia in chest radiographs, 2018.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

BOUND = 0.75  # AUC above which a warning is due
MAX_IMAGES = 5000
FOLDS = 5
DRAWS = 200  # resamples of patients for the interval
CONFIDENCE = 0.95
FEATURES = (
    "width", "height", "aspect", "bytes", "brightness", "contrast", "border", "format",
)  # fmt: skip


def audit_shortcuts(table: pd.DataFrame) -> dict[str, Any]:
    """AUC of simple features for the label, and for train against test, of a split table.

    Columns read: path, label, group, split and those of `FEATURES` that are measured.
    """
    used = table[table["split"] != ""]
    ends = used[used["split"].isin(["train", "test"])]
    return {
        "label": measure_shortcut(used, (used["label"] == 1).to_numpy()),
        "split": measure_shortcut(ends, (ends["split"] == "test").to_numpy()),
        "bound": BOUND,
    }


def measure_shortcut(rows: pd.DataFrame, target: np.ndarray) -> dict[str, Any]:
    """How well the features together tell `target`, bool (N,): cross-validated AUC with interval.

    Gradient boosting, folds by patient; `features` holds the AUC of each alone without a model, as
    its distance from 0.5 above it. Of more than 5,000 images some patients are taken, by hash.
    """
    chosen = choose_rows(rows["group"])
    rows, target = rows[chosen], target[chosen]
    patients = min((rows["group"][target == side].nunique() for side in (False, True)), default=0)
    if patients < FOLDS:
        return {"auc": None, "reason": f"{patients} patients in the smaller class are too few"}
    features = take_features(rows)
    groups = rows["group"].to_numpy()
    scores = predict_across_folds(features.to_numpy(), target, groups)
    return {
        **estimate_auc(target, scores, groups),
        "features": [
            {"name": name, "auc": score_alone(target, features[name])} for name in FEATURES
        ],
        "images": len(rows),
    }


def choose_rows(groups: pd.Series) -> np.ndarray:
    """Which rows to take, bool (N,): all, or whole patients in the order of their names' hashes."""
    sizes = groups.value_counts()
    order = sorted(sizes.index, key=lambda name: hashlib.sha256(str(name).encode()).hexdigest())
    before = sizes[order].cumsum() - sizes[order]
    return groups.isin(before.index[before < MAX_IMAGES]).to_numpy()


def take_features(rows: pd.DataFrame) -> pd.DataFrame:
    """float64 (N, 8), columns `FEATURES`; the format is a number by its file name's suffix."""
    suffixes = [Path(path).suffix.lower() for path in rows["path"]]
    formats = pd.Series(np.unique(suffixes, return_inverse=True)[1], index=rows.index)
    aspect = rows["width"].astype("float64") / rows["height"].astype("float64")
    return rows.assign(aspect=aspect, format=formats)[list(FEATURES)].astype("float64")


def predict_across_folds(
    features: np.ndarray, target: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """P(target) of each row, float (N,), by models that saw nothing of its patient."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold
    from threadpoolctl import threadpool_limits

    scores = np.empty(len(target))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    settings: dict[str, Any] = {"max_iter": 40, "max_leaf_nodes": 8, "early_stopping": False}
    with threadpool_limits(1):  # threads that wait for each other on a busy machine cost minutes
        for train, test in folds.split(features, target, groups):
            model = HistGradientBoostingClassifier(**settings, random_state=0)
            model.fit(features[train], target[train])
            scores[test] = model.predict_proba(features[test])[:, 1]
    return scores


def estimate_auc(target: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """AUC with an interval by bootstrap over patients, to three digits."""
    names, places = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(0)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    draws = [weigh_auc(target, scores, weights) for weights in counts[:, places]]
    low, high = np.nanquantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    point = weigh_auc(target, scores, np.ones(len(target)))
    return {"auc": round(point, 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def weigh_auc(target: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """AUC with a weight for each row, ties half; not a number where a class has no weight.

    scikit-learn's takes ten times as long, which two hundred draws would make seconds.
    """
    places = np.unique(scores, return_inverse=True)[1]
    up, down = (np.bincount(places, weights * side) for side in (target, ~target))
    total = up.sum() * down.sum()
    return float((up * (down.cumsum() - down / 2)).sum() / total) if total else float("nan")


def score_alone(target: np.ndarray, feature: pd.Series) -> float:
    """AUC of one feature in whichever direction is better, 0.5 to 1."""
    auc = weigh_auc(target, feature.to_numpy(), np.ones(len(target)))
    return round(max(auc, 1 - auc), 3)


def warn_of_shortcuts(found: dict[str, Any]) -> list[str]:
    """A sentence for label and split where the AUC is above the bound and not by chance."""
    sentences = []
    for name, words in (("label", "the label"), ("split", "train from test")):
        result = found[name]
        if result["auc"] is not None and result["auc"] > BOUND and result["low"] > 0.5:
            best = max(result["features"], key=lambda feature: feature["auc"])["name"]
            sentences.append(
                f"size, file and brightness alone tell {words} with an AUC of {result['auc']:.2f} "
                f"({result['low']:.2f} to {result['high']:.2f}), most of all {best}: a model can "
                "score well without looking at the lungs"
            )
    return sentences
