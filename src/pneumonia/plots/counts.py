"""Counts and estimates: confusion matrix, scores by class, shifts, subgroups."""

from textwrap import shorten
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pneumonia.plots.style import BLUE, CLASS_COLOURS, GREY, NAMES, ORANGE

FOREST = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}
BINS = [number / 25 for number in range(26)]


def draw_confusion(axes: Axes, matrix: np.ndarray, threshold: float, where: str) -> Axes:
    """Counts (2, 2), rows actual and columns predicted, with the share of each row."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        text = f"{count}\n{shares[row, column]:.1%}"
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=14)
    axes.set_xticks([0, 1], NAMES)
    axes.set_yticks([0, 1], NAMES, rotation=90, va="center")
    axes.spines[:].set_visible(False)
    title = f"Confusion matrix, {where}, threshold {threshold:.3f}"
    axes.set(xlabel="predicted", ylabel="actual", title=title)
    return axes


def draw_scores(
    axes: Axes, labels: np.ndarray, scores: np.ndarray, threshold: float, where: str
) -> Axes:
    """How many images of each class, labels int (N,), get which probability, float (N,)."""
    for label, (name, colour) in enumerate(zip(NAMES, CLASS_COLOURS, strict=True)):
        own = scores[labels == label]
        axes.hist(own, BINS, color=colour, alpha=0.35, hatch="" if label else "//", ec=colour)
        axes.hist(own, BINS, color=colour, histtype="step", lw=1.8, label=f"{name} ({len(own)})")
    axes.axvline(threshold, color="black", ls="-.", lw=1, label=f"threshold {threshold:.3f}")
    axes.set(xlabel="predicted probability", ylabel="images", title=f"Scores by class, {where}")
    axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.3 * axes.get_ylim()[1]))
    axes.legend(loc="upper left")
    return axes


def draw_shifts(axes: Axes, shifts: pd.DataFrame) -> Axes:
    """AUC and accuracy under each shift (columns shift, auc, accuracy), the unchanged one first."""
    places = np.arange(len(shifts))
    for name, colour, marker in (("auc", BLUE, "o"), ("accuracy", ORANGE, "s")):
        label = {"auc": "AUC", "accuracy": "accuracy at the threshold"}[name]
        axes.plot(shifts[name], places, marker, color=colour, label=label, ms=6)
        axes.axvline(shifts[name].iloc[0], color=colour, ls=":", lw=1)
    axes.set_yticks(places, shifts["shift"], fontsize=9)
    axes.invert_yaxis()
    axes.set(xlabel="on the test part", title="Images as other hospitals might make them")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=2)
    return axes


def draw_forest(figure: Figure, groups: pd.DataFrame, where: str) -> Figure:
    """AUC, sensitivity and specificity of subgroups with intervals; the first row is all images.

    `groups` is plots/subgroups.csv: by, group, images, small (true: too few, drawn hollow), and
    NAME, NAME_low, NAME_high, empty where a figure cannot be had.
    """
    figure.set_figheight(1.8 + 0.34 * len(groups))
    panels = figure.subplots(1, len(FOREST), sharey=True)
    places = range(len(groups))
    for axes, (name, title) in zip(panels, FOREST.items(), strict=True):
        for place, row in zip(places, groups.to_dict("records"), strict=True):
            colour = ORANGE if place == 0 else GREY if row["small"] else BLUE
            axes.hlines(place, row[f"{name}_low"], row[f"{name}_high"], color=colour)
            face = "white" if row["small"] else colour
            axes.plot(row[name], place, "o" if place else "D", color=colour, mfc=face, zorder=3)
        axes.axvline(groups[name].iloc[0], color=ORANGE, ls="--", lw=1)
        least = np.nanmin(groups[[name, f"{name}_low"]].to_numpy(float), initial=1)
        axes.set(
            xlim=(np.floor(10 * least) / 10 - 0.02, 1.02),
            xlabel=title,
            ylim=(len(groups) - 0.5, -0.5),
        )
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(places, [_name_group(row) for row in groups.to_dict("records")])
    figure.suptitle(f"Subgroups, {where}, with intervals (hollow: too few images)")
    return figure


def _name_group(row: dict[Any, Any]) -> str:
    name = "all" if row["by"] == "all" else f"{row['by']}: {row['group']}"
    return f"{shorten(name, 40, placeholder=' …')} ({row['images']})"
