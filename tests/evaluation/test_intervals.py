"""Intervals resample patients, cover the truth as often as they say, and say when they cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from pneumonia.evaluation.intervals import Estimate, Resampling, draw_weights, resample, wilson
from pneumonia.evaluation.metrics import all_metrics


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=50), st.integers(0, 99))
def test_whole_patients_are_drawn(groups: list[int], seed: int) -> None:
    names = np.array([f"p{g}" for g in groups])
    weights = np.concatenate(list(draw_weights(names, 260, seed)))
    assert weights.shape == (260, len(names))
    for name in np.unique(names):
        assert (np.ptp(weights[:, names == name], axis=1) == 0).all()
    first = [np.flatnonzero(names == name)[0] for name in np.unique(names)]
    assert (weights[:, first].sum(1) == len(first)).all()


def test_every_patient_is_as_likely() -> None:
    weights = np.concatenate(list(draw_weights(np.arange(20).astype(str), 4000, 1)))
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.06)
    assert weights.var() == pytest.approx(0.95, abs=0.02)


def simulate(seed: int, patients: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), 3).astype(str)
    labels = np.repeat(np.arange(patients) % 2, 3)
    effect = np.repeat(rng.normal(0, 0.1, patients), 3)
    scores = np.clip(0.4 + 0.2 * labels + effect + rng.normal(0, 0.05, len(labels)), 0, 1)
    return labels, scores, groups


def estimate(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, how: Resampling
) -> dict[str, Estimate]:
    return resample(
        lambda weights: all_metrics(labels, scores, 0.5, weights), groups, how, lambda *_: "none"
    )


def test_accuracy_interval_covers_the_truth() -> None:
    labels, scores, _ = simulate(12345, patients=40_000)
    truth = ((scores >= 0.5) == labels).mean()
    hits = 0
    for seed in range(60):
        found = estimate(*simulate(seed), Resampling(400, 0.9, 1))["accuracy"]
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    assert 0.78 <= hits / 60 <= 0.99


def test_the_same_seed_gives_the_same_interval() -> None:
    one, two = (estimate(*simulate(3), Resampling(200, 0.95, 7)) for _ in "ab")
    assert one == two


def test_too_few_patients_and_degenerate_draws_have_no_interval() -> None:
    labels, scores, groups = simulate(1)
    how = Resampling(100, 0.95, 1)
    few = estimate(labels, scores, np.where(labels, "a", "b"), how)["auc"]
    assert few.value is not None
    assert few.low is few.high is None
    assert "2 patients" in str(few.reason)
    constant = estimate(labels, np.full_like(scores, 0.3), groups, how)
    assert constant["auc"].value == 0.5
    assert "same value" in str(constant["auc"].reason)
    assert constant["ppv"] == Estimate(None, reason="none")


def test_an_infinite_end_is_left_open() -> None:
    groups = np.arange(40).astype(str)

    def ratio(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"ratio": np.where(weights[:, 0] > 0, weights[:, 1] + 1, np.inf)}

    found = resample(ratio, groups, Resampling(400, 0.95, 1), lambda *_: "")["ratio"]
    assert (found.value, found.low, found.high) == (2, 1, None)
    assert "infinite" in str(found.reason)


@settings(deadline=None)
@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_agrees_with_statsmodels(total: int, share: float, confidence: float) -> None:
    hits = round(share * total)
    theirs = proportion_confint(hits, total, alpha=1 - confidence, method="wilson")
    assert wilson(hits, total, confidence) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    ("hits", "total", "ends"),
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_of_newcombes_table(hits: int, total: int, ends: tuple[float, float]) -> None:
    """Newcombe, Statistics in Medicine 1998, table I, method 3."""
    assert wilson(hits, total, 0.95) == pytest.approx(ends, abs=5e-5)


def test_wilson_of_nothing_is_none() -> None:
    assert wilson(0, 0, 0.95) is None
