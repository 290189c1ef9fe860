"""Certificates and keys read from PEM files, with errors that name the file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from lockwire.pki.errors import MalformedFileError, MissingFileError, UnsafeKeyError

MAXIMUM_FILE: Final = 1 << 20  # bytes; a chain has a few thousand


def read_certificate(path: Path, remedy: str) -> x509.Certificate:
    """The first certificate in a PEM file. Raises MissingFileError or MalformedFileError with `remedy`."""
    try:
        return x509.load_pem_x509_certificates(read_file(path, remedy))[0]
    except ValueError as error:
        raise MalformedFileError("There is no certificate in PEM form in this file", remedy, path) from error


def read_private_key(path: Path, remedy: str) -> PrivateKeyTypes:
    """The private key in a PEM file. Raises MissingFileError, MalformedFileError or UnsafeKeyError."""
    data = read_file(path, remedy)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise UnsafeKeyError(
            f"Others on this machine can read this private key (mode {mode:04o})",
            f"Run chmod 600 {path}, and if they may have read it, replace the key.",
            path,
        )
    try:
        return serialization.load_pem_private_key(data, None)
    except TypeError as error:
        raise MalformedFileError("This private key is encrypted", remedy, path) from error
    except ValueError as error:
        raise MalformedFileError("There is no private key in PEM form in this file", remedy, path) from error


def read_file(path: Path, remedy: str) -> bytes:
    """A file's bytes, 1 MiB at most. Raises MissingFileError or MalformedFileError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAXIMUM_FILE + 1)
    except OSError as error:
        raise MissingFileError(f"This file cannot be read ({error.strerror})", remedy, path) from error
    if len(data) > MAXIMUM_FILE:
        raise MalformedFileError(f"This file is larger than {MAXIMUM_FILE} bytes", remedy, path)
    return data
