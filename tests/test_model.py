"""The networks: raw uint8 of any size in, whatever the backbone; weights from elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from test_training import SMALL

from pneumonia.backbones import BUILDERS
from pneumonia.errors import InputError
from pneumonia.model import build_model, load_model, save_model
from pneumonia.params import ModelParams
from pneumonia.preprocessing import NOISE_VARIANCE

IMAGES = np.random.default_rng(0).integers(50, 100, (2, 40, 40)).astype("uint8")


def change(**values: object) -> ModelParams:
    return SMALL.model_copy(update=values)


@pytest.mark.parametrize("backbone", BUILDERS)
def test_backbones_are_flat_and_take_any_size(backbone: str) -> None:
    model = build_model(change(backbone=backbone), 32, seed=1)
    assert model(IMAGES).shape == (2, 1)
    assert not any(hasattr(layer, "layers") for layer in model.layers)


def test_a_backbone_is_saved_and_loaded_in_safe_mode(tmp_path: Path) -> None:
    model = build_model(change(backbone="mobilenetv3small"), 32, seed=1)
    save_model(model, tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(IMAGES), model.predict_on_batch(IMAGES))


@pytest.mark.parametrize(("kind", "unmoved"), [("none", False), ("image", True), ("both", True)])
def test_normalisation_removes_exposure(kind: str, unmoved: bool) -> None:
    model = build_model(change(normalisation=kind), 32, seed=3)
    plain, brighter = model.predict_on_batch(IMAGES), model.predict_on_batch(IMAGES + 50)
    assert np.allclose(plain, brighter, atol=1e-4) == unmoved


def test_local_normalisation_is_by_the_square_about_each_pixel() -> None:
    model = build_model(change(normalisation="local"), 32, seed=1)
    stem = keras.Model(model.inputs, model.get_layer("member1_stem_conv").input)
    image = IMAGES[:1, :32, :32]

    def average(values: np.ndarray) -> np.ndarray:
        """Within a square of a quarter of the side that ends where the image does."""
        total, area = (
            cv2.boxFilter(v, -1, (9, 9), normalize=False, borderType=cv2.BORDER_CONSTANT)
            for v in (values, np.ones_like(values))
        )
        return total / area

    grey = image[0].astype("float64")
    mean = average(grey)
    wanted = (grey - mean) / np.sqrt(average(grey**2) - mean**2 + NOISE_VARIANCE)
    np.testing.assert_allclose(stem.predict_on_batch(image)[0, :, :, 0], wanted, atol=1e-4)


def test_a_model_starts_from_another_where_layers_agree(tmp_path: Path) -> None:
    source = build_model(change(depth=2), 32, seed=1)
    save_model(source, tmp_path / "source.keras")
    started = build_model(change(depth=1, weights=str(tmp_path / "source.keras")), 32, seed=2)
    stem = "member1_stem_conv"
    np.testing.assert_array_equal(
        started.get_layer(stem).get_weights()[0], source.get_layer(stem).get_weights()[0]
    )


@pytest.mark.parametrize(
    ("content", "said"), [(None, "there is no such file"), (b"no zip", "holds no weights of Keras")]
)
def test_weights_that_cannot_be_read_are_named(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "gone.keras"
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        build_model(change(weights=str(path)), 32, seed=1)


def test_weights_of_another_family_are_refused(tmp_path: Path) -> None:
    save_model(build_model(change(width=8, gradients=False), 32, seed=1), tmp_path / "wide.keras")
    with pytest.raises(InputError, match="no layer of"):
        build_model(change(weights=str(tmp_path / "wide.keras")), 32, seed=1)


def test_every_third_member_reads_edges_and_all_see_their_histogram() -> None:
    model = build_model(change(members=6), 32, seed=1)
    layers = [model.get_layer(name).output for name in ("cnn_logits", "hog_logits")]
    reader = keras.Model(model.inputs, [*layers, model.get_layer("probabilities").output])
    (network, line, p), inverted = (reader.predict_on_batch(x) for x in (IMAGES, 255 - IMAGES))
    moved = np.abs(inverted[0] - network).max(axis=0)
    assert (moved[[2, 5]] < 1e-4).all()
    assert (moved[[0, 1, 3, 4]] > 1e-3).all()
    np.testing.assert_allclose(inverted[1], line, atol=1e-4)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-0.6 * network - 0.4 * line)), atol=1e-6)


@pytest.mark.parametrize("size", [33, 40, 42, 50])
def test_members_join_whatever_the_size_and_the_model_loads_again(
    tmp_path: Path, size: int
) -> None:
    model = build_model(change(members=3, depth=3), size, seed=1)
    save_model(model, tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(IMAGES), model.predict_on_batch(IMAGES))


def test_without_gradients_there_are_greys_alone() -> None:
    model = build_model(change(members=3, gradients=False), 32, seed=1)
    assert not [layer.name for layer in model.layers if "hog" in layer.name]
    logits = keras.Model(model.inputs, model.get_layer("cnn_logits").output)
    moved = np.abs(logits.predict_on_batch(255 - IMAGES) - logits.predict_on_batch(IMAGES))
    assert (moved.max(axis=0) > 1e-3).all()


def test_images_too_small_for_a_backbone_are_named() -> None:
    with pytest.raises(InputError, match="mend data"):
        build_model(change(backbone="densenet121"), 16, seed=1)


def test_without_a_network_the_file_to_fetch_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # a port where nobody listens
    with pytest.raises(InputError, match="put that file of"):
        build_model(change(backbone="mobilenetv3small", weights="imagenet"), 32, seed=1)


@pytest.mark.parametrize("keep_aspect", [False, True])
def test_images_of_any_aspect_are_squeezed_or_padded(keep_aspect: bool) -> None:
    model = build_model(SMALL, 32, seed=1, keep_aspect=keep_aspect)
    rows = np.random.default_rng(0).integers(0, 256, (1, 32, 1), "u1")
    square, wide = np.tile(rows, 32), np.tile(rows, 64)  # bands, whatever their width
    assert np.allclose(model(square), model(wide), atol=1e-5) == (not keep_aspect)


def test_the_environment_has_no_say_in_the_arithmetic() -> None:
    script = """
from pathlib import Path
import numpy as np
from pneumonia.model import build_model
from pneumonia.params import load_params
model = build_model(load_params(Path("params.yaml")).model, image_size=32, seed=1)
images = np.random.default_rng(0).integers(0, 256, (2, 40, 40), "u1")
print(model(images).numpy().tobytes().hex())
"""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": choice}, stdout=subprocess.PIPE, text=True,
        )
        for choice in "01"
    ]  # fmt: skip
    first, second = (run.communicate()[0] for run in runs)
    assert first == second
    assert len(first.strip()) == 2 * 4 * 2  # two float32 in hexadecimal digits
