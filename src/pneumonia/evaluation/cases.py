"""Grad-CAM of the surest hits and the worst misses: pictures of patients, for people who may."""

from pathlib import Path

import numpy as np

from pneumonia.data.store import load_part
from pneumonia.evaluation.facts import ResultPaths, list_misses
from pneumonia.evaluation.tables import read_table
from pneumonia.files import read_json
from pneumonia.plots.heat import draw_rows
from pneumonia.plots.style import open_figure

SHOWN = 4  # cases a row


def draw_cases(paths: ResultPaths, picture: Path) -> None:
    """Write the picture of a result's test part, from its model and plots/predictions.csv."""
    from pneumonia.model import load_model
    from pneumonia.saliency import map_heat

    images = load_part(paths.split / "test").images
    predictions = read_table(paths.plots / "predictions.csv")
    threshold = read_json(paths.models / "decision.json")["threshold"]
    hits = predictions[(predictions["label"] == 1) & (predictions["p"] >= threshold)]
    hits = hits.sort_values(["p", "path"], ascending=[False, True])
    chosen = {
        "The surest hits: pneumonia, and called so": hits.head(SHOWN),
        "The worst misses": list_misses(predictions, threshold).head(SHOWN),
    }
    network = load_model(paths.models / "model.keras")
    rows = {}
    for name, cases in chosen.items():
        shown = np.asarray(images[cases.index.to_numpy(int)])
        heat = map_heat(network, shown) if len(shown) else shown
        rows[name] = list(zip(shown, heat, map(_name_case, cases.to_dict("records")), strict=True))
    with open_figure(picture, (10, 11), colours=None) as figure:
        draw_rows(figure, rows)


def _name_case(row: dict) -> str:
    actual = "pneumonia" if row["label"] else "no pneumonia"
    return f"{Path(row['path']).name[-28:]}\n{actual}, P = {row['p']:.3f}"
