"""Lockwire: MQTT over TLS made practical.

The hot modules are compiled where a C compiler was at hand. `LOCKWIRE_PURE=1` in the environment selects
their interpreted source instead, from the same files.
"""

from __future__ import annotations

import os
import sys

from lockwire.version import VERSION

__version__ = VERSION
__all__ = ["__version__", "is_compiled"]


def _select_source() -> None:
    """Makes every later import below this package take the .py file, even where a .so lies beside it."""
    from importlib.machinery import SOURCE_SUFFIXES, FileFinder, PathFinder, SourceFileLoader

    root = os.path.dirname(os.path.abspath(__file__))

    def hook(path: str) -> FileFinder:
        absolute = os.path.abspath(path)
        if absolute != root and not absolute.startswith(root + os.sep):
            raise ImportError("not below lockwire")
        return FileFinder(path, (SourceFileLoader, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.pop(root, None)
    PathFinder.invalidate_caches()


def is_compiled() -> bool:
    """Whether the hot modules run as compiled code in this process."""
    from lockwire.mqtt import decoder

    return not str(decoder.__file__).endswith(".py")


if os.environ.get("LOCKWIRE_PURE") == "1":
    _select_source()
