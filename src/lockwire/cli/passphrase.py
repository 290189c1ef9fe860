"""Passphrases of the authority's keys: from a file, the environment or the terminal, never from arguments."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer

from lockwire.cli.failures import CommandError
from lockwire.cli.secret_input import read_secret
from lockwire.pki.errors import MalformedFileError
from lockwire.pki.keys import key_pem
from lockwire.pki.toolkit.content import private_key_of, read_content

ENVIRONMENT_VARIABLE: Final = "LOCKWIRE_PASSPHRASE"
LEAST: Final = 8

PassphraseFileOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        "--password-file",
        metavar="FILE",
        show_default=False,
        help=f"The passphrase of a key, alone in a file; - for standard input. Without it: "
        f"{ENVIRONMENT_VARIABLE}, else the terminal is asked.",
    ),
]
RootKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--root-key",
        metavar="FILE",
        show_default=False,
        help="The root's private key, where it is kept elsewhere.",
    ),
]
EncryptRootOption = Annotated[
    bool, typer.Option("--encrypt-root", help="Keep the root's key encrypted with a passphrase.")
]
RootKeyOutOption = Annotated[
    Path | None,
    typer.Option(
        "--root-key-out",
        metavar="DIR",
        show_default=False,
        help="Write the root's key into this folder, such as a USB stick's, and keep none here.",
    ),
]


def known_passphrase(file: Path | None, purpose: str) -> str | None:
    """A passphrase that opens a key; None where there is nobody to ask. Raises CommandError, OSError."""
    if file is not None:
        return read_secret(file, "the passphrase")
    given = os.environ.get(ENVIRONMENT_VARIABLE)
    if given:
        return given
    if not sys.stdin.isatty():
        return None
    return str(typer.prompt(f"Passphrase of {purpose}", hide_input=True, err=True))


def new_passphrase(file: Path | None, encrypt: bool) -> str | None:
    """The passphrase for a new key, None where it is not to be encrypted. Raises CommandError, OSError."""
    if not encrypt:
        return None
    if file is None and not os.environ.get(ENVIRONMENT_VARIABLE):
        if not sys.stdin.isatty():
            raise CommandError(
                "There is no passphrase to encrypt the root's key with",
                f"Give --passphrase-file or {ENVIRONMENT_VARIABLE}.",
            )
        chosen = str(typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))
    else:
        chosen = known_passphrase(file, "") or ""
    if len(chosen) < LEAST:
        raise CommandError(f"The passphrase has fewer than {LEAST} characters", "Choose a longer one.")
    return chosen


class AskedOnce:
    """For readers of files: gives the passphrase of whatever is encrypted, and keeps it.

    answer: what it gave, None where nothing was encrypted or nobody knows.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.answer: str | None = None

    def __call__(self, purpose: str) -> bytes | None:
        if self.answer is None:
            self.answer = known_passphrase(self._file, purpose)
        return None if self.answer is None else self.answer.encode()


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """A root's key from a file of its own. pem: not encrypted. passphrase: what opened it, None without."""

    pem: str = field(repr=False)
    passphrase: str | None = field(repr=False)


def read_root_key(file: Path, passphrase_file: Path | None) -> OpenedKey:
    """The key that `--root-key` names. Raises PkiError, CommandError."""
    asked = AskedOnce(passphrase_file)
    keys = read_content(file, asked).keys
    if len(keys) != 1:
        raise MalformedFileError(
            f"This file holds {len(keys)} private keys", "Name the file with the root's key alone.", file
        )
    return OpenedKey(key_pem(private_key_of(keys[0], file)).decode("ascii"), asked.answer)
