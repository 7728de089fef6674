"""Calibration slope and intercept agree with statsmodels, and say so where there is none."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from pneumonia.evaluation.recalibration import recalibrate


def fit_reference(labels: np.ndarray, logits: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    used = weights > 0
    y, x, w = labels[used], logits[used], weights[used]
    binomial = {"family": sm.families.Binomial(), "freq_weights": w}
    line = sm.GLM(y, sm.add_constant(x), **binomial).fit(tol=1e-14, maxiter=200)
    level = sm.GLM(y, np.ones_like(x), offset=x, **binomial).fit(tol=1e-14, maxiter=200)
    return {
        "calibration_intercept": line.params[0],
        "calibration_slope": line.params[1],
        "calibration_in_the_large": level.params[0],
    }


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.3, 3), st.floats(-1, 1))
def test_agrees_with_statsmodels(seed: int, slope: float, intercept: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, 150)
    truth = 1 / (1 + np.exp(-(intercept + slope * logits)))
    labels = (rng.uniform(size=150) < truth).astype(int)
    weights = rng.integers(0, 4, (4, 150)).astype(float)
    found = recalibrate(labels, logits, weights)
    for draw, row in enumerate(weights):
        if np.isfinite(found["calibration_slope"][draw]):
            for name, value in fit_reference(labels, logits, row).items():
                assert found[name][draw] == pytest.approx(value, abs=1e-9), name


def test_perfect_probabilities_have_slope_one_and_intercept_zero() -> None:
    p = np.repeat([0.2, 0.5, 0.8], 10)
    labels = np.concatenate([np.arange(10) < 10 * share for share in (0.2, 0.5, 0.8)]).astype(int)
    found = recalibrate(labels, np.log(p / (1 - p)), np.ones((1, 30)))
    assert found["calibration_slope"][0] == pytest.approx(1, abs=1e-9)
    assert found["calibration_intercept"][0] == pytest.approx(0, abs=1e-9)
    assert found["calibration_in_the_large"][0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("labels", "slope"),
    [([0, 0, 1, 1], np.inf), ([1, 1, 0, 0], -np.inf), ([0, 0, 0, 0], np.nan), ([1] * 4, np.nan)],
)
def test_separated_classes_and_single_ones(labels: list[int], slope: float) -> None:
    found = recalibrate(np.array(labels), np.arange(4.0), np.ones((1, 4)))
    np.testing.assert_equal(found["calibration_slope"][0], slope)
    assert np.isnan(found["calibration_intercept"][0])


def test_draws_stand_for_themselves() -> None:
    labels, logits = np.array([0, 1, 0, 1, 1]), np.array([0.0, 1, 2, 3, 4])
    weights = np.array([[1.0, 1, 1, 1, 1], [1, 1, 0, 1, 0], [1, 0, 1, 0, 0]])
    slope = recalibrate(labels, logits, weights)["calibration_slope"]
    assert np.isfinite(slope[0])
    assert slope[1] == np.inf
    assert np.isnan(slope[2])


def test_constant_scores_have_a_level_but_no_slope() -> None:
    found = recalibrate(np.array([0, 1, 1, 1]), np.zeros(4), np.ones((1, 4)))
    assert np.isnan(found["calibration_slope"][0])
    assert found["calibration_in_the_large"][0] == pytest.approx(np.log(3), abs=1e-9)
