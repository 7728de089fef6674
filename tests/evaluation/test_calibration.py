"""Maps from score to probability: they mend what they were fitted on and survive JSON."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pneumonia.errors import InputError
from pneumonia.evaluation.calibration import (
    apply_calibration,
    apply_temperature,
    fit_calibration,
    fit_temperature,
)
from pneumonia.evaluation.metrics import calibration_figures, to_logits


def make(seed: int, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores three times too sure of themselves."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.02, 0.98, count)
    return (rng.uniform(size=count) < truth).astype(int), apply_temperature(truth, 1 / 3)


def test_temperature_undoes_overconfidence() -> None:
    labels, scores = make(0, 20_000)
    assert fit_temperature(labels, scores) == pytest.approx(3, rel=0.05)


def test_platt_undoes_a_shift_as_well_and_bears_separated_classes() -> None:
    labels, scores = make(4, 20_000)
    shifted = 1 / (1 + np.exp(-(to_logits(scores) + 1.5)))
    line = fit_calibration("platt", labels, shifted)
    assert line["slope"] == pytest.approx(1 / 3, abs=0.02)
    assert line["intercept"] == pytest.approx(-0.5, abs=0.05)
    apart = fit_calibration("platt", np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]))
    assert 0 < apart["slope"] < 10


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_new_images_are_better_calibrated(method: str) -> None:
    calibration = json.loads(json.dumps(fit_calibration(method, *make(1))))
    labels, scores = make(2)
    ones = np.ones((1, len(labels)))
    before = calibration_figures(labels, scores, ones)
    after = calibration_figures(labels, apply_calibration(scores, calibration), ones)
    for name in ("ece", "brier"):
        assert after[name] < 0.9 * before[name]
    assert before["calibration_slope"][0] == pytest.approx(1 / 3, abs=0.05)


@settings(deadline=None)
@given(st.integers(0, 99), st.sampled_from(["temperature", "platt", "isotonic", "none"]))
def test_the_order_is_kept_and_probabilities_stay_probabilities(seed: int, method: str) -> None:
    calibration = fit_calibration(method, *make(seed, 60))
    p = apply_calibration(np.linspace(0, 1, 200), calibration)
    assert (np.diff(p) >= 0).all()
    assert p.min() >= 0
    assert p.max() <= 1


def test_isotonic_is_a_few_plain_numbers() -> None:
    calibration = fit_calibration("isotonic", *make(3))
    assert len(calibration["x"]) == len(calibration["y"]) < 200
    assert {type(value) for value in calibration["x"] + calibration["y"]} == {float}
    sure = fit_calibration("isotonic", np.arange(8) // 4, np.arange(8) / 8)
    assert (min(sure["y"]), max(sure["y"])) == pytest.approx((0.1, 0.9))


def test_none_changes_nothing_and_the_unknown_is_named() -> None:
    scores = np.array([0.0, 0.3, 1.0])
    np.testing.assert_array_equal(apply_calibration(scores, {"method": "none"}), scores)
    with pytest.raises(InputError, match="unknown calibration 'magic'"):
        apply_calibration(scores, {"method": "magic"})
