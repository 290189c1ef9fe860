"""The control socket: how commands and the console reach the running broker.

A Unix socket, 0600 in the data folder, for the broker's own user and root only. A request is one line of
JSON, `{"command": "status", "arguments": {}}`; so is its answer, `{"result": ...}` or
`{"error": {"message": ..., "remedy": ..., "bad_input": false}}`. A connection carries any number of
requests, one after another.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import stat
import struct
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from lockwire.data import DataFolder, DataFolderError
from lockwire.pki.files import write_private

Arguments = Mapping[str, object]
Handler = Callable[[Arguments], Awaitable[object]]
"""What answers a command: takes its arguments, gives what JSON can carry, raises ControlError to refuse."""

MAXIMUM_REQUEST: Final = 16 << 20
"""Bytes of one request line: a file with 10,000 users goes through."""
MAXIMUM_ANSWER: Final = 64 << 20
"""Bytes of one answer line that a client takes."""
MAXIMUM_CONNECTIONS: Final = 32
IDLE_TIMEOUT: Final = 30.0
"""Seconds that a connection may wait with its next request."""
HANDLER_TIMEOUT: Final = 60.0
"""Seconds that a command's answer is waited for. What takes longer is done all the same."""
_SUN_PATH: Final = 107
"""Bytes of a socket's path on Linux (unix(7): 108 with its end mark; other systems have 104)."""


class ControlError(Exception):
    """A command that was refused.

    Attributes:
        message: what was wrong.
        remedy: what to do about it; may be empty.
        bad_input: the arguments were at fault, so that the same command can only fail again.
    """

    def __init__(self, message: str, remedy: str = "", bad_input: bool = False) -> None:
        super().__init__(f"{message}. {remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy
        self.bad_input = bad_input


class NotRunningError(ControlError):
    """No broker answers for this data folder."""


def socket_path(data: DataFolder) -> Path:
    """Where the control socket of this folder is, or would be (the folder's own path may be too long)."""
    path = data.control_socket
    if len(os.fsencode(path)) <= _SUN_PATH:
        return path
    try:
        return Path(data.control_record.read_text(encoding="utf-8").strip())
    except OSError:
        return path


def _choose_socket_path(data: DataFolder) -> Path:
    """As `socket_path`, for the server: makes and records a short path where the folder's is too long."""
    path = data.control_socket
    if len(os.fsencode(path)) <= _SUN_PATH:
        return path
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and len(runtime) < 60:
        folder = Path(runtime) / "lockwire"
    else:
        folder = Path(tempfile.gettempdir()) / f"lockwire-{os.geteuid()}"
        if len(os.fsencode(folder)) > 80:
            folder = Path("/tmp") / folder.name  # noqa: S108  (checked to be a private folder of ours)
    _make_private(folder)
    name = hashlib.sha256(os.fsencode(data.path)).hexdigest()[:16]
    path = folder / f"{name}.sock"
    write_private(data.control_record, f"{path}\n".encode())
    return path


def _make_private(folder: Path) -> None:
    """Makes a folder 0700 in a place where others may write, or takes the one there if it is ours alone."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise DataFolderError(
            f"{folder}, for the control socket, is not a private folder of this user",
            "Remove it, or choose a data folder with a shorter path",
        )


class ControlServer:
    """The broker's end. The caller holds the data folder's lock, so a socket that is there already is stale.

    Args:
        data: the folder that the socket belongs to.
        report: called with an event name and key=value details of what an operator should know.
    """

    def __init__(self, data: DataFolder, report: Callable[..., None]) -> None:
        self._data = data
        self._report = report
        self._handlers: dict[str, Handler] = {}
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[object]] = set()

    def register(self, command: str, handler: Handler) -> None:
        """Makes `handler` answer `command`; the last one registered counts."""
        self._handlers[command] = handler

    async def start(self) -> None:
        """Listens.

        Raises:
            OSError: the socket cannot be made.
            DataFolderError: the folder's path is too long, and there is no private place for a short one.
        """
        path = _choose_socket_path(self._data)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        # Bound here, not by the loop: the folder is 0700, so nobody connects before the mode is set.
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bound.bind(os.fspath(path))
            path.chmod(0o600)
            self._server = await asyncio.start_unix_server(self._accept, sock=bound, limit=MAXIMUM_REQUEST)
        except BaseException:
            bound.close()
            raise
        self._path = path

    async def stop(self) -> None:
        """Closes the socket and its connections, and removes it; commands have a second to come to an end."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._connections):
            task.cancel()
        if self._connections or self._working:
            await asyncio.wait([*self._connections, *self._working], timeout=1.0)
        for working in list(self._working):
            working.cancel()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            with contextlib.suppress(OSError):
                self._data.control_record.unlink()
            self._path = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        refusal = self._refusal(writer)
        if refusal:
            self._report("control connection refused", reason=refusal)
            writer.write(_error_line(refusal, "Run the command as the user that runs the broker, or as root"))
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    def _refusal(self, writer: asyncio.StreamWriter) -> str:
        if len(self._connections) >= MAXIMUM_CONNECTIONS:
            return f"more than {MAXIMUM_CONNECTIONS} control connections at once"
        uid = _peer_uid(writer)
        if uid is not None and uid not in (0, os.geteuid()):
            return f"user {uid} may not control this broker"
        return ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                try:
                    async with asyncio.timeout(IDLE_TIMEOUT):
                        line = await reader.readline()
                except ValueError:
                    writer.write(_error_line(f"a request of more than {MAXIMUM_REQUEST} bytes", ""))
                    await writer.drain()
                    return
                if not line.endswith(b"\n"):
                    return
                writer.write(await self._answer(line))
                async with asyncio.timeout(IDLE_TIMEOUT):
                    await writer.drain()
        except (OSError, TimeoutError):
            return
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> bytes:
        command = ""
        try:
            command, arguments = _parse_request(line)
            handler = self._handlers.get(command)
            if handler is None:
                known = ", ".join(sorted(self._handlers))
                raise ControlError(f"the running broker knows no command {command!r}", f"It knows: {known}")
            # Not to be cancelled: a command cut short would leave its change made and not in force.
            working = asyncio.get_running_loop().create_task(_handle(handler, arguments))
            self._working.add(working)
            working.add_done_callback(self._working.discard)
            done, _ = await asyncio.wait({working}, timeout=HANDLER_TIMEOUT)
            if not done:
                working.add_done_callback(lambda ended: self._ended_late(command, ended))
                self._report("control command took too long", command=command, seconds=HANDLER_TIMEOUT)
                return _error_line(
                    f"{command} takes longer than {HANDLER_TIMEOUT:.0f} s, and goes on",
                    "See the broker's log for its end",
                )
            return json.dumps({"result": working.result()}, separators=(",", ":")).encode() + b"\n"
        except ControlError as error:
            return _error_line(error.message, error.remedy, error.bad_input)
        except Exception as error:
            # The outermost edge of a command: the broker goes on, the caller and the log learn of it.
            self._report("control command failed", command=command, error=f"{type(error).__name__}: {error}")
            return _error_line(f"{command} failed inside the broker: {error}", "See the broker's log")

    def _ended_late(self, command: str, ended: asyncio.Task[object]) -> None:
        """Tells how a command ended whose caller has been answered already."""
        error = None if ended.cancelled() else ended.exception()
        outcome = "cut short" if ended.cancelled() else "done" if error is None else str(error)
        self._report("control command ended late", command=command, outcome=outcome)


class ControlClient:
    """A command's end, blocking.

    Args:
        data: the folder whose broker is meant.
        timeout: seconds for each step.
    """

    def __init__(self, data: DataFolder, timeout: float = HANDLER_TIMEOUT + 5) -> None:
        self._data = data
        self._timeout = timeout

    def call(self, command: str, **arguments: object) -> object:
        """Asks the running broker; gives the command's result.

        Raises:
            NotRunningError: no broker answers for this folder.
            ControlError: the broker refused, or does not answer, or the request is too large.
        """
        request = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
        if len(request) > MAXIMUM_REQUEST:
            raise ControlError(
                f"{command} is too much for one request to the running broker ({len(request)} bytes)",
                f"Do it in parts of less than {MAXIMUM_REQUEST} bytes, or stop the broker for it",
                bad_input=True,
            )
        with self._connect() as connection:
            try:
                connection.sendall(request)
                with connection.makefile("rb") as answers:
                    line = answers.readline(MAXIMUM_ANSWER)
            except TimeoutError:
                raise ControlError(
                    f"the broker does not answer (waited {self._timeout:.0f} s)", "See the broker's log"
                ) from None
            except OSError as error:
                raise ControlError(f"the connection to the broker broke: {error}", "See its log") from error
        return _parse_answer(line)

    def _connect(self) -> socket.socket:
        path = socket_path(self._data)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout)
        try:
            connection.connect(os.fspath(path))
        except PermissionError as error:
            connection.close()
            raise ControlError(
                f"{path} may not be opened by this user", "Run the command as the user that runs the broker"
            ) from error
        except OSError as error:
            connection.close()
            raise NotRunningError(
                f"no broker is running on {self._data.path}",
                "Start it with lockwire up, or name its folder with --data",
            ) from error
        return connection


async def _handle(handler: Handler, arguments: Arguments) -> object:
    return await handler(arguments)


def _peer_uid(writer: asyncio.StreamWriter) -> int | None:
    """The user at the other end; None where the system does not tell (the socket's mode guards it there)."""
    option = getattr(socket, "SO_PEERCRED", None)
    connection = writer.get_extra_info("socket")
    if option is None or connection is None:
        return None
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return int(uid)


def _parse_request(line: bytes) -> tuple[str, Arguments]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError(f"a request is one line of JSON: {error}") from None
    if not isinstance(request, dict):
        raise ControlError("a request is a JSON object")
    command, arguments = request.get("command"), request.get("arguments", {})
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise ControlError('a request is {"command": "name", "arguments": {...}}')
    return command, arguments


def _parse_answer(line: bytes) -> object:
    try:
        answer = json.loads(line)
    except ValueError:
        raise ControlError("the broker closed the connection without an answer", "See its log") from None
    if isinstance(answer, dict) and "result" in answer:
        return answer["result"]
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        raise ControlError(
            "the broker's answer is not understood", "Are broker and command the same version?"
        )
    raise ControlError(
        str(error.get("message", "refused")), str(error.get("remedy", "")), error.get("bad_input") is True
    )


def _error_line(message: str, remedy: str, bad_input: bool = False) -> bytes:
    error = {"message": message, "remedy": remedy, "bad_input": bad_input}
    return json.dumps({"error": error}).encode() + b"\n"
