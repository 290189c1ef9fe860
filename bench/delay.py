"""The event-loop delay that Lockwire reports about itself under $SYS."""

from __future__ import annotations

import contextlib
import socket
import time

TOPIC = "$SYS/broker/load/loop-delay/max-ms"
INTERVAL = 0.5  # seconds between two reports; written into the broker's configuration

_CONNECT = bytes((0x10, 23, 0, 4)) + b"MQTT" + bytes((4, 2, 0x0E, 0x10, 0, 11)) + b"bench-delay"


class LoopDelay:
    """A plain MQTT 3.1.1 client that listens to the reports while something is measured."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._buffer = b""
        topic = len(TOPIC).to_bytes(2, "big") + TOPIC.encode()
        subscribe = bytes((0, 1)) + topic + b"\0"
        self._socket.sendall(_CONNECT + bytes((0x82, len(subscribe))) + subscribe)
        self._await(9)
        self._reports()

    def maximum(self) -> float | None:
        """The longest delay in milliseconds of every report since the start, and of the one due next.

        None where the broker does not report it.
        """
        delays = self._reports()
        deadline = time.monotonic() + 2 * INTERVAL
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                delay = _report(self._packet())
            except TimeoutError:
                break
            if delay is not None:
                delays.append(delay)
                break
        return max(delays) if delays else None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(b"\xe0\0")
        self._socket.close()

    def _await(self, packet_type: int) -> None:
        while self._packet()[0] >> 4 != packet_type:
            pass

    def _reports(self) -> list[float]:
        """The reports that have arrived."""
        delays = []
        self._socket.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            while True:
                delay = _report(self._packet())
                if delay is not None:
                    delays.append(delay)
        return delays

    def _packet(self) -> bytes:
        """One packet shorter than 128 bytes. Raises TimeoutError, or ConnectionError when the broker ends."""
        while len(self._buffer) < 2 or len(self._buffer) < 2 + self._buffer[1]:
            data = self._socket.recv(4096)
            if not data:
                raise ConnectionError("the broker closed the connection that listens to $SYS")
            self._buffer += data
        end = 2 + self._buffer[1]
        packet, self._buffer = self._buffer[:end], self._buffer[end:]
        return packet


def _report(packet: bytes) -> float | None:
    if packet[0] >> 4 != 3:
        return None
    payload = packet[4 + int.from_bytes(packet[2:4], "big") :]
    try:
        return float(payload)
    except ValueError:
        return None


def event_loop_delay(port: int) -> LoopDelay | None:
    """Listens to the reports of a broker on a plain port; None where it refuses or has none."""
    try:
        return LoopDelay(port)
    except OSError:
        return None
