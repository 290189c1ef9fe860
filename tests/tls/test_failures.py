"""Each way a handshake fails: what we keep and say, and which alert the device gets."""

from __future__ import annotations

import pickle
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from lockwire.tls import alerts, failure, loading
from lockwire.tls.context import ServerContext
from lockwire.tls.failure import HandshakeFailure
from lockwire.tls.loading import ServerFiles
from lockwire.tls.policy import TlsPolicy
from lockwire.tls.session import Session
from tests.tls.certificates import Pair, TestPki, make, make_crl
from tests.tls.conftest import MakeContext
from tests.tls.peers import TLS12, TLS13, Client, client_context, shake_hands

BOTH = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])


def fail(context: ServerContext, client: Client) -> HandshakeFailure:
    session = shake_hands(context, client)
    assert session.closed
    assert not session.established
    assert session.failure is not None
    return session.failure


def refuse(
    context: ServerContext, pki: TestPki, version: ssl.TLSVersion, device: Pair | None
) -> tuple[HandshakeFailure, str]:
    """The failure, and what the client's OpenSSL says about the alert that it got."""
    client = Client(client_context(pki.root_pem, version, device))
    record = fail(context, client)
    assert client.error is not None
    assert record.client_hello is not None
    assert record.client_hello.server_name == "localhost"
    return record, str(client.error.reason)


@BOTH
def test_no_client_certificate(server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion) -> None:
    record, device_sees = refuse(server_context(client_certificates="required"), pki, version, None)
    assert record.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    assert record.cause == "no_client_certificate"
    assert record.stage == failure.SERVER_FLIGHT
    assert record.certificate is None
    alert = alerts.name_of(record.alert_sent)
    assert alert == ("certificate_required" if version == TLS13 else "handshake_failure")
    assert device_sees.endswith(alert.upper())
    assert record.summary().startswith("no client certificate")


def _other_ca(pki: TestPki) -> Pair:
    return make("stranger", make("Other CA", ca=True))


def _self_signed(pki: TestPki) -> Pair:
    return make("self-signed")


def _expired(pki: TestPki) -> Pair:
    return make("old", pki.issuing, days=(-20, -10))


def _not_yet_valid(pki: TestPki) -> Pair:
    return make("early", pki.issuing, days=(5, 30))


def _server_usage(pki: TestPki) -> Pair:
    return make("a-server", pki.issuing, usage=ExtendedKeyUsageOID.SERVER_AUTH)


@BOTH
@pytest.mark.parametrize(
    ("presents", "verify_code", "cause", "alert"),
    [
        (_other_ca, 20, "unknown_ca", "unknown_ca"),
        (_self_signed, 18, "self_signed", "unknown_ca"),
        (_expired, 10, "expired", "certificate_expired"),
        (_not_yet_valid, 9, "not_yet_valid", "bad_certificate"),
        (_server_usage, 26, "wrong_purpose", "unsupported_certificate"),
    ],
)
def test_refused_client_certificate(
    server_context: MakeContext,
    pki: TestPki,
    version: ssl.TLSVersion,
    presents: Callable[[TestPki], Pair],
    verify_code: int,
    cause: str,
    alert: str,
) -> None:
    device = presents(pki)
    record, device_sees = refuse(server_context(client_certificates="required"), pki, version, device)

    assert record.reason == "CERTIFICATE_VERIFY_FAILED"
    assert (record.verify_code, record.cause) == (verify_code, cause)
    assert alerts.name_of(record.alert_sent) == alert
    assert device_sees.endswith(alert.upper())
    assert record.presented_certificate == device.der
    assert record.certificate is not None
    assert record.certificate.subject == device.certificate.subject.rfc4514_string()
    assert record.certificate.issuer == device.certificate.issuer.rfc4514_string()
    assert record.certificate.serial == device.certificate.serial_number
    for part in (record.certificate.subject, record.certificate.issuer, f"{alert} sent", "localhost"):
        assert part in record.summary()


@BOTH
def test_intermediate_not_sent(server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion) -> None:
    leaf_only = Pair(pki.device.certificate, pki.device.key)
    context = server_context(client_certificates="required", client_ca=pki.root_pem)
    client_config = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # no CA to complete the chain from
    client_config.check_hostname, client_config.verify_mode = False, ssl.CERT_NONE
    client_config.minimum_version = client_config.maximum_version = version
    client_config.load_cert_chain(*leaf_only.write(pki.folder, "leaf-only"))
    record = fail(context, Client(client_config))
    assert (record.verify_code, record.cause) == (20, "unknown_ca")
    assert record.certificate is not None
    assert record.certificate.chain_length == 1
    assert "an intermediate was not sent" in record.summary()

    trusting_the_intermediate = server_context(client_certificates="required")
    assert shake_hands(trusting_the_intermediate, Client(client_config)).established


@pytest.mark.parametrize("key_identifiers", [True, False])
def test_ca_made_again_with_the_same_name(
    server_context: MakeContext, pki: TestPki, tmp_path: Path, key_identifiers: bool
) -> None:
    """The classic second run of a how-to: the device has a certificate of the first CA."""
    first, second = (make("My CA", ca=True, key_identifiers=key_identifiers) for _ in range(2))
    device = make("device", first, key_identifiers=key_identifiers)
    context = server_context(client_certificates="required", client_ca=second.write(tmp_path, "again")[0])
    record, device_sees = refuse(context, pki, TLS13, device)
    if key_identifiers:
        assert (record.verify_code, record.cause) == (20, "ca_key_differs")
        assert "the CA was made again" in record.summary()
    else:
        assert (record.verify_code, record.cause) == (7, "ca_key_differs")
        assert device_sees == "TLSV1_ALERT_DECRYPT_ERROR"


def test_weak_key(server_context: MakeContext, pki: TestPki) -> None:
    device = make("weak", pki.issuing, kind="RSA-1024")
    config = client_context(pki.root_pem, TLS12)
    config.set_ciphers("DEFAULT:@SECLEVEL=0")
    config.load_cert_chain(*device.write(pki.folder, "weak"))
    record = fail(server_context(client_certificates="required"), Client(config))
    assert (record.verify_code, record.cause) == (66, "weak_key")


@BOTH
def test_revoked(server_context: MakeContext, pki: TestPki, tmp_path: Path, version: ssl.TLSVersion) -> None:
    crl = tmp_path / "crl.pem"
    crl.write_bytes(make_crl(pki.issuing, (pki.device,)))
    record, device_sees = refuse(
        server_context(client_certificates="required", crl=crl), pki, version, pki.device
    )
    assert (record.verify_code, record.cause) == (23, "revoked")
    assert device_sees.endswith("CERTIFICATE_REVOKED")


def test_our_crl_has_expired(server_context: MakeContext, pki: TestPki, tmp_path: Path) -> None:
    """The device is told that its certificate expired, and has no fault: the log must say who has."""
    crl = tmp_path / "crl.pem"
    crl.write_bytes(make_crl(pki.issuing, days=(-20, -10)))
    record, device_sees = refuse(
        server_context(client_certificates="required", crl=crl), pki, TLS13, pki.device
    )
    assert (record.verify_code, record.cause) == (12, "crl_expired")
    assert device_sees.endswith("CERTIFICATE_EXPIRED")
    assert "our CRL has expired" in record.summary()


def test_no_crl_for_the_issuer(server_context: MakeContext, pki: TestPki, tmp_path: Path) -> None:
    crl = tmp_path / "crl.pem"
    crl.write_bytes(make_crl(pki.root))
    record, device_sees = refuse(
        server_context(client_certificates="required", crl=crl), pki, TLS13, pki.device
    )
    assert (record.verify_code, record.cause) == (3, "crl_missing")
    assert device_sees.endswith("UNKNOWN_CA")
    assert "our side" in record.summary()


@BOTH
def test_client_does_not_trust_our_ca(
    server_context: MakeContext, pki: TestPki, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    other = make("Other CA", ca=True).write(tmp_path, "other")[0]
    record = fail(server_context(), Client(client_context(other, version)))
    assert record.cause == "client_distrusts_us"
    assert record.alert_received == 48
    assert record.alert_sent == -1
    assert record.stage == failure.SERVER_FLIGHT
    assert "does not trust our certificate" in record.summary()
    assert "alert unknown_ca received" in record.summary()


@BOTH
def test_name_not_in_our_certificate(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion
) -> None:
    client = Client(client_context(pki.root_pem, version), server_hostname="broker.example")
    record = fail(server_context(), client)
    assert (record.cause, record.alert_received) == ("client_refuses_us", 42)
    assert "server name broker.example" in record.summary()


@BOTH
def test_our_certificate_has_expired(pki: TestPki, tmp_path: Path, version: ssl.TLSVersion) -> None:
    expired = make("server", pki.issuing, days=(-20, -10), chain=(pki.issuing.certificate,))
    context = ServerContext(TlsPolicy(), ServerFiles(loading.Pair(*expired.write(tmp_path, "expired"))))
    record = fail(context, Client(client_context(pki.root_pem, version)))
    assert (record.cause, record.alert_received) == ("client_refuses_us", 45)
    assert "expired" in record.summary()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_only(server_context: MakeContext, pki: TestPki) -> None:
    config = client_context(pki.root_pem)
    config.minimum_version = config.maximum_version = ssl.TLSVersion.TLSv1_1
    config.set_ciphers("ALL:@SECLEVEL=0")
    client = Client(config)
    record = fail(server_context(), client)
    assert record.reason == "UNSUPPORTED_PROTOCOL"
    assert record.cause == "protocol_version"
    assert record.alert_sent == 70
    assert record.stage == failure.CLIENT_HELLO
    assert record.summary().startswith("TLS 1.1 offered, TLS 1.2 is the minimum (protocol_version sent)")
    assert client.error is not None
    assert "PROTOCOL_VERSION" in str(client.error)


def test_tls_1_2_client_at_a_listener_for_1_3(server_context: MakeContext, pki: TestPki) -> None:
    record = fail(server_context(minimum_version="1.3"), Client(client_context(pki.root_pem, TLS12)))
    assert record.summary().startswith("TLS 1.2 offered, TLS 1.3 is the minimum")


def test_no_shared_cipher_suite(server_context: MakeContext, pki: TestPki) -> None:
    """A device that can only RSA meets our ECDSA certificate."""
    config = client_context(pki.root_pem, TLS12)
    config.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    record = fail(server_context(), Client(config))
    assert record.reason == "NO_SHARED_CIPHER"
    assert record.cause == "no_shared_cipher"
    assert record.alert_sent == 40
    assert record.client_hello is not None
    assert 0xC02F in record.client_hello.cipher_suites


def test_no_shared_group(server_context: MakeContext, pki: TestPki) -> None:
    config = client_context(pki.root_pem, TLS13)
    config.set_ecdh_curve("secp384r1")
    record = fail(server_context(groups=("X25519",)), Client(config))
    assert record.cause == "no_shared_group"
    assert record.client_hello is not None
    assert record.client_hello.groups == [24]


CONNECT = bytes.fromhex("10 11 00 04 4d 51 54 54 04 02 00 3c 00 05 64 65 76 2d 31")


@pytest.mark.parametrize(
    ("data", "cause", "words"),
    [
        (CONNECT, "plain_mqtt", "plain MQTT on a TLS port"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http", "plain HTTP"),
        (b"POST /mqtt HTTP/1.1\r\n\r\n", "http", "plain HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not_tls", "SSH"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "not_tls", "PROXY header"),
        (b"\x80\x2e\x01\x00\x02" + bytes(60), "protocol_version", "SSL 2"),
        (b"\x00" * 100, "not_tls", "begins with 00 00 00 00"),
        (b"\xff" * 65_536, "not_tls", "begins with ff ff ff ff"),
    ],
)
def test_what_is_not_tls(server_context: MakeContext, data: bytes, cause: str, words: str) -> None:
    session = Session(server_context(client_certificates="required"))
    assert session.receive(data) == []
    session.abandon()
    assert session.failure is not None
    assert session.failure.cause == cause
    assert words in session.failure.summary()
    assert session.failure.bytes_received == len(data)
    assert session.failure.first_bytes == data[:16]


def test_half_a_client_hello(server_context: MakeContext, pki: TestPki) -> None:
    session = Session(server_context())
    session.receive(Client(client_context(pki.root_pem)).exchange()[:100])
    session.abandon()
    assert session.failure is not None
    assert session.failure.stage == failure.NO_CLIENT_HELLO
    assert session.failure.cause == "closed"
    assert session.failure.client_hello is None


def test_nothing_at_all(server_context: MakeContext) -> None:
    session = Session(server_context())
    session.abandon()
    assert session.failure is not None
    assert session.failure.cause == "closed_silent"
    assert session.closed
    assert session.pending_output() == b""


def test_too_slow(server_context: MakeContext) -> None:
    session = Session(server_context())
    session.abandon(failure.TIMED_OUT)
    assert session.failure is not None
    assert session.failure.cause == "timed_out"
    assert session.failure.duration >= 0


def test_leaving_after_our_certificate_without_an_alert(server_context: MakeContext, pki: TestPki) -> None:
    """BearSSL and mbed TLS of Python do that when they refuse our certificate."""
    session = Session(server_context())
    session.receive(Client(client_context(pki.root_pem)).exchange())
    session.abandon()
    assert session.failure is not None
    assert session.failure.cause == "left_after_certificate"
    assert session.failure.client_hello is not None


def test_a_handshake_without_an_end(server_context: MakeContext, pki: TestPki) -> None:
    """More than 64 KiB of a ClientHello that never ends: an unauthenticated peer may not cost more."""
    session = Session(server_context())
    fragment = b"\x16\x03\x01\x10\x00" + b"\x01\x01\xff\x00" + bytes(4092)
    session.receive(fragment)
    for _ in range(20):
        session.receive(b"\x16\x03\x01\x10\x00" + bytes(4096))
    assert session.failure is not None
    assert session.failure.bytes_received <= 65_536 + 4101
    assert session.closed


def test_failure_of_one_session_shows_nothing_of_another(server_context: MakeContext, pki: TestPki) -> None:
    context = server_context(client_certificates="required")
    waiting = Session(context)
    waiting.receive(Client(client_context(pki.root_pem)).exchange())
    shake_hands(context, Client(client_context(pki.root_pem, None, pki.device)))
    fail(context, Client(client_context(pki.root_pem, None, _expired(pki))))
    waiting.abandon()
    assert waiting.failure is not None
    assert waiting.failure.certificate is None
    assert waiting.failure.alert_sent == -1


def test_a_failure_is_small(server_context: MakeContext, pki: TestPki) -> None:
    """At most 2 KB of payload, whatever was presented: thousands are kept."""
    names = [x509.NameAttribute(x509.NameOID.COMMON_NAME, "x" * 64)] * 40
    stranger = make("stranger", make("Other CA", ca=True), kind="RSA-2048", names=names)
    record, _ = refuse(server_context(client_certificates="required"), pki, TLS13, stranger)
    assert len(stranger.der) > 3000
    assert record.presented_certificate is None
    assert record.certificate is not None
    assert len(record.certificate.subject) == 200
    assert record.summary().startswith("client certificate refused")

    small, _ = refuse(server_context(client_certificates="required"), pki, TLS13, _other_ca(pki))
    assert len(pickle.dumps(small)) < 3000


def test_a_damaged_certificate_message_is_no_error() -> None:
    good = bytes.fromhex("0b000009 000006 000003 302000")
    for end in range(len(good)):
        failure.parse_certificate_message(good[:end], 0x0303)
        failure.parse_certificate_message(good[:end], 0x0304)
    shown = failure.parse_certificate_message(good, 0x0303)
    assert shown is not None
    assert shown.subject == ""
