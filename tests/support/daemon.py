"""A `lockwire` process as a user starts it: its ports, what it wrote, what it counts, what it weighs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

READY_WITHIN = 30.0
"""Seconds a broker has for its start."""
STOP_WITHIN = 10.0

_LISTENING = re.compile(r'listening listener=(\S+) endpoint="?\S+ [^"\n]*?(?::(\d+))?"?$', re.MULTILINE)
_METRICS = re.compile(r" metrics address=\S+ port=(\d+)")


def lockwire(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and give what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "lockwire.cli", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Lockwire:
    """A running broker.

    Args:
        folder: where its output is kept, and its working folder.
        arguments: the command line behind `lockwire`: `up ...` or `broker ...`.
        ready: what it prints once it serves.
    """

    def __init__(self, folder: Path, *arguments: str | Path, ready: str = "Listening on") -> None:
        self.folder = folder
        self._out = folder / "stdout.txt"
        self._err = folder / "stderr.txt"
        command = [sys.executable, "-m", "lockwire.cli", *map(str, arguments)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, env=environment)
        self._wait_until_ready(ready)
        self.ports = {name: int(port or 0) for name, port in _LISTENING.findall(self.log)}

    def _wait_until_ready(self, ready: str) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while ready not in self.output:
            if self.process.poll() is not None:
                status = self.process.returncode
                raise RuntimeError(f"lockwire ended with status {status}:\n{self.output}{self.log}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"not ready after {READY_WITHIN} s:\n{self.output}{self.log}")
            time.sleep(0.02)

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self._out.read_text(errors="replace")

    @property
    def log(self) -> str:
        """What it logged so far."""
        return self._err.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    @property
    def resident(self) -> int:
        """Bytes of memory that the process has in use (RSS)."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def metrics(self) -> dict[str, float]:
        """What it counts, by its metrics' names and labels; `[metrics]` must be enabled."""
        found = _METRICS.search(self.log)
        assert found is not None, "no metrics in this configuration"
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def metric(self, name: str) -> float:
        """One of `metrics`, by its name without `lockwire_`; 0 where it is not there."""
        return self.metrics().get(f"lockwire_{name}", 0.0)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = STOP_WITHIN) -> int:
        """Wait for its end; gives its exit status."""
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Stop it cleanly, and look whether anything went wrong inside; gives its exit status."""
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        assert "Traceback" not in self.log + self.output, self.log[-6000:]
        return self.process.returncode
