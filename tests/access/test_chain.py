"""Who a client is: what each method of a listener says to what clients present."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.access.authenticator import Authenticator, Credentials, Decision, Step
from lockwire.access.database.database import AccessDatabase
from lockwire.access.database.users import User, make_user
from lockwire.access.identity import ANONYMOUS_IDENTITY, Identity
from lockwire.access.methods.chain import ChainAuthenticator
from lockwire.access.methods.checker import PasswordChecker
from lockwire.access.methods.passwords import generate_password
from lockwire.access.methods.scram import ScramClient
from lockwire.mqtt import reasons
from lockwire.pki.authority.authority import Authority
from lockwire.pki.certificate import certificate_key

SECRET = generate_password()
CHOSEN = "correct horse"
PEER = "192.0.2.7:50123"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def accounts() -> list[User]:
    return [
        make_user("admin", SECRET, generated=True, tags=["administrator"], with_scram=True),
        make_user("jo", CHOSEN, generated=False),
    ]


@pytest.fixture(scope="module")
def pump(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    authority = Authority.create(tmp_path_factory.mktemp("pki") / "ca")
    return authority.issue_client("pump-7").certificate.public_bytes(Encoding.DER)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(tmp_path: Path, accounts: list[User]) -> AccessDatabase:
    users = AccessDatabase(tmp_path / "access" / "access.db")
    for account in accounts:
        users.add(account)
    return users


@pytest.fixture
def fast_users(tmp_path: Path, accounts: list[User]) -> AccessDatabase:
    """Generated passwords only, so that everything is decided at once."""
    users = AccessDatabase(tmp_path / "fast" / "access.db")
    users.add(accounts[0])
    return users


@pytest.fixture
def checker(users: AccessDatabase, clock: Clock) -> Iterator[PasswordChecker]:
    checker = PasswordChecker(users, clock=clock)
    yield checker
    checker.close()


@pytest.fixture
def fast(fast_users: AccessDatabase, clock: Clock) -> Iterator[PasswordChecker]:
    checker = PasswordChecker(fast_users, clock=clock)
    yield checker
    checker.close()


async def decide(authenticator: Authenticator, credentials: Credentials) -> Decision:
    """The one decision, which must come from this thread."""
    future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
    thread = threading.current_thread()

    def done(decision: Decision) -> None:
        assert threading.current_thread() is thread
        future.set_result(decision)  # raises where it is called twice

    authenticator.authenticate(credentials, done)
    return await asyncio.wait_for(future, 30)


def at_once(authenticator: Authenticator, credentials: Credentials) -> Decision | None:
    """The decision where it is made before `authenticate` returns."""
    decisions: list[Decision] = []
    authenticator.authenticate(credentials, decisions.append)
    return decisions[0] if decisions else None


def login(
    username: str | None, password: str | None, certificate: bytes | None = None, peer: str = PEER
) -> Credentials:
    return Credentials(
        "tls", peer, "client", username, None if password is None else password.encode(), certificate
    )


def bare(identity: Identity | None) -> Identity | None:
    """An identity without what its certificate adds."""
    return None if identity is None else replace(identity, common_name="", certificate="")


# --- certificate and password, as `lockwire up` has them

PUMP = Identity("pump-7", "certificate")
ADMIN = Identity("admin", "password", administrator=True)
JO = Identity("jo", "password")


@pytest.mark.parametrize("order", [["certificate", "password"], ["password", "certificate"]])
@pytest.mark.parametrize(
    ("username", "password", "has_certificate", "expected"),
    [
        (None, None, True, PUMP),
        ("pump-7", None, True, PUMP),
        ("admin", None, True, reasons.BAD_USER_NAME_OR_PASSWORD),
        ("jo", CHOSEN, True, JO),
        ("admin", SECRET, True, ADMIN),
        ("jo", "wrong", True, reasons.BAD_USER_NAME_OR_PASSWORD),
        ("pump-7", "wrong", True, reasons.BAD_USER_NAME_OR_PASSWORD),
        ("jo", CHOSEN, False, JO),
        ("admin", SECRET, False, ADMIN),
        ("admin", CHOSEN, False, reasons.BAD_USER_NAME_OR_PASSWORD),
        ("admin", "", False, reasons.BAD_USER_NAME_OR_PASSWORD),
        ("jo", None, False, reasons.BAD_USER_NAME_OR_PASSWORD),
        ("nobody", "x", False, reasons.BAD_USER_NAME_OR_PASSWORD),
        ("", "x", False, reasons.BAD_USER_NAME_OR_PASSWORD),
        (None, SECRET, False, reasons.BAD_USER_NAME_OR_PASSWORD),
        (None, None, False, reasons.NOT_AUTHORIZED),
    ],
)
async def test_certificate_and_password(
    checker: PasswordChecker,
    pump: bytes,
    order: list[str],
    username: str | None,
    password: str | None,
    has_certificate: bool,
    expected: Identity | int,
) -> None:
    chain = ChainAuthenticator(order, checker)
    decision = await decide(chain, login(username, password, pump if has_certificate else None))
    if isinstance(expected, Identity):
        assert (bare(decision.identity), decision.reason) == (expected, reasons.SUCCESS)
        assert decision.identity is not None
        filled = ("pump-7", certificate_key(pump)) if has_certificate else ("", "")
        assert (decision.identity.common_name, decision.identity.certificate) == filled
    else:
        assert (decision.identity, decision.reason) == (None, expected)
    assert SECRET not in decision.detail
    assert CHOSEN not in decision.detail


async def test_a_password_without_a_user_name_is_refused_though_there_is_a_certificate(
    checker: PasswordChecker, pump: bytes
) -> None:
    password_first = ChainAuthenticator(["password", "certificate"], checker)
    decision = await decide(password_first, login(None, SECRET, pump))
    assert decision.reason == reasons.BAD_USER_NAME_OR_PASSWORD


@pytest.mark.parametrize(
    ("methods", "username", "password", "has_certificate", "expected"),
    [
        (["certificate"], None, None, True, PUMP),
        (["certificate"], "pump-7", "whatever", True, PUMP),
        (["certificate"], "admin", SECRET, True, None),
        (["certificate"], "admin", SECRET, False, None),
        (["password"], "admin", SECRET, True, ADMIN),
        (["password"], None, None, True, None),
        (["anonymous"], None, None, False, ANONYMOUS_IDENTITY),
        (["anonymous"], "admin", "wrong", True, ANONYMOUS_IDENTITY),
        (["password", "anonymous"], None, None, False, ANONYMOUS_IDENTITY),
        (["password", "anonymous"], "admin", SECRET, False, ADMIN),
        (["password", "anonymous"], "admin", "wrong", False, None),
        (["password", "anonymous"], "admin", None, False, None),
        (["certificate", "anonymous"], None, None, True, PUMP),
        (["certificate", "anonymous"], "admin", None, True, None),
        (["certificate", "anonymous"], "admin", SECRET, False, ANONYMOUS_IDENTITY),
        (["scram"], "admin", SECRET, True, None),
        ([], "admin", SECRET, True, None),
    ],
)
async def test_other_lists_of_methods(
    checker: PasswordChecker,
    pump: bytes,
    methods: list[str],
    username: str | None,
    password: str | None,
    has_certificate: bool,
    expected: Identity | None,
) -> None:
    chain = ChainAuthenticator(methods, checker)
    decision = await decide(chain, login(username, password, pump if has_certificate else None))
    assert bare(decision.identity) == expected


def test_a_certificate_without_a_usable_name_is_refused(checker: PasswordChecker) -> None:
    decision = at_once(ChainAuthenticator(["certificate"], checker), login(None, None, b"no certificate"))
    assert decision is not None
    assert decision.reason == reasons.NOT_AUTHORIZED


def test_an_unknown_method_is_refused_when_the_chain_is_made(checker: PasswordChecker) -> None:
    with pytest.raises(ValueError, match="'ldap'"):
        ChainAuthenticator(["password", "ldap"], checker)


def test_credentials_show_no_secret(pump: bytes) -> None:
    shown = repr(login("admin", SECRET, pump))
    assert SECRET not in shown
    assert "password='yes'" in shown.replace("password=yes", "password='yes'")


# --- off the event loop, remembered, and telling nobody who exists


async def test_argon2_is_not_computed_on_the_event_loop_and_once_in_five_minutes(
    checker: PasswordChecker, clock: Clock
) -> None:
    chain = ChainAuthenticator(["password"], checker)
    assert at_once(chain, login("jo", CHOSEN)) is None
    while checker.pending:
        await asyncio.sleep(0.001)
    remembered = at_once(chain, login("jo", CHOSEN))
    assert remembered is not None
    assert remembered.identity == JO
    assert at_once(chain, login("jo", CHOSEN + "x")) is None
    clock.now += 300
    assert at_once(chain, login("jo", CHOSEN)) is None
    while checker.pending:
        await asyncio.sleep(0.001)


async def test_a_remembered_password_ends_with_a_change_or_the_user(
    checker: PasswordChecker, users: AccessDatabase
) -> None:
    chain = ChainAuthenticator(["password"], checker)
    assert (await decide(chain, login("jo", CHOSEN))).identity == JO
    users.replace(make_user("jo", "another", generated=False, tags=["administrator"]))
    assert (await decide(chain, login("jo", CHOSEN))).identity is None
    assert (await decide(chain, login("jo", "another"))).identity == Identity("jo", "password", True)
    users.delete("jo")
    assert (await decide(chain, login("jo", "another"))).identity is None


async def test_a_password_changed_while_it_is_checked_is_refused(
    checker: PasswordChecker, users: AccessDatabase
) -> None:
    future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
    ChainAuthenticator(["password"], checker).authenticate(login("jo", CHOSEN), future.set_result)
    users.delete("jo")
    assert (await future).identity is None


async def test_wherever_a_hash_is_slow_every_refusal_is(
    checker: PasswordChecker, users: AccessDatabase
) -> None:
    chain = ChainAuthenticator(["password"], checker)
    for username in ("jo", "admin", "nobody"):
        assert at_once(chain, login(username, "wrong")) is None
    while checker.pending:
        await asyncio.sleep(0.001)
    assert at_once(chain, login("admin", SECRET)) is not None
    users.delete("jo")
    for username in ("admin", "nobody"):
        decision = at_once(chain, login(username, "also wrong"))
        assert decision is not None
        assert decision.reason == reasons.BAD_USER_NAME_OR_PASSWORD


async def test_more_checks_than_may_wait_are_answered_server_busy(users: AccessDatabase) -> None:
    checker = PasswordChecker(users, pending=3)
    chain = ChainAuthenticator(["password"], checker)
    decisions: list[Decision] = []
    for number in range(5):
        chain.authenticate(login("jo", f"wrong {number}"), decisions.append)
    assert [decision.reason for decision in decisions] == [reasons.SERVER_BUSY] * 2
    while checker.pending:
        await asyncio.sleep(0.001)
    assert len(decisions) == 5
    checker.close()


async def test_a_fleet_is_checked_by_two_threads_while_the_loop_goes_on(checker: PasswordChecker) -> None:
    chain = ChainAuthenticator(["password"], checker)
    turns = 0
    decisions: list[Decision] = []
    for number in range(20):
        chain.authenticate(login("jo", CHOSEN, peer=f"192.0.2.{number}:1"), decisions.append)
    while checker.pending:
        turns += 1
        await asyncio.sleep(0)
    assert [decision.identity for decision in decisions] == [JO] * 20
    assert turns > 20
    names = {thread.name for thread in threading.enumerate() if thread.name.startswith("lockwire-password")}
    assert len(names) <= 2


# --- back-off


def test_ten_different_wrong_passwords_close_an_address_for_passwords_only(
    fast: PasswordChecker, clock: Clock, pump: bytes
) -> None:
    chain = ChainAuthenticator(["certificate", "password"], fast)
    for number in range(10):
        decision = at_once(chain, login(f"user {number}", "x"))
        assert decision is not None
        assert decision.reason == reasons.BAD_USER_NAME_OR_PASSWORD
    blocked = at_once(chain, login("admin", CHOSEN))
    assert blocked is not None
    assert (blocked.identity, blocked.reason) == (None, reasons.CONNECTION_RATE_EXCEEDED)
    assert "192.0.2.7" in blocked.detail
    assert fast.counts() == {
        "logins_turned_away": 1,
        "login_addresses_blocked": 1,
        "login_users_blocked": 0,
    }
    elsewhere = at_once(chain, login("admin", CHOSEN, peer="192.0.2.8:1"))
    assert elsewhere is not None
    assert elsewhere.reason == reasons.BAD_USER_NAME_OR_PASSWORD
    generated = at_once(chain, login("admin", SECRET))
    assert generated is not None
    assert generated.identity == ADMIN
    with_certificate = at_once(chain, login(None, None, pump))
    assert with_certificate is not None
    assert bare(with_certificate.identity) == PUMP
    clock.now += 60
    again = at_once(chain, login("admin", CHOSEN))
    assert again is not None
    assert again.reason == reasons.BAD_USER_NAME_OR_PASSWORD


def test_a_device_with_an_old_password_does_not_lock_out_its_neighbours(fast: PasswordChecker) -> None:
    chain = ChainAuthenticator(["password"], fast)
    for port in range(100):
        decision = at_once(chain, login("admin", "old", peer=f"192.0.2.7:{port}"))
        assert decision is not None
        assert decision.reason == reasons.BAD_USER_NAME_OR_PASSWORD
    neighbour = at_once(chain, login("admin", SECRET))
    assert neighbour is not None
    assert neighbour.identity == ADMIN


def test_a_repeated_wrong_password_is_looked_at_again_once_it_could_be_right(
    fast: PasswordChecker, fast_users: AccessDatabase
) -> None:
    chain = ChainAuthenticator(["password"], fast)
    refused = at_once(chain, login("admin", "tomorrow"))
    assert refused is not None
    assert refused.identity is None
    fast_users.replace(make_user("admin", "tomorrow", generated=True))
    accepted = at_once(chain, login("admin", "tomorrow"))
    assert accepted is not None
    assert accepted.identity == Identity("admin", "password")


# --- SCRAM-SHA-256 as an enhanced authentication


def exchange(
    checker: PasswordChecker, username: str, password: str, claimed: str | None = None, peer: str = PEER
) -> tuple[ScramClient, list[Step]]:
    """Both messages of one exchange, and what was answered."""
    one = ChainAuthenticator(["scram"], checker).exchange("SCRAM-SHA-256", login(claimed, None, peer=peer))
    assert one is not None
    client = ScramClient(username, password)
    steps: list[Step] = []
    one.step(client.first(), steps.append)
    if steps[0].decision is None:
        one.step(client.final(steps[0].data), steps.append)
    return client, steps


@pytest.mark.parametrize("claimed", [None, "admin"])
def test_scram_logs_in_and_proves_the_server(fast: PasswordChecker, claimed: str | None) -> None:
    client, steps = exchange(fast, "admin", SECRET, claimed)
    assert [step.decision is None for step in steps] == [True, False]
    decision = steps[1].decision
    assert decision is not None
    assert decision.identity == Identity("admin", "scram", administrator=True)
    client.verify(steps[1].data)


@pytest.mark.parametrize(
    ("username", "password", "claimed"),
    [("admin", "wrong", None), ("nobody", SECRET, None), ("admin", SECRET, "jo")],
)
def test_scram_refuses_with_not_authorized(
    fast: PasswordChecker, username: str, password: str, claimed: str | None
) -> None:
    _, steps = exchange(fast, username, password, claimed)
    decision = steps[-1].decision
    assert decision is not None
    assert (decision.identity, decision.reason) == (None, reasons.NOT_AUTHORIZED)
    assert steps[-1].data == b""


def test_scram_needs_a_verifier(checker: PasswordChecker) -> None:
    _, steps = exchange(checker, "jo", CHOSEN)
    decision = steps[-1].decision
    assert decision is not None
    assert decision.identity is None


def test_scram_begins_with_the_client_even_if_connect_had_no_data(fast: PasswordChecker) -> None:
    one = ChainAuthenticator(["scram"], fast).exchange("SCRAM-SHA-256", login(None, None))
    assert one is not None
    client = ScramClient("admin", SECRET)
    steps: list[Step] = []
    one.step(b"", steps.append)
    assert steps == [Step(b"")]
    one.step(client.first(), steps.append)
    one.step(client.final(steps[1].data), steps.append)
    assert steps[2].decision is not None
    assert steps[2].decision.identity is not None
    one.step(b"more", steps.append)
    assert steps[3].decision is not None
    assert steps[3].decision.identity is None


@pytest.mark.parametrize("with_scram", [True, False])
def test_scram_with_the_password_of_before_is_refused(
    fast: PasswordChecker, fast_users: AccessDatabase, with_scram: bool
) -> None:
    """The challenge was sent, then the password was changed."""
    one = ChainAuthenticator(["scram"], fast).exchange("SCRAM-SHA-256", login(None, None))
    assert one is not None
    client = ScramClient("admin", SECRET)
    steps: list[Step] = []
    one.step(client.first(), steps.append)
    fast_users.replace(
        make_user("admin", generate_password(), generated=True, tags=["administrator"], with_scram=with_scram)
    )
    one.step(client.final(steps[0].data), steps.append)
    decision = steps[1].decision
    assert decision is not None
    assert (decision.identity, decision.reason) == (None, reasons.NOT_AUTHORIZED)


def test_scram_guesses_are_counted_for_user_and_address(fast: PasswordChecker) -> None:
    for number in range(10):
        exchange(fast, "admin", f"guess {number}")
    _, steps = exchange(fast, "admin", SECRET)
    assert steps[-1].decision is not None
    assert steps[-1].decision.reason == reasons.CONNECTION_RATE_EXCEEDED
    _, steps = exchange(fast, "admin", SECRET, peer="192.0.2.8:1")
    assert steps[-1].decision is not None
    assert steps[-1].decision.identity is not None


def test_methods_that_are_not_offered_have_no_exchange(fast: PasswordChecker) -> None:
    assert ChainAuthenticator(["scram"], fast).exchange("SCRAM-SHA-1", login(None, None)) is None
    assert ChainAuthenticator(["password"], fast).exchange("SCRAM-SHA-256", login(None, None)) is None
