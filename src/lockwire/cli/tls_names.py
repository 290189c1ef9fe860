"""Names of cipher suites and groups in a configuration, checked while its lines are still known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockwire.config import Problem, Settings, TlsSettings
from lockwire.tls.errors import TlsPolicyError
from lockwire.tls.policy import TlsPolicy

_EXPECTED: Final = {
    "cipher_suites": "cipher suites by IANA or OpenSSL name",
    "groups": "key exchange groups by name",
}


def check_tls_names(settings: Settings) -> Iterator[Problem]:
    """What `lockwire.config.load` is given as `check`: names that TLS does not know, each with its key."""
    yield from _check(settings.tls, ("tls",))
    for index, listener in enumerate(settings.listeners):
        if listener.encrypted:
            yield from _check(listener.tls, ("listener", index, "tls"))


def _check(tls: TlsSettings, key: tuple[str | int, ...]) -> Iterator[Problem]:
    for name, expected in _EXPECTED.items():
        if name not in tls.model_fields_set:
            continue
        suites = tls.cipher_suites if name == "cipher_suites" else []
        groups = tls.groups if name == "groups" else []
        try:
            TlsPolicy(cipher_suites=tuple(suites), groups=tuple(groups))
        except TlsPolicyError as error:
            yield Problem((*key, name), error.detail, expected)
