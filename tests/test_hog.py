"""Descriptors tell which edges are where, and nothing of exposure."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumonia.hog import CLIP, ORIENTATIONS, describe_gradients

SIDE, BLOCKS = 32, 7
CORNERS = [(0, 0), (0, 1), (1, 0), (1, 1)]  # of a block, in the order of its values


def make_describer() -> keras.Model:
    greys = keras.Input((SIDE, SIDE, 1))
    return keras.Model(greys, describe_gradients(greys, SIDE))


DESCRIBE = make_describer()


def describe(image: np.ndarray) -> np.ndarray:
    """One image's values, float32 (block row, block column, corner, orientation)."""
    values = DESCRIBE.predict_on_batch(image.astype("float32")[None, :, :, None])
    return values.reshape(BLOCKS, BLOCKS, len(CORNERS), ORIENTATIONS)


def draw(seed: int) -> np.ndarray:
    """Random grey values, smooth enough to have edges of all strengths."""
    noise = np.random.default_rng(seed).normal(0, 1, (SIDE + 4, SIDE + 4))
    smooth = sum(noise[i : i + SIDE, j : j + SIDE] for i in range(5) for j in range(5))
    return 128 + 8 * smooth


@given(st.integers(0, 99), st.floats(0.5, 2), st.floats(-50, 50), st.sampled_from([1, -1]))
def test_exposure_and_polarity_change_little(
    seed: int, contrast: float, brightness: float, polarity: int
) -> None:
    image = draw(seed)
    changed = polarity * contrast * (image - 128) + 128 + brightness
    np.testing.assert_allclose(describe(changed), describe(image), atol=2e-3)


def test_a_flat_image_has_no_edges() -> None:
    assert (describe(np.full((SIDE, SIDE), 200.0)) == 0).all()


@pytest.mark.parametrize(("turns", "orientation"), [(0, 0.0), (1, ORIENTATIONS / 2)])
def test_an_edge_is_where_it_is_and_points_where_it_points(turns: int, orientation: float) -> None:
    """From dark to bright, to the right or upwards, which is half way between two bins."""
    upright = np.tile(np.where(np.arange(SIDE) < SIDE // 2 - 2, 50.0, 150.0), (SIDE, 1))
    image = np.rot90(upright, turns)
    said = np.rot90(describe(image), -turns)
    strong = said.max(axis=(0, 2, 3)) > 0
    np.testing.assert_array_equal(np.flatnonzero(strong), [2, 3])
    found = np.flatnonzero(said.max(axis=(0, 1, 2)))
    assert found.mean() == orientation
    assert said.max() == pytest.approx(CLIP)


def test_mirrored_images_have_mirrored_descriptions() -> None:
    image = draw(1)
    there, back = describe(image), describe(image[:, ::-1])
    turned = -np.arange(ORIENTATIONS) % ORIENTATIONS
    other = [CORNERS.index((i, 1 - j)) for i, j in CORNERS]
    np.testing.assert_allclose(back[:, ::-1][:, :, other][..., turned], there, atol=1e-4)


def test_blocks_are_of_unit_length_before_they_are_clipped() -> None:
    lengths = np.linalg.norm(describe(draw(2)), axis=(2, 3))
    assert (lengths <= 1).all()
    assert lengths.mean() > 0.6
