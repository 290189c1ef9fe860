"""What a setting may be, in words: the same words in messages and in the documentation."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lockwire.config.units import Unit, format_bytes, format_duration

_KINDS: dict[object, str] = {str: "text", int: "an integer", float: "a number", bool: "true or false"}


def expected_of(field: FieldInfo) -> str:
    """What may be written for a field: `an integer from 1 to 65535`, `"auto", "1.2" or "1.3"`."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "expected" in extra:
        return str(extra["expected"])
    annotation: Any = field.annotation
    metadata = list(field.metadata)
    if get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if hasattr(annotation, "__metadata__"):
        metadata.extend(annotation.__metadata__)
        annotation = annotation.__origin__
    unit = next((item for item in metadata if isinstance(item, Unit)), None)
    lowest = next((item.ge for item in metadata if isinstance(item, annotated_types.Ge)), None)
    highest = next((item.le for item in metadata if isinstance(item, annotated_types.Le)), None)
    span = ""
    if lowest is not None and highest is not None:
        span = f" from {_number(lowest, unit)} to {_number(highest, unit)}"
    if unit is not None:
        return _with_unit(unit) + span
    return _kind(annotation) + span


def default_of(field: FieldInfo) -> str:
    """A field's default in TOML notation, or in words where it depends on other fields; "" for none."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default" in extra:
        return str(extra["default"])
    if field.default_factory is not None or field.default is None:
        return ""
    unit = next((item for item in field.metadata if isinstance(item, Unit)), None)
    if unit is not None and isinstance(field.default, int | float):
        return f"`{_number(field.default, unit)}`"
    return f"`{shown(field.default)}`"


def shown(value: object) -> str:
    """A value of a TOML file in TOML notation, cut where it is long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        text = "[" + ", ".join(shown(item) for item in value) + "]"
    elif isinstance(value, str):
        text = '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:76] + " ..."


def _with_unit(unit: Unit) -> str:
    if unit.name == "file":
        return "a file name"
    return f"{unit.name} as a number or text like {unit.example},"


def _number(value: Any, unit: Unit | None) -> str:
    if unit is not None and unit.name == "bytes":
        return format_bytes(value)
    if unit is not None:
        return format_duration(value)
    return str(value)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        choices = [f'"{choice}"' for choice in get_args(annotation)]
        return choices[0] if len(choices) == 1 else ", ".join(choices[:-1]) + " or " + choices[-1]
    if get_origin(annotation) is dict:
        return "a table"
    if get_origin(annotation) is list:
        (item,) = get_args(annotation)
        return f"a list of {_kind(item)}" if item is not str else "a list of texts"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a table"
    return _KINDS[annotation]
