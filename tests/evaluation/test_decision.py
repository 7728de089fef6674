"""Thresholds and calibration do what their rules promise, on the images they are fitted on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pneumonia.data.store import Part
from pneumonia.errors import InputError
from pneumonia.evaluation.decision import choose_middle, choose_threshold, decide
from pneumonia.params import Params


def make(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(80) % 2
    return labels, 1 / (1 + np.exp(-(rng.normal(0, 1, 80) + 1.5 * labels - 0.75)))


@settings(deadline=None)
@given(st.integers(0, 999), st.floats(0.5, 1))
def test_targets_are_reached_and_not_overshot(seed: int, target: float) -> None:
    labels, scores = make(seed)
    positive, negative = scores[labels == 1], scores[labels == 0]
    threshold = choose_threshold(labels, scores, "sensitivity", target)
    assert (positive >= threshold).mean() >= target
    above = np.unique(scores)[np.unique(scores) > threshold]
    assert not len(above) or (positive > above[0]).mean() < target
    assert (negative < choose_threshold(labels, scores, "specificity", target)).mean() >= target


@settings(deadline=None)
@given(st.integers(0, 999))
def test_youden_is_the_greatest_sum_of_all_thresholds(seed: int) -> None:
    labels, scores = make(seed)
    positive, negative = scores[labels == 1], scores[labels == 0]

    def total(threshold: float) -> float:
        return float((positive >= threshold).mean() + (negative < threshold).mean())

    chosen = choose_threshold(labels, scores, "youden", 0.9)
    assert total(chosen) >= max(total(cut) for cut in [*scores, 2.0]) - 1e-12


@pytest.mark.parametrize(("prevalence", "odds"), [(0.5, 1.0), (0.8, 2.0), (0.1, 1 / 3)])
def test_the_middle_of_true_probabilities_is_at_the_root_of_the_odds(
    prevalence: float, odds: float
) -> None:
    rng = np.random.default_rng(1)
    labels = (rng.uniform(size=200_000) < prevalence).astype(int)
    logits = rng.normal(2 * labels, 1.0) * 2 - 2 + np.log(prevalence / (1 - prevalence))
    scores = 1 / (1 + np.exp(-logits))  # P(label) given the normal number
    chosen = choose_middle(labels, scores)
    assert chosen / (1 - chosen) == pytest.approx(odds, rel=0.05)


def test_the_middle_moves_with_the_scores_and_stays_a_probability() -> None:
    labels, scores = make(3)
    chosen = choose_middle(labels, scores)
    squeezed = 1 / (1 + np.exp(-(0.5 * np.log(scores / (1 - scores)) + 1)))
    moved = choose_middle(labels, squeezed)
    np.testing.assert_array_equal(squeezed >= moved, scores >= chosen)
    for useless in (np.full(80, 0.3), 1 - scores):
        assert 0 <= choose_middle(labels, useless) <= 1


@settings(deadline=None)
@given(st.integers(0, 999), st.floats(0.2, 20))
def test_cost_is_the_cheapest_of_all_thresholds(seed: int, cost: float) -> None:
    labels, scores = make(seed)

    def price(threshold: float) -> float:
        missed = (scores[labels == 1] < threshold).sum()
        return cost * missed + (scores[labels == 0] >= threshold).sum()

    chosen = price(choose_threshold(labels, scores, "cost", cost))
    assert chosen <= min(price(threshold) for threshold in [*scores, 2]) + 1e-9


def test_a_dear_miss_lowers_the_threshold() -> None:
    labels, scores = make(3)
    chosen = [choose_threshold(labels, scores, "cost", cost) for cost in (0.1, 1, 10)]
    assert chosen[0] > chosen[1] > chosen[2]


def make_val() -> Part:
    rng = np.random.default_rng(5)
    labels = np.tile([0, 1], 30)
    images = rng.integers(90, 131, (60, 24, 24)) + 20 * labels[:, None, None]
    return Part(images.astype("uint8"), labels)


def judge(images: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(images.mean(axis=(1, 2)) - 120) / 2))


@pytest.mark.parametrize("rule", ["middle", "youden", "sensitivity", "specificity", "cost"])
def test_all_thresholds_are_kept_and_one_is_chosen(params: Params, rule: str) -> None:
    settings = params.evaluate.model_copy(update={"threshold_rule": rule})
    decision = decide(judge, make_val(), settings, seed=1)
    assert set(decision["thresholds"]) == {"middle", "youden", "sensitivity", "specificity", "cost"}
    assert decision["threshold"] == decision["thresholds"][rule]


def test_thresholds_are_in_calibrated_units(params: Params) -> None:
    settings = params.evaluate.model_copy(update={"fit_on": "shifted", "calibration": "isotonic"})
    decision = decide(judge, make_val(), settings, seed=1)
    levels = np.array([*decision["calibration"]["y"]])
    assert levels.min() < decision["threshold"] <= levels.max()


def test_shifted_validation_images_temper_what_other_sites_would_break(params: Params) -> None:
    found = {
        name: decide(
            judge,
            make_val(),
            params.evaluate.model_copy(update={"fit_on": name, "calibration": "temperature"}),
            seed=1,
        )["calibration"]["temperature"]
        for name in ("clean", "shifted")
    }
    assert found["shifted"] > 3 * found["clean"]


def test_what_fixes_no_threshold_is_refused(params: Params) -> None:
    val = make_val()
    with pytest.raises(InputError, match="both classes"):
        decide(judge, Part(val.images, np.ones_like(val.labels)), params.evaluate, seed=1)
    with pytest.raises(InputError, match="not finite"):
        decide(lambda images: np.full(len(images), np.nan), val, params.evaluate, seed=1)
