"""The load generator: built from bench/load, run on its own core, its line of JSON read."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SOURCES = Path(__file__).parent / "load"
FLAGS = ("-O2", "-Wall", "-Wextra")
LIBRARIES = ("-lssl", "-lcrypto")

Result = dict[str, float | str]


class GeneratorError(Exception):
    """The generator could not be built, or a run of it failed; says what it printed."""


def on_core(core: int) -> Callable[[], None]:
    """For subprocess's preexec_fn: pins the new process."""
    return lambda: os.sched_setaffinity(0, {core})


def build(folder: Path) -> Path:
    """Compiles the generator; raises GeneratorError with what the compiler said."""
    program = folder / "load"
    command = ["gcc", *FLAGS, "-o", str(program), *map(str, sorted(SOURCES.glob("*.c"))), *LIBRARIES]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise GeneratorError("the load generator needs gcc (Debian: apt install gcc libssl-dev)") from error
    if done.returncode != 0:
        raise GeneratorError(f"gcc cannot build the load generator (libssl-dev installed?):\n{done.stderr}")
    return program


class Generator:
    """A built generator, pinned to a core."""

    def __init__(self, program: Path, core: int) -> None:
        self._program = program
        self._core = core

    def run(
        self, mode: str, options: Mapping[str, object], extra: Sequence[str] = (), timeout: float = 600
    ) -> Result:
        """Runs it once.

        `options` become `--key value`, or `--key` where the value is True. Returns its numbers, with nested
        objects flattened: `latency_us.p50`. Raises GeneratorError when it fails or takes longer than
        `timeout` seconds.
        """
        command = self._command(mode, options, extra)
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                preexec_fn=on_core(self._core),
            )
        except subprocess.TimeoutExpired as error:
            raise GeneratorError(f"no result within {timeout:.0f} s") from error
        return _result(done.returncode, done.stdout, done.stderr)

    def run_beside(
        self,
        mode: str,
        options: Mapping[str, object],
        ready: Callable[[], bool],
        work: Callable[[], None],
        timeout: float = 600,
    ) -> Result:
        """As `run`, and does some work meanwhile: as soon as `ready` says so, asked ten times a second."""
        process = subprocess.Popen(
            self._command(mode, options, ()),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=on_core(self._core),
        )
        try:
            while process.poll() is None and not ready():
                time.sleep(0.1)
            if process.poll() is None:
                work()
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise GeneratorError(f"no result within {timeout:.0f} s") from error
        finally:
            process.kill()
            process.wait()
        return _result(process.returncode, stdout, stderr)

    def _command(self, mode: str, options: Mapping[str, object], extra: Sequence[str]) -> list[str]:
        return [str(self._program), mode, *arguments(options), *extra]


def _result(status: int, stdout: str, stderr: str) -> Result:
    if status != 0:
        last = stderr.strip().splitlines()[-1:] or [f"exit status {status}"]
        raise GeneratorError(last[0])
    return flatten(json.loads(stdout))


def arguments(options: Mapping[str, object]) -> list[str]:
    """Options as the command line has them."""
    out = []
    for name, value in options.items():
        out.append(f"--{name}")
        if value is not True:
            out.append(str(value))
    return out


def flatten(value: Mapping[str, object], prefix: str = "") -> Result:
    """Nested objects as one: {"a": {"b": 1}} becomes {"a.b": 1}; null values are left out."""
    flat: Result = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            flat.update(flatten(item, f"{prefix}{key}."))
        elif isinstance(item, (int, float, str)):
            flat[prefix + key] = item
    return flat
