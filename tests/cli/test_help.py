"""What the command says of itself."""

from __future__ import annotations

import platform
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from lockwire.cli.root import app
from lockwire.version import VERSION
from tests.cli.lockwire import lockwire, succeeded
from tests.cli.quick import done

FILES_ONLY = {("cert", "inspect"), ("cert", "convert"), ("cert", "check"), ("cert", "chain")}
"""Commands on files and servers that have nothing to do with the data folder."""


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, as the words that call it."""
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


# Some versions of typer bring a click of their own: hence no type of click's.
COMMANDS = list(commands(typer.main.get_command(app)))


def test_there_are_commands() -> None:
    assert {(), ("up",), ("user",), ("user", "add")} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_has_an_example_and_the_data_option(tmp_path: Path, command: tuple[str, ...]) -> None:
    printed = done(*command, "--help", cwd=tmp_path)
    assert re.search(rf"Example: lockwire {' '.join(command)}", printed)
    assert ("--data" in printed) != (command in FILES_ONLY)
    assert ("LOCKWIRE_DATA" in printed) != (command in FILES_ONLY)


def test_version_names_everything_that_matters_in_a_report(tmp_path: Path) -> None:
    printed = succeeded("--version", cwd=tmp_path, LOCKWIRE_PURE="1")
    assert printed == (
        f"lockwire {VERSION} (interpreted), Python {platform.python_version()}, {ssl.OPENSSL_VERSION}\n"
    )


@pytest.mark.parametrize(
    "words", [("nonsense",), ("up", "--nonsense"), ("device", "add"), ("up", "superfluous")]
)
def test_a_mistyped_command_gives_status_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = lockwire(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr
    assert list(tmp_path.iterdir()) == []
