"""MQTT 5: CONNECT, CONNACK and their properties."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.support import packets
from tests.support.packets import Properties

CONNACK_PROPERTIES = {
    packets.SESSION_EXPIRY_INTERVAL,
    packets.RECEIVE_MAXIMUM,
    packets.MAXIMUM_QOS,
    packets.RETAIN_AVAILABLE,
    packets.MAXIMUM_PACKET_SIZE,
    packets.ASSIGNED_CLIENT_IDENTIFIER,
    packets.TOPIC_ALIAS_MAXIMUM,
    packets.REASON_STRING,
    packets.USER_PROPERTY,
    packets.WILDCARD_SUBSCRIPTION_AVAILABLE,
    packets.SUBSCRIPTION_IDENTIFIER_AVAILABLE,
    packets.SHARED_SUBSCRIPTION_AVAILABLE,
    packets.SERVER_KEEP_ALIVE,
    packets.RESPONSE_INFORMATION,
    packets.SERVER_REFERENCE,
    packets.AUTHENTICATION_METHOD,
    packets.AUTHENTICATION_DATA,
}


@statement("MQTT5-3.1.4-5", "MQTT5-2.2.2-1", "MQTT5-3.2.2-8", "MQTT5-3.2.2-1", "MQTT5-1.5.5-1")
async def test_connack_says_what_the_server_offers(connect: Clients) -> None:
    """Everything there is: QoS 2, retained messages, wildcards, subscription identifiers, sharing."""
    connack = (await connect()).connack
    assert {identifier for identifier, _ in connack.properties} <= CONNACK_PROPERTIES
    assert connack.number(packets.MAXIMUM_QOS, 2) == 2
    for available in (
        packets.RETAIN_AVAILABLE,
        packets.WILDCARD_SUBSCRIPTION_AVAILABLE,
        packets.SUBSCRIPTION_IDENTIFIER_AVAILABLE,
        packets.SHARED_SUBSCRIPTION_AVAILABLE,
    ):
        assert connack.number(available, 1) == 1
    assert connack.number(packets.RECEIVE_MAXIMUM, 65535) > 0
    assert connack.number(packets.MAXIMUM_PACKET_SIZE, 1) > 0


@statement("MQTT5-3.1.3-6", "MQTT5-3.1.3-7", "MQTT5-3.2.2-16")
async def test_no_client_identifier_gets_an_assigned_one(connect: Clients) -> None:
    assigned = []
    for _ in range(3):
        wire = await connect("")
        name = wire.connack.get(packets.ASSIGNED_CLIENT_IDENTIFIER)
        assert isinstance(name, str)
        assert name
        assigned.append(name)
    assert len(set(assigned)) == 3


@statement("MQTT5-3.1.3-7", "MQTT5-3.1.3-2")
async def test_the_assigned_identifier_names_the_session(connect: Clients, topic: str) -> None:
    first = await connect("", values=[(packets.SESSION_EXPIRY_INTERVAL, 300)])
    await first.subscribe(topic, qos=1)
    name = first.connack.get(packets.ASSIGNED_CLIENT_IDENTIFIER)
    assert isinstance(name, str)
    await first.disconnect()
    again = await connect.resume(name)
    assert again.connack.session_present
    assert again.connack.get(packets.ASSIGNED_CLIENT_IDENTIFIER) is None
    await (await connect()).publish(topic, b"for you", qos=1)
    await again.receive(topic, b"for you")


@statement("MQTT5-3.1.3-6", "MQTT5-3.2.2-16", "MQTT5-3.1.3-8")
async def test_no_client_identifier_without_clean_start_is_assigned_or_refused(connect: Clients) -> None:
    wire = await connect.open()
    await wire.send(packets.connect("", clean=False))
    connack = await wire.expect(packets.CONNACK)
    if connack.reason == 0:
        assert connack.get(packets.ASSIGNED_CLIENT_IDENTIFIER)
        assert not connack.session_present
    else:
        assert connack.reason == 0x85
        assert await wire.until_closed() == []


@statement("MQTT5-3.1.3-8", "MQTT5-3.2.2-6", "MQTT5-3.2.2-7")
async def test_a_client_identifier_of_any_length_is_taken_or_refused(connect: Clients) -> None:
    wire = await connect.open()
    await wire.send(packets.connect("x" * 65535))
    answer = await wire.read_or_close()
    if answer is not None and answer.reason != 0:
        assert answer.type == packets.CONNACK
        assert answer.reason in (0x85, 0x95, 0x97)
        assert not answer.session_present
        assert await wire.until_closed() == []


@statement("MQTT5-4.12.0-1", "MQTT5-3.1.4-2", "MQTT5-3.2.2-6", "MQTT5-3.2.2-7", "MQTT5-3.2.2-8")
@statement("MQTT5-4.13.2-1", "MQTT5-3.14.0-1")
async def test_an_unknown_authentication_method_is_refused(connect: Clients) -> None:
    wire = await connect.open()
    values: Properties = [
        (packets.AUTHENTICATION_METHOD, "no-such-method"),
        (packets.AUTHENTICATION_DATA, b"?"),
    ]
    await wire.send(packets.connect(connect.name(), values=values))
    refusal = await wire.expect_refused()
    assert refusal is None or refusal.reason in (0x8C, 0x87)


@statement("MQTT5-4.12.0-6")
async def test_without_an_authentication_method_there_is_none_in_connack(connect: Clients) -> None:
    wire = await connect()
    assert wire.connack.get(packets.AUTHENTICATION_METHOD) is None
    assert wire.connack.get(packets.AUTHENTICATION_DATA) is None
    await wire.expect_nothing()


@statement("MQTT5-4.12.0-7", "MQTT5-4.13.1-1")
async def test_auth_without_an_authentication_method_is_a_protocol_error(connect: Clients) -> None:
    wire = await connect()
    await wire.send(packets.auth(0x19, [(packets.AUTHENTICATION_METHOD, "SCRAM-SHA-256")]))
    said = await wire.expect_closed()
    assert said is None or said.reason in (0x82, 0x8C)


@statement("MQTT5-3.1.2-28")
async def test_response_information_only_comes_when_asked_for(connect: Clients) -> None:
    for values in ([], [(packets.REQUEST_RESPONSE_INFORMATION, 0)]):
        assert (await connect(values=values)).connack.get(packets.RESPONSE_INFORMATION) is None
    asked = await connect(values=[(packets.REQUEST_RESPONSE_INFORMATION, 1)])
    information = asked.connack.get(packets.RESPONSE_INFORMATION)
    assert information is None or isinstance(information, str)


@statement("MQTT5-3.2.2-22")
@pytest.mark.parametrize("keep_alive", [0, 10, 65535])
async def test_the_keep_alive_of_the_client_holds_or_connack_says_otherwise(
    connect: Clients, keep_alive: int
) -> None:
    wire = await connect(keep_alive=keep_alive)
    instead = wire.connack.get(packets.SERVER_KEEP_ALIVE)
    assert instead is None or isinstance(instead, int)
    await wire.ping()


@statement("MQTT5-3.1.2-19")
async def test_a_password_without_user_name_is_allowed(connect: Clients) -> None:
    """Unlike in MQTT 3.1.1; whether it is right is another question."""
    wire = await connect.open()
    await wire.send(packets.connect(connect.name(), password=b"secret"))
    connack = await wire.expect(packets.CONNACK)
    assert connack.reason in (0x00, 0x86, 0x87)


@statement("MQTT5-3.1.2-23", "MQTT5-3.1.2-5")
async def test_session_expiry_is_granted_or_connack_says_how_much(connect: Clients) -> None:
    name = connect.name()
    wire = await connect(name, values=[(packets.SESSION_EXPIRY_INTERVAL, 0xFFFFFFFF)])
    assert wire.connack.number(packets.SESSION_EXPIRY_INTERVAL, 1) > 0
    await wire.disconnect()
    assert (await connect.resume(name)).connack.session_present


@statement("MQTT5-3.1.4-2", "MQTT5-3.1.4-6")
async def test_packets_may_follow_connect_at_once(connect: Clients, topic: str) -> None:
    wire = await connect.open()
    await wire.send(
        packets.connect(connect.name()),
        packets.subscribe(1, [(topic, 0)]),
        packets.publish(topic, b"at once"),
    )
    await wire.expect(packets.CONNACK)
    await wire.expect(packets.SUBACK)
    await wire.receive(topic, b"at once")


@statement("MQTT5-4.2.0-1")
async def test_a_packet_may_come_byte_by_byte(connect: Clients, topic: str) -> None:
    wire = await connect.open()
    stream = packets.connect(connect.name(), values=[(packets.USER_PROPERTY, ("a", "b"))])
    stream += packets.subscribe(1, [(topic, 1)]) + packets.publish(topic, b"slow", 1, 2)
    for byte in stream:
        await wire.send(bytes([byte]))
    await wire.expect(packets.CONNACK)
    await wire.expect(packets.SUBACK)
    kinds = {(await wire.read()).type, (await wire.read()).type}
    assert kinds == {packets.PUBACK, packets.PUBLISH}
