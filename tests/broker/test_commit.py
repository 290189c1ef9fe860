"""Act after commit: what states that something is kept leaves after the store's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lockwire.mqtt import reasons
from lockwire.store.memory import MemoryStore
from tests.support import packets
from tests.support.inprocess import Served, serving
from tests.support.packets import (
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SESSION_EXPIRY_INTERVAL,
    SUBACK,
    Will,
)
from tests.support.stores import LateStore, RefusingStore, snapshot
from tests.support.wire import Wire

KEPT = [(SESSION_EXPIRY_INTERVAL, 3600)]


async def until(condition: Callable[[], object]) -> None:
    """Lets the broker, which runs in this loop, go on until something is so."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def keeper(served: Served, store: LateStore, topic_filter: str, qos: int) -> Wire:
    """A client whose session is kept, subscribed and connected."""
    store.eager = True
    wire = await served.client("keeper", clean=False, values=KEPT)
    await wire.subscribe(topic_filter, qos=qos)
    await until(lambda: not store.waiting)
    store.eager = False
    return wire


async def test_a_puback_waits_until_the_message_is_kept() -> None:
    store = LateStore()
    async with serving(store) as served:
        subscriber = await keeper(served, store, "a", 1)
        publisher = await served.client("publisher")
        await publisher.send(packets.publish("a", b"1", 1, 7))
        # QoS 1 may be delivered before it is kept: a second delivery is allowed.
        await subscriber.receive("a", b"1")
        await publisher.expect_nothing()
        store.grant()
        assert (await publisher.expect(PUBACK)).packet_id == 7


async def test_a_puback_does_not_wait_where_nothing_has_to_survive() -> None:
    store = LateStore()
    async with serving(store) as served:
        subscriber = await served.client("subscriber")
        await subscriber.subscribe("a", qos=1)
        publisher = await served.client("publisher")
        await publisher.publish("a", b"1", qos=1)
        await subscriber.receive("a", b"1")
        assert not store.waiting


async def test_qos_0_never_waits() -> None:
    store = LateStore()
    async with serving(store) as served:
        subscriber = await keeper(served, store, "a", 1)
        publisher = await served.client("publisher")
        await publisher.send(packets.publish("a", b"1", 1, 1), packets.publish("a", b"0"))
        assert sorted([(await subscriber.receive()).payload for _ in range(2)]) == [b"0", b"1"]
        store.grant()


async def test_acknowledgements_keep_their_order_behind_one_that_waits() -> None:
    """[MQTT5-4.6.0-2]: the second message need not be kept, but its PUBACK comes second."""
    store = LateStore()
    async with serving(store) as served:
        await keeper(served, store, "kept", 1)
        publisher = await served.client("publisher")
        await publisher.send(packets.publish("kept", b"", 1, 1), packets.publish("other", b"", 1, 2))
        await publisher.expect_nothing()
        store.grant()
        assert [(await publisher.expect(PUBACK)).packet_id for _ in range(2)] == [1, 2]


async def test_a_retained_message_is_acknowledged_when_it_is_kept() -> None:
    store = LateStore()
    async with serving(store) as served:
        publisher = await served.client("publisher")
        await publisher.send(packets.publish("a", b"1", 1, 1, retain=True))
        await publisher.expect_nothing()
        store.grant()
        await publisher.expect(PUBACK)


async def test_connack_suback_and_unsuback_wait_for_a_session_that_is_kept() -> None:
    store = LateStore()
    async with serving(store) as served:
        wire = await served.open()
        await wire.send(packets.connect("keeper", clean=False, values=KEPT))
        await until(lambda: store.waiting)
        store.grant()
        assert (await wire.expect(packets.CONNACK)).reason == 0
        await wire.send(packets.subscribe(1, [("a", 1)]))
        await wire.expect_nothing()
        store.grant()
        assert (await wire.expect(SUBACK)).reasons == [1]
        await wire.send(packets.unsubscribe(2, ["a"]))
        await wire.expect_nothing()
        store.grant()
        await wire.expect(packets.UNSUBACK)


async def test_what_comes_before_the_connack_is_kept_until_it() -> None:
    """The connection is parked: the PUBLISH behind the CONNECT is not lost and does not overtake."""
    store = LateStore()
    async with serving(store) as served:
        wire = await served.open()
        await wire.send(packets.connect("keeper", clean=False, values=KEPT), packets.publish("a", b"", 1, 5))
        await until(lambda: store.waiting)
        store.grant()
        await wire.expect(packets.CONNACK)
        assert (await wire.expect(PUBACK)).packet_id == 5


async def test_a_qos_2_message_is_routed_after_its_commit() -> None:
    store = LateStore()
    async with serving(store) as served:
        subscriber = await served.client("subscriber")
        await subscriber.subscribe("a", qos=0)
        publisher = await keeper(served, store, "elsewhere", 0)
        await publisher.send(packets.publish("a", b"2", 2, 9))
        await publisher.expect_nothing()
        await subscriber.expect_nothing()
        store.grant()
        assert (await publisher.expect(PUBREC)).packet_id == 9
        await subscriber.receive("a", b"2")
        await publisher.acknowledge(PUBREL, 9)
        await publisher.expect_nothing()
        store.grant()
        await publisher.expect(PUBCOMP)


async def test_an_outgoing_qos_2_message_and_its_pubrel_wait() -> None:
    store = LateStore()
    async with serving(store) as served:
        subscriber = await keeper(served, store, "a", 2)
        publisher = await served.client("publisher")
        await publisher.send(packets.publish("a", b"2", 2, 3))
        await subscriber.expect_nothing()
        store.grant()
        message = await subscriber.expect(PUBLISH)
        await subscriber.acknowledge(PUBREC, message.packet_id)
        await subscriber.expect_nothing()
        store.grant()
        await subscriber.expect(PUBREL)


@pytest.mark.parametrize("qos", [1, 2])
async def test_a_refused_commit_is_a_negative_acknowledgement_in_mqtt_5(qos: int) -> None:
    store = RefusingStore()
    async with serving(store) as served:
        subscriber = await served.client("subscriber")
        await subscriber.subscribe("a", qos=qos)
        publisher = await served.client("publisher", clean=False, values=KEPT)
        store.refuse()
        await publisher.send(packets.publish("a", b"1", qos, 4, retain=True))
        answer = await publisher.expect(PUBACK if qos == 1 else PUBREC)
        assert answer.reason == reasons.QUOTA_EXCEEDED
        if qos == 2:
            await subscriber.expect_nothing()
        # There is room again, and the same identifier works.
        store.reason = 0
        await publisher.send(packets.publish("a", b"2", qos, 4))
        assert (await publisher.expect(PUBACK if qos == 1 else PUBREC)).reason == 0


@pytest.mark.parametrize("qos", [1, 2])
async def test_a_refused_commit_closes_an_mqtt_3_connection_without_an_acknowledgement(qos: int) -> None:
    store = RefusingStore()
    async with serving(store) as served:
        publisher = await served.client("publisher", version=4, clean=False)
        store.refuse()
        await publisher.send(packets.publish("a", b"1", qos, 4, retain=True, version=4))
        assert await publisher.expect_closed() is None


async def test_qos_0_goes_on_while_the_store_refuses() -> None:
    store = RefusingStore()
    async with serving(store) as served:
        subscriber = await served.client("subscriber")
        await subscriber.subscribe("a")
        store.refuse()
        publisher = await served.client("publisher")
        await publisher.publish("a", b"0")
        await subscriber.receive("a", b"0")


async def test_a_session_that_cannot_be_kept_is_refused() -> None:
    store = RefusingStore()
    async with serving(store) as served:
        store.refuse()
        wire = await served.open()
        await wire.send(packets.connect("keeper", clean=False, values=KEPT))
        assert (await wire.expect(packets.CONNACK)).reason == reasons.SERVER_UNAVAILABLE


async def test_a_new_broker_on_the_same_store_goes_on_where_the_old_one_stopped() -> None:
    store = MemoryStore()
    async with serving(store) as served:
        subscriber = await served.client("keeper", clean=False, values=KEPT)
        await subscriber.subscribe("a", "$share/group/b", qos=2)
        publisher = await served.client("publisher")
        await publisher.publish("a", b"in flight", qos=1)
        assert (await subscriber.expect(PUBLISH)).payload == b"in flight"
        subscriber.abort()
        await until(lambda: len(served.broker.registry.connections) == 1)
        await publisher.publish("a", b"queued", qos=1)
        await publisher.publish("b", b"shared", qos=1)
        await publisher.publish("state", b"retained", qos=1, retain=True)
    async with serving(store) as served:
        subscriber = await served.open()
        connack = await subscriber.connect("keeper", clean=False, values=KEPT)
        assert connack.session_present
        first = await subscriber.receive("a", b"in flight")
        assert first.dup
        assert await subscriber.payloads(2) == [b"queued", b"shared"]
        await subscriber.subscribe("state")
        await subscriber.receive("state", b"retained")
        publisher = await served.client("publisher")
        await publisher.publish("a", b"new", qos=1)
        await subscriber.receive("a", b"new")


async def test_a_will_is_published_by_the_next_broker_if_the_old_one_died() -> None:
    store = MemoryStore()
    async with serving(store) as served:
        watcher = await served.client("watcher", clean=False, values=KEPT)
        await watcher.subscribe("gone", qos=1)
        await served.client("sensor", will=Will("gone", b"sensor", 1))
        crashed = snapshot(store)
    async with serving(crashed) as served:
        watcher = await served.open()
        await watcher.connect("watcher", clean=False, values=KEPT)
        await watcher.receive("gone", b"sensor")


async def test_a_qos_2_message_kept_but_not_routed_is_routed_once_after_a_restart() -> None:
    store = LateStore()
    async with serving(store) as served:
        await keeper(served, store, "a", 2)
        store.eager = True
        publisher = await served.client("publisher", clean=False, values=KEPT)
        store.eager = False
        await publisher.send(packets.publish("a", b"once", 2, 9))
        await until(lambda: store.waiting)
        operations, _ = store.waiting.popleft()
        # The power goes after the commit and before the broker learns of it.
        MemoryStore.commit(store, operations, lambda _: None)
        crashed = snapshot(store)
    async with serving(crashed) as served:
        subscriber = await served.open()
        await subscriber.connect("keeper", clean=False, values=KEPT)
        await subscriber.receive("a", b"once")
        publisher = await served.open()
        await publisher.connect("publisher", clean=False, values=KEPT)
        await publisher.send(packets.publish("a", b"once", 2, 9, dup=True))
        await publisher.expect(PUBREC)
        await subscriber.expect_nothing()


async def test_a_pubcomp_that_is_not_kept_leaves_the_identifier_in_use() -> None:
    """Freed in memory only, it would be a duplicate after a restart, and the message with it lost."""
    store = RefusingStore()
    async with serving(store) as served:
        publisher = await served.client("publisher", clean=False, values=KEPT)
        await publisher.send(packets.publish("a", b"2", 2, 9))
        await publisher.expect(PUBREC)
        store.refuse()
        await publisher.acknowledge(PUBREL, 9)
        await publisher.until_closed()
        store.reason = 0
        publisher = await served.open()
        await publisher.connect("publisher", clean=False, values=KEPT)
        await publisher.acknowledge(PUBREL, 9)
        assert (await publisher.expect(PUBCOMP)).reason == 0
        await until(lambda: not served.broker.core.committer.is_busy)
        left: list[int] = []
        store.open_session(1, lambda content: left.extend(each.packet_id for each in content.incoming))
        assert left == []


async def test_messages_that_come_while_a_session_is_being_opened_are_not_lost() -> None:
    store = LateStore()
    async with serving(store) as served:
        subscriber = await keeper(served, store, "a", 1)
        subscriber.abort()
        await until(lambda: not served.broker.registry.connections)
        store.grant()
        back = await served.open()
        await back.send(packets.connect("keeper", clean=False))
        await until(lambda: store.waiting)
        publisher = await served.client("publisher")
        await publisher.publish("a", b"meanwhile", qos=1)
        store.grant()
        assert (await back.expect(packets.CONNACK)).session_present
        await back.receive("a", b"meanwhile")


async def test_a_resent_qos_2_message_gets_no_pubrec_before_the_first_one_is_kept() -> None:
    store = LateStore()
    async with serving(store) as served:
        publisher = await keeper(served, store, "elsewhere", 0)
        await publisher.send(packets.publish("a", b"2", 2, 9), packets.publish("a", b"2", 2, 9, dup=True))
        await publisher.expect_nothing()
        store.grant()
        assert [(await publisher.expect(PUBREC)).packet_id for _ in range(2)] == [9, 9]


async def test_an_answer_that_is_too_large_for_the_client_ends_its_connection() -> None:
    """[MQTT5-3.1.2-24]: a SUBACK of 40 reasons does not fit into 32 bytes, and cannot be left out."""
    async with serving() as served:
        wire = await served.client("small", values=[(packets.MAXIMUM_PACKET_SIZE, 32)])
        await wire.send(packets.subscribe(1, [(f"a/{number}", 0) for number in range(40)]))
        for packet in await wire.until_closed():
            assert packet.size <= 32
