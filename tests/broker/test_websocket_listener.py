"""A `ws` listener of a real broker, and `websockets` as its client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.cli.lockwire import Running
from tests.support import packets

CONFIGURATION = """
[[listener]]
transport = "ws"
port = 0
authentication = ["anonymous"]
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("ws")
    (folder / "lockwire.toml").write_text(CONFIGURATION)
    with Running("broker", "--config", "lockwire.toml", cwd=folder, last="Listening on ws") as broker:
        yield broker.port("ws")
        assert broker.process.poll() is None, broker.log
        assert "Traceback" not in broker.log


def client(port: int, path: str = "/mqtt", **options: object) -> connect:
    options = {"subprotocols": [Subprotocol("mqtt")], "proxy": None, **options}
    return connect(f"ws://127.0.0.1:{port}{path}", **options)  # type: ignore[arg-type]


async def receive(socket: ClientConnection, count: int) -> bytes:
    """The next `count` bytes of the MQTT stream, however they are framed."""
    stream = b""
    while len(stream) < count:
        data = await socket.recv(decode=False)
        assert isinstance(data, bytes)
        stream += data
    assert len(stream) == count
    return stream


CONNECT = packets.connect("browser", version=4)
CONNACK = b"\x20\x02\x00\x00"


async def test_a_message_goes_round_in_frames_of_any_cut(port: int) -> None:
    message = packets.publish("a/b", bytes(range(256)) * 1024, version=4)
    stream = CONNECT + packets.subscribe(1, [("a/#", 0)], version=4) + message
    async with client(port, max_size=None) as socket:
        assert socket.subprotocol == "mqtt"
        await socket.send(stream[:7])
        await socket.send([stream[7:20], stream[20:21], stream[21:100_000]])
        await socket.ping(b"alive?")
        await socket.send(stream[100_000:])
        assert await receive(socket, 9 + len(message)) == CONNACK + b"\x90\x03\x00\x01\x00" + message


async def test_every_cut_of_a_connect_is_understood(port: int) -> None:
    stream = CONNECT + packets.PING
    for cut in range(1, len(stream)):
        async with client(port) as socket:
            await socket.send(stream[:cut])
            await socket.send(stream[cut:])
            assert await receive(socket, 6) == CONNACK + b"\xd0\x00"


async def test_a_text_frame_ends_the_connection_with_1003_mqtt5_6_0_0_1(port: int) -> None:
    async with client(port) as socket:
        await socket.send(CONNECT)
        await receive(socket, 4)
        await socket.send("text")
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1003


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"path": "/"}, 404),
        ({"subprotocols": None}, 400),
        ({"origin": Origin("https://evil.example")}, 403),
    ],
)
async def test_what_is_not_for_us_is_refused_in_http(
    port: int, options: dict[str, object], status: int
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with client(port, **options):  # type: ignore[arg-type]
            pass
    assert caught.value.response.status_code == status
    assert caught.value.response.body.startswith(b"Lockwire: ")


async def test_a_page_of_the_same_host_is_let_in(port: int) -> None:
    async with client(port, origin=Origin("http://127.0.0.1:8080")) as socket:
        await socket.send(CONNECT)
        assert await receive(socket, 4) == CONNACK
