"""Every way in which TLS between a device and the broker fails, set up for real and seen from both ends.

What the operator reads in the log, and which alert the device gets, with TLS 1.2 and with TLS 1.3. Each
attempt comes from an address of its own, by which its line in the log is found.
"""

from __future__ import annotations

import itertools
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support import packets
from tests.support.daemon import Lockwire
from tests.support.peers import peer_path
from tests.tls.certificates import Pair, TestPki, make, make_crl
from tests.tls.peers import TLS12, TLS13, client_context

BOTH = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
SERVED = b"\x20\x02\x00\x00"
_addresses = itertools.count(1)

LISTENER = """
[[listener]]
name = "{name}"
transport = "tls"
address = "127.0.0.1"
port = 0
client_certificates = "{certificates}"
authentication = ["{method}"]
[listener.tls]
certificate = "{server}.pem"
key = "{server}.key"
"""


def listener(name: str, server: str = "server", **tls: str) -> str:
    """A listener for certificates where `client_ca` is among its settings, else for anybody."""
    required = "client_ca" in tls
    text = LISTENER.format(
        name=name,
        server=server,
        certificates="required" if required else "none",
        method="certificate" if required else "anonymous",
    )
    return text + "".join(f'{key} = "{value}"\n' for key, value in tls.items())


@dataclass(frozen=True)
class Outcome:
    """device: what the device's TLS library reports, "" where it got in. line: the broker's log line."""

    device: str
    line: str
    answer: bytes = b""


class Catalogue:
    """A broker with a listener for each way to fail, and certificates for each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = TestPki(folder)
        pki = self.pki
        above = (pki.issuing.certificate,)
        self.revoked = make("revoked", pki.issuing, chain=above)
        self.ended = make("ended", pki.issuing, days=(-20, -10), chain=above)
        make("ended-server", pki.issuing, days=(-20, -10), chain=above).write(folder, "ended")
        make("early-server", pki.issuing, days=(5, 20), chain=above).write(folder, "early")
        self.first, second = (make("My CA", ca=True) for _ in range(2))
        pki.bundle("again.pem", second)
        (folder / "crl.pem").write_bytes(make_crl(pki.issuing, (self.revoked,)))
        (folder / "crl-ended.pem").write_bytes(make_crl(pki.issuing, (self.revoked,), days=(-20, -10)))
        (folder / "crl-other.pem").write_bytes(make_crl(pki.root))
        (folder / "crl-later.pem").write_bytes(make_crl(pki.issuing))
        configuration = [
            listener("devices", client_ca="ca.pem"),
            listener("rooted", client_ca="root.pem"),
            listener("again", client_ca="again.pem"),
            listener("crl", client_ca="ca.pem", crl="crl.pem"),
            listener("crl-later", client_ca="ca.pem", crl="crl-later.pem"),
            listener("open"),
            listener("ended", "ended"),
            listener("early", "early"),
            '[[listener]]\nname = "plain"\ntransport = "tcp"\nport = 0\nauthentication = ["anonymous"]\n',
        ]
        (folder / "psk").write_text(f"dev1:{'0a' * 16}\n")
        configuration.append(
            '[[listener]]\nname = "keys"\ntransport = "tls"\naddress = "127.0.0.1"\nport = 0\n'
            'authentication = ["psk"]\n[listener.psk]\nfile = "psk"\n'
        )
        for failure in ("refuse", "serve"):
            for state in ("ended", "other"):
                files = {"client_ca": "ca.pem", "crl": f"crl-{state}.pem"}
                configuration.append(listener(f"{state}-{failure}", crl_failure=failure, **files))
        file = folder / "lockwire.toml"
        file.write_text("\n".join(configuration) + "\n[metrics]\nenabled = true\nport = 0\n")
        self.broker = Lockwire(folder, "broker", "--config", file)

    def address(self) -> str:
        """One that nothing came from yet."""
        number = next(_addresses)
        return f"127.0.{1 + number // 250}.{1 + number % 250}"

    def open(self, name: str) -> tuple[socket.socket, str]:
        """A network connection to a listener, and the address that it comes from."""
        address = self.address()
        port = self.broker.ports[name]
        return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0)), address

    def attempt(
        self,
        name: str,
        context: ssl.SSLContext,
        host: str = "localhost",
        session: ssl.SSLSession | None = None,
    ) -> Outcome:
        """TLS and CONNECT on a listener."""
        plain, address = self.open(name)
        try:
            with context.wrap_socket(plain, server_hostname=host, session=session) as tls:
                tls.sendall(packets.connect(f"from-{address}", 4))
                answer = tls.recv(4)
                if answer == SERVED:
                    return Outcome("", "", answer)
                return Outcome("", self.line(address), answer)
        except ssl.SSLError as error:
            return Outcome(str(error.reason), self.line(address))

    def line(self, address: str) -> str:
        """The broker's word on what came from an address."""
        pattern = re.compile(rf"^.* refused .*peer={re.escape(address)}:.*$", re.MULTILINE)
        deadline = time.monotonic() + 10
        while not (found := pattern.search(self.broker.log)):
            assert time.monotonic() < deadline, self.broker.log[-4000:]
            time.sleep(0.01)
        return found[0]

    def settled(self, text: str) -> None:
        """Waits until the log says so."""
        deadline = time.monotonic() + 10
        while text not in self.broker.log:
            assert time.monotonic() < deadline, self.broker.log[-4000:]
            time.sleep(0.01)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    found = Catalogue(tmp_path_factory.mktemp("catalogue"))
    yield found
    assert found.broker.alive
    found.broker.stop()


def device(catalogue: Catalogue, version: ssl.TLSVersion, pair: Pair | None) -> ssl.SSLContext:
    return client_context(catalogue.pki.root_pem, version, pair)


# -- what is wrong with the device's certificate


@BOTH
def test_none(catalogue: Catalogue, version: ssl.TLSVersion) -> None:
    found = catalogue.attempt("devices", device(catalogue, version, None))
    assert found.device.endswith("CERTIFICATE_REQUIRED" if version == TLS13 else "HANDSHAKE_FAILURE")
    assert "no client certificate: the client sent none" in found.line


def _of(name: str, catalogue: Catalogue) -> Pair:
    issuing = catalogue.pki.issuing
    if name == "other CA":
        return make("stranger", make("Other CA", ca=True))
    if name == "self-signed":
        return make("alone")
    if name == "expired":
        return catalogue.ended
    if name == "early":
        return make("early", issuing, days=(5, 20))
    if name == "server":
        return make("a-server", issuing, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    if name.startswith("CA again"):
        return make("device", catalogue.first, key_identifiers=name.endswith("identified"))
    assert name == "revoked"
    return catalogue.revoked


@BOTH
@pytest.mark.parametrize(
    ("what", "where", "alert", "words"),
    [
        ("other CA", "devices", "UNKNOWN_CA", "its issuer is not a trusted CA"),
        ("self-signed", "devices", "UNKNOWN_CA", "it is self-signed"),
        ("expired", "devices", "CERTIFICATE_EXPIRED", "it has expired"),
        ("early", "devices", "BAD_CERTIFICATE", "it is not valid yet"),
        (
            "server",
            "devices",
            "UNSUPPORTED_CERTIFICATE",
            "its extended key usage does not include clientAuth",
        ),
        ("CA again", "again", "DECRYPT_ERROR", "its signature does not verify: its CA was made again, "),
        (
            "CA again, identified",
            "again",
            "UNKNOWN_CA",
            "a trusted CA has its issuer's name, but another key",
        ),
        ("revoked", "crl", "CERTIFICATE_REVOKED", "it has been revoked"),
    ],
)
def test_a_certificate_that_is_refused(
    catalogue: Catalogue, version: ssl.TLSVersion, what: str, where: str, alert: str, words: str
) -> None:
    pair = _of(what, catalogue)
    found = catalogue.attempt(where, device(catalogue, version, pair))
    assert found.device.endswith(alert)
    assert f"client certificate refused: {words}" in found.line
    assert f"{alert.lower()} sent" in found.line
    assert f"certificate {pair.certificate.subject.rfc4514_string()} of" in found.line
    assert f"serial {pair.certificate.serial_number:x}" in found.line


@BOTH
def test_an_intermediate_that_is_not_sent(catalogue: Catalogue, version: ssl.TLSVersion) -> None:
    alone = Pair(catalogue.pki.device.certificate, catalogue.pki.device.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # no CA from which OpenSSL would complete the chain
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(*alone.write(catalogue.folder, "alone"))
    found = catalogue.attempt("rooted", context)
    assert found.device.endswith("UNKNOWN_CA")
    assert "an intermediate was not sent" in found.line
    assert catalogue.attempt("devices", context).answer == SERVED, "there the intermediate is trusted itself"


@BOTH
def test_a_weak_key(catalogue: Catalogue, version: ssl.TLSVersion) -> None:
    context = device(catalogue, version, None)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    weak = make("weak", catalogue.pki.issuing, kind="RSA-1024")
    # RSA-PSS with SHA-512, which TLS 1.3 would pick, does not fit into 1,024 bits; SHA-256 does.
    context.load_cert_chain(*weak.write(catalogue.folder, "weak"))
    found = catalogue.attempt("devices", context)
    assert found.device.endswith("BAD_CERTIFICATE")
    assert "its key is too weak (RSA below 2048 bits)" in found.line


# -- revocation lists


@BOTH
@pytest.mark.parametrize(
    ("state", "alert", "words", "problem"),
    [
        (
            "ended",
            "CERTIFICATE_EXPIRED",
            "our CRL has expired (our side",
            "has expired: its next",
        ),
        ("other", "UNKNOWN_CA", "no CRL is loaded for its CA (our side", "There is no revocation list of"),
    ],
)
def test_a_list_that_has_ended_or_is_missing(
    catalogue: Catalogue, version: ssl.TLSVersion, state: str, alert: str, words: str, problem: str
) -> None:
    """The device is told that its certificate is at fault, and has no fault: the log must say who has."""
    context = device(catalogue, version, catalogue.pki.device)
    refused = catalogue.attempt(f"{state}-refuse", context)
    assert refused.device.endswith(alert)
    assert words in refused.line
    assert catalogue.attempt(f"{state}-serve", context).answer == SERVED
    for failure in ("refuse", "serve"):
        alarm = re.compile(rf"error +TLS is not in order listener={state}-{failure} .*{re.escape(problem)}")
        assert alarm.search(catalogue.broker.log)
    assert catalogue.broker.metric(f'listener_tls_problems{{listener="{state}-serve"}}') >= 1


@BOTH
def test_what_a_list_revoked_stays_out_after_it_ended(catalogue: Catalogue, version: ssl.TLSVersion) -> None:
    found = catalogue.attempt("ended-serve", device(catalogue, version, catalogue.revoked))
    assert found.answer != SERVED
    assert "revoked" in found.line
    assert "connect refused" in found.line


@BOTH
def test_a_revocation_reaches_a_session_that_would_be_resumed(
    catalogue: Catalogue, version: ssl.TLSVersion
) -> None:
    later = catalogue.folder / "crl-later.pem"
    later.write_bytes(make_crl(catalogue.pki.issuing))
    before = catalogue.broker.log.count("reloaded")
    catalogue.broker.signal(signal.SIGHUP)
    _wait_for_more(catalogue, "reloaded", before)
    context = device(catalogue, version, catalogue.pki.device)
    plain, address = catalogue.open("crl-later")
    with context.wrap_socket(plain, server_hostname="localhost") as tls:
        tls.sendall(packets.connect(f"from-{address}", 4))
        assert tls.recv(4) == SERVED
        session = tls.session
    assert session is not None
    assert catalogue.attempt("crl-later", context, session=session).answer == SERVED

    later.write_bytes(make_crl(catalogue.pki.issuing, (catalogue.pki.device,)))
    catalogue.broker.signal(signal.SIGHUP)
    _wait_for_more(catalogue, "reloaded", before + 1)
    for resumed in (session, None):
        found = catalogue.attempt("crl-later", context, session=resumed)
        assert found.device.endswith("CERTIFICATE_REVOKED")
        assert "it has been revoked" in found.line


def _wait_for_more(catalogue: Catalogue, word: str, before: int) -> None:
    deadline = time.monotonic() + 10
    while catalogue.broker.log.count(word) <= before:
        assert time.monotonic() < deadline, catalogue.broker.log[-4000:]
        time.sleep(0.01)


# -- what the device holds against us


@BOTH
def test_a_device_that_does_not_trust_our_ca(
    catalogue: Catalogue, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    other = make("Other CA", ca=True).write(tmp_path, "other")[0]
    found = catalogue.attempt("open", client_context(other, version))
    assert found.device == "CERTIFICATE_VERIFY_FAILED"
    assert "client does not trust our certificate" in found.line
    assert "alert unknown_ca received" in found.line


@BOTH
def test_a_name_that_is_not_in_our_certificate(catalogue: Catalogue, version: ssl.TLSVersion) -> None:
    found = catalogue.attempt("open", device(catalogue, version, None), host="broker.example")
    assert found.device == "CERTIFICATE_VERIFY_FAILED"
    assert "the name it connected to is not in it" in found.line
    assert "server_name=broker.example" in found.line


@BOTH
@pytest.mark.parametrize(
    ("name", "alert", "words"),
    [
        ("ended", "certificate_expired", "client says that our certificate has expired"),
        ("early", "bad_certificate", "or its clock is wrong"),  # as with a device's clock of 1970
    ],
)
def test_our_certificate_is_out_of_its_time(
    catalogue: Catalogue, version: ssl.TLSVersion, name: str, alert: str, words: str
) -> None:
    found = catalogue.attempt(name, device(catalogue, version, None))
    assert found.device == "CERTIFICATE_VERIFY_FAILED"
    assert words in found.line
    assert f"alert {alert} received" in found.line
    alarm = rf"error +TLS is not in order listener={name} .*server's certificate"
    assert re.search(alarm, catalogue.broker.log)


# -- nothing in common


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_old_version(catalogue: Catalogue) -> None:
    context = client_context(catalogue.pki.root_pem)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    found = catalogue.attempt("open", context)
    assert found.device.endswith("PROTOCOL_VERSION")
    assert "TLS 1.1 offered, TLS 1.2 is the minimum" in found.line


def test_no_shared_cipher_suite(catalogue: Catalogue) -> None:
    context = device(catalogue, TLS12, None)
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    found = catalogue.attempt("open", context)
    assert found.device.endswith("HANDSHAKE_FAILURE")
    assert "no shared cipher suite" in found.line
    assert "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" in found.line


@pytest.mark.peer("openssl")
def test_no_shared_signature_algorithm(catalogue: Catalogue) -> None:
    """What an RSA-only device meets in TLS 1.3, whose cipher suites do not speak of keys."""
    address = catalogue.address()
    done = subprocess.run(
        [peer_path("openssl"), "s_client", "-connect", f"127.0.0.1:{catalogue.broker.ports['open']}",
         "-bind", f"{address}:0", "-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert "alert handshake failure" in done.stdout + done.stderr
    assert "no shared signature algorithm" in catalogue.line(address)


# -- pre-shared keys


@pytest.mark.peer("mosquitto_pub")
@pytest.mark.parametrize(
    ("identity", "key", "words"),
    [
        ("dev1", "0a" * 16, ""),
        ("dev1", "0b" * 16, "wrong pre-shared key for the identity 'dev1'"),
        ("dev2", "0a" * 16, "there is no pre-shared key for the identity 'dev2'"),
    ],
)
def test_pre_shared_keys(catalogue: Catalogue, identity: str, key: str, words: str) -> None:
    address = catalogue.address()
    done = subprocess.run(
        [peer_path("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(catalogue.broker.ports["keys"]),
         "-A", address, "--psk", key, "--psk-identity", identity, "-t", "x", "-m", "y", "-q", "1"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is (not words), done.stderr
    if words:
        assert words in catalogue.line(address)
        assert "bad_record_mac sent" in catalogue.line(address)


@pytest.mark.peer("mosquitto_pub")
def test_a_new_key_is_known_without_a_word_to_the_broker(catalogue: Catalogue) -> None:
    file = catalogue.folder / "psk"
    before = catalogue.broker.log.count("changed files are in use listener=keys")
    file.write_text(file.read_text() + f"dev3:{'0c' * 16}\n")
    _wait_for_more(catalogue, "changed files are in use listener=keys", before)
    test_pre_shared_keys(catalogue, "dev3", "0c" * 16, "")


# -- no TLS at all


def read_to_end(connection: socket.socket) -> bytes:
    data = b""
    try:
        while more := connection.recv(4096):
            data += more
    except ConnectionError:
        pass
    return data


def test_plain_mqtt_on_the_tls_port(catalogue: Catalogue) -> None:
    plain, address = catalogue.open("devices")
    with plain:
        plain.sendall(packets.connect("plain", 4))
        read_to_end(plain)
    assert "plain MQTT on a TLS port: the client sent CONNECT without TLS" in catalogue.line(address)


@BOTH
def test_tls_on_the_plain_port(catalogue: Catalogue, version: ssl.TLSVersion) -> None:
    plain, address = catalogue.open("plain")
    with plain, pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        device(catalogue, version, None).wrap_socket(plain, server_hostname="localhost")
    assert "this is TLS, and the listener expects MQTT without it" in catalogue.line(address)


def test_a_port_scan(catalogue: Catalogue) -> None:
    plain, address = catalogue.open("devices")
    plain.close()
    assert "client closed the connection before it sent anything" in catalogue.line(address)


@BOTH
def test_a_device_that_leaves_in_the_middle(catalogue: Catalogue, version: ssl.TLSVersion) -> None:
    """Out of memory, or a library without alerts that does not trust us."""
    plain, address = catalogue.open("devices")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = device(catalogue, version, None).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with plain:
        plain.sendall(outgoing.read())
        assert plain.recv(65_536)
    assert "client left after our certificate without an alert" in catalogue.line(address)
