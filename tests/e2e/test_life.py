"""The life of a broker: first start, first client, reload, stop, and the start after that."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.paho_client import PahoClient
from tests.e2e.site import LISTENERS, Site
from tests.support import packets
from tests.support.daemon import Lockwire, lockwire
from tests.support.wire import Wire


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    """A site for one test, which may stop it."""
    site = Site(tmp_path)
    yield site
    site.broker.stop()


async def connected(site: Site, name: str, client_id: str, version: int = 5) -> Wire:
    """A client that is connected through this listener and will be told of anything."""
    channel = site.channel(name)
    wire = await Wire.open((channel.host, channel.port), version, channel.context())
    password = None if channel.password is None else channel.password.encode()
    await wire.connect(client_id, username=channel.username, password=password)
    return wire


def reload(site: Site) -> None:
    """SIGHUP, and wait until it is done."""
    reloads = site.broker.log.count("reload")
    site.broker.signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while site.broker.log.count("reload") == reloads:
        assert time.monotonic() < deadline, site.broker.log[-3000:]
        time.sleep(0.01)


async def test_a_reload_keeps_connections_and_applies_what_is_new(own: Site) -> None:
    wires = [await connected(own, name, name) for name in ("plain", "tls12", "tls13", "mutual")]
    own.configuration.write_text(
        LISTENERS.replace('packet_size = "4 MiB"', 'packet_size = "1 KiB"')
        + '\n[[listener]]\nname = "more"\ntransport = "tcp"\nport = 0\nauthentication = ["password"]\n'
    )
    reload(own)
    for wire in wires:
        await wire.ping()
    new = await connected(own, "mutual", "new")
    assert new.connack.number(packets.MAXIMUM_PACKET_SIZE) == 1024
    assert "listening listener=more" in own.broker.log
    for wire in (*wires, new):
        await wire.disconnect()


async def test_a_mistake_in_the_configuration_changes_nothing(own: Site) -> None:
    wire = await connected(own, "mutual", "c")
    own.configuration.write_text(LISTENERS + "\nnonsense = 1\n")
    reload(own)
    assert "reload failed" in own.broker.log
    assert re.search(r"lockwire.toml:\d+", own.broker.log)
    await wire.ping()
    await (await connected(own, "plain", "d")).disconnect()
    await wire.disconnect()


async def test_a_stop_tells_clients_and_takes_no_five_seconds(own: Site) -> None:
    five = [await connected(own, name, name) for name in ("plain", "tls12", "tls13", "mutual")]
    old = await connected(own, "plain", "old", version=4)
    own.broker.signal(signal.SIGTERM)
    for wire in five:
        goodbye = await wire.expect_closed()
        assert goodbye is not None
        assert goodbye.reason == 0x8B
    assert await old.expect_closed() is None
    assert own.broker.wait(5) == 0
    assert not (own.folder / "mqtt.sock").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_paho_is_told_of_the_stop(own: Site, number: signal.Signals) -> None:
    with PahoClient(own.channel("mutual"), "quiet").connect() as client:
        client.subscribe("#", 0)
        own.broker.process.send_signal(number)
        assert own.broker.wait(5) == 0
        assert client.gone.wait(5)
        assert client.gone_reason == 0x8B


async def test_a_second_start_uses_what_is_there(own: Site) -> None:
    before = own.device.ca.read_bytes()
    root = (own.data / "ca" / "root.pem").read_bytes()
    assert own.broker.stop() == 0
    password = own.password
    own.start()
    assert own.password == password
    assert "It is shown only now" not in own.broker.output
    assert (own.data / "ca" / "root.pem").read_bytes() == root
    await (await connected(own, "mutual", "c")).disconnect()
    await (await connected(own, "tls", "d")).disconnect()
    assert own.add_device("sensor2").ca.read_bytes() == before


async def test_a_device_added_while_the_broker_is_down_connects(own: Site) -> None:
    own.broker.stop()
    own.device = own.add_device("offline")
    own.start()
    await (await connected(own, "mutual", "c")).disconnect()


def test_a_second_broker_on_the_same_folder_is_refused(own: Site) -> None:
    second = lockwire("up", "--data", own.data, "--tls-port", "0", "--wss-port", "0")
    assert second.returncode != 0
    assert "Traceback" not in second.stdout + second.stderr
    assert own.broker.alive


@pytest.mark.peer("mosquitto_sub", "mosquitto_pub")
def test_the_first_commands_that_up_prints_work_as_printed(tmp_path: Path) -> None:
    broker = Lockwire(
        tmp_path,
        "up",
        "--data",
        tmp_path / "data",
        "--tls-port",
        "0",
        "--wss-port",
        "0",
        ready="Ctrl-C stops",
    )
    try:
        _, _, rest = broker.output.partition("Connect a first client:\n")
        add, subscribe = (line.strip() for line in rest.splitlines()[:2])
        assert subprocess.run(shlex.split(add), cwd=tmp_path, check=False).returncode == 0
        publish = subscribe.replace("mosquitto_sub", "mosquitto_pub").replace("-t '#' -v", "-t t -m hello -r")
        assert subprocess.run(shlex.split(publish), cwd=tmp_path, timeout=20, check=False).returncode == 0
        got = subprocess.run(
            [*shlex.split(subscribe), "-C", "1", "-W", "10"],
            cwd=tmp_path, timeout=20, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert got.stdout == "t hello\n", got.stderr
    finally:
        broker.stop()
