"""Images unlike the training images are told by their distance; its file keeps the values."""

from pathlib import Path

import numpy as np
import pytest

from pneumonia.errors import InputError
from pneumonia.evaluation.typicality import fit_typicality, load_typicality, save_typicality


def draw(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 4)) @ np.diag([1, 2, 3, 4]) + 5).astype("float32")


def test_distance_is_mahalanobis() -> None:
    typicality = fit_typicality(draw(20_000, 0), draw(2000, 1))
    points = np.array([[5, 5, 5, 5], [6, 5, 5, 5], [5, 5, 5, 13]])
    np.testing.assert_allclose(typicality.measure(points), [0, 1, 2], atol=0.05)


def test_about_a_hundredth_of_like_images_and_all_unlike_are_flagged() -> None:
    typicality = fit_typicality(draw(2000, 0), draw(1000, 1))
    assert 0.003 < typicality.is_atypical(draw(5000, 2)).mean() < 0.02
    assert typicality.is_atypical(draw(100, 3) + 30).all()


def test_fewer_images_than_features_are_enough() -> None:
    assert np.isfinite(fit_typicality(draw(3, 0), draw(3, 1)).measure(draw(5, 2))).all()


def test_kept_in_a_file_with_the_same_bytes(tmp_path: Path) -> None:
    typicality = fit_typicality(draw(100, 0), draw(100, 1))
    save_typicality(typicality, tmp_path / "a.npy")
    save_typicality(load_typicality(tmp_path / "a.npy"), tmp_path / "b.npy")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"x\.npy cannot be read"):
        load_typicality(tmp_path / "x.npy")
