"""Pre-shared keys from a plug-in: asked for by a handshake, and at hand for a while."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from pathlib import Path

import pytest
import structlog

from lockwire.access.plugins.calls import Calls
from lockwire.access.plugins.options import Options
from lockwire.access.plugins.protocol import Plugin
from lockwire.access.plugins.psk import PluginKeys
from tests.support.daemon import Lockwire
from tests.support.peers import peer_path

KEY = bytes(range(16))


class Keys(Plugin):
    """Knows one identity; counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__(Options("keys", {}))
        self.asked = 0
        self.known = "dev1"

    async def psk_key(self, identity: str) -> bytes | None:
        self.asked += 1
        if identity == "text":
            return "no bytes"  # type: ignore[return-value]
        return KEY if identity == self.known else None


async def fetched(keys: PluginKeys, identity: str) -> bytes | None:
    """The key once the plug-in has answered."""
    answered = asyncio.Event()
    keys.fetch(identity, answered.set)
    async with asyncio.timeout(5):
        await answered.wait()
    return keys(identity)


async def test_a_key_is_at_hand_once_it_was_fetched() -> None:
    plugin = Keys()
    keys = PluginKeys(plugin, Calls("keys", 5.0, structlog.get_logger()), 60.0)
    assert keys("dev1") is None
    assert plugin.asked == 0, "looking asks nobody"
    first, second = await asyncio.gather(fetched(keys, "dev1"), fetched(keys, "dev1"))
    assert first == second == KEY
    assert plugin.asked == 1, "once for both"
    for name in ("dev2", "text"):
        assert await fetched(keys, name) is None
        assert await fetched(keys, name) is None
    assert plugin.asked == 5, "what is unknown is asked for each time"


async def test_a_key_that_is_no_more_is_forgotten_when_it_is_asked_for_anew() -> None:
    plugin = Keys()
    keys = PluginKeys(plugin, Calls("keys", 5.0, structlog.get_logger()), 60.0)
    assert await fetched(keys, "dev1") == KEY
    plugin.known = ""
    assert await fetched(keys, "dev1") is None


async def test_who_does_not_wait_any_more_is_not_called() -> None:
    keys = PluginKeys(Keys(), Calls("keys", 5.0, structlog.get_logger()), 60.0)
    called: list[str] = []
    stop_waiting = keys.fetch("dev1", lambda: called.append("left"))
    keys.fetch("dev1", lambda: called.append("stayed"))
    stop_waiting()
    await fetched(keys, "dev1")
    assert called == ["stayed"]
    stop_waiting()


@pytest.mark.peer("mosquitto_pub")
def test_a_device_gets_in_with_a_key_out_of_a_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "keys.db") as database:
        database.execute("CREATE TABLE keys (identity TEXT, key TEXT)")
        database.execute("INSERT INTO keys VALUES ('dev1', ?)", (KEY.hex(),))
    database.close()
    (tmp_path / "lockwire.toml").write_text(
        '[[listener]]\nname = "keys"\ntransport = "tls"\naddress = "127.0.0.1"\nport = 0\n'
        'authentication = ["psk"]\n[plugin]\nname = "sql"\n[plugin.options]\nurl = "sqlite:///keys.db"\n'
        'psk_query = "SELECT key FROM keys WHERE identity = :identity"\n'
    )
    broker = Lockwire(tmp_path, "broker", "--config", "lockwire.toml")
    try:
        port = str(broker.ports["keys"])
        command = [peer_path("mosquitto_pub"), "-h", "127.0.0.1", "-p", port, "-t", "x", "-m", "y", "-q", "1"]

        def publish(identity: str, key: bytes) -> bool:
            words = [*command, "--psk", key.hex(), "--psk-identity", identity]
            return subprocess.run(words, capture_output=True, timeout=20, check=False).returncode == 0

        assert publish("dev1", KEY)
        assert not publish("dev1", bytes(16))
        assert not publish("dev2", KEY)
        assert publish("dev1", KEY)
    finally:
        broker.stop()
