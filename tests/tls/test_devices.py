"""The named policies with the TLS libraries of the devices they are for."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lockwire.families import FAMILIES
from lockwire.tls import loading
from lockwire.tls.context import ServerContext
from lockwire.tls.loading import ServerFiles
from lockwire.tls.named import find_policy
from lockwire.tls.policy import DEFAULT_TLS12_SUITES, TlsPolicy
from tests.support.peers import peer_path
from tests.tls.certificates import Pair, TestPki, make
from tests.tls.peers import TLS12, client_context, records
from tests.tls.test_openssl import listening

NETCONTROL = FAMILIES["netcontrol"].cipher_suites or ()


@pytest.fixture(scope="module")
def rsa(pki: TestPki, tmp_path_factory: pytest.TempPathFactory) -> loading.Pair:
    """A server certificate with an RSA key under the P-256 CA, as NetControl verifies it."""
    pair = make("localhost", pki.issuing, kind="RSA-2048", chain=(pki.issuing.certificate,))
    return loading.Pair(*pair.write(tmp_path_factory.mktemp("rsa"), "rsa"))


class MbedTls:
    """A client with mbed TLS 2.28 over a socket: what NetControl, ESP32 and WiFiNINA have inside."""

    def __init__(self, pki: TestPki, suites: tuple[str, ...] = (), device: Pair | None = None) -> None:
        tls = pytest.importorskip("mbedtls.tls", reason="python-mbedtls is not installed")
        from mbedtls import pk, x509

        trust = tls.TrustStore.from_pem_file(str(pki.root_pem))
        chain: Any = ((), None)
        if device is not None:
            key = device.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
            certificates = (device.certificate, *device.chain)
            ders = tuple(x509.CRT.from_DER(one.public_bytes(Encoding.DER)) for one in certificates)
            chain = (ders, pk.RSA.from_buffer(key))
        self._configuration = tls.TLSConfiguration(
            trust_store=trust,
            validate_certificates=True,
            certificate_chain=chain,
            ciphers=tuple(name.replace("_", "-") for name in suites) or None,
            highest_supported_version=tls.TLSVersion.TLSv1_2,
        )
        self._tls = tls
        self.suite = ""

    def echo(self, port: int, line: bytes) -> bytes:
        """Connects, sends a line and gives what comes back."""
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
            secure = self._tls.ClientContext(self._configuration).wrap_socket(
                plain, server_hostname="localhost"
            )
            secure.do_handshake()
            self.suite = str(secure.cipher())
            secure.sendall(line)
            return bytes(secure.recv(4096))


@pytest.mark.parametrize("suite", NETCONTROL)
async def test_netcontrol_connects_with_each_of_its_suites(
    pki: TestPki, rsa: loading.Pair, suite: str
) -> None:
    policy = find_policy("netcontrol").policy
    client = MbedTls(pki, (suite,))
    async with listening(ServerContext(policy, ServerFiles(rsa))) as listener:
        assert (
            await asyncio.to_thread(client.echo, listener.port, b"from NetControl\n") == b"from NetControl\n"
        )
    assert listener.sessions[0].failure is None
    assert client.suite.replace("-", "_") == suite


async def test_netcontrol_with_the_client_key_that_its_maker_recommends(
    pki: TestPki, rsa: loading.Pair
) -> None:
    device = make("netcontrol-1", pki.issuing, kind="RSA-1024", chain=(pki.issuing.certificate,))
    named = find_policy("netcontrol").policy
    policy = TlsPolicy(
        cipher_suites=named.cipher_suites, security_level=named.security_level,
        maximum_version=named.maximum_version, client_certificates="required",
    )  # fmt: skip
    client = MbedTls(pki, NETCONTROL, device)
    async with listening(ServerContext(policy, ServerFiles(rsa, client_ca=pki.ca_pem))) as listener:
        assert await asyncio.to_thread(client.echo, listener.port, b"known\n") == b"known\n"
        assert listener.sessions[0].peer_certificate == device.der


async def test_netcontrol_and_others_on_one_listener(pki: TestPki, rsa: loading.Pair) -> None:
    """Its suites beside the usual ones, an RSA certificate beside the ECDSA one: each gets its own."""
    policy = TlsPolicy(cipher_suites=(*DEFAULT_TLS12_SUITES, *NETCONTROL))
    files = ServerFiles(loading.Pair(pki.server_pem, pki.server_key), rsa)

    def python(port: int) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
            client_context(pki.root_pem, TLS12).wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            secure.sendall(b"python\n")
            return secure.recv(4096)

    client = MbedTls(pki, NETCONTROL)
    async with listening(ServerContext(policy, files)) as listener:
        assert await asyncio.to_thread(client.echo, listener.port, b"netcontrol\n") == b"netcontrol\n"
        assert await asyncio.to_thread(python, listener.port) == b"python\n"
        suites = [session.cipher_suite for session in listener.sessions]
    assert suites == ["AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]


@pytest.mark.parametrize("family", ["arduino-uno-wifi", "esp32"])
async def test_mbed_tls_as_it_comes(pki: TestPki, family: str) -> None:
    files = ServerFiles(loading.Pair(pki.server_pem, pki.server_key))
    client = MbedTls(pki)
    async with listening(ServerContext(find_policy(family).policy, files)) as listener:
        assert await asyncio.to_thread(client.echo, listener.port, b"hello\n") == b"hello\n"


@pytest.fixture(scope="module")
def bearssl(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """The command line of a client with BearSSL, made from `bearssl_client.c`."""
    program = tmp_path_factory.mktemp("bearssl") / "client"
    source = Path(__file__).with_name("bearssl_client.c")
    subprocess.run([peer_path("gcc"), "-O1", "-o", program, source, "-lbearssl"], check=True, timeout=120)
    return lambda port, ca, size: [str(program), str(port), str(ca), str(size)]


@pytest.mark.peer("gcc", "bearssl.h")
@pytest.mark.parametrize("family", ["esp8266", "arduino-nano"])
async def test_bearssl_with_the_buffers_of_a_small_device(
    pki: TestPki, tmp_path: Path, family: str, bearssl: Callable[..., list[str]]
) -> None:
    """A receive buffer for records of 4,096 bytes and no more, which BearSSL asks the server to respect."""
    policy = find_policy(family).policy
    line = b"x" * 20_000 + b"\n"
    files = ServerFiles(loading.Pair(pki.server_pem, pki.server_key))
    ca = tmp_path / "ca.raw"
    ca.write_bytes(trust_anchor(pki.root))
    async with listening(ServerContext(policy, files)) as listener:
        process = await asyncio.create_subprocess_exec(
            *bearssl(listener.port, ca, 4096),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(20):
            printed, said = await process.communicate(line)
    assert printed == line, said.decode()
    assert process.returncode == 0
    sent = [length for kind, length in records(bytes(listener.sent)) if kind == 23]
    assert sum(sent) > len(line)
    assert max(sent) <= 4096 + 24  # nonce and tag of AES-GCM


def trust_anchor(root: Pair) -> bytes:
    """A CA as BearSSL has it compiled in: its name and its key, each behind a length of 2 bytes."""
    name = root.certificate.subject.public_bytes()
    point = root.certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return b"".join(len(part).to_bytes(2, "big") + part for part in (name, point))
