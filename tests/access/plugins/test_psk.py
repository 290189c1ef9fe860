"""Pre-shared keys from a plug-in: asked for by a handshake that cannot wait, at hand for the next one."""

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

    async def psk_key(self, identity: str) -> bytes | None:
        self.asked += 1
        if identity == "text":
            return "no bytes"  # type: ignore[return-value]
        return KEY if identity == "dev1" else None


async def settled(calls: Calls) -> None:
    """Nothing is asked any more."""
    while calls.running:
        await asyncio.sleep(0)


async def test_a_key_is_at_hand_for_the_next_attempt() -> None:
    plugin = Keys()
    calls = Calls("keys", 5.0, structlog.get_logger())
    keys = PluginKeys(plugin, calls, 60.0)
    assert keys("dev1") is None
    assert keys("dev1") is None
    await settled(calls)
    assert keys("dev1") == KEY
    assert plugin.asked == 1, "once for both"
    for name in ("dev2", "text"):
        keys(name)
        await settled(calls)
        assert keys(name) is None
        await settled(calls)
    assert plugin.asked == 5, "what is unknown is asked for each time"


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

        assert not publish("dev1", KEY), "the key was asked for by this attempt"
        assert any(publish("dev1", KEY) for _ in range(20))
        assert not publish("dev1", bytes(16))
        assert not publish("dev2", KEY)
        assert publish("dev1", KEY)
    finally:
        broker.stop()
