"""The lines that say where a broker listens: printed once every one of them is true."""

from __future__ import annotations

import sys


def print_listeners(status: dict[str, object]) -> None:
    """Prints one line a listener of a status, and flushes: whoever reads them may connect."""
    for listener in listeners_of(status):
        warning = "" if listener.get("encrypted") else "  (not encrypted)"
        print(f"Listening on {listener['endpoint']}{warning}")
    sys.stdout.flush()


def listeners_of(status: dict[str, object]) -> list[dict[str, object]]:
    """The rows `listeners` of a status."""
    listeners = status.get("listeners")
    return listeners if isinstance(listeners, list) else []
