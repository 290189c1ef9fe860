"""Metrics over HTTP, read back with Prometheus's own parser."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lockwire.broker.counters import Counters
from lockwire.broker.exposure import Exposure
from lockwire.metrics import MetricsServer


def status() -> dict[str, object]:
    counters = Counters()
    counters.publish_received_qos1 = 7
    counters.dropped_outbox_full = 3
    counters.bytes_sent = 12345
    exposure = Exposure()
    exposure.connect("arduino", "biagio", True)
    exposure.topic("outTopic")
    return {
        "version": "1.2.3",
        "sessions": 4,
        "uptime": 1.5,
        "listeners": [
            {
                "name": "tls",
                "transport": "tls",
                "address": "[::]:8883",
                "connections": 2,
                "exposed": None,
                "tls_weaknesses": ["cipher suites with CBC"],
                "tls_problems": [],
                "certificate_ends": 1.9e9,
                "crl_ends": None,
            },
            {"name": "old", "transport": "tcp", "connections": 0, "exposed": exposure.report()},
        ],
        "counters": counters.snapshot(),
        "refusals": {"handshake": 5},
        "problems": ["listener tls: something", "listener old: something else"],
        "revocation": {
            "lists": [{"issuer": "Works CA", "next_update": 1.8e9, "revoked": 2}],
            "problems": 0,
            "ocsp_answers": 6,
            "ocsp_put_off": 1,
        },
    }


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = MetricsServer("127.0.0.1", 0, status)
    yield await server.start()
    await server.stop()


async def fetch(port: int, path: str = "/metrics", method: str = "GET") -> str:
    def run() -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return str(response.read().decode())

    return await asyncio.to_thread(run)


async def test_every_number_of_the_status_is_a_sample(port: int) -> None:
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(await fetch(port))
        for sample in family.samples
    }
    assert samples["lockwire_publish_received_total", "1"] == 7
    assert samples["lockwire_publish_received_total", "0"] == 0
    assert samples["lockwire_dropped_total", "outbox_full"] == 3
    assert samples["lockwire_bytes_sent_total",] == 12345
    assert samples["lockwire_sessions",] == 4
    assert samples["lockwire_refusals_total", "handshake"] == 5
    assert samples["lockwire_crl_next_update_seconds", "Works CA"] == 1.8e9
    assert samples["lockwire_crl_revoked", "Works CA"] == 2
    assert samples["lockwire_crl_problems",] == 0
    assert samples["lockwire_ocsp_answers_total",] == 6
    assert samples["lockwire_ocsp_put_off_total",] == 1
    assert samples["lockwire_problems",] == 2
    assert samples["lockwire_listener_tls_weaknesses", "tls"] == 1
    assert samples["lockwire_listener_tls_problems", "tls"] == 0
    assert samples["lockwire_listener_certificate_ends_seconds", "tls"] == 1.9e9
    assert ("lockwire_listener_crl_ends_seconds", "tls") not in samples
    assert samples["lockwire_uptime",] == 1.5
    assert samples["lockwire_loop_delay_max_ms",] == 0
    assert samples["lockwire_listener_connections", "tls", "tls"] == 2
    assert samples["lockwire_info", "1.2.3"] == 1
    assert samples["lockwire_listener_exposed_total", "old", "passwords"] == 1
    assert samples["lockwire_listener_exposed_total", "old", "topics"] == 1
    assert not any(name == "lockwire_listener_exposed_total" and "tls" in rest for name, *rest in samples)


@pytest.mark.parametrize(("path", "method", "code"), [("/", "GET", 404), ("/metrics", "POST", 405)])
async def test_nothing_else_is_served(port: int, path: str, method: str, code: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        await fetch(port, path, method)
    assert caught.value.code == code
    caught.value.close()


@pytest.mark.parametrize("junk", [b"\x10\x0c\x00\x04MQTT\r\n\r\n", b"x" * 20_000, b"GET /metrics\r\n\r\n"])
async def test_what_is_not_http_is_refused_and_the_next_request_served(port: int, junk: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(junk)
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()
    assert "lockwire_sessions 4.0" in await fetch(port)
