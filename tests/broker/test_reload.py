"""Other settings for a broker that runs: listeners that come, go and move, and what stays as it was."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lockwire.broker.broker import Broker, ListenError
from lockwire.config import ListenerSettings, Settings
from lockwire.tls.errors import TlsFileError
from tests.support.inprocess import serving
from tests.support.wire import Wire

LOOPBACK = "127.0.0.1"


def listening(port: int, name: str = "plain", address: str = LOOPBACK, **fields: object) -> Settings:
    listener = ListenerSettings.model_validate(
        {"transport": "tcp", "address": address, "port": port, "name": name, "authentication": ["anonymous"]}
        | fields
    )
    return Settings(listeners=[listener])


@pytest.fixture
def port() -> int:
    with socket.create_server((LOOPBACK, 0)) as taken:
        return int(taken.getsockname()[1])


def ends(broker: Broker) -> list[tuple[str, str]]:
    return [(name, endpoint) for name, endpoint, _ in broker.endpoints()]


async def come_and_go(port: int) -> None:
    async with await Wire.open((LOOPBACK, port)) as client:
        await client.connect("c")
        await client.ping()


async def test_a_listener_moves_to_another_address_and_keeps_its_port_and_its_clients(port: int) -> None:
    async with serving(settings=listening(port, address="0.0.0.0")) as served:
        stays = await served.client("stays")
        await served.broker.reload(listening(port))
        assert ends(served.broker) == [("plain", f"tcp 127.0.0.1:{port}")]
        await stays.ping()
        await come_and_go(port)


async def test_a_listener_in_the_place_of_another_whose_certificate_cannot_be_used(
    port: int, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    tls = {"certificate": broken, "key": broken}
    async with serving(settings=listening(port)) as served:
        with pytest.raises(TlsFileError, match=r"broken\.pem"):
            await served.broker.reload(listening(port, name="secure", transport="tls", tls=tls))
        assert ends(served.broker) == [("plain", f"tcp 127.0.0.1:{port}")]
        await come_and_go(port)


async def test_a_listener_whose_new_address_cannot_be_had_listens_on_the_old_one(port: int) -> None:
    async with serving(settings=listening(port)) as served:
        stays = await served.client("stays")
        with pytest.raises(ListenError, match="cannot listen"):
            await served.broker.reload(listening(port, address="192.0.2.1"))
        assert ends(served.broker) == [("plain", f"tcp 127.0.0.1:{port}")]
        await stays.ping()
        await come_and_go(port)
        status = served.broker.status()["listeners"]
        assert isinstance(status, list)
        assert [(each["accepting"], each["connections"] > 0) for each in status] == [(True, True)]


async def test_a_unix_socket_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "socket"

    def local(name: str) -> Settings:
        listener = ListenerSettings(transport="unix", path=path, name=name, authentication=["anonymous"])
        return Settings(listeners=[listener])

    async with serving(settings=local("local")) as served:
        await served.broker.reload(local("renamed"))
        assert ends(served.broker) == [("renamed", f"unix {path}")]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
