"""A server's certificate as the TLS library of ESP32 and WiFiNINA sees it: mbed TLS 2.28."""

from __future__ import annotations

import datetime
import shutil
import socket
import ssl
import threading
from pathlib import Path

import pytest

from lockwire.pki.authority import branches, rollover
from lockwire.pki.authority.authority import Authority, Issued
from lockwire.pki.authority.branches import RootKey
from lockwire.pki.authority.founding import NewAuthority
from lockwire.pki.authority.importing import KeptKey, assess, found
from lockwire.pki.keys import KeyKind
from lockwire.pki.toolkit.content import read_content
from tests.support.openssl import openssl

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


def shake_hands(
    authority: Authority,
    server: ssl.SSLContext,
    host: str,
    anchor: Path | None = None,
    suites: tuple[str, ...] = (),
) -> None:
    """One handshake over a socket pair, with the host's name checked.

    anchor: what the client trusts, the authority's file for devices without. suites: the client's only ones.
    """
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
        trust_store=tls.TrustStore.from_pem_file(anchor or authority.device_ca),
        validate_certificates=True,
        ciphers=suites or None,
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


# --- chains


def context_of(folder: Path, issued: Issued, suites: str = "") -> ssl.SSLContext:
    """A server that presents this."""
    (folder / "server.pem").write_bytes(issued.chain)
    (folder / "server.key").write_bytes(issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if suites:
        context.set_ciphers(suites)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


def test_static_rsa_suites_work_under_either_root(tmp_path: Path) -> None:
    """NetControl has no others; they need keyEncipherment in the server's certificate."""
    authority = Authority.create(tmp_path / "ca", wanted=NewAuthority(rsa=KeyKind.RSA_2048))
    issued = authority.issue_server(["plant.local"], [], branch=branches.RSA)
    server = context_of(tmp_path, issued, "AES256-SHA256")
    for anchor in (authority.device_ca, authority.rsa_device_ca):
        suites = ("TLS-RSA-WITH-AES-256-CBC-SHA256",)
        shake_hands(authority, server, "plant.local", anchor, suites)
    stranger = Authority.create(tmp_path / "other")
    with pytest.raises(exceptions.TLSError):
        shake_hands(stranger, server, "plant.local")


def test_a_device_with_either_root_accepts_the_server_during_a_rollover(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "ca")
    now = datetime.datetime.now(datetime.UTC)
    rollover.start(authority, KeyKind.P256, RootKey(), now)
    old, new = tmp_path / "old.pem", tmp_path / "new.pem"
    shutil.copy(authority.folder / "root.pem", old)
    shutil.copy(authority.folder / "next-root.pem", new)
    for _ in range(2):
        server = context_of(tmp_path, authority.issue_server(["plant.local"], []))
        for anchor in (old, new, authority.device_ca):
            shake_hands(authority, server, "plant.local", anchor)
        if rollover.phase(authority) == "started":
            rollover.switch(authority, now)


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("extensions", [None, "basicConstraints=CA:TRUE"], ids=["version 1", "bare"])
def test_devices_with_an_old_imported_root_accept_the_server(tmp_path: Path, extensions: str | None) -> None:
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k", "-subj", "/CN=Old",
            "-out", tmp_path / "csr")  # fmt: skip
    (tmp_path / "extensions").write_text(f"{extensions}\nsubjectKeyIdentifier=none\n")
    options = [] if extensions is None else ["-extfile", tmp_path / "extensions"]
    openssl("x509", "-req", "-in", tmp_path / "csr", "-signkey", tmp_path / "k", "-days", "2000", "-sha1",
            "-out", tmp_path / "root.pem", *options)  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    key = read_content(tmp_path / "k").keys[0].key
    found(
        tmp_path / "ca",
        assess(read_content(tmp_path / "root.pem").certificates, key, now),
        KeptKey(),
        now,
        "",
    )
    authority = Authority.open(tmp_path / "ca")
    server = context_of(tmp_path, authority.issue_server(["plant.local"], []))
    shake_hands(authority, server, "plant.local", tmp_path / "root.pem")
