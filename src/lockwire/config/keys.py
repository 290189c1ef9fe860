"""The keys that `lockwire.toml` knows, by their paths."""

from __future__ import annotations

import difflib
from functools import cache
from typing import cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lockwire.config.checks import KeyPath
from lockwire.config.limits import Section
from lockwire.config.settings import ListenerSettings, Settings

SECTIONS = tuple(name for name in Settings.model_fields if name != "listeners")


def section_model(name: str) -> type[Section]:
    """The model of a section, `[limits]` for example."""
    return cast("type[Section]", Settings.model_fields[name].annotation)


def tables() -> dict[tuple[str, ...], type[Section]]:
    """The model of every table, by its path: `("listener", "tls")` for `[listener.tls]`."""
    found: dict[tuple[str, ...], type[Section]] = {("listener",): ListenerSettings}
    for name, field in ListenerSettings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            found["listener", name] = field.annotation
    return found | {(name,): section_model(name) for name in SECTIONS}


def field_at(key: KeyPath) -> FieldInfo:
    """The field of a setting: of `port` for `("listener", 0, "port")`."""
    first, *rest = _names(key)
    if first != "listener":
        return _walk(Settings, [first, *rest])
    return _walk(ListenerSettings, rest)


def table_name(key: KeyPath) -> str:
    """A table as its header is written: `[[listener]]`, `[listener.tls]`."""
    names = ".".join(_names(key))
    return f"[[{names}]]" if names == "listener" else f"[{names}]"


def nearest_key(key: KeyPath) -> str:
    """The known key that an unknown one is most likely meant to be, or "".

    The same name in another table comes first, then a similar one in the same table.
    """
    *table, name = _names(key)
    below = [path for path in _known() if path[-1] == name]
    below.sort(key=lambda path: (path[: len(table)] != tuple(table), len(path)))
    if below:
        return ".".join(below[0])
    beside = [path[-1] for path in _known() if path[:-1] == tuple(table)]
    similar = difflib.get_close_matches(name, beside, n=1)
    return similar[0] if similar else ""


@cache
def _known() -> tuple[tuple[str, ...], ...]:
    """The paths of all tables and settings."""
    paths = [(*table, name) for table, model in tables().items() for name in model.model_fields]
    return tuple(dict.fromkeys([*tables(), *paths]))


def _names(key: KeyPath) -> list[str]:
    return [part for part in key if isinstance(part, str)]


def _walk(model: type[BaseModel], names: list[str]) -> FieldInfo:
    field = model.model_fields[names[0]]
    for name in names[1:]:
        field = cast("type[BaseModel]", field.annotation).model_fields[name]
    return field
