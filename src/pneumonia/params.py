"""params.yaml as frozen models: an unknown key or a bad value is an error that names the key."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

from pneumonia.allowed import Interval, Label, Section, Share, Window, describe_allowed, unwrap
from pneumonia.errors import InputError


class DataParams(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    classes: Annotated[dict[str, Label], Field(min_length=2)]
    image_size: Annotated[int, Field(ge=16, le=512)]
    keep_aspect: bool
    ct_window: Window | None
    frames: Literal["first", "middle", "all"]
    min_size: Annotated[int, Field(ge=1, le=4096)]
    max_pixels: Annotated[int, Field(ge=1, le=2**26)]
    on_bad_image: Literal["skip", "fail"]
    max_skipped_share: Annotated[float, Field(ge=0, le=1)]

    @model_validator(mode="after")
    def check_window(self) -> "DataParams":
        if self.ct_window and not self.ct_window[1] > 0:
            raise ValueError("has a ct_window without a width above 0")
        return self


class SplitParams(Section):
    group_pattern: str
    group_by: Literal["patient", "name"]
    strategy: Literal["stratified", "hashed"]
    near_duplicates: bool
    near_distance: Annotated[int, Field(ge=0, le=16)]
    keep_published: bool
    repair_published: bool
    folds: Annotated[int, Field(ge=0, le=20)]
    fold: Annotated[int, Field(ge=0, le=19)]
    val_share: Share
    test_share: Share

    @model_validator(mode="after")
    def check_folds(self) -> "SplitParams":
        if self.folds == 1:
            raise ValueError("has folds: 1, but folds must be 0, or 2 to 20")
        if self.fold >= max(self.folds, 1):
            last = max(self.folds - 1, 0)
            raise ValueError(
                f"has fold: {self.fold}, but with folds: {self.folds} it is 0 to {last}"
            )
        return self


class AugmentParams(Section):
    copies: Annotated[int, Field(ge=1, le=64)]
    min_images: Annotated[int, Field(ge=0, le=1_000_000)]
    horizontal_flip: bool
    shear_range: Annotated[float, Field(ge=0, le=1)]
    zoom_range: Annotated[float, Field(ge=0, le=0.9)]
    translation_range: Annotated[float, Field(ge=0, le=0.5)]
    aspect_range: Annotated[float, Field(ge=0, le=1)]
    rotation_range: Annotated[float, Field(ge=0, le=180)]
    brightness_range: Annotated[float, Field(ge=0, le=1)]
    contrast_range: Annotated[float, Field(ge=0, le=0.9)]
    gamma_range: Annotated[float, Field(ge=0, le=3)]
    invert_share: Annotated[float, Field(ge=0, le=1)]
    operations: Annotated[int, Field(ge=0, le=4)]


class ModelParams(Section):
    backbone: Literal["cnn", "efficientnetv2b0", "densenet121", "mobilenetv3small"]
    weights: Annotated[str, Field(min_length=1)]
    normalisation: Literal["none", "image", "local", "both"]
    gradients: bool
    members: Annotated[int, Field(ge=1, le=16)]
    width: Annotated[int, Field(ge=4, le=256)]
    depth: Annotated[int, Field(ge=1, le=6)]
    dropout: Annotated[float, Field(ge=0, le=0.9)]
    learning_rate: Annotated[float, Field(ge=1e-6, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]

    @model_validator(mode="after")
    def check_members(self) -> "ModelParams":
        if self.backbone != "cnn" and self.members != 1:
            raise ValueError(
                f"has members: {self.members}, but the backbone {self.backbone} allows only 1"
            )
        return self

    @property
    def start(self) -> Path | None:
        """The file of weights to start from, if any."""
        return None if self.weights in ("none", "imagenet") else Path(self.weights)

    @classmethod
    def allows(cls, name: str, value: object) -> bool:
        """Whether a single key may have the value."""
        try:
            cls.model_validate({name: value})
        except ValidationError as error:
            return all(problem["loc"] != (name,) for problem in error.errors())
        return True


class TuneParams(Section):
    enabled: bool
    strategy: Literal["random", "bayesian", "hyperband", "grid"]
    max_trials: Annotated[int, Field(ge=1, le=1000)] | None
    epochs: Annotated[int, Field(ge=1, le=1000)]
    objective: Literal["auc", "loss", "shifted_auc"]
    pruning: Literal["none", "median"]
    max_minutes: Annotated[float, Field(ge=0.01, le=100_000)] | None
    workers: Annotated[int, Field(ge=0, le=256)]
    listen: Annotated[str, Field(pattern=r"^[^:\s]+:\d+$")] | None
    space: dict[str, Annotated[list[int | float | str], Field(min_length=1)] | Interval]

    @model_validator(mode="after")
    def check_space(self) -> "TuneParams":
        searched = [
            name for name in ModelParams.model_fields if name != "members"
        ]  # a trial has one
        if unknown := set(self.space) - set(searched):
            known = ", ".join(searched)
            raise ValueError(f"has the unknown key space.{min(unknown)}; allowed: {known}")
        for name, values in self.space.items():
            field = ModelParams.model_fields[name]
            if isinstance(values, Interval) and field.annotation is not float:
                raise ValueError(f"has min and max in space.{name}, but it must be a list")
            tried = [values.min, values.max] if isinstance(values, Interval) else values
            if refused := [value for value in tried if not ModelParams.allows(name, value)]:
                allowed = describe_allowed(field.annotation, field.metadata)
                raise ValueError(f"has {refused[0]!r} in space.{name}, but it must be {allowed}")
        return self

    def list_choices(self, name: str) -> list[int | float | str]:
        """The values that the search may choose from, besides that of `model`."""
        values = self.space.get(name, [])
        return [] if isinstance(values, Interval) else values

    @model_validator(mode="after")
    def check_port(self) -> "TuneParams":
        if self.listen and int(self.listen.rpartition(":")[2]) >= 2**16:
            raise ValueError(f"has listen: {self.listen}, but a port is below {2**16}")
        return self


class TrainParams(Section):
    epochs: Annotated[int, Field(ge=1, le=1000)]
    epoch_images: Annotated[int, Field(ge=1, le=1_000_000)]
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    cross_fit: bool
    class_balance: bool
    label_smoothing: Annotated[float, Field(ge=0, le=0.5)]


class EvaluateParams(Section):
    threshold_rule: Literal["middle", "youden", "sensitivity", "specificity", "cost"]
    target_sensitivity: Annotated[float, Field(ge=0.5, le=1)]
    target_specificity: Annotated[float, Field(ge=0.5, le=1)]
    false_negative_cost: Annotated[float, Field(ge=0.01, le=1000)]
    calibration: Literal["temperature", "platt", "isotonic", "none"]
    fit_on: Literal["clean", "shifted"]
    bootstrap_draws: Annotated[int, Field(ge=100, le=100_000)]
    confidence: Annotated[float, Field(ge=0.5, le=0.999)]
    prevalences: list[Annotated[float, Field(ge=0.0001, le=0.9999)]]
    subgroups: Literal["auto"] | list[str]
    subgroup_patterns: dict[str, str]
    log_images: bool

    @model_validator(mode="after")
    def check_patterns(self) -> "EvaluateParams":
        for name, pattern in self.subgroup_patterns.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"has subgroup_patterns.{name} {pattern!r}, no regular expression "
                    f"({error}): mend it"
                ) from None
        return self


class TrackingParams(Section):
    experiment: Annotated[str, Field(min_length=1)]
    log_model: bool


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]
    data: DataParams
    split: SplitParams
    augment: AugmentParams
    model: ModelParams
    tune: TuneParams
    train: TrainParams
    evaluate: EvaluateParams
    tracking: TrackingParams

    @model_validator(mode="after")
    def check_backbones(self) -> "Params":
        backbones = {self.model.backbone, *self.tune.list_choices("backbone")}
        if backbones != {"cnn"} and self.model.members != 1:
            raise ValueError(
                f"tune.space.backbone names {max(backbones - {'cnn'})} (one member), but "
                f"model.members is {self.model.members}: set it to 1"
            )
        if self.model.weights == "imagenet" and backbones == {"cnn"}:
            raise ValueError("model.weights is imagenet, but the backbone cnn has none: set none")
        return self


def load_params(path: Path) -> Params:
    """Read params.yaml.

    Raises InputError with one sentence: the file, `section.key`, the value, what is allowed.
    """
    try:
        content = YAML(typ="safe").load(path.read_text())
    except FileNotFoundError:
        raise InputError(
            f"{path} does not exist: run in the project's folder or pass --params"
        ) from None
    except (YAMLError, UnicodeDecodeError) as error:
        problem = str(getattr(error, "problem", None) or "not UTF-8 text")
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}," if mark else ""
        raise InputError(f"{path}{line} is not valid YAML: {problem}; mend the file") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no sections: write `section: {{key: value}}` into it")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_explain(error.errors())}") from None


def _explain(errors: list[Any]) -> str:
    """The most telling of pydantic's errors as one sentence."""
    order = ("extra_forbidden", "value_error", "missing")
    error = min(errors, key=lambda e: order.index(e["type"]) if e["type"] in order else 1.5)
    location = [str(part) for part in error["loc"] if str(part).replace("_", "").isalnum()]
    key = ".".join(part for part in location if part != Interval.__name__)
    if "[key]" in error["loc"]:
        return f"a key of {key.rpartition('.')[0]} is {error['input']!r}: write it in quotes"
    if error["type"] == "extra_forbidden":
        return f"unknown key {key} (value {error['input']!r}); allowed: {_name_fields(location)}"
    if error["type"] == "missing":
        return f"the key {key} is missing; add it"
    if error["type"] == "value_error":
        return f"{key} {error['ctx']['error']}".lstrip()
    allowed = describe_allowed(*_find_type(location)) or error["msg"]
    return f"{key} is {error['input']!r}, but it must be {allowed}"


def _name_fields(location: list[str]) -> str:
    model: Any = Params
    for part in location[:-1]:
        field = model.model_fields.get(part)
        model = field.annotation if field else Interval
        if not hasattr(model, "model_fields"):
            model = Interval
    return ", ".join(model.model_fields)


def _find_type(location: list[str]) -> tuple[Any, list[Any]]:
    """The type at a location and its constraints; of a dictionary, those of its values."""
    kind, metadata = Params, []
    for part in location:
        fields = getattr(kind, "model_fields", None)
        if fields:
            kind, metadata = fields[part].annotation, list(fields[part].metadata)
        elif get_origin(kind) is dict:
            kind, metadata = unwrap(get_args(kind)[1])
        elif get_origin(kind) is list and part.isdigit():
            kind, metadata = unwrap(get_args(kind)[0])
    return kind, metadata
