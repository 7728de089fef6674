"""The pictures of one evaluation, drawn from its tables and figures and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pneumonia.evaluation.tables import read_table
from pneumonia.plots import counts, curves, trials
from pneumonia.plots.style import open_figure, say_nothing

Figures = dict[str, Any]
SQUARE, WIDE = (5.5, 4.8), (11.0, 4.8)  # inches
NO_ROWS = "Nothing to draw: see `reasons` in the figures."


@dataclass(frozen=True)
class Sheet:
    """What one picture is drawn on and from."""

    figure: Figure
    rows: pd.DataFrame
    figures: Figures
    folder: Path

    @property
    def where(self) -> str:
        """What was measured on: the test part, or another data set by its name."""
        return self.figures["data"] if "trained_on" in self.figures else "test part"


Draw = Callable[[Sheet], None]


def draw_pictures(folder: Path, figures: Figures) -> None:
    """Write roc, pr, calibration, decision_curve, confusion, scores, forest, epochs and shift.png.

    What has no table in `folder` gets no picture; a table without rows (one class, scores that are
    not finite) gives an empty picture that says so, since DVC wants every output.
    """
    for name, (table, size, draw) in PICTURES.items():
        if not (folder / table).exists():
            continue
        rows = read_table(folder / table)
        with open_figure(folder / f"{name}.png", size) as figure:
            if rows.empty:
                say_nothing(figure.subplots(), name.replace("_", " "), NO_ROWS)
            else:
                draw(Sheet(figure, rows, figures, folder))


def draw_search(table: Path, objective: str, picture: Path) -> None:
    """The trials of plots/trials.csv as parallel coordinates."""
    with open_figure(picture, WIDE) as figure:
        trials.draw_trials(figure.subplots(), pd.read_csv(table), objective)


def _draw_roc(sheet: Sheet) -> None:
    band = pd.read_csv(sheet.folder / "roc_band.csv")
    point = _find_point(sheet.figures, "specificity", "sensitivity")
    point = point and (1 - point[0], point[1])
    curves.draw_roc(
        sheet.figure.subplots(),
        sheet.rows,
        band,
        point,
        describe(sheet.figures, "auc"),
        sheet.where,
    )


def _draw_pr(sheet: Sheet) -> None:
    point = _find_point(sheet.figures, "sensitivity", "ppv")
    average = describe(sheet.figures, "average_precision")
    curves.draw_pr(
        sheet.figure.subplots(),
        sheet.rows,
        point,
        sheet.figures["prevalence"],
        average,
        sheet.where,
    )


def _draw_calibration(sheet: Sheet) -> None:
    curves.draw_calibration(sheet.figure, sheet.rows, describe(sheet.figures, "ece"), sheet.where)


def _draw_decision(sheet: Sheet) -> None:
    curves.draw_decision(sheet.figure, sheet.rows, sheet.figures["threshold"], sheet.where)


def _draw_confusion(sheet: Sheet) -> None:
    cells = [[sheet.figures[name] for name in pair] for pair in (("tn", "fp"), ("fn", "tp"))]
    counts.draw_confusion(
        sheet.figure.subplots(), np.array(cells), sheet.figures["threshold"], sheet.where
    )


def _draw_scores(sheet: Sheet) -> None:
    known = sheet.rows.dropna(subset="p")
    labels, scores = known["label"].to_numpy(), known["p"].to_numpy()
    counts.draw_scores(
        sheet.figure.subplots(), labels, scores, sheet.figures["threshold"], sheet.where
    )


def _draw_forest(sheet: Sheet) -> None:
    counts.draw_forest(sheet.figure, sheet.rows, sheet.where)


def _draw_epochs(sheet: Sheet) -> None:
    curves.draw_epochs(sheet.figure, sheet.rows)


def _draw_shifts(sheet: Sheet) -> None:
    counts.draw_shifts(sheet.figure.subplots(), sheet.rows)


PICTURES: dict[str, tuple[str, tuple[float, float], Draw]] = {
    "roc": ("roc.csv", SQUARE, _draw_roc),
    "pr": ("pr.csv", SQUARE, _draw_pr),
    "calibration": ("calibration.csv", SQUARE, _draw_calibration),
    "decision_curve": ("decision_curve.csv", SQUARE, _draw_decision),
    "confusion": ("confusion.csv", SQUARE, _draw_confusion),
    "scores": ("predictions.csv", SQUARE, _draw_scores),
    "forest": ("subgroups.csv", WIDE, _draw_forest),
    "epochs": ("epochs.csv", WIDE, _draw_epochs),
    "shift": ("shift.csv", SQUARE, _draw_shifts),
}


def _find_point(figures: Figures, x: str, y: str) -> tuple[float, float] | None:
    """The chosen threshold's place in a curve; none where a class or a prediction is missing."""
    if figures[x] is None or figures[y] is None:
        return None
    return figures[x], figures[y]


def describe(figures: Figures, name: str) -> str:
    """'0.950 (0.930 to 0.965)', or why there is no figure."""
    value, low, high = figures[name], figures[f"{name}_low"], figures[f"{name}_high"]
    if value is None:
        return figures["reasons"][name]
    return f"{value:.3f}" + (f" ({low:.3f} to {high:.3f})" if None not in (low, high) else "")
