"""Metrics for Prometheus: a small HTTP server that answers GET /metrics and nothing else.

What it says is the broker's status, whose numbers keep their names: the counter `connections_opened` is
`lockwire_connections_opened_total`, the number of sessions `lockwire_sessions`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

Status = Mapping[str, object]

REQUEST_TIMEOUT: Final = 5.0
"""Seconds for a request to arrive and its answer to be taken."""
MAXIMUM_HEAD: Final = 8192
MAXIMUM_CONNECTIONS: Final = 16

_LABELLED: Final = (
    (re.compile(r"(publish_(?:received|sent))_qos([012])"), "qos", "PUBLISH packets"),
    (re.compile(r"(dropped)_(\w+)"), "reason", "Messages not delivered or not kept"),
)
_GAUGES_AMONG_COUNTERS: Final = frozenset({"loop_delay_max_ms"})


class MetricsServer:
    """Serves metrics on one address.

    Args:
        address: IP address or host name to listen on.
        port: TCP port; 0 lets the system choose one.
        read: gives the broker's status; called for each request, on the event loop.
    """

    def __init__(self, address: str, port: int, read: Callable[[], Status]) -> None:
        self._address = address
        self._port = port
        self._registry = CollectorRegistry()
        self._registry.register(_StatusCollector(read))
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listens; gives the port. Raises OSError where the address cannot be had."""
        self._server = await asyncio.start_server(self._accept, self._address, self._port, limit=MAXIMUM_HEAD)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Closes the listener and the connections under way."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._connections):
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAXIMUM_CONNECTIONS:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except asyncio.LimitOverrunError:
                    head = b""
                writer.write(self._answer(head))
                await writer.drain()
        except (OSError, EOFError, TimeoutError):
            return
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        request = head.partition(b"\r\n")[0].split(b" ")
        if len(request) != 3 or not request[2].startswith(b"HTTP/1."):
            return _response("400 Bad Request", "text/plain; charset=utf-8", b"Not an HTTP request.\n")
        if request[1].partition(b"?")[0] != b"/metrics":
            return _response("404 Not Found", "text/plain; charset=utf-8", b"Metrics are at /metrics.\n")
        if request[0] != b"GET":
            return _response("405 Method Not Allowed", "text/plain; charset=utf-8", b"Only GET.\n")
        return _response("200 OK", CONTENT_TYPE_LATEST, generate_latest(self._registry))


class _StatusCollector(Collector):
    def __init__(self, read: Callable[[], Status]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        return families(self._read())

    def describe(self) -> Iterator[Metric]:
        return iter(())


def families(status: Status) -> Iterator[Metric]:
    """A status as metrics: its numbers are gauges, those of `counters` counters, `listeners` have labels."""
    for name, value in status.items():
        if name == "counters" and isinstance(value, Mapping):
            yield from _counters(value)
        elif name == "listeners" and isinstance(value, list):
            yield from _listeners(value)
        elif name == "refusals" and isinstance(value, Mapping):
            refused = CounterMetricFamily("lockwire_refusals", "What was refused, by kind", labels=["kind"])
            for kind, count in value.items():
                refused.add_metric([str(kind)], float(count))
            yield refused
        elif isinstance(value, (int, float)):
            yield GaugeMetricFamily(f"lockwire_{name}", name.replace("_", " "), value=float(value))
    info = GaugeMetricFamily("lockwire_info", "Version of the broker", labels=["version"])
    info.add_metric([str(status.get("version", ""))], 1.0)
    yield info


def _counters(counters: Mapping[str, float]) -> Iterator[Metric]:
    labelled: dict[str, CounterMetricFamily] = {}
    for name, value in counters.items():
        for pattern, label, text in _LABELLED:
            match = pattern.fullmatch(name)
            if match:
                family = labelled.setdefault(
                    match[1], CounterMetricFamily(f"lockwire_{match[1]}", text, labels=[label])
                )
                family.add_metric([match[2]], float(value))
                break
        else:
            if name in _GAUGES_AMONG_COUNTERS:
                yield GaugeMetricFamily(f"lockwire_{name}", name.replace("_", " "), value=float(value))
            else:
                yield CounterMetricFamily(f"lockwire_{name}", name.replace("_", " "), value=float(value))
    yield from labelled.values()


def _listeners(listeners: list[Mapping[str, object]]) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "lockwire_listener_connections", "Connections of a listener", labels=["listener", "transport"]
    )
    for listener in listeners:
        connections = listener.get("connections", 0)
        if isinstance(connections, (int, float)):
            labels = [str(listener.get("name", "")), str(listener.get("transport", ""))]
            family.add_metric(labels, float(connections))
    yield family


def _response(status: str, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode("ascii") + body
