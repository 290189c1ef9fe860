"""`lockwire status`, `lockwire user passwd`: the running broker asked, and changed."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.lockwire import Running, client_context, lockwire, succeeded, up
from tests.support import packets
from tests.support.wire import Wire


class TestStatus:
    def test_for_programs(self, running: Running) -> None:
        status = json.loads(succeeded("status", "--json", "--data", "data", cwd=running.cwd))
        assert status["pid"] == running.process.pid
        assert status["data"] == str(running.cwd / "data")
        assert [(item["transport"], item["port"]) for item in status["listeners"]] == [
            ("tls", running.port("tls")),
            ("wss", running.port("wss")),
        ]
        assert status["counters"]["connections_opened"] >= 0

    async def test_for_people(self, running: Running) -> None:
        succeeded("device", "add", "gauge", "--data", "data", cwd=running.cwd)
        context = client_context(running.cwd, "gauge")
        async with await Wire.open(("localhost", running.port("tls")), tls=context) as wire:
            await wire.connect("gauge")
            printed = succeeded("status", "--data", "data", cwd=running.cwd)
        assert re.search(rf"^pid +{running.process.pid}$", printed, re.MULTILINE)
        assert re.search(
            rf"^tls +tls \S+:{running.port('tls')} +1 +certificate, password, scram$", printed, re.MULTILINE
        )
        assert re.search(r"^ +logins +\d+$", printed, re.MULTILINE)

    def test_without_a_broker(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            broker.stop()
        done = lockwire("status", "--data", "data", cwd=tmp_path)
        assert done.returncode == 1
        assert f"no broker is running on {tmp_path}/data" in done.stderr
        assert lockwire("reload", "--data", "data", cwd=tmp_path).returncode == 1


class TestPasswd:
    async def login(self, broker: Running, password: str) -> int:
        """The reason code of a CONNECT as the administrator."""
        context = client_context(broker.cwd)
        async with await Wire.open(("localhost", broker.port("tls")), tls=context) as wire:
            await wire.send(packets.connect("console", username="admin", password=password.encode()))
            return int((await wire.expect(packets.CONNACK)).reason)

    def new_password(self, folder: Path) -> str:
        printed = succeeded("user", "passwd", "admin", "--data", "data", cwd=folder)
        match = re.fullmatch(r"User admin, password (\S+)\nIt is shown only now\.\n", printed)
        assert match, printed
        return match[1]

    async def test_the_new_password_counts_at_once_and_the_old_one_no_more(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            assert await self.login(broker, broker.password()) == 0
            password = self.new_password(tmp_path)
            assert await self.login(broker, password) == 0
            assert await self.login(broker, broker.password()) in (0x86, 0x87)
            assert password not in broker.log

    async def test_without_a_broker(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            broker.stop()
        password = self.new_password(tmp_path)
        with up(tmp_path) as broker:
            assert await self.login(broker, password) == 0

    def test_an_unknown_user_is_refused(self, running: Running) -> None:
        done = lockwire("user", "passwd", "nobody", "--data", "data", cwd=running.cwd)
        assert done.returncode == 2
        assert "'nobody'" in done.stderr
