"""Certificates of every profile and key, judged by OpenSSL; requests, names that are refused, renewal."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from lockwire.pki.authority import branches, profiles
from lockwire.pki.authority.alternatives import alternative_text, alternatives_of, parse_alternative
from lockwire.pki.authority.authority import Authority, Issued
from lockwire.pki.authority.founding import NewAuthority
from lockwire.pki.authority.ledger import Revocation
from lockwire.pki.authority.points import RevocationPoints
from lockwire.pki.authority.profiles import BRIDGE, CLIENT, OPERATOR, PROFILES, SERVER, Profile
from lockwire.pki.authority.requests import make_request, profile_of, read_signing_request, request_for
from lockwire.pki.certificate import common_name_of
from lockwire.pki.errors import (
    InvalidNameError,
    MalformedFileError,
    NameTakenError,
    RequestError,
    UnknownCertificateError,
    WeakKeyError,
)
from lockwire.pki.keys import KeyKind, generate_key
from tests.support.openssl import openssl, verifies

pytestmark = pytest.mark.peer("openssl")

URIS = RevocationPoints("http://ca.example/crl-{issuer}.der", "http://ca.example/ocsp")
KEYS = (KeyKind.P256, KeyKind.P384, KeyKind.RSA_2048, KeyKind.ED25519)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """With an RSA chain. For tests that use names of their own."""
    folder = tmp_path_factory.mktemp("shared") / "ca"
    return Authority.create(folder, wanted=NewAuthority(rsa=KeyKind.RSA_2048))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca")


def write(folder: Path, issued: Issued) -> Path:
    (folder / "leaf.pem").write_bytes(issued.chain)
    return folder / "leaf.pem"


def text_of(leaf: Path) -> str:
    return openssl("x509", "-in", leaf, "-noout", "-text")


# --- profiles


@pytest.mark.parametrize("kind", KEYS, ids=lambda kind: kind.value)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_openssl_accepts_every_profile_with_every_key(
    shared: Authority, tmp_path: Path, profile: Profile, kind: KeyKind
) -> None:
    name = f"{profile.name}-{kind.value}"
    issued = shared.issue([make_request(name, profile, key=kind)])[0]
    leaf = write(tmp_path, issued)
    anchor = shared.rsa_device_ca if kind.is_rsa else shared.device_ca
    usages = {True: "sslserver"} if profile is SERVER else {True: "sslclient", False: "sslserver"}
    if profile is BRIDGE:
        usages = {True: "sslserver"}
    for accepted, purpose in usages.items():
        assert verifies(leaf, anchor, "-x509_strict", "-purpose", purpose, chain=leaf) is accepted
    text = text_of(leaf)
    encipherment = kind.is_rsa and profile.is_server
    usage = "Digital Signature, Key Encipherment" if encipherment else "Digital Signature"
    assert f"X509v3 Key Usage: critical\n                {usage}\n" in text
    assert "X509v3 Basic Constraints: critical\n                CA:FALSE" in text
    assert "md5" not in text.lower()
    assert "sha1" not in text.lower()
    assert "X509v3 Subject Key Identifier" in text
    assert "X509v3 Authority Key Identifier" in text
    begin = issued.certificate.not_valid_before_utc
    assert begin <= datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=23)


@pytest.mark.parametrize(
    "kind", [KeyKind.P384, KeyKind.RSA_3072, KeyKind.ED25519], ids=lambda kind: kind.value
)
def test_an_authority_of_another_kind_of_key(tmp_path: Path, kind: KeyKind) -> None:
    made = Authority.create(tmp_path / "ca", wanted=NewAuthority(kind))
    leaf = write(tmp_path, made.issue([make_request("plant", SERVER)])[0])
    assert verifies(leaf, made.device_ca, "-x509_strict", "-purpose", "sslserver", chain=leaf)
    assert Authority.open(tmp_path / "ca").root == made.root


def test_alternative_names_of_every_kind(shared: Authority, tmp_path: Path) -> None:
    names = [
        "plant.local",
        "*.plant.local",
        "192.0.2.7",
        "2001:db8::7",
        "urn:uuid:1",
        "ops@plant.local",
        "müller.local",
    ]
    leaf = write(tmp_path, shared.issue([make_request("plant-a", SERVER, names)])[0])
    printed = openssl("x509", "-in", leaf, "-noout", "-ext", "subjectAltName")
    for expected in (
        "DNS:plant.local", "DNS:*.plant.local", "DNS:192.0.2.7", "IP Address:192.0.2.7", "DNS:2001:db8::7",
        "URI:urn:uuid:1", "email:ops@plant.local", "DNS:xn--mller-kva.local",
    ):  # fmt: skip
        assert expected in printed


def test_a_clients_address_is_not_written_twice(shared: Authority) -> None:
    issued = shared.issue([make_request("cam-1", CLIENT, ["192.0.2.99", "DNS:cam-1.local"])])[0]
    found = [alternative_text(one) for one in alternatives_of(issued.certificate)]
    assert found == ["IP:192.0.2.99", "DNS:cam-1.local"]


@pytest.mark.parametrize(
    "text",
    ["", "a b", "-a", "a..b", "x" * 64, "DNS:", "IP:plant", "email:a", "URI:plant", "a/b", "IP:1.2.3.4/8"],
)
def test_what_is_no_alternative_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidNameError):
        parse_alternative(text)


def test_revocation_points_stand_in_certificates(authority: Authority, tmp_path: Path) -> None:
    authority.publish_at(URIS)
    leaf = write(tmp_path, Authority.open(authority.folder).issue([make_request("plant", SERVER)])[0])
    text = text_of(leaf)
    assert f"URI:http://ca.example/crl-{authority.issuers[0].identifier[:8]}.der" in text
    assert "OCSP - URI:http://ca.example/ocsp" in text
    assert verifies(leaf, authority.device_ca, "-x509_strict", chain=leaf)
    other = authority.issue([make_request("other", SERVER)], points=RevocationPoints())[0]
    assert "URI" not in text_of(write(tmp_path, other))


@pytest.mark.parametrize("days", [0, -1, 7306])
def test_a_validity_that_no_certificate_has(days: int) -> None:
    with pytest.raises(RequestError, match="valid for"):
        make_request("pump", CLIENT, days=days)


def test_days_are_counted_from_beginning_to_end_and_end_with_the_authority(authority: Authority) -> None:
    short, long = authority.issue([make_request("a", CLIENT, days=10), make_request("b", CLIENT, days=7000)])
    length = short.certificate.not_valid_after_utc - short.certificate.not_valid_before_utc
    assert length == datetime.timedelta(days=10, seconds=-1)
    assert long.certificate.not_valid_after_utc == authority.intermediate.not_valid_after_utc


# --- names


def test_one_name_is_one_client_whatever_its_profile(authority: Authority) -> None:
    authority.issue([make_request("ada", OPERATOR)])
    for profile in (CLIENT, OPERATOR, BRIDGE):
        with pytest.raises(NameTakenError):
            authority.issue([make_request("ada", profile)])
    authority.issue([make_request("ada", SERVER)])


def test_a_client_cannot_have_a_servers_name(authority: Authority) -> None:
    authority.issue_server(["plant.local"], ["192.0.2.7"])
    for request in (
        make_request("plant.local", CLIENT),
        make_request("192.0.2.7", CLIENT),
        make_request("pump", CLIENT, ["plant.local"]),
        make_request("pump", OPERATOR, ["192.0.2.7"]),
    ):
        with pytest.raises(InvalidNameError, match="a name of a server"):
            authority.issue([request])
    authority.issue([make_request("bridge", BRIDGE, ["plant.local"])])


def test_names_are_compared_as_clients_do_without_regard_to_case(authority: Authority) -> None:
    """BearSSL looks at a server's name only, not at what its certificate is for."""
    authority.issue_server(["Gate.local"], [])
    for request in (make_request("GATE.local", CLIENT), make_request("pump-8", CLIENT, ["gate.LOCAL"])):
        with pytest.raises(InvalidNameError, match="is a name of a server"):
            authority.issue([request])
    authority.issue_client("valve")
    authority.issue_client("Valve")  # another MQTT user
    with pytest.raises(InvalidNameError, match=r"is a name of '[Vv]alve'"):
        authority.issue([make_request("pump-9", CLIENT, ["VALVE"])])


def test_a_client_cannot_have_another_clients_name_among_its_alternatives(authority: Authority) -> None:
    authority.issue([make_request("pump", CLIENT, ["urn:pump"])])
    for name in ("DNS:pump", "urn:pump"):
        with pytest.raises(InvalidNameError, match="a name of 'pump'"):
            authority.issue([make_request("valve", CLIENT, [name])])
    authority.issue([make_request("pump", CLIENT, ["urn:pump"])], replace=True)


def test_all_are_issued_or_none(authority: Authority) -> None:
    authority.issue_client("third")
    before = authority.ledger.path.read_bytes()
    with pytest.raises(NameTakenError):
        authority.issue([make_request(name, CLIENT) for name in ("first", "second", "third")])
    with pytest.raises(NameTakenError, match="twice"):
        authority.issue([make_request(name, CLIENT) for name in ("first", "first")])
    assert authority.ledger.path.read_bytes() == before


# --- signing requests


def csr(
    name: str | None = "valve",
    alternative: list[x509.GeneralName] | None = None,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> tuple[bytes, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = [] if name is None else [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if alternative:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), key


def test_a_device_keeps_its_key_and_its_alternative_names(authority: Authority, tmp_path: Path) -> None:
    names = [
        x509.DNSName("valve.local"),
        x509.UniformResourceIdentifier("urn:valve:1"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.44")),
        x509.RFC822Name("ops@plant.local"),
    ]
    data, key = csr(alternative=names)
    issued = authority.issue([request_for(read_signing_request(data), CLIENT)])[0]
    assert issued.key == b""
    assert issued.certificate.public_key() == key.public_key()
    assert list(alternatives_of(issued.certificate)) == names
    assert not issued.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    leaf = write(tmp_path, issued)
    assert verifies(leaf, authority.device_ca, "-x509_strict", "-purpose", "sslclient", chain=leaf)


def test_a_request_as_openssl_makes_it_in_der(authority: Authority, tmp_path: Path) -> None:
    openssl(
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        tmp_path / "k",
        "-subj",
        "/O=x/CN=meter",
        "-outform",
        "DER",
        "-out",
        tmp_path / "csr",
    )
    request = request_for(read_signing_request((tmp_path / "csr").read_bytes()), CLIENT)
    issued = authority.issue([request])[0]
    assert issued.certificate.subject.rfc4514_string() == "CN=meter"


def test_alternative_names_that_are_not_allowed_are_listed_and_refused(authority: Authority) -> None:
    names = [
        x509.DNSName("valve.local"),
        x509.DNSName("plant.local"),
        x509.DNSName("*.local"),
        x509.DNSName("not a host"),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")])),
    ]
    asked = read_signing_request(csr(alternative=names)[0])
    with pytest.raises(RequestError) as caught:
        request_for(asked, CLIENT, taken={"plant.local"})
    for refused in ("plant.local", "*.local", "not a host", "RegisteredID", "DirectoryName"):
        assert refused in caught.value.problem
    assert "DNS:valve.local" not in caught.value.problem
    kept = request_for(asked, CLIENT, taken={"plant.local"}, drop=True)
    assert kept.alternative == (x509.DNSName("valve.local"),)


def test_a_request_with_an_extension_twice_is_malformed() -> None:
    names = [x509.DNSName("pump.local")]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.IssuerAlternativeName(names), critical=False)
    der = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
        serialization.Encoding.DER
    )
    with pytest.raises(MalformedFileError, match="no signing request"):
        read_signing_request(der.replace(bytes.fromhex("0603551d12"), bytes.fromhex("0603551d11")))


def test_a_request_without_a_name_needs_one() -> None:
    asked = read_signing_request(csr(None)[0])
    with pytest.raises(RequestError, match="no common name"):
        request_for(asked, CLIENT)
    assert request_for(asked, CLIENT, "valve").name == "valve"


def test_a_request_that_its_key_did_not_sign_is_refused() -> None:
    data, _ = csr()
    request = x509.load_pem_x509_csr(data)
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    place = der.index(b"valve")
    der[place : place + 5] = b"admin"
    with pytest.raises(RequestError, match="not signed by the key in it"):
        read_signing_request(bytes(der))


def test_a_weak_key_in_a_request_is_refused_with_the_reason() -> None:
    data, _ = csr(key=rsa.generate_private_key(65537, 1024))
    with pytest.raises(WeakKeyError, match="1024 bits"):
        read_signing_request(data)


@pytest.mark.parametrize("data", [b"", b"hello", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(MalformedFileError):
        read_signing_request(data)


# --- renewal


def test_a_renewed_certificate_has_the_same_key_and_names_and_a_new_validity(authority: Authority) -> None:
    now = datetime.datetime.now(datetime.UTC)
    old = authority.issue([make_request("pump", OPERATOR, ["urn:pump"])])[0].certificate
    new = authority.renew(old, OPERATOR, now=now + datetime.timedelta(days=300)).certificate
    assert new.public_key() == old.public_key()
    assert new.subject == old.subject
    assert alternatives_of(new) == alternatives_of(old)
    assert new.serial_number != old.serial_number
    assert new.not_valid_after_utc - old.not_valid_after_utc >= datetime.timedelta(days=299)
    assert [entry.name for entry in authority.ledger.current(now)] == ["pump"]


def test_what_is_revoked_or_anothers_is_not_renewed(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority.create(tmp_path / "other").issue_client("pump").certificate
    with pytest.raises(RequestError, match="does not come from this authority"):
        authority.renew(stranger, CLIENT)
    own = authority.issue_client("pump").certificate
    serial = f"{own.serial_number:x}"
    now = datetime.datetime.now(datetime.UTC)
    reason = x509.ReasonFlags.key_compromise
    authority.ledger.revoke([Revocation(now, serial, reason, "", "", "pump", None)])
    with pytest.raises(RequestError, match="was revoked on"):
        authority.renew(own, CLIENT)


def test_a_certificate_is_found_by_name_and_by_serial(authority: Authority) -> None:
    first = authority.issue_client("pump").certificate
    second = authority.issue_client("pump", replace=True).certificate
    find = authority.ledger.find
    assert find("pump").serial == f"{second.serial_number:x}"
    assert find(f"{first.serial_number:032X}").serial == f"{first.serial_number:x}"
    with pytest.raises(UnknownCertificateError):
        find("nobody")
    authority.issue([make_request("pump", SERVER)])
    with pytest.raises(RequestError, match="several kinds"):
        find("pump")


def test_the_profile_of_a_certificate_of_another_origin() -> None:
    key = generate_key(KeyKind.P256)
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    )  # fmt: skip
    for profile in (SERVER, CLIENT, BRIDGE):
        usage = x509.ExtendedKeyUsage(profile.extended_key_usage)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert profile_of(builder.add_extension(usage, False).sign(key, hashes.SHA256())) is profile
    assert profile_of(builder.sign(key, hashes.SHA256())) is CLIENT


def test_the_ledger_says_who_asked(authority: Authority) -> None:
    authority.issue_client("pump", by="ada (uid 1000)")
    assert Authority.open(authority.folder).ledger.find("pump").by == "ada (uid 1000)"


# --- the RSA chain


def test_a_server_with_an_rsa_key_is_verified_by_who_knows_either_root(
    shared: Authority, tmp_path: Path
) -> None:
    leaf = write(tmp_path, shared.issue_server(["rsa.local"], [], branch=branches.RSA))
    assert leaf.read_text().count("BEGIN CERTIFICATE") == 3
    for anchor in (shared.device_ca, shared.rsa_device_ca):
        assert verifies(leaf, anchor, "-x509_strict", "-purpose", "sslserver", chain=leaf)
    chain = x509.load_pem_x509_certificates(leaf.read_bytes())
    assert [common_name_of(one.issuer) for one in chain[:2]] == [
        common_name_of(one.subject) for one in chain[1:]
    ]
    assert chain[0].signature_hash_algorithm is not None
    assert all(isinstance(one.public_key(), rsa.RSAPublicKey) for one in chain)


def test_the_broker_trusts_clients_of_both_chains(shared: Authority, tmp_path: Path) -> None:
    for kind in (KeyKind.P256, KeyKind.RSA_2048):
        issued = shared.issue([make_request(f"both-{kind.value}", CLIENT, key=kind)])[0]
        leaf = tmp_path / "alone.pem"
        leaf.write_bytes(issued.certificate.public_bytes(serialization.Encoding.PEM))
        assert verifies(leaf, shared.client_ca, "-purpose", "sslclient")


def test_a_chain_that_is_not_there(authority: Authority) -> None:
    with pytest.raises(RequestError, match="no rsa chain"):
        authority.issue([make_request("pump", CLIENT)], branch=branches.RSA)
    issued = authority.issue([make_request("pump", CLIENT, key=KeyKind.RSA_2048)])[0]
    assert profiles.CLIENT is CLIENT
    assert common_name_of(issued.certificate.issuer) == common_name_of(authority.intermediate.subject)
