"""The control socket: real sockets in a temporary data folder, asked by the client that commands use."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from lockwire import control
from lockwire.control import (
    Arguments,
    ControlClient,
    ControlError,
    ControlServer,
    NotRunningError,
    socket_path,
)
from lockwire.data import DataFolder, DataFolderError


async def echo(arguments: Arguments) -> object:
    return dict(arguments)


async def refuse(arguments: Arguments) -> object:
    raise ControlError("the name is taken", "Choose another", bad_input=True)


async def fail(arguments: Arguments) -> object:
    raise ZeroDivisionError("by zero")


async def hang(arguments: Arguments) -> object:
    await asyncio.Event().wait()
    return None


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.create()
    return folder


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
async def server(data: DataFolder, reports: list[str]) -> AsyncIterator[ControlServer]:
    server = ControlServer(data, lambda event, **details: reports.append(event))
    for handler in (echo, refuse, fail, hang):
        server.register(handler.__name__, handler)
    await server.start()
    yield server
    await server.stop()


async def call(data: DataFolder, command: str, **arguments: object) -> object:
    return await asyncio.to_thread(ControlClient(data).call, command, **arguments)


@pytest.mark.usefixtures("server")
class TestCommands:
    async def test_arguments_go_in_and_the_result_comes_out(self, data: DataFolder) -> None:
        assert await call(data, "echo", name="sensor1", ünï=[1, 2.5, None]) == {
            "name": "sensor1",
            "ünï": [1, 2.5, None],
        }

    async def test_a_refusal_has_message_and_remedy(self, data: DataFolder) -> None:
        with pytest.raises(ControlError) as caught:
            await call(data, "refuse")
        assert (caught.value.message, caught.value.remedy) == ("the name is taken", "Choose another")
        assert caught.value.bad_input

    async def test_an_unknown_command_names_those_known(self, data: DataFolder) -> None:
        with pytest.raises(ControlError, match=r"knows no command 'nonsense'.*echo, fail, hang, refuse"):
            await call(data, "nonsense")

    async def test_a_failure_reaches_caller_and_log_and_the_server_goes_on(
        self, data: DataFolder, reports: list[str]
    ) -> None:
        with pytest.raises(ControlError, match="fail failed inside the broker: by zero"):
            await call(data, "fail")
        assert reports == ["control command failed"]
        assert await call(data, "echo") == {}

    async def test_a_command_that_hangs_is_given_up(
        self, data: DataFolder, reports: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(control, "HANDLER_TIMEOUT", 0.05)
        with pytest.raises(ControlError, match="takes longer"):
            await call(data, "hang")
        assert reports == ["control command took too long"]

    async def test_a_command_that_takes_long_comes_to_its_end_all_the_same(
        self,
        data: DataFolder,
        server: ControlServer,
        reports: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        go_on, in_force = asyncio.Event(), asyncio.Event()

        async def slow(arguments: Arguments) -> object:
            await go_on.wait()
            in_force.set()
            return None

        server.register("slow", slow)
        monkeypatch.setattr(control, "HANDLER_TIMEOUT", 0.05)
        with pytest.raises(ControlError, match=r"slow takes longer .* and goes on"):
            await call(data, "slow")
        go_on.set()
        async with asyncio.timeout(5):
            await in_force.wait()
        await call(data, "echo")
        assert reports == ["control command took too long", "control command ended late"]

    async def test_one_connection_carries_many_requests(self, data: DataFolder) -> None:
        reader, writer = await asyncio.open_unix_connection(str(socket_path(data)))
        for number in range(3):
            writer.write(json.dumps({"command": "echo", "arguments": {"n": number}}).encode() + b"\n")
        answers = [json.loads(await reader.readline()) for _ in range(3)]
        writer.close()
        assert answers == [{"result": {"n": number}} for number in range(3)]

    @pytest.mark.parametrize(
        "line",
        [
            b"\n",
            b"{}\n",
            b"[]\n",
            b"nonsense\n",
            b'{"command": 1}\n',
            b'{"command": "echo", "arguments": []}\n',
            b"\xff\n",
            b"[" * 100_000 + b"\n",
        ],
    )
    async def test_malformed_requests_get_an_error(self, data: DataFolder, line: bytes) -> None:
        reader, writer = await asyncio.open_unix_connection(str(socket_path(data)))
        writer.write(line)
        assert "request" in json.loads(await reader.readline())["error"]["message"]
        writer.close()

    async def test_a_request_too_long_ends_the_connection(self, data: DataFolder) -> None:
        reader, writer = await asyncio.open_unix_connection(str(socket_path(data)))
        writer.write(b"x" * (control.MAXIMUM_REQUEST + 100_000))
        assert b"bytes" in await reader.readline()
        writer.close()
        assert await call(data, "echo") == {}


class TestSocket:
    async def test_is_for_its_owner_alone_and_goes_with_the_server(
        self, data: DataFolder, server: ControlServer
    ) -> None:
        assert stat.S_IMODE(data.control_socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(data.path.stat().st_mode) == 0o700
        await server.stop()
        assert not data.control_socket.exists()

    async def test_without_a_broker_the_command_says_so(self, data: DataFolder) -> None:
        with pytest.raises(NotRunningError, match=r"no broker is running on .*/data"):
            await call(data, "echo")

    async def test_what_a_killed_broker_left_behind_is_replaced(
        self, data: DataFolder, server: ControlServer
    ) -> None:
        await server.stop()
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(data.control_socket))
        left.close()
        with pytest.raises(NotRunningError):
            await call(data, "echo")
        await server.start()
        assert await call(data, "echo") == {}

    @pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
    async def test_another_user_is_refused_by_its_credentials(
        self, data: DataFolder, server: ControlServer, reports: list[str]
    ) -> None:
        # The file modes keep others out already; opened up here so that the second guard is what answers.
        for folder in [data.path, *data.path.parents]:
            if folder != Path("/") and not folder.stat().st_mode & 0o001:
                folder.chmod(0o755)
        data.control_socket.chmod(0o666)
        code = (
            "import os, socket, sys; os.setgid(65534); os.setuid(65534)\n"
            "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.makefile().readline())"
        )
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", code, str(data.control_socket)],
            capture_output=True,
            text=True,
        )
        assert "user 65534 may not control this broker" in done.stdout, done.stderr
        assert reports == ["control connection refused"]

    async def test_a_long_path_falls_back_to_a_short_one_recorded_in_the_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runtime = Path(tempfile.mkdtemp())
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        data = DataFolder(tmp_path / ("long" * 30))
        data.create()
        server = ControlServer(data, lambda event, **details: None)
        server.register("echo", echo)
        await server.start()
        short = socket_path(data)
        assert short != data.control_socket
        assert short.is_relative_to(runtime)
        assert stat.S_IMODE(short.parent.stat().st_mode) == 0o700
        assert await call(data, "echo", a=1) == {"a": 1}
        await server.stop()
        assert not short.exists()
        with pytest.raises(NotRunningError):
            await call(data, "echo")
        shutil.rmtree(runtime)

    async def test_a_folder_for_the_short_path_that_others_can_enter_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runtime = Path(tempfile.mkdtemp())
        (runtime / "lockwire").mkdir()
        (runtime / "lockwire").chmod(0o755)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        data = DataFolder(tmp_path / ("long" * 30))
        data.create()
        with pytest.raises(DataFolderError, match="not a private folder of this user"):
            await ControlServer(data, lambda event, **details: None).start()
        shutil.rmtree(runtime)

    async def test_connections_are_limited(self, data: DataFolder, server: ControlServer) -> None:
        held = [
            await asyncio.open_unix_connection(str(data.control_socket))
            for _ in range(control.MAXIMUM_CONNECTIONS)
        ]
        reader, writer = await asyncio.open_unix_connection(str(data.control_socket))
        assert b"control connections at once" in await reader.readline()
        for _, other in [*held, (reader, writer)]:
            other.close()


def test_works_on_uvloop_too(data: DataFolder) -> None:
    async def run() -> object:
        server = ControlServer(data, lambda event, **details: None)
        server.register("echo", echo)
        await server.start()
        try:
            return await call(data, "echo", loop=type(asyncio.get_running_loop()).__module__)
        finally:
            await server.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run()) == {"loop": "uvloop"}
