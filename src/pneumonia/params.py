"""params.yaml as frozen models: an unknown key or a bad value is an error that names the key."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

from pneumonia.errors import InputError

Label = Annotated[int, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0.01, le=0.5)]


class Section(BaseModel):
    """A part of params.yaml: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataParams(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    classes: Annotated[dict[str, Label], Field(min_length=2)]
    image_size: Annotated[int, Field(ge=16, le=512)]
    keep_aspect: bool


class SplitParams(Section):
    group_pattern: str
    keep_published: bool
    val_share: Share
    test_share: Share


class AugmentParams(Section):
    copies: Annotated[int, Field(ge=1, le=64)]
    horizontal_flip: bool
    shear_range: Annotated[float, Field(ge=0, le=1)]
    zoom_range: Annotated[float, Field(ge=0, le=0.9)]
    translation_range: Annotated[float, Field(ge=0, le=0.5)]
    rotation_range: Annotated[float, Field(ge=0, le=180)]
    brightness_range: Annotated[float, Field(ge=0, le=1)]
    contrast_range: Annotated[float, Field(ge=0, le=0.9)]
    gamma_range: Annotated[float, Field(ge=0, le=3)]


class ModelParams(Section):
    width: Annotated[int, Field(ge=4, le=256)]
    depth: Annotated[int, Field(ge=1, le=6)]
    dropout: Annotated[float, Field(ge=0, le=0.9)]
    learning_rate: Annotated[float, Field(ge=1e-6, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]


class Interval(Section):
    min: float
    max: float
    log: bool = False

    @model_validator(mode="after")
    def check_order(self) -> "Interval":
        if not self.min < self.max or (self.log and self.min <= 0):
            raise ValueError("min below max, and above 0 where log is true")
        return self


class TuneParams(Section):
    enabled: bool
    strategy: Literal["random", "bayesian", "hyperband", "grid"]
    max_trials: Annotated[int, Field(ge=1, le=1000)] | None
    epochs: Annotated[int, Field(ge=1, le=1000)]
    objective: Literal["auc", "loss"]
    space: dict[str, Annotated[list[int | float], Field(min_length=1)] | Interval]

    @model_validator(mode="after")
    def check_space(self) -> "TuneParams":
        if unknown := set(self.space) - set(ModelParams.model_fields):
            raise ValueError(f"only keys of the section model, not {sorted(unknown)}")
        return self


class TrainParams(Section):
    epochs: Annotated[int, Field(ge=1, le=1000)]
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    patience: Annotated[int, Field(ge=1, le=1000)]
    class_balance: bool


class EvaluateParams(Section):
    threshold_rule: Literal["youden", "sensitivity", "specificity"]
    threshold_target: Annotated[float, Field(ge=0.5, le=1)]
    bootstrap_draws: Annotated[int, Field(ge=100, le=100_000)]
    confidence: Annotated[float, Field(ge=0.5, le=0.999)]


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
        raise InputError(f"{path} is not valid YAML: {problem}; mend the file") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no sections: write `section: {{key: value}}` into it")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_explain(error.errors()[0])}") from None


def _explain(error: Any) -> str:
    location = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(_fields_at(location[:-1]))
        return (
            f"unknown key {'.'.join(location)} (value {error['input']!r}); allowed here: {allowed}"
        )
    if error["type"] == "missing":
        return f"the key {'.'.join(location)} is missing; add it"
    key, annotation = _annotation_at(location)
    if error["type"] == "value_error":
        allowed = str(error["ctx"]["error"])
    else:
        allowed = describe_allowed(annotation) if annotation else error["msg"]
    return f"{key} is {error['input']!r}, but it must be {allowed}"


def _fields_at(location: list[str]) -> list[str]:
    model: Any = Params
    for part in location:
        fields = getattr(model, "model_fields", {})
        model = fields[part].annotation if part in fields else Interval
    return list(model.model_fields)


def _annotation_at(location: list[str]) -> tuple[str, Any]:
    """The dotted key that a validation error is about, and its field."""
    field: Any = None
    model: Any = Params
    known: list[str] = []
    for part in location:
        fields = getattr(model, "model_fields", {})
        if part not in fields:
            break
        known, field = [*known, part], fields[part]
        model = field.annotation
    return ".".join(known), field


def describe_allowed(field: Any) -> str:
    """What a field accepts, in words: type, choices and range."""
    kind, metadata = field.annotation, list(field.metadata)
    optional = type(None) in get_args(kind)
    if optional:
        inner = next(option for option in get_args(kind) if option is not type(None))
        kind, metadata = get_args(inner)[0], [m for f in inner.__metadata__ for m in f.metadata]
    if get_origin(kind) is Literal:
        words = "one of " + ", ".join(map(str, get_args(kind)))
    elif kind is bool:
        words = "true or false"
    elif kind in (int, float):
        words = {int: "a whole number", float: "a number"}[kind] + _describe_range(metadata)
    elif kind is str:
        patterns = [m.pattern for m in metadata if getattr(m, "pattern", None)]
        words = f"text matching {patterns[0]}" if patterns else "text"
    else:
        words = "keys with values as in the commented default"
    return words + (" or null" if optional else "")


def _describe_range(metadata: list[Any]) -> str:
    bounds = {name: getattr(m, name) for m in metadata for name in ("ge", "le") if hasattr(m, name)}
    if len(bounds) == 2:
        return (
            f" from {bounds['ge']:g} to {bounds['le']:g}"
            if bounds["le"] < 1e6
            else (f" from {bounds['ge']} to {bounds['le']}")
        )
    return ""
