"""What a command says when it cannot do what it was asked, and its exit status."""

from __future__ import annotations

import sys
from typing import Final

from lockwire.access.errors import AccessError, UserError
from lockwire.config import SettingsError
from lockwire.control import ControlError
from lockwire.data import DataFolderError
from lockwire.pki.errors import InvalidNameError, NameTakenError, PkiError
from lockwire.tls.errors import TlsFileError, TlsPolicyError

FAILED: Final = 1
BAD_INPUT: Final = 2
BAD_CONFIGURATION: Final = 3
"""What `lockwire broker` gives for a configuration that it cannot use, as Mosquitto does."""


class CommandError(Exception):
    """A command that cannot do what it was asked.

    Attributes:
        message: what is wrong.
        remedy: what to do about it; may be empty.
        status: the exit status.
    """

    def __init__(self, message: str, remedy: str = "", status: int = BAD_INPUT) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.status = status


def explain(error: Exception) -> CommandError | None:
    """The failure behind an exception that a user can do something about; None for what is our own fault."""
    if isinstance(error, CommandError):
        return error
    if isinstance(error, ControlError):
        return CommandError(error.message, error.remedy, BAD_INPUT if error.bad_input else FAILED)
    if isinstance(error, DataFolderError):
        return CommandError(error.message, error.remedy, FAILED)
    if isinstance(error, PkiError):
        at_fault = isinstance(error, (InvalidNameError, NameTakenError))
        return CommandError(str(error), "", BAD_INPUT if at_fault else FAILED)
    if isinstance(error, (SettingsError, TlsPolicyError, TlsFileError, UserError)):
        return CommandError(str(error))
    if isinstance(error, AccessError):
        return CommandError(str(error), "", FAILED)
    if isinstance(error, OSError):
        return CommandError(_describe(error), "", FAILED)
    from lockwire.broker.opening import ListenError  # with it comes half the broker: not for every command

    return CommandError(str(error), "", FAILED) if isinstance(error, ListenError) else None


def show(failure: CommandError) -> None:
    """Writes a failure on standard error."""
    print(f"lockwire: {failure.message}", file=sys.stderr)
    if failure.remedy:
        print(f"  {failure.remedy}", file=sys.stderr)


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return reason if error.filename is None else f"{error.filename}: {reason}"
