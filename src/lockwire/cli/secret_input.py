"""Passwords and keys that a user gives a command: from a file or the terminal, never from its arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import typer

from lockwire.cli.failures import CommandError

MAXIMUM: Final = 65_535
"""Bytes of a password: what CONNECT can carry (MQTT 5 section 1.5.6)."""


def read_secret(file: Path, what: str) -> str:
    """The one line of a file, or of standard input where it is `-`. Raises CommandError, OSError."""
    data = sys.stdin.buffer.read(MAXIMUM + 2) if str(file) == "-" else file.read_bytes()
    name = "standard input" if str(file) == "-" else str(file)
    lines = data.splitlines()
    if len(lines) != 1 or not lines[0]:
        problem = "is empty" if not data.strip() else "has more than one line"
        raise CommandError(f"{name} {problem}", f"Write {what} on one line, and nothing else")
    if len(lines[0]) > MAXIMUM:
        raise CommandError(f"{name} is too long for {what}", f"{MAXIMUM} bytes are the most")
    try:
        return lines[0].decode()
    except UnicodeDecodeError:
        raise CommandError(f"{name} is not UTF-8", f"Write {what} in UTF-8") from None


def chosen_password(name: str, file: Path | None, prompt: bool) -> str | None:
    """The password that the user chooses for `name`, None where it is to be generated."""
    if file is not None and prompt:
        raise CommandError("--prompt and --password-file exclude each other")
    if file is not None:
        return read_secret(file, "the password")
    if not prompt:
        return None
    return str(typer.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True))
