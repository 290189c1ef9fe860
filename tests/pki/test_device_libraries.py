"""A server's certificate as the TLS library of ESP32 and WiFiNINA sees it: mbed TLS 2.28."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest

from lockwire.pki.authority import Authority

tls = pytest.importorskip("mbedtls.tls", reason="python-mbedtls is not installed")
exceptions = pytest.importorskip("mbedtls.exceptions")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("pki") / "ca")


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("server")
    issued = authority.issue_server(["localhost", "plant.local"], ["192.0.2.7", "127.0.0.1", "::1"])
    (folder / "server.pem").write_bytes(issued.chain)
    (folder / "server.key").write_bytes(issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


def shake_hands(authority: Authority, server: ssl.SSLContext, host: str) -> None:
    """One handshake over a socket pair, with the host's name checked."""
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    theirs.settimeout(10)

    def serve() -> None:
        try:
            with server.wrap_socket(ours, server_side=True):
                pass
        except OSError:  # the client refused us
            ours.close()

    thread = threading.Thread(target=serve)
    thread.start()
    configuration = tls.TLSConfiguration(
        trust_store=tls.TrustStore.from_pem_file(authority.device_ca), validate_certificates=True
    )
    client = tls.ClientContext(configuration).wrap_socket(theirs, server_hostname=host)
    try:
        client.do_handshake()
    finally:
        client.close()
        thread.join(10)


@pytest.mark.parametrize("host", ["localhost", "plant.local", "192.0.2.7", "127.0.0.1", "::1"])
def test_mbed_tls_accepts_every_name_and_address(
    authority: Authority, server: ssl.SSLContext, host: str
) -> None:
    shake_hands(authority, server, host)


@pytest.mark.parametrize("host", ["plant", "192.0.2.8"])
def test_mbed_tls_refuses_what_the_certificate_does_not_name(
    authority: Authority, server: ssl.SSLContext, host: str
) -> None:
    with pytest.raises(exceptions.TLSError):
        shake_hands(authority, server, host)
