"""DeLong's method on DeLong's own data, as published, and against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pneumonia.evaluation.delong import compare_aucs, estimate_aucs, logit_interval

# Albumin, total protein, K-G score, benefit from surgery: ovarian cancer patients of DeLong, DeLong
# and Clarke-Pearson (1988), as printed in SAS/STAT's documentation of PROC LOGISTIC (example 8).
PATIENTS = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0
1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1
4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1
3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1
3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1
3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
3.6 6.6 5 1
"""


@pytest.fixture
def cancer() -> tuple[np.ndarray, np.ndarray]:
    """Labels (43,) and scores (3, 43): albumin, K-G score, total protein."""
    albumin, protein, score, benefit = np.array(PATIENTS.split(), float).reshape(-1, 4).T
    return benefit.astype(int), np.stack([albumin, 10 - score, protein])


def test_published_areas_and_errors(cancer: tuple[np.ndarray, np.ndarray]) -> None:
    aucs, covariance = estimate_aucs(*cancer)
    np.testing.assert_allclose(aucs, [0.7366, 0.7258, 0.6478], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [0.0927, 0.1028, 0.1000], atol=5e-5)


def test_published_comparison(cancer: tuple[np.ndarray, np.ndarray]) -> None:
    labels, (albumin, score, protein) = cancer
    found = compare_aucs(labels, score, albumin, None, 0.95)
    assert found["difference"] == pytest.approx(0.0108, abs=5e-5)
    assert found["low"] == pytest.approx(-0.1761, abs=5e-5)
    assert found["high"] == pytest.approx(0.1976, abs=5e-5)
    assert found["p"] == pytest.approx(0.9102, abs=5e-5)
    found = compare_aucs(labels, score, protein, None, 0.95)
    assert found["difference"] == pytest.approx(-0.0780, abs=5e-5)
    assert (found["z"] or 0) ** 2 == pytest.approx(0.5554, abs=5e-5)
    assert found["p"] == pytest.approx(0.4561, abs=5e-5)


def covary_pairs(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The definition, pair by pair (equations 3 to 6 of the paper)."""
    positive, negative = scores[:, labels == 1], scores[:, labels == 0]
    wins = np.sign(positive[:, :, None] - negative[:, None, :]) / 2 + 0.5
    above, below = np.cov(wins.mean(2)), np.cov(wins.mean(1))
    return above / positive.shape[1] + below / negative.shape[1]


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_agrees_with_its_definition_and_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[0, 0, 1, 1], rng.integers(0, 2, 40)])
    scores = rng.integers(0, 12, (2, 44)) / 12
    aucs, covariance = estimate_aucs(labels, scores)
    assert aucs == pytest.approx([roc_auc_score(labels, row) for row in scores], abs=1e-9)
    np.testing.assert_allclose(covariance, covary_pairs(labels, scores), atol=1e-9)
    alone = estimate_aucs(labels, scores, np.arange(44).astype(str))[1]
    np.testing.assert_allclose(alone, covariance, atol=1e-12)


def test_copies_of_a_patients_images_add_nothing() -> None:
    rng = np.random.default_rng(4)
    labels = np.arange(80) % 2
    scores = (rng.normal(size=80) + labels)[None]
    groups = np.arange(80).astype(str)
    once = estimate_aucs(labels, scores)[1]
    thrice = estimate_aucs(np.tile(labels, 3), np.tile(scores, 3), np.tile(groups, 3))[1]
    np.testing.assert_allclose(thrice, once, rtol=1e-9)
    careless = estimate_aucs(np.tile(labels, 3), np.tile(scores, 3))[1]
    assert careless < once / 2.9


def test_logit_interval_covers_the_truth_and_stays_inside() -> None:
    hits = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        labels = np.arange(60) % 2
        aucs, variance = estimate_aucs(labels, (rng.normal(size=60) + 2 * labels)[None])
        low, high = logit_interval(float(aucs[0]), float(variance[0, 0]), 0.9) or (0, 1)
        assert 0 < low < high < 1
        hits += low <= 0.9213504 <= high  # Phi(2 / sqrt 2)
    assert 0.84 <= hits / 300 <= 0.95


def test_what_cannot_be_had_is_none() -> None:
    labels = np.array([0, 0, 0, 1])
    aucs, variance = estimate_aucs(labels, np.arange(4.0)[None])
    assert np.isnan(aucs[0])
    assert np.isnan(variance[0, 0])
    assert logit_interval(1.0, 0.0, 0.95) is None
    same = compare_aucs(np.arange(8) % 2, np.arange(8.0), np.arange(8.0), None, 0.95)
    assert same == {"difference": 0.0, "low": None, "high": None, "z": None, "p": None}
