"""Pictures say what the tables hold."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

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
