"""Votes and histograms tell which edges are where, and nothing of exposure."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumonia.preprocessing import (
    CELLS,
    CLIP,
    ORIENTATIONS,
    STRONGEST,
    describe_histograms,
    normalise_votes,
    vote_orientations,
)

SIDE, BLOCKS = 96, CELLS - 1
CORNERS = [(0, 0), (0, 1), (1, 0), (1, 1)]  # of a block, in the order of its values


def make_reader() -> keras.Model:
    greys = keras.Input((SIDE, SIDE, 1))
    votes = vote_orientations(greys)
    outputs = [votes, normalise_votes(votes, "member_"), describe_histograms(votes)]
    return keras.Model(greys, outputs)


READER = make_reader()


def read(image: np.ndarray) -> list[np.ndarray]:
    """One image's votes, normalised votes and histogram, the latter by block and corner."""
    outputs = READER.predict_on_batch(image.astype("float32")[None, :, :, None])
    votes, normalised, histogram = (output[0] for output in outputs)
    return [votes, normalised, histogram.reshape(BLOCKS, BLOCKS, len(CORNERS), ORIENTATIONS)]


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
    _, plain, histogram = read(image)
    _, changed_plain, changed_histogram = read(changed)
    np.testing.assert_allclose(changed_plain, plain, atol=0.02)
    np.testing.assert_allclose(changed_histogram, histogram, atol=2e-3)


def test_a_flat_image_has_no_edges() -> None:
    assert all((values == 0).all() for values in read(np.full((SIDE, SIDE), 200.0)))


@pytest.mark.parametrize(("turns", "orientation"), [(0, 0.0), (1, ORIENTATIONS / 2)])
def test_an_edge_is_where_it_is_and_points_where_it_points(turns: int, orientation: float) -> None:
    """From dark to bright, to the right or upwards, which is half way between two bins."""
    upright = np.tile(np.where(np.arange(SIDE) < SIDE // 2 - 2, 50.0, 150.0), (SIDE, 1))
    votes, normalised, histogram = (
        np.rot90(values, -turns) for values in read(np.rot90(upright, turns))
    )
    for values in (votes, normalised):
        strong = values.max(axis=(0, 2)) > 1e-4 * values.max()
        np.testing.assert_array_equal(np.flatnonzero(strong), [SIDE // 4 - 2, SIDE // 4 - 1])
    found = np.flatnonzero(votes.max(axis=(0, 1)) > 1e-4 * votes.max())
    assert found.mean() == orientation
    strong = histogram.max(axis=(0, 2, 3)) > 1e-4
    np.testing.assert_array_equal(np.flatnonzero(strong), [CELLS // 2 - 2, CELLS // 2 - 1])
    assert histogram.max() == pytest.approx(CLIP)


def test_a_gradient_votes_in_full_for_its_own_orientation() -> None:
    ramp = np.tile(3.0 * np.arange(SIDE), (SIDE, 1))
    votes = read(ramp)[0][1:-1, 1:-1]
    np.testing.assert_allclose(votes[..., 0], 6, rtol=1e-5)
    np.testing.assert_allclose(votes[..., 1:], 0, atol=1e-4)


def test_a_lonely_dot_counts_no_more_than_strong_edges() -> None:
    image = np.full((SIDE, SIDE), 100.0)
    image[SIDE // 2, SIDE // 2] = 200
    assert read(image)[1].max() == STRONGEST


def test_mirrored_images_have_mirrored_histograms() -> None:
    image = draw(1)
    there, back = read(image)[2], read(image[:, ::-1])[2]
    turned = -np.arange(ORIENTATIONS) % ORIENTATIONS
    other = [CORNERS.index((i, 1 - j)) for i, j in CORNERS]
    np.testing.assert_allclose(back[:, ::-1][:, :, other][..., turned], there, atol=1e-4)


def test_blocks_are_of_unit_length_before_they_are_clipped() -> None:
    lengths = np.linalg.norm(read(draw(2))[2], axis=(2, 3))
    assert (lengths <= 1).all()
    assert lengths.mean() > 0.6
