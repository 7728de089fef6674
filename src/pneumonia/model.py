"""The CNN family: one function from hyperparameters to a flat Keras model, and its file format.

Only built-in Keras layers are used, so that a saved model loads in Keras's safe mode anywhere.
"""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import keras

from pneumonia.backbones import build_backbone, load_matching_weights
from pneumonia.errors import InputError
from pneumonia.files import atomic
from pneumonia.params import ModelParams
from pneumonia.processes import keep_freed_memory

NOISE_VARIANCE = 25.0  # grey values squared: what varies less than this is flat, not structure
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_model(
    hyperparameters: ModelParams, image_size: int, seed: int, *, keep_aspect: bool = False
) -> keras.Model:
    """A network with its preprocessing inside, initialised from `seed`.

    Takes uint8 images (N, any height, any width), gives float32 P(pneumonia) (N, 1). Images are
    squeezed (with `keep_aspect`: padded) to a square of `image_size` and normalised, so that
    exposure, contrast and borders carry over little. The probability is the mean of the members'
    (Lakshminarayanan et al., arXiv 1612.01474), whose logits (N, members) are the output of the
    layer `logits`. Raises InputError where `weights` cannot be had.
    """
    keep_freed_memory()
    keras.utils.clear_session()  # layer names start anew, so that the saved bytes are the same
    keras.utils.set_random_seed(seed)
    images = keras.Input((None, None), dtype="uint8", name="images")
    x = keras.ops.expand_dims(keras.ops.cast(images, "float32"), -1)
    x = keras.layers.Resizing(
        image_size, image_size, pad_to_aspect_ratio=keep_aspect, antialias=True, name="resize"
    )(x)
    x = _normalise(x, hyperparameters.normalisation, window=image_size // 4 | 1)
    x = _build_members(x, hyperparameters)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    x = keras.layers.Dropout(hyperparameters.dropout, seed=seed, name="dropout")(x)
    probability = _average_members(x, hyperparameters.members)
    model = keras.Model(images, probability, name="pneumonia")
    if hyperparameters.start:
        load_matching_weights(model, hyperparameters.start)
    return model


def _build_members(x: Any, hyperparameters: ModelParams) -> Any:
    """Feature maps of all members, one after the other (N, h, w, members * C)."""
    if hyperparameters.backbone != "cnn":
        return build_backbone(x, hyperparameters)
    maps = [
        _build_cnn(x, hyperparameters, f"member{i + 1}_") for i in range(hyperparameters.members)
    ]
    return keras.layers.Concatenate(name="maps")(maps) if len(maps) > 1 else maps[0]


def _average_members(features: Any, members: int) -> Any:
    """P(pneumonia) (N, 1) from features (N, members * C): the mean of theirs."""
    each = keras.layers.Reshape((members, -1), name="by_member")(features)
    line = keras.layers.EinsumDense(
        "nmc,mc->nm", output_shape=members, bias_axes="m", dtype="float32", name="logits"
    )
    probabilities = keras.layers.Activation("sigmoid", name="probabilities")(line(each))
    return keras.ops.mean(probabilities, axis=-1, keepdims=True)


def _build_cnn(x: Any, hyperparameters: ModelParams, prefix: str) -> Any:
    """A residual CNN after He et al., arXiv 1512.03385: a stem, then blocks that halve it."""
    width = hyperparameters.width
    x = _convolve(x, width, f"{prefix}stem", kernel=5, stride=2)
    for block in range(hyperparameters.depth):
        name = f"{prefix}block{block + 1}"
        x = _convolve(x, width * 2**block, name)
        x = keras.layers.MaxPooling2D(padding="same", name=f"{name}_pool")(x)
        x = _add_residual(x, width * 2**block, f"{name}_residual")
    return x


def _normalise(x: Any, kind: str, window: int) -> Any:
    """Grey values (N, H, W, 1) as float32 (N, H, W, 1 or 2), about 0 with a spread of about 1.

    none: scaled alone; image: by the mean and deviation of the image; local: by those of a square
    about each pixel; both: image and local as two channels. Pyright does not know the arithmetic
    of Keras tensors.
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
        channels.append(_normalise_locally(x, window))
    return keras.layers.Concatenate(name="channels")(channels) if kind == "both" else channels[0]


def _normalise_locally(x: Any, window: int) -> Any:
    """Grey values less their mean, over their standard deviation, in a square about each pixel.

    Source: Jarrett et al., What is the best multi-stage architecture for object recognition?, ICCV
    2009 (local contrast normalisation), with an even window instead of a Gaussian one. `x` is a
    Keras tensor (N, H, W, 1), so is what it gives; pyright does not know their arithmetic.
    """

    def average(values: Any, name: str) -> Any:
        for side in ("rows", "columns"):
            values = keras.layers.AveragePooling1D(window, 1, "same", name=f"{name}_{side}")(values)
            values = keras.layers.Permute((2, 1), name=f"{name}_{side}_turned")(values)
        return values

    # with the columns as channels: over a single channel TensorFlow pools far slower
    x = keras.layers.Reshape(x.shape[1:3], name="local_plane")(x)
    mean = average(x, "local_mean")
    variance = average(keras.ops.square(x), "local_square") - keras.ops.square(mean)
    positive = keras.layers.ReLU(name="local_variance")(variance)
    return keras.ops.expand_dims((x - mean) / keras.ops.sqrt(positive + NOISE_VARIANCE), -1)


def _convolve(
    x: keras.KerasTensor, channels: int, name: str, kernel: int = 3, stride: int = 1
) -> keras.KerasTensor:
    x = keras.layers.Conv2D(
        channels, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)


def _add_residual(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    y = _convolve(x, channels, f"{name}_1")
    y = _convolve(y, channels, f"{name}_2")
    return keras.layers.Add(name=f"{name}_add")([x, y])


def save_model(model: keras.Model, path: Path) -> None:
    """Save to `.keras` with the same bytes for the same model: no date, fixed zip timestamps."""
    with atomic(path) as partial:
        model.save(partial)
        with zipfile.ZipFile(partial) as archive:
            members = {name: archive.read(name) for name in sorted(archive.namelist())}
        metadata = json.loads(members["metadata.json"])
        members["metadata.json"] = json.dumps(metadata | {"date_saved": None}).encode()
        members["config.json"] = _number_shared_objects(members["config.json"].decode()).encode()
        with zipfile.ZipFile(partial, "w") as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content)


def _number_shared_objects(config: str) -> str:
    """Keras names shared objects by memory address: count them instead."""
    numbers: dict[str, int] = {}
    return re.sub(
        r'(?<="shared_object_id": )\d+',
        lambda match: str(numbers.setdefault(match[0], len(numbers) + 1)),
        config,
    )


def load_model(path: Path) -> keras.Model:
    """Load a `.keras` file in safe mode, without its optimizer.

    Raises InputError where it is no such file, or holds code or layers that Keras does not know.
    """
    keep_freed_memory()
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{path} does not load in Keras's safe mode ({reason}): retrain it"
        ) from None
    assert isinstance(model, keras.Model)
    return model
