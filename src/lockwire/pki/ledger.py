"""The authority's ledger: one line of JSON for everything it issued, appended and never changed.

It is the serial number database and the audit log in one. An entry is on the disk before its certificate
leaves the authority, so there is no certificate that the ledger does not know. A line that was cut short by a
crash belongs to a certificate that nobody got, and is left as it is.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lockwire.pki.certificate import alternative_names, common_name_of
from lockwire.pki.errors import MalformedFileError
from lockwire.pki.files import append_line

ISSUED: Final = "issued"
_START: Final = b'{"event"'


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate in the ledger; times are in UTC, the serial number and the fingerprint hexadecimal."""

    time: datetime.datetime
    serial: str
    profile: str
    name: str
    not_after: datetime.datetime
    sha256: str


class Ledger:
    """The file `issued.jsonl` and what it says, by serial number and by profile and name."""

    def __init__(self, path: Path) -> None:
        """Reads the ledger; a missing one is empty. Raises MalformedFileError with the line."""
        self.path = path
        self._by_serial: dict[str, Entry] = {}
        self._latest: dict[tuple[str, str], Entry] = {}
        self._torn = False
        if path.exists():
            self._read()

    def record(self, profile: str, certificate: x509.Certificate, now: datetime.datetime) -> Entry:
        """Writes down that `certificate` was issued, and returns when it is on the disk."""
        names, addresses = alternative_names(certificate)
        entry = Entry(
            now,
            f"{certificate.serial_number:x}",
            profile,
            common_name_of(certificate.subject) or "",
            certificate.not_valid_after_utc,
            certificate.fingerprint(hashes.SHA256()).hex(),
        )
        line = {
            "event": ISSUED,
            "time": now.isoformat(timespec="seconds"),
            "serial": entry.serial,
            "profile": profile,
            "name": entry.name,
            "issuer": common_name_of(certificate.issuer),
            "not_before": certificate.not_valid_before_utc.isoformat(),
            "not_after": entry.not_after.isoformat(),
            "alternative_names": sorted(names | addresses),
            "sha256": entry.sha256,
        }
        encoded = json.dumps(line, ensure_ascii=False).encode()
        torn, self._torn = self._torn, True
        append_line(self.path, b"\n" + encoded if torn else encoded)
        self._torn = False
        self._add(entry)
        return entry

    def latest(self, profile: str, name: str) -> Entry | None:
        """The certificate issued last for a name under a profile."""
        return self._latest.get((profile, name))

    def by_serial(self, serial: int) -> Entry | None:
        return self._by_serial.get(f"{serial:x}")

    def __len__(self) -> int:
        return len(self._by_serial)

    def _read(self) -> None:
        data = self.path.read_bytes()
        self._torn = bool(data) and not data.endswith(b"\n")
        lines = data.split(b"\n")
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                self._add(_entry(line))
            except (ValueError, KeyError, TypeError) as error:
                # A crash cuts the last line short, and the next entry begins on a line of its own after it.
                if (line.startswith(_START) or _START.startswith(line)) and not line.endswith(b"}"):
                    continue
                raise MalformedFileError(
                    f"This line of the authority's ledger is no entry ({error!r})",
                    "Restore the file from a backup, or correct the line: one JSON object with event, time, "
                    "serial, profile, name, not_after and sha256.",
                    self.path,
                    number,
                ) from error

    def _add(self, entry: Entry) -> None:
        self._by_serial[entry.serial] = entry
        self._latest[entry.profile, entry.name] = entry


def _entry(line: bytes) -> Entry:
    fields = json.loads(line)
    return Entry(
        datetime.datetime.fromisoformat(fields["time"]),
        str(fields["serial"]),
        str(fields["profile"]),
        str(fields["name"]),
        datetime.datetime.fromisoformat(fields["not_after"]),
        str(fields["sha256"]),
    )
