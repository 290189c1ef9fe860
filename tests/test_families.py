"""The table of device families, and what can be tried of it on the libraries themselves."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lockwire.families import FAMILIES, Family, KeyLimit, UnknownFamilyError, find_family
from lockwire.tls.suites import BY_NAME
from tests.pki.issuing import Signed, issue
from tests.pki.serving import tls_server
from tests.support.peers import find_peer

ASKED_FOR = (
    "arduino-uno-wifi arduino-nano esp8266 esp32 netcontrol wilow teltonika node-red python mosquitto generic"
)


def test_has_every_family() -> None:
    assert list(FAMILIES) == ASKED_FOR.split()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
class TestEveryFamily:
    def test_says_where_its_facts_are_from(self, family: Family) -> None:
        assert family.source
        assert family.title

    def test_has_traps_that_are_sentences(self, family: Family) -> None:
        assert family.traps
        assert all(trap[0].isupper() and trap.endswith(".") for trap in family.traps)

    def test_names_suites_that_there_are(self, family: Family) -> None:
        for name in [*(family.cipher_suites or ()), *family.seen_cipher_suites]:
            assert name in BY_NAME
            assert not BY_NAME[name].is_tls13

    def test_has_sizes_that_tls_allows(self, family: Family) -> None:
        assert 512 <= family.record_size <= 16_384
        assert set(family.fragment_lengths or ()) <= {512, 1024, 2048, 4096}

    def test_has_client_keys_only_where_it_has_client_certificates(self, family: Family) -> None:
        assert family.client_keys is None or family.client_certificates

    def test_cannot_be_changed(self, family: Family) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            family.record_size = 1  # type: ignore[misc]


def test_netcontrol_has_the_ten_suites_of_its_application_note_and_openssl_has_them_too() -> None:
    suites = FAMILIES["netcontrol"].cipher_suites or ()
    assert len(suites) == 10
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(":".join(BY_NAME[name].openssl for name in suites))
    offered = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"}
    assert offered == {BY_NAME[name].openssl for name in suites}


def test_a_key_limit_takes_what_lies_within() -> None:
    limit = KeyLimit("RSA", minimum=2048)
    assert limit.takes("RSA", 2048)
    assert limit.takes("RSA", 8192)
    assert not limit.takes("RSA", 1024)
    assert not limit.takes("EC", 2048)
    assert not KeyLimit("RSA", maximum=2048).takes("RSA", 4096)


def test_finds_a_family_by_name() -> None:
    assert find_family("NetControl") is FAMILIES["netcontrol"]
    with pytest.raises(UnknownFamilyError, match=r"'esp82' is not a device family; did you mean esp8266\?"):
        find_family("esp82")
    with pytest.raises(UnknownFamilyError, match="known are arduino-uno-wifi, "):
        find_family("")


ADDRESS = "127.0.0.1"
CERTIFICATES = {
    "iPAddress": (["127.0.0.1"], "x"),
    "dNSName": (["dns:127.0.0.1"], "x"),
    "commonName": ([], "127.0.0.1"),
}


def connect_python(ca: Path, port: int) -> None:
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection((ADDRESS, port), timeout=10) as connection:
        context.wrap_socket(connection, server_hostname=ADDRESS).send(b"x")


def connect_mosquitto(ca: Path, port: int) -> None:
    words = ["-h", ADDRESS, "-p", str(port), "--cafile", str(ca), "-t", "x", "-m", "x"]
    subprocess.run([find_peer("mosquitto_pub") or "", *words], capture_output=True, timeout=20)


def connect_node(ca: Path, port: int) -> None:
    program = (
        "const [ca, port] = process.argv.slice(1);"
        "const options = {host: '127.0.0.1', port, ca: require('fs').readFileSync(ca)};"
        "const socket = require('tls').connect(options, () => socket.end('x'));"
        "socket.on('error', () => {});"
    )
    words = ["-e", program, str(ca), str(port)]
    subprocess.run([find_peer("node") or "", *words], capture_output=True, timeout=20)


def connect_mbedtls(ca: Path, port: int) -> None:
    tls = pytest.importorskip("mbedtls.tls", reason="python-mbedtls is not installed")
    configuration = tls.TLSConfiguration(
        trust_store=tls.TrustStore.from_pem_file(ca), validate_certificates=True
    )
    with socket.create_connection((ADDRESS, port), timeout=10) as connection:
        client = tls.ClientContext(configuration).wrap_socket(connection, server_hostname=ADDRESS)
        client.do_handshake()
        client.send(b"x")


@pytest.mark.parametrize("field", CERTIFICATES)
@pytest.mark.parametrize(
    ("name", "connect"),
    [
        ("python", connect_python),
        pytest.param("mosquitto", connect_mosquitto, marks=pytest.mark.peer("mosquitto_pub")),
        pytest.param("node-red", connect_node, marks=pytest.mark.peer("node")),
        ("esp32", connect_mbedtls),
    ],
)
def test_an_address_is_found_where_the_table_says(
    tmp_path: Path, name: str, connect: Callable[[Path, int], None], field: str
) -> None:
    names, common_name = CERTIFICATES[field]
    now = datetime.datetime.now(datetime.UTC)
    root = issue("Plant root", ca=True, now=now)
    server: Signed = issue(common_name, root, names=names, now=now)
    (tmp_path / "ca.pem").write_bytes(root.pem)
    received: list[bytes] = []
    with (
        tls_server(tmp_path, [server], ssl.TLSVersion.TLSv1_2, received=received) as port,
        contextlib.suppress(Exception),  # each library has an exception of its own for a refusal
    ):
        connect(tmp_path / "ca.pem", port)
    assert any(received) == (field in (FAMILIES[name].address_fields or ()))


def test_an_intermediate_is_root_enough_for_mbed_tls(tmp_path: Path) -> None:
    """As `lockwire cert chain` says where no root was found; OpenSSL's clients want the root."""
    pytest.importorskip("mbedtls.tls", reason="python-mbedtls is not installed")
    now = datetime.datetime.now(datetime.UTC)
    middle = issue("Plant intermediate", issue("Plant root", ca=True, now=now), ca=True, now=now)
    server = issue("x", middle, names=["dns:127.0.0.1", "127.0.0.1"], now=now)
    (tmp_path / "ca.pem").write_bytes(middle.pem)
    received: list[bytes] = []
    with tls_server(tmp_path, [server, middle], ssl.TLSVersion.TLSv1_2, received=received) as port:
        connect_mbedtls(tmp_path / "ca.pem", port)
    assert received == [b"x"]


def test_ed25519_is_nothing_to_mbed_tls() -> None:
    x509 = pytest.importorskip("mbedtls.x509", reason="python-mbedtls is not installed")
    exceptions = pytest.importorskip("mbedtls.exceptions")
    with pytest.raises(exceptions.TLSError):
        x509.CRT.from_DER(issue("x", key="Ed25519").der)
    assert x509.CRT.from_DER(issue("x").der).subject
    limits = FAMILIES["esp32"].server_keys or ()
    assert {limit.kind for limit in limits} == {"RSA", "EC"}
