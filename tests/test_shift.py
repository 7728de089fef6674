"""The shift suite changes what it says, by itself and the same each time."""

import numpy as np
import pytest

from pneumonia.data.store import Part
from pneumonia.evaluation.rim import mark_rim, swap_rims
from pneumonia.evaluation.shift import OTHER_RIM, measure_shifts
from pneumonia.shift import SHIFTS, add_shifted, shift_images


@pytest.fixture
def images() -> np.ndarray:
    ramp = np.linspace(30, 220, 48)
    base = (ramp[:, None] + ramp[None]) / 2
    return np.stack([base + 10 * np.sin(k + base / (4 + k)) for k in range(3)]).astype("uint8")


@pytest.mark.parametrize("name", SHIFTS)
def test_shape_type_and_bytes_are_kept(images: np.ndarray, name: str) -> None:
    first = shift_images(images, name, seed=3)
    assert (first.shape, first.dtype) == (images.shape, np.uint8)
    np.testing.assert_array_equal(first, shift_images(images, name, seed=3))
    np.testing.assert_array_equal(first[:2], shift_images(images[:2], name, seed=3))
    assert np.array_equal(first, images) == (name == "none")


def test_directions(images: np.ndarray) -> None:
    mean = {name: shift_images(images, name, 0).mean() for name in SHIFTS}
    assert mean["darker"] < mean["none"] < mean["brighter"]
    assert mean["gamma 2"] < mean["none"] < mean["gamma 0.5"]
    assert mean["inverted"] == pytest.approx(255 - mean["none"])
    spread = {name: shift_images(images, name, 0).std() for name in SHIFTS}
    assert spread["low contrast"] < spread["none"] < spread["high contrast"]


def test_the_centre_stays_when_framing_changes() -> None:
    image = np.zeros((1, 41, 41), "uint8")
    image[0, 19:22, 19:22] = 255
    for name in ("cropped", "zoomed out", "aspect 4:5", "rotated"):
        rows, columns = np.nonzero(shift_images(image, name, 0)[0] > 60)
        assert rows.mean() == pytest.approx(20, abs=0.3)
        assert columns.mean() == pytest.approx(20, abs=0.3)


def test_a_brightness_classifier_fails_under_darkness_alone(images: np.ndarray) -> None:
    bright = np.clip(images.astype(int) + 25, 0, 255).astype("uint8")
    both, labels = np.concatenate([images, bright]), np.repeat([0, 1], 3)
    middle = (images.mean() + bright.mean()) / 2
    table = measure_shifts(
        lambda x: (
            1 / (1 + np.exp(-(x.mean(axis=(1, 2)) - middle) / 8)),
            x.mean(axis=(1, 2)) < 90,
        ),
        Part(both, labels),
        0.5,
        seed=0,
    ).set_index("shift")
    assert table.loc["none", "accuracy"] == 1
    assert table.loc["darker", "sensitivity"] == 0
    assert table.loc["inverted", "auc"] == 0
    assert table.loc["none", "atypical"] == 0 < table.loc["darker", "atypical"]


def test_a_part_is_followed_by_itself_under_shift(images: np.ndarray) -> None:
    both = add_shifted(Part(images, np.array([0, 1, 0])), seed=2)
    assert both.labels.tolist() == [0, 1, 0, 0, 1, 0]
    np.testing.assert_array_equal(both.images[:3], images)
    np.testing.assert_array_equal(both.images[3:], shift_images(images, "mixed", 2))


def read_part(mask: np.ndarray, greys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a model says that sees the pixels of a mask alone: the brighter, the surer."""
    brightness = greys[:, mask].mean(axis=1) / 255
    return brightness, np.zeros(len(greys), bool)


def test_the_control_finds_a_model_that_reads_the_rim() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    images = np.where(labels, 200, 50)[:, None, None] * np.ones((1, 30, 20))
    part, rim = Part(images.astype("uint8"), labels), mark_rim(30, 20)
    found = [
        measure_shifts(lambda x, m=mask: read_part(m, x), part, 0.5, seed=0).set_index("shift")
        for mask in (rim, ~rim)
    ]
    assert [table.loc["none", "auc"] for table in found] == [1, 1]
    assert [table.loc[OTHER_RIM, "auc"] for table in found] == [0, 1]
    assert [table.loc[OTHER_RIM, "accuracy"] for table in found] == [0, 1]


def test_rims_come_whole_from_one_image_of_the_other_class(images: np.ndarray) -> None:
    part, rim = Part(images, np.array([0, 1, 1])), mark_rim(48, 48)
    swapped = swap_rims(part, seed=1)
    np.testing.assert_array_equal(swapped[:, ~rim], images[:, ~rim])
    np.testing.assert_array_equal(swapped[1:, rim], images[[0, 0]][:, rim])
    assert any(np.array_equal(swapped[0, rim], images[i, rim]) for i in (1, 2))
    np.testing.assert_array_equal(swapped, swap_rims(part, seed=1))
    alone = Part(images, np.ones(3, int))
    np.testing.assert_array_equal(swap_rims(alone, seed=1), images)
