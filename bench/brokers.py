"""The brokers that are measured: a fresh process for every run, pinned to a core."""

from __future__ import annotations

import contextlib
import enum
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.certificates import Certificates
from bench.delay import INTERVAL
from bench.generator import on_core
from bench.machine import first_line

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class Security(enum.Enum):
    """How clients reach a broker; the value is the name in reports."""

    PLAIN = "plain"
    TLS = "TLS 1.3"
    TLS12 = "TLS 1.2"
    MUTUAL = "TLS 1.3, client certificate"

    @property
    def listener(self) -> Security:
        """The listener that serves it: both TLS versions have the same one."""
        return Security.TLS if self is Security.TLS12 else self

    def generator_options(self, certificates: Certificates) -> dict[str, object]:
        """What the load generator needs to connect."""
        if self is Security.PLAIN:
            return {}
        options: dict[str, object] = {
            "tls": "1.2" if self is Security.TLS12 else "1.3",
            "ca": certificates.ca,
        }
        if self is Security.MUTUAL:
            options |= {"cert": certificates.client, "key": certificates.client_key}
        return options


LISTENERS = (Security.PLAIN, Security.TLS, Security.MUTUAL)


class BrokerError(Exception):
    """A broker could not be started; says what it printed."""


@dataclass(frozen=True)
class Broker:
    """A running broker: where it listens, and its processes."""

    ports: Mapping[Security, int]
    process: int

    @property
    def pids(self) -> str:
        """Its process and the children of that, for the generator's --pids."""
        return ",".join(map(str, _with_children(self.process)))


class Peer(Protocol):
    """A kind of broker that takes part."""

    name: str
    reports_loop_delay: bool

    def version(self) -> str:
        """What it is, for the report."""

    def command(self, folder: Path, certificates: Certificates, ports: Mapping[Security, int]) -> list[str]:
        """The command that serves these ports; may write files into the folder."""

    def serves(self, security: Security, options: Mapping[str, object]) -> bool:
        """Whether it can take part in a run."""


class Mosquitto:
    """Mosquitto as it is by default, but with no limit on its queues, so that it loses nothing either.

    `set_tcp_nodelay` stays off: on, every saturated number of it is a quarter lower or worse, and its paced
    latencies are the same.
    """

    name = "Mosquitto"
    reports_loop_delay = False

    SETTINGS = (
        "user root",
        "allow_anonymous true",
        "max_queued_messages 0",
        "log_type error",
        "log_type warning",
    )

    def __init__(self) -> None:
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if program is None:
            raise BrokerError("mosquitto is not installed (Debian: apt install mosquitto)")
        self._program = program

    def version(self) -> str:
        return first_line(self._program, "-h")

    def command(self, folder: Path, certificates: Certificates, ports: Mapping[Security, int]) -> list[str]:
        lines = list(self.SETTINGS)
        for security, port in ports.items():
            lines.append(f"listener {port} 127.0.0.1")
            if security is not Security.PLAIN:
                lines += [
                    f"cafile {certificates.ca}",
                    f"certfile {certificates.server}",
                    f"keyfile {certificates.server_key}",
                ]
            if security is Security.MUTUAL:
                lines.append("require_certificate true")
        configuration = folder / "mosquitto.conf"
        configuration.write_text("\n".join(lines) + "\n")
        return [self._program, "-c", str(configuration)]

    def serves(self, security: Security, options: Mapping[str, object]) -> bool:
        return True


class Lockwire:
    """This project's broker, with its default limits, its permission checks and its metrics."""

    name = "Lockwire"
    reports_loop_delay = True

    def __init__(self, program: Path | None = None) -> None:
        self.program = [str(program)] if program else [sys.executable, "-m", "lockwire.cli"]

    def version(self) -> str:
        return first_line(*self.program, "--version")

    def command(self, folder: Path, certificates: Certificates, ports: Mapping[Security, int]) -> list[str]:
        lines = [
            '[log]\nlevel = "warning"',
            f"[metrics]\nenabled = true\nport = {free_ports(1)[0]}",
            f'[sys]\ninterval = {INTERVAL}\nreaders = "everyone"',
            f'[tls]\ncertificate = "{certificates.server}"\nkey = "{certificates.server_key}"\n'
            f'client_ca = "{certificates.ca}"',
        ]
        for security, port in ports.items():
            mutual = security is Security.MUTUAL
            lines.append(
                f"[[listener]]\n"
                f'transport = "{"tcp" if security is Security.PLAIN else "tls"}"\n'
                f'address = "127.0.0.1"\nport = {port}\n'
                f'client_certificates = "{"required" if mutual else "none"}"\n'
                f'authentication = ["{"certificate" if mutual else "anonymous"}"]'
            )
        configuration = folder / "lockwire.toml"
        configuration.write_text("\n\n".join(lines) + "\n")
        return [*self.program, "broker", "--config", str(configuration)]

    def serves(self, security: Security, options: Mapping[str, object]) -> bool:
        return True


class Sketch:
    """A bare hot path to compare with: a folder with hotpath.py, compiled here, and serve.py.

    `serve.py PORT [CERTIFICATE KEY]` serves MQTT 3.1.1 with QoS 0 and 1, nothing else.
    """

    name = "Sketch"
    reports_loop_delay = False

    def __init__(self, source: Path, folder: Path) -> None:
        self._folder = folder
        for name in ("hotpath.py", "serve.py"):
            if not (source / name).is_file():
                raise BrokerError(f"{source} has no {name}")
            shutil.copy(source / name, folder)
        done = subprocess.run(
            [sys.executable, "-m", "mypyc", "hotpath.py"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BrokerError(f"mypyc cannot compile {source / 'hotpath.py'}:\n{done.stdout}{done.stderr}")

    def version(self) -> str:
        return "the hot path alone, compiled"

    def command(self, folder: Path, certificates: Certificates, ports: Mapping[Security, int]) -> list[str]:
        command = [sys.executable, str(self._folder / "serve.py")]
        if Security.PLAIN in ports:
            return [*command, str(ports[Security.PLAIN])]
        return [*command, str(ports[Security.TLS]), str(certificates.server), str(certificates.server_key)]

    def serves(self, security: Security, options: Mapping[str, object]) -> bool:
        return (
            security in (Security.PLAIN, Security.TLS)
            and options.get("qos", 0) != 2
            and options.get("version", 4) == 4
            and options.get("layout", "pair") in ("pair", "fanout", "fanin")
        )


@contextlib.contextmanager
def running(
    peer: Peer, security: Security, folder: Path, certificates: Certificates, core: int
) -> Iterator[Broker]:
    """A freshly started broker on free ports, ready to accept; stopped afterwards.

    Raises BrokerError when it does not come up within START_SECONDS.
    """
    listeners: Sequence[Security] = LISTENERS if peer.name != Sketch.name else (security.listener,)
    ports = dict(zip(listeners, free_ports(len(listeners)), strict=True))
    command = peer.command(folder, certificates, ports)
    log = folder / f"{peer.name.lower()}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, preexec_fn=on_core(core)
        )
    try:
        _await_ports(process, ports.values(), log)
        yield Broker(ports, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _await_ports(process: subprocess.Popen[bytes], ports: Iterable[int], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    waiting = list(ports)
    while waiting:
        if process.poll() is not None or time.monotonic() > deadline:
            raise BrokerError(f"{process.args!r} does not listen: {log.read_text()[-2000:].strip()}")
        try:
            socket.create_connection(("127.0.0.1", waiting[0]), timeout=1).close()
            waiting.pop(0)
        except OSError:
            time.sleep(0.02)


def _with_children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        found = [int(child) for child in children.read_text().split()]
    except OSError:
        found = []
    return [pid, *(each for child in found for each in _with_children(child))]
