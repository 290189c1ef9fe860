"""Configuration files for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lockwire.config import Settings, SettingsError, load
from lockwire.config.checks import key_name

TCP = """
[[listener]]
transport = "tcp"
authentication = ["password"]
"""

Write = Callable[[str], Path]


def problems_of(path: Path, base: Settings | None = None) -> list[tuple[int, str, str]]:
    """Line, key and whole message of each problem of a file."""
    with pytest.raises(SettingsError) as refusal:
        load(path, base)
    assert refusal.value.file == path
    return [(item.line, key_name(item.key), str(item)) for item in refusal.value.problems]
