"""The properties of MQTT 5 (section 2.2.2), read and written."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from lockwire.mqtt import packets, reasons
from lockwire.mqtt.errors import MalformedPacketError, ProtocolError
from lockwire.mqtt.packets import Properties
from lockwire.mqtt.reader import Reader
from lockwire.mqtt.topics import has_wildcard, utf8_string

PAYLOAD_FORMAT_INDICATOR: Final = 0x01
MESSAGE_EXPIRY_INTERVAL: Final = 0x02
CONTENT_TYPE: Final = 0x03
RESPONSE_TOPIC: Final = 0x08
CORRELATION_DATA: Final = 0x09
SUBSCRIPTION_IDENTIFIER: Final = 0x0B
SESSION_EXPIRY_INTERVAL: Final = 0x11
ASSIGNED_CLIENT_IDENTIFIER: Final = 0x12
SERVER_KEEP_ALIVE: Final = 0x13
AUTHENTICATION_METHOD: Final = 0x15
AUTHENTICATION_DATA: Final = 0x16
REQUEST_PROBLEM_INFORMATION: Final = 0x17
WILL_DELAY_INTERVAL: Final = 0x18
REQUEST_RESPONSE_INFORMATION: Final = 0x19
RESPONSE_INFORMATION: Final = 0x1A
SERVER_REFERENCE: Final = 0x1C
REASON_STRING: Final = 0x1F
RECEIVE_MAXIMUM: Final = 0x21
TOPIC_ALIAS_MAXIMUM: Final = 0x22
TOPIC_ALIAS: Final = 0x23
MAXIMUM_QOS: Final = 0x24
RETAIN_AVAILABLE: Final = 0x25
USER_PROPERTY: Final = 0x26
MAXIMUM_PACKET_SIZE: Final = 0x27
WILDCARD_SUBSCRIPTION_AVAILABLE: Final = 0x28
SUBSCRIPTION_IDENTIFIER_AVAILABLE: Final = 0x29
SHARED_SUBSCRIPTION_AVAILABLE: Final = 0x2A

WILL: Final = 0  # stands for the Will Properties where a control packet type is asked for

# A bit an identifier. mypyc (2.4) computes the shift of an i64 constant by a variable in 32 bits.
_BIT: Final[list[int]] = [1 << identifier for identifier in range(SHARED_SUBSCRIPTION_AVAILABLE + 1)]

_MESSAGE: Final = 1 << WILL | 1 << packets.PUBLISH
_CONNECT: Final = 1 << packets.CONNECT
_CONNACK: Final = 1 << packets.CONNACK
_AUTH: Final = 1 << packets.AUTH
_DISCONNECT: Final = 1 << packets.DISCONNECT

# Table 2-4: which packets may carry a property, a bit each.
ALLOWED_IN: Final[dict[int, int]] = {
    PAYLOAD_FORMAT_INDICATOR: _MESSAGE,
    MESSAGE_EXPIRY_INTERVAL: _MESSAGE,
    CONTENT_TYPE: _MESSAGE,
    RESPONSE_TOPIC: _MESSAGE,
    CORRELATION_DATA: _MESSAGE,
    SUBSCRIPTION_IDENTIFIER: 1 << packets.PUBLISH | 1 << packets.SUBSCRIBE,
    SESSION_EXPIRY_INTERVAL: _CONNECT | _CONNACK | _DISCONNECT,
    ASSIGNED_CLIENT_IDENTIFIER: _CONNACK,
    SERVER_KEEP_ALIVE: _CONNACK,
    AUTHENTICATION_METHOD: _CONNECT | _CONNACK | _AUTH,
    AUTHENTICATION_DATA: _CONNECT | _CONNACK | _AUTH,
    REQUEST_PROBLEM_INFORMATION: _CONNECT,
    WILL_DELAY_INTERVAL: 1 << WILL,
    REQUEST_RESPONSE_INFORMATION: _CONNECT,
    RESPONSE_INFORMATION: _CONNACK,
    SERVER_REFERENCE: _CONNACK | _DISCONNECT,
    REASON_STRING: (
        _CONNACK | 1 << packets.PUBACK | 1 << packets.PUBREC | 1 << packets.PUBREL | 1 << packets.PUBCOMP
        | 1 << packets.SUBACK | 1 << packets.UNSUBACK | _DISCONNECT | _AUTH
    ),
    RECEIVE_MAXIMUM: _CONNECT | _CONNACK,
    TOPIC_ALIAS_MAXIMUM: _CONNECT | _CONNACK,
    TOPIC_ALIAS: 1 << packets.PUBLISH,
    MAXIMUM_QOS: _CONNACK,
    RETAIN_AVAILABLE: _CONNACK,
    USER_PROPERTY: 0xFFFF & ~(1 << packets.PINGREQ | 1 << packets.PINGRESP),
    MAXIMUM_PACKET_SIZE: _CONNECT | _CONNACK,
    WILDCARD_SUBSCRIPTION_AVAILABLE: _CONNACK,
    SUBSCRIPTION_IDENTIFIER_AVAILABLE: _CONNACK,
    SHARED_SUBSCRIPTION_AVAILABLE: _CONNACK,
}  # fmt: skip


def decode_properties(reader: Reader, packet_type: int) -> Properties:
    """Read the property length and the properties of any packet but PUBLISH.

    Raises MalformedPacketError for a property that is unknown, not allowed in this packet (section 2.2.2.2)
    or cut short; ProtocolError for one that occurs twice or has a value that is not allowed.
    """
    found = Properties()
    length = reader.variable_byte_integer()
    if length == 0:
        return found
    if length > reader.left:
        raise MalformedPacketError("the properties are longer than the packet")
    packet_end = reader.end
    reader.end = reader.position + length
    seen: i64 = 0
    while reader.left > 0:
        identifier = reader.byte()
        if not ALLOWED_IN.get(identifier, 0) >> packet_type & 1:
            raise MalformedPacketError(f"property 0x{identifier:02X} is not allowed in this packet")
        if identifier != USER_PROPERTY:
            if seen >> identifier & 1:
                raise _twice(identifier)
            seen |= _BIT[identifier]
        _read_property(found, identifier, reader)
    reader.end = packet_end
    if found.authentication_data is not None and found.authentication_method is None:
        raise ProtocolError("authentication data without an authentication method")
    return found


def _read_property(found: Properties, identifier: i64, reader: Reader) -> None:
    if identifier == USER_PROPERTY:
        name = reader.string()
        found.user_properties.append((name, reader.string()))
    elif identifier == REASON_STRING:
        found.reason_string = reader.string()
    elif identifier == SESSION_EXPIRY_INTERVAL:
        found.session_expiry_interval = reader.four_bytes()
    elif identifier == RECEIVE_MAXIMUM:
        found.receive_maximum = _not_zero(identifier, reader.two_bytes())
    elif identifier == MAXIMUM_PACKET_SIZE:
        found.maximum_packet_size = _not_zero(identifier, reader.four_bytes())
    elif identifier == TOPIC_ALIAS_MAXIMUM:
        found.topic_alias_maximum = reader.two_bytes()
    elif identifier == SUBSCRIPTION_IDENTIFIER:
        found.subscription_identifiers.append(_not_zero(identifier, reader.variable_byte_integer()))
    elif identifier == AUTHENTICATION_METHOD:
        found.authentication_method = reader.string()
    elif identifier == AUTHENTICATION_DATA:
        found.authentication_data = reader.binary()
    elif identifier == REQUEST_PROBLEM_INFORMATION:
        found.request_problem_information = _zero_or_one(identifier, reader.byte())
    elif identifier == REQUEST_RESPONSE_INFORMATION:
        found.request_response_information = _zero_or_one(identifier, reader.byte())
    else:
        _read_connack_property(found, identifier, reader)


def _read_connack_property(found: Properties, identifier: i64, reader: Reader) -> None:
    if identifier == ASSIGNED_CLIENT_IDENTIFIER:
        found.assigned_client_identifier = reader.string()
    elif identifier == SERVER_KEEP_ALIVE:
        found.server_keep_alive = reader.two_bytes()
    elif identifier == RESPONSE_INFORMATION:
        found.response_information = reader.string()
    elif identifier == SERVER_REFERENCE:
        found.server_reference = reader.string()
    elif identifier == MAXIMUM_QOS:
        found.maximum_qos = _zero_or_one(identifier, reader.byte())
    elif identifier == RETAIN_AVAILABLE:
        found.retain_available = _zero_or_one(identifier, reader.byte())
    elif identifier == WILDCARD_SUBSCRIPTION_AVAILABLE:
        found.wildcard_subscription_available = _zero_or_one(identifier, reader.byte())
    elif identifier == SUBSCRIPTION_IDENTIFIER_AVAILABLE:
        found.subscription_identifier_available = _zero_or_one(identifier, reader.byte())
    else:
        found.shared_subscription_available = _zero_or_one(identifier, reader.byte())


@mypyc_attr(acyclic=True)
class MessageProperties:
    """The properties of a PUBLISH or a Will: `forwarded` as `packets.Publish.properties`, the others read."""

    def __init__(self) -> None:
        self.forwarded: bytes = b""
        self.message_expiry_interval: int = -1
        self.topic_alias: int = 0
        self.will_delay_interval: int = 0
        self.subscription_identifiers: list[int] | None = None


def decode_message_properties(
    data: bytes, start: i64, end: i64, will: bool, server: bool
) -> MessageProperties:
    """Read the properties of a PUBLISH, or of a Will, that lie from `start` (behind their length) to `end`.

    `server` True: a client sent them. The payload is not held against the payload format indicator. Raises as
    `decode_properties`, and ProtocolError with TOPIC_ALIAS_INVALID for alias 0 [MQTT5-3.3.2-8].
    """
    found = MessageProperties()
    kept: list[bytes] | None = None
    run_start = start  # of the forwarded properties not yet in `kept`
    seen: i64 = 0
    position = start
    while position < end:
        first = position
        identifier: i64 = data[position]
        position += 1
        if identifier == USER_PROPERTY:
            position = _skip_string(data, position, end)
            position = _skip_string(data, position, end)
            continue
        if identifier > SHARED_SUBSCRIPTION_AVAILABLE:
            raise _misplaced(identifier)
        if seen >> identifier & 1 and (server or identifier != SUBSCRIPTION_IDENTIFIER):
            raise _twice(identifier)
        seen |= _BIT[identifier]
        if identifier <= CORRELATION_DATA and identifier != MESSAGE_EXPIRY_INTERVAL:
            position = _skip_forwarded(data, identifier, position, end)
            continue
        reader = Reader(data, position, end)
        _read_local_property(found, identifier, reader, will, server)
        position = reader.position
        if run_start < first:
            if kept is None:
                kept = []
            kept.append(data[run_start:first])
        run_start = position
    if kept is not None:
        kept.append(data[run_start:end])
        found.forwarded = b"".join(kept)
    else:
        found.forwarded = data[run_start:end]
    return found


def _skip_forwarded(data: bytes, identifier: i64, position: i64, end: i64) -> i64:
    if identifier == PAYLOAD_FORMAT_INDICATOR:
        if position >= end:
            raise _cut_short()
        _zero_or_one(identifier, data[position])
        return position + 1
    if identifier == CONTENT_TYPE:
        return _skip_string(data, position, end)
    if identifier == CORRELATION_DATA:
        return _skip_binary(data, position, end)
    if identifier == RESPONSE_TOPIC:
        after = _skip_binary(data, position, end)
        topic = utf8_string(data[position + 2 : after])
        if not topic or has_wildcard(topic):  # [MQTT5-3.3.2-14]
            raise ProtocolError("the response topic is empty or has wildcard characters")
        return after
    raise _misplaced(identifier)


def _read_local_property(
    found: MessageProperties, identifier: i64, reader: Reader, will: bool, server: bool
) -> None:
    """Read one that concerns this connection alone or changes on the way."""
    if identifier == MESSAGE_EXPIRY_INTERVAL:
        found.message_expiry_interval = reader.four_bytes()
    elif identifier == WILL_DELAY_INTERVAL and will:
        found.will_delay_interval = reader.four_bytes()
    elif identifier == TOPIC_ALIAS and not will:
        alias = reader.two_bytes()
        if alias == 0:
            raise ProtocolError("the topic alias is 0", reasons.TOPIC_ALIAS_INVALID)
        found.topic_alias = alias
    elif identifier == SUBSCRIPTION_IDENTIFIER and not will:
        if server:
            raise ProtocolError("a client sent a PUBLISH with a subscription identifier")  # [MQTT5-3.3.4-6]
        number = _not_zero(identifier, reader.variable_byte_integer())
        identifiers = found.subscription_identifiers
        if identifiers is None:
            found.subscription_identifiers = [number]
        else:
            identifiers.append(number)
    else:
        raise _misplaced(identifier)


def _skip_binary(data: bytes, position: i64, end: i64) -> i64:
    if end - position < 2:
        raise _cut_short()
    high: i64 = data[position]
    low: i64 = data[position + 1]
    after = position + 2 + ((high << 8) | low)
    if after > end:
        raise _cut_short()
    return after


def _skip_string(data: bytes, position: i64, end: i64) -> i64:
    after = _skip_binary(data, position, end)
    if after > position + 2:
        utf8_string(data[position + 2 : after])
    return after


def _zero_or_one(identifier: i64, value: i64) -> i64:
    if value > 1:
        raise ProtocolError(f"property 0x{identifier:02X} is {value}, not 0 or 1")
    return value


def _not_zero(identifier: i64, value: i64) -> i64:
    if value == 0:
        raise ProtocolError(f"property 0x{identifier:02X} is 0")
    return value


def _cut_short() -> MalformedPacketError:
    return MalformedPacketError("the properties end inside a property")


def _misplaced(identifier: i64) -> MalformedPacketError:
    return MalformedPacketError(f"property 0x{identifier:02X} is not allowed in this packet")


def _twice(identifier: i64) -> ProtocolError:
    return ProtocolError(f"property 0x{identifier:02X} occurs twice")


def variable_byte_integer(value: int) -> bytes:
    """0 to 268,435,455 in as few bytes as possible (MQTT 5 section 1.5.5). Raises ValueError beyond."""
    if 0 <= value < 128:
        return bytes((value,))
    if not 0 <= value <= 268_435_455:
        raise ValueError(f"{value} does not fit a variable byte integer")
    if value < 16_384:
        return bytes((value & 127 | 128, value >> 7))
    if value < 2_097_152:
        return bytes((value & 127 | 128, value >> 7 & 127 | 128, value >> 14))
    return bytes((value & 127 | 128, value >> 7 & 127 | 128, value >> 14 & 127 | 128, value >> 21))


def binary_field(data: bytes) -> bytes:
    """Binary Data with its length (MQTT 5 section 1.5.6). Raises ValueError above 65,535 bytes."""
    if len(data) > 65_535:
        raise ValueError(f"{len(data)} bytes do not fit a field of at most 65,535")
    return len(data).to_bytes(2, "big") + data


def string_field(text: str) -> bytes:
    """A UTF-8 Encoded String (MQTT 5 section 1.5.4). Raises ValueError where it cannot be one."""
    if "\0" in text:
        raise ValueError("a string of MQTT cannot hold U+0000")
    return binary_field(text.encode("utf-8"))


def encode_properties(properties: Properties | None) -> bytes:
    """The properties with their length in front; None: none. Raises ValueError where a value does not fit."""
    if properties is None:
        return b"\x00"
    parts: list[bytes] = []
    p = properties
    _add_byte(parts, PAYLOAD_FORMAT_INDICATOR, p.payload_format_indicator)
    _add_four_bytes(parts, MESSAGE_EXPIRY_INTERVAL, p.message_expiry_interval)
    _add_string(parts, CONTENT_TYPE, p.content_type)
    _add_string(parts, RESPONSE_TOPIC, p.response_topic)
    _add_binary(parts, CORRELATION_DATA, p.correlation_data)
    for number in p.subscription_identifiers:
        parts.append(b"\x0b" + variable_byte_integer(number))
    _add_four_bytes(parts, SESSION_EXPIRY_INTERVAL, p.session_expiry_interval)
    _add_string(parts, ASSIGNED_CLIENT_IDENTIFIER, p.assigned_client_identifier)
    _add_two_bytes(parts, SERVER_KEEP_ALIVE, p.server_keep_alive)
    _add_string(parts, AUTHENTICATION_METHOD, p.authentication_method)
    _add_binary(parts, AUTHENTICATION_DATA, p.authentication_data)
    _add_byte(parts, REQUEST_PROBLEM_INFORMATION, p.request_problem_information)
    _add_four_bytes(parts, WILL_DELAY_INTERVAL, p.will_delay_interval)
    _add_byte(parts, REQUEST_RESPONSE_INFORMATION, p.request_response_information)
    _add_string(parts, RESPONSE_INFORMATION, p.response_information)
    _add_string(parts, SERVER_REFERENCE, p.server_reference)
    _add_string(parts, REASON_STRING, p.reason_string)
    _add_two_bytes(parts, RECEIVE_MAXIMUM, p.receive_maximum)
    _add_two_bytes(parts, TOPIC_ALIAS_MAXIMUM, p.topic_alias_maximum)
    _add_two_bytes(parts, TOPIC_ALIAS, p.topic_alias)
    _add_byte(parts, MAXIMUM_QOS, p.maximum_qos)
    _add_byte(parts, RETAIN_AVAILABLE, p.retain_available)
    for name, value in p.user_properties:
        parts.append(b"\x26" + string_field(name) + string_field(value))
    _add_four_bytes(parts, MAXIMUM_PACKET_SIZE, p.maximum_packet_size)
    _add_byte(parts, WILDCARD_SUBSCRIPTION_AVAILABLE, p.wildcard_subscription_available)
    _add_byte(parts, SUBSCRIPTION_IDENTIFIER_AVAILABLE, p.subscription_identifier_available)
    _add_byte(parts, SHARED_SUBSCRIPTION_AVAILABLE, p.shared_subscription_available)
    encoded = b"".join(parts)
    return variable_byte_integer(len(encoded)) + encoded


def encode_message_properties(
    forwarded: bytes,
    message_expiry_interval: int,
    topic_alias: int,
    subscription_identifiers: list[int] | None,
) -> bytes:
    """The properties of a PUBLISH with their length in front: what `decode_message_properties` took apart.

    -1, 0 and None where there is none.
    """
    parts = [forwarded]
    _add_four_bytes(parts, MESSAGE_EXPIRY_INTERVAL, message_expiry_interval)
    if topic_alias:
        _add_two_bytes(parts, TOPIC_ALIAS, topic_alias)
    if subscription_identifiers is not None:
        for number in subscription_identifiers:
            parts.append(b"\x0b" + variable_byte_integer(number))
    encoded = b"".join(parts)
    return variable_byte_integer(len(encoded)) + encoded


def _add_byte(parts: list[bytes], identifier: int, value: int) -> None:
    if value >= 0:
        parts.append(bytes((identifier, value)))


def _add_two_bytes(parts: list[bytes], identifier: int, value: int) -> None:
    if value >= 0:
        parts.append(bytes((identifier,)) + _whole_number(value, 2))


def _add_four_bytes(parts: list[bytes], identifier: int, value: int) -> None:
    if value >= 0:
        parts.append(bytes((identifier,)) + _whole_number(value, 4))


def _whole_number(value: int, size: int) -> bytes:
    if value >> 8 * size:
        raise ValueError(f"{value} does not fit {size} bytes")
    return value.to_bytes(size, "big")


def _add_string(parts: list[bytes], identifier: int, text: str | None) -> None:
    if text is not None:
        parts.append(bytes((identifier,)) + string_field(text))


def _add_binary(parts: list[bytes], identifier: int, data: bytes | None) -> None:
    if data is not None:
        parts.append(bytes((identifier,)) + binary_field(data))
