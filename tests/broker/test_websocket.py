"""MQTT over WebSocket: the layer against the client ends of `websockets` and `wsproto`, both sans-I/O."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from lockwire.broker.websocket import MAXIMUM_HEAD, WebSocketLayer

PACKETS = [b"\x10\x0c\x00\x04MQTT\x05\x02\x00\x3c\x00\x00", b"\xc0\x00", b"0\x05\x00\x01ahi", b"\xe0\x00"]


def request(path: str = "/mqtt", **changes: str | None) -> bytes:
    """An upgrade request; a keyword replaces the header of that name (_ for -), None leaves it out."""
    headers: dict[str, str | None] = {
        "Host": "localhost:9883",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "mqtt",
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def client_frame(opcode: int, payload: bytes, fin: bool = True, mask: bytes = b"\x11\x22\x33\x44") -> bytes:
    """One masked frame, built by hand from RFC 6455 section 5.2."""
    length = len(payload)
    first = (0x80 if fin else 0) | opcode
    if length < 126:
        header = struct.pack("!BB", first, 0x80 | length)
    elif length < 65536:
        header = struct.pack("!BBH", first, 0x80 | 126, length)
    else:
        header = struct.pack("!BBQ", first, 0x80 | 127, length)
    return header + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def opened() -> WebSocketLayer:
    layer = WebSocketLayer("/mqtt")
    assert layer.receive(request()) == []
    assert layer.pending_output().startswith(b"HTTP/1.1 101 ")
    assert layer.open
    return layer


def refusal(layer: WebSocketLayer, head: bytes) -> tuple[int, str, str]:
    """Feeds a request that must be refused; gives status, head and body of the answer."""
    assert layer.receive(head) == []
    assert layer.closed
    assert not layer.open
    assert layer.failure
    answer_head, _, body = layer.pending_output().decode().partition("\r\n\r\n")
    assert layer.pending_output() == b""
    assert f"Content-Length: {len(body)}" in answer_head
    return int(answer_head.split()[1]), answer_head, body


class TestOpeningHandshake:
    def test_websockets_client_is_let_in_with_mqtt_and_without_compression(self) -> None:
        client = ClientProtocol(
            parse_uri("wss://localhost:9883/mqtt"), subprotocols=[Subprotocol("mqtt")], extensions=None
        )
        client.send_request(client.connect())
        layer = WebSocketLayer("/mqtt")
        layer.receive(b"".join(client.data_to_send()))
        client.receive_data(layer.pending_output())
        (response,) = client.events_received()
        assert isinstance(response, Response)
        assert response.status_code == 101
        assert client.handshake_exc is None
        assert client.subprotocol == "mqtt"
        assert "Sec-WebSocket-Extensions" not in response.headers
        assert layer.subprotocol == "mqtt"

    def test_answer_key_is_that_of_rfc_6455_section_1_3(self) -> None:
        layer = WebSocketLayer("/mqtt")
        layer.receive(request())
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in layer.pending_output()

    @pytest.mark.parametrize(
        ("offered", "agreed"),
        [("mqtt", "mqtt"), ("mqttv3.1", "mqttv3.1"), ("chat, mqttv3.1, mqtt", "mqtt"), ("chat,mqtt", "mqtt")],
    )
    def test_subprotocol_is_mqtt_wherever_offered_mqtt5_6_0_0_4(self, offered: str, agreed: str) -> None:
        layer = WebSocketLayer("/mqtt")
        layer.receive(request(Sec_WebSocket_Protocol=offered))
        assert layer.subprotocol == agreed
        assert f"Sec-WebSocket-Protocol: {agreed}\r\n".lower().encode() in layer.pending_output().lower()

    @pytest.mark.parametrize("offered", [None, "chat", "MQTT5"])
    def test_without_mqtt_among_the_subprotocols_it_is_refused_mqtt5_6_0_0_3(
        self, offered: str | None
    ) -> None:
        status, _, body = refusal(WebSocketLayer("/mqtt"), request(Sec_WebSocket_Protocol=offered))
        assert status == 400
        assert "mqtt" in body

    @pytest.mark.parametrize("path", ["/mqtt", "/mqtt?token=1"])
    def test_path_of_the_listener_is_served(self, path: str) -> None:
        layer = WebSocketLayer("/mqtt")
        layer.receive(request(path))
        assert layer.open

    @pytest.mark.parametrize("path", ["/", "/mqtt/", "/MQTT", "*"])
    def test_other_paths_are_not_found(self, path: str) -> None:
        assert refusal(WebSocketLayer("/mqtt"), request(path))[0] == 404

    def test_empty_path_serves_every_path(self) -> None:
        layer = WebSocketLayer("")
        layer.receive(request("/anything"))
        assert layer.open

    @pytest.mark.parametrize("origin", [None, "https://ok.example", "HTTPS://OK.example"])
    def test_accepted_origins(self, origin: str | None) -> None:
        layer = WebSocketLayer("/mqtt", ["https://ok.example"])
        layer.receive(request(Origin=origin))
        assert layer.open

    @pytest.mark.parametrize(
        ("host", "origin", "status"),
        [
            ("broker.example:9883", "https://broker.example", 101),
            ("broker.example:9883", "https://Broker.example:8443", 101),
            ("[::1]:9883", "https://[::1]", 101),
            ("broker.example", "https://evil.example", 403),
            ("broker.example", "null", 403),
            ("[::1", "https://[::1", 403),
        ],
    )
    def test_without_origins_only_pages_of_the_same_host_connect(
        self, host: str, origin: str, status: int
    ) -> None:
        layer = WebSocketLayer("/mqtt")
        layer.receive(request(Host=host, Origin=origin))
        assert layer.pending_output().startswith(b"HTTP/1.1 %d " % status)

    def test_star_accepts_every_page(self) -> None:
        layer = WebSocketLayer("/mqtt", ["*"])
        layer.receive(request(Origin="https://anywhere.example"))
        assert layer.open

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", "http://ok.example", "https://ok.ex\xe9"]
    )
    def test_other_origins_are_forbidden(self, origin: str) -> None:
        status, _, body = refusal(WebSocketLayer("/mqtt", ["https://ok.example"]), request(Origin=origin))
        assert status == 403
        assert "origin" in body

    def test_plain_browser_request_is_told_what_speaks_here(self) -> None:
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        status, answer, body = refusal(WebSocketLayer("/mqtt"), head)
        assert status == 426
        assert "Upgrade: websocket" in answer
        assert "MQTT over WebSocket" in body

    @pytest.mark.parametrize(
        ("head", "status"),
        [
            (request(Sec_WebSocket_Version="8"), 426),
            (request(Sec_WebSocket_Version=None), 426),
            (request(Sec_WebSocket_Key=None), 400),
            (request(Connection="close"), 400),
            (request(Host=None), 400),
            (request(Host="xn--\xe9"), 400),
            (request(Sec_WebSocket_Protocol="mqtt\xe9"), 400),
            (request().replace(b"GET", b"POST"), 400),
            (b"GET /mqtt\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        ],
    )
    def test_malformed_requests_get_an_answer(self, head: bytes, status: int) -> None:
        assert refusal(WebSocketLayer("/mqtt"), head)[0] == status

    @pytest.mark.parametrize(
        "first", [b"\x10\x0c\x00\x04MQTT", b"\x16\x03\x01\x02\x00\x01", b"\x00" * 20, b"GETX"]
    )
    def test_what_cannot_become_http_is_refused_at_once(self, first: bytes) -> None:
        status, _, body = refusal(WebSocketLayer("/mqtt"), first)
        assert status == 400
        assert "not HTTP" in body

    def test_request_head_is_limited(self) -> None:
        layer = WebSocketLayer("/mqtt")
        filler = b"GET /mqtt HTTP/1.1\r\nX: " + b"x" * (MAXIMUM_HEAD - 23)
        assert layer.receive(filler) == []
        assert not layer.closed
        assert refusal(layer, b"x")[0] == 431
        assert refusal(WebSocketLayer("/mqtt"), request(X="x" * MAXIMUM_HEAD))[0] == 431

    def test_frames_sent_behind_the_request_are_not_lost(self) -> None:
        layer = WebSocketLayer("/mqtt")
        assert layer.receive(request() + client_frame(2, PACKETS[0])) == [PACKETS[0]]

    @given(st.binary(max_size=300))
    def test_no_request_raises(self, junk: bytes) -> None:
        for head in (
            junk,
            request(Host=junk.decode("latin-1")),
            b"GET /mqtt HTTP/1.1\r\n" + junk + b"\r\n\r\n",
        ):
            layer = WebSocketLayer("/mqtt", ["https://ok.example"])
            layer.receive(head)
            assert not (layer.open and layer.closed)


class TestPayloads:
    def test_several_packets_in_a_frame_and_packets_across_frames_mqtt5_6_0_0_2(self) -> None:
        layer = opened()
        stream = b"".join(PACKETS)
        data = client_frame(2, stream[:20]) + client_frame(2, stream[20:])
        assert b"".join(layer.receive(data)) == stream

    def test_fragmented_message_with_a_ping_between_its_fragments(self) -> None:
        layer = opened()
        data = (
            client_frame(2, b"one", fin=False)
            + client_frame(9, b"alive?")
            + client_frame(0, b"two", fin=False)
            + client_frame(0, b"")
        )
        assert layer.receive(data) == [b"one", b"two"]
        assert layer.pending_output() == b"\x8a\x06alive?"

    def test_a_large_frame_is_handed_on_as_it_arrives(self) -> None:
        layer = opened()
        frame = client_frame(2, b"x" * 100_000)
        assert layer.receive(frame[:50_014]) == [b"x" * 50_000]
        assert layer.receive(frame[50_014:]) == [b"x" * 50_000]

    def test_every_split_gives_the_same_bytes(self) -> None:
        data = (
            request() + client_frame(2, b"".join(PACKETS)) + client_frame(9, b"?") + client_frame(2, b"end")
        )
        for cut in range(len(data) + 1):
            layer = WebSocketLayer("/mqtt")
            payloads = layer.receive(data[:cut]) + layer.receive(data[cut:])
            assert b"".join(payloads) == b"".join(PACKETS) + b"end", cut
            assert layer.pending_output().endswith(b"\x8a\x01?")

    @given(
        st.lists(
            st.tuples(st.sampled_from((2, 9, 10)), st.binary(max_size=300), st.binary(min_size=4, max_size=4))
        ),
        st.lists(st.integers(1, 400)),
    )
    def test_any_frames_in_any_pieces(
        self, frames: list[tuple[int, bytes, bytes]], pieces: list[int]
    ) -> None:
        data = b"".join(
            client_frame(op, payload[: 300 if op == 2 else 125], mask=mask) for op, payload, mask in frames
        )
        layer = opened()
        payloads = []
        for piece in [*pieces, len(data)]:
            payloads += layer.receive(data[:piece])
            data = data[piece:]
        assert b"".join(payloads) == b"".join(payload for op, payload, _ in frames if op == 2)
        assert layer.failure is None

    @given(st.binary(max_size=200))
    def test_garbage_frames_never_raise_and_leave_open_or_closed(self, junk: bytes) -> None:
        layer = opened()
        layer.receive(junk)
        assert layer.open != layer.closed
        output = layer.pending_output()
        if layer.closed:
            assert output[0] == 0x88
            assert layer.receive(client_frame(2, b"x")) == []
            assert layer.send(b"x") == b""
        else:
            assert layer.send(b"x") == b"\x82\x01x"

    @pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
    def test_what_we_send_is_one_binary_frame_to_a_websockets_client(self, size: int) -> None:
        client = ClientProtocol(parse_uri("ws://localhost/mqtt"), subprotocols=[Subprotocol("mqtt")])
        client.send_request(client.connect())
        layer = WebSocketLayer("/mqtt")
        layer.receive(b"".join(client.data_to_send()))
        client.receive_data(layer.pending_output())
        client.receive_data(layer.send(b"\xe0" * size))
        _, frame = client.events_received()
        assert isinstance(frame, Frame)
        assert (frame.opcode, frame.fin, frame.data) == (Opcode.BINARY, True, b"\xe0" * size)

    def test_of_many_pings_the_last_is_answered(self) -> None:
        layer = opened()
        layer.receive(b"".join(client_frame(9, b"%d" % number) for number in range(100)))
        assert layer.pending_output() == b"\x8a\x0299"


class TestClosing:
    def test_text_frame_closes_with_1003_mqtt5_6_0_0_1(self) -> None:
        layer = opened()
        assert layer.receive(
            client_frame(2, b"before") + client_frame(1, b"text") + client_frame(2, b"after")
        ) == [b"before"]
        output = layer.pending_output()
        assert output[0] == 0x88
        assert struct.unpack("!H", output[2:4]) == (1003,)
        assert layer.closed
        assert "MQTT5-6.0.0-1" in str(layer.failure)

    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            (b"\x82\x01x", 1002),  # not masked
            (b"\xc2\x81\x00\x00\x00\x00x", 1002),  # a reserved bit
            (b"\x83\x80\x00\x00\x00\x00", 1002),  # an unknown opcode
            (b"\x09\x80\x00\x00\x00\x00", 1002),  # a ping in fragments
            (b"\x80\x80\x00\x00\x00\x00", 1002),  # a continuation of nothing
            (client_frame(8, b"\x03"), 1002),  # a close with half a code
            (client_frame(8, b"\x03\xe8\xff"), 1007),  # a close whose reason is not UTF-8
        ],
    )
    def test_what_the_protocol_forbids_closes_with_its_code(self, frame: bytes, code: int) -> None:
        layer = opened()
        assert layer.receive(frame) == []
        output = layer.pending_output()
        assert (output[0], *struct.unpack("!H", output[2:4])) == (0x88, code)
        assert layer.closed
        assert layer.failure

    @pytest.mark.parametrize(
        ("payload", "echo"),
        [(b"", b"\x88\x00"), (b"\x03\xe8bye", b"\x88\x02\x03\xe8"), (b"\x0f\xa0", b"\x88\x02\x0f\xa0")],
    )
    def test_close_of_the_peer_is_answered(self, payload: bytes, echo: bytes) -> None:
        layer = opened()
        assert layer.receive(client_frame(2, b"last") + client_frame(8, payload)) == [b"last"]
        assert layer.pending_output() == echo
        assert layer.closed
        assert layer.failure is None
        assert layer.close() == b""

    def test_our_close_is_understood_by_a_websockets_client(self) -> None:
        client = ClientProtocol(parse_uri("ws://localhost/mqtt"), subprotocols=[Subprotocol("mqtt")])
        client.send_request(client.connect())
        layer = WebSocketLayer("/mqtt")
        layer.receive(b"".join(client.data_to_send()))
        client.receive_data(layer.pending_output())
        client.receive_data(layer.close(1001, "broker stops"))
        assert client.state is State.CLOSING
        assert client.close_rcvd is not None
        assert (client.close_rcvd.code, client.close_rcvd.reason) == (1001, "broker stops")
        assert layer.receive(b"".join(client.data_to_send())) == []
        assert layer.send(b"late") == b""
        assert layer.close() == b""
