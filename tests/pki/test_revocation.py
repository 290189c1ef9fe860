"""The authority's own revocation lists, read and used by OpenSSL."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.pki.authority import Authority
from lockwire.pki.certificate import certificate_key
from lockwire.pki.ledger import Revocation
from lockwire.pki.revocation import (
    BACKDATED,
    LIFETIME,
    keys_of_revocations,
    published,
    revoked_keys,
    why_due,
    write_crls,
)

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca")


def issue(authority: Authority, name: str, now: datetime.datetime = NOW) -> x509.Certificate:
    certificate = authority.issue_client(name, replace=True, now=now).certificate
    (authority.folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return certificate


def revoke(
    authority: Authority,
    certificate: x509.Certificate,
    reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise,
    now: datetime.datetime = NOW,
) -> Revocation:
    entry = authority.ledger.by_serial(certificate.serial_number)
    assert entry is not None
    revocation = Revocation(now, entry.serial, reason, "ada", entry.authority, entry.name, entry.not_after)
    authority.ledger.revoke([revocation])
    return revocation


def openssl(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False
    )


def verify(authority: Authority, name: str) -> str:
    """What `openssl verify` says of a certificate, with our list."""
    folder = authority.folder
    done = openssl(
        "verify",
        *("-crl_check", "-CAfile", folder / "clients.pem", "-CRLfile", folder / "crl.pem"),
        folder / f"{name}.pem",
    )
    return done.stdout + done.stderr


def test_openssl_refuses_what_is_revoked_and_takes_the_rest(authority: Authority) -> None:
    gone = issue(authority, "gone")
    issue(authority, "here")
    write_crls(authority)
    assert verify(authority, "gone").endswith("OK\n")
    revoke(authority, gone)
    write_crls(authority)
    assert "certificate revoked" in verify(authority, "gone")
    assert verify(authority, "here").endswith("OK\n")


@pytest.mark.parametrize("form", ["pem", "der"])
def test_openssl_reads_both_forms_and_the_signature_is_the_intermediates(
    authority: Authority, form: str
) -> None:
    serial = revoke(authority, issue(authority, "gone"), x509.ReasonFlags.superseded).serial
    (said,) = write_crls(authority, datetime.timedelta(hours=2))
    done = openssl(
        *("crl", "-inform", form, "-in", authority.folder / f"crl.{form}", "-noout", "-text"),
        *("-CAfile", authority.folder / "clients.pem"),
    )
    assert "verify OK" in done.stderr
    assert f"{serial.upper():0>32}" in done.stdout.replace(" ", "").replace(":", "")
    assert "Superseded" in done.stdout
    assert f"X509v3 CRL Number: \n                {said.number}" in done.stdout
    assert authority.issuers[0].key_identifier.hex(":").upper() in done.stdout
    assert said.next_update == said.this_update + BACKDATED + datetime.timedelta(hours=2)


def test_a_certificate_without_a_stated_reason_has_none_on_the_list(authority: Authority) -> None:
    revoke(authority, issue(authority, "gone"), x509.ReasonFlags.unspecified)
    (said,) = write_crls(authority)
    assert [list(entry.extensions) for entry in said.crl] == [[]]


def test_numbers_only_rise_even_when_the_lists_were_lost(authority: Authority) -> None:
    (first,) = write_crls(authority)
    (second,) = write_crls(authority)
    assert second.number > first.number
    (authority.folder / "crl.pem").unlink()
    (third,) = write_crls(authority, now=NOW + DAY)
    assert third.number > second.number
    (fourth,) = write_crls(authority, now=NOW - DAY)  # the clock was set back
    assert fourth.number > third.number


def test_the_lifetime_stays_until_another_is_asked_for(authority: Authority) -> None:
    assert write_crls(authority)[0].lifetime == LIFETIME
    assert write_crls(authority, DAY)[0].lifetime == DAY
    assert write_crls(authority)[0].lifetime == DAY


def test_an_expired_certificate_is_on_one_list_after_its_end_and_then_on_none(authority: Authority) -> None:
    """RFC 5280 section 3.3."""
    certificate = issue(authority, "old")
    revoke(authority, certificate)
    end = certificate.not_valid_after_utc
    (before,) = write_crls(authority, now=end - DAY)
    (after,) = write_crls(authority, now=end + DAY)
    (later,) = write_crls(authority, now=end + 2 * DAY)
    assert [before.revoked, after.revoked, later.revoked] == [1, 1, 0]


def test_a_hold_leaves_the_list_when_it_is_taken_back(authority: Authority) -> None:
    certificate = issue(authority, "held")
    revoke(authority, certificate, x509.ReasonFlags.certificate_hold)
    write_crls(authority)
    assert "certificate revoked" in verify(authority, "held")
    revoke(authority, certificate, x509.ReasonFlags.remove_from_crl)
    assert why_due(authority, LIFETIME) == "it lagged behind the ledger"
    write_crls(authority)
    assert verify(authority, "held").endswith("OK\n")


def test_lists_are_written_anew_when_they_have_to_be(authority: Authority) -> None:
    assert why_due(authority, LIFETIME, NOW) == "there was none"
    (said,) = write_crls(authority, LIFETIME, NOW)
    assert why_due(authority, LIFETIME, NOW) is None
    assert why_due(authority, LIFETIME, NOW + LIFETIME / 2 - DAY) is None
    assert why_due(authority, LIFETIME, NOW + LIFETIME / 2) == "half of its lifetime has passed"
    assert said.refresh_at == NOW + LIFETIME / 2
    assert why_due(authority, DAY, NOW) == "its lifetime was changed"
    assert why_due(authority, LIFETIME, NOW - DAY) == "it lay in the future"
    revoke(authority, issue(authority, "gone"))
    assert why_due(authority, LIFETIME, NOW) == "it lagged behind the ledger"


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"])
def test_a_damaged_list_is_replaced(authority: Authority, damage: bytes) -> None:
    write_crls(authority)
    (authority.folder / "crl.pem").write_bytes(damage)
    assert published(authority) == ()
    assert why_due(authority, LIFETIME) == "there was none"
    assert len(write_crls(authority)) == 1


def test_a_missing_der_file_is_noticed(authority: Authority) -> None:
    write_crls(authority)
    (authority.folder / "crl.der").unlink()
    assert why_due(authority, LIFETIME) == "there was none"


def test_the_keys_of_revocations_are_those_of_the_certificates(authority: Authority) -> None:
    certificates = [issue(authority, name) for name in ("a", "b")]
    revocations = [revoke(authority, one) for one in certificates]
    keys = {certificate_key(one.public_bytes(Encoding.DER)) for one in certificates}
    assert revoked_keys(authority) == keys
    assert keys_of_revocations(authority, revocations[:1]) < keys
    assert authority.issue_client("c").certificate.serial_number  # not among them
    assert len(revoked_keys(authority)) == 2
