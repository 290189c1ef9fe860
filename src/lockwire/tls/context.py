"""The server's SSLContext: made from a policy and files, and made anew when the files change."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.tls import libssl
from lockwire.tls.errors import TlsFileError, TlsPolicyError
from lockwire.tls.policy import DEFAULT_TLS13_SUITES, TlsPolicy

__all__ = ["HandshakeRecorder", "ServerContext", "TlsFileError"]

_VERIFY_MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_CERTIFICATE_MESSAGE = 11
_ALERT_RECORD = 21


class HandshakeRecorder:
    """Keeps what only `_msg_callback` shows: the certificate of a client, refused or not, and the alert sent.

    Handshakes run one at a time on a context's thread, so one recorder serves all of them: whoever drives a
    handshake reads it after each step and leaves it cleared.
    """

    def __init__(self) -> None:
        self.certificate_message = b""
        self.version = 0
        self.alert_sent = -1

    def clear(self) -> None:
        """Forgets the last step."""
        self.certificate_message = b""
        self.alert_sent = -1

    def __call__(
        self,
        connection: object,
        direction: str,
        version: int,
        content_type: int,
        message_type: int,
        data: bytes,
    ) -> None:
        """One TLS message, as CPython's `_ssl` reports it."""
        if message_type == _CERTIFICATE_MESSAGE and direction == "read" and content_type == 22:
            self.certificate_message = data
            self.version = version
        elif content_type == _ALERT_RECORD and direction == "write" and len(data) == 2:
            self.alert_sent = data[1]


class ServerContext:
    """One listener's TLS: the contexts, and the buffers that its sessions share.

    policy: the settings. certificate, key: PEM files; the certificate file has the chain, leaf first.
    client_ca: PEM or DER bundle; each certificate in it is a trust anchor, an intermediate too.
    crl: PEM or DER file with a list for every CA that issues client certificates.
    Raises TlsFileError for a file that cannot be used, TlsPolicyError for what this Python cannot set.

    `handshake` is the SSLContext of new connections; `established`, where there is one, takes a connection
    over after its handshake: the same without `_msg_callback`, which costs 4 us for every record.
    `incoming` and `outgoing` are the memory BIOs of all sessions of this context: each call of a session
    leaves them empty, so a connection keeps no buffers of its own. A context and its sessions therefore
    belong to one thread.
    """

    def __init__(
        self,
        policy: TlsPolicy,
        certificate: Path,
        key: Path,
        client_ca: Path | None = None,
        crl: Path | None = None,
    ) -> None:
        if policy.client_certificates != "none" and client_ca is None:
            raise TlsPolicyError(
                "client_certificates",
                f'"{policy.client_certificates}" needs client_ca: the CA that issues them',
            )
        self.policy = policy
        self.record_size = policy.maximum_record_size
        self.minimum_version = int(policy.versions[0])
        self.certificate = certificate
        self.key = key
        self.client_ca = client_ca
        self.crl = crl
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.recorder = HandshakeRecorder()
        self.established: ssl.SSLContext | None = None
        if policy.client_certificates != "none":
            self.established = _bare_context(policy)
        self._trusted = self._read_trusted()
        self._own = (_read(certificate), _read(key))
        self.handshake = self._build()

    def reload(self, new_ticket_keys: bool = False) -> None:
        """Reads the files again and uses what changed for the handshakes that follow.

        A renewed certificate and key go into the live context, which keeps everybody's tickets. A changed
        client CA or CRL makes a new context: a resumption under the old one would let a certificate in that
        the new one refuses. new_ticket_keys: makes a new context in any case.
        Raises TlsFileError; then everything old stays in use.
        """
        trusted = self._read_trusted()
        own = (_read(self.certificate), _read(self.key))
        if trusted == self._trusted and own == self._own and not new_ticket_keys:
            return
        fresh = self._build()
        if trusted == self._trusted and not new_ticket_keys and _key_kind(own[0]) == _key_kind(self._own[0]):
            _load_own(self.handshake, self.certificate, self.key)
        else:
            # A context has a place for each kind of key, so only a new one forgets the old certificate of
            # another kind.
            self.handshake = fresh
        self._trusted = trusted
        self._own = own

    def connection(self) -> Any:
        """A new TLS connection over the shared BIOs: CPython's `_ssl._SSLSocket`.

        It is what ssl.SSLObject wraps; without the wrapper a connection is 300 bytes smaller and each call
        50 ns faster.
        """
        wrap: Any = self.handshake
        return wrap._wrap_bio(self.incoming, self.outgoing, True)

    def _read_trusted(self) -> tuple[bytes, bytes]:
        client_ca = _read(self.client_ca) if self.client_ca is not None else b""
        return client_ca, _read(self.crl) if self.crl is not None else b""

    def _build(self) -> ssl.SSLContext:
        context = _bare_context(self.policy)
        _load_own(context, self.certificate, self.key)
        context.verify_mode = _VERIFY_MODES[self.policy.client_certificates]
        if self.policy.client_certificates != "none" and self.client_ca is not None:
            # Not VERIFY_X509_STRICT: devices have certificates without key identifiers, made after how-tos.
            context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
            _load_client_ca(context, self.client_ca)
            if self.crl is not None:
                _load_crl(context, self.crl)
                context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
            _set_recorder(context, self.recorder)
        return context


def _bare_context(policy: TlsPolicy) -> ssl.SSLContext:
    """A context with the policy's settings and without any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = policy.versions
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.set_ciphers(policy.cipher_string)
    except ssl.SSLError:
        raise TlsPolicyError(
            "cipher_suites", f"{ssl.OPENSSL_VERSION} has none of {', '.join(policy.cipher_suites)}"
        ) from None
    if policy.tls13_suites != DEFAULT_TLS13_SUITES:
        libssl.set_tls13_suites(context, policy.tls13_suites)
    if len(policy.group_names) == 1:
        try:
            context.set_ecdh_curve(policy.group_names[0])
        except (ValueError, ssl.SSLError):
            raise TlsPolicyError(
                "groups", f"{ssl.OPENSSL_VERSION} does not have {policy.groups[0]}"
            ) from None
    elif policy.group_names:
        libssl.set_groups(context, policy.group_names)
    if policy.alpn:
        context.set_alpn_protocols(list(policy.alpn))
    if policy.session_tickets:
        context.num_tickets = 1  # OpenSSL's default of 2 costs a device 250 bytes more in every handshake
    else:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def _set_recorder(context: ssl.SSLContext, recorder: HandshakeRecorder) -> None:
    # ssl.SSLContext's setter wraps the callback in one that makes four enums a message; the C one does not.
    setter: Any = ssl.SSLContext.__mro__[1]
    setter._msg_callback.__set__(context, recorder)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsFileError(path, f"cannot be read: {error.strerror}") from error


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except _EncryptedKeyError:
        raise TlsFileError(
            key, "the key is encrypted; a broker starts unattended and needs it in clear"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None)
        if reason == "KEY_VALUES_MISMATCH":
            raise TlsFileError(key, f"is not the key of the certificate in {certificate}") from error
        culprit, detail = certificate, "is not a PEM certificate chain"
        if _key_kind(_read(certificate)):
            culprit, detail = key, "is not a PEM private key"
        if reason == "EE_KEY_TOO_SMALL":
            culprit, detail = certificate, "its key is too small (RSA below 2048 bits)"
        raise TlsFileError(culprit, f"{detail} ({reason or error})") from error


class _EncryptedKeyError(Exception):
    pass


def _refuse_password() -> str:
    raise _EncryptedKeyError


def _key_kind(pem: bytes) -> str:
    """The kind of key in the first certificate as a dotted OID, "" where there is no certificate."""
    try:
        return x509.load_pem_x509_certificate(pem).public_key_algorithm_oid.dotted_string
    except ValueError:
        return ""


def _load_client_ca(context: ssl.SSLContext, path: Path) -> None:
    data = _read(path)
    try:
        # Comments around the certificates may be in any encoding.
        context.load_verify_locations(
            cadata=data.decode("ascii", "backslashreplace") if b"-----BEGIN" in data else data
        )
    except (ssl.SSLError, ValueError) as error:
        raise TlsFileError(path, f"has no CA certificate in PEM or DER ({error})") from error
    if not context.cert_store_stats()["x509"]:
        raise TlsFileError(path, "has no CA certificate in PEM or DER")


def _load_crl(context: ssl.SSLContext, path: Path) -> None:
    data = _read(path)
    try:
        with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
            if b"-----BEGIN" not in data:
                # ssl reads CRLs in PEM only, and takes a DER file for one without any CRL.
                data = x509.load_der_x509_crl(data).public_bytes(Encoding.PEM)
            pem.write(data)
            pem.flush()
            context.load_verify_locations(cafile=pem.name)
    except (ssl.SSLError, ValueError) as error:
        raise TlsFileError(path, f"has no CRL in PEM or DER ({error})") from error
    if not context.cert_store_stats()["crl"]:
        raise TlsFileError(path, "has no CRL in PEM or DER")
