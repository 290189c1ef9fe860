"""The server's SSLContext: made from a policy and files, and made anew when the files change."""

from __future__ import annotations

import ssl
import time
from typing import Any

from cryptography import x509

from lockwire.tls import libssl
from lockwire.tls.errors import TlsFileError, TlsPolicyError
from lockwire.tls.failure import MAXIMUM_NAME
from lockwire.tls.loading import ServerFiles, load_client_ca, load_crls, load_own, read
from lockwire.tls.material import Material, TlsProblem
from lockwire.tls.policy import DEFAULT_TLS13_SUITES, TlsPolicy
from lockwire.tls.psk import KeyFile, PreSharedKeys, read_keys

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
    `problems`: what is wrong with certificates and revocation lists, on our side; see `judge`.
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
        material = self._prepare(None)
        self.handshake = material.handshake
        self.problems: tuple[str, ...] = ()
        self._take(material)

    def prepare(self) -> Material:
        """Reads the files again and builds what they ask for; changes nothing, and may run in any thread.

        Raises TlsFileError.
        """
        return self._prepare(self._material)

    def adopt(self, material: Material) -> bool:
        """Uses what `prepare` gave for the handshakes that follow.

        A renewed certificate and key go into the live context, which keeps everybody's tickets. A changed
        client CA or CRL makes a new context: a resumption under the old one would let a certificate in that
        the new one refuses.
        Gives whether anything changed.
        """
        before = self._material
        if self.psk is not None and isinstance(self.psk.lookup, KeyFile):
            changed = material.keys != self.psk.lookup.keys
            if changed:
                self.psk.lookup.keys = material.keys
            return changed
        if material.same_as(before):
            return False
        if material.trusted == before.trusted and material.kinds == before.kinds:
            assert self.files is not None
            try:
                for pair in self.files.pairs():
                    load_own(self.handshake, pair)
            except TlsFileError:
                # A file has changed since, and the live context may have half of each: tickets go with it.
                self.handshake = material.handshake
        else:
            # A context has a place for each kind of key, so only a new one forgets the old certificate of
            # another kind.
            self.handshake = material.handshake
        self._take(material)
        return True

    def reload(self) -> bool:
        """`prepare` and `adopt` at once. Raises TlsFileError; then everything old stays in use."""
        return self.adopt(self.prepare())

    def new_ticket_keys(self) -> None:
        """Makes everybody's tickets worthless. Raises TlsFileError; then they stay."""
        material = self._prepare(None)
        self.handshake = material.handshake
        self._take(material)

    def _take(self, material: Material) -> None:
        self._material = material
        self._judge_at = 0.0
        self.judge(time.time())

    def judge(self, now: float) -> bool:
        """Looks whether certificates and revocation lists are valid at `now` (Unix time).

        Cheap where nothing can have changed. With crl_failure "serve" client certificates are checked with
        the lists only while these are in order. Gives whether `problems` changed.
        """
        if now < self._judge_at:
            return False
        before = self.problems
        material = self._material
        found, self._judge_at = material.judge(now)
        problems = tuple(self._in_words(problem) for problem in found)
        if problems != before:
            self.problems = problems
        if material.lists:
            check = self.policy.crl_failure == "refuse" or not any(problem.locks_out for problem in found)
            flags = self.handshake.verify_flags & ~ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
            self.handshake.verify_flags = flags | (ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF if check else 0)
        return self.problems != before

    def _in_words(self, problem: TlsProblem) -> str:
        """A problem, and what it means for the clients of this listener."""
        if not problem.locks_out:
            return problem.text
        if self.policy.crl_failure == "serve":
            return f"{problem.text} Until then clients are served on, without those that the lists revoke."
        return f"{problem.text} Until then clients with a certificate of that CA are refused."

    @property
    def denied(self) -> frozenset[str]:
        """The certificates that the revocation lists revoke, in the terms of a deny-list."""
        return self._material.denied

    @property
    def cas(self) -> tuple[x509.Certificate, ...]:
        """The CAs that client certificates are checked against."""
        return self._material.cas

    def trusts_name(self, name: str) -> bool:
        """Whether one of the CAs has this name, in the form of RFC 4514, cut as failures keep it."""
        return any(ca.subject.rfc4514_string()[:MAXIMUM_NAME] == name for ca in self.cas)

    @property
    def checks_crl(self) -> bool:
        """Whether handshakes ask the revocation lists."""
        return bool(self.handshake.verify_flags & ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF)

    @property
    def certificate_ends(self) -> float | None:
        """When the first of the server's certificates ends, Unix time; None without any."""
        return self._material.certificate_ends

    @property
    def crl_ends(self) -> float | None:
        """When the first of the revocation lists is due to be replaced, Unix time; None without any."""
        return self._material.crl_ends

    def connection(self) -> Any:
        """A new TLS connection over the shared BIOs: CPython's `_ssl._SSLSocket`.

        It is what ssl.SSLObject wraps; without the wrapper a connection is 300 bytes smaller and each call
        50 ns faster.
        """
        wrap: Any = self.handshake
        return wrap._wrap_bio(self.incoming, self.outgoing, True)

    def _prepare(self, current: Material | None) -> Material:
        """The files as they are now. The SSLContext of `current` is used again where nothing has changed."""
        psk, files = self.psk, self.files
        if files is None:
            assert psk is not None
            keys = read_keys(psk.lookup.path) if isinstance(psk.lookup, KeyFile) else {}
            if current is not None:
                return Material(current.handshake, keys=keys)
            context = _bare_context(self.policy)
            psk.install(context)
            return Material(context, keys=keys)
        own = [(read(pair.certificate), read(pair.key)) for pair in files.pairs()]
        trusted = tuple(read(path) if path is not None else b"" for path in (files.client_ca, files.crl))
        if current is not None and (own, trusted) == (current.own, current.trusted):
            return current
        return self._build(files, own, trusted)

    def _build(
        self, files: ServerFiles, own: list[tuple[bytes, bytes]], trusted: tuple[bytes, ...]
    ) -> Material:
        context = _bare_context(self.policy)
        for pair in files.pairs():
            load_own(context, pair)
        material = Material(context, own, trusted)
        if files.alternate is not None and material.kinds[0] == material.kinds[1]:
            raise TlsFileError(
                files.alternate.certificate,
                f"has the same kind of key as {files.own.certificate}; an alternate is for clients "
                "that cannot verify that kind: RSA beside ECDSA",
            )
        usable = self.policy.server_keys
        if usable and not usable.intersection(material.key_names):
            raise TlsFileError(
                files.own.certificate,
                f"has an {material.key_names[0]} key, and the policy's cipher suites need one of "
                f"{' or '.join(sorted(usable))}: no client could connect; have a certificate issued for "
                "such a key, and name it as alternate_certificate or instead",
            )
        context.verify_mode = _VERIFY_MODES[self.policy.client_certificates]
        if self.policy.client_certificates == "none" or files.client_ca is None:
            return material
        # Not VERIFY_X509_STRICT: devices have certificates without key identifiers, made after how-tos.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        _set_recorder(context, self.recorder)
        cas = load_client_ca(context, trusted[0], files.client_ca)
        lists = load_crls(context, files.crl) if files.crl is not None else ()
        if lists:
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        material = Material(context, own, trusted, cas, lists)
        _ = material.denied  # long lists take their time here, where no loop may be waiting
        return material


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
