"""Pictures say what the tables hold."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from pneumonia.evaluation.tables import read_table
from pneumonia.plots.counts import draw_forest
from pneumonia.plots.style import ORANGE
from pneumonia.plots.trials import draw_trials


@pytest.mark.parametrize(("objective", "best"), [("auc", 0.9), ("shifted_auc", 0.9), ("loss", 0.2)])
def test_the_best_trial_is_the_orange_one(objective: str, best: float) -> None:
    scores = [0.5, 0.9, 0.2]
    trials = pd.DataFrame(
        {"trial": range(3), "status": "COMPLETED", "score": scores, "width": [8, 16, 24]}
    )
    axes = Figure().subplots()
    draw_trials(axes, trials, objective)
    (orange,) = (line for line in axes.lines if str(line.get_color()) == ORANGE)
    height = (best - min(scores)) / (max(scores) - min(scores))
    assert list(orange.get_ydata())[-1] == pytest.approx(height)


def test_subgroups_have_their_own_names(tmp_path: Path) -> None:
    figures = [f"{name}{end}" for name in ("auc", "sensitivity", "specificity")
               for end in ("", "_low", "_high")]  # fmt: skip
    groups = pd.DataFrame({"by": ["all", "race", "ward", "ward"], "group": ["all", "NA", "1", "x"]})
    table = groups.assign(images=9, small=False, **dict.fromkeys(figures, 0.5))
    table.loc[3, figures] = None
    table.to_csv(tmp_path / "subgroups.csv", index=False)
    figure = draw_forest(Figure(), read_table(tmp_path / "subgroups.csv"), "test part")
    told = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert told == ["all (9)", "race: NA (9)", "ward: 1 (9)", "ward: x (9)"]
