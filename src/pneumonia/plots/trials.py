"""The search at a glance: a line a trial through its hyperparameters to its score."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from pneumonia.plots.style import ORANGE, say_nothing

NOT_DRAWN = ("trial", "status", "score", "message")  # nor what begins with val_
PLATE = {"facecolor": "white", "edgecolor": "0.75", "pad": 2.0}  # behind words
LOG_RATIO = 20  # a hyperparameter that spans more is drawn on a logarithmic axis


def draw_trials(axes: Axes, trials: pd.DataFrame, objective: str) -> Axes:
    """Parallel coordinates of plots/trials.csv: a column a hyperparameter, the score last.

    Dark is good; the chosen trial is orange, failed trials are left out and counted.
    """
    done = trials[trials["status"] == "COMPLETED"].dropna(subset="score")
    title = f"Trials of the search: {len(done)} completed of {len(trials)}"
    if done.empty:
        return say_nothing(axes, title, "No trial was made: the values of `model` were taken.")
    searched = [str(n) for n in trials if n not in NOT_DRAWN and not str(n).startswith("val_")]
    names = [name for name in searched if done[name].nunique() > 1]
    columns = [*names, "score"]
    places = np.column_stack([_place(_as_numbers(done[name])) for name in columns])
    goodness = -done["score"].rank() if objective == "loss" else done["score"].rank()
    shades = colormaps["Blues"](Normalize(goodness.min() - 2, goodness.max())(goodness))
    best = int(goodness.to_numpy().argmax())
    for number, (line, shade) in enumerate(zip(places, shades, strict=True)):
        colour, width = (ORANGE, 2.8) if number == best else (shade, 1.3)
        axes.plot(line, color=colour, lw=width, marker="o", ms=4, zorder=2 + (number == best))
    for place, name in enumerate(columns):
        _label_axis(axes, place, done[name])
    labels = [name.replace("_", " ") for name in names] + [f"validation {objective}"]
    axes.set_xticks(range(len(columns)), labels)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set(title=f"{title}; orange: best, darker: better", ylim=(-0.12, 1.12))
    return axes


def _as_numbers(values: pd.Series) -> np.ndarray:
    """Numbers as they are, words by their place in the alphabet: float (N,)."""
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(float)
    return np.unique(values.to_numpy(str), return_inverse=True)[1].astype(float)


def _place(values: np.ndarray) -> np.ndarray:
    """Values onto 0 to 1, logarithmic where they span much; a single value onto the middle."""
    if values.min() > 0 and values.max() > LOG_RATIO * values.min():
        values = np.log(values)
    span = values.max() - values.min()
    return (values - values.min()) / span if span else np.full(len(values), 0.5)


def _label_axis(axes: Axes, place: int, values: pd.Series) -> None:
    """The least and the greatest value at the ends; words at each of their heights."""
    axes.axvline(place, color="0.75", lw=1, zorder=1)
    if not pd.api.types.is_numeric_dtype(values):
        heights = _place(_as_numbers(values))
        for height, word in sorted(set(zip(heights, values.astype(str), strict=True))):
            axes.text(place, height, word, ha="center", va="center", fontsize=9, bbox=PLATE)
        return
    for height, value, side in ((-0.03, values.min(), "top"), (1.03, values.max(), "bottom")):
        axes.text(place, height, f"{value:.3g}", ha="center", va=side, fontsize=10)
