"""Reads variable header and payload of every packet but PUBLISH (MQTT 5 chapter 3)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from lockwire.mqtt import packets, reasons
from lockwire.mqtt.errors import MalformedPacketError, ProtocolError
from lockwire.mqtt.packets import (
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
    Will,
)
from lockwire.mqtt.properties import decode_message_properties, decode_properties
from lockwire.mqtt.reader import Reader
from lockwire.mqtt.topics import parse_shared, validate_topic_filter, validate_topic_name

# Which reason codes a packet may have in MQTT 5.
_CONNACK_REASONS: Final = frozenset(
    (0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
     0x9A, 0x9B, 0x9C, 0x9D, 0x9F)
)  # fmt: skip
_PUBACK_REASONS: Final = frozenset((0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99))
_PUBREL_REASONS: Final = frozenset((0x00, 0x92))
_SUBACK_REASONS: Final = frozenset((0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2))
_SUBACK_RETURN_CODES: Final = frozenset((0x00, 0x01, 0x02, 0x80))
_UNSUBACK_REASONS: Final = frozenset((0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91))
_CLIENT_DISCONNECT_REASONS: Final = frozenset(
    (0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99)
)
_SERVER_DISCONNECT_REASONS: Final = frozenset(
    (0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
     0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2)
)  # fmt: skip
_CLIENT_AUTH_REASONS: Final = frozenset((0x18, 0x19))
_SERVER_AUTH_REASONS: Final = frozenset((0x00, 0x18))


def decode_body(packet_type: int, version: int, server: bool, reader: Reader) -> Packet:
    """Read what follows the fixed header of any packet but CONNECT and PUBLISH.

    `server` True: a client sent it. Raises MalformedPacketError or ProtocolError; whether bytes are left
    over, the caller checks.
    """
    if packets.PUBACK <= packet_type <= packets.PUBCOMP:
        return _ack(packet_type, version, reader)
    if packet_type == packets.SUBSCRIBE:
        return _subscribe(version, reader)
    if packet_type == packets.UNSUBSCRIBE:
        return _unsubscribe(version, reader)
    if packet_type == packets.PINGREQ:
        return Pingreq()
    if packet_type == packets.DISCONNECT:
        return _disconnect(version, server, reader)
    if packet_type == packets.AUTH:
        return _auth(server, reader)
    if packet_type == packets.CONNACK:
        return _connack(version, reader)
    if packet_type == packets.SUBACK:
        return _suback(version, reader)
    if packet_type == packets.UNSUBACK:
        return _unsuback(version, reader)
    return Pingresp()


def read_connect(packet: Connect, reader: Reader) -> None:
    """Read what follows the protocol level of a CONNECT (MQTT 5 section 3.1.2.3 on) of `packet.version`."""
    version = packet.version
    flags = reader.byte()
    if flags & 1 and version != 3:  # [MQTT5-3.1.2-3]; in MQTT 3.1 the bit is not used
        raise MalformedPacketError("CONNECT with its reserved flag")
    will_qos = flags >> 3 & 3
    if flags & 4:
        if will_qos == 3:  # [MQTT5-3.1.2-12]
            raise MalformedPacketError("CONNECT with a will of QoS 3")
    elif flags & 0x38 and version != 3:  # [MQTT5-3.1.2-11], [MQTT5-3.1.2-13]
        raise MalformedPacketError("CONNECT with will QoS or will retain, but without a will")
    if flags & 0xC0 == 0x40 and version != 5:  # [MQTT311-3.1.2-22]
        raise MalformedPacketError("CONNECT with a password, but without a user name")
    packet.clean_start = flags & 2 != 0
    packet.keep_alive = reader.two_bytes()
    if version == 5:
        packet.properties = decode_properties(reader, packets.CONNECT)
    packet.client_id = reader.string()
    if flags & 4:
        packet.will = _will(version, will_qos, flags & 0x20 != 0, reader)
    # MQTT 3.1 says that the remaining length takes precedence over these two flags.
    if flags & 0x80 and (version != 3 or reader.left > 0):
        packet.username = reader.string()
    if flags & 0x40 and (version != 3 or reader.left > 0):
        packet.password = reader.binary()


def _will(version: int, qos: int, retain: bool, reader: Reader) -> Will:
    forwarded = b""
    message_expiry_interval = -1
    delay_interval = 0
    if version == 5:
        length = reader.variable_byte_integer()
        if length > reader.left:
            raise MalformedPacketError("the will properties are longer than the packet")
        start = reader.position
        reader.position = start + length
        found = decode_message_properties(reader.data, start, reader.position, True, True)
        forwarded = found.forwarded
        message_expiry_interval = found.message_expiry_interval
        delay_interval = found.will_delay_interval
    topic = reader.binary()
    validate_topic_name(topic)
    will = Will(topic, reader.binary(), qos, retain)
    will.properties = forwarded
    will.message_expiry_interval = message_expiry_interval
    will.delay_interval = delay_interval
    return will


def _connack(version: int, reader: Reader) -> Connack:
    flags = reader.byte()
    reason = reader.byte()
    if version == 3:
        flags = 0  # not used in MQTT 3.1
    if flags > 1:  # [MQTT5-3.2.2-1]
        raise MalformedPacketError("CONNACK with reserved flags")
    if flags == 1 and reason != 0:  # [MQTT5-3.2.2-6]
        raise ProtocolError("CONNACK refuses, but with a session")
    if version != 5:
        if reason > reasons.V3_NOT_AUTHORIZED:
            raise ProtocolError(f"CONNACK with the reserved return code {reason}")
        return Connack(flags == 1, reason, Properties())
    _check_reason(packets.CONNACK, reason, _CONNACK_REASONS)
    return Connack(flags == 1, reason, decode_properties(reader, packets.CONNACK))


def _ack(packet_type: int, version: int, reader: Reader) -> Ack:
    packet_id = _packet_id(reader)
    if version != 5 or reader.left == 0:
        return Ack(packet_type, packet_id, reasons.SUCCESS, None)
    reason = reader.byte()
    _check_reason(packet_type, reason, _PUBACK_REASONS if packet_type <= packets.PUBREC else _PUBREL_REASONS)
    properties = decode_properties(reader, packet_type) if reader.left > 0 else None
    return Ack(packet_type, packet_id, reason, properties)


def _subscribe(version: int, reader: Reader) -> Subscribe:
    packet_id = _packet_id(reader)
    properties: Properties | None = None
    subscription_identifier = 0
    if version == 5:
        properties = decode_properties(reader, packets.SUBSCRIBE)
        if properties.subscription_identifiers:
            subscription_identifier = properties.subscription_identifiers[0]
    requests: list[SubscriptionRequest] = []
    while reader.left > 0:
        topic_filter = reader.string()
        if version != 5:  # MQTT 5 answers each filter by itself, with a reason code in SUBACK
            validate_topic_filter(topic_filter)
        requests.append(_subscription_request(topic_filter, reader.byte(), version))
    if not requests:
        raise ProtocolError("SUBSCRIBE without a topic filter")  # [MQTT5-3.8.3-2]
    return Subscribe(packet_id, requests, subscription_identifier, properties)


def _subscription_request(topic_filter: str, options: i64, version: int) -> SubscriptionRequest:
    """One topic filter with its subscription options (MQTT 5 section 3.8.3.1)."""
    qos = options & 3
    if version != 5:
        if options > 2:  # [MQTT311-3.8.3-4]
            raise MalformedPacketError(f"SUBSCRIBE with the requested QoS {options}")
        return SubscriptionRequest(topic_filter, qos, False, False, 0)
    if options & 0xC0:  # [MQTT5-3.8.3-5]
        raise MalformedPacketError("SUBSCRIBE with reserved subscription options")
    if qos == 3:
        raise ProtocolError("SUBSCRIBE with QoS 3")
    retain_handling = options >> 4
    if retain_handling == 3:
        raise ProtocolError("SUBSCRIBE with retain handling 3")
    no_local = options & 4 != 0
    if no_local and parse_shared(topic_filter) is not None:  # [MQTT5-3.8.3-4]
        raise ProtocolError("SUBSCRIBE with No Local on a shared subscription")
    return SubscriptionRequest(topic_filter, qos, no_local, options & 8 != 0, retain_handling)


def _suback(version: int, reader: Reader) -> Suback:
    packet_id = _packet_id(reader)
    properties = decode_properties(reader, packets.SUBACK) if version == 5 else None
    codes = _reason_codes(packets.SUBACK, reader, _SUBACK_REASONS if version == 5 else _SUBACK_RETURN_CODES)
    return Suback(packet_id, codes, properties)


def _unsubscribe(version: int, reader: Reader) -> Unsubscribe:
    packet_id = _packet_id(reader)
    properties = decode_properties(reader, packets.UNSUBSCRIBE) if version == 5 else None
    topic_filters: list[str] = []
    while reader.left > 0:
        topic_filter = reader.string()
        if version != 5:
            validate_topic_filter(topic_filter)
        topic_filters.append(topic_filter)
    if not topic_filters:
        raise ProtocolError("UNSUBSCRIBE without a topic filter")  # [MQTT5-3.10.3-2]
    return Unsubscribe(packet_id, topic_filters, properties)


def _unsuback(version: int, reader: Reader) -> Unsuback:
    packet_id = _packet_id(reader)
    if version != 5:
        return Unsuback(packet_id, [], None)
    properties = decode_properties(reader, packets.UNSUBACK)
    return Unsuback(packet_id, _reason_codes(packets.UNSUBACK, reader, _UNSUBACK_REASONS), properties)


def _disconnect(version: int, server: bool, reader: Reader) -> Disconnect:
    if version != 5 or reader.left == 0:
        return Disconnect(reasons.SUCCESS, None)
    reason = reader.byte()
    _check_reason(
        packets.DISCONNECT, reason, _CLIENT_DISCONNECT_REASONS if server else _SERVER_DISCONNECT_REASONS
    )
    if reader.left == 0:
        return Disconnect(reason, None)
    properties = decode_properties(reader, packets.DISCONNECT)
    if server and properties.server_reference is not None:
        raise ProtocolError("a client sent a DISCONNECT with a server reference")
    if not server and properties.session_expiry_interval >= 0:  # [MQTT5-3.14.2-2]
        raise ProtocolError("a server sent a DISCONNECT with a session expiry interval")
    return Disconnect(reason, properties)


def _auth(server: bool, reader: Reader) -> Auth:
    reason: i64 = reasons.SUCCESS
    properties: Properties | None = None
    if reader.left > 0:
        reason = reader.byte()
        properties = decode_properties(reader, packets.AUTH)
        if properties.authentication_method is None:
            raise ProtocolError("AUTH without an authentication method")
    _check_reason(packets.AUTH, reason, _CLIENT_AUTH_REASONS if server else _SERVER_AUTH_REASONS)
    return Auth(reason, properties)


def _packet_id(reader: Reader) -> int:
    packet_id = reader.two_bytes()
    if packet_id == 0:
        raise MalformedPacketError("the packet identifier is 0")  # [MQTT5-2.2.1-3]
    return packet_id


def _reason_codes(packet_type: int, reader: Reader, allowed: frozenset[int]) -> list[int]:
    codes: list[int] = []
    while reader.left > 0:
        code = reader.byte()
        _check_reason(packet_type, code, allowed)
        codes.append(code)
    if not codes:
        raise ProtocolError(f"{packets.TYPE_NAMES[packet_type]} without a reason code")
    return codes


def _check_reason(packet_type: int, reason: int, allowed: frozenset[int]) -> None:
    if reason not in allowed:
        raise ProtocolError(f"{packets.TYPE_NAMES[packet_type]} with the reason code 0x{reason:02X}")
