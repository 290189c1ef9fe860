"""The authenticator of a listener: its methods in their order (docs/identities.md).

Where any of them is enough, the first that judges decides. A client that sends user name and password, or a
token in its place, is judged by `token`, `password` and `plugin` alone, whichever takes it first: whoever
claims to be somebody must prove it, and neither a good certificate nor `anonymous` makes up for a wrong
password. `plugin` may pass on whom it does not know; so does `password` where `token` or `plugin` may know.

Where all are needed, each must be presented, accept, and mean the same name. An enhanced authentication
(`scram`, or `token` in AUTH) comes first, the others in their order. The identity is that of the first method
of the list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from lockwire.access.authenticator import (
    Authenticator,
    Credentials,
    Decision,
    Exchange,
    Step,
    accepted,
    refused,
)
from lockwire.access.identity import (
    ANONYMOUS,
    CERTIFICATE,
    METHODS,
    PASSWORD,
    PLUGIN,
    PSK,
    SCRAM,
    TOKEN,
    Identity,
)
from lockwire.access.methods.checker import PasswordChecker
from lockwire.access.methods.exchanges import JWT, ScramExchange, TokenExchange
from lockwire.access.methods.naming import (
    FREE,
    CertificateNames,
    assigned_client_id,
    client_id_problem,
    names_in,
    shown,
)
from lockwire.access.methods.scram import MECHANISM
from lockwire.access.methods.single import (
    AnonymousMethod,
    CertificateMethod,
    Method,
    PasswordMethod,
    PluginMethod,
    Presented,
    PskMethod,
    ScramMethod,
    TokenMethod,
)
from lockwire.access.methods.throttle import origin_of
from lockwire.access.tokens.verifier import TokenVerifier, is_token
from lockwire.mqtt import reasons

Done = Callable[[Decision], None]


class ChainAuthenticator(Authenticator):
    """Asks a listener's methods one after the other.

    methods: some of METHODS; ValueError for anything else, and for "token" or "plugin" without one.
    passwords: shared by all listeners, so that failures and verified passwords are counted once; it is not
        closed with this object, nor are `tokens` and `plugin`.
    needs_all: whether every method must succeed, and not just one of them.
    username_from: which part of a client certificate is the name, one of `naming.SOURCES`.
    client_id: how the client identifier is bound to the name: "free", "same" or "prefixed".
    """

    def __init__(
        self,
        methods: Sequence[str],
        passwords: PasswordChecker,
        *,
        needs_all: bool = False,
        username_from: str = "cn",
        client_id: str = FREE,
        tokens: TokenVerifier | None = None,
        plugin: Authenticator | None = None,
    ) -> None:
        made: dict[str, Method] = {
            CERTIFICATE: CertificateMethod(),
            PASSWORD: PasswordMethod(passwords),
            SCRAM: ScramMethod(),
            PSK: PskMethod(),
            ANONYMOUS: AnonymousMethod(),
        }
        if tokens is not None:
            made[TOKEN] = TokenMethod(tokens, passwords.throttle)
        if plugin is not None:
            made[PLUGIN] = PluginMethod(plugin, passwords.throttle)
        for name in methods:
            if name not in METHODS:
                raise ValueError(
                    f"unknown authentication method {name!r}, expected one of {', '.join(METHODS)}"
                )
            if name not in made:
                raise ValueError(f"authentication method {name!r} without what it asks")
        self.methods = tuple(made[name] for name in methods)
        self.names = tuple(methods)
        self.passwords = passwords
        self.needs_all = needs_all
        self._username_from = username_from
        self._client_id = client_id
        self._plugin = plugin

    def authenticate(self, credentials: Credentials, done: Done) -> None:
        presented = self._look(credentials)
        if self.needs_all:
            _All(self, presented, done).start()
        else:
            _Any(self, presented, done).start()

    def exchange(self, method: str, credentials: Credentials) -> Exchange | None:
        inner: Exchange | None = None
        proves = ""
        if method == MECHANISM and SCRAM in self.names:
            inner, proves = ScramExchange(self.passwords, credentials), SCRAM
        elif method == JWT and TOKEN in self.names:
            inner, proves = TokenExchange(self._token_method(), credentials), TOKEN
        elif self._plugin is not None and PLUGIN in self.names:
            inner, proves = self._plugin.exchange(method, credentials), PLUGIN
        return None if inner is None else _ChainExchange(self, inner, proves, self._look(credentials))

    def sealed(self, presented: Presented, identity: Identity, detail: str) -> Decision:
        """The last word on a client that has proved who it is: its certificate and its client identifier."""
        names, credentials = presented.names, presented.credentials
        if names.expired:
            return refused(reasons.NOT_AUTHORIZED, names.problem)
        if names.key or names.common_name:
            identity = replace(identity, common_name=names.common_name, certificate=names.key)
        if credentials.assigned:
            chosen = assigned_client_id(credentials.client_id, identity.name, self._client_id)
            return replace(accepted(identity, detail), client_id=chosen)
        problem = client_id_problem(credentials.client_id, identity.name, self._client_id)
        if problem:
            return refused(reasons.CLIENT_IDENTIFIER_NOT_VALID, problem)
        return accepted(identity, detail)

    def wanted(self) -> str:
        """What the listener asks for, for people."""
        joint = ", and " if self.needs_all else ", or "
        return joint.join(method.wants for method in self.methods) or "nothing that could be presented"

    def _look(self, credentials: Credentials) -> Presented:
        certificate, password = credentials.certificate, credentials.password
        return Presented(
            credentials,
            CertificateNames()
            if certificate is None
            else names_in(certificate, self._username_from, time.time()),
            password is not None and is_token(password),
        )

    def _token_method(self) -> TokenMethod:
        return next(method for method in self.methods if isinstance(method, TokenMethod))


class _Any:
    """One CONNECT on a listener where any method is enough."""

    def __init__(self, chain: ChainAuthenticator, presented: Presented, done: Done) -> None:
        self._chain = chain
        self._presented = presented
        self._done = done
        self._left = self._candidates()

    def start(self) -> None:
        if self._left:
            self._next()
            return
        self._done(
            refused(
                reasons.NOT_AUTHORIZED,
                f"{self._presented} presented; this listener wants {self._chain.wanted()}: "
                "set that in the client, or listener.authentication to what the client has",
            )
        )

    def _candidates(self) -> list[Method]:
        """The methods that will be asked, as long as none of them accepts or refuses."""
        presented = self._presented
        credentials = presented.credentials
        takers = [method for method in self._chain.methods if method.takes(presented)]
        by_certificate = any(method.name == CERTIFICATE for method in takers)
        if credentials.password is None:
            # A user name alone is the certificate's to judge where there is one.
            return [method for method in takers if method.name != PASSWORD or not by_certificate]
        readers = [method for method in takers if method.reads_password]
        if not readers or (credentials.username is None and not presented.token):
            return takers
        last = [method for method in readers if method.name == PASSWORD and self._is_stranger()]
        return [method for method in readers if method not in last] + last

    def _is_stranger(self) -> bool:
        """`password` has the last word on whom it does not know, in the time that a wrong one takes."""
        return not self._chain.passwords.knows(self._presented.credentials.username or "")

    def _next(self) -> None:
        method = self._left.pop(0)
        method.judge(self._presented, self._judged)

    def _judged(self, decision: Decision) -> None:
        if decision.identity is not None:
            decision = self._chain.sealed(self._presented, decision.identity, decision.detail)
        elif decision.unknown and self._left:
            self._next()
            return
        elif decision.unknown:
            self._count()
        self._done(decision)

    def _count(self) -> None:
        """Nobody knows who this claims to be: a failed login like the others."""
        credentials = self._presented.credentials
        if credentials.password is not None:
            throttle = self._chain.passwords.throttle
            username = credentials.username
            attempt = throttle.attempt((username or "").encode(), credentials.password)
            throttle.failed(origin_of(credentials.peer), attempt, username)


class _All:
    """One CONNECT on a listener where every method is needed.

    proved: what an enhanced authentication has proved already, None without one. proves: its method.
    """

    def __init__(
        self,
        chain: ChainAuthenticator,
        presented: Presented,
        done: Done,
        proved: Identity | None = None,
        proves: str = "",
    ) -> None:
        self._chain = chain
        self._presented = presented
        self._done = done
        self._left = [method for method in chain.methods if method.name != proves]
        self._proofs = {} if proved is None else {proves: proved}

    def start(self) -> None:
        missing = [method.wants for method in self._left if not self._is_there(method)]
        if not missing:
            self._next()
            return
        self._done(
            refused(
                reasons.NOT_AUTHORIZED,
                f"{self._presented} presented; this listener wants all of {self._chain.wanted()}: "
                f"the client lacks {' and '.join(missing)}",
            )
        )

    def _is_there(self, method: Method) -> bool:
        credentials = self._presented.credentials
        if method.name == PASSWORD:
            return credentials.username is not None and credentials.password is not None
        return method.takes(self._presented)

    def _next(self) -> None:
        if self._left:
            self._left[0].judge(self._presented, self._judged)
        else:
            self._done(self._combined())

    def _judged(self, decision: Decision) -> None:
        method = self._left.pop(0)
        identity = decision.identity
        if identity is None:
            self._done(replace(decision, unknown=False))
            return
        for name, other in self._proofs.items():
            if other.name != identity.name:
                self._done(
                    refused(
                        reasons.NOT_AUTHORIZED,
                        f"{name} says {shown(other.name)} and {method.name} says {shown(identity.name)}; "
                        "this listener wants all methods to mean the same name",
                    )
                )
                return
        self._proofs[method.name] = identity
        self._next()

    def _combined(self) -> Decision:
        proofs = [self._proofs[name] for name in self._chain.names]
        ends = [proof.expires for proof in proofs if proof.expires]
        identity = replace(
            proofs[0],
            administrator=any(proof.administrator for proof in proofs),
            groups=tuple(dict.fromkeys(group for proof in proofs for group in proof.groups)),
            rules=tuple(rule for proof in proofs for rule in proof.rules),
            expires=min(ends, default=0.0),
            also=self._chain.names[1:],
        )
        return self._chain.sealed(self._presented, identity, " and ".join(self._chain.names))


class _ChainExchange(Exchange):
    """An enhanced authentication whose end the chain has a say in."""

    def __init__(self, chain: ChainAuthenticator, inner: Exchange, proves: str, presented: Presented) -> None:
        self._chain = chain
        self._inner = inner
        self._proves = proves
        self._presented = presented

    def step(self, data: bytes, done: Callable[[Step], None]) -> None:
        def stepped(step: Step) -> None:
            decision = step.decision
            if decision is None or decision.identity is None:
                done(step)
                return

            def decided(final: Decision) -> None:
                done(Step(step.data if final.identity is not None else b"", final))

            self._decide(decision.identity, decision.detail, decided)

        self._inner.step(data, stepped)

    def _decide(self, identity: Identity, detail: str, done: Done) -> None:
        known = self._presented.credentials.known
        if not self._chain.needs_all:
            done(self._chain.sealed(self._presented, identity, detail))
        elif known is None:
            _All(self._chain, self._presented, done, identity, self._proves).start()
        else:
            done(self._again(known, identity, detail))

    def _again(self, known: Identity, identity: Identity, detail: str) -> Decision:
        """A re-authentication proves one method anew; what the others proved at CONNECT still stands."""
        if identity.name != known.name:
            return refused(
                reasons.NOT_AUTHORIZED, f"{detail} for {shown(identity.name)}, not {shown(known.name)}"
            )
        if {known.method, *known.also} != set(self._chain.names):
            return refused(
                reasons.NOT_AUTHORIZED,
                "the listener wants other methods than at CONNECT, for which the client connects anew",
            )
        if self._proves == SCRAM:
            known = replace(known, administrator=identity.administrator)
            return self._chain.sealed(self._presented, known, detail)
        if PLUGIN in self._chain.names:
            return refused(
                reasons.NOT_AUTHORIZED,
                "the plug-in has to be asked again, for which the client connects anew",
            )
        renewed = replace(known, groups=identity.groups, rules=identity.rules, expires=identity.expires)
        return self._chain.sealed(self._presented, renewed, detail)
