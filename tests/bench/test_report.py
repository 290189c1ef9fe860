"""What RESULTS.md says of measurements."""

from __future__ import annotations

import datetime

from bench.brokers import Security
from bench.machine import this_machine
from bench.report import render, significant
from bench.run import Measurement
from bench.scenarios import Bound, Metric, Scenario, Step, all_scenarios, at_least, at_most


def scenario(bound: Bound | None, of_sketch: float | None = None) -> Scenario:
    return Scenario(
        name="a scenario",
        group="Saturated",
        security=Security.PLAIN,
        steps=(Step("flow", {}),),
        metrics=(Metric("speed", "deliveries/s", bound, of_sketch),),
        repetitions=3,
        core=True,
    )


def measured(*speeds: float, **other: float) -> Measurement:
    return Measurement([{"speed": speed, **other} for speed in speeds])


def page(which: Scenario, **found: Measurement) -> str:
    now = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
    return render([(which, found)], this_machine(), {}, "python -m bench", 2, now)


def row(text: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith("| a scenario"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_of_medians_and_meet_or_miss() -> None:
    which = scenario(at_least(8))
    cells = row(page(which, Mosquitto=measured(90, 100, 120), Lockwire=measured(700, 900, 1000)))
    assert cells[1:7] == ["deliveries/s", "100 ± 15 %", "900 ± 17 %", "9.00", "at least 8 x", "met"]
    assert row(page(which, Mosquitto=measured(100), Lockwire=measured(799)))[4:7] == [
        "7.99",
        "at least 8 x",
        "**missed**",
    ]


def test_a_bound_without_a_peer_is_of_the_number_itself() -> None:
    which = scenario(Bound("at most", 20, relative=False))
    assert row(page(which, Lockwire=measured(19)))[2:7] == ["-", "19", "-", "at most 20", "met"]


def test_faults_miss_every_requirement_and_are_named() -> None:
    found = page(scenario(at_most(1)), Mosquitto=measured(10), Lockwire=measured(5, lost=3, out_of_order=1))
    assert row(found)[6] == "**missed**"
    assert row(found)[-1] == "Lockwire: 3 lost, 1 out of order"
    assert "0 of 1 requirements are met." in found


def test_the_share_of_the_sketch_is_a_requirement_of_its_own() -> None:
    found = page(
        scenario(at_least(8), of_sketch=0.4),
        Mosquitto=measured(10),
        Lockwire=measured(100),
        Sketch=measured(300),
    )
    assert row(found)[7:11] == ["300", "33", "at least 40", "**missed**"]
    assert "1 of 2 requirements are met." in found


def test_a_failed_run_is_shown_and_counts_as_missed() -> None:
    found = page(scenario(at_least(1)), Mosquitto=measured(10), Lockwire=Measurement(errors=["it broke"]))
    assert row(found)[3:7] == ["failed", "-", "at least 1 x", "**missed**"]
    assert "- a scenario, Lockwire: it broke" in found


def test_numbers_have_three_digits() -> None:
    shown = {value: significant(value) for value in (0, 0.01234, 3.14159, 99.95, 12345.6, 7_243_289)}
    assert shown == {
        0: "0",
        0.01234: "0.0123",
        3.14159: "3.14",
        99.95: "100",
        12345.6: "12,300",
        7_243_289: "7,240,000",
    }


def test_every_scenario_has_its_own_name() -> None:
    names = [each.name for each in all_scenarios()]
    assert len(set(names)) == len(names)
