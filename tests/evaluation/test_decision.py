"""Threshold and temperature do what their rules promise, on the images they are fitted on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumonia.errors import InputError
from pneumonia.evaluation.decision import apply_temperature, choose_threshold, fit_temperature


def make(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(80) % 2
    return labels, 1 / (1 + np.exp(-(rng.normal(0, 1, 80) + 1.5 * labels - 0.75)))


@given(st.integers(0, 999), st.floats(0.5, 1))
def test_targets_are_reached_and_not_overshot(seed: int, target: float) -> None:
    labels, scores = make(seed)
    positive, negative = scores[labels == 1], scores[labels == 0]
    threshold = choose_threshold(labels, scores, "sensitivity", target)
    assert (positive >= threshold).mean() >= target
    above = np.unique(scores)[np.unique(scores) > threshold]
    assert not len(above) or (positive > above[0]).mean() < target
    assert (negative < choose_threshold(labels, scores, "specificity", target)).mean() >= target


@given(st.integers(0, 999))
def test_youden_is_the_best_of_all_thresholds(seed: int) -> None:
    labels, scores = make(seed)

    def youden(threshold: float) -> float:
        return (scores[labels == 1] >= threshold).mean() + (scores[labels == 0] < threshold).mean()

    chosen = youden(choose_threshold(labels, scores, "youden", 0.9))
    assert chosen >= max(youden(threshold) for threshold in scores) - 1e-12


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="both classes"):
        choose_threshold(np.ones(4), np.linspace(0, 1, 4), "youden", 0.9)


def test_temperature_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.02, 0.98, 20_000)
    labels = (rng.uniform(size=20_000) < truth).astype(int)
    overconfident = apply_temperature(truth, 1 / 3)
    assert fit_temperature(labels, overconfident) == pytest.approx(3, rel=0.05)
    np.testing.assert_allclose(apply_temperature(overconfident, 3), truth, atol=1e-4)


def test_temperature_keeps_the_order() -> None:
    scores = np.linspace(0.01, 0.99, 50)
    assert (np.diff(apply_temperature(scores, 2.5)) > 0).all()
