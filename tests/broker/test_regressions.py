"""What once went wrong: each test is the shortest way to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lockwire.access.authorizer import ASK
from lockwire.access.identity import Identity
from lockwire.config import ListenerSettings, Settings
from lockwire.mqtt import reasons
from lockwire.mqtt.message import Message
from lockwire.store.interface import SessionContent
from lockwire.store.memory import MemoryStore
from tests.broker.test_commit import KEPT, until
from tests.broker.test_decisions import SlowRules
from tests.support import packets
from tests.support.inprocess import Everything, serving
from tests.support.packets import (
    CONNACK,
    MAXIMUM_PACKET_SIZE,
    PUBACK,
    PUBREC,
    RECEIVE_MAXIMUM,
    SESSION_EXPIRY_INTERVAL,
    SUBACK,
    TOPIC_ALIAS_MAXIMUM,
    WILL_DELAY_INTERVAL,
    Will,
)
from tests.support.stores import LateStore, RefusingStore

LARGE = b"x" * 60_000

Failures = list[dict[str, Any]]


@pytest.fixture(autouse=True)
async def failures() -> AsyncIterator[Failures]:
    """What went wrong in a callback of the loop; whoever expects something clears it."""
    found: Failures = []
    asyncio.get_running_loop().set_exception_handler(lambda _, failure: found.append(failure))
    yield found
    assert not found


async def test_a_queue_that_is_longer_than_the_outbox_drains_while_publishers_wait() -> None:
    async with serving() as served:
        subscriber = await served.client("slow", values=[(RECEIVE_MAXIMUM, 65_535)])
        await subscriber.subscribe("t", qos=1)
        publisher = await served.client("publisher")
        session = served.broker.registry.sessions["slow"]
        link = session.link
        assert link is not None
        link.congested = True
        for _ in range(30):
            await publisher.publish("t", LARGE, qos=1)
        link.holds_back = True
        link.resume_writing()
        assert await subscriber.payloads(30) == [LARGE] * 30
        assert not link.holds_back


async def test_a_will_has_no_more_levels_than_a_message_may_have() -> None:
    async with serving() as served:
        wire = await served.open()
        await wire.send(packets.connect("deep", will=Will("a" + "/" * 50_000, b"", 0, True)))
        assert (await wire.expect(CONNACK)).reason == reasons.TOPIC_NAME_INVALID
        await wire.expect_closed()
        wire = await served.open(version=4)
        await wire.send(packets.connect("deep", 4, will=Will("a" + "/" * 50_000, b"", 0, True)))
        await wire.expect_refused()


@pytest.mark.parametrize("reason", [0x80, 0x82, 0x98])
async def test_only_a_normal_disconnect_takes_the_will_back(reason: int) -> None:
    """[MQTT5-3.1.2-8], [MQTT5-3.14.4-3]: any other reason code leaves the will to be published."""
    async with serving() as served:
        watcher = await served.client("watcher")
        await watcher.subscribe("gone")
        wire = await served.client("sensor", will=Will("gone", b"sensor"))
        await wire.disconnect(reason)
        await watcher.receive("gone", b"sensor")


async def test_a_disconnect_that_is_not_valid_does_not_take_the_will_back() -> None:
    """MQTT 5 section 3.14.2.2.2: it is not treated as a valid DISCONNECT."""
    async with serving() as served:
        watcher = await served.client("watcher")
        await watcher.subscribe("gone")
        wire = await served.client("sensor", will=Will("gone", b"sensor"))
        await wire.send(packets.disconnect(0, [(SESSION_EXPIRY_INTERVAL, 10)]))
        end = await wire.expect_closed()
        assert end is not None
        assert end.reason == reasons.PROTOCOL_ERROR
        await watcher.receive("gone", b"sensor")


async def test_an_answer_from_the_store_does_not_end_the_wait_for_a_decision() -> None:
    rules = SlowRules()
    store = LateStore()
    async with serving(store, authorizer=rules) as served:
        watcher = await served.client("watcher")
        await watcher.subscribe("#")
        store.eager = True
        publisher = await served.client("publisher", version=4, clean=False)
        store.eager = False
        await publisher.send(
            packets.publish("kept", b"1", 1, 1, retain=True, version=4),
            packets.publish("slow", b"first", 1, 2, version=4),
            packets.publish("fast", b"second", 1, 3, version=4),
        )
        await until(lambda: rules.asked and store.waiting)
        store.grant()
        assert (await publisher.expect(PUBACK)).packet_id == 1
        await watcher.receive("kept")
        await watcher.expect_nothing()
        await rules.answer(True)
        await watcher.receive("slow", b"first")
        await watcher.receive("fast", b"second")
        assert [(await publisher.expect(PUBACK)).packet_id for _ in range(2)] == [2, 3]


class AsksAboutWills(Everything):
    """Leaves every PUBLISH to `decide`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bytes, Callable[[bool], None]]] = []

    def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
        return ASK if topic == b"gone" else super().publish_mask(identity, client_id, topic)

    def decide(
        self,
        identity: Identity,
        client_id: str,
        topic: bytes,
        qos: int,
        retain: bool,
        done: Callable[[bool], None],
    ) -> None:
        self.asked.append((topic, done))


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_will_is_decided_about_like_a_publish(allowed: bool) -> None:
    rules = AsksAboutWills()
    async with serving(authorizer=rules) as served:
        watcher = await served.client("watcher")
        await watcher.subscribe("gone")
        wire = await served.client("sensor", will=Will("gone", b"sensor"))
        wire.abort()
        await until(lambda: rules.asked)
        await watcher.expect_nothing()
        rules.asked[0][1](allowed)
        if allowed:
            await watcher.receive("gone", b"sensor")
        await watcher.expect_nothing()


async def test_a_topic_alias_whose_first_message_was_dropped_is_named_again() -> None:
    async with serving() as served:
        subscriber = await served.client("slow", values=[(TOPIC_ALIAS_MAXIMUM, 5)])
        await subscriber.subscribe("first", "second")
        publisher = await served.client("publisher")
        link = served.broker.registry.sessions["slow"].link
        assert link is not None
        link.congested = True
        link.listener.outbox_bytes = 550_000
        for _ in range(9):
            await publisher.publish("first", LARGE)
        await publisher.publish("second", LARGE)
        assert served.broker.core.counters.dropped_outbox_full == 1
        link.resume_writing()
        for _ in range(9):
            await subscriber.expect(packets.PUBLISH)
        await publisher.publish("second", b"now")
        message = await subscriber.expect(packets.PUBLISH)
        assert (message.topic, message.payload) == ("second", b"now")


async def test_what_is_too_large_for_its_client_leaves_room_for_the_next() -> None:
    store = LateStore()
    async with serving(store) as served:
        store.eager = True
        values = [*KEPT, (RECEIVE_MAXIMUM, 1), (MAXIMUM_PACKET_SIZE, 100)]
        subscriber = await served.client("small", clean=False, values=values)
        await subscriber.subscribe("a", qos=2)
        store.eager = False
        publisher = await served.client("publisher")
        await publisher.send(packets.publish("a", LARGE, 2, 1), packets.publish("a", b"2", 2, 2))
        await until(lambda: store.waiting)
        store.eager = True
        store.grant()
        message = await subscriber.expect(packets.PUBLISH)
        assert message.payload == b"2"


async def test_timers_go_on_when_one_goes_wrong(failures: Failures) -> None:
    class Failing(Everything):
        wrong = b""

        def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
            if topic == self.wrong:
                raise ZeroDivisionError
            return super().publish_mask(identity, client_id, topic)

    rules = Failing()
    async with serving(authorizer=rules) as served:
        watcher = await served.client("watcher")
        await watcher.subscribe("right")
        for topic in ("wrong", "right"):
            will = Will(topic, b"", properties=[(WILL_DELAY_INTERVAL, 1)])
            wire = await served.client(topic, clean=False, values=KEPT, will=will)
            wire.abort()
        rules.wrong = b"wrong"
        await watcher.receive("right")
        assert isinstance(failures.pop()["exception"], ZeroDivisionError)


async def test_a_connection_whose_input_cannot_be_worked_through_is_closed(failures: Failures) -> None:
    class Raising(SlowRules):
        def granted_qos(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> int:
            if topic_filter == "wrong":
                raise ZeroDivisionError
            return super().granted_qos(identity, client_id, topic_filter, qos)

    rules = Raising()
    async with serving(authorizer=rules) as served:
        wire = await served.client("wrong")
        other = await served.client("other")
        await wire.send(packets.publish("slow", b"", 1, 1), packets.subscribe(2, [("wrong", 0)]))
        await rules.answer(True)
        await wire.until_closed()
        await until(lambda: "wrong" not in served.broker.registry.sessions)
        assert isinstance(failures.pop()["exception"], ZeroDivisionError)
        await other.ping()


async def test_a_duplicate_that_is_no_longer_allowed_is_still_a_duplicate() -> None:
    """The message was taken; a PUBREC that refuses would free an identifier that is still in use."""

    class Changing(Everything):
        mask = 63

        def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
            return self.mask

    rules = Changing()
    async with serving(authorizer=rules) as served:
        wire = await served.client("publisher")
        await wire.send(packets.publish("a", b"1", 2, 7))
        await wire.expect(PUBREC)
        rules.mask = 0
        served.broker.rules_changed()
        await wire.send(packets.publish("a", b"1", 2, 7, dup=True))
        assert (await wire.expect(PUBREC)).reason == 0
        await wire.acknowledge(packets.PUBREL, 7)
        assert (await wire.expect(packets.PUBCOMP)).reason == 0


async def test_a_subscribe_behind_a_full_receive_maximum_is_no_violation() -> None:
    store = LateStore()
    async with serving(store) as served:
        for name in served.broker._doors:
            served.broker._doors[name].listener.receive_maximum = 2
        wire = await served.client("publisher")
        await wire.send(
            packets.publish("a", b"1", 1, 1, retain=True),
            packets.publish("a", b"2", 1, 2, retain=True),
            packets.subscribe(3, [("b", 0)]),
        )
        await until(lambda: store.waiting)
        store.grant()
        assert [(await wire.expect(PUBACK)).packet_id for _ in range(2)] == [1, 2]
        await wire.expect(SUBACK)


async def test_more_than_the_receive_maximum_is_a_violation_while_acknowledgements_wait() -> None:
    store = LateStore()
    async with serving(store) as served:
        for name in served.broker._doors:
            served.broker._doors[name].listener.receive_maximum = 2
        wire = await served.client("publisher")
        await wire.send(*(packets.publish("a", b"1", 1, each, retain=True) for each in (1, 2, 3)))
        end = await wire.expect_closed()
        assert end is not None
        assert end.reason == reasons.RECEIVE_MAXIMUM_EXCEEDED


async def test_nothing_follows_a_disconnect() -> None:
    """[MQTT5-3.14.4-1]"""
    async with serving() as served:
        wire = await served.client("deaf")
        await wire.subscribe("a")
        connection = served.broker.registry.connections[served.broker.registry.sessions["deaf"].number]
        connection.end(reasons.ADMINISTRATIVE_ACTION, "enough")
        assert "deaf" not in served.broker.registry.sessions
        connection.hub.publish(Message(b"a", b"late", b"", 0, False), None)
        assert await wire.expect_closed() is not None


async def test_a_connect_that_the_store_refuses_leaves_no_will() -> None:
    store = RefusingStore()
    async with serving(store) as served:
        watcher = await served.client("watcher")
        await watcher.subscribe("gone")
        store.refuse()
        wire = await served.open()
        await wire.send(packets.connect("keeper", clean=False, values=KEPT, will=Will("gone", b"keeper")))
        assert (await wire.expect(CONNACK)).reason == reasons.SERVER_UNAVAILABLE
        await wire.expect_closed()
        await until(lambda: len(served.broker.registry.sessions) == 1)
        await watcher.expect_nothing()


async def test_a_refusal_remembers_no_more_than_a_line() -> None:
    async with serving() as served:
        wire = await served.open(version=4)
        await wire.send(packets.connect("x" * 60_000, 4, will=Will("$SYS/" + "y" * 1000)))
        await wire.expect_refused()
        refusal = served.broker.refusals.latest[-1]
        assert len(refusal.client_id) + len(refusal.detail) < 5000


async def test_mqtt_3_knows_no_receive_maximum() -> None:
    async with serving() as served:
        for name in served.broker._doors:
            served.broker._doors[name].listener.receive_maximum = 2
        wire = await served.client("many", version=4)
        await wire.send(*(packets.publish("a", b"", 2, each, version=4) for each in range(1, 6)))
        assert [(await wire.expect(PUBREC)).packet_id for _ in range(5)] == [1, 2, 3, 4, 5]


async def test_a_websocket_that_pings_and_does_not_read_gets_no_pongs() -> None:
    listener = ListenerSettings(
        transport="ws", address="127.0.0.1", port=0, name="ws", authentication=["anonymous"]
    )
    async with serving(settings=Settings(listeners=[listener])) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        (link,) = next(iter(served.broker._doors.values())).listener.links
        sent = served.broker.core.counters.bytes_sent
        ping = b"\x89\x80\x00\x00\x00\x00"
        link.congested = True
        received = served.broker.core.counters.bytes_received
        writer.write(ping)
        await until(lambda: served.broker.core.counters.bytes_received > received)
        assert served.broker.core.counters.bytes_sent == sent
        link.congested = False
        writer.write(ping)
        assert await reader.readexactly(2) == b"\x8a\x00"
        writer.close()


class LateOpening(MemoryStore):
    """Reads a session when `answer` is called."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, Callable[[SessionContent], None]]] = []

    def open_session(self, session: int, done: Callable[[SessionContent], None]) -> None:
        self.asked.append((session, done))

    def answer(self) -> None:
        """Answers the first who asked."""
        super().open_session(*self.asked.pop(0))


async def kept_with_one_message(store: MemoryStore) -> None:
    """Leaves the session `keeper` with a message in its queue in the store."""
    async with serving(store) as served:
        keeper = await served.client("keeper", clean=False, values=KEPT)
        await keeper.subscribe("a", qos=1)
        await keeper.disconnect()
        publisher = await served.client("publisher")
        await publisher.publish("a", b"kept", qos=1)


async def test_a_session_that_is_read_for_one_connection_and_taken_over_by_another() -> None:
    store = LateOpening()
    await kept_with_one_message(store)
    async with serving(store) as served:
        first = await served.open()
        await first.send(packets.connect("keeper", clean=False, values=KEPT))
        await until(lambda: store.asked)
        second = await served.open()
        await second.send(packets.connect("keeper", clean=False, values=KEPT))
        await first.expect_closed()
        assert len(store.asked) == 1
        store.answer()
        assert (await second.expect(CONNACK)).session_present
        await second.receive("a", b"kept")


async def test_a_session_whose_connection_goes_while_it_is_read_is_left_as_it_was() -> None:
    store = LateOpening()
    await kept_with_one_message(store)
    async with serving(store) as served:
        first = await served.open()
        await first.send(packets.connect("keeper", clean=False, values=KEPT))
        await until(lambda: store.asked)
        registry = served.broker.registry
        registry.connections[registry.sessions["keeper"].number].link.abort()
        await first.until_closed()
        store.answer()
        assert not registry.connections
        assert list(registry._ends) == [registry.sessions["keeper"].number]
        second = await served.client("keeper", clean=False, values=KEPT)
        await second.receive("a", b"kept")


async def test_a_session_that_ends_while_it_is_read_leaves_nothing() -> None:
    store = LateOpening()
    await kept_with_one_message(store)
    async with serving(store) as served:
        first = await served.open()
        await first.send(packets.connect("keeper", clean=False, values=KEPT))
        await until(lambda: store.asked)
        second = await served.client("keeper", clean=True)
        store.answer()
        await second.ping()
        assert served.broker.hub.queued_bytes == 0


async def test_nothing_overtakes_the_second_decision_about_a_subscribe() -> None:
    rules = SlowRules()
    async with serving(authorizer=rules) as served:
        watcher = await served.client("watcher")
        await watcher.subscribe("#")
        wire = await served.client("subscriber")
        await wire.send(packets.subscribe(1, [("slow/1", 0), ("slow/2", 0)]), packets.publish("fast"))
        await rules.answer(True)
        await until(lambda: rules.asked)
        await watcher.expect_nothing()
        await rules.answer(True)
        assert (await wire.expect(SUBACK)).reasons == [0, 0]
        await watcher.receive("fast")


async def test_a_subscribe_that_asks_for_everything_again_and_again_holds_nobody_up() -> None:
    async with serving() as served:
        publisher = await served.client("publisher")
        for number in range(500):
            await publisher.send(packets.publish(f"a/{number}", b"1", retain=True))
        await publisher.ping()
        hub = served.broker.hub
        hub.queue_messages = 500
        greedy = await served.client("greedy")
        hub.core.counters.loop_delay_max_ms = 0.0
        await greedy.send(packets.subscribe(1, [("#", 0)] * 2000))
        await greedy.expect(SUBACK)
        await greedy.receive()
        await until(lambda: hub.core.counters.dropped_queue_full)
        assert hub.registry is not None
        assert hub.registry.sessions["greedy"].waiting <= 500 + 3 * len(hub.retained)
        assert hub.core.counters.loop_delay_max_ms < 500


async def test_the_keep_alive_does_not_count_while_nothing_is_read() -> None:
    async with serving() as served:
        wire = await served.client("patient", keep_alive=10)
        registry = served.broker.registry
        connection = registry.connections[registry.sessions["patient"].number]
        timer = connection._silence
        assert timer is not None
        connection.link.pause_reading()
        connection.last_received -= 100.0
        timer.fire()
        connection.link.resume_reading()
        timer.fire()
        await wire.ping()


async def test_a_subscription_that_is_not_kept_is_not_there() -> None:
    store = RefusingStore()
    async with serving(store) as served:
        wire = await served.client("keeper", clean=False, values=KEPT)
        await wire.subscribe("before", qos=0)
        store.refuse()
        await wire.send(packets.subscribe(9, [("a", 0), ("a", 1), ("before", 1)]))
        assert (await wire.expect(SUBACK)).reasons == [reasons.UNSPECIFIED_ERROR] * 3
        publisher = await served.client("publisher")
        await publisher.publish("a", b"1")
        await wire.expect_nothing()
        await publisher.publish("before", b"2", qos=1)
        assert (await wire.expect(packets.PUBLISH)).qos == 0
        assert served.broker.hub.router.subscriptions == 1
