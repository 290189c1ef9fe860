"""The methods by which a client proves who it is, each with what it reads and how it judges.

certificate  the client certificate that TLS verified; a user name, if one is sent, must be the same
password     user name and password, against the access database
scram        MQTT 5 enhanced authentication alone, SCRAM-SHA-256
psk          the identity whose key the TLS handshake proved; a user name, if sent, must be the same
token        a JSON Web Token as the password, or in MQTT 5 AUTH
plugin       whatever the plug-in reads
anonymous    believes nothing that was sent along
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lockwire.access.authenticator import Authenticator, Credentials, Decision, accepted, refused
from lockwire.access.errors import TokenError
from lockwire.access.identity import (
    ANONYMOUS,
    ANONYMOUS_IDENTITY,
    CERTIFICATE,
    PASSWORD,
    PLUGIN,
    PSK,
    SCRAM,
    TOKEN,
    Identity,
)
from lockwire.access.methods.checker import PasswordChecker, blocked
from lockwire.access.methods.naming import CertificateNames, problem_with, shown
from lockwire.access.methods.scram import MECHANISM
from lockwire.access.methods.throttle import LoginThrottle, origin_of
from lockwire.access.tokens.verifier import TokenVerifier
from lockwire.mqtt import reasons

Done = Callable[[Decision], None]


@dataclass(frozen=True, slots=True)
class Presented:
    """What a client presented, looked at once. names: of its certificate."""

    credentials: Credentials
    names: CertificateNames
    token: bool

    def __str__(self) -> str:
        credentials = self.credentials
        parts = []
        if credentials.certificate is not None:
            parts.append("a client certificate")
        if credentials.psk_identity is not None:
            parts.append("a pre-shared key")
        if credentials.username is not None:
            parts.append(f"the user name {shown(credentials.username)}")
        if credentials.password is not None:
            parts.append("a token as the password" if self.token else "a password")
        return " and ".join(parts) or "nothing"


class Method:
    """One method of a listener. name: one of `identity.METHODS`. wants: what it asks for, for people."""

    name = ""
    wants = ""
    reads_password = False

    def takes(self, presented: Presented) -> bool:
        """Whether what it judges was presented."""
        raise NotImplementedError

    def judge(self, presented: Presented, done: Done) -> None:
        """Decides about what was presented; calls `done` exactly once. Asked only where it `takes` it."""
        raise NotImplementedError


class CertificateMethod(Method):
    name = CERTIFICATE
    wants = "a client certificate"

    def takes(self, presented: Presented) -> bool:
        return presented.credentials.certificate is not None

    def judge(self, presented: Presented, done: Done) -> None:
        names = presented.names
        if names.problem:
            done(refused(reasons.NOT_AUTHORIZED, names.problem))
        else:
            done(_by_name(presented.credentials.username, names.username, self, "client certificate"))


class PskMethod(Method):
    name = PSK
    wants = "a pre-shared key in the TLS handshake"

    def takes(self, presented: Presented) -> bool:
        return presented.credentials.psk_identity is not None

    def judge(self, presented: Presented, done: Done) -> None:
        name = presented.credentials.psk_identity or ""
        problem = problem_with(name)
        if problem:
            done(
                refused(reasons.NOT_AUTHORIZED, f"the PSK identity {shown(name)} {problem}; give it another")
            )
        else:
            done(_by_name(presented.credentials.username, name, self, "pre-shared key"))


class PasswordMethod(Method):
    """passwords: shared by all listeners, so that failures and verified passwords are counted once."""

    name = PASSWORD
    wants = "user name and password"
    reads_password = True

    def __init__(self, passwords: PasswordChecker) -> None:
        self.passwords = passwords

    def takes(self, presented: Presented) -> bool:
        return presented.credentials.username is not None or presented.credentials.password is not None

    def judge(self, presented: Presented, done: Done) -> None:
        credentials = presented.credentials
        if credentials.username is None:
            done(
                refused(
                    reasons.BAD_USER_NAME_OR_PASSWORD,
                    "a password without a user name; set both in the client",
                )
            )
        elif credentials.password is None:
            done(
                refused(
                    reasons.BAD_USER_NAME_OR_PASSWORD,
                    f"the user name {shown(credentials.username)} without a password; set both in the client",
                )
            )
        else:
            self.passwords.check(credentials.peer, credentials.username, credentials.password, done)


class ScramMethod(Method):
    """SCRAM proves by an exchange, never by what CONNECT alone holds."""

    name = SCRAM
    wants = f"{MECHANISM} in AUTH"

    def takes(self, presented: Presented) -> bool:
        return False


class TokenMethod(Method):
    """tokens: shared by all listeners. throttle: that of the passwords, which counts forged tokens too."""

    name = TOKEN
    wants = "a JSON Web Token as the password or in AUTH"
    reads_password = True

    def __init__(self, tokens: TokenVerifier, throttle: LoginThrottle) -> None:
        self.tokens = tokens
        self.throttle = throttle

    def takes(self, presented: Presented) -> bool:
        return presented.token

    def judge(self, presented: Presented, done: Done) -> None:
        self.check(presented.credentials, presented.credentials.password or b"", done)

    def check(self, credentials: Credentials, token: bytes, done: Done) -> None:
        """Decides about a token, from wherever it came.

        Forged ones are counted apart from passwords, so that neither closes an address for the other.
        """
        origin = f"{origin_of(credentials.peer)} by token"
        wait = self.throttle.wait(origin)
        if wait is not None:
            done(blocked(wait))
            return

        def judged(found: Identity | TokenError) -> None:
            if isinstance(found, Identity):
                done(_agreed(credentials.username, found, "token"))
                return
            if found.forged:
                self.throttle.failed(origin, self.throttle.attempt(token))
            reason = reasons.SERVER_UNAVAILABLE if found.unavailable else reasons.NOT_AUTHORIZED
            done(refused(reason, f"token: {found.detail}"))

        self.tokens.verify(token, judged)


class PluginMethod(Method):
    """plugin: stands between the broker and the plug-in; answers late, and refuses where it fails."""

    name = PLUGIN
    wants = "what the plug-in asks for"
    reads_password = True

    def __init__(self, plugin: Authenticator, throttle: LoginThrottle) -> None:
        self.plugin = plugin
        self.throttle = throttle

    def takes(self, presented: Presented) -> bool:
        return True

    def judge(self, presented: Presented, done: Done) -> None:
        credentials = presented.credentials
        if credentials.password is None:
            self.plugin.authenticate(credentials, lambda decision: done(_from_plugin(decision)))
            return
        origin, username = origin_of(credentials.peer), credentials.username
        wait = self.throttle.wait(origin, username)
        if wait is not None:
            done(blocked(wait))
            return
        attempt = self.throttle.attempt((username or "").encode(), credentials.password)

        def judged(decision: Decision) -> None:
            decision = _from_plugin(decision)
            if decision.identity is not None:
                if username is not None:
                    self.throttle.succeeded(origin, username)
            elif not decision.unknown and decision.reason in (
                reasons.BAD_USER_NAME_OR_PASSWORD,
                reasons.NOT_AUTHORIZED,
            ):
                self.throttle.failed(origin, attempt, username)
            done(decision)

        self.plugin.authenticate(credentials, judged)


class AnonymousMethod(Method):
    name = ANONYMOUS
    wants = "nothing"

    def takes(self, presented: Presented) -> bool:
        return True

    def judge(self, presented: Presented, done: Done) -> None:
        done(accepted(ANONYMOUS_IDENTITY, "anonymous"))


def _from_plugin(decision: Decision) -> Decision:
    """What a plug-in decided, within what it may decide: only a password makes an administrator."""
    identity = decision.identity
    if identity is None:
        return decision
    problem = problem_with(identity.name)
    if problem:
        detail = f"the plug-in's name {shown(identity.name)} {problem}; correct the plug-in"
        return refused(reasons.SERVER_UNAVAILABLE, detail)
    return replace(decision, identity=replace(identity, administrator=False))


def _by_name(username: str | None, name: str, method: Method, what: str) -> Decision:
    return _agreed(username, Identity(name, method.name), what)


def _agreed(username: str | None, identity: Identity, what: str) -> Decision:
    """Whoever sends a user name beside another proof must mean the same."""
    if username is not None and username != identity.name:
        return refused(
            reasons.BAD_USER_NAME_OR_PASSWORD,
            f"the user name {shown(username)} with a {what} for {shown(identity.name)}; "
            "leave the user name out, or set it to that",
        )
    return accepted(identity, what)
