"""The authority, judged by openssl and by a TLS handshake."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lockwire.pki.authority.authority import Authority, Issued, server_common_name
from lockwire.pki.authority.certificates import random_serial
from lockwire.pki.certificate import alternative_names, common_name, common_name_of, describe
from lockwire.pki.errors import (
    AuthorityExistsError,
    ExpiredError,
    InvalidNameError,
    MalformedFileError,
    MismatchError,
    MissingFileError,
    NameTakenError,
    UnsafeKeyError,
)

NAMES = ["localhost", "plant", "plant.local"]
ADDRESSES = ["192.0.2.7", "2001:db8::7", "127.0.0.1", "::1"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "data" / "ca")


def openssl(*arguments: object) -> str:
    result = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


def write(folder: Path, issued: Issued) -> tuple[Path, Path]:
    certificate, key = folder / "leaf.pem", folder / "leaf.key"
    certificate.write_bytes(issued.chain)
    key.write_bytes(issued.key)
    return certificate, key


# --- what it makes


def test_a_new_authority_has_a_root_and_an_intermediate_that_issues_end_entities_only(
    authority: Authority,
) -> None:
    root = authority.root.extensions.get_extension_for_class(x509.BasicConstraints).value
    intermediate = authority.intermediate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert root.ca
    assert intermediate.ca
    assert intermediate.path_length == 0
    for certificate in (authority.root, authority.intermediate):
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical
        assert usage.value.key_cert_sign
        assert usage.value.crl_sign
        assert not usage.value.digital_signature
    now = datetime.datetime.now(datetime.UTC)
    assert (authority.root.not_valid_after_utc - now).days in range(7300, 7306)
    assert (authority.intermediate.not_valid_after_utc - now).days in range(3650, 3653)


def test_keys_are_for_their_owner_only_in_a_folder_for_its_owner_only(authority: Authority) -> None:
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(authority.folder.parent.stat().st_mode) == 0o700
    for name in ("root.key", "intermediate.key", "issued.jsonl"):
        assert stat.S_IMODE((authority.folder / name).stat().st_mode) == 0o600
    for name in ("root.key", "intermediate.key"):
        assert (authority.folder / name).read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")


def test_devices_install_the_root_alone_and_the_broker_trusts_the_intermediate_too(
    authority: Authority,
) -> None:
    assert x509.load_pem_x509_certificates(authority.device_ca.read_bytes()) == [authority.root]
    assert x509.load_pem_x509_certificates(authority.client_ca.read_bytes()) == [
        authority.root,
        authority.intermediate,
    ]


def test_nothing_is_left_beside_a_new_authority(authority: Authority) -> None:
    assert [entry.name for entry in authority.folder.parent.iterdir()] == ["ca"]
    assert sorted(entry.name for entry in authority.folder.iterdir()) == [
        "ca.pem", "clients.pem", "intermediate.key", "intermediate.pem",
        "issued.jsonl", "root.key", "root.pem",
    ]  # fmt: skip


def test_an_authority_may_be_made_in_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir(mode=0o755)
    authority = Authority.create(tmp_path / "ca")
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700
    authority.issue_client("pump-7")
    assert len(Authority.open(tmp_path / "ca").ledger) == 3


def test_an_authority_is_not_made_over_another(authority: Authority) -> None:
    with pytest.raises(AuthorityExistsError) as caught:
        Authority.create(authority.folder)
    assert str(authority.folder) in str(caught.value)


def test_an_authority_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="ca"):
        Authority.create(tmp_path / "ca")
    assert [entry.name for entry in tmp_path.iterdir()] == ["ca"]


# --- server certificates


def test_openssl_verifies_a_server_certificate_for_each_name_and_address(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, _key = write(tmp_path, authority.issue_server(NAMES, ADDRESSES))
    common = ("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", authority.device_ca,
              "-untrusted", authority.folder / "intermediate.pem")  # fmt: skip
    for name in [*NAMES, "192.0.2.7"]:
        assert openssl(*common, "-verify_hostname", name, certificate).endswith("OK\n")
    for address in ADDRESSES:
        assert openssl(*common, "-verify_ip", address, certificate).endswith("OK\n")


def test_every_address_stands_in_a_server_certificate_as_ip_and_as_dns_name(authority: Authority) -> None:
    issued = authority.issue_server(NAMES, ADDRESSES)
    names, addresses = alternative_names(issued.certificate)
    assert names == {*NAMES, *ADDRESSES}
    assert addresses == set(ADDRESSES)
    assert common_name_of(issued.certificate.subject) == "192.0.2.7"


@pytest.mark.parametrize(
    ("names", "addresses", "expected"),
    [
        (["localhost", "plant"], ["127.0.0.1", "192.0.2.7"], "192.0.2.7"),
        (["localhost", "plant"], ["127.0.0.1", "2001:db8::7"], "2001:db8::7"),
        (["localhost", "plant"], ["127.0.0.1", "::1"], "plant"),
        (["localhost", "p" * 65, "q"], [], "q"),
        (["localhost"], ["127.0.0.1"], "localhost"),
        ([], ["127.0.0.1"], "localhost"),
    ],
)
def test_the_common_name_of_a_server_is_what_devices_use(
    names: list[str], addresses: list[str], expected: str
) -> None:
    assert server_common_name(names, addresses) == expected


def test_a_server_certificate_says_what_it_is_for(authority: Authority) -> None:
    extensions = authority.issue_server(NAMES, ADDRESSES).certificate.extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_encipherment
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    issuer = authority.intermediate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert (
        extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        == issuer.key_identifier
    )


def test_a_chain_is_the_leaf_and_then_the_intermediate(authority: Authority) -> None:
    issued = authority.issue_server(NAMES, ADDRESSES)
    assert x509.load_pem_x509_certificates(issued.chain) == [issued.certificate, authority.intermediate]
    key = serialization.load_pem_private_key(issued.key, None)
    assert key.public_key() == issued.certificate.public_key()


def test_a_certificate_is_valid_since_yesterday_for_825_days(authority: Authority) -> None:
    now = datetime.datetime.now(datetime.UTC)
    certificate = authority.issue_server(NAMES, ADDRESSES, now + datetime.timedelta(days=400)).certificate
    assert certificate.not_valid_before_utc <= now + datetime.timedelta(days=399)
    # both ends belong to the validity
    length = (
        certificate.not_valid_after_utc - certificate.not_valid_before_utc + datetime.timedelta(seconds=1)
    )
    assert length == datetime.timedelta(days=825)


def test_a_leaf_lies_within_the_validity_of_its_issuer(authority: Authority) -> None:
    end = authority.intermediate.not_valid_after_utc
    first = authority.issue_server(NAMES, ADDRESSES).certificate
    last = authority.issue_server(NAMES, ADDRESSES, end - datetime.timedelta(days=3)).certificate
    assert first.not_valid_before_utc >= authority.intermediate.not_valid_before_utc
    assert last.not_valid_after_utc == end


def test_an_authority_that_has_ended_issues_nothing(authority: Authority) -> None:
    late = authority.intermediate.not_valid_after_utc + datetime.timedelta(days=1)
    with pytest.raises(ExpiredError, match=r"intermediate\.pem: This certificate ended on"):
        authority.issue_server(NAMES, ADDRESSES, late)


def test_a_server_without_name_and_address_is_refused(authority: Authority) -> None:
    with pytest.raises(InvalidNameError):
        authority.issue_server([], [])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_and_server_certificates_shake_hands_with_the_host_name_checked(
    authority: Authority, tmp_path: Path, host: str, version: ssl.TLSVersion
) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "client").mkdir()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*write(tmp_path / "server", authority.issue_server(NAMES, ADDRESSES)))
    server.load_verify_locations(authority.client_ca)
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    client = ssl.create_default_context(cafile=authority.device_ca)
    client.load_cert_chain(*write(tmp_path / "client", authority.issue_client("pump-7")))
    client.minimum_version = client.maximum_version = version
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT

    seen: list[str | None] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with server.wrap_socket(connection, server_side=True) as tls:
            seen.append(common_name(tls.getpeercert(binary_form=True) or b""))
            tls.sendall(b"hello")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with (
            socket.create_connection(listener.getsockname(), timeout=10) as plain,
            client.wrap_socket(plain, server_hostname=host) as tls,
        ):
            assert tls.recv(5) == b"hello"
            assert tls.version() == {772: "TLSv1.3", 771: "TLSv1.2"}[version]
        thread.join(10)
    assert seen == ["pump-7"]


def test_a_device_that_sends_its_certificate_without_the_intermediate_is_verified_as_well(
    authority: Authority, tmp_path: Path
) -> None:
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(authority.issue_client("pump-7").certificate.public_bytes(serialization.Encoding.PEM))
    assert openssl("verify", "-purpose", "sslclient", "-CAfile", authority.client_ca, leaf).endswith("OK\n")


# --- client certificates


def test_openssl_verifies_a_client_certificate_as_one(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue_client("Pumpe 7 (Süd)")
    certificate, key = write(tmp_path, issued)
    common = (
        "-CAfile",
        authority.device_ca,
        "-untrusted",
        authority.folder / "intermediate.pem",
        certificate,
    )
    assert openssl("verify", "-x509_strict", "-purpose", "sslclient", *common).endswith("OK\n")
    refused = subprocess.run(
        ["openssl", "verify", "-purpose", "sslserver", *map(str, common)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert common_name_of(issued.certificate.subject) == "Pumpe 7 (Süd)"
    assert openssl("x509", "-in", certificate, "-noout", "-pubkey") == openssl("pkey", "-in", key, "-pubout")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is empty"),
        ("x" * 65, "65 characters"),
        ("\N{GRINNING FACE}" * 61, "240 bytes"),
        ("a/b", "contains '/'"),
        ("a\\b", "contains '\\\\\\\\'"),
        ("a+", "contains '+'"),
        ("#", "contains '#'"),
        ("a\0b", "U\\+0000"),
        ("a\nb", "U\\+000A"),
        ("a\x7fb", "U\\+007F"),
        ("a\u202eb", "U\\+202E"),
        ("a\ud800b", "U\\+D800"),
        ("..", "begins with a dot"),
        (".hidden", "begins with a dot"),
        ("-rf", "a dash"),
        (" a", "a space"),
        ("a ", "a space"),
        ("u\u0308", "normal form C"),
        ("ca", "reserved"),
        ("CA", "reserved"),
        ("anonymous", "reserved"),
    ],
)
def test_a_name_that_does_not_fit_everywhere_is_refused(authority: Authority, name: str, why: str) -> None:
    with pytest.raises(InvalidNameError, match=why.replace("'+'", "'\\+'")) as caught:
        authority.issue_client(name)
    assert "Choose a name" in caught.value.remedy
    assert len(authority.ledger) == 2


@pytest.mark.parametrize("name", ["x" * 64, "pump-7", "AA:BB:CC:DD:EE:FF", "é", "a b", "$gate", "7"])
def test_names_that_fit(authority: Authority, name: str) -> None:
    assert common_name_of(authority.issue_client(name).certificate.subject) == name


def test_a_name_is_given_once_and_again_only_on_request(authority: Authority) -> None:
    first = authority.issue_client("pump-7")
    with pytest.raises(NameTakenError) as caught:
        authority.issue_client("pump-7")
    assert f"{first.certificate.serial_number:x}" in str(caught.value)
    assert "choose another name" in caught.value.remedy
    with pytest.raises(NameTakenError):
        Authority.open(authority.folder).issue_client("pump-7")
    assert authority.issue_client("pump-7", replace=True).certificate != first.certificate


def test_threads_that_ask_for_one_name_get_one_certificate(authority: Authority) -> None:
    def issue(_: int) -> bool:
        try:
            authority.issue_client("pump-7")
        except NameTakenError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(issue, range(50))) == 1
    assert len(Authority.open(authority.folder).ledger) == 3


# --- the ledger


def test_everything_issued_is_in_the_ledger(authority: Authority) -> None:
    server = authority.issue_server(NAMES, ADDRESSES).certificate
    client = authority.issue_client("pump-7").certificate
    lines = [json.loads(line) for line in (authority.folder / "issued.jsonl").read_text().splitlines()]
    assert [(line["event"], line["profile"], line["name"]) for line in lines] == [
        ("issued", "root", common_name_of(authority.root.subject)),
        ("issued", "intermediate", common_name_of(authority.intermediate.subject)),
        ("issued", "server", "192.0.2.7"),
        ("issued", "client", "pump-7"),
    ]
    assert [line["serial"] for line in lines[2:]] == [f"{one.serial_number:x}" for one in (server, client)]
    assert lines[2]["alternative_names"] == sorted({*NAMES, *ADDRESSES})
    opened = Authority.open(authority.folder).ledger
    entry = opened.latest("client", "pump-7")
    assert entry is not None
    assert entry == opened.by_serial(client.serial_number)
    assert entry.not_after == client.not_valid_after_utc


def test_a_line_cut_short_by_a_crash_costs_nothing_but_itself(authority: Authority) -> None:
    path = authority.folder / "issued.jsonl"
    authority.issue_client("first")
    whole = path.read_bytes()
    authority.issue_client("second")
    for cut in (len(whole) + 3, len(whole) + 40, -2):
        path.write_bytes(path.read_bytes()[:cut])
        again = Authority.open(authority.folder)
        assert again.ledger.latest("client", "first") is not None
        assert again.ledger.latest("client", "second") is None
        again.issue_client("second")
        reopened = Authority.open(authority.folder)
        assert reopened.ledger.latest("client", "second") is not None
        path.write_bytes(whole + path.read_bytes().splitlines(keepends=True)[-1])


def test_a_ledger_line_that_is_no_entry_is_named(authority: Authority) -> None:
    path = authority.folder / "issued.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event": "issued"}\n')
    with pytest.raises(MalformedFileError, match=r"issued\.jsonl:3: "):
        Authority.open(authority.folder)
    path.write_bytes(b"hello\n")
    with pytest.raises(MalformedFileError, match=r"issued\.jsonl:1: "):
        Authority.open(authority.folder)


def test_serial_numbers_are_random_positive_and_within_127_bits() -> None:
    serials = {random_serial() for _ in range(1000)}
    assert len(serials) == 1000
    assert all(0 < serial < 1 << 127 for serial in serials)
    assert max(serials) > 1 << 120


# --- opening


def test_an_opened_authority_issues_what_the_made_one_would(authority: Authority, tmp_path: Path) -> None:
    (authority.folder / "root.key").unlink()  # may be kept elsewhere
    certificate, _ = write(tmp_path, Authority.open(authority.folder).issue_client("pump-7"))
    assert openssl("verify", "-CAfile", authority.device_ca, "-untrusted", certificate, certificate)


@pytest.mark.parametrize(
    "name", ["root.pem", "intermediate.pem", "intermediate.key", "ca.pem", "clients.pem"]
)
def test_a_missing_file_is_named_with_what_to_do(authority: Authority, name: str) -> None:
    (authority.folder / name).unlink()
    with pytest.raises(MissingFileError, match="No such file") as caught:
        Authority.open(authority.folder)
    assert caught.value.file == authority.folder / name
    assert caught.value.remedy


@pytest.mark.parametrize(
    "name", ["root.pem", "intermediate.pem", "intermediate.key", "ca.pem", "clients.pem"]
)
@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"x" * 2_000_000]
)
def test_a_damaged_file_is_named_with_what_to_do(authority: Authority, name: str, content: bytes) -> None:
    (authority.folder / name).write_bytes(content)
    with pytest.raises(MalformedFileError) as caught:
        Authority.open(authority.folder)
    assert caught.value.file == authority.folder / name
    assert caught.value.remedy


def test_an_encrypted_key_is_said_to_be_one(authority: Authority) -> None:
    path = authority.folder / "intermediate.key"
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(MalformedFileError, match="encrypted"):
        Authority.open(authority.folder)


def test_a_key_that_others_can_read_is_refused(authority: Authority) -> None:
    path = authority.folder / "intermediate.key"
    path.chmod(0o640)
    with pytest.raises(UnsafeKeyError, match=rf"0640.*chmod 600 {path}"):
        Authority.open(authority.folder)


def test_files_of_two_authorities_do_not_mix(authority: Authority, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other")
    for name, culprit in (
        ("root.pem", "intermediate.pem"),
        ("intermediate.key", "intermediate.key"),
        ("ca.pem", "ca.pem"),
        ("clients.pem", "clients.pem"),
    ):
        mine = (authority.folder / name).read_bytes()
        (authority.folder / name).write_bytes((other.folder / name).read_bytes())
        with pytest.raises(MismatchError) as caught:
            Authority.open(authority.folder)
        assert caught.value.file == authority.folder / culprit
        (authority.folder / name).write_bytes(mine)
    Authority.open(authority.folder)


def test_an_authority_that_has_ended_or_not_begun_is_not_opened(authority: Authority) -> None:
    with pytest.raises(ExpiredError, match=r"intermediate\.pem: This certificate ended"):
        Authority.open(authority.folder, datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3700))
    with pytest.raises(ExpiredError, match="clock"):
        Authority.open(authority.folder, datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC))


# --- reading one field


def test_a_certificate_in_one_line(authority: Authority) -> None:
    certificate = authority.issue_client("pump-7").certificate
    line = describe(certificate.public_bytes(serialization.Encoding.DER))
    assert line.startswith("'pump-7' issued by 'Lockwire intermediate ")
    assert f"serial {certificate.serial_number:x}" in line
    assert line.endswith("P-256")
    assert describe(b"nonsense").startswith("not a certificate (8 bytes")
    assert common_name(b"nonsense") is None


def test_two_common_names_are_no_name() -> None:
    two = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(NameOID.COMMON_NAME, "b")]
    )
    assert common_name_of(two) is None
    assert common_name_of(x509.Name([])) is None
