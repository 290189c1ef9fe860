"""Reads the fields of a packet one after another (MQTT 5 section 1.5).

For every packet but PUBLISH and the short acknowledgements, which the decoder reads in place.
"""

from __future__ import annotations

from mypy_extensions import i64

from lockwire.mqtt.errors import MalformedPacketError
from lockwire.mqtt.topics import utf8_string


class Reader:
    """A position in `data`, which ends at `end`. Each method raises MalformedPacketError past the end."""

    def __init__(self, data: bytes, position: i64, end: i64) -> None:
        self.data = data
        self.position: i64 = position
        self.end: i64 = end

    @property
    def left(self) -> i64:
        return self.end - self.position

    def _take(self, count: i64) -> i64:
        start = self.position
        if self.end - start < count:
            raise MalformedPacketError("the packet ends inside a field")
        self.position = start + count
        return start

    def byte(self) -> i64:
        return self.data[self._take(1)]

    def two_bytes(self) -> i64:
        start = self._take(2)
        high: i64 = self.data[start]
        low: i64 = self.data[start + 1]
        return (high << 8) | low

    def four_bytes(self) -> i64:
        high = self.two_bytes()
        return (high << 16) | self.two_bytes()

    def variable_byte_integer(self) -> i64:
        """Raises MalformedPacketError for a fifth byte and for more bytes than needed [MQTT5-1.5.5-1]."""
        value: i64 = 0
        shift: i64 = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                if byte == 0 and shift > 0:
                    raise MalformedPacketError("a variable byte integer is longer than needed")
                return value
            shift += 7
            if shift > 21:
                raise MalformedPacketError("a variable byte integer has more than four bytes")

    def binary(self) -> bytes:
        """Binary Data (MQTT 5 section 1.5.6)."""
        start = self._take(self.two_bytes())
        return self.data[start : self.position]

    def string(self) -> str:
        """A UTF-8 Encoded String (MQTT 5 section 1.5.4)."""
        return utf8_string(self.binary())

    def finish(self) -> None:
        """Refuse bytes behind the last field."""
        if self.position != self.end:
            raise MalformedPacketError("the packet goes on behind its last field")
