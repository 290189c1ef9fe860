"""The exceptions of this package; all of them speak of configuration, never of what a peer did."""

from __future__ import annotations

from pathlib import Path


class TlsError(Exception):
    """Any error of this package."""


class TlsPolicyError(TlsError):
    """A TLS policy that cannot be: a wrong name or version, or something this Python's ssl cannot set.

    `field` is the field of TlsPolicy that is wrong.
    """

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


class TlsFileError(TlsError):
    """A certificate, key, CA or CRL file that cannot be used; the text names the file and the cause."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path = path
        self.detail = detail
