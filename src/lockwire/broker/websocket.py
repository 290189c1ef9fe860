"""MQTT over WebSocket, between TLS (or TCP) and the MQTT decoder: bytes in, payloads out (MQTT 5 section 6).

Sans-I/O. The opening handshake and the frames that come in are read by `wsproto`; the frames that go out
are built here: a binary frame of 64 bytes costs 0.07 us this way and 1.2 us through wsproto (measured).
No extension is ever accepted, so compression is off.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, Request
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, Opcode, ParseFailed
from wsproto.handshake import H11Handshake
from wsproto.utilities import RemoteProtocolError

SUBPROTOCOLS: Final = ("mqtt", "mqttv3.1")
"""What a client may name in Sec-WebSocket-Protocol, best first [MQTT5-6.0.0-3]; the second is MQTT 3.1's."""

MAXIMUM_HEAD: Final = 8192
"""Bytes of the HTTP request, up to and with its empty line."""

_HEADER_UP_TO_125: Final = [bytes((0x82, length)) for length in range(126)]
_header_up_to_65535: Final = struct.Struct("!BBH").pack
_header_longer: Final = struct.Struct("!BBQ").pack
_METHODS: Final = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH")
_STATUS_TEXT: Final = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
}


class WebSocketLayer:
    """The server's end of one WebSocket connection that carries MQTT.

    Args:
        path: the path that the request must name (`/mqtt`); empty accepts every path. A query is ignored.
        origins: web pages whose scripts may connect, `https://host[:port]`; `*` accepts every page. Empty:
            pages of the host that the request itself names. A request without Origin comes from a program,
            not from a page, and is always accepted.

    Attributes:
        open: the opening handshake is complete and neither side has ended the connection.
        closed: no payload comes in or goes out any more; the transport closes after `pending_output`.
        failure: why the connection was refused or broken off, in words for the log; None if it was not.
        subprotocol: what was agreed, `mqtt` or `mqttv3.1`; empty until `open`.
    """

    __slots__ = (
        "_frames",
        "_head",
        "_origins",
        "_output",
        "_path",
        "closed",
        "failure",
        "open",
        "subprotocol",
    )

    def __init__(self, path: str, origins: Sequence[str] = ()) -> None:
        self.open = False
        self.closed = False
        self.failure: str | None = None
        self.subprotocol = ""
        self._path = path
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._head = bytearray()
        self._frames: FrameProtocol | None = None
        self._output = bytearray()

    def receive(self, data: bytes) -> list[bytes]:
        """Takes bytes from the peer; gives the payload bytes that they complete, in order.

        Frame boundaries carry no meaning: a packet may span frames and a frame may hold several packets
        [MQTT5-6.0.0-2]. A frame's payload is handed on as it arrives, never held until the frame is complete.
        Never raises on the peer's fault: look at `closed` and `failure` afterwards.
        """
        if self.closed:
            return []
        if self._frames is None:
            data = self._read_head(data)
            if self._frames is None:
                return []
        return self._read_frames(self._frames, data)

    def pending_output(self) -> bytes:
        """The bytes that must go to the peer now (HTTP response, pong, close), once; b"" if none."""
        if not self._output:
            return b""
        output = bytes(self._output)
        self._output.clear()
        return output

    def send(self, data: bytes) -> bytes:
        """One unmasked binary frame around `data`; b"" once closed [MQTT5-6.0.0-1]."""
        if not self.open:
            return b""
        length = len(data)
        if length < 126:
            return _HEADER_UP_TO_125[length] + data
        if length < 65536:
            return _header_up_to_65535(0x82, 126, length) + data
        return _header_longer(0x82, 127, length) + data

    def close(self, code: int = CloseReason.NORMAL_CLOSURE, reason: str = "") -> bytes:
        """Ends the connection from our side (RFC 6455 section 7.1.2); gives the close frame to write.

        Nothing is read afterwards: the transport closes once the frame is written, and the peer's own close
        frame need not be waited for. b"" where there is no open connection to end.
        """
        was_open = self.open
        self.open = False
        self.closed = True
        if not was_open or self._frames is None:
            return b""
        return bytes(self._frames.close(code, reason))

    # -- the opening handshake (RFC 6455 section 4.2)

    def _read_head(self, data: bytes) -> bytes:
        """Collects the HTTP request; once complete, answers it and gives the bytes that follow it."""
        searched = max(0, len(self._head) - 3)
        self._head += data
        end = self._head.find(b"\r\n\r\n", searched)
        if end < 0:
            if not _may_be_http(self._head):
                self._refuse(400, "not HTTP: this port speaks MQTT over WebSocket, in an HTTP connection")
            elif len(self._head) > MAXIMUM_HEAD:
                self._refuse(431, f"the request is longer than {MAXIMUM_HEAD} bytes")
            return b""
        if end + 4 > MAXIMUM_HEAD:
            self._refuse(431, f"the request is longer than {MAXIMUM_HEAD} bytes")
            return b""
        head, rest = bytes(self._head[: end + 4]), bytes(self._head[end + 4 :])
        self._head.clear()
        self._answer(head)
        return rest

    def _answer(self, head: bytes) -> None:
        handshake = H11Handshake(ConnectionType.SERVER)
        try:
            handshake.receive_data(head)
            request = next(handshake.events(), None)
        except RemoteProtocolError as error:
            self._refuse(*_explain(head, str(error)))
            return
        except ValueError:
            self._refuse(400, "a header that is not ASCII, or a Host that is no host name")
            return
        if not isinstance(request, Request):
            self._refuse(400, "the request is not complete")
            return
        subprotocol = self._agree(request)
        if subprotocol:
            self._output += handshake.send(AcceptConnection(subprotocol=subprotocol))
            self._frames = FrameProtocol(client=False, extensions=[])
            self.subprotocol = subprotocol
            self.open = True

    def _agree(self, request: Request) -> str:
        """The subprotocol for this request; empty after a refusal."""
        if self._path and request.target.partition("?")[0] != self._path:
            self._refuse(404, f"no MQTT at this path: the path of this listener is {self._path}")
            return ""
        for name, value in request.extra_headers:
            if name == b"origin" and not self._accepts(value.decode("latin-1"), request.host):
                self._refuse(403, f"pages of {value.decode('latin-1')!r} may not connect here (origins)")
                return ""
        for subprotocol in SUBPROTOCOLS:
            if subprotocol in request.subprotocols:
                return subprotocol
        self._refuse(400, "Sec-WebSocket-Protocol must include mqtt [MQTT5-6.0.0-3]")
        return ""

    def _accepts(self, origin: str, host: str) -> bool:
        if self._origins:
            return origin.lower() in self._origins or "*" in self._origins
        try:
            # Without the ports: a page comes from a web server, which cannot have this listener's port.
            return urlsplit(origin).hostname == urlsplit(f"//{host}").hostname
        except ValueError:
            return False

    def _refuse(self, status: int, why: str) -> None:
        self.failure = why
        self.closed = True
        self._head.clear()
        body = f"Lockwire: {why}.\n".encode("ascii", "backslashreplace")
        lines = [
            f"HTTP/1.1 {status} {_STATUS_TEXT[status]}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Connection: close" if status != 426 else "Connection: close, Upgrade",
        ]
        if status == 426:
            lines += ["Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        self._output += "\r\n".join([*lines, "", ""]).encode("ascii") + body

    # -- frames (RFC 6455 section 5)

    def _read_frames(self, frames: FrameProtocol, data: bytes) -> list[bytes]:
        payloads: list[bytes] = []
        pong: bytes | None = None
        frames.receive_bytes(data)
        try:
            for frame in frames.received_frames():
                if frame.opcode is Opcode.BINARY:
                    if frame.payload:
                        payloads.append(_bytes(frame))
                elif frame.opcode is Opcode.PING:
                    pong = _bytes(frame)
                elif frame.opcode is Opcode.TEXT:
                    # The code that the standard asks for is a matter of RFC 6455 section 7.4.1: 1003.
                    self._break_off(
                        frames, CloseReason.UNSUPPORTED_DATA, "MQTT goes in binary frames [MQTT5-6.0.0-1]"
                    )
                    break
                elif frame.opcode is Opcode.CLOSE:
                    self._closed_by_peer(frames, frame)
                    break
        except ParseFailed as error:
            self._break_off(frames, error.code, str(error))
        if pong is not None and self.open:
            # Only the latest ping is answered (RFC 6455 section 5.5.3): a flood of pings makes none of pongs.
            self._output += frames.pong(pong)
        return payloads

    def _break_off(self, frames: FrameProtocol, code: int, why: str) -> None:
        self.open = False
        self.closed = True
        self.failure = why
        self._output += frames.close(code, why)

    def _closed_by_peer(self, frames: FrameProtocol, frame: Frame) -> None:
        code = frame.payload[0] if isinstance(frame.payload, tuple) else CloseReason.NO_STATUS_RCVD
        self.open = False
        self.closed = True
        self._output += frames.close(None if code == CloseReason.NO_STATUS_RCVD else int(code))


def _bytes(frame: Frame) -> bytes:
    assert isinstance(frame.payload, (bytes, bytearray))
    return bytes(frame.payload)


def _may_be_http(head: bytearray) -> bool:
    """Whether these first bytes can still become an HTTP request: an MQTT CONNECT or a ClientHello cannot."""
    method = bytes(head[:8]).partition(b" ")[0]
    return any(known.startswith(method) for known in _METHODS)


def _explain(head: bytes, error: str) -> tuple[int, str]:
    """The status and the words for a request that wsproto refused with `error`."""
    lines = head.lower().split(b"\r\n")
    if not any(line.startswith(b"upgrade:") and b"websocket" in line for line in lines):
        if error == "Bad HTTP message":
            return 400, "a malformed HTTP request; this port speaks MQTT over WebSocket"
        return 426, "this port speaks MQTT over WebSocket only: connect with an MQTT client"
    if error.endswith("'Sec-WebSocket-Version'"):
        return 426, "only WebSocket version 13 is spoken here"
    return 400, "no WebSocket handshake: " + error.replace("'", "")
