"""Servers on loopback for tests: TLS with a chain of one's choice, and HTTP for issuers' certificates."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.pki.issuing import Signed


@contextlib.contextmanager
def tls_server(
    folder: Path,
    chain: list[Signed],
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    client_ca: Signed | None = None,
    alternatives: dict[str, list[Signed]] | None = None,
    received: list[bytes] | None = None,
) -> Iterator[int]:
    """A server that presents a chain, and another one for each name in `alternatives`; gives its port.

    client_ca: clients must show a certificate of this CA. received: what each sent first.
    """
    context = _context(folder, chain, version, client_ca)
    others = {name: _context(folder, each, version, None) for name, each in (alternatives or {}).items()}

    def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        if name in others:
            connection.context = others[name]

    context.sni_callback = choose
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(
            target=_serve, args=(listener, context, [] if received is None else received)
        )
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _context(
    folder: Path, chain: list[Signed], version: ssl.TLSVersion, client_ca: Signed | None
) -> ssl.SSLContext:
    certificates, key = folder / "served.pem", folder / "served.key"
    certificates.write_bytes(b"".join(each.pem for each in chain))
    key.write_bytes(chain[0].key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(certificates, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_ca.pem.decode())
    return context


def _serve(listener: socket.socket, context: ssl.SSLContext, received: list[bytes]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.settimeout(10)
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as session:
            received.append(session.recv(1))


@contextlib.contextmanager
def plain_server(answer: bytes = b"") -> Iterator[int]:
    """A server that speaks no TLS: it answers the first bytes with others, or closes; gives its port."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                connection.recv(4096)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@contextlib.contextmanager
def slow_server() -> Iterator[int]:
    """An HTTP server that sends a byte of its answer's head now and then, for ever; gives its port."""
    stop = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not stop.wait(0.02):
                    connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@contextlib.contextmanager
def http_server(files: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """A server with files by path; gives its address without a final slash, and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
