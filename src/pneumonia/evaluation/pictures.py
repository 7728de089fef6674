"""The pictures of an evaluation, drawn from its tables and figures alone."""

from pathlib import Path
from typing import Any

import pandas as pd

from pneumonia import plots
from pneumonia.evaluation.tables import GRID, count_outcomes


def draw_pictures(folder: Path, figures: dict[str, Any]) -> None:
    """A picture of each table in `folder`; see docs/evaluation.md for the tables."""
    outcomes = count_outcomes(pd.read_csv(folder / "confusion.csv"))
    threshold = figures["threshold"]
    plots.save_figure(plots.draw_confusion, folder / "confusion.png", outcomes, threshold)
    _draw_roc(folder, figures)
    if (folder / "epochs.csv").exists():
        epochs = pd.read_csv(folder / "epochs.csv")
        plots.save_figure(plots.draw_epochs, folder / "epochs.png", epochs, axes=2)
    if (folder / "shift.csv").exists():
        shifts = pd.read_csv(folder / "shift.csv")
        plots.save_figure(plots.draw_shifts, folder / "shift.png", shifts)


def _draw_roc(folder: Path, figures: dict[str, Any]) -> None:
    table = pd.read_csv(folder / "roc_band.csv").reindex(range(len(GRID)))
    band = table["low"].to_numpy(float), table["high"].to_numpy(float)
    point = (1 - (figures["specificity"] or 0), figures["sensitivity"] or 0)
    curve = pd.read_csv(folder / "roc.csv")
    plots.save_figure(
        plots.draw_roc, folder / "roc.png", curve, band, point, describe(figures, "auc")
    )


def describe(figures: dict[str, Any], name: str) -> str:
    """'0.950 (0.930 to 0.965)', or why there is no figure."""
    value, low, high = figures[name], figures[f"{name}_low"], figures[f"{name}_high"]
    if value is None:
        return figures["reasons"][name]
    interval = f" ({low:.3f} to {high:.3f})" if None not in (low, high) else ""
    return f"{value:.3f}{interval}"
