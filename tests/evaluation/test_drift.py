"""Drift is nothing between halves of one set, and named where another scanner was at work."""

import numpy as np
import pandas as pd
import pytest

from pneumonia.evaluation.drift import describe_images, measure_drift


def make(seed: int, level: float = 110, width: int = 200, count: int = 80) -> pd.DataFrame:
    """Described images of one place, each its own patient, with scores."""
    rng = np.random.default_rng(seed)
    base = rng.normal(level, 12, (count, 1, 1)) + rng.normal(0, 20, (count, 16, 16))
    rows = pd.DataFrame({"group": np.arange(count).astype(str), "height": 180})
    rows["width"] = width + rng.integers(-20, 20, count)
    table = describe_images(np.clip(base, 0, 255).astype("uint8"), rows)
    return table.assign(p=rng.uniform(size=count))


def as_reference(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table.assign(part="train", p=np.nan), make(9).assign(part="val")])


def test_features_on_the_scale_of_their_units() -> None:
    images = np.zeros((3, 8, 8), "uint8")
    images[1] = 255
    images[2, :, ::2] = 255
    rows = pd.DataFrame({"group": ["a", "a", "b"], "width": ["640"] * 3, "height": ["480"] * 3})
    table = describe_images(images, rows)
    assert list(table["mean"]) == pytest.approx([0, 1, 0.5])
    assert list(table["contrast"]) == pytest.approx([0, 0, 0.5])
    assert list(table["sharpness"]) == pytest.approx([0, 0, 0.5])
    assert list(table["width"]) == [640] * 3
    assert list(table["group"]) == [0, 0, 1]


def test_large_sets_are_sampled_evenly() -> None:
    rows = pd.DataFrame({"group": np.arange(5000).astype(str), "width": 4, "height": 4})
    table = describe_images(np.zeros((5000, 4, 4), "uint8"), rows)
    assert len(table) == 2000
    assert (table["row"].iloc[0], table["row"].iloc[-1]) == (0, 4999)


def test_the_same_place_looks_the_same() -> None:
    drift, table = measure_drift(as_reference(make(1)), make(2), seed=1)
    assert 0.3 < drift["domain_auc"] < 0.65
    assert table["ks"].max() < 0.3


def test_another_scanner_is_named_by_what_differs_most() -> None:
    drift, table = measure_drift(as_reference(make(1)), make(2, level=120, width=600), seed=1)
    assert drift["domain_auc"] > 0.95
    assert "most by their width (median 6" in drift["sentence"]
    assert table.set_index("feature").loc["width", "ks"] == 1


def test_few_patients_get_no_number() -> None:
    drift, _ = measure_drift(as_reference(make(1)), make(2, count=8), seed=1)
    assert drift["domain_auc"] is None
    assert "too few patients" in drift["sentence"]
