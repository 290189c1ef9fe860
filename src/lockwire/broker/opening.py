"""Opening a listener: its socket and its TLS context, from its settings."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Final

from lockwire.config import ListenerSettings
from lockwire.tls.context import ServerContext
from lockwire.tls.loading import Pair, ServerFiles
from lockwire.tls.named import FIELDS, find_policy
from lockwire.tls.policy import TlsPolicy
from lockwire.tls.psk import KeyFile, PreSharedKeys, PskLookup
from lockwire.tls.suites import BY_NAME

BACKLOG: Final = 4096


class ListenError(Exception):
    """A listener that cannot be opened; the text names it, its address, the cause and what to do."""


def open_socket(settings: ListenerSettings) -> tuple[socket.socket, str, int]:
    """A socket that listens as `settings` say, its address for people, and its port (0 for Unix).

    Raises:
        ListenError: the address is taken, not this machine's, or not allowed.
    """
    if settings.transport == "unix":
        assert settings.path is not None
        return _open_unix(settings.name, settings.path), settings.endpoint, 0
    try:
        found = socket.getaddrinfo(
            settings.address, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        dual = family == socket.AF_INET6 and address[0] == "::"
        sock = socket.create_server(
            (str(address[0]), settings.port), family=family, backlog=BACKLOG, dualstack_ipv6=dual
        )
    except OSError as error:
        # socket.create_server repeats the address behind the cause.
        cause = (error.strerror or str(error)).partition(" (while attempting")[0]
        raise ListenError(
            f"listener {settings.name} cannot listen on {settings.endpoint}: {cause}; "
            "choose another port or address, or stop what uses it"
        ) from error
    sock.setblocking(False)
    port = int(sock.getsockname()[1])
    host = f"[{settings.address}]" if ":" in settings.address else settings.address
    return sock, f"{settings.transport} {host}:{port}", port


def _open_unix(name: str, path: Path) -> socket.socket:
    """A Unix socket at `path`; a socket that nobody listens on any more is taken out of the way."""
    try:
        if path.exists():
            if not stat.S_ISSOCK(path.stat().st_mode):
                raise ListenError(f"listener {name}: {path} exists and is no socket; choose another path")
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(path)) == 0:
                    raise ListenError(f"listener {name}: another program listens on {path}")
            path.unlink()
        sock = socket.socket(socket.AF_UNIX)
        previous = os.umask(0o117)
        try:
            sock.bind(str(path))
        finally:
            os.umask(previous)
        sock.listen(BACKLOG)
    except OSError as error:
        raise ListenError(
            f"listener {name} cannot listen on {path}: {error.strerror or error}; choose another path"
        ) from error
    sock.setblocking(False)
    return sock


def context_for(
    settings: ListenerSettings, current: ServerContext | None, psk_key: PskLookup | None = None
) -> ServerContext:
    """The TLS context of a listener: `current`, its files read again, where the policy is the same.

    psk_key: the pre-shared key of an identity, for listeners that name no file of them.

    Raises:
        TlsPolicyError, TlsFileError: what is wrong, and in which field or file; `current` stays as it was.
    """
    policy = policy_of(settings)
    if current is not None and current.policy == policy and _same_sources(settings, current, psk_key):
        current.reload()
        return current
    if not settings.uses_psk:
        return ServerContext(policy, files_of(settings))
    lookup = psk_key or _no_key if settings.psk.file is None else KeyFile(settings.psk.file)
    return ServerContext(policy, None, PreSharedKeys(lookup, settings.psk.hint))


def policy_of(settings: ListenerSettings) -> TlsPolicy:
    """The TLS policy that a listener's settings amount to. Raises TlsPolicyError."""
    tls = settings.tls
    named = find_policy(tls.policy) if tls.policy else None
    chosen = {
        name: getattr(tls if named is None or name in tls.beside_policy else named, name) for name in FIELDS
    }
    if settings.uses_psk and "cipher_suites" not in tls.model_fields_set:
        # A family's, and those for every listener, are for certificates first.
        known = [BY_NAME.get(name) for name in chosen["cipher_suites"]]
        chosen["cipher_suites"] = [suite.iana for suite in known if suite is not None and suite.needs_psk]
    return TlsPolicy(
        minimum_version=chosen["minimum_version"],
        maximum_version=chosen["maximum_version"],
        cipher_suites=tuple(chosen["cipher_suites"]),
        groups=tuple(chosen["groups"]),
        alpn=(*tls.alpn, "http/1.1") if settings.has_websocket else tuple(tls.alpn),
        session_tickets=tls.session_tickets,
        handshake_timeout=chosen["handshake_timeout"],
        client_certificates=settings.client_certificates,
        maximum_record_size=chosen["maximum_record_size"],
        security_level=2 if named is None or settings.uses_psk else named.security_level,
        psk=settings.uses_psk,
        crl_failure=tls.crl_failure,
    )


def files_of(settings: ListenerSettings) -> ServerFiles:
    """The files of a listener with certificates."""
    tls = settings.tls
    assert tls.certificate is not None
    assert tls.key is not None
    alternate = None
    if tls.alternate_certificate is not None and tls.alternate_key is not None:
        alternate = Pair(tls.alternate_certificate, tls.alternate_key)
    return ServerFiles(Pair(tls.certificate, tls.key), alternate, tls.client_ca, tls.crl)


def _same_sources(settings: ListenerSettings, current: ServerContext, psk_key: PskLookup | None) -> bool:
    """Whether a context has its keys from where these settings have them."""
    if not settings.uses_psk:
        return current.files == files_of(settings)
    psk = current.psk
    if psk is None or psk.hint != settings.psk.hint:
        return False
    if isinstance(psk.lookup, KeyFile):
        return psk.lookup.path == settings.psk.file
    return settings.psk.file is None and psk.lookup == (psk_key or _no_key)


def _no_key(identity: str) -> bytes | None:
    return None
