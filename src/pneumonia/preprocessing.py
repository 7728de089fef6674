"""What networks read instead of grey values: normalised ones, oriented gradients, their histograms.

Everything takes and gives float32 Keras tensors; pyright does not know their arithmetic.
"""

from typing import Any

import keras
import numpy as np

NOISE_VARIANCE = 25.0  # grey values squared: what varies less than this is flat, not structure
ORIENTATIONS = 9  # without regard to the edge's sign: inverted images are read alike
CELLS = 12  # across the image, of which histograms are made
FLAT = 0.1  # grey values: cells with weaker edges on average hold no structure
STRONGEST = 4.0  # times the average about a pixel, above which edges count alike
CLIP = 0.2  # of a block's unit length


def normalise_greys(x: Any, kind: str) -> Any:
    """Grey values (N, H, W, 1) as float32 (N, H, W, 1 or 2), about 0 with a spread of about 1.

    none: scaled alone; image: by the mean and deviation of the image; local: by those of a square
    about each pixel; both: image and local as two channels.
    """
    if kind == "none":
        return keras.layers.Rescaling(1 / 64, offset=-2, name="scale")(x)
    channels = []
    if kind in ("image", "both"):
        standardise = keras.layers.GroupNormalization(
            1, epsilon=NOISE_VARIANCE, center=False, scale=False, name="standardise"
        )
        channels.append(standardise(x))
    if kind in ("local", "both"):
        channels.append(_normalise_locally(x, window=x.shape[1] // 4 | 1))
    return keras.layers.Concatenate(name="channels")(channels) if kind == "both" else channels[0]


def _normalise_locally(x: Any, window: int) -> Any:
    """Grey values less their mean, over their standard deviation, in a square about each pixel.

    Source: Jarrett et al., What is the best multi-stage architecture for object recognition?, ICCV
    2009 (local contrast normalisation), with an even window instead of a Gaussian one.
    """
    x = keras.ops.squeeze(x, -1)
    mean = _average_around(x, window, "local_mean")
    variance = _average_around(keras.ops.square(x), window, "local_square") - keras.ops.square(mean)
    positive = keras.layers.ReLU(name="local_variance")(variance)
    return keras.ops.expand_dims((x - mean) / keras.ops.sqrt(positive + NOISE_VARIANCE), -1)


def _average_around(plane: Any, window: int, name: str) -> Any:
    """The mean in a square about each pixel, of the part of it that is in the image (N, H, W)."""
    # with the columns as channels: over a single channel TensorFlow pools far slower
    for side in ("rows", "columns"):
        plane = keras.layers.AveragePooling1D(window, 1, "same", name=f"{name}_{side}")(plane)
        plane = keras.layers.Permute((2, 1), name=f"{name}_{side}_turned")(plane)
    return plane


def vote_orientations(greys: Any, prefix: str = "") -> Any:
    """Strength of edges by orientation (N, H/2, W/2, 9), of grey values (N, H, W, 1).

    A gradient votes for the orientations within 20 degrees of its own, for its own in full.
    """
    x = keras.ops.pad(greys, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="symmetric")
    across = _crop(x, (1, 1), (2, 0)) - _crop(x, (1, 1), (0, 2))
    down = _crop(x, (2, 0), (1, 1)) - _crop(x, (0, 2), (1, 1))
    across_squared, down_squared = across * across, down * down
    strength = keras.ops.sqrt(across_squared + down_squared)
    # the cosine and sine of twice the angle, which the sign of an edge does not change
    some = keras.ops.maximum(strength, 1e-3)
    cosine, sine = (across_squared - down_squared) / some, 2 * across * down / some
    angles = 2 * np.pi / ORIENTATIONS * np.arange(ORIENTATIONS)
    least = np.cos(angles[1])
    towards = np.stack([np.cos(angles), np.sin(angles), np.full(ORIENTATIONS, -least)])
    components = keras.layers.Concatenate(name=f"{prefix}gradient")([cosine, sine, strength])
    closeness = components @ (towards / (1 - least)).astype("float32")
    votes = keras.layers.ReLU(name=f"{prefix}votes")(closeness)
    return keras.layers.AveragePooling2D(2, padding="same", name=f"{prefix}orientations")(votes)


def normalise_votes(votes: Any, prefix: str) -> Any:
    """Votes (N, H, W, 9) over the root of their mean square in a square about each pixel."""
    energy = keras.ops.sum(votes * votes, axis=-1)
    near = _average_around(energy, votes.shape[1] // 4 | 1, f"{prefix}energy")
    length = keras.ops.sqrt(near + (5 * FLAT) ** 2)
    return keras.ops.minimum(votes / keras.ops.expand_dims(length, -1), STRONGEST)


def describe_histograms(votes: Any) -> Any:
    """Descriptors (N, D) of votes (N, H, W, 9): which edges are where.

    Source: Dalal and Triggs, Histograms of oriented gradients for human detection, CVPR 2005:
    cells are joined in overlapping blocks of two by two, each of unit length and clipped.
    """
    size = max(1, votes.shape[1] // CELLS)
    cells = keras.layers.AveragePooling2D(size, padding="same", name="hog_cells")(votes)
    energy = keras.ops.sum(cells * cells, axis=-1, keepdims=True)
    length = keras.layers.AveragePooling2D(2, 1, name="hog_blocks")(energy) * 4 + FLAT**2
    corners = [_crop(cells, (i, 1 - i), (j, 1 - j)) for i in (0, 1) for j in (0, 1)]
    blocks = keras.layers.Concatenate(name="hog_corners")(corners) / keras.ops.sqrt(length)
    return keras.layers.Flatten(name="hog")(keras.ops.minimum(blocks, CLIP))


def _crop(x: Any, rows: tuple[int, int], columns: tuple[int, int]) -> Any:
    return keras.layers.Cropping2D((rows, columns))(x)
