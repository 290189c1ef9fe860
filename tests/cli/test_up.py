"""`lockwire up`: first start, second start, stop, reload, and what stands in its way."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from lockwire.pki.authority.authority import Authority
from lockwire.pki.certificate import alternative_names
from lockwire.pki.files import write_private, write_public
from lockwire.pki.pem import read_certificate
from tests.cli.lockwire import Running, client_context, environment, lockwire, succeeded, up
from tests.support import packets
from tests.support.wire import Wire


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestFirstStart:
    def test_makes_everything_and_says_where_it_is(self, running: Running) -> None:
        data = running.cwd / "data"
        assert re.search(r"user admin, password [A-Za-z0-9]{22,}\n", running.output)
        assert f"Root certificate:    {data}/ca/ca.pem" in running.output
        assert f"Server certificate:  {data}/server/server.pem" in running.output
        assert "lockwire.cli device add sensor1 --data data" in running.output
        openssl = subprocess.run(
            ["openssl", "x509", "-in", data / "ca" / "ca.pem", "-noout", "-fingerprint", "-sha256"],
            capture_output=True,
            text=True,
        )
        assert openssl.stdout.strip().endswith(running.fingerprint())

    def test_keys_and_folder_are_private(self, running: Running) -> None:
        data = running.cwd / "data"
        assert mode(data) == 0o700
        private = [*data.rglob("*.key"), data / "access" / "access.db", data / "control.sock", data / "lock"]
        assert len(private) == 6
        assert {mode(path) for path in private} == {0o600}

    def test_the_password_is_stored_hashed(self, running: Running) -> None:
        users = (running.cwd / "data" / "access" / "access.db").read_bytes()
        assert running.password().encode() not in users
        assert b"$sha256$" in users
        assert b"SCRAM-SHA-256$" in users

    def test_the_server_certificate_has_the_hosts_names_and_addresses(self, running: Running) -> None:
        certificate = read_certificate(running.cwd / "data" / "server" / "server.pem", "")
        names, addresses = alternative_names(certificate)
        assert {"localhost", socket.gethostname(), "127.0.0.1"} <= set(names)
        assert "127.0.0.1" in addresses

    @pytest.mark.peer("mosquitto_sub", "mosquitto_pub")
    def test_the_two_commands_work_when_copied(self, running: Running) -> None:
        add, subscribe = re.findall(r"^  (.*(?:device add|mosquitto_sub).*)$", running.output, re.MULTILINE)
        subprocess.run(add, shell=True, cwd=running.cwd, env=environment(), check=True, capture_output=True)
        # A retained message, so that the subscription as printed, ended by its first message, shows it.
        publish = subscribe.replace("mosquitto_sub", "mosquitto_pub").replace(
            "-t '#' -v", "-t door -m open -r"
        )
        subprocess.run(publish, shell=True, cwd=running.cwd, check=True, timeout=20)
        shown = subprocess.run(
            f"{subscribe} -C 1", shell=True, cwd=running.cwd, check=True, timeout=20, capture_output=True
        )
        assert shown.stdout == b"door open\n"

    async def test_nobody_gets_in_without_certificate_or_password(self, running: Running) -> None:
        context = client_context(running.cwd)
        async with await Wire.open(("localhost", running.port("tls")), tls=context) as wire:
            await wire.send(packets.connect("intruder"))
            refusal = await wire.expect_refused()
            assert refusal is not None
            assert refusal.reason == 0x87

    async def test_the_administrator_logs_in_and_reads_sys(self, running: Running) -> None:
        context = client_context(running.cwd)
        async with await Wire.open(("localhost", running.port("tls")), tls=context) as wire:
            await wire.connect("console", username="admin", password=running.password().encode())
            await wire.subscribe("$SYS/broker/version")
            assert (await wire.receive(topic="$SYS/broker/version")).payload


class TestSecondStart:
    def test_reuses_what_is_there(self, tmp_path: Path) -> None:
        with up(tmp_path) as first:
            succeeded("device", "add", "sensor1", "--data", "data", cwd=tmp_path)
            assert first.stop() == 0
        server = (tmp_path / "data" / "server" / "server.pem").read_bytes()
        with up(tmp_path) as second:
            assert second.fingerprint() == first.fingerprint()
            assert "password" not in second.output
            assert "Issued the server's certificate" not in second.output
            assert "device add sensor2" in second.output
        assert (tmp_path / "data" / "server" / "server.pem").read_bytes() == server

    def test_issues_the_server_certificate_anew_where_an_address_is_new(self, tmp_path: Path) -> None:
        with up(tmp_path) as first:
            first.stop()
        data = tmp_path / "data"
        issued = Authority.open(data / "ca").issue_server(["localhost"], ["127.0.0.1"])
        write_private(data / "server" / "server.key", issued.key)
        write_public(data / "server" / "server.pem", issued.chain)
        with up(tmp_path) as second:
            assert re.search(
                rf"Issued the server's certificate: it lacks .*{socket.gethostname()}", second.output
            )

    def test_says_which_file_is_damaged_and_leaves_it(self, tmp_path: Path) -> None:
        with up(tmp_path) as first:
            first.stop()
        database = tmp_path / "data" / "access" / "access.db"
        database.write_bytes(damaged := b"#" * 5000)
        done = lockwire("up", "--data", "data", cwd=tmp_path)
        assert done.returncode == 1
        assert f"{database}: the file is damaged" in done.stderr
        assert "backup" in done.stderr
        assert database.read_bytes() == damaged


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_clients_are_told_and_everything_is_let_go(
        self, tmp_path: Path, number: signal.Signals
    ) -> None:
        with up(tmp_path) as broker:
            succeeded("device", "add", "sensor1", "--data", "data", cwd=tmp_path)
            address = ("localhost", broker.port("tls"))
            async with await Wire.open(address, tls=client_context(tmp_path, "sensor1")) as wire:
                await wire.connect("sensor1")
                broker.process.send_signal(number)
                goodbye = await wire.expect_closed()
                assert goodbye is not None
                assert goodbye.reason == 0x8B
            assert broker.process.wait(10) == 0
            assert "Traceback" not in broker.log
        assert not (tmp_path / "data" / "control.sock").exists()
        assert (tmp_path / "data" / "lock").read_text() == ""

    async def test_a_second_ctrl_c_ends_it_at_once(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            succeeded("device", "add", "sensor1", "--data", "data", cwd=tmp_path)
            address = ("localhost", broker.port("tls"))
            context = client_context(tmp_path, "sensor1")
            async with (
                await Wire.open(address, tls=context) as deaf,
                await Wire.open(address, tls=context) as wire,
            ):
                # A client that takes nothing holds up a clean stop for as long as that may take.
                await deaf.connect("deaf")
                await deaf.subscribe("a")
                await wire.connect("speaker")
                for _ in range(8):
                    await wire.publish("a", bytes(3_000_000))
                broker.process.send_signal(signal.SIGINT)
                await wire.expect_closed()
                broker.process.send_signal(signal.SIGINT)
                assert await asyncio.to_thread(broker.process.wait, 10) == 128 + signal.SIGINT
            assert "stopping" in broker.log
            assert "stopped" not in broker.log


class TestReload:
    def config(self, folder: Path, text: str) -> None:
        (folder / "data" / "lockwire.toml").write_text(text)

    async def test_sighup_reads_the_configuration_again_and_keeps_connections(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            succeeded("device", "add", "sensor1", "--data", "data", cwd=tmp_path)
            address = ("localhost", broker.port("tls"))
            async with await Wire.open(address, tls=client_context(tmp_path, "sensor1")) as wire:
                await wire.connect("sensor1")
                self.config(tmp_path, '[log]\nformat = "json"\n')
                broker.process.send_signal(signal.SIGHUP)
                # Signals and commands are served in their order, so this one comes back after both.
                assert "Reloaded." in succeeded("reload", "--data", "data", cwd=tmp_path)
                await wire.ping()
            assert broker.log.count('"event": "reloaded"') == 2

    async def test_what_cannot_be_used_changes_nothing_and_is_said_loudly(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        self.config(tmp_path, '[log]\nlevel = "info"\n')
        with up(tmp_path) as broker:
            succeeded("device", "add", "sensor1", "--data", "data", cwd=tmp_path)
            address = ("localhost", broker.port("tls"))
            async with await Wire.open(address, tls=client_context(tmp_path, "sensor1")) as wire:
                await wire.connect("sensor1")
                self.config(tmp_path, "[log]\nlevel = 7\n")
                done = lockwire("reload", "--data", "data", cwd=tmp_path)
                assert done.returncode == 2
                assert re.search(r"nothing was changed: \S+/data/lockwire\.toml:2: ", done.stderr)
                assert "error    reload failed, everything stays as it was" in broker.log
                await wire.ping()
                self.config(tmp_path, '[log]\nformat = "json"\n')
                succeeded("reload", "--data", "data", cwd=tmp_path)
                await wire.ping()
            assert '"event": "reloaded"' in broker.log

    def test_a_new_server_certificate_is_presented_after_the_reload(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            server = tmp_path / "data" / "server"
            (server / "server.pem").unlink()
            (server / "server.key").unlink()
            printed = succeeded("reload", "--data", "data", cwd=tmp_path)
            assert "The server's certificate was issued anew: there was none." in printed
            context = client_context(tmp_path)
            with (
                socket.create_connection(("localhost", broker.port("tls"))) as connection,
                context.wrap_socket(connection, server_hostname="localhost") as tls,
            ):
                presented = tls.getpeercert()
            assert presented is not None
            expected = read_certificate(server / "server.pem", "").serial_number
            assert int(str(presented["serialNumber"]), 16) == expected


class TestRefusedStart:
    def test_a_folder_in_use_names_the_process(self, running: Running) -> None:
        done = lockwire("up", "--data", "data", "--tls-port", "0", "--wss-port", "0", cwd=running.cwd)
        assert done.returncode == 1
        assert f"is in use by process {running.process.pid}" in done.stderr

    def test_a_bad_configuration_is_refused_before_anything_is_made(self, tmp_path: Path) -> None:
        (tmp_path / "bad.toml").write_text("[limits]\npacket_size = 'huge'\n")
        done = lockwire("up", "--data", "data", "--config", "bad.toml", cwd=tmp_path)
        assert done.returncode == 2
        assert "bad.toml:2: " in done.stderr
        assert not (tmp_path / "data").exists()

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (
                '[tls]\ncipher_suites = [\n  "AES128-SHA256X",\n]\n',
                "bad.toml:2: tls.cipher_suites: 'AES128-SHA256X'",
            ),
            (
                '[[listener]]\nauthentication = ["password"]\n[listener.tls]\ngroups = ["P-999"]\n',
                "bad.toml:4: listener[1].tls.groups: 'P-999'",
            ),
        ],
    )
    def test_a_name_that_tls_does_not_know_is_refused_with_its_line(
        self, tmp_path: Path, text: str, words: str
    ) -> None:
        (tmp_path / "bad.toml").write_text(text)
        done = lockwire("up", "--data", "data", "--config", "bad.toml", cwd=tmp_path)
        assert done.returncode == 2
        assert words in done.stderr
        assert not (tmp_path / "data").exists()

    def test_a_missing_configuration_is_named(self, tmp_path: Path) -> None:
        done = lockwire("up", "--data", "data", "--config", "none.toml", cwd=tmp_path)
        assert done.returncode == 2
        assert "none.toml" in done.stderr

    def test_a_port_in_use_is_named(self, tmp_path: Path) -> None:
        with socket.create_server(("", 0)) as taken:
            port = taken.getsockname()[1]
            done = lockwire("up", "--data", "data", "--tls-port", str(port), "--wss-port", "0", cwd=tmp_path)
        assert done.returncode == 1
        assert f":{port}: Address already in use" in done.stderr
        assert "Listening on" not in done.stdout

    def test_a_port_that_the_configuration_overrules_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "own.toml").write_text(
            '[[listener]]\ntransport = "tcp"\nport = 1\nauthentication = ["anonymous"]\n'
        )
        done = lockwire("up", "--data", "data", "--config", "own.toml", "--tls-port", "8884", cwd=tmp_path)
        assert done.returncode == 2
        assert "--tls-port has no effect" in done.stderr

    @pytest.mark.parametrize("port", ["-1", "65536", "mqtt"])
    def test_a_port_that_is_none_is_refused(self, tmp_path: Path, port: str) -> None:
        assert lockwire("up", "--tls-port", port, cwd=tmp_path).returncode == 2
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_with_other_things_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "letter.txt").touch()
        done = lockwire("up", "--data", "data", cwd=tmp_path)
        assert done.returncode == 1
        assert "letter.txt" in done.stderr

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        done = lockwire("up", "--data", "data", cwd=tmp_path)
        assert done.returncode == 1
        assert "cannot be made" in done.stderr


def test_the_log_is_json_where_asked_for(tmp_path: Path) -> None:
    with up(tmp_path, "--log-format", "json", "--log-level", "info") as broker:
        lines = [json.loads(line) for line in broker.log.splitlines()]
    assert {line["event"] for line in lines} == {"listening", "revocation lists written"}


def test_listening_lines_are_true_when_they_come(tmp_path: Path) -> None:
    with up(tmp_path) as broker:
        for transport in ("tls", "wss"):
            socket.create_connection(("localhost", broker.port(transport)), 5).close()
