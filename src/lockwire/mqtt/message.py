"""An Application Message and its wire forms: encoded once each, shared by every subscriber of the form.

MQTT 3 and MQTT 5 differ on the wire, and so do QoS 0 (no packet identifier) and QoS 1 or 2. A PUBLISH with
QoS 1 or 2 leaves as head, packet identifier, tail; head and tail are the same for all who get that form.
"""

from __future__ import annotations

import time
from typing import Final

from mypy_extensions import mypyc_attr

from lockwire.mqtt.encoder import publish_head, variable_byte_integer
from lockwire.mqtt.packets import Publish

_EMPTY_PROPERTIES: Final = b"\x00"
_PUBLISH: Final = 0x30
_MESSAGE_EXPIRY_INTERVAL: Final = b"\x02"
_TOPIC_ALIAS: Final = b"\x23"

OVERHEAD: Final = 256
"""Bytes that a message costs beside its content, about."""


@mypyc_attr(acyclic=True)
class Message:
    """One Application Message (MQTT 5 section 1.2).

    `properties` are encoded and without their length, as `Publish.properties`. `expires_at` is a time of
    `time.time()`, 0.0: never. `publisher` is the number of the session that sent it (for No Local), 0: none.
    """

    def __init__(self, topic: bytes, payload: bytes, properties: bytes, qos: int, retain: bool) -> None:
        self.topic = topic
        self._payload: bytes | None = payload
        self._source: bytes = b""
        self._body: int = 0
        self.length: int = len(payload)
        self.properties = properties
        self.qos = qos
        self.retain = retain
        self.expires_at: float = 0.0
        self.publisher: int = 0
        self.number: int = 0
        self._frame4: bytes | None = None
        self._frame5: bytes | None = None
        self._head4: bytes | None = None
        self._head5: bytes | None = None
        self._head_qos: int = 0
        self._tail5: bytes | None = None

    @property
    def payload(self) -> bytes:
        """The Application Message's payload, cut out of a longer piece when first asked for."""
        payload = self._payload
        if payload is None:
            payload = self._source[self._body :]
            self._payload = payload
        return payload

    def frame(self, version: int) -> bytes:
        """The whole PUBLISH with QoS 0, RETAIN 0 and nothing that differs between subscribers."""
        if version == 5:
            frame = self._frame5
            if frame is None:
                tail = self.tail(5)
                frame = publish_head(self.topic, _PUBLISH, len(tail)) + tail
                self._frame5 = frame
            return frame
        frame = self._frame4
        if frame is None:
            frame = publish_head(self.topic, _PUBLISH, self.length) + self.payload
            self._frame4 = frame
        return frame

    def head(self, version: int, qos: int) -> bytes:
        """Fixed header and topic of the PUBLISH with QoS 1 or 2, RETAIN 0: what stands before the
        identifier.
        """
        if qos != self._head_qos:
            self._head4 = None
            self._head5 = None
            self._head_qos = qos
        if version == 5:
            head = self._head5
            if head is None:
                head = publish_head(self.topic, _PUBLISH | (qos << 1), len(self.tail(5)) + 2)
                self._head5 = head
            return head
        head = self._head4
        if head is None:
            head = publish_head(self.topic, _PUBLISH | (qos << 1), self.length + 2)
            self._head4 = head
        return head

    def tail(self, version: int) -> bytes:
        """What stands behind the packet identifier: in MQTT 5 the properties, and the payload."""
        if version != 5:
            return self.payload
        tail = self._tail5
        if tail is None:
            properties = self.properties
            if properties:
                tail = variable_byte_integer(len(properties)) + properties + self.payload
            else:
                tail = _EMPTY_PROPERTIES + self.payload
            self._tail5 = tail
        return tail

    @property
    def size(self) -> int:
        """Bytes that it is counted for in queues, its objects' own included."""
        return self.length + len(self.topic) + len(self.properties) + OVERHEAD

    def is_expired(self, now: float) -> bool:
        """Whether its Message Expiry Interval has passed at `now`, a time of `time.time()`
        [MQTT5-3.3.2-5].
        """
        return self.expires_at != 0.0 and now >= self.expires_at

    def encode(
        self,
        version: int,
        flags: int,
        packet_id: bytes,
        subscription_identifiers: bytes,
        alias: int,
        named: bool,
    ) -> bytes:
        """The PUBLISH that only one subscriber gets.

        `flags` are DUP, QoS and RETAIN; `packet_id` is empty for QoS 0; `subscription_identifiers` are
        encoded
        properties; `alias` 0: none; `named` False leaves the Topic Name to the alias [MQTT5-3.3.2-8]. The
        Message Expiry Interval is what remains of it [MQTT5-3.3.2-6].
        """
        topic = self.topic if named else b""
        if version != 5:
            return (
                publish_head(topic, _PUBLISH | flags, len(packet_id) + len(self.payload))
                + packet_id
                + self.payload
            )
        parts = [self.properties]
        if self.expires_at != 0.0:
            remaining = max(0, round(self.expires_at - time.time()))
            parts.append(_MESSAGE_EXPIRY_INTERVAL + remaining.to_bytes(4, "big"))
        if alias:
            parts.append(_TOPIC_ALIAS + alias.to_bytes(2, "big"))
        if subscription_identifiers:
            parts.append(subscription_identifiers)
        properties = b"".join(parts)
        body = packet_id + variable_byte_integer(len(properties)) + properties + self.payload
        return publish_head(topic, _PUBLISH | flags, len(body)) + body


def message_of(packet: Publish, version: int) -> Message:
    """The message in a PUBLISH that a client sent over `version`, keeping the slices that can leave as
    they came.
    """
    frame = packet.frame
    flags = packet.flags
    qos = (flags >> 1) & 3
    message = Message(packet.topic, b"", packet.properties, qos, flags & 1 != 0)
    message.length = len(frame) - packet.body
    message._payload = None
    message._source = frame
    message._body = packet.body
    if packet.message_expiry_interval >= 0:
        message.expires_at = time.time() + packet.message_expiry_interval
    if not packet.plain or flags & 0x09 or packet.topic_alias:
        return message
    end = packet.topic_start + 2 + len(packet.topic)
    if qos == 0:
        if version == 5:
            message._frame5 = frame
        else:
            message._frame4 = frame
        return message
    # Head and tail are all that is kept of the frame: what stands between them is the publisher's identifier.
    tail = frame[end + 2 :]
    message._head_qos = qos
    if version == 5:
        message._head5 = frame[:end]
        message._tail5 = tail
        message._source = tail
        message._body = 1
    else:
        message._head4 = frame[:end]
        message._payload = tail
        message._source = b""
    return message
