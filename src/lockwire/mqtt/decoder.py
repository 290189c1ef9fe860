"""Bytes in, packets out: framing, PUBLISH and the short packets. `bodies` reads all the others.

No byte is copied before its packet is complete, except the begin of a packet whose end has not come; a packet
that came in many pieces is joined once.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from lockwire.mqtt import reasons
from lockwire.mqtt.bodies import decode_body, read_connect
from lockwire.mqtt.errors import MalformedPacketError, ProtocolError
from lockwire.mqtt.packets import (
    AUTH,
    CONNECT,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREL,
    SUBSCRIBE,
    TYPE_NAMES,
    UNSUBSCRIBE,
    Ack,
    Connect,
    Packet,
    Pingreq,
    Publish,
)
from lockwire.mqtt.properties import decode_message_properties
from lockwire.mqtt.reader import Reader

# The control packet types that each side may send (MQTT 5 table 2-1), a bit each. In MQTT 3 only clients
# send DISCONNECT, and there is no AUTH.
_FROM_CLIENT: Final = 0b1101_0101_1111_1010
_FROM_SERVER: Final = 0b1110_1010_1111_1100
_ONLY_VERSION_5: Final = 0b1000_0000_0000_0000
_SERVER_ONLY_VERSION_5: Final = 0b1100_0000_0000_0000

_CONNECT: Final = 0x10
_PINGREQ: Final = 0xC0

# A piece below this is gathered with its neighbours: a peer that sends byte by byte costs bytes, not objects.
_SMALL: Final = 2_048
_GATHERED: Final = 16_384


class Decoder:
    """The packets that one peer sends.

    `server` True decodes what a client may send, False what a server may send. `version` is the protocol
    level: 0 until a CONNECT came; a client sets it before its first packet comes. `maximum_packet_size` is in
    bytes, fixed header included, and may be changed at any time.

    After an error the decoder is finished: the connection has to be closed (MQTT 5 section 4.13).
    """

    def __init__(self, maximum_packet_size: int = 268_435_460, server: bool = True) -> None:
        self.version: int = 0
        self.maximum_packet_size: i64 = maximum_packet_size
        self.server = server
        self._data: bytes = b""
        self._position: i64 = 0
        self._size: i64 = 0
        self._waiting = False  # something is in _pieces or _later
        # The packet whose end has not come. While there is one, _data and _later are empty.
        self._pieces: list[bytes | bytearray] = []
        self._held: i64 = 0
        self._expected: i64 = 0  # its size, 0 while the fixed header is not complete
        # What came behind _data, from _later_start of the first on.
        self._later: list[bytes | bytearray] = []
        self._later_start: i64 = 0
        self._later_size: i64 = 0

    @property
    def buffered(self) -> int:
        """Bytes held and not yet decoded."""
        return self._size - self._position + self._held + self._later_size

    def feed(self, data: bytes) -> None:
        """Take what came from the peer, pieces of any size. Call `next_packet` until it returns None."""
        if self._position == self._size and not self._waiting:
            self._data = data
            self._position = 0
            self._size = len(data)
        elif self._held > 0:
            self._gather(data, 0)
        else:
            _append(self._later, data)
            self._later_size += len(data)
            self._waiting = True

    def next_packet(self) -> Packet | None:
        """The next complete packet, None where there is none yet.

        Raises MalformedPacketError or ProtocolError, whose `reason` says why the connection has to end.
        """
        data = self._data
        start = self._position
        size = self._size
        if size - start < 2:
            return self._next_from_pieces()
        first: i64 = data[start]
        length: i64 = data[start + 1]
        body = start + 2
        minimal = True
        if length >= 128:
            length &= 127
            shift: i64 = 7
            while True:
                if body >= size:
                    return self._next_from_pieces()
                byte: i64 = data[body]
                body += 1
                length |= (byte & 127) << shift
                if byte < 128:
                    minimal = byte != 0
                    break
                shift += 7
                if shift > 21:
                    raise MalformedPacketError("the remaining length has more than four bytes")
        end = body + length
        if end - start > self.maximum_packet_size:
            raise ProtocolError(
                f"{end - start} bytes, at most {self.maximum_packet_size} are allowed",
                reasons.PACKET_TOO_LARGE,
            )
        if end > size:
            return self._next_from_pieces()
        self._position = end
        packet_type = first >> 4
        if packet_type == PUBLISH:
            if start != 0 or end != size:
                data = data[start:end]
            return self._publish(data, first & 15, body - start, end - start, minimal)
        if length == 2 and PUBACK <= packet_type <= PUBCOMP and minimal and self.version != 0:
            if (
                first != (packet_type << 4 | 2 if packet_type == PUBREL else packet_type << 4)
                and self.version != 3
            ):
                raise _flags(packet_type)
            high: i64 = data[body]
            low: i64 = data[body + 1]
            packet_id = (high << 8) | low
            if packet_id == 0:
                raise _packet_id()
            return Ack(packet_type, packet_id, reasons.SUCCESS, None)
        if first == _PINGREQ and length == 0 and minimal and self.server and self.version != 0:
            return Pingreq()
        return self._other(first, Reader(data, body, end), minimal)

    def _publish(self, frame: bytes, flags: i64, start: i64, size: i64, minimal: bool) -> Publish:
        """Read the variable header (MQTT 5 section 3.3.2) that begins at `start` of `frame`."""
        version = self.version
        body = start + 2
        if version == 0:
            raise _before_connect(PUBLISH)
        if body > size:
            raise _ends_early()
        high: i64 = frame[start]
        low: i64 = frame[start + 1]
        body += (high << 8) | low
        packet_id: i64 = 0
        if flags & 6:
            if body + 2 > size:
                raise _ends_early()
            if flags & 6 == 6:
                raise MalformedPacketError("PUBLISH with QoS 3")  # [MQTT5-3.3.1-4]
            high = frame[body]
            low = frame[body + 1]
            packet_id = (high << 8) | low
            if packet_id == 0:
                raise _packet_id()
            topic = frame[start + 2 : body]
            body += 2
        else:
            if body > size:
                raise _ends_early()
            if flags & 8:
                raise MalformedPacketError("PUBLISH with QoS 0 and DUP")  # [MQTT5-3.3.1-2]
            topic = frame[start + 2 : body]
        if version != 5:
            if not topic:
                raise _no_topic()
            return Publish(frame, flags, topic, packet_id, body, start, minimal and flags & 8 == 0)
        if body >= size:
            raise _ends_early()
        if not minimal:
            raise _not_minimal()
        if frame[body] == 0:
            if not topic:
                raise _no_topic()
            return Publish(frame, flags, topic, packet_id, body + 1, start, flags & 8 == 0)
        return self._publish_with_properties(frame, flags, topic, packet_id, body, start)

    def _publish_with_properties(
        self, frame: bytes, flags: i64, topic: bytes, packet_id: i64, body: i64, start: i64
    ) -> Publish:
        reader = Reader(frame, body, len(frame))
        length = reader.variable_byte_integer()
        body = reader.position + length
        if length > reader.left:
            raise MalformedPacketError("the properties are longer than the packet")
        found = decode_message_properties(frame, reader.position, body, False, self.server)
        if not topic and found.topic_alias == 0:
            raise _no_topic()
        packet = Publish(frame, flags, topic, packet_id, body, start, False)
        packet.properties = found.forwarded
        packet.message_expiry_interval = found.message_expiry_interval
        packet.topic_alias = found.topic_alias
        packet.subscription_identifiers = found.subscription_identifiers
        return packet

    def _other(self, first: i64, reader: Reader, minimal: bool) -> Packet:
        packet_type = first >> 4
        self._check_sender(packet_type)
        version = self.version
        if packet_type in (PUBREL, SUBSCRIBE, UNSUBSCRIBE):
            expected_flags: i64 = 2
        else:
            expected_flags = 0
        # MQTT 3.1 has DUP in some of these, and does not use the flags of the others.
        if first & 15 != expected_flags and version != 3:
            raise _flags(packet_type)
        if version == 5 and not minimal:
            raise _not_minimal()
        if packet_type != CONNECT:
            packet = decode_body(packet_type, version, self.server, reader)
            reader.finish()
            return packet
        return self._connect(reader, minimal)

    def _check_sender(self, packet_type: i64) -> None:
        """Refuse what the peer may not send, or not yet."""
        if packet_type == 0 or (packet_type == AUTH and self.version in (3, 4)):
            raise MalformedPacketError(f"control packet type {packet_type} is reserved")
        if self.version == 0 and packet_type != CONNECT:
            raise _before_connect(packet_type)  # [MQTT5-3.1.0-1]
        allowed: i64 = _FROM_CLIENT if self.server else _FROM_SERVER
        if self.version != 5:
            allowed &= ~(_ONLY_VERSION_5 if self.server else _SERVER_ONLY_VERSION_5)
        if not allowed >> packet_type & 1:
            raise ProtocolError(f"{TYPE_NAMES[packet_type]} from a {'client' if self.server else 'server'}")
        if packet_type == CONNECT and self.version != 0:
            raise ProtocolError("a second CONNECT")  # [MQTT5-3.1.0-2]

    def _refuse_first(self, first: i64) -> None:
        """Refuse what is no CONNECT by its first byte: the end of another protocol's may never come."""
        self._check_sender(first >> 4)
        raise _flags(first >> 4)

    def _connect(self, reader: Reader, minimal: bool) -> Packet:
        """Read a CONNECT. `version` is set even where it is refused: the CONNACK that says so needs it."""
        name = reader.binary()
        level = reader.byte() if name in (b"MQTT", b"MQIsdp") else 0
        version = level & 0x7F  # a bridge sets the highest bit
        if name == b"MQTT":
            self.version = 5 if version >= 5 else 4
        elif name == b"MQIsdp":
            self.version = 3
        if version != self.version or level == 0x85 or level == 0:
            # [MQTT5-3.1.2-1], [MQTT5-3.1.2-2]
            raise ProtocolError(f"protocol {name[:16]!r} level {level}", reasons.UNSUPPORTED_PROTOCOL_VERSION)
        if version == 5 and not minimal:
            raise _not_minimal()
        packet = Connect()
        packet.version = version
        packet.is_bridge = level != version
        read_connect(packet, reader)
        reader.finish()
        return packet

    def _next_from_pieces(self) -> Packet | None:
        """Go on behind the current block, which holds no complete packet (any more)."""
        if self._held == 0:
            if self._position < self._size:
                begin = self._data[self._position :] if self._position else self._data
                if self.version == 0 and begin[0] != _CONNECT:
                    self._refuse_first(begin[0])
                self._pieces = [begin]
                self._held = self._size - self._position
                self._expected = _packet_size(begin)
                self._waiting = True
            self._data = b""
            self._position = 0
            self._size = 0
        if not self._later:
            return None
        later = self._later[0]
        if len(self._later) > 1 or not isinstance(later, bytes):
            later = b"".join(self._later)
        offset = self._later_start
        self._later = []
        self._later_start = 0
        self._later_size = 0
        if self._held > 0:
            self._gather(later, offset)
        else:
            self._data = later
            self._position = offset
            self._size = len(later)
            self._waiting = False
        if self._position < self._size:
            return self.next_packet()
        return None

    def _gather(self, data: bytes, offset: i64) -> None:
        """Add `data` from `offset` on to the packet whose end has not come; where it ends in it, join it."""
        size: i64 = len(data)
        if self._expected == 0:
            # At most four bytes are held: the fixed header, without its end.
            header = b"".join(self._pieces) + data[offset : offset + 5]
            self._expected = _packet_size(header)
            if self._expected == 0:
                self._pieces = [header]
                self._held = len(header)
                return
        missing = self._expected - self._held
        if size - offset >= missing or self._expected > self.maximum_packet_size:
            self._join(data, offset, missing)
            return
        if offset:
            data = data[offset:]
            size -= offset
        _append(self._pieces, data)
        self._held += size

    def _join(self, data: bytes, offset: i64, missing: i64) -> None:
        """Make the packet held, completed by `missing` bytes of `data` from `offset` on, the block."""
        size: i64 = len(data)
        after = offset + missing
        self._pieces.append(data if offset == 0 and after >= size else data[offset:after])
        self._data = b"".join(self._pieces)
        self._position = 0
        self._size = len(self._data)
        self._pieces = []
        self._held = 0
        self._expected = 0
        self._waiting = after < size
        if after < size:
            self._later = [data]
            self._later_start = after
            self._later_size = size - after


def _append(pieces: list[bytes | bytearray], data: bytes) -> None:
    """Add `data`, to the last of the pieces where both are small."""
    if len(data) >= _SMALL or not pieces:
        pieces.append(data)
        return
    last = pieces[len(pieces) - 1]
    if isinstance(last, bytearray) and len(last) < _GATHERED:
        last += data
    else:
        pieces.append(bytearray(data))


def _packet_size(begin: bytes) -> i64:
    """The size of the packet that begins so, in bytes; 0 where its fixed header is not complete.

    5 for a remaining length of more than four bytes, which `next_packet` refuses.
    """
    length: i64 = 0
    shift: i64 = 0
    size: i64 = len(begin)
    position: i64 = 1
    while position < size and position < 5:
        byte: i64 = begin[position]
        position += 1
        length |= (byte & 127) << shift
        if byte < 128:
            return position + length
        shift += 7
    return 5 if size >= 5 else 0


def _flags(packet_type: i64) -> MalformedPacketError:
    return MalformedPacketError(f"{TYPE_NAMES[packet_type]} with reserved flags")  # [MQTT5-2.1.3-1]


def _packet_id() -> MalformedPacketError:
    return MalformedPacketError("the packet identifier is 0")  # [MQTT5-2.2.1-3]


def _ends_early() -> MalformedPacketError:
    return MalformedPacketError("PUBLISH ends inside its variable header")


def _not_minimal() -> MalformedPacketError:
    return MalformedPacketError("the remaining length is longer than needed")  # [MQTT5-1.5.5-1]


def _no_topic() -> ProtocolError:
    return ProtocolError("PUBLISH without a topic name and without a topic alias")  # [MQTT5-4.7.3-1]


def _before_connect(packet_type: i64) -> ProtocolError:
    return ProtocolError(f"{TYPE_NAMES[packet_type]} before CONNECT")
