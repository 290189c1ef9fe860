"""`python -m bench`, briefly and for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.__main__ import main

pytestmark = [pytest.mark.peer("gcc", "openssl/ssl.h", "mosquitto"), pytest.mark.slow]


def test_a_scenario_is_measured_and_reported(tmp_path: Path) -> None:
    report, numbers = tmp_path / "RESULTS.md", tmp_path / "results.json"
    status = main(
        ["--quick", "--only", r"^TLS 1\.3, QoS 1, 1->1", "--output", str(report), "--json", str(numbers)]
    )
    assert status == 0
    (scenario,) = json.loads(numbers.read_text())
    assert scenario["scenario"] == "TLS 1.3, QoS 1, 1->1, 64 B, MQTT 3.1.1"
    for peer in ("Mosquitto", "Lockwire"):
        (run,) = scenario["peers"][peer]["runs"]
        assert run["received"] == run["published"] == run["acknowledged"] > 0
        assert run["lost"] == run["duplicates"] == run["out_of_order"] == 0
        assert run["broker_cpu_s"] > 0
        assert run["broker_pss_kb"] > 0
    page = report.read_text()
    assert "| TLS 1.3, QoS 1, 1->1, 64 B, MQTT 3.1.1 | deliveries/s |" in page
    assert "at least 1 x" in page
    assert "Failed runs" not in page


def test_handshakes_and_idle_connections_are_measured(tmp_path: Path) -> None:
    numbers = tmp_path / "results.json"
    pattern = "client certificate, resumed|idle connections, TLS 1.3$"
    arguments = ["--quick", "--peers", "mosquitto", "--only", pattern]
    assert main([*arguments, "--output", str(tmp_path / "R.md"), "--json", str(numbers)]) == 0
    resumed, idle = (each["peers"]["Mosquitto"]["runs"][0] for each in json.loads(numbers.read_text()))
    assert resumed["resumed"] == resumed["connections"] == 200
    assert resumed["failed"] == 0
    assert idle["connections"] == 200
    assert idle["closed"] == 0
    assert idle["kb_per_connection"] > 1


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no such scenario"]) == 2
    assert main(["--quick", "--only", "idle", "--peers", "mosquito"]) == 2
    assert "'mosquito' is not mosquitto, lockwire, or sketch" in capsys.readouterr().err
