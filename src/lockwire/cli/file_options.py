"""What commands on files of certificates have in common: passwords, what is printed, what is written."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography.utils import CryptographyDeprecationWarning

from lockwire.cli.failures import BAD_INPUT, FAILED, CommandError
from lockwire.pki.errors import PkiError, UnreachableError
from lockwire.pki.files import write_private, write_public
from lockwire.pki.toolkit.content import AskPassword

_MAXIMUM_PASSWORD: Final = 1024  # bytes, as OpenSSL's

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Any file with certificates or keys; /dev/stdin for a pipe.")
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        help="The first line of this file opens what is encrypted. Without it, a terminal is asked.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print everything, as JSON.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


@contextlib.contextmanager
def bad_input() -> Iterator[None]:
    """Within it, a file that is not as it should be ends the command with exit status 2."""
    # cryptography's remarks to programmers, such as on a serial number of 0, come whenever a field is read.
    warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)
    try:
        yield
    except PkiError as error:
        raise CommandError(
            str(error), "", FAILED if isinstance(error, UnreachableError) else BAD_INPUT
        ) from error


def asking(password_file: Path | None) -> AskPassword:
    """Where passwords come from: the file, or whoever sits at the terminal, or nowhere."""

    def ask(purpose: str) -> bytes | None:
        if password_file is not None:
            return read_password(password_file)
        if not sys.stdin.isatty():
            return None
        return getpass.getpass(f"Password of {purpose}: ").encode() or None

    return ask


def read_password(file: Path) -> bytes:
    """The first line of a file, without its end. Raises CommandError."""
    try:
        with file.open("rb") as opened:
            first = opened.read(_MAXIMUM_PASSWORD + 2).partition(b"\n")[0].removesuffix(b"\r")
    except OSError as error:
        raise CommandError(
            f"{file} cannot be read: {error.strerror}", "It should hold the password."
        ) from error
    if not 0 < len(first) <= _MAXIMUM_PASSWORD:
        raise CommandError(f"{file}: the first line should be a password of 1 to {_MAXIMUM_PASSWORD} bytes")
    return first


def parse_time(text: str | None) -> datetime.datetime:
    """A time as ISO 8601, in UTC where it has no zone of its own; now where there is none."""
    if text is None:
        return datetime.datetime.now(datetime.UTC)
    try:
        given = datetime.datetime.fromisoformat(text)
        return given.replace(tzinfo=datetime.UTC) if given.tzinfo is None else given.astimezone(datetime.UTC)
    except (ValueError, OverflowError) as error:
        raise CommandError(
            f"--at {text}: not a time", "Write it as 2027-01-31 or 2027-01-31T12:00."
        ) from error


def print_json(answer: object) -> None:
    """An answer for programs."""
    print(json.dumps(answer, indent=2, ensure_ascii=False))


def check_free(path: Path, force: bool) -> None:
    """Raises CommandError where a file is there already and need not go."""
    if path.is_dir():
        raise CommandError(f"{path} is a folder", "Give a file's name.")
    if (path.exists() or path.is_symlink()) and not force:
        raise CommandError(f"{path} exists already", "Give another name, or --force to replace it.")
    if not path.absolute().parent.is_dir():
        raise CommandError(
            f"{path.absolute().parent} does not exist", "Make that folder, or give another one."
        )


def write(path: Path, data: bytes, private: bool) -> None:
    """Writes a file whole or not at all, for its owner only (0600) where it is private."""
    save: Callable[[Path, bytes], None] = write_private if private else write_public
    save(path, data)
