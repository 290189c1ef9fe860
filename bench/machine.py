"""What the benchmark ran on, for whoever reads its results."""

from __future__ import annotations

import os
import platform
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """The machine, and the cores that the broker and the load generator are pinned to."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    system: str
    broker_core: int
    generator_core: int
    load: float  # average of the last minute, before anything was measured

    @property
    def shares_core(self) -> bool:
        """Whether broker and generator have to share a core: results then say little."""
        return self.broker_core == self.generator_core


def this_machine() -> Machine:
    """Reads /proc and chooses two of the cores that this process may use."""
    cores = sorted(os.sched_getaffinity(0))
    return Machine(
        processor=_field(Path("/proc/cpuinfo"), "model name") or platform.processor(),
        cores=os.cpu_count() or len(cores),
        memory_gib=int((_field(Path("/proc/meminfo"), "MemTotal") or "0 kB").split()[0]) / 1024**2,
        kernel=platform.release(),
        system=_field(Path("/etc/os-release"), "PRETTY_NAME", "=").strip('"'),
        broker_core=cores[0],
        generator_core=cores[1] if len(cores) > 1 else cores[0],
        load=os.getloadavg()[0],
    )


def _field(path: Path, name: str, separator: str = ":") -> str:
    for line in path.read_text().splitlines():
        key, found, value = line.partition(separator)
        if found and key.strip() == name:
            return value.strip()
    return ""


def first_line(*command: str) -> str:
    """The first line that a program prints; empty where it is missing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def software() -> dict[str, str]:
    """Versions of what takes part apart from the brokers."""
    return {
        "Python": f"{platform.python_version()} ({sys.implementation.name})",
        "OpenSSL of Python": ssl.OPENSSL_VERSION,
        "OpenSSL of Mosquitto and of the load generator": first_line("openssl", "version"),
        "C compiler": first_line("gcc", "--version"),
    }
