"""MQTT packets as bytes: builders for what a client sends, a reader for what a server sends.

Independent of lockwire.mqtt on purpose, so that the two can only agree by both following the standard.
Properties are lists of (identifier, value), in the order of the wire: an int for the integer types, a str or
bytes for the others, a pair for User Property.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)
NAMES = [
    "RESERVED",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
]

PAYLOAD_FORMAT_INDICATOR = 0x01
MESSAGE_EXPIRY_INTERVAL = 0x02
CONTENT_TYPE = 0x03
RESPONSE_TOPIC = 0x08
CORRELATION_DATA = 0x09
SUBSCRIPTION_IDENTIFIER = 0x0B
SESSION_EXPIRY_INTERVAL = 0x11
ASSIGNED_CLIENT_IDENTIFIER = 0x12
SERVER_KEEP_ALIVE = 0x13
AUTHENTICATION_METHOD = 0x15
AUTHENTICATION_DATA = 0x16
REQUEST_PROBLEM_INFORMATION = 0x17
WILL_DELAY_INTERVAL = 0x18
REQUEST_RESPONSE_INFORMATION = 0x19
RESPONSE_INFORMATION = 0x1A
SERVER_REFERENCE = 0x1C
REASON_STRING = 0x1F
RECEIVE_MAXIMUM = 0x21
TOPIC_ALIAS_MAXIMUM = 0x22
TOPIC_ALIAS = 0x23
MAXIMUM_QOS = 0x24
RETAIN_AVAILABLE = 0x25
USER_PROPERTY = 0x26
MAXIMUM_PACKET_SIZE = 0x27
WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
SHARED_SUBSCRIPTION_AVAILABLE = 0x2A

_BYTE = {0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A}
_TWO_BYTES = {0x13, 0x21, 0x22, 0x23}
_FOUR_BYTES = {0x02, 0x11, 0x18, 0x27}
_STRING = {0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F}
_BINARY = {0x09, 0x16}

Value = int | str | bytes | tuple[str, str]
Properties = Sequence[tuple[int, Value]]


def variable_byte_integer(value: int) -> bytes:
    """The variable byte integer of `value` (MQTT 5 section 1.5.5)."""
    encoded = bytearray()
    while True:
        value, digit = divmod(value, 128)
        encoded.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(encoded)


def string(text: str | bytes) -> bytes:
    """A UTF-8 string or binary data with its two-byte length; bytes go out as they are, valid or not."""
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("!H", len(data)) + data


def properties(values: Properties) -> bytes:
    """The properties with their length (MQTT 5 section 2.2.2)."""
    encoded = b"".join(_property(identifier, value) for identifier, value in values)
    return variable_byte_integer(len(encoded)) + encoded


def _property(identifier: int, value: Value) -> bytes:
    head = bytes([identifier])
    if isinstance(value, tuple):
        return head + string(value[0]) + string(value[1])
    if isinstance(value, str | bytes):
        return head + string(value)
    if identifier in _BYTE:
        return head + struct.pack("!B", value)
    if identifier in _TWO_BYTES:
        return head + struct.pack("!H", value)
    if identifier in _FOUR_BYTES:
        return head + struct.pack("!I", value)
    return head + variable_byte_integer(value)


def packet(type: int, flags: int, body: bytes) -> bytes:
    """A control packet with its fixed header (MQTT 5 section 2.1.1)."""
    return bytes([type << 4 | flags]) + variable_byte_integer(len(body)) + body


@dataclass
class Will:
    """The will of a CONNECT; `properties` count in MQTT 5 only."""

    topic: str | bytes
    payload: bytes = b"gone"
    qos: int = 0
    retain: bool = False
    properties: Properties = ()


def connect(
    client_id: str | bytes,
    version: int = 5,
    clean: bool = True,
    keep_alive: int = 60,
    will: Will | None = None,
    username: str | bytes | None = None,
    password: bytes | None = None,
    values: Properties = (),
    name: str | None = None,
    flags: int | None = None,
) -> bytes:
    """CONNECT; `name` and `flags` take the place of the right protocol name and connect flags."""
    connect_flags = 0x02 if clean else 0
    payload = string(client_id)
    if will is not None:
        connect_flags |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
        payload += properties(will.properties) if version == 5 else b""
        payload += string(will.topic) + string(will.payload)
    if username is not None:
        connect_flags |= 0x80
        payload += string(username)
    if password is not None:
        connect_flags |= 0x40
        payload += string(password)
    header = string(name or ("MQIsdp" if version == 3 else "MQTT"))
    header += struct.pack("!BBH", version, connect_flags if flags is None else flags, keep_alive)
    return packet(CONNECT, 0, header + (properties(values) if version == 5 else b"") + payload)


def publish(
    topic: str | bytes,
    payload: bytes = b"",
    qos: int = 0,
    packet_id: int = 0,
    retain: bool = False,
    dup: bool = False,
    version: int = 5,
    values: Properties = (),
) -> bytes:
    """PUBLISH; the packet identifier is left out at QoS 0."""
    body = string(topic) + (struct.pack("!H", packet_id) if qos else b"")
    body += properties(values) if version == 5 else b""
    return packet(PUBLISH, dup << 3 | qos << 1 | retain, body + payload)


def acknowledgement(type: int, packet_id: int, reason: int = 0, values: Properties = ()) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP, in the short form of both versions where there is no reason."""
    body = struct.pack("!H", packet_id)
    if reason or values:
        body += bytes([reason]) + properties(values)
    return packet(type, 2 if type == PUBREL else 0, body)


def subscribe(
    packet_id: int,
    filters: Sequence[tuple[str | bytes, int]],
    version: int = 5,
    values: Properties = (),
) -> bytes:
    """SUBSCRIBE of (topic filter, options byte) pairs; in MQTT 3 the options are the requested QoS."""
    body = struct.pack("!H", packet_id) + (properties(values) if version == 5 else b"")
    return packet(SUBSCRIBE, 2, body + b"".join(string(name) + bytes([options]) for name, options in filters))


def unsubscribe(
    packet_id: int, filters: Sequence[str | bytes], version: int = 5, values: Properties = ()
) -> bytes:
    """UNSUBSCRIBE of the filters."""
    body = struct.pack("!H", packet_id) + (properties(values) if version == 5 else b"")
    return packet(UNSUBSCRIBE, 2, body + b"".join(string(name) for name in filters))


def disconnect(reason: int = 0, values: Properties = ()) -> bytes:
    """DISCONNECT, in the short form of both versions where there is no reason."""
    return packet(DISCONNECT, 0, bytes([reason]) + properties(values) if reason or values else b"")


def auth(reason: int, values: Properties) -> bytes:
    """AUTH (MQTT 5 section 3.15)."""
    return packet(AUTH, 0, bytes([reason]) + properties(values))


PING = packet(PINGREQ, 0, b"")


@dataclass
class Packet:
    """A packet from a server. Fields that its type does not have keep their defaults."""

    type: int
    flags: int
    size: int
    packet_id: int = 0
    reason: int = 0
    reasons: list[int] = field(default_factory=list)
    session_present: bool = False
    acknowledge_flags: int = 0
    topic: str = ""
    payload: bytes = b""
    properties: list[tuple[int, Value]] = field(default_factory=list)

    @property
    def qos(self) -> int:
        """The QoS of a PUBLISH."""
        return self.flags >> 1 & 3

    @property
    def retain(self) -> bool:
        """RETAIN of a PUBLISH."""
        return bool(self.flags & 1)

    @property
    def dup(self) -> bool:
        """DUP of a PUBLISH."""
        return bool(self.flags & 8)

    def all(self, identifier: int) -> list[Value]:
        """Every value of a property, in order."""
        return [value for each, value in self.properties if each == identifier]

    def get(self, identifier: int) -> Value | None:
        """The value of a property that occurs once, None where it does not."""
        values = self.all(identifier)
        assert len(values) < 2, f"property {identifier:#x} occurs {len(values)} times"
        return values[0] if values else None

    def number(self, identifier: int, default: int = 0) -> int:
        """The value of an integer property, `default` where it is absent."""
        value = self.get(identifier)
        assert value is None or isinstance(value, int)
        return default if value is None else value


class Reader:
    """Takes the fields of one packet body, in order; a field that does not fit fails the test."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        chunk = self.body[self.at : self.at + count]
        assert len(chunk) == count, f"the packet ends early: {self.body.hex()}"
        self.at += count
        return chunk

    def number(self, count: int) -> int:
        """The next `count` bytes as an integer."""
        return int.from_bytes(self.take(count), "big")

    def string(self) -> str:
        """The next UTF-8 string."""
        return self.take(self.number(2)).decode("utf-8")

    def variable(self) -> int:
        """The next variable byte integer, which has to be as short as can be (MQTT5-1.5.5-1)."""
        start, value, shift = self.at, 0, 0
        while True:
            digit = self.number(1)
            value |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                assert variable_byte_integer(value) == self.body[start : self.at]
                return value

    def properties(self) -> list[tuple[int, Value]]:
        """The properties with their length."""
        length = self.variable()
        end = self.at + length
        values: list[tuple[int, Value]] = []
        while self.at < end:
            identifier = self.variable()
            values.append((identifier, self._value(identifier)))
        assert self.at == end, f"the property length does not fit: {self.body.hex()}"
        return values

    def _value(self, identifier: int) -> Value:
        if identifier in _BYTE:
            return self.number(1)
        if identifier in _TWO_BYTES:
            return self.number(2)
        if identifier in _FOUR_BYTES:
            return self.number(4)
        if identifier in _STRING:
            return self.string()
        if identifier in _BINARY:
            return self.take(self.number(2))
        if identifier == USER_PROPERTY:
            return self.string(), self.string()
        assert identifier == SUBSCRIPTION_IDENTIFIER, f"unknown property {identifier:#x}"
        return self.variable()

    def rest(self) -> bytes:
        """What is left."""
        return self.take(len(self.body) - self.at)


def parse(head: int, body: bytes, version: int) -> Packet:
    """The packet a server sent: its first byte, its body, and the version of the connection (3, 4 or 5)."""
    kind = head >> 4
    size = 1 + len(variable_byte_integer(len(body))) + len(body)
    received = Packet(kind, head & 15, size)
    reader = Reader(body)
    assert kind in (CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, PINGRESP, 14, 15)
    assert kind == PUBLISH or received.flags == (2 if kind == PUBREL else 0), "reserved flags (MQTT5-2.1.3-1)"
    if kind == CONNACK:
        received.acknowledge_flags = reader.number(1)
        received.session_present = bool(received.acknowledge_flags & 1)
        received.reason = reader.number(1)
        if version == 5 and reader.at < len(body):
            received.properties = reader.properties()
    elif kind == PUBLISH:
        received.topic = reader.string()
        received.packet_id = reader.number(2) if received.qos else 0
        received.properties = reader.properties() if version == 5 else []
        received.payload = reader.rest()
    elif kind in (SUBACK, UNSUBACK):
        received.packet_id = reader.number(2)
        received.properties = reader.properties() if version == 5 else []
        received.reasons = list(reader.rest())
    elif kind != PINGRESP:
        if kind not in (DISCONNECT, AUTH):
            received.packet_id = reader.number(2)
        if version == 5 and reader.at < len(body):
            received.reason = reader.number(1)
            received.properties = reader.properties() if reader.at < len(body) else []
    assert reader.at == len(body), f"{NAMES[kind]} has bytes left: {body.hex()}"
    return received
