"""The authority's own revocation lists, read and used by OpenSSL."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.branches import RSA
from lockwire.pki.authority.founding import NewAuthority
from lockwire.pki.authority.importing import KeptKey, assess, found
from lockwire.pki.authority.ledger import Revocation
from lockwire.pki.authority.profiles import CLIENT
from lockwire.pki.authority.requests import make_request
from lockwire.pki.certificate import certificate_key
from lockwire.pki.errors import RequestError
from lockwire.pki.keys import KeyKind
from lockwire.pki.revocation.ocsp import Good, Revoked, Unknown
from lockwire.pki.revocation.publishing import (
    BACKDATED,
    LIFETIME,
    keys_of_revocations,
    published,
    revocation_of,
    revoked_keys,
    status_of,
    why_due,
    write_crls,
)
from tests.pki.issuing import issue as signed

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
    known = authority.ledger.by_serial(certificate.serial_number)
    revocation = revocation_of(authority, known or certificate, reason, "ada", now)
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


@pytest.fixture
def two_chains(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "two", wanted=NewAuthority(rsa=KeyKind.RSA_2048))


def test_each_issuer_has_a_list_of_its_own(two_chains: Authority) -> None:
    """Of an authority with an RSA chain beside the other one."""
    main = issue(two_chains, "main")
    rsa = two_chains.issue([make_request("rsa", CLIENT)], branch=RSA)[0].certificate
    (two_chains.folder / "rsa.pem").write_bytes(rsa.public_bytes(Encoding.PEM))
    first, second = write_crls(two_chains)
    assert (first.issuer, second.issuer) == tuple(one.common_name for one in two_chains.issuers)
    assert verify(two_chains, "main").endswith("OK\n")
    assert verify(two_chains, "rsa").endswith("OK\n")
    revoke(two_chains, rsa)
    first, second = write_crls(two_chains)
    assert (first.revoked, second.revoked) == (0, 1)
    assert verify(two_chains, "main").endswith("OK\n")
    assert "certificate revoked" in verify(two_chains, "rsa")
    assert certificate_key(rsa.public_bytes(Encoding.DER)) in revoked_keys(two_chains)
    of_rsa = two_chains.folder / f"crl-{two_chains.issuers[1].identifier[:8]}.der"
    assert x509.load_der_x509_crl(of_rsa.read_bytes()) == second.crl
    assert status_of(two_chains, two_chains.issuers[1], rsa.serial_number) == Revoked(
        NOW, x509.ReasonFlags.key_compromise
    )
    assert status_of(two_chains, two_chains.issuers[0], rsa.serial_number) == Unknown()
    assert status_of(two_chains, two_chains.issuers[0], main.serial_number) == Good()


def test_a_certificate_from_before_the_ledger_is_revoked_by_itself(authority: Authority) -> None:
    """As an imported authority has issued some."""
    known = issue(authority, "known")
    issuer = authority.issuers[0]
    early = (
        x509.CertificateBuilder()
        .subject_name(known.subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(known.public_key())
        .serial_number(0x1000)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .sign(issuer.key, issuer.hash_algorithm)
    )
    assert status_of(authority, issuer, 0x1000) == Unknown()
    revoke(authority, early)
    (said,) = write_crls(authority)
    assert said.crl.get_revoked_certificate_by_serial_number(0x1000) is not None
    assert revoked_keys(authority) == {certificate_key(early.public_bytes(Encoding.DER))}
    assert isinstance(status_of(authority, issuer, 0x1000), Revoked)


def test_what_this_authority_cannot_revoke(authority: Authority, tmp_path: Path) -> None:
    intermediate = authority.ledger.by_serial(authority.intermediate.serial_number)
    assert intermediate is not None
    stranger = Authority.create(tmp_path / "other").issue_client("stranger").certificate
    ended = issue(authority, "ended")
    entry = authority.ledger.by_serial(ended.serial_number)
    assert entry is not None
    for certificate, now, says in (
        (intermediate, NOW, "certificate of the authority itself"),
        (stranger, NOW, "does not come from this authority"),
        (entry, entry.not_after + DAY, "ended on"),
    ):
        with pytest.raises(RequestError, match=says):
            revocation_of(authority, certificate, x509.ReasonFlags.unspecified, "", now)


def test_what_an_imported_root_issued_itself_is_denied(tmp_path: Path) -> None:
    """An intermediate issues since then; the root has no list, but the broker denies the certificate."""
    root = signed("Old plant CA", ca=True, days=2000, now=NOW)
    old = signed("old-pump", root, purposes=[], now=NOW).certificate
    found(tmp_path / "ca", assess([root.certificate], root.key, NOW), KeptKey(), NOW, "ada")
    authority = Authority.open(tmp_path / "ca")
    revocation = revoke(authority, old)
    expected = {certificate_key(old.public_bytes(Encoding.DER))}
    assert keys_of_revocations(authority, [revocation]) == expected
    assert revoked_keys(Authority.open(tmp_path / "ca")) == expected
    (listed,) = write_crls(authority)
    assert listed.revoked == 0
    assert why_due(authority, LIFETIME) is None
