"""Intervals resample patients, cover the truth as often as they say, and say when they cannot."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pneumonia.evaluation.intervals import draw_weights, estimate


@given(st.lists(st.integers(0, 9), min_size=2, max_size=50), st.integers(0, 99))
def test_whole_patients_are_drawn(groups: list[int], seed: int) -> None:
    names = np.array([f"p{g}" for g in groups])
    weights = draw_weights(names, 20, seed)
    for name in np.unique(names):
        assert (np.ptp(weights[:, names == name], axis=1) == 0).all()
    first = [np.flatnonzero(names == name)[0] for name in np.unique(names)]
    assert (weights[:, first].sum(1) == len(first)).all()


def simulate(seed: int, patients: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), 3).astype(str)
    labels = np.repeat(np.arange(patients) % 2, 3)
    effect = np.repeat(rng.normal(0, 0.1, patients), 3)
    scores = np.clip(0.4 + 0.2 * labels + effect + rng.normal(0, 0.05, len(labels)), 0, 1)
    return labels, scores, groups


def test_accuracy_interval_covers_the_truth() -> None:
    labels, scores, _ = simulate(12345, patients=40_000)
    truth = ((scores >= 0.5) == labels).mean()
    hits = 0
    for seed in range(60):
        rows = estimate(*simulate(seed), 0.5, draws=400, confidence=0.9, seed=1)
        hits += rows["accuracy"]["low"] <= truth <= rows["accuracy"]["high"]
    assert 0.78 <= hits / 60 <= 0.99


def test_the_same_seed_gives_the_same_interval() -> None:
    one, two = (estimate(*simulate(3), 0.5, draws=200, confidence=0.95, seed=7) for _ in "ab")
    assert one == two


def test_bad_cases_are_null_with_a_reason() -> None:
    labels, scores, groups = simulate(1)
    settings = {"draws": 100, "confidence": 0.95, "seed": 1}
    one_class = estimate(np.ones_like(labels), scores, groups, 0.5, **settings)
    assert one_class["auc"]["value"] is None
    assert "class" in one_class["auc"]["reason"]
    few = estimate(labels, scores, np.where(labels, "a", "b"), 0.5, **settings)
    assert few["auc"]["value"] is not None
    assert few["auc"]["low"] is None
    assert "2 patients" in few["auc"]["reason"]
    broken = estimate(labels, np.full_like(scores, np.nan), groups, 0.5, **settings)
    assert all(row["value"] is None and "finite" in row["reason"] for row in broken.values())
    constant = estimate(labels, np.full_like(scores, 0.3), groups, 0.5, **settings)
    assert constant["auc"]["value"] == 0.5
    assert constant["precision"]["value"] is None
