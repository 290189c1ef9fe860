"""Any or all of several methods: what each list says to each thing that a client can present."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.access.authenticator import (
    Authenticator,
    Credentials,
    Decision,
    Exchange,
    Step,
    accepted,
    refused,
    unknown,
)
from lockwire.access.database.database import AccessDatabase
from lockwire.access.database.users import make_user
from lockwire.access.identity import ANONYMOUS_IDENTITY, Identity
from lockwire.access.methods.chain import ChainAuthenticator
from lockwire.access.methods.checker import PasswordChecker
from lockwire.access.methods.passwords import generate_password
from lockwire.access.methods.scram import ScramClient
from lockwire.access.methods.throttle import LoginThrottle
from lockwire.access.rights.rules import Rule
from lockwire.access.tokens.keysources import Secret
from lockwire.access.tokens.verifier import TokenVerifier
from lockwire.config.access import TokenSettings
from lockwire.mqtt import reasons
from lockwire.pki.authority.authority import Authority
from lockwire.pki.certificate import certificate_key

SECRET = generate_password()
SIGNING = "the secret that the tokens of these tests are signed with"
PEER = "192.0.2.7:50123"
LATER = int(time.time()) + 3600

BAD = reasons.BAD_USER_NAME_OR_PASSWORD
NO = reasons.NOT_AUTHORIZED


class Porter(Authenticator):
    """A plug-in that knows nora, by her password, and whoever comes with nothing but a client identifier."""

    def __init__(self) -> None:
        self.asked = 0

    def authenticate(self, credentials: Credentials, done: Callable[[Decision], None]) -> None:
        self.asked += 1
        if credentials.username is None and credentials.client_id == "friend":
            done(accepted(Identity("friend", "plugin"), "known by sight"))
        elif credentials.username == "$SYS":
            done(accepted(Identity("$SYS", "plugin"), "a careless plug-in"))
        elif credentials.username in ("nora", "pump-7") and credentials.password == b"nora's":
            rule = Rule("everyone", ("publish",), "n/#")
            identity = Identity(
                credentials.username, "plugin", True, groups=("p",), rules=(rule,), expires=LATER - 9
            )
            done(accepted(identity, "plug-in"))
        elif credentials.username == "nora":
            done(refused(NO, "not nora's word"))
        else:
            done(unknown("nobody of that name"))

    def exchange(self, method: str, credentials: Credentials) -> Exchange | None:
        return Handshake() if method == "HANDSHAKE" else None


class Handshake(Exchange):
    def step(self, data: bytes, done: Callable[[Step], None]) -> None:
        done(Step(b"bye", accepted(Identity(data.decode(), "plugin"), "handshake")))


class Gate:
    """What the listeners of these tests share."""

    def __init__(self, folder: Path) -> None:
        users = AccessDatabase(None)
        for user in (
            make_user("admin", SECRET, generated=True, tags=("administrator",), with_scram=True),
            make_user("pump-7", SECRET, generated=True, tags=("administrator",), with_scram=True),
        ):
            users.add(user)
        self.users = users
        self.passwords = PasswordChecker(users)
        file = folder / "secret"
        file.write_text(SIGNING)
        file.chmod(0o600)
        settings = TokenSettings(algorithms=["HS256"], secret_file=file, leeway=0.0)
        self.tokens = TokenVerifier(settings, Secret(file, ("HS256",)))
        self.plugin = Porter()
        authority = Authority.create(folder / "ca")
        issued = authority.issue_client("pump-7").certificate
        self.pump = issued.public_bytes(Encoding.DER)

    def chain(self, methods: str, **options: Any) -> ChainAuthenticator:
        return ChainAuthenticator(
            methods.split(), self.passwords, tokens=self.tokens, plugin=self.plugin, **options
        )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    gate = Gate(tmp_path_factory.mktemp("gate"))
    yield gate
    gate.passwords.close()


@pytest.fixture
def gate(shared: Gate) -> Gate:
    """Without the failed logins of other tests."""
    shared.passwords.throttle = LoginThrottle()
    shared.plugin.asked = 0
    return shared


def token(sub: str = "pump-7", key: str = SIGNING, **claims: Any) -> str:
    return jwt.encode({"sub": sub, "exp": LATER, **claims}, key, "HS256")


def present(gate: Gate, what: str, client_id: str = "c", **options: Any) -> Credentials:
    """Credentials by words: "cert", "psk", "user=NAME", "pw=PASSWORD"."""
    fields: dict[str, Any] = {}
    for word in what.split():
        kind, _, value = word.partition("=")
        if kind == "cert":
            fields["certificate"] = gate.pump
        elif kind == "psk":
            fields["psk_identity"] = value
        elif kind == "user":
            fields["username"] = value
        else:
            fields["password"] = value.encode()
    return Credentials("tls", PEER, client_id, **fields, **options)


def decide(chain: ChainAuthenticator, credentials: Credentials) -> Decision:
    decisions: list[Decision] = []
    chain.authenticate(credentials, decisions.append)
    assert len(decisions) == 1
    assert SECRET not in decisions[0].detail
    assert SIGNING not in decisions[0].detail
    return decisions[0]


def outcome(decision: Decision) -> str | int:
    """ "method:name" where it was accepted, otherwise the reason."""
    identity = decision.identity
    return decision.reason if identity is None else f"{identity.method}:{identity.name}"


TOKEN = token()
NORA_TOKEN = token("nora")
FORGED = token(key="another secret that is long enough as well")
PW = f"pw={SECRET}"

ANY = [
    # certificate
    ("certificate", "cert", "certificate:pump-7"),
    ("certificate", "cert user=pump-7", "certificate:pump-7"),
    ("certificate", "cert user=admin", BAD),
    ("certificate", f"cert user=admin {PW}", BAD),
    ("certificate", f"user=admin {PW}", NO),
    ("certificate", "", NO),
    # password
    ("password", f"user=admin {PW}", "password:admin"),
    ("password", f"cert user=admin {PW}", "password:admin"),
    ("password", "user=admin pw=x", BAD),
    ("password", "user=nobody pw=x", BAD),
    ("password", "user=admin", BAD),
    ("password", PW, BAD),
    ("password", "cert", NO),
    ("password", f"user=pump-7 pw={TOKEN}", BAD),
    # token
    ("token", f"pw={TOKEN}", "token:pump-7"),
    ("token", f"user=pump-7 pw={TOKEN}", "token:pump-7"),
    ("token", f"cert pw={TOKEN}", "token:pump-7"),
    ("token", f"user=admin pw={TOKEN}", BAD),
    ("token", f"pw={FORGED}", NO),
    ("token", f"user=admin {PW}", NO),
    ("token", "user=pump-7", NO),
    # psk
    ("psk", "psk=pump-7", "psk:pump-7"),
    ("psk", "psk=pump-7 user=pump-7 pw=whatever", "psk:pump-7"),
    ("psk", "psk=pump-7 user=admin", BAD),
    ("psk", "psk=$SYS", NO),
    ("psk", f"user=admin {PW}", NO),
    # plugin
    ("plugin", "user=nora pw=nora's", "plugin:nora"),
    ("plugin", "user=nora pw=x", NO),
    ("plugin", "user=nobody pw=x", NO),
    ("plugin", "", NO),
    ("plugin", "user=$SYS", reasons.SERVER_UNAVAILABLE),
    ("plugin", "user=$SYS pw=x", reasons.SERVER_UNAVAILABLE),
    # certificate and password: whoever claims to be somebody must prove it
    ("certificate password", "cert", "certificate:pump-7"),
    ("certificate password", f"cert user=admin {PW}", "password:admin"),
    ("certificate password", "cert user=admin pw=x", BAD),
    ("certificate password", "cert user=pump-7 pw=x", BAD),
    ("certificate password", "cert user=nobody pw=x", BAD),
    ("password certificate", "cert user=pump-7", "certificate:pump-7"),
    ("password certificate", "cert user=admin", BAD),
    # tokens beside passwords
    ("token password", f"user=pump-7 pw={TOKEN}", "token:pump-7"),
    ("token password", f"user=admin {PW}", "password:admin"),
    ("token password", f"user=pump-7 pw={FORGED}", NO),
    ("token password", f"pw={TOKEN}", "token:pump-7"),
    ("password token", f"user=admin {PW}", "password:admin"),
    ("password token", f"user=nora pw={NORA_TOKEN}", "token:nora"),
    ("password token", f"user=pump-7 pw={TOKEN}", BAD),
    ("password token", "user=nobody pw=x", BAD),
    ("certificate token", f"cert pw={NORA_TOKEN}", "token:nora"),
    ("certificate token", "cert pw=x", "certificate:pump-7"),
    ("certificate token", f"cert pw={FORGED}", NO),
    # a plug-in beside others
    ("password plugin", f"user=admin {PW}", "password:admin"),
    ("password plugin", "user=admin pw=x", BAD),
    ("password plugin", "user=nora pw=nora's", "plugin:nora"),
    ("password plugin", "user=nora pw=x", NO),
    ("password plugin", "user=nobody pw=x", BAD),
    ("plugin password", f"user=admin {PW}", "password:admin"),
    ("plugin password", "user=admin pw=x", BAD),
    ("plugin password", "user=pump-7 pw=nora's", "plugin:pump-7"),
    ("certificate plugin", "cert user=nora pw=nora's", "plugin:nora"),
    ("certificate plugin", "cert user=pump-7 pw=x", NO),
    ("plugin certificate", "cert", "certificate:pump-7"),
    ("certificate plugin", "cert", "certificate:pump-7"),
    ("plugin anonymous", "", "anonymous:anonymous"),
    # anonymous
    ("anonymous", "user=admin pw=x cert", "anonymous:anonymous"),
    ("password anonymous", "", "anonymous:anonymous"),
    ("password anonymous", "user=admin pw=x", BAD),
    ("password anonymous", "user=nobody pw=x", BAD),
    ("password plugin anonymous", "user=nobody pw=x", BAD),
    ("plugin anonymous", "user=nobody pw=x", NO),
    ("token anonymous", f"pw={FORGED}", NO),
    ("certificate anonymous", "user=pump-7", "anonymous:anonymous"),
    ("scram", f"user=admin {PW}", NO),
]


@pytest.mark.parametrize(("methods", "what", "expected"), ANY)
def test_any_of_several_methods(gate: Gate, methods: str, what: str, expected: str | int) -> None:
    decision = decide(gate.chain(methods), present(gate, what))
    assert outcome(decision) == expected
    if decision.identity is not None and "cert" in what.split():
        assert decision.identity.common_name == "pump-7"
        assert decision.identity.certificate == certificate_key(gate.pump)
    if decision.identity is not None:
        assert decision.identity.administrator == (decision.identity.method == "password")


ALL = [
    ("certificate password", f"cert user=pump-7 {PW}", "certificate:pump-7"),
    ("password certificate", f"cert user=pump-7 {PW}", "password:pump-7"),
    ("certificate password", f"cert user=admin {PW}", BAD),
    ("password certificate", f"cert user=admin {PW}", BAD),
    ("certificate password", "cert user=pump-7 pw=x", BAD),
    ("certificate password", f"user=pump-7 {PW}", NO),
    ("certificate password", "cert", NO),
    ("certificate password", "cert user=pump-7", NO),
    ("certificate password", f"cert {PW}", NO),
    ("certificate password", "", NO),
    ("certificate token", f"cert pw={TOKEN}", "certificate:pump-7"),
    ("token certificate", f"cert pw={TOKEN}", "token:pump-7"),
    ("certificate token", f"cert user=pump-7 pw={TOKEN}", "certificate:pump-7"),
    ("certificate token", f"cert pw={NORA_TOKEN}", NO),
    ("certificate token", f"cert pw={FORGED}", NO),
    ("certificate token", "cert pw=x", NO),
    ("certificate token", f"pw={TOKEN}", NO),
    ("password token", f"user=pump-7 pw={TOKEN}", BAD),
    ("password plugin", "user=nora pw=nora's", BAD),
    ("certificate plugin", "cert user=pump-7 pw=nora's", "certificate:pump-7"),
    ("certificate plugin", "cert user=nora pw=nora's", BAD),
    ("certificate plugin", "cert user=pump-7 pw=x", NO),
    ("certificate scram", f"cert user=pump-7 {PW}", NO),
    ("certificate", "cert", "certificate:pump-7"),
]


@pytest.mark.parametrize(("methods", "what", "expected"), ALL)
def test_all_of_several_methods(gate: Gate, methods: str, what: str, expected: str | int) -> None:
    assert outcome(decide(gate.chain(methods, needs_all=True), present(gate, what))) == expected


def test_what_all_methods_say_is_joined(gate: Gate) -> None:
    presented = token(groups=["t"], permissions=[{"may": ["publish"], "topics": "t/#"}])
    chain = gate.chain("certificate token", needs_all=True)
    identity = decide(chain, present(gate, f"cert pw={presented}")).identity
    assert identity == Identity(
        "pump-7",
        "certificate",
        common_name="pump-7",
        certificate=certificate_key(gate.pump),
        groups=("t",),
        rules=(Rule("user:pump-7", ("publish",), "t/#"),),
        expires=float(LATER),
        also=("token",),
    )
    assert identity.rests_on("pump-7", "token")
    assert identity.rests_on("pump-7", "certificate")
    assert not identity.rests_on("pump-7", "password")
    assert not identity.rests_on("nora", "token")


def test_an_administrator_is_one_by_the_password_alone(gate: Gate) -> None:
    both = decide(gate.chain("certificate password", needs_all=True), present(gate, f"cert user=pump-7 {PW}"))
    assert both.identity is not None
    assert both.identity.administrator
    assert both.identity.rests_on("pump-7", "password")
    by_plugin = decide(gate.chain("plugin"), present(gate, "user=nora pw=nora's"))
    assert by_plugin.identity is not None
    assert not by_plugin.identity.administrator


@pytest.mark.parametrize(
    ("methods", "what", "needs_all", "words"),
    [
        ("certificate password", "", False, ["nothing presented", "a client certificate, or user name and"]),
        ("certificate", "user=jo pw=x", False, ["the user name 'jo' and a password presented"]),
        ("scram", "user=jo pw=x", False, ["SCRAM-SHA-256 in AUTH"]),
        (
            "password token",
            "cert",
            False,
            ["a client certificate presented", "a JSON Web Token as the password"],
        ),
        ("certificate password", "cert", True, ["all of", "the client lacks user name and password"]),
        (
            "certificate token",
            f"cert pw={NORA_TOKEN}",
            True,
            ["certificate says 'pump-7' and token says 'nora'"],
        ),
        (
            "certificate",
            "cert user=jo",
            False,
            ["'jo' with a client certificate for 'pump-7'", "leave the user"],
        ),
        ("token", f"pw={FORGED}", False, ["its signature (HS256) is not that"]),
    ],
)
def test_a_refusal_says_what_was_presented_what_is_wanted_and_what_to_do(
    gate: Gate, methods: str, what: str, needs_all: bool, words: list[str]
) -> None:
    detail = decide(gate.chain(methods, needs_all=needs_all), present(gate, what)).detail
    assert [word for word in words if word not in detail] == []


# --- client identifiers


@pytest.mark.parametrize(
    ("binding", "client_id", "allowed"),
    [("free", "x", True), ("same", "pump-7", True), ("same", "x", False), ("prefixed", "pump-7:2", True)],
)
@pytest.mark.parametrize(("methods", "what"), [("certificate", "cert"), ("token", f"pw={TOKEN}")])
def test_a_client_identifier_must_go_with_the_name(
    gate: Gate, methods: str, what: str, binding: str, client_id: str, allowed: bool
) -> None:
    decision = decide(gate.chain(methods, client_id=binding), present(gate, what, client_id))
    if allowed:
        assert decision.identity is not None
    else:
        assert decision.reason == reasons.CLIENT_IDENTIFIER_NOT_VALID
        assert "wants 'pump-7'" in decision.detail


@pytest.mark.parametrize(
    ("binding", "assigned"), [("free", "auto-1"), ("same", "pump-7"), ("prefixed", "pump-7-auto-1")]
)
def test_a_client_without_an_identifier_is_given_one(gate: Gate, binding: str, assigned: str) -> None:
    presented = present(gate, "cert", "auto-1", assigned=True)
    decision = decide(gate.chain("certificate", client_id=binding), presented)
    assert decision.identity is not None
    assert decision.client_id == assigned


# --- enhanced authentication


def run(chain: ChainAuthenticator, method: str, credentials: Credentials, *messages: bytes) -> list[Step]:
    exchange = chain.exchange(method, credentials)
    assert exchange is not None
    steps: list[Step] = []
    for message in messages:
        exchange.step(message, steps.append)
    return steps


def last(steps: list[Step]) -> Decision:
    decision = steps[-1].decision
    assert decision is not None
    return decision


def test_a_token_in_auth(gate: Gate) -> None:
    chain = gate.chain("token", client_id="prefixed")
    steps = run(chain, "JWT", present(gate, "", "pump-7-1"), TOKEN.encode())
    assert outcome(last(steps)) == "token:pump-7"
    assert steps[0].data == b""
    invited = run(chain, "JWT", present(gate, "", "pump-7"), b"", TOKEN.encode())
    assert invited[0] == Step(b"")
    assert outcome(last(invited)) == "token:pump-7"
    other = last(run(chain, "JWT", present(gate, "", "x"), TOKEN.encode()))
    assert other.reason == reasons.CLIENT_IDENTIFIER_NOT_VALID
    for messages in ((FORGED.encode(),), (b"", b""), (TOKEN.encode(), TOKEN.encode())):
        assert last(run(chain, "JWT", present(gate, "", "pump-7"), *messages)).reason == NO
    assert last(run(chain, "JWT", present(gate, "user=jo"), TOKEN.encode())).reason == BAD


def test_methods_that_a_listener_has_not_are_not_offered(gate: Gate) -> None:
    credentials = present(gate, "")
    assert gate.chain("password").exchange("JWT", credentials) is None
    assert gate.chain("token").exchange("SCRAM-SHA-256", credentials) is None
    assert gate.chain("token password").exchange("HANDSHAKE", credentials) is None
    assert gate.chain("token plugin").exchange("OTHER", credentials) is None
    steps = run(gate.chain("token plugin"), "HANDSHAKE", credentials, b"nora")
    assert (steps[0].data, outcome(last(steps))) == (b"bye", "plugin:nora")


def scram(
    chain: ChainAuthenticator, credentials: Credentials, name: str, password: str = SECRET
) -> list[Step]:
    exchange = chain.exchange("SCRAM-SHA-256", credentials)
    assert exchange is not None
    client = ScramClient(name, password)
    steps: list[Step] = []
    exchange.step(client.first(), steps.append)
    exchange.step(client.final(steps[0].data), steps.append)
    return steps


def test_scram_and_a_certificate_together(gate: Gate) -> None:
    chain = gate.chain("certificate scram", needs_all=True)
    steps = scram(chain, present(gate, "cert"), "pump-7")
    assert outcome(last(steps)) == "certificate:pump-7"
    assert steps[1].data.startswith(b"v=")
    assert last(scram(chain, present(gate, ""), "pump-7")).reason == NO
    mixed = scram(chain, present(gate, "cert"), "admin")
    assert (mixed[1].data, last(mixed).reason) == (b"", NO)
    assert last(scram(chain, present(gate, "cert"), "pump-7", "wrong")).reason == NO


def test_a_token_in_auth_and_a_password_together(gate: Gate) -> None:
    chain = gate.chain("password token", needs_all=True)
    good = last(run(chain, "JWT", present(gate, f"user=pump-7 {PW}"), TOKEN.encode()))
    assert outcome(good) == "password:pump-7"
    assert good.identity is not None
    assert good.identity.expires == LATER
    assert last(run(chain, "JWT", present(gate, "user=pump-7 pw=x"), TOKEN.encode())).reason == BAD
    assert last(run(chain, "JWT", present(gate, ""), TOKEN.encode())).reason == NO


@pytest.mark.parametrize("needs_all", [False, True])
def test_a_fresh_token_extends_the_time_and_changes_the_rights(gate: Gate, needs_all: bool) -> None:
    chain = gate.chain("token certificate", needs_all=needs_all)
    first = last(run(chain, "JWT", present(gate, "cert"), token(groups=["a"]).encode())).identity
    assert first is not None
    again = present(gate, "cert", known=first)
    fresh = token(groups=["b"], exp=LATER + 100).encode()
    renewed = last(run(chain, "JWT", again, fresh)).identity
    assert renewed == replace(first, groups=("b",), expires=LATER + 100.0)
    other = last(run(chain, "JWT", again, NORA_TOKEN.encode()))
    if needs_all:
        assert other.reason == NO
    else:
        assert outcome(other) == "token:nora"  # which the broker refuses: another owner of the session
    assert last(run(chain, "JWT", again, FORGED.encode())).reason == NO


def test_scram_again_keeps_what_the_token_said(gate: Gate) -> None:
    chain = gate.chain("token scram", needs_all=True)
    connecting = present(gate, f"pw={token(groups=['a'])}")
    first = last(scram(chain, connecting, "pump-7")).identity
    assert first is not None
    assert (first.method, first.groups, first.expires, first.also) == ("token", ("a",), LATER, ("scram",))
    assert last(scram(chain, present(gate, "", known=first), "pump-7")).identity == first
    assert last(scram(chain, present(gate, "", known=first), "admin")).reason == NO


def test_a_plugin_that_must_agree_is_not_passed_by_with_a_fresh_token(gate: Gate) -> None:
    chain = gate.chain("token plugin", needs_all=True)
    first = last(run(chain, "JWT", present(gate, "user=pump-7 pw=nora's"), TOKEN.encode())).identity
    assert first is not None
    assert (first.groups, first.expires) == (("p",), LATER - 9)
    again = last(run(chain, "JWT", present(gate, "", known=first), TOKEN.encode()))
    assert (again.identity, again.reason) == (None, NO)
    assert "connects anew" in again.detail


# --- back-off


def test_forged_tokens_close_an_address_for_tokens_alone(gate: Gate) -> None:
    chain = gate.chain("token password")
    for number in range(10):
        forged = token(key=f"{number} is a secret that is long enough as well")
        assert decide(chain, present(gate, f"pw={forged}")).reason == NO
    assert decide(chain, present(gate, f"pw={TOKEN}")).reason == reasons.CONNECTION_RATE_EXCEEDED
    by_auth = last(run(chain, "JWT", present(gate, ""), TOKEN.encode()))
    assert by_auth.reason == reasons.CONNECTION_RATE_EXCEEDED
    assert decide(chain, present(gate, "user=nobody pw=x")).reason == BAD


def test_expired_tokens_close_nothing(gate: Gate) -> None:
    chain = gate.chain("token")
    for number in range(50):
        expired = token(exp=number)
        assert decide(chain, present(gate, f"pw={expired}")).reason == NO
    assert outcome(decide(chain, present(gate, f"pw={TOKEN}"))) == "token:pump-7"


@pytest.mark.parametrize("methods", ["plugin", "plugin password", "password plugin"])
@pytest.mark.parametrize("username", ["nora", "nobody"])
def test_guesses_at_a_plugin_are_counted(gate: Gate, methods: str, username: str) -> None:
    chain = gate.chain(methods)
    for number in range(10):
        assert decide(chain, present(gate, f"user={username} pw={number}")).reason in (BAD, NO)
    asked = gate.plugin.asked
    blocked = decide(chain, present(gate, f"user={username} pw=nora's"))
    assert blocked.reason == reasons.CONNECTION_RATE_EXCEEDED
    assert gate.plugin.asked == asked


def test_logins_that_a_plugin_passes_on_are_no_failures(gate: Gate) -> None:
    chain = gate.chain("plugin password")
    for name in ("admin", "pump-7") * 10:
        assert outcome(decide(chain, present(gate, f"user={name} {PW}"))) == f"password:{name}"
    assert len(gate.passwords.throttle.addresses) == 0
    assert gate.plugin.asked == 20


# --- what a listener cannot be


@pytest.mark.parametrize("method", ["token", "plugin"])
def test_a_method_without_what_it_asks_is_refused_when_the_chain_is_made(gate: Gate, method: str) -> None:
    with pytest.raises(ValueError, match=f"'{method}' without what it asks"):
        ChainAuthenticator([method], gate.passwords)


def test_the_anonymous_identity_is_the_one_that_everybody_shares(gate: Gate) -> None:
    assert decide(gate.chain("anonymous"), present(gate, "")).identity is ANONYMOUS_IDENTITY


async def test_a_chosen_password_is_not_checked_before_the_rest_is_there(gate: Gate) -> None:
    users = AccessDatabase(None)
    users.add(make_user("pump-7", "correct horse", generated=False))
    checker = PasswordChecker(users)
    chain = ChainAuthenticator(["password", "certificate"], checker, needs_all=True)
    decisions: list[Decision] = []
    chain.authenticate(replace(present(gate, "user=pump-7"), password=b"correct horse"), decisions.append)
    assert [decision.reason for decision in decisions] == [NO]
    assert checker.pending == 0
    chain.authenticate(
        replace(present(gate, "cert user=pump-7"), password=b"correct horse"), decisions.append
    )
    while checker.pending:
        await asyncio.sleep(0.001)
    assert outcome(decisions[1]) == "password:pump-7"
    checker.close()


# --- what has changed since the handshake, or since CONNECT


def test_what_was_never_proved_at_connect_does_not_still_stand(gate: Gate) -> None:
    """The listener has come to want more methods than those that the client once came in by."""
    first = last(run(gate.chain("token"), "JWT", present(gate, ""), TOKEN.encode())).identity
    assert first is not None
    chain = gate.chain("token certificate", needs_all=True)
    again = last(run(chain, "JWT", present(gate, "", known=first), TOKEN.encode()))
    assert (again.identity, again.reason) == (None, NO)
    assert "connects anew" in again.detail


@pytest.mark.parametrize("methods", ["certificate password", "password", "plugin password"])
def test_a_certificate_that_has_expired_since_its_handshake_spoils_everything(
    gate: Gate, methods: str
) -> None:
    """A resumed TLS session brings the certificate of the first handshake, which is not verified again."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pump-7")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    expired = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, start, start + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    for what in ("", f"user=pump-7 {PW}"):
        decision = decide(gate.chain(methods), replace(present(gate, what), certificate=expired))
        assert decision.identity is None
    assert "the client certificate expired on 2020-01-02" in decision.detail
    steps = scram(gate.chain("scram"), replace(present(gate, ""), certificate=expired), "pump-7")
    assert (steps[-1].data, last(steps).reason) == (b"", NO)
