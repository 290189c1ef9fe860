"""A real broker for tests: a subprocess on a free port of loopback, with its files in a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

READY_WITHIN = 20.0
"""Seconds a broker has for its start."""


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Broker:
    """A running broker; `address` is its plain MQTT listener, `log` what it wrote so far.

    Args:
        folder: where its files go.
        configuration: a lockwire.toml; without one the broker serves plain MQTT to anybody on loopback.
        port: the port to wait for, a listener of `configuration` where there is one; else a free one.
        data: a data folder, where the configuration needs users.
    """

    def __init__(
        self, folder: Path, configuration: str = "", port: int | None = None, data: Path | None = None
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.address = ("127.0.0.1", self.port)
        self.log_path = folder / "broker.log"
        command = [sys.executable, "-m", "lockwire.cli", "broker"]
        if configuration:
            (folder / "lockwire.toml").write_text(configuration)
            command += ["--config", "lockwire.toml"]
        else:
            command += ["-p", str(self.port)]
        if data is not None:
            command += ["--data", str(data)]
        environment = {name: value for name, value in os.environ.items() if name != "LOCKWIRE_DATA"}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, "PYTHONUNBUFFERED": "1"},
            )
        self._wait_until_listening()

    @property
    def log(self) -> str:
        """Everything the broker wrote."""
        return self.log_path.read_text(errors="replace")

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the broker ended with status {self.process.returncode}:\n{self.log}")
            try:
                socket.create_connection(self.address, timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise RuntimeError(f"no broker on {self.address} after {READY_WITHIN} s:\n{self.log}")

    def stop(self) -> int:
        """Stop it with SIGTERM, with SIGKILL where that takes over 10 s; returns its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode
