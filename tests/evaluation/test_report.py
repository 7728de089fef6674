"""What evaluate fixes on validation images, and what it says of the shift suite."""

import numpy as np
import pandas as pd
import pytest

from pneumonia.data.store import Part
from pneumonia.evaluation.report import decide, summarise_shifts
from pneumonia.params import Params


def judge_by_brightness(images: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(images.mean(axis=(1, 2)) - 120) / 2))


def make_val() -> Part:
    rng = np.random.default_rng(5)
    labels = np.tile([0, 1], 30)
    images = rng.integers(90, 131, (60, 24, 24)) + 20 * labels[:, None, None]
    return Part(images.astype("uint8"), labels)


def test_shifted_validation_images_temper_what_other_sites_would_break(params: Params) -> None:
    found = {
        name: decide(
            judge_by_brightness,
            make_val(),
            params.evaluate.model_copy(update={"fit_on": name}),
            seed=1,
        )
        for name in ("clean", "shifted")
    }
    assert found["clean"]["fit_on"] == "clean"
    assert found["shifted"]["temperature"] > 3 * found["clean"]["temperature"]


def test_summary_leaves_the_unchanged_images_out() -> None:
    table = pd.DataFrame(
        {"shift": ["none", "a", "b"], "auc": [0.4, 0.8, 0.9], "accuracy": [0.1, 0.7, 0.5]}
    )
    assert summarise_shifts(table) == pytest.approx(
        {
            "shift_auc_mean": 0.85,
            "shift_auc_worst": 0.8,
            "shift_accuracy_mean": 0.6,
            "shift_accuracy_worst": 0.5,
        }
    )
