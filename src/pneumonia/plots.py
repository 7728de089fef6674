"""Pictures made to be read: light, colour-blind-safe (Okabe and Ito), the same bytes each time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pneumonia.files import atomic

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PART_COLOURS = {"train": BLUE, "val": GREEN, "test": ORANGE}
GRID = np.linspace(0, 1, 101)
NAMES = ("no pneumonia", "pneumonia")


def save_figure(draw: Callable[..., Any], path: Path, *arguments: Any, axes: int = 1) -> None:
    """Call draw(axes, *arguments) on a new figure and write it as PNG."""
    figure = Figure(figsize=(5.5 * axes, 4.8), layout="constrained")
    draw(figure.subplots(1, axes), *arguments)
    with atomic(path) as partial:
        figure.savefig(partial, dpi=110, metadata={"Software": None})


def draw_roc(
    axes: Axes,
    curve: pd.DataFrame,
    band: tuple[np.ndarray, np.ndarray],
    point: tuple[float, float],
    auc: str,
) -> Axes:
    """ROC (columns fpr, tpr) with its band over `GRID` and the point at the chosen threshold."""
    axes.fill_between(GRID, *band, color=BLUE, alpha=0.2, lw=0, label="interval over patients")
    axes.plot(curve["fpr"], curve["tpr"], color=BLUE, label=f"AUC {auc}")
    axes.plot([0, 1], [0, 1], color="0.6", ls=":", lw=1, label="chance")
    axes.plot(*point, "o", color=ORANGE, label="threshold fixed on validation")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", title="ROC, test part")
    axes.set_aspect("equal")
    axes.legend(loc="lower right", frameon=False)
    return axes


def draw_confusion(axes: Axes, matrix: np.ndarray, threshold: float) -> Axes:
    """Counts (2, 2), rows actual and columns predicted, with the share of each row."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        text = f"{count}\n{shares[row, column]:.1%}"
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=13)
    axes.set_xticks([0, 1], NAMES)
    axes.set_yticks([0, 1], NAMES, rotation=90, va="center")
    title = f"Confusion matrix, test part, threshold {threshold:.3f}"
    axes.set(xlabel="predicted", ylabel="actual", title=title)
    return axes


def draw_shifts(axes: Axes, shifts: pd.DataFrame) -> Axes:
    """AUC and accuracy under each shift (columns shift, auc, accuracy), the unchanged one first."""
    places = np.arange(len(shifts))
    for name, colour, marker in (("auc", BLUE, "o"), ("accuracy", ORANGE, "s")):
        axes.plot(shifts[name], places, marker, color=colour, label=name, ms=5)
        axes.axvline(shifts[name].iloc[0], color=colour, ls=":", lw=1)
    axes.set_yticks(places, shifts["shift"], fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="on the test part", title="Images as other hospitals might make them")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False)
    return axes


def draw_epochs(axes: np.ndarray, epochs: pd.DataFrame) -> np.ndarray:
    """Loss and accuracy of train, val and test by epoch; the kept epoch is marked."""
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        for part, colour in PART_COLOURS.items():
            axis.plot(epochs["epoch"], epochs[f"{part}_{name}"], color=colour, label=part)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set(xlabel="epoch", ylabel=f"{name}{' (nats)' if name == 'loss' else ''}")
        axis.set_title(f"{name} by epoch{', threshold 0.5' if name == 'accuracy' else ''}")
        axis.legend(frameon=False)
    return axes
