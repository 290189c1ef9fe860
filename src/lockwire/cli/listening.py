"""The lines that say where a broker listens: printed once every one of them is true."""

from __future__ import annotations

import sys

from lockwire.config.settings import CLEAR_SECRETS


def print_listeners(status: dict[str, object]) -> None:
    """Prints one line a listener of a status, and flushes: whoever reads them may connect."""
    for listener in listeners_of(status):
        print(f"Listening on {listener['endpoint']}{flags_of(listener)}")
    sys.stdout.flush()


def flags_of(listener: dict[str, object]) -> str:
    """What must be said of a listener wherever it is shown: `  (not encrypted, open to anybody)`."""
    flags = []
    if not listener.get("encrypted"):
        flags.append("not encrypted")
    methods = listener.get("authentication")
    readable = listener.get("transport") in ("tcp", "ws")
    if readable and isinstance(methods, list) and CLEAR_SECRETS & set(methods):
        flags.append("passwords in the clear")
    if isinstance(methods, list) and "anonymous" in methods:
        flags.append("open to anybody")
    weaknesses = listener.get("tls_weaknesses")
    if isinstance(weaknesses, list) and weaknesses:
        flags.append(f"legacy TLS: {', '.join(map(str, weaknesses))}")
    problems = listener.get("tls_problems")
    if isinstance(problems, list) and problems:
        flags.append("see problems")
    return f"  ({', '.join(flags)})" if flags else ""


def listeners_of(status: dict[str, object]) -> list[dict[str, object]]:
    """The rows `listeners` of a status."""
    listeners = status.get("listeners")
    return listeners if isinstance(listeners, list) else []
