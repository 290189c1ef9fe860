"""Why a TLS connection failed, in a record that can be kept, counted and put into words."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from cryptography import x509

from lockwire.tls import alerts, suites
from lockwire.tls.clienthello import ClientHello
from lockwire.tls.psk import Asked

MAXIMUM_DER = 1_536
MAXIMUM_NAME = 200
_SUITES_SHOWN = 8

# Reasons of ours, beside OpenSSL's.
PEER_CLOSED = "PEER_CLOSED"
TIMED_OUT = "TIMED_OUT"
TOO_LARGE = "HANDSHAKE_TOO_LARGE"
NO_PSK = "NO_PSK_IDENTITY"

# How far a connection came.
NOTHING_RECEIVED = "nothing received"
NO_CLIENT_HELLO = "no complete ClientHello"
CLIENT_HELLO = "ClientHello"
SERVER_FLIGHT = "our certificate sent"
ESTABLISHED = "established"

_VERSION_NAMES = {0x0002: "SSL 2", 0x0300: "SSL 3", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2",
                  0x0304: "TLS 1.3"}  # fmt: skip

# X509_V_ERR_... of openssl/x509_vfy.h: cause, and what it means for the one who reads the log.
_VERIFY_CAUSES: dict[int, tuple[str, str]] = {
    3: ("crl_missing", "no CRL is loaded for its CA (our side: add that CA's CRL)"),
    7: ("ca_key_differs", "its signature does not verify: its CA was made again, same name, other key"),
    9: ("not_yet_valid", "it is not valid yet: our clock is behind, or the issuer's was ahead"),
    10: ("expired", "it has expired"),
    12: ("crl_expired", "our CRL has expired (our side: load a new one; the certificate may be good)"),
    18: ("self_signed", "it is self-signed and not among the trusted CAs"),
    19: ("unknown_ca", "its chain ends in a root that is not among the trusted CAs"),
    20: ("unknown_ca", "its issuer is not a trusted CA: another CA, or an intermediate was not sent"),
    21: ("unknown_ca", "it came without its issuer and that is not among the trusted CAs"),
    23: ("revoked", "it has been revoked"),
    24: ("invalid_ca", "its issuer is not a CA certificate"),
    26: ("wrong_purpose", "its extended key usage does not include clientAuth"),
    66: ("weak_key", "its key is too weak (RSA below 2048 bits)"),
    68: ("weak_signature", "it is signed with a hash that is too weak"),
}  # fmt: skip

_ISSUER_NOT_FOUND = 20  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY

_REASONS: dict[str, tuple[str, str]] = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (
        "no_client_certificate",
        "no client certificate: the client sent none and this listener requires one",
    ),
    "NO_SHARED_CIPHER": (
        "no_shared_cipher",
        "no shared cipher suite: nothing offered is in the policy and fits our certificate's key",
    ),
    "NO_SHARED_GROUP": ("no_shared_group", "no shared key exchange group"),
    "NO_SUITABLE_KEY_SHARE": ("no_shared_group", "no shared key exchange group"),
    "NO_SHARED_SIGNATURE_ALGORITHMS": (
        "no_shared_signature",
        "no shared signature algorithm: the client cannot verify our certificate's kind of key",
    ),
    "NO_SUITABLE_SIGNATURE_ALGORITHM": (
        "no_shared_signature",
        "no shared signature algorithm: the client cannot verify our certificate's kind of key",
    ),
    "INAPPROPRIATE_FALLBACK": ("fallback", "the client came back with a lower version than both sides have"),
    "HTTP_REQUEST": ("http", "plain HTTP on a TLS port"),
    "HTTPS_PROXY_REQUEST": ("http", "plain HTTP (CONNECT) on a TLS port"),
    TIMED_OUT: ("timed_out", "the handshake was not finished in time"),
    TOO_LARGE: ("too_large", "the handshake is larger than any honest one"),
    "PSK_IDENTITY_NOT_FOUND": ("psk_unknown", "there is no pre-shared key for an identity that is not UTF-8"),
    NO_PSK: ("psk_not_shown", "the client resumed a session, which shows no pre-shared key"),
}

# What becomes of a Finished that was made with another key.
_WRONG_KEY = ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "DIGEST_CHECK_FAILED")
_BAD_RECORD_MAC = 20

# What the client's alert says about us.
_CLIENT_SAYS: dict[int, tuple[str, str]] = {
    48: ("client_distrusts_us", "client does not trust our certificate: it has another CA, or an old one"),
    42: (
        "client_refuses_us",
        "client refuses our certificate: the name it connected to is not in it, or its clock is wrong",
    ),
    43: ("client_refuses_us", "client refuses our certificate as of an unsupported kind"),
    44: ("client_refuses_us", "client says that our certificate was revoked"),
    45: ("client_refuses_us", "client says that our certificate has expired; if not, its clock is wrong"),
    46: ("client_refuses_us", "client refuses our certificate and does not say why"),
    51: ("client_distrusts_us", "client cannot verify our signature: it has another CA of the same name"),
    70: ("protocol_version", "client does not want the TLS version that we chose"),
    0: ("closed", "client closed the connection during the handshake"),
    90: ("closed", "client cancelled the handshake"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PresentedCertificate:
    """The certificate that a client presented, verified or not.

    `der` is empty where it is larger than 1,536 bytes; `subject` and `issuer` are RFC 4514 names of at most
    200 characters, "" where the certificate cannot be parsed; `chain_length` counts what the client sent.
    """

    der: bytes
    subject: str
    issuer: str
    serial: int
    not_before: str
    not_after: str
    chain_length: int


@dataclass(frozen=True, slots=True)
class HandshakeFailure:
    """One TLS connection that failed. About 2 KB at most, most of it the certificate.

    reason: OpenSSL's reason (CERTIFICATE_VERIFY_FAILED) or one of this module; library: OpenSSL's ("SSL").
    verify_code, verify_message: of X509_verify_cert, 0 and "" where it was not that.
    alert_sent, alert_received: numbers of RFC 8446 section 6.2, -1 for none known.
    client_hello: what the client offered, None where no whole ClientHello came.
    certificate: what it presented; seen only by listeners that ask for certificates.
    stage: how far it came, one of this module's constants.
    minimum_version: the lowest version that the listener takes (0x0303).
    bytes_received: in all; first_bytes: the first 16 of them. duration: seconds since the beginning.
    issuer_known: whether a trusted CA has the name of the certificate's issuer.
    psk: whether the listener has pre-shared keys; psk_asked: the identity that the client named.
    """

    reason: str
    library: str = ""
    verify_code: int = 0
    verify_message: str = ""
    alert_sent: int = -1
    alert_received: int = -1
    client_hello: ClientHello | None = None
    certificate: PresentedCertificate | None = None
    stage: str = NOTHING_RECEIVED
    minimum_version: int = 0x0303
    bytes_received: int = 0
    first_bytes: bytes = field(default=b"")
    duration: float = 0.0
    issuer_known: bool = False
    psk: bool = False
    psk_asked: Asked | None = None

    @property
    def presented_certificate(self) -> bytes | None:
        """The certificate in DER, None where none was seen or it is too large to keep."""
        return (self.certificate.der or None) if self.certificate is not None else None

    @property
    def cause(self) -> str:
        """The cause as one of a few words, for counting: `unknown_ca`, `plain_mqtt`, `timed_out`, ..."""
        return _explain(self)[0]

    def summary(self) -> str:
        """The cause in one line of plain words, with what the client showed of itself."""
        parts = [_explain(self)[1]]
        if self.alert_sent >= 0:
            parts.append(f"{alerts.name_of(self.alert_sent)} sent")
        if self.alert_received >= 0:
            parts.append(f"alert {alerts.name_of(self.alert_received)} received")
        text = parts[0] + (f" ({', '.join(parts[1:])})" if parts[1:] else "")
        if self.certificate is not None and self.certificate.subject:
            shown = self.certificate
            text += f"; certificate {shown.subject} of {shown.issuer}"
            text += f", serial {shown.serial:x}, until {shown.not_after}"
        if self.client_hello is not None and self.client_hello.server_name:
            text += f"; server name {self.client_hello.server_name}"
        return text

    def offered(self) -> dict[str, str]:
        """What the client offered, for a log: TLS versions, cipher suites, server name; {} without a
        hello.
        """
        hello = self.client_hello
        if hello is None:
            return {}
        offered = {
            "tls_versions": " ".join(version_name(version) for version in hello.versions),
            "cipher_suites": " ".join(suites.name_of(code) for code in hello.cipher_suites[:_SUITES_SHOWN]),
        }
        if len(hello.cipher_suites) > _SUITES_SHOWN:
            offered["cipher_suites"] += f" and {len(hello.cipher_suites) - _SUITES_SHOWN} more"
        if hello.server_name:
            offered["server_name"] = hello.server_name
        return offered


def version_name(version: int) -> str:
    """`TLS 1.2` for 0x0303; the number for what is no version."""
    return _VERSION_NAMES.get(version, f"0x{version:04X}")


def parse_certificate_message(message: bytes, version: int) -> PresentedCertificate | None:
    """The first certificate of a Certificate message (RFC 8446 section 4.4.2, RFC 5246 section 7.4.2).

    message: with its 4-byte header; version: 0x0304 or lower. None where it has no certificate.
    """
    position = 4
    if version >= 0x0304 and len(message) > position:
        position += 1 + message[position]  # certificate_request_context
    position += 3
    first = b""
    count = 0
    while position + 3 <= len(message):
        length = int.from_bytes(message[position : position + 3], "big")
        position += 3
        if not count:
            first = message[position : position + length]
        position += length
        if version >= 0x0304:
            position += 2 + int.from_bytes(message[position : position + 2], "big")  # extensions
        count += 1
    return _presented(first, count) if first else None


def _presented(der: bytes, count: int) -> PresentedCertificate:
    kept = der if len(der) <= MAXIMUM_DER else b""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return PresentedCertificate(
            kept,
            certificate.subject.rfc4514_string()[:MAXIMUM_NAME],
            certificate.issuer.rfc4514_string()[:MAXIMUM_NAME],
            certificate.serial_number,
            certificate.not_valid_before_utc.isoformat(sep=" ", timespec="seconds"),
            certificate.not_valid_after_utc.isoformat(sep=" ", timespec="seconds"),
            count,
        )
    except ValueError:
        return PresentedCertificate(kept, "", "", 0, "", "", count)


def alert_in(output: bytes) -> int:
    """The alert in clear at the end of what goes to the peer (RFC 8446 section 5.1), or -1."""
    if len(output) >= 7 and output[-7] == 21 and output[-6] == 3 and output[-4:-2] == b"\x00\x02":
        return output[-1]
    return -1


def failure_of(error: ssl.SSLError) -> tuple[str, str, int, str]:
    """(reason, library, verify_code, verify_message) of an error of the ssl module."""
    verify_code, verify_message = 0, ""
    if isinstance(error, ssl.SSLCertVerificationError):
        verify_code, verify_message = error.verify_code, error.verify_message
    reason = error.reason or str(error.args[1] if len(error.args) > 1 else error)
    return reason, error.library or "", verify_code, verify_message


def _explain(failure: HandshakeFailure) -> tuple[str, str]:
    words = failure.reason.lower().replace("_", " ")
    if failure.stage == ESTABLISHED:
        return "after_handshake", f"connection failed after its handshake: {words}"
    if failure.verify_code == _ISSUER_NOT_FOUND and failure.issuer_known:
        return (
            "ca_key_differs",
            "client certificate refused: a trusted CA has its issuer's name, but another key: "
            "the CA was made again",
        )
    if failure.verify_code:
        cause, meaning = _VERIFY_CAUSES.get(
            failure.verify_code,
            ("certificate_refused", failure.verify_message or f"error {failure.verify_code}"),
        )
        return cause, f"client certificate refused: {meaning}"
    if failure.psk:
        of_keys = _explain_psk(failure)
        if of_keys is not None:
            return of_keys
    if failure.alert_received in _CLIENT_SAYS:
        return _CLIENT_SAYS[failure.alert_received]
    if failure.alert_received >= 0:
        return "client_alert", f"client ended the handshake: {alerts.name_of(failure.alert_received)}"
    if failure.stage == NO_CLIENT_HELLO:
        plain = _plain(failure.first_bytes)
        if plain is not None:
            return plain
    if failure.reason in ("UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "WRONG_SSL_VERSION"):
        return "protocol_version", _version_text(failure)
    if failure.reason in _REASONS:
        return _REASONS[failure.reason]
    if failure.reason == PEER_CLOSED:
        return _closed(failure.stage)
    return "other", f"handshake failed: {words}"


def _explain_psk(failure: HandshakeFailure) -> tuple[str, str] | None:
    """What is special about a listener with pre-shared keys; None where nothing is."""
    asked = failure.psk_asked
    if asked is not None:
        shown = asked.identity[:MAXIMUM_NAME]
        if not asked.known:
            return "psk_unknown", f"there is no pre-shared key for the identity {shown!r}"
        if failure.alert_received == _BAD_RECORD_MAC or failure.reason in _WRONG_KEY:
            return "psk_wrong_key", f"wrong pre-shared key for the identity {shown!r}"
    if failure.reason == "NO_SHARED_CIPHER":
        return (
            "no_shared_cipher",
            "no shared cipher suite: the client offers none for pre-shared keys that this listener has",
        )
    return None


def _plain(first: bytes) -> tuple[str, str] | None:
    """What a connection is that does not begin with a TLS record."""
    if not first:
        return None
    if first[0] == 0x10:
        return "plain_mqtt", "plain MQTT on a TLS port: the client sent CONNECT without TLS"
    if first[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"PRI "):
        return "http", "plain HTTP on a TLS port"
    if first[:4] == b"SSH-":
        return "not_tls", "SSH on a TLS port"
    if first[0] & 0x80 and first[2:3] == b"\x01":
        return "protocol_version", "SSL 2 ClientHello: the client is older than TLS"
    if first[:5] == b"PROXY" or first[:12] == b"\r\n\r\n\x00\r\nQUIT\n":
        return "not_tls", "a proxy's PROXY header before TLS"
    if first[0] != 22:
        return "not_tls", f"not TLS: the connection begins with {first[:4].hex(' ')}"
    return None


def _version_text(failure: HandshakeFailure) -> str:
    hello = failure.client_hello
    minimum = version_name(failure.minimum_version)
    if hello is None:
        return f"TLS version too old, {minimum} is the minimum"
    return f"{version_name(max(hello.versions))} offered, {minimum} is the minimum"


def _closed(stage: str) -> tuple[str, str]:
    if stage == NOTHING_RECEIVED:
        return (
            "closed_silent",
            "client closed the connection before it sent anything (port scan, health check)",
        )
    if stage == SERVER_FLIGHT:
        return (
            "left_after_certificate",
            "client left after our certificate without an alert: it may not trust it, or be out of memory",
        )
    return "closed", "client closed the connection during the handshake"
