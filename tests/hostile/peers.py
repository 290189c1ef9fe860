"""Peers on bare sockets, which do what no client library would."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

from tests.support import packets
from tests.support.wire import Address

DEADLINE = 30.0
SMALL_BUFFER = 4096
"""Bytes of a receive buffer that fills at once."""


def open_socket(address: Address, receive_buffer: int = 0) -> socket.socket:
    """A connected socket with a deadline; with a small receive buffer it makes for a slow reader."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(DEADLINE)
    sock.connect(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """The next `count` bytes."""
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        assert chunk, f"closed after {data!r}"
        data += chunk
    return data


def read_packet(sock: socket.socket) -> bytes:
    """The next packet, header and all; of less than 128 bytes."""
    head = read_exactly(sock, 2)
    assert head[1] < 128
    return head + read_exactly(sock, head[1])


def read_to_end(sock: socket.socket) -> bytes:
    """Everything until the broker closes, which it has to do; a reset is an end as well."""
    data = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while chunk := sock.recv(65536):
            data += chunk
    return data


def connected(
    address: Address,
    client_id: str,
    version: int = 5,
    receive_buffer: int = 0,
    tls: ssl.SSLContext | None = None,
    **options: object,
) -> socket.socket:
    """A client that has its CONNACK; the options are those of packets.connect."""
    sock = open_socket(address, receive_buffer)
    if tls is not None:
        sock = tls.wrap_socket(sock, server_hostname="localhost")
    sock.sendall(packets.connect(client_id, version, **options))  # type: ignore[arg-type]
    connack = read_packet(sock)
    assert connack[0] == 0x20
    assert connack[3] == 0, connack
    return sock


def subscribed(
    address: Address,
    client_id: str,
    topic_filter: str,
    qos: int = 0,
    version: int = 5,
    tls: ssl.SSLContext | None = None,
) -> socket.socket:
    """A subscriber that reads no more from here on, and has little room for what is sent to it."""
    sock = connected(address, client_id, version, SMALL_BUFFER, tls)
    sock.sendall(packets.subscribe(1, [(topic_filter, qos)], version))
    assert read_packet(sock)[0] == 0x90
    return sock


@contextlib.contextmanager
def closing(sockets: list[socket.socket]) -> Iterator[list[socket.socket]]:
    """Closes them all in the end, however many there are by then."""
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()
