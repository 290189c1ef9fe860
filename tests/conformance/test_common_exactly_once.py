"""QoS 1 and 2 while both ends lose their connections again and again."""

from __future__ import annotations

import asyncio
import random

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.conformance.versions import every_version
from tests.support import packets
from tests.support.packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL
from tests.support.wire import ClosedError, Wire

COUNT = 60


class Party:
    """A client with a session whose connections break at random moments."""

    def __init__(self, connect: Clients, version: int, seed: int) -> None:
        self.connect = connect
        self.version = version
        self.name = connect.name()
        self.random = random.Random(seed)
        self.wire: Wire | None = None

    async def connected(self) -> Wire:
        """The connection; a new one where the last broke."""
        if self.wire is None:
            self.wire = await self.connect.resume(self.name, self.version)
        return self.wire

    def perhaps_break(self) -> None:
        """One time in six the connection is lost, with whatever is on its way."""
        if self.wire is not None and self.random.random() < 1 / 6:
            self.wire.abort()
            self.wire = None
            raise ClosedError("broken on purpose")


async def _publish(party: Party, topic: str, qos: int) -> None:
    """COUNT messages, each repeated as section 4.4 says until its exchange is complete."""
    for number in range(COUNT):
        payload, packet_id = b"%d" % number, 1 + number % 7
        dup = released = complete = False
        while not complete:
            try:
                wire = await party.connected()
                if not released:
                    data = packets.publish(topic, payload, qos, packet_id, dup=dup, version=party.version)
                    await wire.send(data)
                    dup = True
                    party.perhaps_break()
                    await wire.expect(PUBACK if qos == 1 else PUBREC)
                    released = True
                if qos == 2:
                    party.perhaps_break()
                    await wire.acknowledge(PUBREL, packet_id)
                    party.perhaps_break()
                    await wire.expect(PUBCOMP)
                complete = True
            except ClosedError:
                continue


async def _receive(party: Party) -> list[bytes]:
    """The payloads of what comes, QoS 2 identifiers counted once until PUBREL, up to the last."""
    payloads: list[bytes] = []
    begun: set[int] = set()
    while b"%d" % (COUNT - 1) not in payloads or begun:
        try:
            wire = await party.connected()
            packet = await wire.read()
            party.perhaps_break()
            if packet.type == PUBREL:
                begun.discard(packet.packet_id)
                await wire.acknowledge(PUBCOMP, packet.packet_id)
            else:
                assert packet.type == PUBLISH
                if packet.packet_id not in begun:
                    payloads.append(packet.payload)
                if packet.qos == 2:
                    begun.add(packet.packet_id)
                party.perhaps_break()
                await wire.acknowledge(PUBACK if packet.qos == 1 else PUBREC, packet.packet_id)
            party.perhaps_break()
        except ClosedError:
            continue
    return payloads


async def _exchange(connect: Clients, topic: str, version: int, qos: int) -> list[bytes]:
    publisher, subscriber = Party(connect, version, 1), Party(connect, version, 2)
    await (await subscriber.connected()).subscribe(topic, qos=qos)
    _, payloads = await asyncio.gather(_publish(publisher, topic, qos), _receive(subscriber))
    return payloads


@statement("MQTT311-4.3.3-1", "MQTT311-4.3.3-2", "MQTT311-4.4.0-1", "MQTT5-4.3.3-10", "MQTT5-4.4.0-1")
@statement("MQTT311-4.6.0-6", "MQTT5-4.6.0-5")
@every_version
async def test_qos_2_arrives_once_and_in_order(connect: Clients, topic: str, version: int) -> None:
    payloads = await _exchange(connect, topic, version, 2)
    assert payloads == [b"%d" % number for number in range(COUNT)]


@statement("MQTT311-4.3.2-1", "MQTT311-4.3.2-2", "MQTT311-4.4.0-1", "MQTT5-4.3.2-3", "MQTT5-4.4.0-1")
@every_version
async def test_qos_1_arrives_at_least_once(connect: Clients, topic: str, version: int) -> None:
    """And for the first time each in order."""
    payloads = await _exchange(connect, topic, version, 1)
    assert list(dict.fromkeys(payloads)) == [b"%d" % number for number in range(COUNT)]
