"""Rights that end while a client is connected, and what is seen of clients meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

import pytest

from lockwire.access.authenticator import Authenticator, Credentials, Decision, accepted
from lockwire.access.identity import Identity
from lockwire.access.observer import Observer
from lockwire.access.rights.rules import Rule
from lockwire.broker.exposure import SAMPLES, Exposure, masked
from lockwire.config import ListenerSettings, Settings
from lockwire.mqtt import reasons
from lockwire.store.interface import SessionContent
from lockwire.store.memory import MemoryStore
from tests.broker.test_commit import KEPT, until
from tests.support import packets
from tests.support.inprocess import Everything, serving
from tests.support.packets import CONNACK, DISCONNECT
from tests.support.stores import snapshot


class ByList(Authenticator):
    """Knows each user name's identity."""

    def __init__(self, *identities: Identity) -> None:
        self.identities = {identity.name: identity for identity in identities}

    def authenticate(self, credentials: Credentials, done: Callable[[Decision], None]) -> None:
        done(accepted(self.identities[credentials.username or ""], "as listed"))


async def test_the_connection_ends_with_its_identity_and_the_session_lives_on() -> None:
    soon = Identity("soon", "token", expires=time.time() + 0.3)
    async with serving(authenticator=ByList(soon, Identity("later", "password"))) as served:
        client = await served.client("c1", username="soon", clean=False, values=KEPT)
        await client.subscribe("a", qos=1)
        goodbye = await client.expect(DISCONNECT)
        assert goodbye.reason == reasons.NOT_AUTHORIZED
        assert served.broker.core.counters.identities_expired == 1
        publisher = await served.client("c2", username="later")
        await publisher.publish("a", b"kept", qos=1)
        served.broker.hub.registry.sessions["c1"]  # type: ignore[union-attr]  # it raises where it is gone
        again = await served.open()
        await again.send(packets.connect("c1", username="soon", clean=False, values=KEPT))
        assert (await again.expect(CONNACK)).session_present


@pytest.mark.parametrize(("moved", "ended"), [(7200, True), (-7200, False)])
async def test_the_clock_of_the_day_decides_about_the_end_of_an_identity(
    monkeypatch: pytest.MonkeyPatch, moved: int, ended: bool
) -> None:
    """A device without a clock of its own serves clients before it is told the time."""
    expires = time.time() + (3600 if moved > 0 else 30)
    async with serving(authenticator=ByList(Identity("c", "token", expires=expires))) as served:
        client = await served.client("c1", username="c")
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + moved)
        served.broker.core.wheel.advance(served.broker.core.now + 61)
        if ended:
            assert (await client.expect(DISCONNECT)).reason == reasons.NOT_AUTHORIZED
        else:
            await client.ping()


async def test_a_user_that_is_deleted_loses_connection_and_session_and_nobody_else_does() -> None:
    async with serving() as served:
        gone = await served.client("gone", username="jo", clean=False, values=KEPT)
        await served.client("away", username="jo", clean=False, values=KEPT)
        stays = await served.client("stays", username="jan", clean=False, values=KEPT)
        assert served.broker.end_identity("jo", "certificate", "another realm") == 0
        assert served.broker.end_identity("jo", "password", "the user jo was deleted") == 2
        assert (await gone.expect(DISCONNECT)).reason == reasons.NOT_AUTHORIZED
        await stays.ping()
        assert list(served.broker.registry.sessions) == ["stays"]


class Slow(Authenticator):
    """Says yes when it is told to."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.asked = asyncio.Event()
        self._done: Callable[[Decision], None] | None = None

    def authenticate(self, credentials: Credentials, done: Callable[[Decision], None]) -> None:
        self._done = done
        self.asked.set()

    def decide(self) -> None:
        assert self._done is not None
        self._done(accepted(self.identity, "as it was when it was asked"))


@pytest.mark.parametrize("sessions", [True, False], ids=["gone", "to be proved anew"])
async def test_who_is_deleted_while_coming_in_stays_out(sessions: bool) -> None:
    slow = Slow(Identity("jo", "plugin", also=("password",)))
    async with serving(authenticator=slow) as served:
        client = await served.open()
        await client.send(packets.connect("c", username="jo"))
        await slow.asked.wait()
        served.broker.end_identity("jan", "password", "another one")
        assert served.broker.end_identity("jo", "password", "jo was deleted", sessions=sessions) == 0
        slow.decide()
        assert (await client.expect(CONNACK)).reason == reasons.NOT_AUTHORIZED
        assert not served.broker.registry.sessions


async def test_who_comes_in_while_another_one_is_deleted_is_let_in() -> None:
    slow = Slow(Identity("jo", "password"))
    async with serving(authenticator=slow) as served:
        client = await served.open()
        await client.send(packets.connect("c", username="jo"))
        await slow.asked.wait()
        served.broker.end_identity("jan", "password", "another one")
        served.broker.end_identity("jo", "certificate", "a device of the name")
        slow.decide()
        assert (await client.expect(CONNACK)).reason == reasons.SUCCESS


class LateSessions(MemoryStore):
    """Gives a session when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []

    def open_session(self, number: int, done: Callable[[SessionContent], None]) -> None:
        self.waiting.append(lambda: MemoryStore.open_session(self, number, done))


async def test_a_user_that_is_deleted_while_the_session_is_read_leaves_nothing_behind() -> None:
    store, slow = MemoryStore(), LateSessions()
    async with serving(store) as served:
        await served.client("c1", username="jo", clean=False, values=KEPT)
        snapshot(store, slow)
    async with serving(slow) as served:
        client = await served.open()
        await client.send(packets.connect("c1", username="jo", clean=False, values=KEPT))
        await until(lambda: slow.waiting)
        assert served.broker.end_identity("jo", "password", "the user jo was deleted") == 1
        assert (await client.expect(CONNACK)).reason == reasons.NOT_AUTHORIZED
        slow.waiting.pop()()
        await until(lambda: not served.broker.hub.connected)
        assert served.broker.registry.sessions == {}
        assert served.broker.registry.connections == {}


async def test_a_revoked_certificate_ends_its_connection_and_leaves_the_session() -> None:
    device = Identity("pump", "certificate", certificate="0011223344556677:1f")
    other = Identity("valve", "certificate", certificate="0011223344556677:20")
    async with serving(authenticator=ByList(device, other)) as served:
        pump = await served.client("pump", username="pump", clean=False, values=KEPT)
        valve = await served.client("valve", username="valve")
        assert served.broker.deny("authority", ["0011223344556677:1f"]) == 1
        assert (await pump.expect(DISCONNECT)).reason == reasons.NOT_AUTHORIZED
        await valve.ping()
        assert served.broker.deny("authority", ["0011223344556677:1f"]) == 0
        again = await served.open()
        await again.send(packets.connect("pump", username="pump", clean=False, values=KEPT))
        assert (await again.expect(CONNACK)).reason == reasons.NOT_AUTHORIZED
        assert "pump" in served.broker.registry.sessions


class OneReader(Everything):
    """Lets those receive who are in the group readers."""

    def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
        return "readers" in identity.groups


async def test_a_session_is_judged_by_the_identity_that_came_last() -> None:
    identities = ByList(Identity("r", "token", groups=("readers",)), Identity("p", "password"))
    async with serving(authenticator=identities, authorizer=OneReader()) as served:
        reader = await served.client("reader", username="r", clean=False, values=KEPT)
        await reader.subscribe("a")
        publisher = await served.client("publisher", username="p")
        await publisher.publish("a", b"1", qos=1)
        await reader.receive("a", b"1")
        identities.identities["r"] = Identity("r", "token")
        again = await served.client("reader", username="r", clean=False, values=KEPT)
        await publisher.publish("a", b"2", qos=1)
        await again.expect_nothing()


class Notes(Observer):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.facts: list[tuple[object, ...]] = []

    def published(self, identity: Identity, client_id: str, topic: bytes, qos: int, retain: bool) -> None:
        self.facts.append(("published", client_id, topic, qos, retain))

    def subscribed(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> None:
        self.facts.append(("subscribed", client_id, topic_filter, qos))

    def received(self, identity: Identity, client_id: str, topic: bytes) -> None:
        self.facts.append(("received", client_id, topic))


async def test_an_observer_is_told_each_kind_of_message_once() -> None:
    notes = Notes()
    async with serving() as served:
        publisher = await served.client("publisher")
        await publisher.publish("a", b"before", qos=1)
        served.broker.observe(notes)
        subscriber = await served.client("subscriber")
        await subscriber.subscribe("#", qos=1)
        for _ in range(3):
            await publisher.publish("a", b"", qos=0)
            await publisher.publish("a", b"", qos=1)
        await publisher.ping()
        assert sorted(map(str, notes.facts)) == sorted(
            map(
                str,
                [
                    ("subscribed", "subscriber", "#", 1),
                    ("published", "publisher", b"a", 0, False),
                    ("published", "publisher", b"a", 1, False),
                    ("received", "subscriber", b"a"),
                ],
            )
        )
        served.broker.observe(None)
        await publisher.publish("b", b"", qos=1)
        assert not any(b"b" in fact for fact in notes.facts)


def test_no_client_id_is_none_that_could_be_read() -> None:
    exposure = Exposure()
    exposure.connect("", "biagio", True)
    assert exposure.report()["client_ids"] == {"count": 0, "masked": []}


async def test_what_an_onlooker_could_read_is_kept_masked() -> None:
    listener = ListenerSettings(
        transport="tcp", address="127.0.0.1", port=0, name="plain", authentication=["password"]
    )
    async with serving(settings=Settings(listeners=[listener])) as served:
        client = await served.client("arduinoClient", username="biagio", password=b"biagio")
        await client.publish("outTopic/kitchen/7", b"21", qos=1)
        await client.subscribe("house/+/#")
        (state,) = cast("list[dict[str, object]]", served.broker.status()["listeners"])
        assert state["exposed"] == {
            "passwords": 1,
            "client_ids": {"count": 1, "masked": ["a*****t"]},
            "usernames": {"count": 1, "masked": ["b*****o"]},
            "topics": {"count": 2, "masked": ["o*****c/k*****n/*", "h*****e/+/#"]},
        }


@pytest.mark.parametrize(
    ("value", "shown"), [("", ""), ("ab", "**"), ("abcd", "a*****d"), ("a/b", "*/*"), ("x" * 999, "x*****x")]
)
def test_masks_show_the_shape_alone(value: str, shown: str) -> None:
    assert masked(value) == shown


def test_samples_are_bounded() -> None:
    exposure = Exposure()
    for number in range(10 * SAMPLES):
        exposure.topic(f"{number:04}/{number:04}")
    topics = exposure.report()["topics"]
    assert isinstance(topics, dict)
    assert topics["count"] == 10 * SAMPLES
    assert len(topics["masked"]) <= SAMPLES


async def test_a_session_is_judged_after_a_restart_as_it_was_before() -> None:
    rule = Rule("user:r", ("receive",), "a/#", qos=(1, 2), note="from a token")
    reader = Identity("r", "token", common_name="r", groups=("readers",), rules=(rule,))
    store = MemoryStore()
    async with serving(store, authenticator=ByList(reader), authorizer=OneReader()) as served:
        client = await served.client("reader", username="r", clean=False, values=KEPT)
        await client.subscribe("a/#", qos=1)
        left = snapshot(store)
    identities = ByList(Identity("p", "password"), reader)
    async with serving(left, authenticator=identities, authorizer=OneReader()) as served:
        assert served.broker.registry.sessions["reader"].identity == reader
        publisher = await served.client("publisher", username="p")
        await publisher.publish("a/b", b"meanwhile", qos=1)
        again = await served.client("reader", username="r", clean=False, values=KEPT)
        await again.receive("a/b", b"meanwhile")
