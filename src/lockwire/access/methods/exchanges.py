"""Enhanced authentication (MQTT 5 section 4.12): SCRAM-SHA-256, and tokens as the method "JWT".

Every failure is 0x87 "Not authorized", which CONNACK and DISCONNECT both know; it says nothing about who
exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lockwire.access.authenticator import Credentials, Decision, Exchange, Step, accepted, refused
from lockwire.access.errors import ScramError
from lockwire.access.identity import SCRAM, Identity
from lockwire.access.methods.accounts import Account
from lockwire.access.methods.checker import PasswordChecker, blocked
from lockwire.access.methods.naming import shown
from lockwire.access.methods.passwords import is_slow
from lockwire.access.methods.scram import MECHANISM, ScramServer, ScramVerifier
from lockwire.access.methods.single import TokenMethod
from lockwire.access.methods.throttle import origin_of
from lockwire.mqtt import reasons

JWT: Final = "JWT"
"""The Authentication Method of tokens."""


class ScramExchange(Exchange):
    """SCRAM-SHA-256 over CONNECT and AUTH.

    Failures are counted for user and address together: a proof never repeats, so a device with an old
    password would otherwise lock out the others behind its gateway. Those of one user from many addresses
    are counted as well, and judged after the proof: a client that sends one learns nothing from the order.
    """

    def __init__(self, passwords: PasswordChecker, credentials: Credentials) -> None:
        self._passwords = passwords
        self._throttle = passwords.throttle
        self._credentials = credentials
        users = passwords.users
        self._server = ScramServer(lambda name: _verifier(users.get(name)), users.decoy_key)
        self._origin = origin_of(credentials.peer)
        self._invited = False
        self._started = False

    def step(self, data: bytes, done: Callable[[Step], None]) -> None:
        try:
            answer = self._finish(data) if self._started else self._start(data)
        except ScramError as error:
            answer = _failed(f"{MECHANISM}: {error}")
        done(answer)

    def _start(self, data: bytes) -> Step:
        if not data and not self._invited:
            # A CONNECT without data: the client's first message is asked for (RFC 4422 section 3.3).
            self._invited = True
            return Step(b"")
        self._started = True
        challenge = self._server.start(data)
        claimed = self._credentials.username
        if claimed is not None and claimed != self._server.username:
            return _failed(
                f"{MECHANISM} for {shown(self._server.username)} with the user name {shown(claimed)}"
            )
        wait = self._throttle.wait(self._pair())
        if wait is not None:
            return Step(b"", blocked(wait))
        return Step(challenge)

    def _finish(self, data: bytes) -> Step:
        username = self._server.username
        user = self._passwords.users.get(username)
        wait = self._throttle.wait(self._origin, username) if self._is_user_blocked(username) else None
        try:
            final, _ = self._server.finish(data)
        except ScramError as error:
            if wait is not None:
                return Step(b"", blocked(wait))
            if error.reason == "invalid-proof":
                attempt = self._throttle.attempt(data)
                self._throttle.failed(self._origin, attempt, username, self._pair())
            raise
        if user is None or user.scram != self._server.found:
            return _failed(f"{MECHANISM}: {shown(username)} was deleted, or has another password meanwhile")
        if is_slow(user.password):
            if wait is not None:
                return Step(b"", blocked(wait))
            self._throttle.succeeded(self._origin, username)
        return Step(final, accepted(Identity(user.name, SCRAM, user.administrator), MECHANISM))

    def _is_user_blocked(self, username: str) -> bool:
        return self._throttle.users.blocked(username, self._origin) > 0

    def _pair(self) -> str:
        return f"{self._origin} as {shown(self._server.username)}"


class TokenExchange(Exchange):
    """A token in AUTH: the data is the token, the answer has none.

    A client that is connected sends a fresh one in an AUTH 0x19 before the old one expires.
    """

    def __init__(self, method: TokenMethod, credentials: Credentials) -> None:
        self._method = method
        self._credentials = credentials
        self._invited = False
        self._over = False

    def step(self, data: bytes, done: Callable[[Step], None]) -> None:
        if self._over:
            done(_failed(f"{JWT}: more data after the token"))
        elif not data and not self._invited:
            self._invited = True
            done(Step(b""))
        else:
            self._over = True

            def judged(decision: Decision) -> None:
                done(Step(b"", decision))

            self._method.check(self._credentials, data, judged)


def _verifier(user: Account | None) -> ScramVerifier | None:
    return None if user is None else user.scram


def _failed(detail: str) -> Step:
    return Step(b"", refused(reasons.NOT_AUTHORIZED, detail))
