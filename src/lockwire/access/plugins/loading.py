"""Finds a plug-in by its name and makes it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lockwire.access.plugins.errors import PluginError
from lockwire.access.plugins.options import Options, Value
from lockwire.access.plugins.protocol import GROUP, Plugin

SHIPPED: Final = {
    "http": "lockwire.access.plugins.http:HttpPlugin",
    "sql": "lockwire.access.plugins.sql:SqlPlugin",
}
"""Those that come with Lockwire. Nobody else's entry point takes their names."""

_METHODS: Final = ("authenticate", "authorize", "psk_key", "close")


def load_plugin(name: str, values: Mapping[str, Value], folder: Path = Path()) -> Plugin:
    """Makes a plug-in with its options. folder: what file names among them are relative to.

    Raises PluginError: there is none of this name, it cannot be imported, or it does not take its options.
    """
    factory = _factory(name)
    options = Options(name, values, folder)
    try:
        plugin = factory(options)
    except PluginError:
        raise
    except Exception as error:
        # Somebody else's code, whatever it raises.
        raise PluginError(name, f"it could not be started: {type(error).__name__}: {error}") from error
    missing = [method for method in _METHODS if not callable(getattr(plugin, method, None))]
    if missing:
        raise PluginError(
            name, f"it has no method {missing[0]}; subclass lockwire.access.plugins.protocol.Plugin"
        )
    options.finish()
    made: Plugin = plugin
    return made


def installed() -> list[str]:
    """The names of the plug-ins that can be loaded."""
    return sorted({*SHIPPED, *(found.name for found in importlib.metadata.entry_points(group=GROUP))})


def _factory(name: str) -> type[Plugin]:
    entry = _entry_point(name)
    try:
        factory: type[Plugin] = entry.load()
    except ImportError as error:
        remedy = "; install it with: pip install 'lockwire[sql]'" if name == "sql" else ""
        raise PluginError(name, f"{entry.value} cannot be imported: {error}{remedy}") from error
    except Exception as error:
        raise PluginError(name, f"{entry.value} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(factory):
        raise PluginError(name, f"{entry.value} is no class")
    return factory


def _entry_point(name: str) -> importlib.metadata.EntryPoint:
    if name in SHIPPED:
        return importlib.metadata.EntryPoint(name, SHIPPED[name], GROUP)
    found = list(importlib.metadata.entry_points(group=GROUP, name=name))
    if not found:
        raise PluginError(name, f"it is not installed here; there are: {', '.join(installed())}")
    places = sorted({entry.value for entry in found})
    if len(places) > 1:
        raise PluginError(name, f"several packages register it: {', '.join(places)}; leave one installed")
    return found[0]
