"""`lockwire device add`: through the running broker and without one, all its files or none."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.lockwire import Running, client_context, lockwire, succeeded, up
from tests.support import packets
from tests.support.wire import Wire
from tests.test_data import HOLD_LOCK


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `data` a broker has filled; it runs no more."""
    folder = tmp_path_factory.mktemp("stopped")
    with up(folder) as broker:
        assert broker.stop() == 0
    return folder


def check_files(folder: Path, name: str) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(["ca.pem", f"{name}.key", f"{name}.pem"])
    assert stat.S_IMODE((folder / f"{name}.key").stat().st_mode) == 0o600
    assert (folder / f"{name}.pem").read_text().count("BEGIN CERTIFICATE") == 2
    verified = subprocess.run(
        [
            *("openssl", "verify", "-CAfile", folder / "ca.pem", "-purpose", "sslclient"),
            *("-untrusted", folder / f"{name}.pem", folder / f"{name}.pem"),
        ],
        capture_output=True,
        text=True,
    )
    assert verified.returncode == 0, verified.stderr


class TestAdd:
    async def test_through_the_running_broker(self, running: Running) -> None:
        printed = succeeded("device", "add", "pump-7", "--data", "data", cwd=running.cwd)
        assert "Wrote pump-7/ca.pem, pump-7/pump-7.pem and pump-7/pump-7.key." in printed
        check_files(running.cwd / "pump-7", "pump-7")
        assert "device added name=pump-7" in running.log
        context = client_context(running.cwd, "pump-7")
        async with await Wire.open(("localhost", running.port("tls")), tls=context) as wire:
            await wire.connect("any-client-id")
            await wire.subscribe("pumps/#", qos=1)
            await wire.send(packets.publish("pumps/7", b"on"))
            assert (await wire.receive(topic="pumps/7")).payload == b"on"

    def test_without_a_broker(self, stopped: Path) -> None:
        succeeded("device", "add", "valve", "--data", "data", "--out", "kits/a/valve", cwd=stopped)
        check_files(stopped / "kits" / "a" / "valve", "valve")
        assert (stopped / "data" / "lock").read_text() == ""

    def test_into_a_folder_that_is_there(self, stopped: Path) -> None:
        (stopped / "kit").mkdir()
        (stopped / "kit" / "notes").touch()
        succeeded("device", "add", "lamp", "--data", "data", "--out", "kit", cwd=stopped)
        assert (stopped / "kit" / "lamp.pem").exists()
        assert (stopped / "kit" / "notes").exists()

    def test_again_only_where_asked_for(self, stopped: Path) -> None:
        succeeded("device", "add", "door", "--data", "data", cwd=stopped)
        first = (stopped / "door" / "door.pem").read_bytes()
        again = lockwire("device", "add", "door", "--data", "data", "--out", "door2", cwd=stopped)
        assert again.returncode == 2
        assert "door" in again.stderr
        assert not (stopped / "door2").exists()
        succeeded("device", "add", "door", "--replace", "--data", "data", "--out", "door2", cwd=stopped)
        assert (stopped / "door2" / "door.pem").read_bytes() != first

    def test_a_name_that_the_running_broker_has_issued_is_refused(self, running: Running) -> None:
        succeeded("device", "add", "twice", "--data", "data", cwd=running.cwd)
        again = lockwire("device", "add", "twice", "--data", "data", "--out", "other", cwd=running.cwd)
        assert again.returncode == 2
        assert "twice" in again.stderr
        assert not (running.cwd / "other").exists()


class TestRefused:
    @pytest.mark.parametrize("name", ["", "a/b", "..", "a+b", "x" * 65, "-", "line\nbreak", "ca"])
    def test_a_name_that_cannot_be_one(self, stopped: Path, name: str) -> None:
        before = sorted(stopped.iterdir())
        done = lockwire("device", "add", "--data", "data", "--", name, cwd=stopped)
        assert done.returncode == 2
        assert "name" in done.stderr
        assert sorted(stopped.iterdir()) == before

    def test_files_that_are_there_are_not_overwritten(self, stopped: Path) -> None:
        (stopped / "mine").mkdir()
        (stopped / "mine" / "mine.key").write_text("precious")
        ledger = (stopped / "data" / "ca" / "issued.jsonl").read_bytes()
        done = lockwire("device", "add", "mine", "--data", "data", cwd=stopped)
        assert done.returncode == 2
        assert "mine/mine.key exists already" in done.stderr
        assert (stopped / "mine" / "mine.key").read_text() == "precious"
        assert (stopped / "data" / "ca" / "issued.jsonl").read_bytes() == ledger

    def test_an_output_folder_that_is_a_file(self, stopped: Path) -> None:
        (stopped / "file").touch()
        for out in ("file", "file/below"):
            done = lockwire("device", "add", "nail", "--data", "data", "--out", out, cwd=stopped)
            assert done.returncode == 2
            assert "file" in done.stderr

    def test_a_folder_that_no_broker_has_filled(self, tmp_path: Path) -> None:
        done = lockwire("device", "add", "pump-7", cwd=tmp_path)
        assert done.returncode == 1
        assert f"{tmp_path}/lockwire-data holds no Lockwire data" in done.stderr
        assert "lockwire up" in done.stderr
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_held_by_a_process_without_control_socket(self, stopped: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_LOCK, stopped / "data"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            commands = (("device", "add", "late"), ("user", "passwd", "admin"), ("status",), ("reload",))
            refused = [lockwire(*command, "--data", "data", cwd=stopped) for command in commands]
            holder.communicate("")
        said = f"in use by process {holder.pid}, which does not answer on its control socket"
        for done in refused:
            assert done.returncode == 1
            assert said in done.stderr
        assert not (stopped / "late").exists()


class TestDataOption:
    @pytest.mark.parametrize(
        "words",
        [
            ("--data", "{data}", "device", "add", "{name}"),
            ("device", "--data", "{data}", "add", "{name}"),
            ("device", "add", "{name}", "--data", "{data}"),
            ("--data", "/nowhere", "device", "add", "{name}", "--data={data}"),
        ],
    )
    def test_anywhere_and_the_innermost_counts(
        self, stopped: Path, tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        name = f"d{abs(hash(words))}"
        arguments = [word.format(data=stopped / "data", name=name) for word in words]
        succeeded(*arguments, cwd=tmp_path)
        assert (tmp_path / name / f"{name}.pem").exists()

    def test_from_the_environment(self, stopped: Path, tmp_path: Path) -> None:
        succeeded("device", "add", "env", cwd=tmp_path, LOCKWIRE_DATA=str(stopped / "data"))
        assert (tmp_path / "env" / "env.pem").exists()
