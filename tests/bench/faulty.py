"""A relay of publications that makes mistakes on purpose, to see that the load generator finds them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

Mistakes = Callable[[int, bytes], list[bytes]]
"""Gets the number of a publication (1, 2, ...) and its packet; returns the packets that go out instead."""


class FaultyBroker:
    """Serves one MQTT 3.1.1 publisher and one subscriber, QoS 0, in a thread, until they have gone."""

    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._subscriber: socket.socket | None = None
        self._count = 0
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            for packet in packets(connection):
                match packet[0] >> 4:
                    case 1:
                        connection.sendall(b"\x20\x02\x00\x00")
                    case 8:
                        self._subscriber = connection
                        connection.sendall(b"\x90\x03" + packet[2:4] + b"\x00")
                    case 3:
                        assert self._subscriber is not None
                        self._count += 1
                        self._subscriber.sendall(b"".join(self._mistakes(self._count, packet)))


def packets(connection: socket.socket) -> Iterator[bytes]:
    """Packets shorter than 128 bytes, until DISCONNECT or the end."""
    with connection.makefile("rb") as stream:
        while head := stream.read(2):
            if head[0] >> 4 == 14:
                return
            yield head + stream.read(head[1])
