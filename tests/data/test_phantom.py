"""The simulated radiographs: the same bytes again, a sound layout, neither trivial nor hidden."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pneumonia.data.phantom import (
    Sample,
    make_phantom,
    simulate_image,
    simulate_patient,
    simulate_samples,
)
from pneumonia.errors import InputError

NAME = re.compile(r"(NORMAL|PNEUMONIA)/(patient\d{4})_([1-5])\.png")


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(simulate_samples(240, seed=1))


def read_folder(folder: Path) -> dict[str, bytes]:
    files = filter(Path.is_file, folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        make_phantom(tmp_path / name, images=6, seed=seed)
    one, two, other = (read_folder(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert not set(one.values()) & set(other.values())


def test_an_older_processor_makes_the_same_bytes(tmp_path):
    older = {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "OPENCV_CPU_DISABLE": "AVX2,FMA3,AVX"}
    command = [sys.executable, "-m", "pneumonia.data.phantom", "--images", "60", "--output"]
    for name, environment in (("new", {}), ("old", older)):
        subprocess.run([*command, str(tmp_path / name)], env=os.environ | environment, check=True)
    assert read_folder(tmp_path / "new") == read_folder(tmp_path / "old")


def test_a_longer_set_begins_with_the_shorter(samples):
    short = list(simulate_samples(10, seed=1))
    for sample, known in zip(short, samples, strict=False):
        assert sample.path == known.path
        np.testing.assert_array_equal(sample.image, known.image)


def test_files_are_grey_pictures_by_class_and_patient(tmp_path):
    make_phantom(tmp_path / "set", images=8, seed=3, masks=True)
    files = read_folder(tmp_path / "set")
    assert len(files) == 8
    assert all(map(NAME.fullmatch, files))
    for name in files:
        image = cv2.imread(str(tmp_path / "set" / name), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(tmp_path / "set-masks" / name), cv2.IMREAD_UNCHANGED)
        assert image.dtype == np.uint8
        assert image.ndim == 2
        assert mask.shape == image.shape
        assert mask.any() == name.startswith("PNEUMONIA")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "set-masks"]


def test_a_patient_has_one_label_and_several_have_several_images(samples):
    labels: dict[str, set[str]] = {}
    for sample in samples:
        label, patient, _ = NAME.fullmatch(sample.path).groups()
        labels.setdefault(patient, set()).add(label)
    assert all(len(found) == 1 for found in labels.values())
    assert len({sample.path for sample in samples}) == len(samples)
    assert 2 < len(samples) / len(labels) < 3
    sick = np.mean([sample.path.startswith("PNEUMONIA") for sample in samples])
    assert 0.5 <= sick <= 0.6


def test_no_trivial_feature_tells_the_classes_apart(samples):
    labels = [sample.path.startswith("PNEUMONIA") for sample in samples]
    features = {
        "mean": [sample.image.mean() for sample in samples],
        "spread": [sample.image.std() for sample in samples],
        "brightest": [np.percentile(sample.image, 95) for sample in samples],
        "width": [sample.image.shape[1] for sample in samples],
        "shape": [sample.image.shape[0] / sample.image.shape[1] for sample in samples],
    }
    for name, values in features.items():
        area = roc_auc_score(labels, values)
        assert 0.25 < area < 0.75, name


def test_opacities_brighten_and_some_barely():
    """The same exposure of the same person, with and without the lesions."""
    gains = []
    for seed in range(30):
        sick = simulate_patient(np.random.default_rng(seed), sick=True)
        image, mask = simulate_image(np.random.default_rng(0), sick)
        faded = [type(lesion)(**vars(lesion) | {"density": 0.0}) for lesion in sick.lesions]
        healthy = type(sick)(0, sick.anatomy, faded)
        without, none = simulate_image(np.random.default_rng(0), healthy)
        assert not none.any()
        gains.append((image.astype(int) - without)[mask].mean())
    assert min(gains) > 0
    assert min(gains) < 15
    assert max(gains) > 40


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_any_seed_gives_a_picture_with_contrast(seed, sick):
    rng = np.random.default_rng(seed)
    image, mask = simulate_image(rng, simulate_patient(rng, sick))
    assert image.dtype == np.uint8
    assert min(image.shape) >= 90
    assert max(image.shape) <= 180
    assert image.std() > 20
    assert mask.dtype == bool
    assert mask.any() == sick


def test_a_folder_with_content_is_left_alone(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        make_phantom(tmp_path, images=4, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_the_command_writes_the_set_and_refuses_to_do_it_twice(tmp_path):
    command = [sys.executable, "-m", "pneumonia.data.phantom", "--images", "4"]
    for code in (0, 2):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == code
    assert "data/raw/phantom exists already" in result.stderr
    assert len(read_folder(tmp_path / "data/raw/phantom")) == 4
