"""Networks of keras.applications in place of the CNN, and weights from elsewhere."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras

from pneumonia.errors import InputError
from pneumonia.params import ModelParams

BUILDERS = {
    "efficientnetv2b0": keras.applications.EfficientNetV2B0,
    "densenet121": keras.applications.DenseNet121,
    "mobilenetv3small": keras.applications.MobileNetV3Small,
}
FILES = {
    "efficientnetv2b0": "efficientnetv2-b0_notop.h5",
    "densenet121": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "mobilenetv3small": "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
}


def build_backbone(x: Any, hyperparameters: ModelParams) -> Any:
    """Feature maps (N, h, w, C) of normalised images (N, H, W, 1 or 2), flat in the same graph.

    The first channel becomes red, green and blue in the scale that the network was made for.
    Raises InputError where weights of ImageNet are wanted and can neither be found nor fetched.
    """
    name = hyperparameters.backbone
    grey = keras.layers.Concatenate(name="rgb")([x[..., :1]] * 3)
    scale = (1.0, 0.0) if name == "densenet121" else (64.0, 128.0)  # the others rescale 0 to 255
    grey = keras.layers.Rescaling(*scale, name="rgb_scale")(grey)
    options: dict[str, Any] = {"include_top": False, "input_tensor": grey}
    weights = "imagenet" if hyperparameters.weights == "imagenet" else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MobileNet's weights are of another size than ours
            return BUILDERS[name](weights=weights, **options).output
    except ValueError as error:
        raise InputError(f"model.backbone {name}: {error}; mend data.image_size") from None
    except Exception as error:  # Keras raises a bare Exception where a download fails
        if weights is None or "URL fetch failure" not in str(error):
            raise
        raise InputError(
            f"model.weights is imagenet, but {FILES[name]} cannot be fetched: put that file of "
            "keras.applications into ~/.keras/models, or set model.weights to none"
        ) from None


def load_matching_weights(model: keras.Model, path: Path) -> None:
    """Start from another model's `.keras` or `.weights.h5` wherever layer and shape agree.

    Raises InputError where the file is missing, is no such file or agrees in nothing.
    """
    if not path.is_file():
        raise InputError(f"model.weights is {path}, but there is no such file: put it there")
    before = [variable.numpy() for variable in model.trainable_variables]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of each layer that does not agree
            model.load_weights(path, skip_mismatch=True)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"model.weights: {path} holds no weights of Keras ({error})") from None
    pairs = zip(before, model.trainable_variables, strict=True)
    if all((old == new.numpy()).all() for old, new in pairs):
        raise InputError(f"model.weights: no layer of {path} fits this model: change width or size")
