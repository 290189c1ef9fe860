"""A plug-in as the broker's authenticator: the method `plugin` of a listener."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable
from typing import Final

from lockwire.access.authenticator import Authenticator, Credentials, Decision, accepted, refused
from lockwire.access.errors import RuleError
from lockwire.access.identity import ANONYMOUS_NAME, PLUGIN, Identity
from lockwire.access.methods.naming import shown
from lockwire.access.plugins.cache import Cache
from lockwire.access.plugins.calls import Calls, Failure
from lockwire.access.plugins.protocol import Accepted, Answer, Plugin, Refused, Unknown
from lockwire.access.rights.rules import Rule, check_rule
from lockwire.access.tokens.claims import LATEST
from lockwire.mqtt import reasons
from lockwire.pki.certificate import certificate_key, common_name

LONGEST_NAME: Final = 65_535
"""Bytes of an MQTT string (MQTT 5 section 1.5.4)."""
REFUSAL_SECONDS: Final = 5.0
"""Refusals are used again no longer than this: whoever was just let in need not wait."""


class PluginAuthenticator(Authenticator):
    """Asks a plug-in at CONNECT.

    plugin: asked; not closed with this object. calls: how it is asked, shared with its other adapters.
    seconds: time that an answer is used again for the same credentials; failures never are. Answers are kept
        under a keyed hash of what was presented, so that no password stays in memory.
    """

    def __init__(self, plugin: Plugin, calls: Calls, seconds: float) -> None:
        self.plugin = plugin
        self._calls = calls
        self._seconds = seconds
        self._key = os.urandom(32)
        self._answers: Cache[bytes, Accepted | Refused | Unknown] = Cache()

    def authenticate(self, credentials: Credentials, done: Callable[[Decision], None]) -> None:
        key = self._presented(credentials)
        known = self._answers.get(key)
        if known is not None and not _is_over(known):
            done(_decision(known, credentials))
            return

        def answered(answer: Answer | Failure) -> None:
            decision = _failure(answer) if isinstance(answer, Failure) else self._judge(answer, credentials)
            if not isinstance(answer, Failure) and decision.reason != reasons.IMPLEMENTATION_SPECIFIC_ERROR:
                self._answers.put(key, answer, self._lifetime(answer))
            done(decision)

        self._calls.ask(lambda: self.plugin.authenticate(credentials), answered)

    def _judge(self, answer: object, credentials: Credentials) -> Decision:
        problem = _problem(answer)
        if problem or not isinstance(answer, (Accepted, Refused, Unknown)):
            self._calls.log.error("plug-in gave no proper answer", plugin=self._calls.name, problem=problem)
            return refused(
                reasons.IMPLEMENTATION_SPECIFIC_ERROR,
                f"the plug-in {self._calls.name} gave no proper answer: {problem}",
            )
        return _decision(answer, credentials)

    def _lifetime(self, answer: Answer) -> float:
        if not isinstance(answer, Accepted):
            return min(self._seconds, REFUSAL_SECONDS)
        if answer.expires:
            return min(self._seconds, answer.expires - time.time())
        return self._seconds

    def _presented(self, credentials: Credentials) -> bytes:
        """All that the answer may rest on, except for the port, which is another one each time."""
        fields = (
            credentials.listener.encode(),
            credentials.peer.rpartition(":")[0].encode(),
            b"" if credentials.assigned else credentials.client_id.encode(),
            _optional(credentials.username),
            _optional(credentials.password),
            _optional(credentials.certificate),
            bytes([credentials.version, credentials.assigned]),
            _optional(credentials.psk_identity),
            _optional(None if credentials.known is None else credentials.known.name),
        )
        joined = b"".join(len(one).to_bytes(4, "big") + one for one in fields)
        return hmac.digest(self._key, joined, "sha256")


def _optional(value: str | bytes | None) -> bytes:
    if value is None:
        return b""
    return b"=" + (value.encode() if isinstance(value, str) else value)


def _is_over(answer: Answer) -> bool:
    return isinstance(answer, Accepted) and answer.expires != 0 and answer.expires <= time.time()


def _failure(failure: Failure) -> Decision:
    return refused(reasons.SERVER_BUSY if failure.busy else reasons.SERVER_UNAVAILABLE, failure.detail)


def _decision(answer: Answer, credentials: Credentials) -> Decision:
    if isinstance(answer, Accepted):
        if _is_over(answer):
            return refused(reasons.NOT_AUTHORIZED, f"what the plug-in says of {answer.name!r} has expired")
        return accepted(_identity(answer, credentials.certificate), "plug-in")
    login = credentials.username is not None or credentials.password is not None
    # The same for a wrong password and an unknown user, so that nobody learns who exists.
    reason = reasons.BAD_USER_NAME_OR_PASSWORD if login else reasons.NOT_AUTHORIZED
    return Decision(None, reason, answer.detail, unknown=isinstance(answer, Unknown))


def _identity(answer: Accepted, certificate: bytes | None) -> Identity:
    cn = key = ""
    if certificate is not None:
        cn = common_name(certificate) or ""
        key = certificate_key(certificate)
    return Identity(
        answer.name,
        PLUGIN,
        common_name=cn,
        certificate=key,
        groups=answer.groups,
        rules=answer.rules,
        expires=answer.expires,
    )


def _problem(answer: object) -> str:
    """Why something is no answer, "" where it is one."""
    if isinstance(answer, (Refused, Unknown)):
        return "" if isinstance(answer.detail, str) else f"detail is {answer.detail!r}, expected text"
    if not isinstance(answer, Accepted):
        return f"it is of type {type(answer).__name__}, expected Accepted, Refused or Unknown"
    if not _is_name(answer.name):
        name = shown(answer.name) if isinstance(answer.name, str) else type(answer.name).__name__
        return f"the name {name} is empty, reserved, too long, or does not print"
    if not isinstance(answer.groups, tuple) or not all(_is_name(group) for group in answer.groups):
        return "groups is no tuple of names"
    if not isinstance(answer.rules, tuple) or not all(isinstance(rule, Rule) for rule in answer.rules):
        return "rules is no tuple of Rule"
    for rule in answer.rules:
        try:
            check_rule(rule)
        except RuleError as error:
            return f"one of its rules: {error}"
    expires = answer.expires
    if isinstance(expires, bool) or not isinstance(expires, (int, float)) or not 0 <= expires <= LATEST:
        return f"expires is no time of time.time() up to {LATEST:.0f}"
    return ""


def _is_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and name != ""
        and name != ANONYMOUS_NAME
        and name.isprintable()
        and len(name.encode()) <= LONGEST_NAME
    )
