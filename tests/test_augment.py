"""Augmented copies: what is drawn, that nothing else moves, and what lies on disk."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pneumonia.augment import (
    BLOCK,
    DRAWS,
    OPERATIONS,
    Ranges,
    augment_images,
    change_images,
    compose_matrices,
    compose_tables,
    count_copies,
    warp,
)

ROOT = Path(__file__).parents[1]
DEFAULTS = Ranges(
    horizontal_flip=True,
    shear_range=0.2,
    zoom_range=0.2,
    translation_range=0.05,
    aspect_range=0.3,
    rotation_range=5.0,
    brightness_range=0.1,
    contrast_range=0.2,
    gamma_range=0.3,
)
GREY = arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=24))
SEEDS = st.integers(0, 2**32 - 1)
DRAW_ROWS = arrays(np.float64, (3, DRAWS), elements=st.floats(-1, 1))


def make_images(count: int, size: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size), dtype=np.uint8)


@given(GREY, SEEDS)
def test_ranges_of_zero_change_nothing(images, seed):
    changed = change_images(images, np.random.default_rng(seed), Ranges())
    np.testing.assert_array_equal(changed, images)


@given(GREY)
def test_a_flip_mirrors_and_two_give_the_original(images):
    draws = np.full((1, DRAWS), -1.0)
    height, width = images.shape[1:]
    (flip,) = compose_matrices(draws, Ranges(horizontal_flip=True), height=height, width=width)
    once = warp(images[0], flip)
    np.testing.assert_array_equal(once, images[0, :, ::-1])
    np.testing.assert_array_equal(warp(once, flip), images[0])


@given(GREY, SEEDS)
def test_shape_and_type_stay(images, seed):
    changed = change_images(images, np.random.default_rng(seed), DEFAULTS)
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8


@given(GREY, SEEDS)
def test_operations_of_an_image_do_not_depend_on_its_neighbours(images, seed):
    ranges = Ranges(operations=2)
    whole = change_images(images, np.random.default_rng(seed), ranges)
    rng = np.random.default_rng(seed)
    parts = [change_images(images[i : i + 1], rng, ranges) for i in range(len(images))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_changes_an_image_more_the_stronger_it_is(operation):
    image = cv2.GaussianBlur(make_images(1, 96)[0], (0, 0), 0.7)
    kept = image.copy()
    changes = [
        float(
            np.abs(
                operation(image, strength, np.random.default_rng(1)) - image.astype(float)
            ).mean()
        )
        for strength in (0.1, 0.9)
    ]
    assert 0 < changes[0] < changes[1]
    np.testing.assert_array_equal(image, kept)


@pytest.mark.parametrize("strength", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_operation_gives_a_wide_area_another_grey(operation, strength):
    image = np.full((96, 96), 60, "uint8")
    image[:, 48:] = 171
    changed = operation(image, strength, np.random.default_rng(1))
    assert np.median(changed[24:72, 20:36]) == pytest.approx(60, abs=1)
    assert np.median(changed[24:72, 60:76]) == pytest.approx(171, abs=1)


@given(DRAW_ROWS, st.integers(1, 64), st.integers(1, 64))
def test_the_centre_stays_unless_moved(draws, height, width):
    ranges = Ranges(horizontal_flip=True, shear_range=0.5, zoom_range=0.5, rotation_range=180.0)
    centre = np.array([(width - 1) / 2, (height - 1) / 2, 1])
    moved = compose_matrices(draws, ranges, height=height, width=width) @ centre
    np.testing.assert_allclose(moved, np.tile(centre[:2], (3, 1)), atol=1e-9)


def test_translation_is_a_fraction_of_each_side():
    draws = np.zeros((1, DRAWS))
    draws[0, 3:5] = 1, -1
    (matrix,) = compose_matrices(draws, Ranges(translation_range=0.1), height=20, width=40)
    np.testing.assert_allclose(matrix, [[1, 0, 4], [0, 1, -2]])


@given(DRAW_ROWS)
def test_the_aspect_ratio_changes_and_the_area_stays(draws):
    draws[:, 0] = 1
    matrices = compose_matrices(draws, Ranges(aspect_range=0.3), height=9, width=9)
    ratios = matrices[:, 0, 0] / matrices[:, 1, 1]
    np.testing.assert_allclose(ratios, 1.3 ** draws[:, 10])
    np.testing.assert_allclose(np.linalg.det(matrices[:, :, :2]), 1)


@given(st.integers(1, 500), st.integers(1, 9), st.integers(0, 2000))
def test_few_images_get_as_many_copies_as_are_needed(images, copies, least):
    count = count_copies(images, copies, least)
    assert count >= copies
    assert count * images >= least
    assert count == copies or (count - 1) * images < least


@pytest.mark.parametrize(
    ("column", "name", "entry"),
    [(1, "shear_range", (0, 1)), (2, "zoom_range", (0, 0)), (5, "rotation_range", (1, 0))],
)
def test_every_change_goes_both_ways_and_no_further_than_its_range(column, name, entry):
    draws = np.random.default_rng(1).uniform(-1, 1, (500, DRAWS))
    matrices = compose_matrices(draws, Ranges(**{name: 0.2}), height=9, width=9)
    seen = (matrices[:, :, :2] - np.eye(2))[:, *entry]
    reach = np.sin(np.deg2rad(0.2)) if name == "rotation_range" else 0.2
    assert seen.min() == pytest.approx(-reach, rel=0.02)
    assert seen.max() == pytest.approx(reach, rel=0.02)
    assert np.array_equal(np.sign(seen), np.sign(draws[:, column]))


@given(DRAW_ROWS, arrays(np.float64, 3, elements=st.floats(0, 255)))
def test_tables_keep_the_order_of_greys(draws, means):
    tables = compose_tables(draws, DEFAULTS, means)
    assert tables.dtype == np.uint8
    assert np.all(np.diff(tables.astype(int), axis=1) >= 0)


def test_brightness_adds_a_fraction_of_full_scale():
    draws = np.zeros((2, DRAWS))
    draws[:, 6] = 1, -1
    tables = compose_tables(draws, Ranges(brightness_range=0.2), np.zeros(2))
    assert tables[:, 100].tolist() == [151, 49]


def test_the_share_of_inverted_copies_is_as_asked():
    draws = np.random.default_rng(0).uniform(-1, 1, (2000, DRAWS))
    tables = compose_tables(draws, Ranges(invert_share=0.25), np.zeros(2000))
    inverted = tables[:, 0] == 255
    assert abs(inverted.mean() - 0.25) < 0.03
    np.testing.assert_array_equal(tables[inverted][0], np.arange(255, -1, -1))
    np.testing.assert_array_equal(tables[~inverted][0], np.arange(256))


def augment(folder: Path, images: np.ndarray, copies: int = 3, seed: int = 1) -> np.ndarray:
    labels = np.arange(len(images)) % 2
    augment_images(images, labels, folder, copies=copies, ranges=DEFAULTS, seed=seed)
    return np.load(folder / "images.npy", mmap_mode="r")


def test_copy_0_is_the_original_and_labels_are_those_of_all_copies(tmp_path):
    images = make_images(5)
    rows = augment(tmp_path, images)
    assert rows.shape == (15, 16, 16)
    assert rows.dtype == np.uint8
    np.testing.assert_array_equal(rows[:5], images)
    labels = np.load(tmp_path / "labels.npy")
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 0, 1, 0]
    for original, one, other in zip(images, rows[5:10], rows[10:], strict=True):
        assert not np.array_equal(original, one)
        assert not np.array_equal(one, other)


def test_a_copy_depends_on_seed_copy_and_row_alone(tmp_path):
    images = make_images(BLOCK + 3, size=8)
    rows = augment(tmp_path / "all", images)
    fewer = augment(tmp_path / "fewer", images[: BLOCK + 1], copies=2)
    np.testing.assert_array_equal(fewer[BLOCK + 1 :], rows[BLOCK + 3 : 2 * (BLOCK + 3) - 2])
    again = augment(tmp_path / "again", images)
    np.testing.assert_array_equal(again, rows)
    other = augment(tmp_path / "other", images, seed=2)
    assert not np.array_equal(other[BLOCK + 3 :], rows[BLOCK + 3 :])


def test_the_preview_shows_originals_beside_copies(tmp_path):
    rows = augment(tmp_path, make_images(20), copies=3)
    preview = cv2.imread(str(tmp_path / "preview.png"), cv2.IMREAD_UNCHANGED)
    assert preview.shape == (8 * 16, 3 * 16)
    np.testing.assert_array_equal(preview[:16, 16:32], rows[20])


def test_nothing_half_written_is_left_behind(tmp_path):
    (tmp_path / "labels.npy").mkdir()
    with pytest.raises(OSError):
        augment(tmp_path, make_images(4))
    assert not list(tmp_path.glob(".*"))


def test_the_stage_writes_as_many_copies_of_both_parts(tmp_path):
    for name, count in (("train", 6), ("val", 4)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "images.npy", make_images(count))
        np.save(tmp_path / name / "labels.npy", np.arange(count) % 2)
    run_stage(tmp_path).check_returncode()
    rows = np.load(tmp_path / "augmented/images.npy")
    np.testing.assert_array_equal(rows[:6], make_images(6))
    more = np.load(tmp_path / "augmented/val/images.npy")
    np.testing.assert_array_equal(more[:4], make_images(4))
    assert not np.array_equal(more[4:8], rows[6:10])  # other draws
    assert len(rows) / 6 == len(more) / 4 > 8
    names = sorted(path.name for path in (tmp_path / "augmented").iterdir())
    assert names == ["images.npy", "labels.npy", "preview.png", "val"]


def test_the_stage_names_a_missing_training_part(tmp_path):
    result = run_stage(tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert str(tmp_path / "train") in result.stderr
    assert len(result.stderr.splitlines()) == 1


def run_stage(folder: Path) -> subprocess.CompletedProcess[str]:
    folders = {"--train": "train", "--val": "val", "--output": "augmented"}
    options = [word for name, place in folders.items() for word in (name, folder / place)]
    command = [sys.executable, ROOT / "stages/augment.py", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
