"""What is MQTT 3.1.1's own."""

from __future__ import annotations

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.support import packets


@statement("MQTT311-3.1.2-22", "MQTT311-3.1.4-1")
async def test_a_password_without_user_name_closes_the_connection(connect: Clients) -> None:
    wire = await connect.open(4)
    await wire.send(packets.connect("c", 4, password=b"secret"))
    assert await wire.until_closed() == []


@statement("MQTT311-3.1.3-6")
async def test_no_client_identifier_gets_a_unique_one(connect: Clients, topic: str) -> None:
    """Two such clients live side by side, each with a session of its own."""
    wires = [await connect("", 4) for _ in range(2)]
    for wire in wires:
        await wire.subscribe(topic)
    await (await connect(version=4)).publish(topic, b"both")
    for wire in wires:
        await wire.receive(topic, b"both")


@statement("MQTT311-3.1.3-8", "MQTT311-3.1.3-9", "MQTT311-3.2.2-4", "MQTT311-3.2.2-5", "MQTT311-3.1.3-7")
async def test_no_client_identifier_and_no_clean_session_is_return_code_2(connect: Clients) -> None:
    wire = await connect.open(4)
    await wire.send(packets.connect("", 4, clean=False))
    refusal = await wire.expect_refused()
    assert refusal is not None
    assert refusal.reason == 2
    assert not refusal.session_present


@statement("MQTT311-3.8.4-5", "MQTT311-3.9.3-2")
async def test_shared_subscriptions_are_not_part_of_it_and_no_error_either(
    connect: Clients, topic: str
) -> None:
    """`$share/…` is either a filter like any other or the extension; its return code is one of the four."""
    wire = await connect(version=4)
    await wire.send(packets.subscribe(1, [(f"$share/g/{topic}", 1)], 4))
    suback = await wire.expect(packets.SUBACK)
    assert suback.reasons[0] in (0, 1, 2, 0x80)


@statement("MQTT311-7.0.0-2", "MQTT311-7.1.1-1")
async def test_a_packet_may_come_byte_by_byte(connect: Clients, topic: str) -> None:
    """Nothing but an ordered stream of bytes is asked of the transport."""
    wire = await connect.open(4)
    stream = packets.connect(connect.name(), 4)
    stream += packets.subscribe(1, [(topic, 1)], 4) + packets.publish(topic, b"slow", 1, 2, version=4)
    for byte in stream:
        await wire.send(bytes([byte]))
    await wire.expect(packets.CONNACK)
    await wire.expect(packets.SUBACK)
    kinds = {(await wire.read()).type, (await wire.read()).type}
    assert kinds == {packets.PUBACK, packets.PUBLISH}


@statement("MQTT311-7.0.0-2")
async def test_packets_may_follow_connect_at_once(connect: Clients, topic: str) -> None:
    wire = await connect.open(4)
    await wire.send(
        packets.connect(connect.name(), 4),
        packets.subscribe(1, [(topic, 0)], 4),
        packets.publish(topic, b"at once", version=4),
        packets.PING,
    )
    await wire.expect(packets.CONNACK)
    await wire.expect(packets.SUBACK)
    await wire.receive(topic, b"at once")
    await wire.expect(packets.PINGRESP)
