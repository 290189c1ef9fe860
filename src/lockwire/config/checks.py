"""Contradictions between settings that are each right by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lockwire.config.addresses import overlap

if TYPE_CHECKING:
    from lockwire.config.settings import ListenerSettings, Settings, TlsSettings

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the settings."""

    key: KeyPath
    """Where: `("listener", 0, "port")` is the port of the first listener."""
    found: str
    expected: str
    about: frozenset[str] = frozenset()
    """The other settings that the problem comes from."""
    nearest: str = ""
    """The known key that an unknown one looks like."""
    line: int = 0
    """The line of the file, counted from 1; 0 where there is none."""

    def __str__(self) -> str:
        text = f"{key_name(self.key)}: {self.found}; expected {self.expected}"
        return f"{text}; did you mean {self.nearest}?" if self.nearest else text


def key_name(key: KeyPath) -> str:
    """A key as people read it: `listener[1].tls.key`; listeners are counted from 1."""
    text = ""
    for part in key:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def check_settings(settings: Settings) -> list[Problem]:
    """Everything contradictory in complete settings; empty where they are fine."""
    problems = list(check_tls(settings.tls, ("tls",)))
    for index, listener in enumerate(settings.listeners):
        problems.extend(check_listener(listener, ("listener", index)))
    problems.extend(check_methods(settings))
    problems.extend(check_clashes(list(enumerate(settings.listeners))))
    return problems


def check_listener(listener: ListenerSettings, key: KeyPath) -> Iterator[Problem]:
    """Everything contradictory in one listener, whose `tls` is complete."""
    if listener.transport == "unix":
        yield from _check_unix(listener, key)
    elif listener.path is not None:
        yield Problem(
            (*key, "path"),
            f"a socket's file name on a {listener.transport} listener",
            'no path here (a path in the URL is websocket.path), or transport = "unix"',
        )
    if not listener.has_websocket and listener.websocket.model_fields_set:
        yield Problem(
            (*key, "websocket"),
            f"WebSocket settings on a {listener.transport} listener",
            'no WebSocket settings, or transport = "ws" or "wss"',
        )
    yield from _check_authentication(listener, key)
    if not listener.uses_psk and listener.psk.model_fields_set:
        yield Problem(
            (*key, "psk"),
            "settings of pre-shared keys on a listener without them",
            'no such settings, or authentication = ["psk"]',
        )
    if listener.uses_psk:
        yield from _check_psk(listener, key)
    elif listener.encrypted:
        yield from _check_encrypted(listener, key)
    else:
        yield from _check_unencrypted(listener, key)


def _check_unix(listener: ListenerSettings, key: KeyPath) -> Iterator[Problem]:
    if listener.path is None:
        yield Problem((*key, "path"), "no path", "the file name of the socket, as transport is unix")
    for name in ("address", "port"):
        if name in listener.model_fields_set:
            yield Problem(
                (*key, name), f"{name} on a unix listener", f"no {name}: a unix listener has only a path"
            )


def _check_authentication(listener: ListenerSettings, key: KeyPath) -> Iterator[Problem]:
    where = (*key, "authentication")
    methods = listener.authentication
    if not methods:
        yield Problem(
            where,
            "no authentication",
            'one or more of "certificate", "password", "scram"; or ["anonymous"] where anybody may connect',
        )
    for method in sorted({method for method in methods if methods.count(method) > 1}):
        yield Problem(where, f'"{method}" twice', "each method once")
    if listener.authentication_needs == "all" and "anonymous" in methods:
        yield Problem(
            (*key, "authentication_needs"),
            '"all", with "anonymous" among the methods',
            '"any", or methods that prove something',
            frozenset({"authentication"}),
        )
    if "certificate" not in methods:
        return
    if not listener.encrypted:
        yield Problem(
            where,
            f'"certificate" on a {listener.transport} listener',
            'no "certificate", or transport = "tls" or "wss"',
        )
    elif listener.client_certificates == "none":
        yield Problem(
            where,
            '"certificate", but client_certificates = "none"',
            'client_certificates = "optional" or "required", so that certificates are asked for',
            frozenset({"client_certificates"}),
        )


def _check_psk(listener: ListenerSettings, key: KeyPath) -> Iterator[Problem]:
    """A certificate beside a pre-shared key lets a client in by one under the name of the other."""
    if listener.transport != "tls":
        yield Problem(
            (*key, "authentication"),
            f'"psk" on a {listener.transport} listener',
            'transport = "tls"',
            frozenset({"transport"}),
        )
    if listener.authentication != ["psk"]:
        yield Problem(
            (*key, "authentication"), '"psk" beside another method', '["psk"] alone, on a listener of its own'
        )
    if listener.client_certificates != "none":
        yield Problem(
            (*key, "client_certificates"),
            f'"{listener.client_certificates}" with authentication = ["psk"]',
            '"none": a listener with pre-shared keys has no certificates',
        )
    written = {"certificate", "key", "alternate_certificate", "alternate_key", "client_ca", "crl"}
    for name in sorted(listener.tls.model_fields_set & written):
        yield Problem(
            (*key, "tls", name),
            f'{name} with authentication = ["psk"]',
            "no certificates on a listener with pre-shared keys",
        )


def check_methods(settings: Settings) -> Iterator[Problem]:
    """Methods of listeners that need a section which is not there, and what is wrong in those sections."""
    methods = {method for listener in settings.listeners for method in listener.authentication}
    token = settings.token
    if "token" in methods and not token.jwks and token.secret_file is None:
        yield Problem(
            ("token", "jwks"), 'nothing, but a listener has "token" among its methods', "jwks or secret_file"
        )
    if "plugin" in methods and not settings.plugin.name:
        yield Problem(
            ("plugin", "name"), 'nothing, but a listener has "plugin" among its methods', "a plug-in's name"
        )
    symmetric = [name for name in token.algorithms if name.startswith("HS")]
    if symmetric and len(symmetric) != len(token.algorithms):
        yield Problem(
            ("token", "algorithms"),
            "HS algorithms beside others",
            "either HS algorithms with secret_file, or the others with jwks",
        )
    elif symmetric and token.secret_file is None:
        yield Problem(
            ("token", "secret_file"), f"nothing, but algorithms has {symmetric[0]}", "the file of the secret"
        )
    elif not symmetric and token.secret_file is not None:
        yield Problem(
            ("token", "secret_file"),
            "a secret, but no HS algorithm",
            "no secret_file, or HS algorithms alone",
            frozenset({"algorithms"}),
        )


def _check_unencrypted(listener: ListenerSettings, key: KeyPath) -> Iterator[Problem]:
    if listener.tls.model_fields_set:
        yield Problem(
            (*key, "tls"),
            f"TLS settings on a {listener.transport} listener",
            'no TLS settings, or transport = "tls" or "wss"',
        )
    if listener.client_certificates != "none":
        yield Problem(
            (*key, "client_certificates"),
            f'"{listener.client_certificates}" on a {listener.transport} listener',
            '"none", or transport = "tls" or "wss"',
        )


def _check_encrypted(listener: ListenerSettings, key: KeyPath) -> Iterator[Problem]:
    yield from check_tls(listener.tls, (*key, "tls"))
    if listener.tls.certificate is None and not listener.tls.model_fields_set & {"certificate", "key"}:
        yield Problem(
            (*key, "tls", "certificate"),
            "no certificate",
            f"certificate and key (here or under [tls]), as transport is {listener.transport}",
        )
    if listener.client_certificates != "none" and listener.tls.client_ca is None:
        yield Problem(
            (*key, "tls", "client_ca"),
            "no client_ca",
            f'the CA of client certificates, as client_certificates is "{listener.client_certificates}"',
            frozenset({"client_certificates"}),
        )


def check_tls(tls: TlsSettings, key: KeyPath) -> Iterator[Problem]:
    """Everything contradictory in what one table of TLS settings sets itself."""
    written = tls.model_fields_set
    versions = written & {"minimum_version", "maximum_version"}
    if versions and tls.maximum_version == "1.2" and tls.minimum_version == "1.3":
        yield Problem(
            (*key, "minimum_version"),
            '"1.3", above maximum_version "1.2"',
            "a version not above maximum_version",
            frozenset({"maximum_version", "minimum_version"}),
        )
    pairs = (("certificate", "key"), ("alternate_certificate", "alternate_key"))
    for present, missing in (*pairs, *((second, first) for first, second in pairs)):
        if present in written and missing not in written:
            yield Problem(
                (*key, missing),
                f"{present} without {missing}",
                f"the {missing} that belongs to the {present}",
            )
    for name in tls.alpn if "alpn" in written else ():
        if not 1 <= len(name.encode()) <= 255:
            yield Problem((*key, "alpn"), f"a protocol name of {len(name.encode())} bytes", "1 to 255 bytes")


def check_clashes(listeners: list[tuple[int, ListenerSettings]]) -> Iterator[Problem]:
    """Listeners, each with its index, that have the same name or want the same place."""
    for position, (index, listener) in enumerate(listeners):
        for other_index, other in listeners[:position]:
            first = f"listener[{other_index + 1}]"
            if listener.name == other.name:
                yield Problem(
                    ("listener", index, "name"),
                    f'"{listener.name}", as {first} has',
                    "another name for each listener",
                )
            if _same_place(listener, other):
                name = "path" if listener.transport == "unix" else "port"
                yield Problem(
                    ("listener", index, name),
                    f"{listener.endpoint}, where {first} ({other.endpoint}) is",
                    f"another {name} or address",
                )


def _same_place(first: ListenerSettings, second: ListenerSettings) -> bool:
    if "unix" in (first.transport, second.transport):
        return first.transport == second.transport and first.path == second.path
    return first.port == second.port != 0 and overlap(first.address, second.address)
