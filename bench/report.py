"""RESULTS.md: what was measured, what is required, and whether it is met."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.brokers import Lockwire, Mosquitto, Sketch
from bench.machine import Machine
from bench.run import Measurement, Measurements
from bench.scenarios import Bound, Metric, Scenario

NOTHING = "-"
LIMITED = 95.0  # per cent of a core from which on the generator may be what limits a run

METHOD = """\
How it is measured: the broker runs on one core and the load generator (`bench/load`, one thread) on another.
Every repetition starts a fresh broker, the brokers take turns, and numbers are medians of the repetitions;
± is half the distance between the extremes. *Busy* is the CPU time of broker / generator as a share of one
core: where the generator is near 100 % and the broker is not, the generator was the limit (†), except
that a pacing generator never sleeps. Every
publication carries its topic's sequence number: *faults* are deliveries lost, duplicated, misrouted or out of
order, acknowledgements out of order, and refusals, over all repetitions; a scenario with faults of Lockwire
counts as missed, whatever its speed.

- *Saturated*: publishers go on for {seconds} s; the clock stops at the last delivery. QoS 1 and 2: 20
  publications of a publisher may wait for their acknowledgement. QoS 0: publishers wait when more is under
  way than arrives in 20 ms (at least 64 KiB a subscriber, 4 MiB together), since nothing else would hold
  them back.
- *mix*: 1,000 clients with 10 subscriptions each, a third of them with wildcards that match ten topics;
  10,000 topics of five levels; a tenth of the clients publish.
- *Paced*: every message is due at a fixed time, and its latency counts from then, however late it was sent.
- *Handshakes*: TCP, TLS, CONNECT, CONNACK, DISCONNECT; resumed ones each with the newest ticket.
- *Memory per connection*: growth of the proportional set size of the broker's processes.
- *Event-loop delay*: the longest that Lockwire reports about itself during the runs (median of repetitions).
"""


@dataclass(frozen=True)
class Row:
    """One number of one scenario."""

    scenario: Scenario
    metric: Metric
    measurements: Measurements

    def value(self, peer: str) -> float | None:
        measurement = self.measurements.get(peer)
        return measurement.median(self.metric.key) if measurement else None

    def ratio(self, to: str) -> float | None:
        """Lockwire's number divided by a peer's."""
        ours, theirs = self.value(Lockwire.name), self.value(to)
        return ours / theirs if ours is not None and theirs else None

    def verdict(self) -> str:
        """`met`, `missed`, or nothing where nothing is required or could be measured."""
        bound = self.metric.bound
        if bound is None or Lockwire.name not in self.measurements:
            return ""
        if self._faulty():
            return "**missed**"
        value = self.ratio(Mosquitto.name) if bound.relative else self.value(Lockwire.name)
        if value is None:
            return "**missed**" if self.measurements[Lockwire.name].errors else ""
        return "met" if bound.holds(value) else "**missed**"

    def sketch_verdict(self) -> str:
        """The same for the share of the sketch's number."""
        share = self.ratio(Sketch.name)
        if self.metric.of_sketch is None or share is None:
            return ""
        return "met" if share >= self.metric.of_sketch and not self._faulty() else "**missed**"

    def _faulty(self) -> bool:
        return self.scenario.lossless and bool(self.measurements[Lockwire.name].faults())


def render(
    results: Sequence[tuple[Scenario, Measurements]],
    machine: Machine,
    versions: Mapping[str, str],
    command: str,
    seconds: int,
    now: datetime.datetime,
) -> str:
    """The whole page."""
    rows = [Row(scenario, metric, found) for scenario, found in results for metric in scenario.metrics]
    with_sketch = any(Sketch.name in found for _, found in results)
    parts = [
        "# Lockwire and Mosquitto, side by side",
        f"Measured {now:%Y-%m-%d %H:%M} UTC with `{command}`. {_summary(rows)}",
        _machine(machine, versions),
        METHOD.format(seconds=seconds),
    ]
    if Mosquitto.name in versions:
        settings = ", ".join(f"`{line}`" for line in Mosquitto.SETTINGS)
        parts.append(f"Mosquitto's configuration, listeners apart: {settings}.")
    for group, members in itertools.groupby(rows, key=lambda row: row.scenario.group):
        parts.append(f"## {group}\n\n" + "\n".join(_table(list(members), with_sketch)))
    failures = [line for scenario, found in results for line in _failures(scenario, found)]
    if failures:
        parts.append("## Failed runs\n\n" + "\n".join(failures))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _summary(rows: Iterable[Row]) -> str:
    verdicts = [verdict for row in rows for verdict in (row.verdict(), row.sketch_verdict()) if verdict]
    met = sum(verdict == "met" for verdict in verdicts)
    return f"{met} of {len(verdicts)} requirements are met." if verdicts else "Nothing was required of it."


def _machine(machine: Machine, versions: Mapping[str, str]) -> str:
    lines = [
        f"- Machine: {machine.processor}, {machine.cores} cores, {machine.memory_gib:.0f} GiB, "
        f"{machine.system}, Linux {machine.kernel}; broker on core {machine.broker_core}, "
        f"generator on core {machine.generator_core}; load average before: {machine.load:.2f}"
    ]
    if machine.shares_core:
        lines.append(
            "- **There is only one core: broker and generator share it, and the results say little.**"
        )
    lines += [f"- {name}: {version}" for name, version in versions.items()]
    return "\n".join(lines)


def _table(rows: Sequence[Row], with_sketch: bool) -> Iterator[str]:
    head = ["scenario", "", Mosquitto.name, Lockwire.name, "ratio", "required", ""]
    if with_sketch:
        head += [Sketch.name, "% of the sketch", "required", ""]
    head += ["loop delay, ms", "busy %, Mosquitto", "busy %, Lockwire", "faults"]
    yield _line(head)
    yield _line(["---"] * 2 + ["---:"] * 3 + ["---"] * (len(head) - 5))
    previous = None
    for row in rows:
        first = row.scenario is not previous
        previous = row.scenario
        cells = [row.scenario.name if first else "", row.metric.label]
        cells += [
            _number(row.measurements.get(name), row.metric.key) for name in (Mosquitto.name, Lockwire.name)
        ]
        cells += [_ratio(row.ratio(Mosquitto.name)), _bound(row.metric.bound), row.verdict()]
        if with_sketch:
            cells += _sketch_cells(row)
        cells += _context(row.scenario, row.measurements) if first else [""] * 4
        yield _line(cells)


def _sketch_cells(row: Row) -> list[str]:
    share = row.ratio(Sketch.name)
    required = row.metric.of_sketch
    return [
        _number(row.measurements.get(Sketch.name), row.metric.key),
        NOTHING if share is None else f"{100 * share:.0f}",
        "" if required is None else f"at least {100 * required:.0f}",
        row.sketch_verdict(),
    ]


def _context(scenario: Scenario, found: Measurements) -> list[str]:
    paced = any("rate" in step.options for step in scenario.steps)
    ours = found.get(Lockwire.name)
    delay = ours.median("loop_delay_ms") if ours else None
    return [
        NOTHING if delay is None else f"{delay:.1f}",
        _busy(found.get(Mosquitto.name), paced),
        _busy(ours, paced),
        _faults(found),
    ]


def _busy(measurement: Measurement | None, paced: bool) -> str:
    """CPU of broker / generator, of the step where the generator had most to do."""
    if measurement is None:
        return NOTHING
    shares = []
    for run in measurement.runs:
        for key, generator in run.items():
            name, at, label = key.partition("@")
            seconds = run.get(f"seconds{at}{label}")
            if name == "load_cpu_percent" and seconds and f"broker_cpu_s{at}{label}" in run:
                shares.append((generator, 100 * run[f"broker_cpu_s{at}{label}"] / seconds))
    if not shares:
        return NOTHING
    generator, broker = sorted(shares)[len(shares) // 2]
    limited = generator >= LIMITED > broker and not paced
    return f"{broker:.0f} / {generator:.0f}{' †' if limited else ''}"


def _faults(found: Measurements) -> str:
    texts = []
    for peer, measurement in found.items():
        faults = ", ".join(
            f"{count:,} {name.replace('_', ' ')}" for name, count in measurement.faults().items()
        )
        if faults:
            texts.append(f"{peer}: {faults}")
    return "; ".join(texts) or "none"


def _failures(scenario: Scenario, found: Measurements) -> Iterator[str]:
    for peer, measurement in found.items():
        for error in measurement.errors:
            text = " ".join(error.split()).replace("|", "/")
            yield f"- {scenario.name}, {peer}: {text[:500]}"


def _number(measurement: Measurement | None, key: str) -> str:
    if measurement is None:
        return NOTHING
    value = measurement.median(key)
    if value is None:
        return "failed" if measurement.errors else NOTHING
    values = measurement.values(key)
    spread = (max(values) - min(values)) / 2 / value * 100 if value and len(values) > 1 else 0
    return significant(value) + (f" ± {spread:.0f} %" if spread >= 1 else "")


def significant(value: float) -> str:
    """Three significant digits, with separators of thousands."""
    if value == 0:
        return "0"
    text = f"{value:.3g}"
    return f"{float(text):,.0f}" if abs(value) >= 100 else f"{float(text):g}"


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _bound(bound: Bound | None) -> str:
    if bound is None:
        return ""
    return f"{bound.direction} {bound.value:g}{' x' if bound.relative else ''}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
