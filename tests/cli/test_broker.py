"""`lockwire broker`: plain MQTT for trying, or exactly what a configuration says."""

from __future__ import annotations

import re
import socket
import urllib.request
from pathlib import Path

import pytest

from tests.cli.lockwire import Running, client_context, lockwire, up
from tests.support import packets
from tests.support.wire import Wire

BARE = "For a broker with TLS and identities: lockwire up"


def broker(cwd: Path, *arguments: str | Path, last: str) -> Running:
    return Running("broker", *arguments, cwd=cwd, last=last)


class TestWithoutConfiguration:
    async def test_serves_anybody_on_loopback_and_says_so(self, tmp_path: Path) -> None:
        with broker(tmp_path, "-p", "0", last=BARE) as running:
            assert "(not encrypted, open to anybody)" in running.output
            assert "no passwords, nothing encrypted" in running.output
            hosts = re.findall(r"^Listening on tcp (\S+):\d+", running.output, re.MULTILINE)
            assert set(hosts) <= {"127.0.0.1", "[::1]"}
            async with await Wire.open(("127.0.0.1", running.port("tcp"))) as wire:
                await wire.connect("anybody")
                await wire.subscribe("a/#")
                await wire.send(packets.publish("a/b", b"hello"))
                assert (await wire.receive(topic="a/b")).payload == b"hello"
                await wire.subscribe("$SYS/broker/version")
                assert (await wire.receive(topic="$SYS/broker/version")).payload
            assert running.stop() == 0
        assert [path.name for path in tmp_path.iterdir()] == ["broker.log"]

    def test_a_port_in_use_is_named(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = lockwire("broker", "-p", str(port), cwd=tmp_path)
        assert done.returncode == 1
        assert f"127.0.0.1:{port}: Address already in use" in done.stderr


class TestWithConfiguration:
    def write(self, folder: Path, text: str) -> Path:
        path = folder / "lockwire.toml"
        path.write_text(text)
        return path

    async def test_serves_exactly_its_listeners(self, tmp_path: Path) -> None:
        config = self.write(
            tmp_path,
            """
            [[listener]]
            transport = "tcp"
            port = 0
            authentication = ["anonymous"]
            [[listener]]
            transport = "ws"
            port = 0
            authentication = ["anonymous"]
            """,
        )
        with broker(tmp_path, "--config", config, last="Listening on ws") as running:
            assert running.output.count("Listening on") == 2
            async with await Wire.open(("127.0.0.1", running.port("tcp"))) as wire:
                await wire.connect("anybody")
            with socket.create_connection(("127.0.0.1", running.port("ws"))) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert plain.recv(100).startswith(b"HTTP/1.1 426 ")
            assert "warning  unsafe listener" in running.log

    def test_serves_metrics_where_asked_for(self, tmp_path: Path) -> None:
        config = self.write(
            tmp_path,
            '[[listener]]\ntransport = "tcp"\nport = 0\nauthentication = ["anonymous"]\n'
            "[metrics]\nenabled = true\nport = 0\n",
        )
        with broker(tmp_path, "--config", config, last="Listening on tcp") as running:
            match = re.search(r"metrics address=127\.0\.0\.1 port=(\d+)", running.log)
            assert match, running.log
            with urllib.request.urlopen(f"http://127.0.0.1:{match[1]}/metrics", timeout=10) as response:
                text = response.read().decode()
            assert "\nlockwire_connections 0.0\n" in text
            assert '\nlockwire_listener_connections{listener="tcp-0",transport="tcp"} 0.0\n' in text

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[[listener]\n", "lockwire.toml:1: "),
            (
                "[[listener]]\ntransport = 'tcp'\nauthentication = ['anonymous']\ncolour = 'red'\n",
                "lockwire.toml:4: ",
            ),
            (
                "[tls]\ncipher_suites = ['RC4']\n[[listener]]\n"
                "transport = 'tcp'\nport = 0\nauthentication = ['anonymous']\n",
                "lockwire.toml:2: tls.cipher_suites: 'RC4' is not a cipher suite",
            ),
            ("", "no listener"),
            ("[[listener]]\ntransport = 'tcp'\nport = 0\nauthentication = ['password']\n", "--data"),
        ],
    )
    def test_what_cannot_be_used_gives_status_3(self, tmp_path: Path, text: str, words: str) -> None:
        done = lockwire("broker", "--config", self.write(tmp_path, text), cwd=tmp_path)
        assert done.returncode == 3
        assert words in done.stderr

    def test_a_missing_file_gives_status_3(self, tmp_path: Path) -> None:
        assert lockwire("broker", "--config", "none.toml", cwd=tmp_path).returncode == 3

    def test_a_certificate_that_is_none_gives_status_3(self, tmp_path: Path) -> None:
        (tmp_path / "junk.pem").write_text("junk")
        config = self.write(
            tmp_path,
            '[[listener]]\ntransport = "tls"\nport = 0\nauthentication = ["anonymous"]\n'
            'tls = { certificate = "junk.pem", key = "junk.pem" }\n',
        )
        done = lockwire("broker", "--config", config, cwd=tmp_path)
        assert done.returncode == 3
        assert "junk.pem" in done.stderr

    def test_port_and_configuration_exclude_each_other(self, tmp_path: Path) -> None:
        done = lockwire("broker", "-p", "1884", "--config", "lockwire.toml", cwd=tmp_path)
        assert done.returncode == 2

    async def test_with_a_data_folder_its_users_log_in(self, tmp_path: Path) -> None:
        with up(tmp_path) as first:
            first.stop()
        config = self.write(
            tmp_path,
            """
            [[listener]]
            transport = "tls"
            port = 0
            authentication = ["password"]
            [tls]
            certificate = "data/server/server.pem"
            key = "data/server/server.key"
            """,
        )
        with broker(tmp_path, "--config", config, "--data", "data", last="Listening on tls") as running:
            address = ("localhost", running.port("tls"))
            async with await Wire.open(address, tls=client_context(tmp_path)) as wire:
                await wire.connect("console", username="admin", password=first.password().encode())
            assert lockwire("status", "--data", "data", cwd=tmp_path).returncode == 0
