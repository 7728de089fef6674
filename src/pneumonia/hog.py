"""Histograms of oriented gradients: which edges an image has where, whatever its exposure."""

from typing import Any

import keras
import numpy as np

ORIENTATIONS = 9  # without regard to the edge's sign: inverted images are described alike
CELLS = 8  # across the image
CLIP = 0.2  # of a block's unit length
FLAT = 0.1  # grey values: a block with weaker edges on average is flat, not structure


def describe_gradients(x: Any, size: int) -> Any:
    """Descriptors, float32 (N, D), of grey values (N, size, size, 1), a Keras tensor.

    Source: Dalal and Triggs, Histograms of oriented gradients for human detection, CVPR 2005:
    gradients vote for the two orientations next to theirs, cells are joined in overlapping blocks
    of two by two, each of unit length and clipped. Pyright does not know Keras tensors' arithmetic.
    """
    across = _crop(x, (1, 1), (2, 0)) - _crop(x, (1, 1), (0, 2))
    down = _crop(x, (2, 0), (1, 1)) - _crop(x, (0, 2), (1, 1))
    strength = (across * across + down * down) ** 0.5
    turn = keras.layers.Rescaling(ORIENTATIONS / np.pi, name="hog_turn")(
        keras.ops.arctan2(down, across)
    )
    half = ORIENTATIONS / 2
    apart = abs((turn - np.arange(ORIENTATIONS, dtype="float32") + half) % ORIENTATIONS - half)
    votes = strength * keras.ops.maximum(1 - apart, 0)
    cells = keras.layers.AveragePooling2D(size // CELLS, padding="same", name="hog_cells")(votes)
    energy = keras.ops.sum(cells * cells, axis=-1, keepdims=True)
    length = keras.layers.AveragePooling2D(2, 1, name="hog_blocks")(energy) * 4 + FLAT**2
    corners = [_crop(cells, (i, 1 - i), (j, 1 - j)) for i in (0, 1) for j in (0, 1)]
    blocks = keras.layers.Concatenate(name="hog_corners")(corners) / length**0.5
    return keras.layers.Flatten(name="hog")(keras.ops.minimum(blocks, CLIP))


def _crop(x: Any, rows: tuple[int, int], columns: tuple[int, int]) -> Any:
    return keras.layers.Cropping2D((rows, columns))(x)
