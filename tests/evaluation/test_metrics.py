"""Every figure agrees with scikit-learn, weighted or not, and is missing where it must be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from pneumonia.evaluation import metrics


def make(seed: int, count: int = 60, distinct: int = 20) -> tuple[np.ndarray, ...]:
    """Labels, scores with ties and integer weights with zeros, as a bootstrap draws them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    labels[:2] = 0, 1
    scores = rng.integers(0, distinct + 1, count) / distinct
    weights = rng.integers(0, 4, (3, count)).astype(float)
    weights[:, :2] = 1
    return labels, scores, weights


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_agrees_with_scikit_learn(seed: int, threshold: float) -> None:
    labels, scores, weights = make(seed)
    ours = metrics.all_metrics(labels, scores, threshold, weights)
    predicted = (scores >= threshold).astype(int)
    for draw, weight in enumerate(weights):
        w = {"sample_weight": weight}
        p = np.clip(scores, metrics.CLIP, 1 - metrics.CLIP)
        theirs = {
            "auc": reference.roc_auc_score(labels, scores, **w),
            "average_precision": reference.average_precision_score(labels, scores, **w),
            "brier": reference.brier_score_loss(labels, scores, **w),
            "loss": reference.log_loss(labels, p, **w),
            "accuracy": reference.accuracy_score(labels, predicted, **w),
            "sensitivity": reference.recall_score(labels, predicted, **w),
            "specificity": reference.recall_score(labels, predicted, pos_label=0, **w),
            "balanced_accuracy": reference.balanced_accuracy_score(labels, predicted, **w),
        }
        if predicted[weight > 0].any():
            theirs["ppv"] = reference.precision_score(labels, predicted, **w)
            theirs["f1"] = reference.f1_score(labels, predicted, **w)
        if 0 < (predicted * weight).sum() < weight.sum():
            theirs["mcc"] = reference.matthews_corrcoef(labels, predicted, **w)
            theirs["npv"] = reference.precision_score(labels, predicted, pos_label=0, **w)
        if 0 < theirs["specificity"] < 1:
            positive, negative = reference.class_likelihood_ratios(labels, predicted, **w)
            theirs |= {"lr_positive": positive, "lr_negative": negative}
        for name, value in theirs.items():
            assert ours[name][draw] == pytest.approx(value, abs=1e-9), name


def test_what_is_not_defined_is_nan() -> None:
    one_class = np.ones(5, int), np.linspace(0, 1, 5), 0.5, np.ones((1, 5))
    figures = metrics.all_metrics(*one_class)
    assert np.isnan(figures["auc"])
    assert np.isnan(figures["specificity"])
    assert figures["sensitivity"] == 0.6


def test_ratios_over_nothing_are_infinite() -> None:
    labels, ones = np.array([0, 0, 1, 1]), np.ones((1, 4))
    found = metrics.rates(labels, np.array([0, 0, 0, 1]), ones)
    assert (found["lr_positive"][0], found["lr_negative"][0]) == (np.inf, 0.5)
    found = metrics.rates(labels, np.array([1, 1, 0, 1]), ones)
    assert (found["lr_positive"][0], found["lr_negative"][0]) == (0.5, np.inf)
    assert np.isnan(metrics.rates(labels, np.zeros(4, int), ones)["lr_positive"][0])


def test_a_score_that_is_no_number_leaves_no_figure() -> None:
    figures = metrics.all_metrics(np.array([0, 1]), np.array([0.1, np.nan]), 0.5, np.ones((3, 2)))
    assert all(np.isnan(values).all() and len(values) == 3 for values in figures.values())


def test_predictive_values_at_the_own_prevalence_are_the_observed_ones() -> None:
    labels, scores, weights = make(5, 200)
    found = metrics.rates(labels, (scores >= 0.5).astype(int), weights)
    for draw, share in enumerate(weights @ labels / weights.sum(1)):
        ends = found["sensitivity"][[draw]], found["specificity"][[draw]]
        values = metrics.predictive_values(*ends, share)
        assert values["ppv"][0] == pytest.approx(found["ppv"][draw], abs=1e-12)
        assert values["npv"][0] == pytest.approx(found["npv"][draw], abs=1e-12)


def test_a_rare_disease_of_the_textbook() -> None:
    """Sensitivity 0.9, specificity 0.95, one in a thousand: PPV 1.77 % by Bayes' rule."""
    values = metrics.predictive_values(np.array([0.9]), np.array([0.95]), 0.001)
    assert values["ppv"][0] == pytest.approx(0.0009 / (0.0009 + 0.04995), abs=1e-12)


def test_calibration_error_of_a_known_case() -> None:
    labels, scores = np.array([1, 0, 1, 1]), np.array([0.9, 0.9, 0.9, 0.1])
    error = metrics.calibration_error(labels, scores, np.ones((1, 4)), bins=10)
    assert error[0] == pytest.approx(0.75 * abs(2 / 3 - 0.9) + 0.25 * 0.9)
