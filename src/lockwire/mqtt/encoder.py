"""Packets as bytes, for both sides and every version (MQTT 5 chapter 3).

`version` is the protocol level: 3, 4 or 5. A function raises ValueError (for a packet identifier or a
keep alive IndexError) where a value does not fit its field.
"""

from __future__ import annotations

from typing import Final

from lockwire.mqtt import packets, reasons
from lockwire.mqtt.packets import (
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Properties,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from lockwire.mqtt.properties import (
    WILL_DELAY_INTERVAL,
    binary_field,
    encode_message_properties,
    encode_properties,
    string_field,
    variable_byte_integer,
)

__all__ = [
    "PACKET_ID", "PINGREQ_FRAME", "PINGRESP_FRAME", "encode", "encode_ack", "encode_auth", "encode_connack",
    "encode_connect", "encode_disconnect", "encode_publish", "encode_suback", "encode_subscribe",
    "encode_unsuback", "encode_unsubscribe", "puback", "pubcomp", "publish_head", "pubrec", "pubrel",
    "variable_byte_integer",
]  # fmt: skip

PINGREQ_FRAME: Final = b"\xc0\x00"
PINGRESP_FRAME: Final = b"\xd0\x00"

# The two bytes of every packet identifier.
PACKET_ID: Final[list[bytes]] = [number.to_bytes(2, "big") for number in range(65_536)]

# Acknowledgements of success by packet identifier, made when first needed.
_PUBACKS: Final[list[bytes | None]] = [None] * 65_536
_PUBRECS: Final[list[bytes | None]] = [None] * 65_536
_PUBRELS: Final[list[bytes | None]] = [None] * 65_536
_PUBCOMPS: Final[list[bytes | None]] = [None] * 65_536

_SHORT_HEADS: Final[list[list[bytes]]] = [
    [bytes((packets.PUBLISH << 4 | flags, length)) for length in range(128)] for flags in range(16)
]


def puback(packet_id: int) -> bytes:
    """PUBACK, success, any version."""
    frame = _PUBACKS[packet_id]
    if frame is None:
        frame = b"\x40\x02" + PACKET_ID[packet_id]
        _PUBACKS[packet_id] = frame
    return frame


def pubrec(packet_id: int) -> bytes:
    """PUBREC, success, any version."""
    frame = _PUBRECS[packet_id]
    if frame is None:
        frame = b"\x50\x02" + PACKET_ID[packet_id]
        _PUBRECS[packet_id] = frame
    return frame


def pubrel(packet_id: int) -> bytes:
    """PUBREL, success, any version."""
    frame = _PUBRELS[packet_id]
    if frame is None:
        frame = b"\x62\x02" + PACKET_ID[packet_id]
        _PUBRELS[packet_id] = frame
    return frame


def pubcomp(packet_id: int) -> bytes:
    """PUBCOMP, success, any version."""
    frame = _PUBCOMPS[packet_id]
    if frame is None:
        frame = b"\x70\x02" + PACKET_ID[packet_id]
        _PUBCOMPS[packet_id] = frame
    return frame


def publish_head(topic: bytes, flags: int, body_length: int) -> bytes:
    """A PUBLISH up to its Topic Name.

    `flags` are DUP, QoS and RETAIN, or the whole first byte; `body_length` counts the bytes that will follow:
    packet identifier, properties with their length, payload.
    """
    size = len(topic)
    length = size + 2 + body_length
    if length < 128:
        return _SHORT_HEADS[flags & 15][length] + PACKET_ID[size] + topic
    if size > 65_535:
        raise ValueError(f"a topic of {size} bytes, at most 65,535 are possible")
    return (
        bytes((packets.PUBLISH << 4 | flags & 15,)) + variable_byte_integer(length) + PACKET_ID[size] + topic
    )


def encode_publish(
    version: int, flags: int, topic: bytes, packet_id: int, payload: bytes, properties: bytes = b"\x00"
) -> bytes:
    """PUBLISH. `flags` are DUP, QoS and RETAIN; `properties` are encoded, their length in front."""
    if flags & 6:
        head = PACKET_ID[packet_id] + properties if version == 5 else PACKET_ID[packet_id]
    else:
        head = properties if version == 5 else b""
    return publish_head(topic, flags, len(head) + len(payload)) + head + payload


def encode_connect(packet: Connect) -> bytes:
    """CONNECT of `packet.version`."""
    version = packet.version
    will = packet.will
    flags = 2 if packet.clean_start else 0
    if will is not None:
        flags |= 4 | will.qos << 3 | (0x20 if will.retain else 0)
    if packet.username is not None:
        flags |= 0x80
    if packet.password is not None:
        flags |= 0x40
    level = version | 0x80 if packet.is_bridge else version
    body = binary_field(b"MQIsdp" if version == 3 else b"MQTT") + bytes((level, flags))
    body += PACKET_ID[packet.keep_alive]
    if version == 5:
        body += encode_properties(packet.properties)
    body += string_field(packet.client_id)
    if will is not None:
        if version == 5:
            body += _will_properties(will)
        body += binary_field(will.topic) + binary_field(will.payload)
    if packet.username is not None:
        body += string_field(packet.username)
    if packet.password is not None:
        body += binary_field(packet.password)
    return _frame(packets.CONNECT << 4, body)


def _will_properties(will: Will) -> bytes:
    forwarded = will.properties
    if will.delay_interval:
        forwarded = bytes((WILL_DELAY_INTERVAL,)) + will.delay_interval.to_bytes(4, "big") + forwarded
    return encode_message_properties(forwarded, will.message_expiry_interval, 0, None)


def encode_connack(
    version: int, session_present: bool, reason: int, properties: Properties | None = None
) -> bytes:
    """CONNACK. For MQTT 3 `reason` is the return code (`reasons.connack_return_code`).

    Session present is left out in MQTT 3.1, which has none.
    """
    body = bytes((1 if session_present and version != 3 else 0, reason))
    if version == 5:
        body += encode_properties(properties)
    return _frame(packets.CONNACK << 4, body)


def encode_ack(
    packet_type: int,
    version: int,
    packet_id: int,
    reason: int = reasons.SUCCESS,
    properties: Properties | None = None,
) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP. MQTT 3 has neither reasons nor properties: they are left out."""
    if version != 5 or (reason == reasons.SUCCESS and properties is None):
        if packet_type == packets.PUBACK:
            return puback(packet_id)
        if packet_type == packets.PUBREC:
            return pubrec(packet_id)
        if packet_type == packets.PUBREL:
            return pubrel(packet_id)
        return pubcomp(packet_id)
    body = PACKET_ID[packet_id] + bytes((reason,))
    if properties is not None:
        body += encode_properties(properties)
    return _frame(packet_type << 4 | (2 if packet_type == packets.PUBREL else 0), body)


def encode_subscribe(version: int, packet: Subscribe) -> bytes:
    """SUBSCRIBE. `subscription_identifier` counts, not the list in `properties`."""
    parts = [PACKET_ID[packet.packet_id]]
    if version == 5:
        properties = Properties()
        if packet.properties is not None:
            properties.user_properties = packet.properties.user_properties
        if packet.subscription_identifier:
            properties.subscription_identifiers = [packet.subscription_identifier]
        parts.append(encode_properties(properties))
    for request in packet.requests:
        options = request.qos
        if version == 5:
            options |= 4 if request.no_local else 0
            options |= 8 if request.retain_as_published else 0
            options |= request.retain_handling << 4
        parts.append(string_field(request.topic_filter) + bytes((options,)))
    return _frame(packets.SUBSCRIBE << 4 | 2, b"".join(parts))


def encode_suback(
    version: int, packet_id: int, reasons: list[int], properties: Properties | None = None
) -> bytes:
    """SUBACK, a reason code (MQTT 3: return code) for each topic filter."""
    if version == 5:
        return _frame(
            packets.SUBACK << 4, PACKET_ID[packet_id] + encode_properties(properties) + bytes(reasons)
        )
    return _frame(packets.SUBACK << 4, PACKET_ID[packet_id] + bytes(reasons))


def encode_unsubscribe(version: int, packet: Unsubscribe) -> bytes:
    """UNSUBSCRIBE."""
    parts = [PACKET_ID[packet.packet_id]]
    if version == 5:
        parts.append(encode_properties(packet.properties))
    for topic_filter in packet.topic_filters:
        parts.append(string_field(topic_filter))
    return _frame(packets.UNSUBSCRIBE << 4 | 2, b"".join(parts))


def encode_unsuback(
    version: int, packet_id: int, reasons: list[int], properties: Properties | None = None
) -> bytes:
    """UNSUBACK; MQTT 3 has no reason codes: they are left out."""
    if version != 5:
        return _frame(packets.UNSUBACK << 4, PACKET_ID[packet_id])
    return _frame(
        packets.UNSUBACK << 4, PACKET_ID[packet_id] + encode_properties(properties) + bytes(reasons)
    )


def encode_disconnect(
    version: int, reason: int = reasons.SUCCESS, properties: Properties | None = None
) -> bytes:
    """DISCONNECT; MQTT 3 has neither reason nor properties: they are left out."""
    if version != 5 or (reason == reasons.SUCCESS and properties is None):
        return b"\xe0\x00"
    if properties is None:
        return bytes((packets.DISCONNECT << 4, 1, reason))
    return _frame(packets.DISCONNECT << 4, bytes((reason,)) + encode_properties(properties))


def encode_auth(reason: int, properties: Properties | None = None) -> bytes:
    """AUTH, MQTT 5 only."""
    if reason == reasons.SUCCESS and properties is None:
        return b"\xf0\x00"
    return _frame(packets.AUTH << 4, bytes((reason,)) + encode_properties(properties))


def encode(packet: Packet, version: int) -> bytes:
    """Any packet."""
    if isinstance(packet, Publish):
        properties = encode_message_properties(
            packet.properties,
            packet.message_expiry_interval,
            packet.topic_alias,
            packet.subscription_identifiers,
        )
        return encode_publish(
            version, packet.flags, packet.topic, packet.packet_id, packet.payload, properties
        )
    if isinstance(packet, Ack):
        return encode_ack(packet.type, version, packet.packet_id, packet.reason, packet.properties)
    if isinstance(packet, Connect):
        return encode_connect(packet)
    if isinstance(packet, Connack):
        return encode_connack(version, packet.session_present, packet.reason, packet.properties)
    if isinstance(packet, Subscribe):
        return encode_subscribe(version, packet)
    if isinstance(packet, Suback):
        return encode_suback(version, packet.packet_id, packet.reasons, packet.properties)
    if isinstance(packet, Unsubscribe):
        return encode_unsubscribe(version, packet)
    if isinstance(packet, Unsuback):
        return encode_unsuback(version, packet.packet_id, packet.reasons, packet.properties)
    if isinstance(packet, Disconnect):
        return encode_disconnect(version, packet.reason, packet.properties)
    if isinstance(packet, Auth):
        return encode_auth(packet.reason, packet.properties)
    return PINGREQ_FRAME if packet.type == packets.PINGREQ else PINGRESP_FRAME


def _frame(first: int, body: bytes) -> bytes:
    return bytes((first,)) + variable_byte_integer(len(body)) + body
