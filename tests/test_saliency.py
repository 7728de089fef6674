"""Grad-CAM: against numbers by hand, and on a small trained model whose lesions are known."""

from pathlib import Path

import keras
import numpy as np
import pytest

from pneumonia.data.decode import fit_square
from pneumonia.data.phantom import simulate_samples
from pneumonia.data.store import Part
from pneumonia.errors import InputError
from pneumonia.model import build_model
from pneumonia.params import ModelParams, Params
from pneumonia.saliency import map_heat, measure_heat
from pneumonia.training import train_model

SIZE, IMAGES, SHOWN = 48, 260, 60


@pytest.fixture(scope="module")
def phantom() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images uint8 (N, 48, 48), labels (N,) and lesion masks bool (N, 48, 48)."""
    samples = list(simulate_samples(IMAGES, seed=3))
    images, masks = (
        np.stack([fit_square(picture, SIZE, keep_aspect=True) for picture in pictures])
        for pictures in ([s.image for s in samples], [np.uint8(255) * s.mask for s in samples])
    )
    labels = np.array([s.path.startswith("PNEUMONIA") for s in samples], int)
    return images, labels, masks > 127


def test_heat_of_trained_models_lies_in_the_lesions(phantom, params: Params, tmp_path: Path):
    images, labels, masks = phantom
    changes = {"members": 1, "width": 8, "depth": 2, "dropout": 0.0}
    small = ModelParams(**params.model.model_dump() | changes)
    untrained = build_model(small, SIZE, seed=1)
    settings = params.train.model_copy(update={"epochs": 8, "epoch_images": 512})
    train = Part(images[SHOWN:], labels[SHOWN:])
    unseen = Part(images[:SHOWN], labels[:SHOWN])
    trained, _ = train_model(small, SIZE, train, unseen, settings, seed=1, work=tmp_path / "work")
    sick = np.flatnonzero(unseen.labels)
    shares = {}
    for name, model in (("trained", trained), ("untrained", untrained)):
        found = measure_heat(map_heat(model, images[sick]), masks[sick])
        shares[name] = np.nanmean(found["heat_share"]) / np.nanmean(found["area_share"])
    assert shares["trained"] > 1.4
    assert shares["trained"] > shares["untrained"] + 0.2


def make_linear_model(kernel: np.ndarray) -> keras.Model:
    """Two feature maps, the image and its negative, pooled and weighed by `kernel`."""
    images = keras.Input((None, None), dtype="uint8")
    grey = keras.layers.Rescaling(1 / 255)(keras.ops.expand_dims(images, -1))
    maps = keras.layers.Concatenate()([grey, 1 - grey])
    pooled = keras.layers.GlobalAveragePooling2D(name="features")(maps)
    last = keras.layers.Dense(1, name="cnn_logits")
    model = keras.Model(images, keras.layers.Activation("sigmoid")(last(pooled)))
    last.set_weights([kernel.reshape(2, 1), np.zeros(1)])
    return model


def test_heat_is_what_the_last_maps_add_to_the_logit():
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 6), dtype=np.uint8)
    heat = map_heat(make_linear_model(np.array([2.0, -1.0])), images, batch_size=2)
    grey = images / 255
    np.testing.assert_allclose(heat, np.maximum(2 * grey - (1 - grey), 0), atol=1e-5)


def test_heat_does_not_vanish_where_the_probability_is_one():
    images = np.full((1, 4, 4), 255, np.uint8)
    model = make_linear_model(np.array([90.0, 0.0]))
    assert model.predict_on_batch(images)[0, 0] == 1
    np.testing.assert_allclose(map_heat(model, images), 90, rtol=1e-5)


def test_a_model_of_an_earlier_version_is_refused():
    images = keras.Input((None, None), dtype="uint8")
    pooled = keras.layers.Identity(name="features")(images)
    with pytest.raises(InputError, match="no layer cnn_logits"):
        map_heat(keras.Model(images, pooled), np.zeros((1, 4, 4), np.uint8))


def test_share_of_heat_and_pointing_game_by_hand():
    masks = np.zeros((3, 2, 2), bool)
    masks[:, 0, 0] = True
    heat = np.array([[[3, 1], [0, 0]], [[1, 3], [0, 0]], [[0, 0], [0, 0]]], float)
    found = measure_heat(heat, masks)
    np.testing.assert_allclose(found["heat_share"], [0.75, 0.25, np.nan])
    np.testing.assert_allclose(found["area_share"], 0.25)
    np.testing.assert_allclose(found["hit"], [1, 0, np.nan])
