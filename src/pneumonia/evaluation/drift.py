"""How much images of another place differ from those that a model was trained on."""

from typing import Any

import numpy as np
import pandas as pd

from pneumonia.data.store import PARTS, Part, part_rows
from pneumonia.progress import track

FEATURES = ("mean", "contrast", "sharpness", "width", "height")
SAMPLE = 2000  # images at most: enough to see a drift, and quick on any set
FEW = 20  # images, or groups of them, below which nothing is said
BLOCK = 256


def describe_images(images: np.ndarray, rows: pd.DataFrame) -> pd.DataFrame:
    """Columns group and FEATURES of images uint8 (N, H, W), evenly sampled, at most 2,000.

    mean, contrast (standard deviation) and sharpness (mean step between neighbours) on a scale of
    0 to 1; width and height in pixels, of the files. `rows` are the manifest's, aligned.
    """
    picked = np.unique(np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).astype(int))
    blocks = [picked[start : start + BLOCK] for start in range(0, len(picked), BLOCK)]
    measured = [_describe(np.asarray(images[block])) for block in track(blocks, "describe images")]
    found = rows.iloc[picked]
    table = {"row": picked, "group": pd.factorize(found["group"])[0]}
    table |= dict(zip(FEATURES, np.concatenate(measured).T, strict=False))
    sizes = {name: pd.to_numeric(found[name]).to_numpy(float) for name in ("width", "height")}
    return pd.DataFrame(table | sizes)


def _describe(images: np.ndarray) -> np.ndarray:
    pixels = images.astype("float32") / 255
    steps = np.abs(np.diff(pixels, axis=1)).mean((1, 2)) + np.abs(np.diff(pixels)).mean((1, 2))
    return np.stack([pixels.mean((1, 2)), pixels.std((1, 2)), steps / 2], axis=1).astype(float)


def tabulate_reference(
    parts: dict[str, Part], manifest: pd.DataFrame, val_scores: np.ndarray
) -> pd.DataFrame:
    """models/reference.csv: part, group, FEATURES and p (calibrated, of val alone)."""
    tables = []
    for name in PARTS[:2]:
        rows = part_rows(manifest, name)
        table = describe_images(parts[name].images, rows)
        p = val_scores[table["row"]] if name == "val" else np.nan
        tables.append(table.assign(part=name, p=p))
    return pd.concat(tables)[["part", "group", *FEATURES, "p"]]


def measure_drift(
    reference: pd.DataFrame, images: pd.DataFrame, seed: int
) -> tuple[dict[str, Any], pd.DataFrame]:
    """`domain_auc`, `sentence` and drift.csv (feature, ks, training_median, median).

    Both tables have group, FEATURES and p. Images are held against the training images, scores
    against those of the validation images, since a model is surer of what it was trained on.
    """
    train = reference[reference["part"] == "train"]
    rows = [compare_feature(name, train[name], images[name]) for name in FEATURES]
    val = reference[reference["part"] == "val"]
    rows.append(compare_feature("p", val["p"], images["p"]))
    table = pd.DataFrame(rows)
    area = tell_apart(train, images, seed)
    return {"domain_auc": area, "sentence": say_drift(area, table)}, table


def compare_feature(name: str, before: pd.Series, now: pd.Series) -> dict[str, Any]:
    """The Kolmogorov-Smirnov distance (0 = equal, 1 = apart) and both medians."""
    from scipy.stats import ks_2samp

    before, now = before.dropna(), now.dropna()
    known = len(before) and len(now)
    return {
        "feature": name,
        "ks": float(np.asarray(ks_2samp(before, now, method="asymp"))[0]) if known else np.nan,
        "training_median": before.median(),
        "median": now.median(),
    }


def tell_apart(train: pd.DataFrame, images: pd.DataFrame, seed: int) -> float | None:
    """AUC of a classifier of the place from FEATURES, cross-validated over patients; None if few.

    0.5: the images look alike; 1: every image gives its place away (Lopez-Paz and Oquab, 2017).
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    both = pd.concat([train, images], keys=[0, 1])
    place = both.index.get_level_values(0).to_numpy()
    groups = 2 * both["group"].to_numpy() + place
    if min(len(np.unique(groups[place == side])) for side in (0, 1)) < FEW:
        return None
    guesses = np.asarray(
        cross_val_predict(
            RandomForestClassifier(
                100, min_samples_leaf=5, class_weight="balanced", random_state=seed
            ),
            both[list(FEATURES)].to_numpy(float),
            place,
            groups=groups,
            cv=StratifiedGroupKFold(5, shuffle=True, random_state=seed),
            method="predict_proba",
        )
    )
    return float(roc_auc_score(place, guesses[:, 1]))


def say_drift(area: float | None, table: pd.DataFrame) -> str:
    """One sentence on how unlike the training images these are, and in what."""
    worst = table[table["feature"].isin(FEATURES)].sort_values("ks", ascending=False).iloc[0]
    most = (
        f"most by their {worst['feature']} (median {worst['median']:.3g}, "
        f"in training {worst['training_median']:.3g})"
    )
    if area is None:
        return f"too few patients to tell how unlike the training images these are; {most}"
    told = f"size, exposure and sharpness alone give their place away with AUC {area:.2f}"
    if area < 0.6:
        return f"these images look like the training images: {told}"
    word = "somewhat" if area < 0.8 else "clearly"
    return (
        f"these images differ {word} from the training images, {most}: {told}; "
        "threshold and calibration may not hold here"
    )
