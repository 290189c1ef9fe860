"""Passwords that Mosquitto hashed, hashes that get better, and guesses from many addresses."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from lockwire.access.authenticator import Credentials, Decision, Step
from lockwire.access.database.database import AccessDatabase
from lockwire.access.database.users import User, make_user
from lockwire.access.methods import checker
from lockwire.access.methods.checker import PasswordChecker
from lockwire.access.methods.exchanges import ScramExchange
from lockwire.access.methods.passwords import generate_password, hash_chosen, verify
from lockwire.access.methods.scram import ScramClient
from lockwire.mqtt import reasons
from tests.support.peers import peer_path

SECRET = generate_password()
CHOSEN = "correct horse"
STRANGER = "203.0.113.9:1"
HOME = "192.0.2.1:1"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Office:
    """A checker with its users, and what it asked to have kept."""

    def __init__(self, *users: User) -> None:
        self.users = AccessDatabase(None)
        for user in users:
            self.users.add(user)
        self.clock = Clock()
        self.rehashed: list[str] = []
        self.checker = PasswordChecker(self.users, clock=self.clock, rehash=self.rehash)

    def rehash(self, username: str, old: str, new: str) -> None:
        self.users.rehash(username, old, new)
        self.rehashed.append(username)

    async def login(self, username: str, password: str, peer: str = HOME) -> Decision:
        future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self.checker.check(peer, username, password.encode(), future.set_result)
        return await asyncio.wait_for(future, 30)

    async def settled(self) -> None:
        while self.checker.pending:
            await asyncio.sleep(0.001)


@pytest.fixture
def offices() -> Iterator[list[Office]]:
    made: list[Office] = []
    yield made
    for office in made:
        office.checker.close()


def open_office(offices: list[Office], *users: User) -> Office:
    offices.append(Office(*users))
    return offices[-1]


def mosquitto_hash(folder: Path, option: str) -> str:
    file = folder / "passwords"
    file.touch(0o600)
    subprocess.run([peer_path("mosquitto_passwd"), "-H", option, "-b", file, "jo", CHOSEN], check=True)
    return file.read_text().strip().removeprefix("jo:")


# --- hashes that get better


@pytest.mark.peer("mosquitto_passwd")
@pytest.mark.parametrize("option", ["sha512", "sha512-pbkdf2"])
async def test_a_hash_of_mosquitto_becomes_argon2id_with_the_first_login(
    tmp_path: Path, offices: list[Office], option: str
) -> None:
    office = open_office(offices, User("jo", mosquitto_hash(tmp_path, option)))
    assert (await office.login("jo", "wrong")).identity is None
    assert office.rehashed == []
    assert (await office.login("jo", CHOSEN)).identity is not None
    await office.settled()
    assert office.rehashed == ["jo"]
    user = office.users.get("jo")
    assert user is not None
    assert user.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify(user.password, CHOSEN.encode())
    assert (await office.login("jo", CHOSEN)).identity is not None
    await office.settled()
    assert office.rehashed == ["jo"]


async def test_a_good_hash_and_a_generated_password_stay(offices: list[Office]) -> None:
    stronger = argon2.PasswordHasher(3, 19_456, 1).hash(CHOSEN)
    office = open_office(
        offices,
        User("jo", stronger),
        make_user("ann", CHOSEN, generated=False),
        make_user("pump", SECRET, generated=True),
    )
    for name, password in (("jo", CHOSEN), ("ann", CHOSEN), ("pump", SECRET)):
        assert (await office.login(name, password)).identity is not None
    await office.settled()
    assert office.rehashed == []


async def test_logins_at_the_same_time_as_a_better_hash_are_not_refused(offices: list[Office]) -> None:
    weak = argon2.PasswordHasher(1, 1024, 1).hash(CHOSEN)
    office = open_office(offices, User("jo", weak))
    pending = [
        asyncio.ensure_future(office.login("jo", CHOSEN, f"192.0.2.{number}:1")) for number in range(6)
    ]
    await asyncio.sleep(0)
    office.users.rehash("jo", weak, hash_chosen(CHOSEN.encode()))
    assert all(decision.identity is not None for decision in await asyncio.gather(*pending))
    await office.settled()
    assert office.checker.counts()["login_addresses_blocked"] == 0


async def test_a_hash_that_was_changed_meanwhile_is_left_alone(offices: list[Office]) -> None:
    weak = argon2.PasswordHasher(1, 1024, 1).hash(CHOSEN)
    office = open_office(offices, User("jo", weak))
    assert (await office.login("jo", CHOSEN)).identity is not None
    office.users.replace(make_user("jo", "another", generated=False))
    await office.settled()
    assert (await office.login("jo", CHOSEN)).identity is None
    assert (await office.login("jo", "another")).identity is not None


async def test_a_changed_password_and_a_removed_user_are_not_remembered(offices: list[Office]) -> None:
    office = open_office(offices, make_user("jo", CHOSEN, generated=False))
    assert (await office.login("jo", CHOSEN)).identity is not None
    office.users.replace(make_user("jo", "another", generated=False))
    assert (await office.login("jo", CHOSEN)).identity is None
    assert (await office.login("jo", "another")).identity is not None
    office.users.delete("jo", force=True)
    assert (await office.login("jo", "another")).identity is None


def test_nothing_in_memory_is_the_password(offices: list[Office]) -> None:
    office = open_office(offices, make_user("pump", SECRET, generated=True))
    answers: list[Decision] = []
    office.checker.check(HOME, "pump", SECRET.encode(), answers.append)
    office.checker.check(HOME, "pump", b"wrong secret", answers.append)
    remembered = repr(
        [vars(office.checker), vars(office.checker.throttle.addresses), office.users.get("pump")]
    )
    assert SECRET not in remembered
    assert "wrong secret" not in remembered
    assert "$sha256$" not in repr(office.users.get("pump"))


async def test_every_refusal_costs_one_argon2id_of_ours_whatever_the_hash_is(
    offices: list[Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = open_office(
        offices,
        User("cheap", argon2.PasswordHasher(1, 1024, 1).hash(CHOSEN)),
        User("mosquitto", "$6$AAAA$" + "A" * 86 + "=="),
        make_user("chosen", CHOSEN, generated=False),
        make_user("generated", SECRET, generated=True),
    )
    tried: list[str] = []

    def counting(stored: str, password: bytes) -> bool:
        tried.append(stored)
        return verify(stored, password)

    monkeypatch.setattr(checker, "verify", counting)
    for name in ("cheap", "mosquitto", "chosen", "generated", "nobody"):
        tried.clear()
        decision = await office.login(name, "wrong")
        assert decision.reason == reasons.BAD_USER_NAME_OR_PASSWORD
        assert decision.detail.startswith(f"unknown user or wrong password for {name!r};")
        assert sum(stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for stored in tried) == 1


# --- guesses from many addresses


async def guess_from_many(office: Office, username: str, round_: int = 0) -> None:
    for address in range(4):
        for number in range(5):
            await office.login(username, f"wrong {round_} {number} {address}", f"203.0.113.{address}:1")


@pytest.mark.parametrize("username", ["jo", "nobody"])
async def test_guesses_from_many_addresses_stop_strangers_whether_the_user_exists_or_not(
    offices: list[Office], username: str
) -> None:
    office = open_office(offices, User("jo", argon2.PasswordHasher(1, 1024, 1).hash(CHOSEN)))
    await guess_from_many(office, username)
    refused = await office.login(username, CHOSEN, STRANGER)
    assert refused.reason == reasons.CONNECTION_RATE_EXCEEDED
    assert f"{username!r} has not logged in from before" in refused.detail
    assert office.checker.counts()["login_users_blocked"] == 1


async def test_nobody_can_lock_a_user_out_of_the_places_he_logs_in_from(offices: list[Office]) -> None:
    office = open_office(offices, User("jo", argon2.PasswordHasher(1, 1024, 1).hash(CHOSEN)))
    assert (await office.login("jo", CHOSEN, HOME)).identity is not None
    await office.settled()
    await guess_from_many(office, "jo")
    assert (await office.login("jo", CHOSEN, STRANGER)).identity is None
    assert (await office.login("jo", CHOSEN, HOME)).identity is not None
    office.clock.now += 301  # no longer remembered
    await guess_from_many(office, "jo", 1)
    assert (await office.login("jo", CHOSEN, HOME)).identity is not None


async def test_guesses_never_lock_out_whoever_has_a_generated_password(offices: list[Office]) -> None:
    office = open_office(offices, make_user("pump", SECRET, generated=True))
    await guess_from_many(office, "pump")
    assert (await office.login("pump", "wrong", STRANGER)).reason == reasons.CONNECTION_RATE_EXCEEDED
    assert (await office.login("pump", SECRET, STRANGER)).identity is not None
    for number in range(10):
        await office.login(f"user {number}", "x", HOME)
    assert (await office.login("pump", SECRET, HOME)).identity is not None
    assert (await office.login("pump", "wrong", HOME)).reason == reasons.CONNECTION_RATE_EXCEEDED


def scram(office: Office, username: str, password: str, peer: str) -> Decision:
    exchange = ScramExchange(office.checker, Credentials("tls", peer, "c"))
    client = ScramClient(username, password)
    steps: list[Step] = []
    exchange.step(client.first(), steps.append)
    exchange.step(client.final(steps[0].data), steps.append)
    assert steps[1].decision is not None
    return steps[1].decision


@pytest.mark.parametrize(("username", "password"), [("jo", CHOSEN), ("pump", SECRET), ("nobody", "x")])
async def test_guesses_by_scram_are_counted_alike_and_tell_nobody_who_exists(
    offices: list[Office], username: str, password: str
) -> None:
    known = [("jo", CHOSEN, False), ("pump", SECRET, True)]
    office = open_office(
        offices,
        *(make_user(name, word, generated=made, with_scram=True) for name, word, made in known),
    )
    for address in range(4):
        for _ in range(5):
            decision = scram(office, username, "wrong", f"203.0.113.{address}:1")
            assert decision.reason == reasons.NOT_AUTHORIZED
    assert scram(office, username, "wrong", STRANGER).reason == reasons.CONNECTION_RATE_EXCEEDED
    right = scram(office, username, password, STRANGER)
    if username == "pump":
        assert right.identity is not None
    else:
        assert right.reason == reasons.CONNECTION_RATE_EXCEEDED
