"""Probabilities from saved models: the only part of the evaluation that needs TensorFlow."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from pneumonia.model import load_model


def predict_images(model: keras.Model, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """P(pneumonia), float64 (N,), of uint8 images (N, H, W), a batch at a time."""
    return np.concatenate(_predict_batches(model, images, batch_size)).astype("float64")[:, 0]


def _predict_batches(model: keras.Model, images: np.ndarray, batch_size: int) -> list[Any]:
    return [
        model.predict_on_batch(np.asarray(images[start : start + batch_size]))
        for start in range(0, len(images), batch_size)
    ]


def add_features(model: keras.Model) -> keras.Model:
    """The same model with a second output: what its last layer sees, float32 (N, features)."""
    return keras.Model(model.inputs, [model.outputs[0], model.get_layer("features").output])


def predict_with_features(
    model: keras.Model, images: np.ndarray, batch_size: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """P(pneumonia), float64 (N,), and features (N, D) by a model of `add_features`, in one pass."""
    batches = _predict_batches(model, images, batch_size)
    probabilities, features = (np.concatenate(output) for output in zip(*batches, strict=True))
    return probabilities.astype("float64")[:, 0], features


def open_members(model: keras.Model) -> keras.Model:
    """The same model with what each of its M members says as its output: float32 (N, M)."""
    return keras.Model(model.input, model.get_layer("probabilities").output)


def predict_unseen(
    members: keras.Model, images: np.ndarray, unseen: np.ndarray, batch_size: int = 256
) -> np.ndarray:
    """P(pneumonia), float64 (N,), the mean of the members that have not learnt from an image.

    `members` is a model of `open_members`, `unseen` bool (V, M); N is V or a multiple of it, for
    images that are repeated in their order.
    """
    said = np.concatenate(_predict_batches(members, images, batch_size))
    chosen = np.tile(unseen, (len(images) // len(unseen), 1))
    return said.astype("float64").mean(1, where=chosen)


def predict_epochs(model_path: Path, weights: list[Path], images: np.ndarray) -> np.ndarray:
    """P(pneumonia), float64 (epochs, N), under the weights of each epoch."""
    model = load_model(model_path)
    probabilities = []
    for path in weights:
        model.load_weights(path)
        probabilities.append(predict_images(model, images))
    return np.stack(probabilities)
