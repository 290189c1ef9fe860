"""The command `lockwire` as tests run it: real processes, in a folder of their own."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

COMMAND = [sys.executable, "-m", "lockwire.cli"]
WATCHDOG = 30.0
"""Seconds after which a process that a test waits for is killed; only a failing test gets there."""


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without a LOCKWIRE_DATA, on a wide terminal without colours."""
    kept = {name: value for name, value in os.environ.items() if name != "LOCKWIRE_DATA"}
    return {**kept, "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb", **changes}


def lockwire(*arguments: str | Path, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=WATCHDOG,
    )


def succeeded(*arguments: str | Path, cwd: Path, **changes: str) -> str:
    """Runs one command, which has to succeed; gives what it printed."""
    done = lockwire(*arguments, cwd=cwd, **changes)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Running:
    """`lockwire up` or `lockwire broker`, running; `output` is what it printed until `last` came.

    The log is in `broker.log` in the folder.
    """

    def __init__(self, *arguments: str | Path, cwd: Path, last: str) -> None:
        self.cwd = cwd
        self.log_file = cwd / "broker.log"
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *map(str, arguments)],
                cwd=cwd,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.output = ""
        watchdog = threading.Timer(WATCHDOG, self.process.kill)
        watchdog.start()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if last in line:
                watchdog.cancel()
                return
        watchdog.cancel()
        raise AssertionError(f"ended with {self.process.wait()}:\n{self.output}\n{self.log}")

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and waits for the end; gives the exit status."""
        self.process.send_signal(number)
        return self.process.wait(WATCHDOG)

    def port(self, transport: str) -> int:
        """The port of the listener with this transport, as printed."""
        match = re.search(rf"^Listening on {transport} \S+:(\d+)", self.output, re.MULTILINE)
        assert match, self.output
        return int(match[1])

    def password(self) -> str:
        """The administrator's password, as printed."""
        match = re.search(r"user admin, password (\S+)", self.output)
        assert match, self.output
        return match[1]

    def fingerprint(self) -> str:
        """The root's fingerprint, as printed."""
        match = re.search(r"SHA-256 +(\S+)", self.output)
        assert match, self.output
        return match[1]


def up(cwd: Path, *arguments: str | Path) -> Running:
    """`lockwire up` on free ports, with its data in `data` below the folder."""
    ports = ("--tls-port", "0", "--wss-port", "0")
    return Running("up", "--data", "data", *ports, *arguments, cwd=cwd, last="Ctrl-C stops")


def client_context(cwd: Path, device: str | None = None) -> ssl.SSLContext:
    """What a client connects with: the root of `data`, and the certificate of a device in its folder."""
    context = ssl.create_default_context(cafile=cwd / "data" / "ca" / "ca.pem")
    if device is not None:
        context.load_cert_chain(cwd / device / f"{device}.pem", cwd / device / f"{device}.key")
    return context
