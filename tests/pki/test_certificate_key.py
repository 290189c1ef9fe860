"""The key of a certificate, and the list of those that are denied."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from lockwire.pki.certificate import certificate_key, key_of
from lockwire.pki.revocation.denylist import DenyList

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
ISSUER = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Wärme & Söhne"),
        x509.NameAttribute(NameOID.COMMON_NAME, "x" * 64),
    ]
)


def certificate(serial: int, issuer: x509.Name = ISSUER) -> bytes:
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pump-7")]))
        .issuer_name(issuer)
        .public_key(KEY.public_key())
        .serial_number(serial)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .sign(KEY, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.DER)


@given(st.integers(1, 2**159 - 1))
def test_the_key_is_the_same_from_the_certificate_and_from_its_parts(serial: int) -> None:
    key = certificate_key(certificate(serial))
    assert key == key_of(ISSUER, serial)
    assert key.endswith(f":{serial:x}")
    assert len(key.partition(":")[0]) == 16


def test_two_issuers_may_use_one_serial_number() -> None:
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another")])
    assert certificate_key(certificate(5)) != certificate_key(certificate(5, other))


def test_a_certificate_of_version_1_has_a_key_as_well() -> None:
    der = certificate(0x1234)
    content = der[4:]
    tbs_length = int.from_bytes(content[2:4])
    tbs, rest = content[4 : 4 + tbs_length], content[4 + tbs_length :]
    assert tbs[:5] == bytes.fromhex("a003020102")
    version_1 = b"\x30\x82" + (tbs_length - 5).to_bytes(2) + tbs[5:]
    whole = b"\x30\x82" + (len(version_1) + len(rest)).to_bytes(2) + version_1 + rest
    assert certificate_key(whole) == key_of(ISSUER, 0x1234)


def test_a_certificate_cut_short_has_no_key() -> None:
    der = certificate(77)
    for length in range(len(der)):
        with pytest.raises(ValueError, match="No certificate"):
            certificate_key(der[:length])


@given(st.binary(max_size=64))
def test_garbage_raises_nothing_else_than_value_error(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="No certificate"):
        certificate_key(garbage)


def test_a_deny_list_joins_its_sources_and_says_who_is_new() -> None:
    denied = DenyList()
    assert not denied
    assert denied.replace("authority", ["a:1", "a:2"]) == {"a:1", "a:2"}
    assert denied.replace("/etc/crl.pem", ["a:2", "b:1"]) == {"b:1"}
    assert denied
    assert len(denied) == 3
    assert "b:1" in denied
    assert "b:2" not in denied
    assert denied.replace("authority", []) == frozenset()
    assert "a:1" not in denied
    assert "a:2" in denied  # the file still denies it
    assert denied.sources == ("/etc/crl.pem",)
