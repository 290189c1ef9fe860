"""OCSP answers, asked for and verified by `openssl ocsp` and by cryptography."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as reference
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from lockwire.pki.authority.issuer import Issuer, SigningKey
from lockwire.pki.revocation import asn1
from lockwire.pki.revocation.ocsp import Good, Revoked, Status, Unknown, respond

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)
GOOD, GONE, STRANGE = 0x1001, 0x1002, 0x1003


def make_issuer(name: str, key: SigningKey) -> Issuer:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 30 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, algorithm)
    )
    return Issuer(certificate, key)


WORKS = make_issuer("Works CA", ec.generate_private_key(ec.SECP256R1()))
OTHER = make_issuer("Other CA", ec.generate_private_key(ec.SECP384R1()))


def lookup(issuer: Issuer, serial: int) -> Status:
    if serial == GOOD:
        return Good()
    return Revoked(NOW - DAY, x509.ReasonFlags.key_compromise) if serial == GONE else Unknown()


def query(tmp_path: Path, issuer: Issuer, *arguments: str) -> tuple[bytes, str]:
    """Has `openssl ocsp` write a request, answers it, has it read the answer; gives it and what was said."""
    ca, request, answer = tmp_path / "ca.pem", tmp_path / "request.der", tmp_path / "answer.der"
    ca.write_bytes(issuer.certificate.public_bytes(Encoding.PEM))
    asked = ["-issuer", str(ca), *arguments]
    subprocess.run(
        ["openssl", "ocsp", "-reqout", str(request), *asked], capture_output=True, check=True, timeout=30
    )
    answer.write_bytes(respond(request.read_bytes(), [WORKS, OTHER, issuer], lookup, NOW))
    read = ["-respin", str(answer), "-reqin", str(request), "-CAfile", str(ca), "-resp_text", "-no_nonce"]
    done = subprocess.run(
        ["openssl", "ocsp", *read, *(word for word in asked if word != "-nonce")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return answer.read_bytes(), done.stdout + done.stderr


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-256", "P-384", "RSA-2048", "Ed25519"],
)
def test_openssl_verifies_answers_signed_by_every_kind_of_key(tmp_path: Path, key: SigningKey) -> None:
    _, said = query(tmp_path, make_issuer("Any CA", key), "-serial", hex(GOOD))
    assert "Response verify OK" in said
    assert f"{hex(GOOD)}: good" in said


def test_several_certificates_in_one_request(tmp_path: Path) -> None:
    arguments = [word for serial in (GOOD, GONE, STRANGE) for word in ("-serial", hex(serial))]
    _, said = query(tmp_path, WORKS, *arguments)
    assert "Response verify OK" in said
    assert f"{hex(GOOD)}: good" in said
    assert f"{hex(GONE)}: revoked" in said
    assert "Reason: keyCompromise" in said
    assert f"{hex(STRANGE)}: unknown" in said


@pytest.mark.parametrize("algorithm", ["-sha1", "-sha256", "-sha384", "-sha512"])
def test_every_hash_that_names_an_issuer(tmp_path: Path, algorithm: str) -> None:
    _, said = query(tmp_path, WORKS, algorithm, "-serial", hex(GONE))
    assert f"{hex(GONE)}: revoked" in said


def test_the_nonce_comes_back(tmp_path: Path) -> None:
    _, said = query(tmp_path, WORKS, "-nonce", "-serial", hex(GOOD))
    assert "Response verify OK" in said
    assert "WARNING: no nonce" not in said
    _, said = query(tmp_path, WORKS, "-no_nonce", "-serial", hex(GOOD))
    assert "OCSP Nonce" not in said


def test_an_answer_has_its_times(tmp_path: Path) -> None:
    answer, _ = query(tmp_path, WORKS, "-serial", hex(GONE))
    read = reference.load_der_ocsp_response(answer)
    assert read.produced_at_utc == NOW
    assert read.this_update_utc < NOW
    assert read.next_update_utc is not None
    assert read.next_update_utc > NOW
    assert read.revocation_time_utc == NOW - DAY
    assert read.certificates == []


def request(
    *issuers: Issuer,
    version: bytes = b"",
    extensions: bytes = b"",
    algorithm: str = "1.3.14.3.2.26",
    serial: int = GOOD,
) -> bytes:
    """A request by hand, for what openssl does not write."""
    singles = []
    for issuer in issuers:
        plain = reference.OCSPRequestBuilder().add_certificate_by_hash(
            *_hashes(issuer), serial, hashes.SHA1()
        )
        built = plain.build().public_bytes(Encoding.DER)
        list_of = asn1.Reader(built).enter(0x30).enter(0x30).enter(0x30)
        singles.append(list_of.whole(0x30))
    encoded = b"".join(singles).replace(
        asn1.object_identifier("1.3.14.3.2.26"), asn1.object_identifier(algorithm)
    )
    return asn1.sequence(asn1.sequence(version, asn1.encode(0x30, encoded), extensions))


def _hashes(issuer: Issuer) -> tuple[bytes, bytes]:
    name = hashes.Hash(hashes.SHA1())
    name.update(issuer.certificate.subject.public_bytes())
    return name.finalize(), x509.SubjectKeyIdentifier.from_public_key(issuer.certificate.public_key()).digest


def extension(oid: str, value: bytes, critical: bool = False) -> bytes:
    flag = asn1.encode(asn1.BOOLEAN, b"\xff") if critical else b""
    one = asn1.sequence(asn1.object_identifier(oid), flag, asn1.encode(asn1.OCTET_STRING, value))
    return asn1.encode(asn1.context(2), asn1.sequence(one))


def nonce(length: int) -> bytes:
    return extension("1.3.6.1.5.5.7.48.1.2", asn1.encode(asn1.OCTET_STRING, b"n" * length))


def answered(data: bytes) -> reference.OCSPResponseStatus:
    return reference.load_der_ocsp_response(respond(data, [WORKS, OTHER], lookup)).response_status


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", "MALFORMED_REQUEST"),
        (b"\x30\x00", "MALFORMED_REQUEST"),
        (request(WORKS)[:-1], "MALFORMED_REQUEST"),
        (request(WORKS) + b"\x00", "MALFORMED_REQUEST"),
        (request(), "MALFORMED_REQUEST"),
        (request(WORKS, version=bytes.fromhex("a003020101")), "MALFORMED_REQUEST"),
        (request(WORKS, version=bytes.fromhex("a003020100")), "SUCCESSFUL"),
        (request(WORKS, extensions=nonce(0)), "MALFORMED_REQUEST"),  # RFC 9654 section 2.1
        (request(WORKS, extensions=nonce(1)), "SUCCESSFUL"),
        (request(WORKS, extensions=nonce(128)), "SUCCESSFUL"),
        (request(WORKS, extensions=nonce(129)), "MALFORMED_REQUEST"),
        (request(WORKS, extensions=extension("1.2.3.4", b"\x05\x00")), "SUCCESSFUL"),
        (request(WORKS, extensions=extension("1.2.3.4", b"\x05\x00", critical=True)), "UNAUTHORIZED"),
        (request(WORKS, algorithm="1.3.14.3.2.27"), "UNAUTHORIZED"),
        (request(make_issuer("Works CA", ec.generate_private_key(ec.SECP256R1()))), "UNAUTHORIZED"),
    ],
)
def test_requests_that_get_no_answer_get_the_reason(data: bytes, status: str) -> None:
    assert answered(data) is reference.OCSPResponseStatus[status]


def test_only_its_own_issuer_speaks_for_a_certificate() -> None:
    answer = reference.load_der_ocsp_response(respond(request(OTHER, WORKS), [WORKS, OTHER], lookup))
    first, second = answer.responses
    assert first.certificate_status is reference.OCSPCertStatus.GOOD
    assert second.certificate_status is reference.OCSPCertStatus.UNKNOWN
    assert answer.responder_key_hash == _hashes(OTHER)[1]


@example(19, b"\x00")  # a NULL in the place of which two elements stand
@given(st.integers(0, 120), st.binary(min_size=1, max_size=3))
def test_a_damaged_request_gets_some_answer(at: int, junk: bytes) -> None:
    data = bytearray(request(WORKS, extensions=nonce(8)))
    data[at : at + len(junk)] = junk
    assert answered(bytes(data)) in reference.OCSPResponseStatus


@given(st.integers(-(2**200), 2**200))
def test_integers_are_written_as_they_are_read(value: int) -> None:
    encoded = asn1.integer(value)
    assert asn1.Reader(encoded).integer() == value
    assert len(encoded) == 2 or encoded[2:4] not in (b"\x00\x00", b"\xff\xff")
