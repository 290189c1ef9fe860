"""TLS as clients meet it: versions, certificates, ALPN, resumption, and what a refusal leaves in the log."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography import x509

from lockwire.pki.authority.authority import Authority
from tests.e2e.site import Files, Site
from tests.support import packets
from tests.support.peers import peer_path


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A device of another authority."""
    folder = tmp_path_factory.mktemp("stranger")
    authority = Authority.create(folder / "ca")
    issued = authority.issue_client("stranger")
    files = Files(folder / "ca.pem", folder / "stranger.pem", folder / "stranger.key")
    files.ca.write_bytes(authority.device_ca.read_bytes())
    files.certificate.write_bytes(issued.chain)
    files.key.write_bytes(issued.key)
    return files


def context_of(ca: Path, files: Files | None = None) -> ssl.SSLContext:
    """A client that trusts `ca`, with a certificate where there are files."""
    context = ssl.create_default_context(cafile=str(ca))
    if files is not None:
        context.load_cert_chain(files.certificate, files.key)
    return context


def connect(
    port: int,
    context: ssl.SSLContext,
    username: str | None = None,
    password: str | None = None,
    session: ssl.SSLSession | None = None,
) -> tuple[ssl.SSLSocket, bytes]:
    """TLS and CONNECT; gives the connection and its CONNACK."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    tls = context.wrap_socket(plain, server_hostname="localhost", session=session)
    secret = None if password is None else password.encode()
    tls.sendall(packets.connect("", 4, username=username, password=secret))
    return tls, tls.recv(4)


ACCEPTED = b"\x20\x02\x00\x00"


@pytest.mark.parametrize(
    ("name", "version"), [("tls12", "TLSv1.2"), ("tls13", "TLSv1.3"), ("tls", "TLSv1.3")]
)
def test_the_version_is_the_best_that_the_listener_allows(site: Site, name: str, version: str) -> None:
    tls, answer = connect(site.broker.ports[name], context_of(site.device.ca, site.device))
    with tls:
        assert answer == ACCEPTED
        assert tls.version() == version


@pytest.mark.parametrize(
    ("name", "only"), [("tls12", ssl.TLSVersion.TLSv1_3), ("tls13", ssl.TLSVersion.TLSv1_2)]
)
def test_another_version_is_refused_with_its_alert(site: Site, name: str, only: ssl.TLSVersion) -> None:
    context = context_of(site.device.ca)
    context.minimum_version = context.maximum_version = only
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        connect(site.broker.ports[name], context)


def test_no_certificate_where_one_is_required(site: Site) -> None:
    context = context_of(site.device.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        connect(site.broker.ports["mutual"], context)


def test_no_certificate_where_one_is_required_tls13(site: Site) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        connect(site.broker.ports["mutual"], context_of(site.device.ca))


@pytest.mark.parametrize("name", ["mutual", "tls", "tls12", "wss"])
def test_a_certificate_of_a_stranger_is_refused(site: Site, stranger: Files, name: str) -> None:
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        connect(site.broker.ports[name], context_of(site.device.ca, stranger))


def test_a_client_that_does_not_trust_the_broker(site: Site, stranger: Files) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(site.broker.ports["tls"], context_of(stranger.ca))
    tls, answer = connect(site.broker.ports["tls"], context_of(site.device.ca, site.device))
    tls.close()
    assert answer == ACCEPTED
    assert re.search(r"handshake refused.*unknown.?ca", site.broker.log, re.IGNORECASE)


def test_password_and_certificate_are_both_good_where_both_are_offered(site: Site) -> None:
    port = site.broker.ports["tls"]
    trusting = context_of(site.device.ca)
    for context, username, password, expected in (
        (trusting, "admin", site.password, 0),
        (context_of(site.device.ca, site.device), None, None, 0),
        (trusting, "admin", "wrong", 4),
        (trusting, "nobody", site.password, 4),
        (trusting, None, None, 5),
    ):
        tls, answer = connect(port, context, username, password)
        with tls:
            assert answer == bytes((0x20, 2, 0, expected))


def test_alpn_mqtt_is_agreed_and_others_connect_without(site: Site) -> None:
    for offered, agreed in (
        (["mqtt"], "mqtt"),
        (["http/1.1", "mqtt"], "mqtt"),
        (["http/1.1"], None),
        ([], None),
    ):
        context = context_of(site.device.ca, site.device)
        if offered:
            context.set_alpn_protocols(offered)
        tls, answer = connect(site.broker.ports["mutual"], context)
        with tls:
            assert answer == ACCEPTED
            assert tls.selected_alpn_protocol() == agreed


@pytest.mark.parametrize("name", ["tls12", "tls13", "mutual"])
def test_a_session_is_resumed(site: Site, name: str) -> None:
    context = context_of(site.device.ca, site.device)
    first, answer = connect(site.broker.ports[name], context)
    assert answer == ACCEPTED
    assert not first.session_reused
    session = first.session
    first.close()
    again, answer = connect(site.broker.ports[name], context, session=session)
    with again:
        assert answer == ACCEPTED, "the identity comes back with the session"
        assert again.session_reused


def test_the_server_certificate_names_this_machine(site: Site) -> None:
    tls, _ = connect(site.broker.ports["tls"], context_of(site.device.ca, site.device))
    with tls:
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    extension = x509.load_der_x509_certificate(der).extensions
    names = extension.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    hosts = names.get_values_for_type(x509.DNSName)
    assert "localhost" in hosts
    assert set(addresses) <= set(hosts), "each address as IP and as DNS name"


@pytest.fixture
def s_client(site: Site, tmp_path: Path) -> SClient:
    """Runs openssl s_client against the mutual listener."""
    return SClient(site, tmp_path)


class SClient:
    """openssl s_client, which sends one CONNECT and is closed once its CONNACK is there."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.folder = folder
        self._files = site.device
        self._port = site.broker.ports["mutual"]

    def run(self, *options: str) -> str:
        """What it says of the connection."""
        process = subprocess.Popen(
            [
                peer_path("openssl"), "s_client", "-connect", f"127.0.0.1:{self._port}", "-CAfile",
                str(self._files.ca), "-cert", str(self._files.certificate), "-key", str(self._files.key),
                "-cert_chain", str(self._files.certificate), "-verify_return_error", "-ign_eof", *options,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        guard = threading.Timer(20, process.kill)
        guard.start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(packets.connect("", 4) + packets.disconnect())
        process.stdin.flush()
        said = process.stdout.read()  # the broker closes after the DISCONNECT
        process.wait()
        guard.cancel()
        assert ACCEPTED in said, said.decode(errors="replace")
        return said.decode(errors="replace")


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_resumes_its_session(s_client: SClient, version: str) -> None:
    file = str(s_client.folder / "session.pem")
    assert "New, TLSv1." in s_client.run(version, "-sess_out", file)
    assert "Reused, TLSv1." in s_client.run(version, "-sess_in", file)


@pytest.mark.peer("openssl")
def test_openssl_agrees_on_alpn_and_verifies(s_client: SClient) -> None:
    said = s_client.run("-alpn", "mqtt")
    assert "ALPN protocol: mqtt" in said
    assert "Verify return code: 0 (ok)" in said


@pytest.mark.peer("openssl")
def test_an_address_as_server_name_is_tolerated(s_client: SClient) -> None:
    assert "Verify return code: 0 (ok)" in s_client.run("-servername", "127.0.0.1")
