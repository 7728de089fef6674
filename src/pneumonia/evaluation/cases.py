"""Grad-CAM of the surest hits and the worst misses: pictures of patients, for people who may."""

from pathlib import Path

import numpy as np
import pandas as pd

from pneumonia.evaluation.facts import list_misses
from pneumonia.plots.heat import draw_rows
from pneumonia.plots.style import open_figure

SHOWN = 4  # cases a row


def draw_cases(
    model: Path, images: np.ndarray, predictions: pd.DataFrame, threshold: float, picture: Path
) -> None:
    """Write the picture; images uint8 (N, H, W) and rows of plots/predictions.csv are aligned."""
    from pneumonia.model import load_model
    from pneumonia.saliency import map_heat

    hits = predictions[(predictions["label"] == 1) & (predictions["p"] >= threshold)]
    hits = hits.sort_values(["p", "path"], ascending=[False, True])
    chosen = {
        "The surest hits: pneumonia, and called so": hits.head(SHOWN),
        "The worst misses": list_misses(predictions, threshold).head(SHOWN),
    }
    network = load_model(model)
    rows = {}
    for name, cases in chosen.items():
        shown = np.asarray(images[cases.index.to_numpy(int)])
        heat = map_heat(network, shown) if len(shown) else shown
        rows[name] = list(zip(shown, heat, map(_name_case, cases.to_dict("records")), strict=True))
    with open_figure(picture, (10, 11), colours=256) as figure:
        draw_rows(figure, rows)


def _name_case(row: dict) -> str:
    actual = "pneumonia" if row["label"] else "no pneumonia"
    return f"{Path(row['path']).name[-28:]}\n{actual}, P = {row['p']:.3f}"
