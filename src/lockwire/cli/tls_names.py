"""Names of TLS policies, cipher suites and groups in a configuration, checked while its lines are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockwire.config import Problem, Settings, TlsSettings
from lockwire.tls.errors import TlsPolicyError
from lockwire.tls.named import find_policy
from lockwire.tls.policy import TlsPolicy

_EXPECTED: Final = {
    "policy": "the name of a TLS policy",
    "cipher_suites": "cipher suites by IANA or OpenSSL name",
    "groups": "key exchange groups by name",
}


def check_tls_names(settings: Settings) -> Iterator[Problem]:
    """What `lockwire.config.load` is given as `check`: names that TLS does not know, each with its key."""
    kinds = {listener.uses_psk for listener in settings.listeners if listener.encrypted}
    yield from _check(settings.tls, ("tls",), psk=kinds == {True})
    for index, listener in enumerate(settings.listeners):
        if listener.encrypted:
            found = list(_check(listener.tls, ("listener", index, "tls"), listener.uses_psk))
            yield from found or _check_whole(settings, index)


def _check(tls: TlsSettings, key: tuple[str | int, ...], psk: bool) -> Iterator[Problem]:
    """What is wrong with the names in one table. psk: whether cipher suites are for pre-shared keys."""
    for name, expected in _EXPECTED.items():
        if name not in tls.model_fields_set:
            continue
        suites = tls.cipher_suites if name == "cipher_suites" else []
        groups = tls.groups if name == "groups" else []
        try:
            if name == "policy" and tls.policy:
                find_policy(tls.policy)
            TlsPolicy(cipher_suites=tuple(suites), groups=tuple(groups), psk=psk)
        except TlsPolicyError as error:
            yield Problem((*key, name), error.detail, expected)


def _check_whole(settings: Settings, index: int) -> Iterator[Problem]:
    """What is wrong with a listener's TLS though every name is right by itself."""
    from lockwire.broker.opening import policy_of  # with it comes half the broker: not for every command

    listener = settings.listeners[index]
    if listener.tls.policy and "policy" not in listener.tls.model_fields_set:
        try:
            find_policy(listener.tls.policy)
        except TlsPolicyError:
            return  # said of [tls] already
    try:
        policy_of(listener)
    except TlsPolicyError as error:
        yield Problem(("listener", index, "tls", error.field), error.detail, "a TLS policy that can be")
