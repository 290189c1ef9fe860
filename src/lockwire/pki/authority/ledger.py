"""The authority's ledger: one line of JSON for everything it issued and revoked, appended and never changed.

It is the serial number database and the audit log in one. An entry is on the disk before its certificate
leaves the authority, so there is no certificate that the ledger does not know. A line that was cut short by a
crash belongs to a certificate that nobody got, and is left as it is.
"""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lockwire.pki.authority.alternatives import alternative_values, alternatives_of
from lockwire.pki.authority.profiles import PROFILES
from lockwire.pki.certificate import common_name_of
from lockwire.pki.errors import MalformedFileError, RequestError, UnknownCertificateError
from lockwire.pki.files import append_line

ISSUED: Final = "issued"
REVOKED: Final = "revoked"
_START: Final = b'{"event"'


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate in the ledger; times are in UTC, serial number and fingerprint hexadecimal.

    name: its common name, "" without one.
    alternative_names: DNS names, addresses, URIs and e-mail addresses, as text.
    issuer: the common name of its issuer.
    authority: the key identifier of its issuer, hexadecimal; "" in entries of earlier versions.
    by: who had it issued, "" where that is not known.
    """

    time: datetime.datetime
    serial: str
    profile: str
    name: str
    not_after: datetime.datetime
    sha256: str
    alternative_names: tuple[str, ...] = ()
    issuer: str = ""
    authority: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A certificate to write down: its profile's name, itself, the key identifier of its issuer."""

    profile: str
    certificate: x509.Certificate
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Revocation:
    """One revoked certificate; times are in UTC, the serial number hexadecimal.

    reason: RFC 5280 section 5.3.1. by: who revoked it, "" where that is not known.
    authority: the key identifier of its issuer, hexadecimal; "" where only an earlier version knew it.
    name, not_after: as in its entry; "" and None for a certificate that the ledger did not know, which an
    imported authority issued before.
    """

    time: datetime.datetime
    serial: str
    reason: x509.ReasonFlags
    by: str
    authority: str
    name: str
    not_after: datetime.datetime | None


class Ledger:
    """The file `issued.jsonl` and what it says, by serial number and by profile and name."""

    def __init__(self, path: Path) -> None:
        """Reads the ledger; a missing one is empty. Raises MalformedFileError with the line."""
        self.path = path
        self._by_serial: dict[str, Entry] = {}
        self._latest: dict[tuple[str, str], Entry] = {}
        self._by_name: dict[str, list[Entry]] = {}
        self._revoked: dict[str, Revocation] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._size = 0
        self._torn = False
        if path.exists():
            self._read()

    # -- writing

    def record_all(self, issued: Sequence[NewEntry], now: datetime.datetime, by: str = "") -> list[Entry]:
        """Writes down certificates with one wait for the disk, and returns when they are on it.

        by: who had them issued. Raises OSError; then none of them may leave the authority.
        """
        entries = [_entry_of(new, now, by) for new in issued]
        lines = [_issued_line(entry, new) for entry, new in zip(entries, issued, strict=True)]
        for entry, place in zip(entries, self._append(lines), strict=True):
            self._add(entry, place)
        return entries

    def revoke(self, revocations: Sequence[Revocation]) -> None:
        """Writes down revocations, if any, and returns when they are on the disk. Raises OSError.

        One with reason `remove_from_crl` takes a `certificate_hold` back.
        """
        if revocations:
            self._append([_revoked_line(revocation) for revocation in revocations])
        for revocation in revocations:
            self._add_revocation(revocation)

    def _append(self, lines: list[bytes]) -> list[tuple[int, int]]:
        """Appends lines with one sync; gives where each begins and how long it is."""
        torn, self._torn = self._torn, True
        position = self._size + torn
        places = []
        for line in lines:
            places.append((position, len(line)))
            position += len(line) + 1
        try:
            append_line(self.path, (b"\n" if torn else b"") + b"\n".join(lines))
        except OSError:
            self._size = self.path.stat().st_size if self.path.exists() else 0
            raise
        self._size = position
        self._torn = False
        return places

    # -- reading

    def entries(self) -> Iterator[Entry]:
        """Everything that was issued, oldest first."""
        return iter(self._by_serial.values())

    def current(self, now: datetime.datetime) -> list[Entry]:
        """The last certificate of each client that is valid and not revoked."""
        found = {}
        for entry in self._by_serial.values():
            profile = PROFILES.get(entry.profile)
            is_good = entry.not_after >= now and entry.serial not in self._revoked
            if profile is not None and profile.is_client and is_good:
                found[entry.name] = entry
        return list(found.values())

    def latest(self, profile: str, name: str) -> Entry | None:
        """The certificate issued last for a name under a profile."""
        return self._latest.get((profile, name))

    def named(self, name: str) -> tuple[Entry, ...]:
        """Every certificate with this common name, oldest first, whatever its profile."""
        return tuple(self._by_name.get(name, ()))

    def by_serial(self, serial: int) -> Entry | None:
        return self._by_serial.get(f"{serial:x}")

    def find(self, reference: str) -> Entry:
        """The certificate that a command means: by serial number in hexadecimal, or the last one of a name.

        Raises UnknownCertificateError; RequestError where a server and a client have the name.
        """
        serial = reference.replace(":", "").lower().lstrip("0")
        if serial in self._by_serial and (len(serial) > 8 or reference not in self._by_name):
            return self._by_serial[serial]
        named = self._by_name.get(reference)
        if not named:
            raise UnknownCertificateError(
                f"No certificate was issued for {reference!r}, and none has this serial number",
                "lockwire cert list shows what was issued.",
                self.path,
            )
        if len({entry.profile for entry in named}) > 1:
            known = ", ".join(f"{entry.serial} ({entry.profile})" for entry in named)
            raise RequestError(
                f"{reference!r} has certificates of several kinds: {known}", "Give the serial."
            )
        return named[-1]

    def certificate(self, serial: int) -> x509.Certificate | None:
        """A certificate itself; None where the ledger has none (earlier versions kept no copy)."""
        place = self._places.get(f"{serial:x}")
        if place is None:
            return None
        with self.path.open("rb") as file:
            file.seek(place[0])
            fields = json.loads(file.read(place[1]))
        encoded = fields.get("certificate")
        return None if encoded is None else x509.load_der_x509_certificate(base64.b64decode(encoded))

    def revoked(self) -> tuple[Revocation, ...]:
        """What is revoked now, in the order in which it happened."""
        return tuple(self._revoked.values())

    def revocation(self, serial: int) -> Revocation | None:
        """The revocation of a certificate, None where it is not revoked."""
        return self._revoked.get(f"{serial:x}")

    def is_revoked(self, serial: str) -> bool:
        """As `revocation`, by the serial number in hexadecimal."""
        return serial in self._revoked

    def __len__(self) -> int:
        return len(self._by_serial)

    def _read(self) -> None:
        with self.path.open("rb") as file:
            for number, whole in enumerate(file, 1):
                line, start = whole.removesuffix(b"\n"), self._size
                self._size += len(whole)
                self._torn = line == whole
                try:
                    if line:
                        self._take(line, start)
                except (ValueError, KeyError, TypeError) as error:
                    if _is_cut_short(line):
                        continue
                    raise MalformedFileError(
                        f"This line of the authority's ledger is no entry ({error!r})",
                        "Restore the file from a backup, or correct the line: one JSON object with event, "
                        "time, serial, profile, name, not_after and sha256.",
                        self.path,
                        number,
                    ) from error

    def _take(self, line: bytes, start: int) -> None:
        fields = json.loads(line)
        if fields["event"] == REVOKED:
            self._add_revocation(_read_revocation(fields))
        elif fields["event"] == ISSUED:
            self._add(_read_entry(fields), (start, len(line)))
        else:
            raise ValueError(f"event {fields['event']!r} is neither {ISSUED!r} nor {REVOKED!r}")

    def _add(self, entry: Entry, place: tuple[int, int]) -> None:
        self._by_serial[entry.serial] = entry
        self._latest[entry.profile, entry.name] = entry
        self._by_name.setdefault(entry.name, []).append(entry)
        self._places[entry.serial] = place

    def _add_revocation(self, revocation: Revocation) -> None:
        if revocation.reason is x509.ReasonFlags.remove_from_crl:
            self._revoked.pop(revocation.serial, None)
        else:
            self._revoked[revocation.serial] = revocation


def _is_cut_short(line: bytes) -> bool:
    """Whether a crash left it: the next entry begins on a line of its own after it.

    A loss of power may leave zero bytes in the place of what was written.
    """
    rest = line.rstrip(b"\0")
    return (rest.startswith(_START) or _START.startswith(rest)) and not rest.endswith(b"}")


def _entry_of(new: NewEntry, now: datetime.datetime, by: str) -> Entry:
    certificate = new.certificate
    return Entry(
        now.replace(microsecond=0),
        f"{certificate.serial_number:x}",
        new.profile,
        common_name_of(certificate.subject) or "",
        certificate.not_valid_after_utc,
        certificate.fingerprint(hashes.SHA256()).hex(),
        alternative_values(alternatives_of(certificate)),
        common_name_of(certificate.issuer) or "",
        new.authority,
        by,
    )


def _issued_line(entry: Entry, new: NewEntry) -> bytes:
    certificate = new.certificate
    der = certificate.public_bytes(serialization.Encoding.DER)
    return _encode(
        {
            "event": ISSUED,
            "time": entry.time.isoformat(timespec="seconds"),
            "serial": entry.serial,
            "profile": entry.profile,
            "name": entry.name,
            "issuer": entry.issuer,
            "not_before": certificate.not_valid_before_utc.isoformat(),
            "not_after": entry.not_after.isoformat(),
            "alternative_names": list(entry.alternative_names),
            "sha256": entry.sha256,
            "authority": entry.authority,
            "by": entry.by,
            "certificate": base64.b64encode(der).decode("ascii"),
        }
    )


def _revoked_line(revocation: Revocation) -> bytes:
    return _encode(
        {
            "event": REVOKED,
            "time": revocation.time.isoformat(timespec="seconds"),
            "serial": revocation.serial,
            "reason": revocation.reason.value,
            "name": revocation.name,
            "not_after": None if revocation.not_after is None else revocation.not_after.isoformat(),
            "authority": revocation.authority,
            "by": revocation.by,
        }
    )


def _encode(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def _read_entry(fields: dict[str, Any]) -> Entry:
    return Entry(
        datetime.datetime.fromisoformat(fields["time"]),
        str(fields["serial"]),
        str(fields["profile"]),
        str(fields["name"]),
        datetime.datetime.fromisoformat(fields["not_after"]),
        str(fields["sha256"]),
        tuple(map(str, fields.get("alternative_names", ()))),
        str(fields.get("issuer") or ""),
        str(fields.get("authority", "")),
        str(fields.get("by", "")),
    )


def _read_revocation(fields: dict[str, Any]) -> Revocation:
    not_after = fields["not_after"]
    return Revocation(
        datetime.datetime.fromisoformat(fields["time"]),
        str(fields["serial"]),
        x509.ReasonFlags(fields["reason"]),
        str(fields["by"]),
        str(fields["authority"]),
        str(fields["name"]),
        None if not_after is None else datetime.datetime.fromisoformat(not_after),
    )
