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
from pneumonia.preprocessing import (
    describe_histograms,
    normalise_greys,
    normalise_votes,
    vote_orientations,
)
from pneumonia.processes import keep_freed_memory

RIDGE = 0.3  # half of it times the squared weights is added to a mean loss in nats
HISTOGRAM_SHARE = 0.4  # of a member's logit; the rest is its network's
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_model(
    hyperparameters: ModelParams, image_size: int, seed: int, *, keep_aspect: bool = False
) -> keras.Model:
    """A network with its preprocessing inside, initialised from `seed`.

    Takes uint8 images (N, any height, any width), gives float32 P(pneumonia) (N, 1). Images are
    squeezed (with `keep_aspect`: padded) to a square of `image_size` and normalised, so that
    exposure, contrast and borders carry over little. The probability is the mean of the members'
    (Lakshminarayanan et al., arXiv 1612.01474), `probabilities` (N, M). A member is a network, its
    logit in `cnn_logits` (N, M), and with `gradients` a line through a histogram of oriented
    gradients as well, in `hog_logits`. Raises InputError where `weights` cannot be had.
    """
    keep_freed_memory()
    keras.utils.clear_session()  # layer names start anew, so that the saved bytes are the same
    keras.utils.set_random_seed(seed)
    images = keras.Input((None, None), dtype="uint8", name="images")
    x = keras.ops.expand_dims(keras.ops.cast(images, "float32"), -1)
    greys = keras.layers.Resizing(
        image_size, image_size, pad_to_aspect_ratio=keep_aspect, antialias=True, name="resize"
    )(x)
    x = _build_members(greys, hyperparameters)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    x = keras.layers.Dropout(hyperparameters.dropout, seed=seed, name="dropout")(x)
    logits = _read_features(x, hyperparameters.members)
    if hyperparameters.gradients:
        histograms = _read_histograms(vote_orientations(greys), hyperparameters.members)
        logits = (1 - HISTOGRAM_SHARE) * logits + HISTOGRAM_SHARE * histograms
    probabilities = keras.layers.Activation("sigmoid", name="probabilities")(logits)
    mean = keras.ops.mean(probabilities, axis=-1, keepdims=True)
    model = keras.Model(images, mean, name="pneumonia")
    if hyperparameters.start:
        load_matching_weights(model, hyperparameters.start)
    return model


def _build_members(greys: Any, hyperparameters: ModelParams) -> Any:
    """Feature maps of all members, one after the other (N, h, w, M * C).

    With `gradients` every third reads edges instead: members that err together help little. Half of
    the pixels a side tell edges as well, in less time (docs/model.md, "Edges at half size").
    """
    x = normalise_greys(greys, hyperparameters.normalisation)
    if hyperparameters.backbone != "cnn":
        return build_backbone(x, hyperparameters)
    maps = []
    for i in range(hyperparameters.members):
        name = f"member{i + 1}_"
        pools = hyperparameters.depth
        if hyperparameters.gradients and i % 3 == 2:
            half = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}half")(greys)
            edges = normalise_votes(vote_orientations(half, name), name)
            stem = _convolve(edges, hyperparameters.width, f"{name}stem")
            pools -= 1  # the image is halved already
        else:
            stem = _convolve(x, hyperparameters.width, f"{name}stem", kernel=5, stride=2)
        maps.append(_build_blocks(stem, hyperparameters, name, pools))
    return keras.layers.Concatenate(name="maps")(maps) if len(maps) > 1 else maps[0]


def _read_features(features: Any, members: int) -> Any:
    """Logits (N, M) from features (N, M * C), each member's from its own."""
    each = keras.layers.Reshape((members, -1), name="by_member")(features)
    return keras.layers.EinsumDense(
        "nmc,mc->nm", output_shape=members, bias_axes="m", dtype="float32", name="cnn_logits"
    )(each)


def _read_histograms(votes: Any, members: int) -> Any:
    """Logits (N, M) by ridge regression from where which edges are, one line for a member."""
    x = keras.layers.BatchNormalization(
        momentum=0.97, epsilon=1e-4, center=False, scale=False, name="hog_norm"
    )(describe_histograms(votes))
    ridge = keras.regularizers.L2(RIDGE / (4 * members))  # its share of the mean loss is 1 / 2M
    return keras.layers.Dense(members, kernel_regularizer=ridge, name="hog_logits")(x)


def _build_blocks(x: Any, hyperparameters: ModelParams, prefix: str, pools: int) -> Any:
    """The rest of a residual CNN (He et al., arXiv 1512.03385); the first `pools` blocks halve."""
    for block in range(hyperparameters.depth):
        width, name = hyperparameters.width * 2**block, f"{prefix}block{block + 1}"
        x = _convolve(x, width, name)
        if block < pools:
            x = keras.layers.MaxPooling2D(padding="same", name=f"{name}_pool")(x)
        x = _add_residual(x, width, f"{name}_residual")
    return x


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
