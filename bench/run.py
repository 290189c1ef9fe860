"""Runs scenarios: a fresh broker for each repetition, the peers in turn, medians at the end."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.brokers import Broker, BrokerError, Lockwire, Peer, Security, Sketch, running
from bench.certificates import Certificates
from bench.delay import event_loop_delay
from bench.fleet import FleetLockwire, Setting, issue_many, revoke_one
from bench.generator import Generator, GeneratorError, Result
from bench.machine import Machine
from bench.permissions import put_in_force
from bench.scenarios import Scenario, Step

WORK: dict[str, Callable[[Setting, Mapping[str, object]], Result]] = {
    "issue": issue_many,
    "revoke": revoke_one,
    "rules": put_in_force,
}
"""The steps that are more than a run of the load generator."""
SKETCH_REPETITIONS = 5
FAULTS = (
    "lost",
    "duplicates",
    "out_of_order",
    "misrouted",
    "foreign",
    "refused",
    "acknowledgements_out_of_order",
    "failed",
)


@dataclass
class Measurement:
    """What the repetitions of one scenario gave for one peer."""

    runs: list[dict[str, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def median(self, key: str) -> float | None:
        """The median of a number over the repetitions; None where none has it."""
        values = self.values(key)
        return statistics.median(values) if values else None

    def values(self, key: str) -> list[float]:
        return [run[key] for run in self.runs if key in run]

    def faults(self) -> dict[str, int]:
        """What went wrong, summed over repetitions and steps."""
        sums = dict.fromkeys(FAULTS, 0)
        for run in self.runs:
            for key, value in run.items():
                name = key.partition("@")[0]
                if name in sums:
                    sums[name] += int(value)
        return {name: count for name, count in sums.items() if count}


Measurements = dict[str, Measurement]  # by the peer's name


@dataclass(frozen=True)
class Bench:
    """What all runs have in common."""

    machine: Machine
    certificates: Certificates
    generator: Generator
    quick: bool = False
    repetitions: int | None = None

    def measure(
        self, scenario: Scenario, peers: Sequence[Peer], progress: Callable[[str], None]
    ) -> Measurements:
        """Runs every peer that can take part, in turn, as often as the scenario says."""
        security = scenario.security
        taking_part = [
            peer
            for peer in peers
            if all(peer.serves(security, step.options) for step in scenario.steps)
            and (scenario.fleet is None or isinstance(peer, Lockwire))
        ]
        measurements = {peer.name: Measurement() for peer in taking_part}
        for repetition in range(self._repetitions(scenario, taking_part)):
            for peer in taking_part:
                measurement = measurements[peer.name]
                if measurement.errors:
                    continue
                progress(f"{scenario.name}: {peer.name}, repetition {repetition + 1}")
                try:
                    measurement.runs.append(self._run(scenario, peer))
                except (BrokerError, GeneratorError, OSError, ZeroDivisionError) as error:
                    measurement.errors.append(str(error))
                    progress(f"{scenario.name}: {peer.name} failed: {error}")
        return measurements

    def _repetitions(self, scenario: Scenario, peers: Sequence[Peer]) -> int:
        if self.quick:
            return 1
        if self.repetitions is not None:
            return self.repetitions
        compared = any(metric.of_sketch for metric in scenario.metrics)
        if compared and any(peer.name == Sketch.name for peer in peers):
            return max(SKETCH_REPETITIONS, scenario.repetitions)
        return scenario.repetitions

    def _run(self, scenario: Scenario, peer: Peer) -> dict[str, float]:
        if scenario.fleet is not None and isinstance(peer, Lockwire):
            peer = FleetLockwire(peer, scenario.fleet)
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            running(
                peer, scenario.security, Path(folder), self.certificates, self.machine.broker_core
            ) as broker,
        ):
            delays = event_loop_delay(broker.ports[Security.PLAIN]) if peer.reports_loop_delay else None
            try:
                numbers = self._run_steps(scenario, peer, broker, Path(folder))
                if delays and (delay := delays.maximum()) is not None:
                    numbers["loop_delay_ms"] = delay
            finally:
                if delays:
                    delays.close()
        for name, derive in scenario.derived.items():
            numbers[name] = derive(numbers)
        return numbers

    def _run_steps(self, scenario: Scenario, peer: Peer, broker: Broker, folder: Path) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for step in scenario.steps:
            options = {
                "port": broker.ports[scenario.security.listener],
                "pids": broker.pids,
                **scenario.security.generator_options(self.certificates),
                **(shortened(step) if self.quick else step.options),
            }
            work = WORK.get(step.mode)
            if work is None:
                result = self.generator.run(step.mode, options)
            else:
                assert isinstance(peer, Lockwire)
                assert scenario.fleet is not None
                result = work(Setting(peer, broker, folder, self.generator, scenario.fleet), options)
            numbers |= numeric(result, step.label)
        return numbers


def numeric(result: Result, label: str) -> dict[str, float]:
    """The numbers of a result, marked with the step's label where it has one."""
    suffix = f"@{label}" if label else ""
    return {key + suffix: value for key, value in result.items() if not isinstance(value, str)}


def shortened(step: Step) -> Mapping[str, object]:
    """The options for a smoke run: everything once, nothing for long."""
    most: dict[str, float] = {"seconds": 0.5, "connections": 200, "concurrency": 100}
    if step.options.get("layout") == "scale":
        most |= {"subscriptions": 2000, "subscribers": 20, "topics": 2000}
    elif step.options.get("layout") == "topics":
        most |= {"topics": 1000}
    short = dict(step.options)
    for name, limit in most.items():
        value = short.get(name)
        if isinstance(value, (int, float)) and value > limit:
            short[name] = limit
    return short
