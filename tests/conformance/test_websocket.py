"""MQTT over WebSocket (chapter 6 of both standards), with the client of the `websockets` package."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.conformance.conftest import closing
from tests.conformance.marks import statement
from tests.conformance.versions import oasis_versions
from tests.support import packets
from tests.support.broker import Broker, free_port

pytestmark = pytest.mark.usefixtures("own_broker")

ACCEPTED = {4: b"\x20\x02\x00\x00", 5: b"\x20"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a broker serves MQTT over WebSocket to anybody."""
    port = free_port()
    configuration = f'[[listener]]\ntransport = "ws"\nport = {port}\nauthentication = ["anonymous"]\n'
    with closing(Broker(tmp_path_factory.mktemp("websocket"), configuration, port)):
        yield f"ws://127.0.0.1:{port}/mqtt"


def _open(url: str, *subprotocols: str) -> connect:
    return connect(url, subprotocols=[Subprotocol(name) for name in subprotocols], compression=None)


async def _receive(socket: ClientConnection) -> bytes:
    """The next frame, which has to be a binary one."""
    frame = await asyncio.wait_for(socket.recv(), 5)
    assert isinstance(frame, bytes)
    return frame


async def _until_closed(socket: ClientConnection) -> list[bytes]:
    """The frames that come before the server closes the connection."""
    frames = []
    while True:
        try:
            frames.append(await _receive(socket))
        except ConnectionClosed:
            return frames


@statement("MQTT311-6.0.0-4", "MQTT5-6.0.0-4", "MQTT311-6.0.0-3", "MQTT5-6.0.0-3")
@pytest.mark.parametrize("offered", [["mqtt"], ["other", "mqtt"], ["mqtt", "other"]])
async def test_the_subprotocol_selected_is_mqtt(url: str, offered: list[str]) -> None:
    async with _open(url, *offered) as socket:
        assert socket.subprotocol == "mqtt"


@statement("MQTT311-6.0.0-1", "MQTT5-6.0.0-1")
@oasis_versions
async def test_packets_come_in_binary_frames(url: str, version: int) -> None:
    async with _open(url, "mqtt") as socket:
        await socket.send(packets.connect("ws", version))
        assert (await _receive(socket)).startswith(ACCEPTED[version])
        await socket.send(packets.PING)
        assert await _receive(socket) == b"\xd0\x00"


@statement("MQTT311-6.0.0-1", "MQTT5-6.0.0-1")
@pytest.mark.parametrize("early", [True, False], ids=["instead of CONNECT", "after CONNECT"])
@oasis_versions
async def test_a_text_frame_closes_the_connection(url: str, version: int, early: bool) -> None:
    async with _open(url, "mqtt") as socket:
        if not early:
            await socket.send(packets.connect("ws", version))
            await _receive(socket)
        await socket.send("text")
        frames = await _until_closed(socket)
    assert [frame[0] >> 4 for frame in frames] in ([], [packets.DISCONNECT])


@statement("MQTT311-6.0.0-2", "MQTT5-6.0.0-2")
@oasis_versions
async def test_packets_and_frames_need_not_match(url: str, version: int) -> None:
    """A frame a byte, then everything in one frame, then packets cut in the middle."""
    stream = packets.connect("ws frames", version) + packets.subscribe(1, [("a/b", 1)], version)
    stream += packets.publish("a/b", b"payload", 1, 2, version=version) + packets.PING
    expected = 0
    middle = len(stream) // 2
    for cuts in (
        [stream[n : n + 1] for n in range(len(stream))],
        [stream],
        [stream[:middle], stream[middle:]],
    ):
        async with _open(url, "mqtt") as socket:
            for frame in cuts:
                await socket.send(frame)
            received = b""
            while not received.endswith(b"\xd0\x00"):
                received += await _receive(socket)
            expected = expected or len(received)
            assert len(received) == expected
            assert b"a/b" in received
            assert b"payload" in received
