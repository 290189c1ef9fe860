"""A broker to be mistreated, and a bystander who must not notice."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lockwire.pki.authority.authority import Authority
from tests.support import packets
from tests.support.daemon import Lockwire
from tests.support.wire import Address, Wire

SERVED_WITHIN = 30.0
"""Seconds within which a bystander is served, whatever goes on; how fast is the benchmark's matter."""

_serial = itertools.count(1)

_CONFIGURATION = """
[[listener]]
name = "tcp"
transport = "tcp"
port = 0
authentication = ["anonymous"]
{plain}

[[listener]]
name = "tls"
transport = "tls"
address = "127.0.0.1"
port = 0
authentication = ["anonymous"]

[[listener]]
name = "ws"
transport = "ws"
port = 0
authentication = ["anonymous"]

[[listener]]
name = "wss"
transport = "wss"
address = "127.0.0.1"
port = 0
authentication = ["anonymous"]

[[listener]]
name = "aside"
transport = "tcp"
port = 0
authentication = ["anonymous"]

[tls]
certificate = "{folder}/server.pem"
key = "{folder}/server.key"
handshake_timeout = "{timeout} s"

[metrics]
enabled = true
port = 0

[sys]
interval = 0

[limits]
connect_timeout = "{timeout} s"
{limits}
"""


@dataclass(frozen=True)
class ServerFiles:
    """A folder with server.pem and server.key, and the CA to check them with."""

    folder: Path
    ca: Path

    @classmethod
    def make(cls, folder: Path) -> ServerFiles:
        """Issue a certificate for loopback."""
        authority = Authority.create(folder / "ca")
        issued = authority.issue_server(["localhost"], ["127.0.0.1"])
        (folder / "server.pem").write_bytes(issued.chain)
        (folder / "server.key").write_bytes(issued.key)
        (folder / "server.key").chmod(0o600)
        return cls(folder, authority.device_ca)


class Arena:
    """A running broker.

    Args:
        limits: more keys of `[limits]`.
        plain: more of the listener `tcp`, such as its own limits.
        timeout: seconds for a handshake and for a CONNECT.
    """

    def __init__(
        self, folder: Path, files: ServerFiles, limits: str = "", plain: str = "", timeout: float = 10
    ) -> None:
        text = _CONFIGURATION.format(folder=files.folder, limits=limits, plain=plain, timeout=timeout)
        configuration = folder / "lockwire.toml"
        configuration.write_text(text)
        self.broker = Lockwire(folder, "broker", "--config", configuration)
        self._ca = files.ca
        self._start = self.broker.resident

    def address(self, listener: str = "tcp") -> Address:
        """Where this listener is."""
        return "127.0.0.1", self.broker.ports[listener]

    def context(self) -> ssl.SSLContext:
        """For clients of the listeners with TLS."""
        return ssl.create_default_context(cafile=str(self._ca))

    async def client(
        self, client_id: str | None = None, listener: str = "tcp", version: int = 5, **options: object
    ) -> Wire:
        """A connected client; the options are those of Wire.connect."""
        context = self.context() if listener == "tls" else None
        wire = await Wire.open(self.address(listener), version, context)
        sent = packets.connect(client_id or f"c{next(_serial)}", version, **options)  # type: ignore[arg-type]
        await wire.send(sent)
        wire.connack = await wire.expect(packets.CONNACK, SERVED_WITHIN)
        assert wire.connack.reason == 0
        return wire

    def bystander(self) -> Bystander:
        """Someone who uses the broker meanwhile, through a listener of their own."""
        return Bystander(self)

    @property
    def grown(self) -> int:
        """Bytes of memory that the broker has more than after its start."""
        return self.broker.resident - self._start

    async def metric(self, name: str) -> float:
        """One number of the broker's metrics; others go on meanwhile."""
        return await asyncio.to_thread(self.broker.metric, name)

    async def metrics_sum(self, name: str) -> float:
        """The sum of a metric over its labels."""
        metrics = await asyncio.to_thread(self.broker.metrics)
        return sum(value for key, value in metrics.items() if key.startswith(f"lockwire_{name}"))

    async def until(self, name: str, is_enough: Callable[[float], bool], within: float = 20.0) -> float:
        """Wait until a metric is what it should be; gives it."""
        deadline = time.monotonic() + within
        while not is_enough(value := await self.metric(name)):
            assert time.monotonic() < deadline, f"{name} is still {value}"
            await asyncio.sleep(0.02)
        return value

    async def until_logged(self, text: str, within: float = 30.0) -> None:
        """Wait for words in the log."""
        deadline = time.monotonic() + within
        while text not in self.broker.log:
            assert time.monotonic() < deadline, f"{text!r} is not in the log:\n{self.broker.log[-3000:]}"
            await asyncio.sleep(0.02)


class Bystander:
    """A client that publishes at QoS 1 and gets its own message back, over and over, while it is entered.

    rounds: how often. slowest: seconds of the longest round.
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._name = f"bystander{next(_serial)}"
        self._task: asyncio.Task[None] | None = None
        self._ending = False
        self.rounds = 0
        self.slowest = 0.0

    async def __aenter__(self) -> Bystander:
        wire = await self._arena.client(self._name, "aside")
        await wire.subscribe(self._name, qos=1)
        self._task = asyncio.create_task(self._go_round(wire))
        await self.more()
        return self

    async def _go_round(self, wire: Wire) -> None:
        try:
            while not self._ending:
                started = time.perf_counter()
                await self._round(wire)
                self.slowest = max(self.slowest, time.perf_counter() - started)
                self.rounds += 1
                await asyncio.sleep(0.005)
            await wire.disconnect()
        finally:
            wire.abort()

    async def _round(self, wire: Wire) -> None:
        payload = b"%d" % self.rounds
        await wire.send(packets.publish(self._name, payload, 1, 1))
        kinds = set()
        for _ in range(2):
            packet = await wire.read(SERVED_WITHIN)
            kinds.add(packet.type)
            if packet.type == packets.PUBLISH:
                assert packet.payload == payload
                await wire.acknowledge(packets.PUBACK, packet.packet_id)
        assert kinds == {packets.PUBLISH, packets.PUBACK}

    async def more(self, rounds: int = 3) -> None:
        """Wait until it was served this many times more: what was sent before has been looked at."""
        wanted = self.rounds + rounds
        while self.rounds < wanted:
            assert self._task is not None
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.002)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        if error is None:
            await self.more()
        self._ending = True
        await asyncio.wait([self._task])
        if error is None:
            self._task.result()
