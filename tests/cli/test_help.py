"""What the command says of itself."""

from __future__ import annotations

import platform
import re
import ssl
from pathlib import Path

import pytest

from lockwire.version import VERSION
from tests.cli.lockwire import lockwire, succeeded

COMMANDS = [
    (),
    ("up",),
    ("broker",),
    ("cert",),
    ("cert", "check"),
    ("cert", "convert"),
    ("cert", "inspect"),
    ("device",),
    ("device", "add"),
    ("status",),
    ("reload",),
    ("user",),
    ("user", "passwd"),
]
FILES_ONLY = {("cert", "inspect"), ("cert", "convert"), ("cert", "check"), ("cert", "chain")}
"""Commands on files and servers that have nothing to do with the data folder."""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_has_an_example_and_the_data_option(tmp_path: Path, command: tuple[str, ...]) -> None:
    printed = succeeded(*command, "--help", cwd=tmp_path)
    assert re.search(rf"Example: lockwire {' '.join(command)}", printed)
    assert ("--data" in printed) != (command in FILES_ONLY)
    assert ("LOCKWIRE_DATA" in printed) != (command in FILES_ONLY)


def test_every_command_is_in_the_list_above(tmp_path: Path) -> None:
    for group in ((), ("cert",), ("device",), ("user",)):
        printed = succeeded(*group, "--help", cwd=tmp_path).partition("Commands")[2]
        for name in re.findall(r"^│ (\w+)  ", printed, re.MULTILINE):
            assert (*group, name) in COMMANDS


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
