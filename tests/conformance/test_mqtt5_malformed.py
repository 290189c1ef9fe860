"""MQTT 5: malformed packets and protocol errors of its own; 0x81 or 0x82 where the server says why."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.support import packets
from tests.support.packets import Properties, Value, Will

MALFORMED = {0x81}
PROTOCOL_ERROR = {0x82}
EITHER = {0x81, 0x82}
SURROGATE = b"\xed\xa0\x80"
ILL_FORMED_PAIRS = [b"\0\1\xff\0\1v", b"\0\1k\0\1\xff", b"\0\1k\0\1\0", b"\0\1\0\0\1v"]


def _raw(properties: bytes) -> bytes:
    """Properties as they are, with their length."""
    return packets.variable_byte_integer(len(properties)) + properties


def _connect(properties: bytes) -> bytes:
    """CONNECT with these bytes as its properties, length included."""
    body = packets.string("MQTT") + b"\x05\x02\x00\x3c" + properties + packets.string("c")
    return packets.packet(packets.CONNECT, 0, body)


def _twice(*values: tuple[int, Value]) -> bytes:
    return packets.properties([*values, *values])


def _publish(properties: bytes, topic: str = "a") -> bytes:
    return packets.packet(packets.PUBLISH, 0, packets.string(topic) + properties)


def _subscribe(options: int = 0, name: str = "a", properties: bytes = b"\0") -> bytes:
    body = struct.pack("!H", 1) + properties + packets.string(name) + bytes([options])
    return packets.packet(packets.SUBSCRIBE, 2, body)


def _will(*values: tuple[int, Value]) -> bytes:
    return packets.connect("c", will=Will("t", properties=values))


CONNECTS: dict[str, tuple[bytes, set[int]]] = {
    "session expiry twice": (_connect(_twice((0x11, 1))), PROTOCOL_ERROR),
    "receive maximum 0": (_connect(packets.properties([(0x21, 0)])), PROTOCOL_ERROR),
    "receive maximum twice": (_connect(_twice((0x21, 1))), PROTOCOL_ERROR),
    "maximum packet size 0": (_connect(packets.properties([(0x27, 0)])), PROTOCOL_ERROR),
    "topic alias maximum twice": (_connect(_twice((0x22, 1))), PROTOCOL_ERROR),
    "request problem information 2": (_connect(packets.properties([(0x17, 2)])), PROTOCOL_ERROR),
    "request response information 2": (_connect(packets.properties([(0x19, 2)])), PROTOCOL_ERROR),
    "authentication data alone": (_connect(packets.properties([(0x16, b"x")])), PROTOCOL_ERROR),
    "authentication method twice": (_connect(_twice((0x15, "m"))), PROTOCOL_ERROR),
    "a property of PUBLISH": (_connect(packets.properties([(0x23, 1)])), MALFORMED),
    "a property of CONNACK": (_connect(packets.properties([(0x13, 1)])), MALFORMED),
    "an unknown property": (_connect(_raw(b"\x7f\x00")), MALFORMED),
    "a property cut short": (_connect(b"\x03\x11\x00\x00"), EITHER),
    "a property length beyond the packet": (_connect(b"\x7f"), MALFORMED),
    "a property length of two bytes for 0": (_connect(b"\x80\x00"), MALFORMED),
    "a property length of five bytes": (_connect(b"\xff\xff\xff\xff\x01"), MALFORMED),
    "will with topic alias": (_will((0x23, 1)), MALFORMED),
    "will delay twice": (_will((0x18, 1), (0x18, 1)), PROTOCOL_ERROR),
    "will payload format 2": (_will((0x01, 2)), EITHER),
    "will content type ill formed": (_will((0x03, SURROGATE)), MALFORMED),
    "will response topic with wildcard": (_will((0x08, "a/#")), {0x81, 0x82, 0x90}),
}


@statement("MQTT5-3.1.4-1", "MQTT5-4.13.1-1", "MQTT5-3.2.2-7", "MQTT5-3.2.2-8", "MQTT5-1.5.5-1")
@pytest.mark.parametrize("case", CONNECTS)
async def test_a_connect_with_wrong_properties_is_refused(connect: Clients, case: str) -> None:
    data, reasons = CONNECTS[case]
    wire = await connect.open()
    await wire.send(data)
    said = await wire.expect_refused()
    assert said is None or said.reason in reasons


@statement("MQTT5-1.5.7-1", "MQTT5-1.5.4-1", "MQTT5-1.5.4-2", "MQTT5-4.13.1-1")
@pytest.mark.parametrize("pair", ILL_FORMED_PAIRS, ids=["name", "value", "value null", "name null"])
async def test_an_ill_formed_string_pair_is_malformed(connect: Clients, pair: bytes) -> None:
    user_property = _raw(b"\x26" + pair)
    wire = await connect.open()
    await wire.send(_connect(user_property))
    refused = await wire.expect_refused()
    assert refused is None or refused.reason in MALFORMED
    for request in (_publish(user_property), _subscribe(properties=user_property)):
        wire = await connect()
        await wire.send(request)
        said = await wire.expect_closed()
        assert said is None or said.reason in MALFORMED


@pytest.mark.parametrize(
    ("data", "reasons"),
    [
        pytest.param(
            _publish(packets.properties([(0x0B, 1)])),
            PROTOCOL_ERROR,
            id="PUBLISH with subscription identifier",
            marks=statement("MQTT5-3.3.4-6"),
        ),
        pytest.param(
            _publish(packets.properties([(0x08, "a/+")])),
            {0x81, 0x82, 0x90},
            id="PUBLISH response topic with plus",
            marks=statement("MQTT5-3.3.2-14"),
        ),
        pytest.param(
            _publish(packets.properties([(0x08, "#")])),
            {0x81, 0x82, 0x90},
            id="PUBLISH response topic with hash",
            marks=statement("MQTT5-3.3.2-14"),
        ),
        pytest.param(
            _publish(packets.properties([(0x08, SURROGATE)])),
            MALFORMED,
            id="PUBLISH response topic ill formed",
            marks=statement("MQTT5-3.3.2-13", "MQTT5-1.5.4-1"),
        ),
        pytest.param(
            _publish(packets.properties([(0x03, b"\xff")])),
            MALFORMED,
            id="PUBLISH content type ill formed",
            marks=statement("MQTT5-3.3.2-19", "MQTT5-1.5.4-1"),
        ),
        pytest.param(
            _publish(packets.properties([(0x03, b"a\0")])),
            MALFORMED,
            id="PUBLISH content type with null",
            marks=statement("MQTT5-3.3.2-19", "MQTT5-1.5.4-2"),
        ),
        pytest.param(
            _publish(packets.properties([(0x01, 2)])),
            EITHER,
            id="PUBLISH payload format 2",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _publish(_twice((0x01, 1))),
            PROTOCOL_ERROR,
            id="PUBLISH payload format twice",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _publish(_twice((0x02, 1))),
            PROTOCOL_ERROR,
            id="PUBLISH message expiry twice",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _publish(_twice((0x23, 1))),
            PROTOCOL_ERROR,
            id="PUBLISH topic alias twice",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _publish(_twice((0x09, b"1"))),
            PROTOCOL_ERROR,
            id="PUBLISH correlation data twice",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _publish(packets.properties([(0x11, 1)])),
            MALFORMED,
            id="PUBLISH with a property of CONNECT",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _publish(b"\x81\x00"),
            MALFORMED,
            id="PUBLISH property length not minimal",
            marks=statement("MQTT5-1.5.5-1"),
        ),
        pytest.param(
            _publish(b"\x7f"),
            MALFORMED,
            id="PUBLISH property length beyond the packet",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _publish(b""),
            MALFORMED,
            id="PUBLISH without property length",
            marks=statement("MQTT5-2.2.2-1"),
        ),
        pytest.param(
            _subscribe(0x04, "$share/g/a"),
            PROTOCOL_ERROR,
            id="SUBSCRIBE no local on a shared subscription",
            marks=statement("MQTT5-3.8.3-4"),
        ),
        pytest.param(
            _subscribe(0x30),
            PROTOCOL_ERROR,
            id="SUBSCRIBE retain handling 3",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _subscribe(0x03),
            EITHER,
            id="SUBSCRIBE QoS 3",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _subscribe(0x40),
            MALFORMED,
            id="SUBSCRIBE reserved bit 6",
            marks=statement("MQTT5-3.8.3-5"),
        ),
        pytest.param(
            _subscribe(0x80),
            MALFORMED,
            id="SUBSCRIBE reserved bit 7",
            marks=statement("MQTT5-3.8.3-5"),
        ),
        pytest.param(
            _subscribe(properties=packets.properties([(0x0B, 0)])),
            PROTOCOL_ERROR,
            id="SUBSCRIBE subscription identifier 0",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _subscribe(properties=_twice((0x0B, 1))),
            PROTOCOL_ERROR,
            id="SUBSCRIBE subscription identifier twice",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            _subscribe(properties=packets.properties([(0x1F, "why")])),
            MALFORMED,
            id="SUBSCRIBE with reason string",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            packets.packet(packets.PUBACK, 0, b"\0\1\0" + _twice((0x1F, "why"))),
            PROTOCOL_ERROR,
            id="PUBACK reason string twice",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            packets.packet(packets.DISCONNECT, 0, b"\0" + packets.properties([(0x23, 1)])),
            MALFORMED,
            id="DISCONNECT with topic alias",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            packets.packet(packets.PINGREQ, 0, b"x"),
            EITHER,
            id="PINGREQ with a body",
            marks=statement("MQTT5-4.13.1-1"),
        ),
        pytest.param(
            packets.auth(0x18, [(0x15, "m")])[:1].replace(b"\xf0", b"\xf1") + b"\x00",
            MALFORMED,
            id="AUTH flags",
            marks=statement("MQTT5-3.15.1-1", "MQTT5-2.1.3-1"),
        ),
    ],
)
@statement("MQTT5-4.13.2-1", "MQTT5-3.14.2-1")
async def test_a_wrong_packet_closes_the_connection(connect: Clients, data: bytes, reasons: set[int]) -> None:
    wire = await connect()
    await wire.send(data)
    said = await wire.expect_closed()
    assert said is None or said.reason in reasons


@statement("MQTT5-3.14.1-1")
async def test_reserved_flags_of_disconnect_are_answered(connect: Clients) -> None:
    wire = await connect()
    await wire.send(b"\xe2\x00")
    said = await wire.expect_closed()
    assert said is not None
    assert said.reason == 0x81


ACCEPTED: dict[str, Sequence[tuple[int, Value]]] = {
    "everything once": [
        (packets.SESSION_EXPIRY_INTERVAL, 0xFFFFFFFF),
        (packets.RECEIVE_MAXIMUM, 65535),
        (packets.MAXIMUM_PACKET_SIZE, 0xFFFFFFFF),
        (packets.TOPIC_ALIAS_MAXIMUM, 65535),
        (packets.REQUEST_RESPONSE_INFORMATION, 1),
        (packets.REQUEST_PROBLEM_INFORMATION, 1),
    ],
    "user properties again and again": [(packets.USER_PROPERTY, ("k", str(number))) for number in range(50)],
    "empty strings": [(packets.USER_PROPERTY, ("", ""))],
}


@statement("MQTT5-3.1.4-5")
@pytest.mark.parametrize("case", ACCEPTED)
async def test_what_is_allowed_is_accepted(connect: Clients, case: str) -> None:
    values: Properties = ACCEPTED[case]
    wire = await connect(values=values)
    await wire.ping()
    await wire.disconnect(values=[(packets.SESSION_EXPIRY_INTERVAL, 0)])
