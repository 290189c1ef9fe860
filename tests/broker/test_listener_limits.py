"""What one listener allows less of than another: QoS, retained messages, connections."""

from __future__ import annotations

import pytest

from lockwire.config import LimitSettings, ListenerSettings, Settings
from lockwire.config.limits import ListenerLimitSettings
from lockwire.mqtt import reasons
from tests.broker.test_commit import until
from tests.support import packets
from tests.support.inprocess import serving
from tests.support.packets import CONNACK, DISCONNECT, SUBACK, Will
from tests.support.wire import ClosedError


def settings(whole: LimitSettings | None = None, **limits: object) -> Settings:
    """One plain listener with limits of its own, in a broker with those of `whole`."""
    listener = ListenerSettings(
        transport="tcp",
        address="127.0.0.1",
        port=0,
        name="plain",
        authentication=["anonymous"],
        limits=ListenerLimitSettings(**limits),  # type: ignore[arg-type]
    )
    return Settings(listeners=[listener], limits=whole or LimitSettings())


async def test_a_lower_maximum_qos_is_said_granted_and_enforced() -> None:
    """[MQTT5-3.2.2-9 to 3.2.2-12]"""
    async with serving(settings=settings(maximum_qos=1)) as served:
        wire = await served.client("client")
        assert wire.connack.number(packets.MAXIMUM_QOS, 2) == 1
        await wire.send(packets.subscribe(1, [("a", 2)]))
        assert (await wire.expect(SUBACK)).reasons == [1]
        await wire.publish("b", b"1", qos=1)
        await wire.send(packets.publish("a", b"2", 2, 9))
        said = await wire.expect(DISCONNECT)
        assert said.reason == reasons.QOS_NOT_SUPPORTED
        with_will = await served.open()
        await with_will.send(packets.connect("will", will=Will("w", b"", 2)))
        assert (await with_will.expect(CONNACK)).reason == reasons.QOS_NOT_SUPPORTED


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_without_retained_messages_a_publish_with_retain_is_refused(qos: int) -> None:
    """[MQTT5-3.2.2-13, 3.2.2-14]"""
    async with serving(settings=settings(retain_available=False)) as served:
        wire = await served.client("client")
        assert wire.connack.number(packets.RETAIN_AVAILABLE, 1) == 0
        await wire.send(packets.publish("a", b"1", qos, 9 if qos else 0, retain=True))
        assert (await wire.expect(DISCONNECT)).reason == reasons.RETAIN_NOT_SUPPORTED
        assert not served.broker.hub.retained.matching("a", 0.0)
        with_will = await served.open()
        await with_will.send(packets.connect("will", will=Will("w", b"", 0, retain=True)))
        assert (await with_will.expect(CONNACK)).reason == reasons.RETAIN_NOT_SUPPORTED


async def test_connections_beyond_the_rate_wait_their_turn() -> None:
    """A second's worth comes at once; the next one is served too, later."""
    async with serving(settings=settings(connection_rate=2)) as served:
        for number in range(5):
            await served.client(f"client{number}")
        assert served.broker.core.counters.connections_delayed >= 1
        assert len(served.broker.registry.sessions) == 5


async def test_connections_of_the_whole_broker_are_limited() -> None:
    async with serving(settings=settings(LimitSettings(connections=2), connections=100)) as served:
        first = await served.client("first")
        await served.client("second")
        third = await served.open()
        with pytest.raises((ClosedError, ConnectionError)):
            await third.expect(CONNACK)
        await first.disconnect()
        await until(lambda: served.broker.hub.connected == 1)
        await served.client("third")
        assert served.broker.core.counters.connections_refused == 1
