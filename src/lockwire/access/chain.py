"""The authenticator of a listener: its methods in their order.

    certificate  judges where TLS verified a client certificate; its common name is the identity, and a user
                 name, if there is one, must be the same. It leaves the decision to `password` where that is
                 on the list and the client sent user name and password.
    password     judges where there is a user name or a password; the users file decides. A wrong password is
                 refused though a good certificate is there: whoever claims to be somebody must prove it.
    scram        answers MQTT 5 enhanced authentication only (Authentication Method SCRAM-SHA-256).
    anonymous    accepts whoever is left and believes nothing that was sent along.

The first that judges decides; nothing comes after its refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lockwire.access.authenticator import (
    Authenticator,
    Credentials,
    Decision,
    Exchange,
    Step,
    accepted,
    refused,
)
from lockwire.access.checker import PasswordChecker, blocked
from lockwire.access.errors import ScramError
from lockwire.access.identity import (
    ANONYMOUS,
    ANONYMOUS_IDENTITY,
    CERTIFICATE,
    METHODS,
    PASSWORD,
    SCRAM,
    Identity,
)
from lockwire.access.scram import MECHANISM, ScramServer, ScramVerifier
from lockwire.access.throttle import origin_of
from lockwire.mqtt import reasons
from lockwire.pki.certificate import common_name


class ChainAuthenticator(Authenticator):
    """Asks a listener's methods one after the other.

    methods: some of "certificate", "password", "scram" and "anonymous"; ValueError for anything else.
    passwords: shared by all listeners, so that failures and verified passwords are counted once; `scram`
        asks its users too. It is not closed with this object.
    """

    def __init__(self, methods: Sequence[str], passwords: PasswordChecker) -> None:
        unknown = [method for method in methods if method not in METHODS]
        if unknown:
            raise ValueError(
                f"unknown authentication method {unknown[0]!r}, expected one of {', '.join(METHODS)}"
            )
        self.methods = tuple(methods)
        self.passwords = passwords

    def authenticate(self, credentials: Credentials, done: Callable[[Decision], None]) -> None:
        for method in self.methods:
            if method == CERTIFICATE and credentials.certificate is not None:
                if PASSWORD not in self.methods or not _has_login(credentials):
                    done(_by_certificate(credentials.certificate, credentials.username))
                    return
            elif method == PASSWORD and self._is_for_password(credentials):
                self._by_password(credentials, done)
                return
            elif method == ANONYMOUS:
                done(accepted(ANONYMOUS_IDENTITY, "anonymous"))
                return
        done(
            refused(
                reasons.NOT_AUTHORIZED, f"nothing presented that this listener asks for ({self._asked()})"
            )
        )

    def exchange(self, method: str, credentials: Credentials) -> Exchange | None:
        if method != MECHANISM or SCRAM not in self.methods:
            return None
        return ScramExchange(self.passwords, credentials)

    def _is_for_password(self, credentials: Credentials) -> bool:
        if credentials.password is not None:
            return True
        # A user name alone is the certificate's to judge where there is one.
        by_certificate = CERTIFICATE in self.methods and credentials.certificate is not None
        return credentials.username is not None and not by_certificate

    def _by_password(self, credentials: Credentials, done: Callable[[Decision], None]) -> None:
        if credentials.username is None:
            done(refused(reasons.BAD_USER_NAME_OR_PASSWORD, "a password without a user name"))
        elif credentials.password is None:
            done(
                refused(
                    reasons.BAD_USER_NAME_OR_PASSWORD,
                    f"the user name {credentials.username!r} without a password",
                )
            )
        else:
            self.passwords.check(credentials.peer, credentials.username, credentials.password, done)

    def _asked(self) -> str:
        names = {CERTIFICATE: "a client certificate", PASSWORD: "user name and password", SCRAM: MECHANISM}
        return ", ".join(names[method] for method in self.methods if method in names) or "none"


class ScramExchange(Exchange):
    """SCRAM-SHA-256 over CONNECT and AUTH (MQTT 5 section 4.12).

    Every failure is 0x87 "Not authorized", which CONNACK and DISCONNECT both know; it says nothing about who
    exists. Failures are counted for each user and address together: a proof never repeats, so a device with
    an old password would otherwise lock out the others behind its gateway.
    """

    def __init__(self, passwords: PasswordChecker, credentials: Credentials) -> None:
        self._passwords = passwords
        self._credentials = credentials
        self._server = ScramServer(self._verifier, passwords.users.decoy_key)
        self._invited = False
        self._started = False

    def step(self, data: bytes, done: Callable[[Step], None]) -> None:
        try:
            answer = self._finish(data) if self._started else self._start(data)
        except ScramError as error:
            if error.reason == "invalid-proof":
                self._passwords.throttle.failed(self._origin(), data)
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
            return _failed(f"{MECHANISM} for {self._server.username!r} with the user name {claimed!r}")
        seconds = self._passwords.throttle.blocked(self._origin())
        if seconds > 0:
            return Step(b"", blocked(self._origin(), seconds))
        return Step(challenge)

    def _finish(self, data: bytes) -> Step:
        final, username = self._server.finish(data)
        user = self._passwords.users.get(username)
        if user is None:
            return _failed(f"the user {username!r} was removed meanwhile")
        return Step(final, accepted(Identity(user.name, SCRAM, user.administrator), MECHANISM))

    def _verifier(self, username: str) -> ScramVerifier | None:
        user = self._passwords.users.get(username)
        return None if user is None else user.scram

    def _origin(self) -> str:
        return f"{origin_of(self._credentials.peer)} as {self._server.username!r}"


def _by_certificate(certificate: bytes, username: str | None) -> Decision:
    name = common_name(certificate)
    if not name:
        return refused(reasons.NOT_AUTHORIZED, "the client certificate has no common name, or more than one")
    if not name.isprintable():
        return refused(reasons.NOT_AUTHORIZED, f"the common name {name!r} has characters that do not print")
    if username is not None and username != name:
        return refused(
            reasons.BAD_USER_NAME_OR_PASSWORD, f"the user name {username!r} with a certificate for {name!r}"
        )
    return accepted(Identity(name, CERTIFICATE), "client certificate")


def _has_login(credentials: Credentials) -> bool:
    return credentials.username is not None and credentials.password is not None


def _failed(detail: str) -> Step:
    return Step(b"", refused(reasons.NOT_AUTHORIZED, detail))
