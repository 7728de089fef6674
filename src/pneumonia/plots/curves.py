"""Curves over a threshold or an epoch: ROC, precision and recall, calibration, decision, epochs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pneumonia.plots.style import BLUE, GREEN, GREY, ORANGE

PARTS = {
    "train": ("training", BLUE, "-"),
    "val": ("validation", GREEN, "--"),
    "test": ("test", ORANGE, "-."),
}
Point = tuple[float, float] | None
POINT = "threshold fixed on validation"


def draw_roc(
    axes: Axes, curve: pd.DataFrame, band: pd.DataFrame, point: Point, auc: str, where: str
) -> Axes:
    """ROC (columns fpr, tpr), its band (fpr, low, high) and the point of the chosen threshold."""
    limits = (band["fpr"], band["low"], band["high"])
    axes.fill_between(*limits, color=BLUE, alpha=0.2, lw=0, label="interval over patients")
    axes.plot(curve["fpr"], curve["tpr"], color=BLUE, label=f"AUC {auc}")
    axes.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1, label="chance")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", title=f"ROC, {where}")
    _finish_square(axes, point)
    axes.legend(loc="lower right")
    return axes


def draw_pr(
    axes: Axes, curve: pd.DataFrame, point: Point, prevalence: float, average: str, where: str
) -> Axes:
    """Precision over recall (columns recall, precision), with the prevalence as what chance gives.

    Steps, not lines, join the points: Davis and Goadrich, ICML 2006.
    """
    ordered = curve.sort_values(["recall", "precision"], ascending=[True, False])
    label = f"average precision {average}"
    axes.step(ordered["recall"], ordered["precision"], where="pre", color=BLUE, label=label)
    chance = f"chance: prevalence {prevalence:.3f}"
    axes.axhline(prevalence, color=GREY, ls=":", lw=1, label=chance)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (PPV)")
    axes.set_title(f"Precision and recall, {where}")
    _finish_square(axes, point)
    axes.legend(loc="lower left")
    return axes


def _finish_square(axes: Axes, point: Point) -> None:
    if point is not None:
        axes.plot(*point, "o", color=ORANGE, ms=8, label=POINT)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_aspect("equal")
    axes.grid(alpha=0.25)


def draw_calibration(figure: Figure, bins: pd.DataFrame, ece: str, where: str) -> Figure:
    """Share with pneumonia over predicted probability, and below it how many images are there.

    `bins` has the columns scores (raw, calibrated), p, observed, observed_low, observed_high and
    images, a row a bin.
    """
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1.3))
    upper.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1, label="perfect")
    raw, calibrated = (bins[bins["scores"] == scores] for scores in ("raw", "calibrated"))
    upper.plot(raw["p"], raw["observed"], "s--", color=GREY, mfc="none", lw=1, label="before")
    ends = calibrated[["observed_low", "observed_high"]].to_numpy().T
    errors = np.abs(ends - calibrated["observed"].to_numpy())
    upper.errorbar(
        calibrated["p"], calibrated["observed"], errors, fmt="o-", color=BLUE, capsize=3,
        label=f"calibrated, ECE {ece}",
    )  # fmt: skip
    width = calibrated["bin_high"] - calibrated["bin_low"]
    lower.bar(calibrated["bin_low"], calibrated["images"], width, align="edge", fc=BLUE, ec="white")
    upper.set(ylabel="share with pneumonia", title=f"Calibration, {where}")
    upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    lower.set(xlabel="predicted probability", ylabel="images")
    for axes in (upper, lower):
        axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure


def draw_decision(figure: Figure, curve: pd.DataFrame, threshold: float, where: str) -> Figure:
    """Net benefit over the threshold probability: by the model, all flagged, nobody flagged.

    `curve` has the columns threshold, model, model_low, model_high, all. Source: Vickers and
    Elkin, Medical Decision Making 2006, 26, 565 to 574.
    """
    axes = figure.subplots()
    limits = (curve["threshold"], curve["model_low"], curve["model_high"])
    axes.fill_between(*limits, color=BLUE, alpha=0.2, lw=0, label="interval over patients")
    axes.plot(curve["threshold"], curve["model"], color=BLUE, label="flagged by the model")
    axes.plot(curve["threshold"], curve["all"], color=ORANGE, ls="--", label="all flagged")
    axes.axhline(0, color=GREY, ls=":", label="nobody flagged")
    axes.axvline(threshold, color="black", ls="-.", lw=1, label=f"threshold {threshold:.3f}")
    top = max(curve[["model", "all", "model_high"]].max().max(), 0.05)
    axes.set(ylim=(-0.25 * top, 1.1 * top), xlim=(0, 1))
    axes.set(xlabel="threshold probability", ylabel="net benefit (true positives per image)")
    axes.set_title(f"Decision curve, {where}")
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def draw_epochs(figure: Figure, epochs: pd.DataFrame) -> Figure:
    """Loss and accuracy of train, val and test by epoch."""
    axes = figure.subplots(1, 2)
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        for part, (label, colour, line) in PARTS.items():
            values = epochs[f"{part}_{name}"]
            axis.plot(epochs["epoch"], values, color=colour, ls=line, label=label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set(xlabel="epoch", ylabel=f"{name}{' (nats)' if name == 'loss' else ''}")
        axis.set_title("Loss by epoch" if name == "loss" else "Accuracy by epoch, threshold 0.5")
        axis.grid(alpha=0.25)
    axes[0].legend()
    return figure
