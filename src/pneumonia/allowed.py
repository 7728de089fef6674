"""What values in params.yaml may be: their types, and in words what a type allows."""

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

Label = Annotated[int, Field(ge=0, le=1)]
Window = Annotated[list[float], Field(min_length=2, max_length=2)]
Share = Annotated[float, Field(ge=0.01, le=0.5)]


class Section(BaseModel):
    """A part of params.yaml: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Interval(Section):
    min: float
    max: float
    log: bool = False

    @model_validator(mode="after")
    def check_order(self) -> "Interval":
        if not self.min < self.max or (self.log and self.min <= 0):
            raise ValueError("must have min below max, and min above 0 where log is true")
        return self


def unwrap(kind: Any) -> tuple[Any, list[Any]]:
    """An Annotated type as type and constraints."""
    if get_origin(kind) is not Annotated:
        return kind, []
    inner, *extras = get_args(kind)
    return inner, [item for extra in extras for item in getattr(extra, "metadata", [extra])]


def describe_allowed(kind: Any, metadata: list[Any]) -> str:
    """What a type with constraints accepts, in words: type, choices and range."""
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    if type(None) in options:
        inner = next(option for option in options if option is not type(None))
        return describe_allowed(*unwrap(inner)) + " or null"
    if Interval in options:
        return "a list of numbers, or min, max and log"
    if options and all(get_origin(option) for option in options):
        return " or ".join(describe_allowed(option, []) for option in options)
    if kind == get_args(Window)[0]:
        return "a list [centre, width] of two numbers"
    if get_origin(kind) is list:
        return "a list, each " + describe_allowed(*unwrap(get_args(kind)[0]))
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        words = {int: "a whole number", float: "a number"}[kind]
        return words + _describe_range(metadata)
    if kind is str:
        patterns = [item.pattern for item in metadata if getattr(item, "pattern", None)]
        return f"text matching {patterns[0]}" if patterns else "text"
    return "keys with values, as in the commented params.yaml"


def _describe_range(metadata: list[Any]) -> str:
    bounds = {name: getattr(m, name) for m in metadata for name in ("ge", "le") if hasattr(m, name)}
    if len(bounds) < 2:
        return ""
    return f" from {bounds['ge']} to {bounds['le']}"
