"""The server's SSLContext: made from a policy and files, and made anew when the files change."""

from __future__ import annotations

import ssl
from typing import Any

from lockwire.tls import libssl
from lockwire.tls.errors import TlsFileError, TlsPolicyError
from lockwire.tls.loading import ServerFiles, key_kind, load_client_ca, load_crl, load_own, read
from lockwire.tls.policy import DEFAULT_TLS13_SUITES, TlsPolicy
from lockwire.tls.psk import KeyFile, PreSharedKeys

__all__ = ["HandshakeRecorder", "ServerContext"]

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

    policy: the settings. files: certificates, keys, CA and CRL; None where `psk` has the keys of clients.
    Raises TlsFileError for a file that cannot be used, TlsPolicyError for what this Python cannot set.

    `handshake` is the SSLContext of new connections; `established`, where there is one, takes a connection
    over after its handshake: the same without `_msg_callback`, which costs 4 us for every record.
    `incoming` and `outgoing` are the memory BIOs of all sessions of this context: each call of a session
    leaves them empty, so a connection keeps no buffers of its own. A context and its sessions therefore
    belong to one thread.
    """

    def __init__(
        self, policy: TlsPolicy, files: ServerFiles | None, psk: PreSharedKeys | None = None
    ) -> None:
        if policy.psk is not (psk is not None) or policy.psk is not (files is None):
            raise TlsPolicyError("psk", "a listener has either pre-shared keys or a certificate")
        if policy.client_certificates != "none" and (files is None or files.client_ca is None):
            raise TlsPolicyError(
                "client_certificates",
                f'"{policy.client_certificates}" needs client_ca: the CA that issues them',
            )
        self.policy = policy
        self.record_size = policy.maximum_record_size
        self.minimum_version = int(policy.versions[0])
        self.files = files
        self.psk = psk
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.recorder = HandshakeRecorder()
        self.established: ssl.SSLContext | None = None
        if policy.client_certificates != "none":
            self.established = _bare_context(policy)
        self._trusted = self._read_trusted()
        self._own = self._read_own()
        self.handshake = self._build()

    def reload(self, new_ticket_keys: bool = False) -> set[str]:
        """Reads the files again and uses what changed for the handshakes that follow.

        A renewed certificate and key go into the live context, which keeps everybody's tickets. A changed
        client CA or CRL makes a new context: a resumption under the old one would let a certificate in that
        the new one refuses. new_ticket_keys: makes a new context in any case.
        Gives the identities whose pre-shared key is gone or another one now.
        Raises TlsFileError; then everything old stays in use.
        """
        if self.psk is not None:
            return self.psk.lookup.reload() if isinstance(self.psk.lookup, KeyFile) else set()
        trusted = self._read_trusted()
        own = self._read_own()
        if trusted == self._trusted and own == self._own and not new_ticket_keys:
            return set()
        fresh = self._build()
        if trusted == self._trusted and not new_ticket_keys and _kinds(own) == _kinds(self._own):
            assert self.files is not None
            for pair in self.files.pairs():
                load_own(self.handshake, pair)
        else:
            # A context has a place for each kind of key, so only a new one forgets the old certificate of
            # another kind.
            self.handshake = fresh
        self._trusted = trusted
        self._own = own
        return set()

    def connection(self) -> Any:
        """A new TLS connection over the shared BIOs: CPython's `_ssl._SSLSocket`.

        It is what ssl.SSLObject wraps; without the wrapper a connection is 300 bytes smaller and each call
        50 ns faster.
        """
        wrap: Any = self.handshake
        return wrap._wrap_bio(self.incoming, self.outgoing, True)

    def _read_trusted(self) -> tuple[bytes, bytes]:
        files = self.files
        if files is None:
            return b"", b""
        client_ca = read(files.client_ca) if files.client_ca is not None else b""
        return client_ca, read(files.crl) if files.crl is not None else b""

    def _read_own(self) -> list[tuple[bytes, bytes]]:
        pairs = () if self.files is None else self.files.pairs()
        return [(read(pair.certificate), read(pair.key)) for pair in pairs]

    def _build(self) -> ssl.SSLContext:
        context = _bare_context(self.policy)
        files = self.files
        if self.psk is not None:
            self.psk.install(context)
        if files is None:
            return context
        for pair in files.pairs():
            load_own(context, pair)
        kinds = _kinds(self._read_own())
        if files.alternate is not None and kinds[0] == kinds[1]:
            raise TlsFileError(
                files.alternate.certificate,
                f"has the same kind of key as {files.own.certificate}; an alternate is for clients "
                "that cannot verify that kind: RSA beside ECDSA",
            )
        context.verify_mode = _VERIFY_MODES[self.policy.client_certificates]
        if self.policy.client_certificates != "none" and files.client_ca is not None:
            # Not VERIFY_X509_STRICT: devices have certificates without key identifiers, made after how-tos.
            context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
            load_client_ca(context, files.client_ca)
            if files.crl is not None:
                load_crl(context, files.crl)
                context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
            _set_recorder(context, self.recorder)
        return context


def _kinds(own: list[tuple[bytes, bytes]]) -> list[str]:
    return [key_kind(certificate) for certificate, _ in own]


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
