"""Where the model looks: Grad-CAM heat maps, and how much of their heat lies where it should."""

import cv2
import keras
import numpy as np
import tensorflow as tf

from pneumonia.errors import InputError


def map_heat(model: keras.Model, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """Grad-CAM, float32 (N, H, W), not negative, of uint8 images (N, H, W).

    What in the last feature maps (those that the layer `features` pools) raises the logit of
    pneumonia, the mean of the members' networks, enlarged to the image; lines through histograms
    have no maps. In logits, so that the mean over an image is what all its heat adds. Source:
    Selvaraju et al., Grad-CAM, ICCV 2017. The logit and not the probability is followed back,
    since the latter's gradient vanishes where it is sure. Raises InputError where the model lacks
    these layers, as some of earlier versions do.
    """
    if missing := {"features", "cnn_logits"} - {layer.name for layer in model.layers}:
        raise InputError(f"the model has no layer {min(missing)} to make heat maps of: retrain it")
    features: keras.layers.Layer = model.get_layer("features")
    body = keras.Model(model.inputs, features.input)
    head = keras.Model(features.input, model.get_layer("cnn_logits").output)

    @tf.function(reduce_retracing=True)  # preprocessing wants a graph: eagerly it stays uint8
    def map_batch(batch: tf.Tensor) -> tf.Tensor:
        maps = body(batch, training=False)
        with tf.GradientTape() as tape:
            tape.watch(maps)
            logit = tf.reduce_mean(head(maps, training=False), axis=-1)
        importance = tf.reduce_sum(tape.gradient(logit, maps), axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(importance * maps, axis=-1))

    starts = range(0, len(images), batch_size)
    coarse = [map_batch(tf.constant(images[start : start + batch_size])) for start in starts]
    return _enlarge(np.concatenate(coarse), images.shape)


def _enlarge(heat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    size = (shape[2], shape[1])
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in heat])


def measure_heat(heat: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    """How well heat float (N, H, W) fits lesions bool (N, H, W): three figures, each float (N,).

    heat_share: the part of the heat inside the lesions; area_share: that of the image, which is
    what heat spread evenly would give; hit: 1 where the hottest pixel is inside (the pointing game
    of Zhang et al., ECCV 2016). NaN where an image has no heat at all.
    """
    flat, inside = heat.reshape(len(heat), -1), masks.reshape(len(masks), -1)
    total = flat.sum(1)
    with np.errstate(invalid="ignore"):
        share = np.where(total > 0, (flat * inside).sum(1) / total, np.nan)
    hit = inside[np.arange(len(flat)), flat.argmax(1)]
    return {
        "heat_share": share,
        "area_share": inside.mean(1),
        "hit": np.where(total > 0, hit, np.nan),
    }
