"""MQTT 5: receive maximum and maximum packet size, both ways; problem information."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.support import packets
from tests.support.packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Packet, Properties
from tests.support.wire import Wire

RECEIVE_MAXIMUM = packets.RECEIVE_MAXIMUM
MAXIMUM_PACKET_SIZE = packets.MAXIMUM_PACKET_SIZE


@statement("MQTT5-3.3.4-9", "MQTT5-4.9.0-1", "MQTT5-4.9.0-2")
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("most", [1, 3])
async def test_the_server_stays_within_the_client_s_receive_maximum(
    connect: Clients, topic: str, qos: int, most: int
) -> None:
    wire = await connect(values=[(RECEIVE_MAXIMUM, most)])
    await wire.subscribe(topic, qos=qos)
    publisher = await connect()
    for number in range(most + 2):
        await publisher.publish(topic, b"%d" % number, qos=qos)
    flight = [await wire.expect(PUBLISH) for _ in range(most)]
    await wire.expect_nothing()
    for number in range(most, most + 2):
        message = flight.pop(0)
        if qos == 1:
            await wire.acknowledge(PUBACK, message.packet_id)
        else:
            await wire.acknowledge(PUBREC, message.packet_id)
            await wire.expect(PUBREL)
            await wire.expect_nothing()  # PUBREC leaves the quota as it is
            await wire.acknowledge(PUBCOMP, message.packet_id)
        flight.append(await wire.expect(PUBLISH))
        assert flight[-1].payload == b"%d" % number
        await wire.expect_nothing()


@statement("MQTT5-3.3.4-10", "MQTT5-4.9.0-3")
async def test_everything_else_goes_on_when_the_quota_is_used_up(connect: Clients, topic: str) -> None:
    wire = await connect(values=[(RECEIVE_MAXIMUM, 1)])
    await wire.subscribe(topic, qos=1)
    publisher = await connect()
    await publisher.publish(topic, b"in flight", qos=1)
    await publisher.publish(topic, b"waits", qos=1)
    message = await wire.expect(PUBLISH)
    await wire.ping()
    await wire.subscribe(f"{topic}/0")
    await publisher.publish(f"{topic}/0", b"QoS 0")
    await wire.receive(f"{topic}/0", b"QoS 0")
    await wire.publish(f"{topic}/nobody", b"", qos=2)
    await wire.unsubscribe(f"{topic}/0")
    await wire.acknowledge(PUBACK, message.packet_id)
    await wire.receive(topic, b"waits")


@statement("MQTT5-3.3.4-9", "MQTT5-4.9.0-1", "MQTT5-4.4.0-1")
async def test_the_receive_maximum_of_the_new_connection_counts(connect: Clients, topic: str) -> None:
    name = connect.name()
    first = await connect.resume(name, values=[(RECEIVE_MAXIMUM, 4)])
    await first.subscribe(topic, qos=1)
    publisher = await connect()
    for number in range(4):
        await publisher.publish(topic, b"%d" % number, qos=1)
    for _ in range(4):
        await first.expect(PUBLISH)
    first.abort()
    second = await connect.resume(name, values=[(RECEIVE_MAXIMUM, 2)])
    flight = [await second.expect(PUBLISH) for _ in range(2)]
    await second.expect_nothing()
    for number in range(2, 4):
        await second.acknowledge(PUBACK, flight.pop(0).packet_id)
        flight.append(await second.expect(PUBLISH))
        assert flight[-1].payload == b"%d" % number
        assert flight[-1].dup
    await second.expect_nothing()


@statement("MQTT5-3.3.4-7", "MQTT5-4.9.0-1", "MQTT5-4.13.1-1")
async def test_a_client_beyond_the_server_s_receive_maximum_is_closed(connect: Clients, topic: str) -> None:
    """QoS 2 publications left without PUBREL count; as many as the server takes are no error."""
    wire = await connect()
    most = wire.connack.number(RECEIVE_MAXIMUM, 65535)
    if most > 5000:
        pytest.skip(f"the server takes {most} at once")
    await wire.send(*(packets.publish(topic, b"", 2, 1 + number) for number in range(most)))
    for _ in range(most):
        await wire.expect(PUBREC)
    await wire.ping()
    await wire.send(packets.publish(topic, b"", 2, most + 1))
    said = await wire.expect_closed()
    assert said is None or said.reason == 0x93


async def _at_most(wire: Wire, most: int) -> list[Packet]:
    """What has come, no packet of it larger than `most`."""
    await wire.send(packets.PING)
    received = []
    while (packet := await wire.read()).type != packets.PINGRESP:
        assert packet.size <= most
        received.append(packet)
    return received


@statement("MQTT5-3.1.2-24", "MQTT5-3.1.2-25")
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_message_too_large_for_the_client_is_left_out(connect: Clients, topic: str, qos: int) -> None:
    """Exactly the maximum fits. The quota is not used up by what is left out, nor is it sent again."""
    most = 100
    name = connect.name()
    values = [(MAXIMUM_PACKET_SIZE, most), (RECEIVE_MAXIMUM, 2)]
    wire = await connect.resume(name, values=values)
    await wire.subscribe(topic, qos=qos)
    publisher = await connect()
    exact = most - len(packets.publish(topic, b"", qos, 1))
    for size in (exact + 1, exact, exact + 1, 1000, 70000, exact):
        await publisher.publish(topic, b"x" * size, qos=qos)
    messages = [await wire.expect(PUBLISH) for _ in range(2)]
    assert [len(message.payload) for message in messages] == [exact, exact]
    for message in messages if qos else []:
        await wire.acknowledge(PUBACK if qos == 1 else PUBREC, message.packet_id)
        if qos == 2:
            await wire.expect(PUBREL)
            await wire.acknowledge(PUBCOMP, message.packet_id)
    await wire.expect_nothing()
    wire.abort()
    again = await connect.resume(name)
    await again.expect_nothing()


@statement("MQTT5-3.1.2-24", "MQTT5-3.1.2-25")
async def test_properties_count_for_the_size(connect: Clients, topic: str) -> None:
    most = 120
    wire = await connect(values=[(MAXIMUM_PACKET_SIZE, most)])
    await wire.subscribe(topic, qos=1, values=[(packets.SUBSCRIPTION_IDENTIFIER, 268435455)])
    publisher = await connect()
    large = [(packets.USER_PROPERTY, ("k" * 50, "v" * 50))]
    await publisher.publish(topic, b"with properties", qos=1, retain=True, values=large)
    await publisher.publish(topic, b"without", qos=1)
    assert (await wire.receive(topic)).payload == b"without"
    await wire.subscribe(topic, qos=1)
    await wire.expect_nothing()


@statement("MQTT5-3.2.2-19", "MQTT5-3.2.2-20", "MQTT5-3.1.2-24")
async def test_a_small_client_gets_a_connack_that_fits(connect: Clients) -> None:
    """Reason String and User Property are left out; what remains fits, or the server refuses."""
    for most in (200, 120, 90):
        wire = await connect.open()
        await wire.send(packets.connect(connect.name(), values=[(MAXIMUM_PACKET_SIZE, most)]))
        connack = await wire.read_or_close()
        assert connack is None or connack.size <= most


@statement("MQTT5-3.2.2-19", "MQTT5-3.2.2-20", "MQTT5-3.1.2-24")
async def test_a_small_client_gets_a_refusal_that_fits(connect: Clients) -> None:
    wire = await connect.open()
    values: Properties = [(MAXIMUM_PACKET_SIZE, 20), (packets.AUTHENTICATION_METHOD, "no-such-method")]
    await wire.send(packets.connect(connect.name(), values=values))
    refusal = await wire.expect_refused()
    assert refusal is None or refusal.size <= 20


@statement("MQTT5-3.4.2-2", "MQTT5-3.4.2-3", "MQTT5-3.5.2-2", "MQTT5-3.5.2-3", "MQTT5-3.6.2-2")
@statement("MQTT5-3.6.2-3", "MQTT5-3.7.2-2", "MQTT5-3.7.2-3", "MQTT5-3.9.2-1", "MQTT5-3.9.2-2")
@statement("MQTT5-3.11.2-1", "MQTT5-3.11.2-2", "MQTT5-3.1.2-24")
async def test_acknowledgements_to_a_small_client_fit(connect: Clients, topic: str) -> None:
    """Every kind of acknowledgement, successes and failures: none is larger than the client takes."""
    most = 32
    wire = await connect.open()
    await wire.send(packets.connect(connect.name(), values=[(MAXIMUM_PACKET_SIZE, most)]))
    connack = await wire.read_or_close()
    if connack is None or connack.reason != 0:
        pytest.skip("the server's CONNACK does not fit into 32 bytes, so it refuses")
    assert connack.size <= most
    received: list[Packet] = []
    for request in _requests(topic):
        await wire.send(request)
        received += await _at_most(wire, most)
    kinds = {packet.type for packet in received}
    assert kinds >= {PUBACK, PUBREC, PUBREL, PUBCOMP, packets.SUBACK, packets.UNSUBACK}


def _requests(topic: str) -> list[bytes]:
    """Packets that the server has to answer, with and without a reason to complain."""
    return [
        packets.publish(topic, b"", 1, 1),
        packets.publish("$SYS/broker/version", b"", 1, 2),
        packets.publish(topic, b"", 2, 3),
        packets.publish("$SYS/broker/version", b"", 2, 4),
        packets.acknowledgement(PUBREL, 3),
        packets.acknowledgement(PUBREL, 4711),
        packets.acknowledgement(PUBREC, 4711),
        packets.subscribe(5, [(topic, 0), (f"$share/g/{topic}", 1)]),
        packets.unsubscribe(6, [topic, "never"]),
    ]


@statement("MQTT5-3.1.2-29")
async def test_without_problem_information_no_reasons_are_given(connect: Clients, topic: str) -> None:
    """On PUBLISH, CONNACK and DISCONNECT they are allowed; on the acknowledgements they are not."""
    wire = await connect(values=[(packets.REQUEST_PROBLEM_INFORMATION, 0)])
    for request in _requests(topic):
        await wire.send(request)
        for packet in await _at_most(wire, 1000):
            if packet.type not in (PUBLISH, packets.DISCONNECT):
                assert packet.get(packets.REASON_STRING) is None
                assert packet.all(packets.USER_PROPERTY) == []


@statement("MQTT5-3.14.2-3", "MQTT5-3.14.2-4", "MQTT5-3.1.2-24")
async def test_a_disconnect_to_a_small_client_fits(connect: Clients) -> None:
    values = [(MAXIMUM_PACKET_SIZE, 90)]
    protocol_error = await connect(values=values)
    await protocol_error.send(packets.connect("again"))
    older = await connect(values=values)
    await connect(older.client_id)
    for wire in (protocol_error, older):
        said = await wire.expect_closed()
        assert said is None or said.size <= 90


@statement("MQTT5-3.2.2-15", "MQTT5-4.13.1-1")
async def test_a_packet_above_the_server_s_maximum_closes_the_connection(
    connect: Clients, topic: str
) -> None:
    """Known from the fixed header: the server need not take the whole packet to refuse it."""
    wire = await connect()
    most = wire.connack.number(MAXIMUM_PACKET_SIZE, 268435460)
    if most >= 268435460:
        pytest.skip("the server takes packets of any size")
    exact = packets.publish(topic, b"")
    body = most - len(packets.variable_byte_integer(most)) - 1 - (len(exact) - 2)
    await wire.send(bytes([packets.PUBLISH << 4]) + packets.variable_byte_integer(len(exact) - 2 + body + 8))
    said = await wire.expect_closed()
    assert said is None or said.reason == 0x95


@statement("MQTT5-2.2.1-4", "MQTT5-4.3.2-1", "MQTT311-2.3.1-4")
async def test_identifiers_go_round_past_the_one_still_in_flight(connect: Clients, topic: str) -> None:
    """66,000 messages while the first is never acknowledged: none of them gets its identifier, or 0."""
    wire = await connect()
    await wire.subscribe(topic, qos=1)
    publisher = await connect()
    await publisher.publish(topic, b"stays", qos=1)
    held = (await wire.expect(PUBLISH)).packet_id
    for _ in range(660):
        await publisher.send(*(packets.publish(topic, b"", 1, number) for number in range(1, 101)))
        for _ in range(100):
            message = await wire.expect(PUBLISH)
            assert message.packet_id not in (0, held)
            await wire.acknowledge(PUBACK, message.packet_id)
        for _ in range(100):
            await publisher.expect(PUBACK)
