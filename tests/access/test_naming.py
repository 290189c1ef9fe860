"""The name that a client certificate gives, and the client identifiers that go with it."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from lockwire.access.methods.naming import (
    SOURCES,
    CertificateNames,
    assigned_client_id,
    client_id_problem,
    names_in,
    problem_with,
)
from lockwire.pki.certificate import certificate_key

pytestmark = pytest.mark.filterwarnings("ignore:Attribute's length must be")

KEY = ec.generate_private_key(ec.SECP256R1())
CN = NameOID.COMMON_NAME


def certificate(subject: x509.Name, names: Sequence[x509.GeneralName] = ()) -> bytes:
    """A certificate with this subject and these subject alternative names."""
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(CN, "an authority")]),
        subject_name=subject,
        public_key=KEY.public_key(),
        serial_number=7,
        not_valid_before=start,
        not_valid_after=start + datetime.timedelta(days=1000),
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def named(*common_names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(CN, name, _validate=False) for name in common_names])


EVERYTHING = certificate(
    x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Pumps, Ltd"),
            x509.NameAttribute(CN, "pump-7"),
        ]
    ),
    [
        x509.DNSName("Pump-7.Example.org"),
        x509.DNSName("second.example.org"),
        x509.RFC822Name("pump-7@Example.org"),
        x509.UniformResourceIdentifier("urn:dev:pump:7"),
        x509.IPAddress(ipaddress.ip_address("2001:db8:0:0::7")),
        x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
    ],
)


@pytest.mark.parametrize(
    ("username_from", "expected"),
    [
        ("cn", "pump-7"),
        ("subject", r"CN=pump-7,O=Pumps\, Ltd,C=CH"),
        ("san-dns", "pump-7.example.org"),
        ("san-email", "pump-7@Example.org"),
        ("san-uri", "urn:dev:pump:7"),
        ("san-ip", "2001:db8::7"),
    ],
)
def test_each_part_of_a_certificate_can_be_the_user_name(username_from: str, expected: str) -> None:
    names = names_in(EVERYTHING, username_from)
    assert names == CertificateNames(certificate_key(EVERYTHING), "pump-7", expected)


def test_the_subject_is_written_as_openssl_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "pump.der"
    file.write_bytes(EVERYTHING)
    options = ["-noout", "-subject", "-nameopt", "RFC2253"]
    command = ["openssl", "x509", "-inform", "DER", "-in", str(file), *options]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert names_in(EVERYTHING, "subject").username == shown.strip().removeprefix("subject=")


@pytest.mark.parametrize("username_from", SOURCES)
def test_a_certificate_without_that_part_gives_no_name_but_its_key(username_from: str) -> None:
    der = certificate(x509.Name([]))
    names = names_in(der, username_from)
    assert (names.key, names.common_name, names.username) == (certificate_key(der), "", "")
    assert "issue one" in names.problem
    assert names_in(b"no certificate", username_from).problem.startswith("the client certificate cannot be")


def test_more_than_one_common_name_is_none() -> None:
    names = names_in(certificate(named("pump-7", "admin")), "cn")
    assert (names.common_name, names.username) == ("", "")
    assert "more than one" in names.problem
    both = x509.RelativeDistinguishedName([x509.NameAttribute(CN, "a"), x509.NameAttribute(CN, "b")])
    assert names_in(certificate(x509.Name([both])), "cn").username == ""


@pytest.mark.parametrize(
    "name", ["Pumpe Süd 7", "насос", "泵", "plant/pump#7+", "C=x", "a" * 65_535, "pump*", "a$b"]
)
def test_any_name_that_a_person_can_read_will_do(name: str) -> None:
    names = names_in(certificate(named(name)), "cn")
    assert (names.common_name, names.username, names.problem) == (name, name, "")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("pump\0admin", "do not print"),
        ("pump\nforged=line", "do not print"),
        ("pump\u202e7", "do not print"),
        ("$SYS", "begins with $"),
        (" pump", "a space"),
        ("pump ", "a space"),
        ("a" * 65_536, "longer than 65535"),
        ("ü" * 40_000, "longer than 65535"),
        ("anonymous", "without a name"),
        ("Anonymous", "without a name"),
    ],
)
def test_other_names_are_refused_in_a_short_line(name: str, problem: str) -> None:
    names = names_in(certificate(named(name)), "cn")
    assert (names.common_name, names.username) == ("", "")
    assert problem in names.problem
    assert names.problem.isprintable()
    assert len(names.problem) < 1000


def test_a_name_that_is_empty_is_none() -> None:
    assert problem_with("") == "is empty"


def test_names_in_older_encodings_are_read_as_what_they_say() -> None:
    attribute = x509.NameAttribute(CN, "pump-\u00fc", _type=_ASN1Type.BMPString)
    assert names_in(certificate(x509.Name([attribute])), "cn").username == "pump-\u00fc"


def test_a_subject_cannot_hide_what_does_not_print() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "a\0b"), *named("pump-7")])
    names = names_in(certificate(subject), "subject")
    assert (names.common_name, names.username) == ("pump-7", "")


def test_a_subject_with_the_marks_of_another_is_not_the_other() -> None:
    forged = x509.Name([x509.NameAttribute(CN, "pump-7,O=Pumps")])
    genuine = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Pumps"), *named("pump-7")])
    assert names_in(certificate(genuine), "subject").username == "CN=pump-7,O=Pumps"
    assert names_in(certificate(forged), "subject").username == r"CN=pump-7\,O=Pumps"


def test_a_pattern_is_no_dns_name() -> None:
    names = names_in(certificate(named("x"), [x509.DNSName("*.example.org")]), "san-dns")
    assert names.username == ""
    assert "pattern" in names.problem


def test_a_damaged_alternative_name_is_refused() -> None:
    der = certificate(named("pump-7"), [x509.IPAddress(ipaddress.ip_address("192.0.2.7"))])
    damaged = der.replace(b"\x87\x04\xc0\x00\x02\x07", b"\x87\x03\xc0\x00\x02\x07")
    assert names_in(damaged, "san-ip").username == ""


# --- client identifiers


@pytest.mark.parametrize(
    ("binding", "client_id", "allowed"),
    [
        ("free", "anything", True),
        ("same", "pump", True),
        ("same", "Pump", False),
        ("same", "pump-1", False),
        ("prefixed", "pump", True),
        ("prefixed", "pump-1", True),
        ("prefixed", "pump:1", True),
        ("prefixed", "pump.1", True),
        ("prefixed", "pump_1", True),
        ("prefixed", "pump/1", True),
        ("prefixed", "pump-", True),
        ("prefixed", "pump1", False),
        ("prefixed", "pumpkin", False),
        ("prefixed", "pum", False),
        ("prefixed", "", False),
        ("prefixed", "x-pump", False),
    ],
)
def test_client_identifiers_that_go_with_a_name(binding: str, client_id: str, allowed: bool) -> None:
    problem = client_id_problem(client_id, "pump", binding)
    assert (problem == "") == allowed
    if problem:
        assert "set it in the client" in problem


@pytest.mark.parametrize(
    ("binding", "expected"), [("free", "auto-1"), ("same", "pump"), ("prefixed", "pump-auto-1")]
)
def test_a_client_without_an_identifier_gets_one_that_goes_with_its_name(binding: str, expected: str) -> None:
    assert assigned_client_id("auto-1", "pump", binding) == expected
    assert client_id_problem(expected, "pump", binding) == ""


def test_a_certificate_that_has_expired_names_nobody() -> None:
    """TLS does not verify the certificate of a resumed session again."""
    end = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(days=1000)
    before, after = end.timestamp() - 1, end.timestamp() + 1
    assert names_in(EVERYTHING, "cn", before).username == "pump-7"
    found = names_in(EVERYTHING, "cn", after)
    assert (found.username, found.common_name) == ("", "")
    assert found.key == certificate_key(EVERYTHING)
    assert "expired on 2028-09-27" in found.problem
