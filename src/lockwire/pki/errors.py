"""What goes wrong with certificates, keys and their files: what, where, and what to do about it."""

from __future__ import annotations

from pathlib import Path


class PkiError(Exception):
    """The base of them all.

    problem: what is wrong, one sentence without a full stop.
    file: the file it is about, None where it is about none.
    line: the line in it, 0 where that means nothing.
    remedy: what to do, one sentence.
    """

    def __init__(self, problem: str, remedy: str, file: Path | None = None, line: int = 0) -> None:
        where = "" if file is None else f"{file}: " if line == 0 else f"{file}:{line}: "
        super().__init__(f"{where}{problem}. {remedy}")
        self.problem = problem
        self.remedy = remedy
        self.file = file
        self.line = line


class AuthorityExistsError(PkiError):
    """A new authority was to be made where there is one."""


class MissingFileError(PkiError):
    """A file that the authority needs is not there or cannot be read."""


class MalformedFileError(PkiError):
    """A file does not hold what its name says."""


class UnsafeKeyError(PkiError):
    """A private key that others on this machine can read."""


class MismatchError(PkiError):
    """Two files, each fine, that do not belong together."""


class ExpiredError(PkiError):
    """A certificate of the authority that is no longer valid, or not yet."""


class InvalidNameError(PkiError):
    """A name that a certificate, a user or a file cannot have."""


class NameTakenError(PkiError):
    """A name that a certificate was issued for before."""


class WeakKeyError(PkiError):
    """A key that devices do not verify, or that others can break."""


class RequestError(PkiError):
    """A certificate that was asked for in a way in which none is issued."""


class UnknownCertificateError(PkiError):
    """A name or a serial number for which there is no certificate."""


class ImportRefusedError(PkiError):
    """An authority made elsewhere that cannot be taken over."""


class RolloverError(PkiError):
    """A step of a change of authorities that cannot be made now."""


class PasswordError(PkiError):
    """A file that is encrypted: no password was given for it, or not the right one."""


class UnreachableError(PkiError):
    """A server whose certificates were asked for and that did not answer, or not in TLS."""


BAD_INPUT = (
    ImportRefusedError,
    InvalidNameError,
    NameTakenError,
    PasswordError,
    RequestError,
    RolloverError,
    UnknownCertificateError,
    WeakKeyError,
)
"""Errors that whoever asked can do something about; the others are about the data folder."""


class ConversionError(PkiError):
    """A file that cannot become what was asked for."""
