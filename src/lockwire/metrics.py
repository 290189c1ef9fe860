"""Metrics for Prometheus: GET /metrics over HTTP, and nothing else.

What it says is the broker's status, whose numbers keep their names: the counter `connections_opened` is
`lockwire_connections_opened_total`, the number of sessions `lockwire_sessions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from lockwire.http import HttpServer, Request, Response, method_not_allowed, plain

Status = Mapping[str, object]

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
        self._registry = CollectorRegistry()
        self._registry.register(_StatusCollector(read))
        self._server = HttpServer(address, port, self._answer)

    async def start(self) -> int:
        """Listens; gives the port. Raises OSError where the address cannot be had."""
        return await self._server.start()

    async def stop(self) -> None:
        """Closes the listener and the connections under way."""
        await self._server.stop()

    async def _answer(self, request: Request) -> Response:
        if request.path != "/metrics":
            return plain(HTTPStatus.NOT_FOUND, "Metrics are at /metrics.")
        if request.method not in ("GET", "HEAD"):
            return method_not_allowed("GET")
        return Response(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._registry))


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
        elif name == "revocation" and isinstance(value, Mapping):
            yield from _revocation(value)
        elif name == "problems" and isinstance(value, list):
            text = "What is out of order on the broker's side, as lockwire status shows it"
            yield GaugeMetricFamily("lockwire_problems", text, value=float(len(value)))
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
    yield from _tls(listeners)
    yield _exposed(listeners)


_TLS: Final = (
    ("tls_weaknesses", "tls_weaknesses", "What is weaker in a listener's TLS than it would have to be"),
    (
        "tls_problems",
        "tls_problems",
        "What is out of order with a listener's certificates and revocation lists",
    ),
    ("certificate_ends", "certificate_ends_seconds", "When the listener's certificate ends, in Unix time"),
    ("crl_ends", "crl_ends_seconds", "When the first revocation list of a listener ends, in Unix time"),
)


def _tls(listeners: list[Mapping[str, object]]) -> Iterator[Metric]:
    """Of listeners with TLS: alarms on what ends come before anybody is refused."""
    for field, name, text in _TLS:
        family = GaugeMetricFamily(f"lockwire_listener_{name}", text, labels=["listener"])
        for listener in listeners:
            value = listener.get(field)
            if isinstance(value, list):
                value = len(value)
            if isinstance(value, (int, float)):
                family.add_metric([str(listener.get("name", ""))], float(value))
        yield family


def _revocation(status: Mapping[str, object]) -> Iterator[Metric]:
    """What `lockwire.responder` says: an alarm on the next update comes before anybody is refused."""
    due = GaugeMetricFamily(
        "lockwire_crl_next_update_seconds", "When a revocation list ends, in Unix time", labels=["issuer"]
    )
    revoked = GaugeMetricFamily(
        "lockwire_crl_revoked", "Certificates on a revocation list", labels=["issuer"]
    )
    lists = status.get("lists")
    for one in lists if isinstance(lists, list) else []:
        due.add_metric([str(one["issuer"])], float(one["next_update"]))
        revoked.add_metric([str(one["issuer"])], float(one["revoked"]))
    yield due
    yield revoked
    for name, text in (("ocsp_answers", "OCSP answers"), ("ocsp_put_off", "OCSP requests told to try later")):
        count = status.get(name)
        if isinstance(count, int):
            yield CounterMetricFamily(f"lockwire_{name}", text, value=float(count))
    problems = status.get("problems")
    if isinstance(problems, int):
        yield GaugeMetricFamily(
            "lockwire_crl_problems", "What is wrong with the authority's lists", value=float(problems)
        )


def _exposed(listeners: list[Mapping[str, object]]) -> Metric:
    family = CounterMetricFamily(
        "lockwire_listener_exposed",
        "What went over a listener without TLS, readable on the way",
        labels=["listener", "what"],
    )
    for listener in listeners:
        exposed = listener.get("exposed")
        for what, seen in exposed.items() if isinstance(exposed, Mapping) else ():
            count = seen.get("count", 0) if isinstance(seen, Mapping) else seen
            family.add_metric([str(listener.get("name", "")), str(what)], float(count))
    return family
