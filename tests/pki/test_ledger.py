"""The ledger: what was issued and revoked, by whom, and the certificates themselves."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from cryptography import x509

from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.ledger import Entry, Ledger, NewEntry, Revocation
from lockwire.pki.errors import MalformedFileError

NOW = datetime.datetime(2026, 11, 21, 8, 30, tzinfo=datetime.UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca")


def revocation(entry: Entry, reason: x509.ReasonFlags) -> Revocation:
    return Revocation(NOW, entry.serial, reason, "ada", entry.authority, entry.name, entry.not_after)


def test_a_revocation_is_there_at_once_and_after_the_next_start(authority: Authority) -> None:
    serial = authority.issue_client("pump-7").certificate.serial_number
    entry = authority.ledger.by_serial(serial)
    assert entry is not None
    authority.ledger.revoke([revocation(entry, x509.ReasonFlags.key_compromise)])
    for ledger in (authority.ledger, Ledger(authority.ledger.path)):
        assert ledger.revoked() == (revocation(entry, x509.ReasonFlags.key_compromise),)
        assert ledger.revocation(serial) == ledger.revoked()[0]
        assert ledger.by_serial(serial) == entry
    line = json.loads(authority.ledger.path.read_text().splitlines()[-1])
    assert line["event"] == "revoked"
    assert line["reason"] == "keyCompromise"
    assert line["by"] == "ada"


def test_a_hold_can_be_taken_back(authority: Authority) -> None:
    serial = authority.issue_client("pump-7").certificate.serial_number
    entry = authority.ledger.by_serial(serial)
    assert entry is not None
    authority.ledger.revoke([revocation(entry, x509.ReasonFlags.certificate_hold)])
    authority.ledger.revoke([revocation(entry, x509.ReasonFlags.remove_from_crl)])
    assert authority.ledger.revocation(serial) is None
    assert Ledger(authority.ledger.path).revoked() == ()


def test_the_ledger_keeps_the_certificates_themselves(authority: Authority) -> None:
    first = authority.issue_client("Pümp-7").certificate
    second = authority.issue_server(["plant"], []).certificate
    for ledger in (authority.ledger, Ledger(authority.ledger.path)):
        assert ledger.certificate(first.serial_number) == first
        assert ledger.certificate(second.serial_number) == second
        assert ledger.certificate(1) is None


def test_an_entry_names_its_issuer_and_finds_it(authority: Authority) -> None:
    serial = authority.issue_client("pump-7").certificate.serial_number
    entry = Ledger(authority.ledger.path).by_serial(serial)
    assert entry is not None
    issuer = authority.issuer_of(entry)
    assert issuer is not None
    assert issuer.certificate == authority.intermediate


def test_entries_of_the_first_version_are_read(tmp_path: Path) -> None:
    path = tmp_path / "issued.jsonl"
    path.write_text(
        '{"event": "issued", "time": "2026-11-01T08:00:00+00:00", "serial": "7f", "profile": "client", '
        '"name": "pump-7", "issuer": "Lockwire intermediate A", "not_before": "2026-10-31T08:00:00+00:00", '
        '"not_after": "2029-02-02T08:00:00+00:00", "alternative_names": [], "sha256": "ab"}\n'
    )
    ledger = Ledger(path)
    entry = ledger.by_serial(0x7F)
    assert entry is not None
    assert (entry.name, entry.authority, entry.by) == ("pump-7", "", "")
    assert ledger.named("pump-7") == (entry,)
    assert ledger.certificate(0x7F) is None


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "forgotten", "serial": "7f"}',
        '{"event": "revoked", "serial": "7f"}',
        '{"event": "revoked", "time": "2026-11-01T08:00:00+00:00", "serial": "7f", "reason": "because", '
        '"by": "", "authority": "", "name": "", "not_after": null}',
    ],
)
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "issued.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(MalformedFileError, match=r"issued\.jsonl:2: "):
        Ledger(path)


def test_a_crash_within_a_batch_costs_the_lines_that_are_not_whole(authority: Authority) -> None:
    path = authority.ledger.path
    before = path.read_bytes()
    entries = [authority.issue_client(f"pump-{number}") for number in range(3)]
    after = path.read_bytes()
    path.write_bytes(after[: len(before) + (len(after) - len(before)) // 2])
    ledger = Ledger(path)
    assert ledger.named("pump-0")
    assert not ledger.named("pump-1")
    ledger.record_all([NewEntry("client", entries[2].certificate)], NOW)
    assert Ledger(path).certificate(entries[2].certificate.serial_number) == entries[2].certificate
    assert ledger.certificate(entries[2].certificate.serial_number) == entries[2].certificate


@pytest.mark.parametrize("left", [b"\0" * 300, b'{"event": "issued", "ti' + b"\0" * 50])
def test_zero_bytes_that_a_loss_of_power_leaves_are_passed_over(authority: Authority, left: bytes) -> None:
    serial = authority.issue_client("pump-7").certificate.serial_number
    with authority.ledger.path.open("ab") as file:
        file.write(left)
    again = Authority.open(authority.folder)
    later = again.issue_client("pump-8").certificate
    ledger = Ledger(again.ledger.path)
    assert ledger.by_serial(serial) is not None
    assert ledger.certificate(later.serial_number) == later
