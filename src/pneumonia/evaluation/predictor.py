"""Probabilities from saved models: the only part of the evaluation that needs TensorFlow."""

from pathlib import Path

import keras
import numpy as np

from pneumonia.model import load_model


def predict_model(model_path: Path, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """P(pneumonia), float64 (N,), of uint8 images (N, H, W)."""
    return predict_images(load_model(model_path), images, batch_size)


def predict_images(model: keras.Model, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """P(pneumonia), float64 (N,), of uint8 images (N, H, W), a batch at a time."""
    batches = [
        model.predict_on_batch(np.asarray(images[start : start + batch_size]))
        for start in range(0, len(images), batch_size)
    ]
    return np.concatenate(batches).astype("float64")[:, 0]


def extract_features(model: keras.Model, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """What the last layer sees of uint8 images (N, H, W): float32 (N, features)."""
    extractor = keras.Model(model.inputs, model.get_layer("features").output)
    batches = [
        extractor.predict_on_batch(np.asarray(images[start : start + batch_size]))
        for start in range(0, len(images), batch_size)
    ]
    return np.concatenate(batches)


def predict_epochs(model_path: Path, weights: list[Path], images: np.ndarray) -> np.ndarray:
    """P(pneumonia), float64 (epochs, N), under the weights of each epoch."""
    model = load_model(model_path)
    probabilities = []
    for path in weights:
        model.load_weights(path)
        probabilities.append(predict_images(model, images))
    return np.stack(probabilities)
