"""Numbers with a unit, as `lockwire.toml` writes them: bytes ("64 KiB"), durations ("5 min"), file names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ValidationInfo

BYTE_UNITS = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
DURATION_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_NUMBER_AND_UNIT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]+)")


class Unit:
    """Marks a field's type with the unit that documentation and messages name."""

    def __init__(self, name: str, example: str) -> None:
        self.name = name
        self.example = example


def parse_bytes(value: object) -> object:
    """A number of bytes from text such as "64 KiB"; what is not text passes as it is.

    Raises ValueError where the text is not a whole number of bytes in a known unit.
    """
    if not isinstance(value, str):
        return value
    number, factor = _split(value, BYTE_UNITS)
    count = number * factor
    if count != int(count):
        raise ValueError(f"{value!r} is not a whole number of bytes")
    return int(count)


def parse_duration(value: object) -> object:
    """Seconds from text such as "10 s", "5 min" or "1 h"; what is not text passes as it is.

    Raises ValueError where the unit is unknown.
    """
    if not isinstance(value, str):
        return value
    number, factor = _split(value, DURATION_UNITS)
    return number * factor


def parse_path(value: object, info: ValidationInfo) -> object:
    """A path from text, relative to the folder of the configuration file where there is one."""
    if not isinstance(value, str):
        return value
    if not value or "\0" in value:
        raise ValueError("a file name cannot be empty")
    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    return folder / value if isinstance(folder, Path) else Path(value)


def parse_file_or_url(value: object, info: ValidationInfo) -> object:
    """A URL as it stands, or a file name as `parse_path` makes it; empty text stays empty."""
    if not isinstance(value, str) or not value or "://" in value:
        return value
    return str(parse_path(value, info))


def _split(text: str, units: Mapping[str, float]) -> tuple[float, float]:
    match = _NUMBER_AND_UNIT.fullmatch(text.strip())
    if match is None or match[2] not in units:
        raise ValueError(f"{text!r} is not a number and one of {', '.join(units)}")
    return float(match[1]), units[match[2]]


def format_bytes(count: int) -> str:
    """The shortest exact way to write a number of bytes."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % BYTE_UNITS[unit] == 0:
            return f"{count // BYTE_UNITS[unit]} {unit}"
    return f"{count} B"


def format_duration(seconds: float) -> str:
    """The shortest exact way to write a duration."""
    for unit in ("d", "h", "min"):
        if seconds and seconds % DURATION_UNITS[unit] == 0:
            return f"{int(seconds // DURATION_UNITS[unit])} {unit}"
    if seconds and seconds < 1:
        return f"{seconds * 1000:g} ms"
    return f"{int(seconds) if seconds == int(seconds) else seconds} s"


ByteCount = Annotated[int, BeforeValidator(parse_bytes), Unit("bytes", '"64 KiB"')]
Duration = Annotated[float, BeforeValidator(parse_duration), Unit("seconds", '"5 min"')]
FileOrUrl = Annotated[str, BeforeValidator(parse_file_or_url)]
FilePath = Annotated[Path, BeforeValidator(parse_path), Unit("file", '"server.pem"')]
