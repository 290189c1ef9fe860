"""`python -m bench`: measures Lockwire beside Mosquitto and writes bench/RESULTS.md."""

from __future__ import annotations

import argparse
import datetime
import json
import re
import resource
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.brokers import BrokerError, Lockwire, Mosquitto, Peer, Sketch
from bench.certificates import make_certificates
from bench.generator import Generator, GeneratorError, build
from bench.machine import software, this_machine
from bench.report import render
from bench.run import Bench, Measurements
from bench.scenarios import SATURATED_SECONDS, Scenario, all_scenarios

RESULTS = Path(__file__).parent / "RESULTS.md"


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the whole grid (hours), not the core set")
    parser.add_argument("--only", metavar="PATTERN", help="scenarios whose group or name has this expression")
    parser.add_argument("--quick", action="store_true", help="a smoke run: everything once and briefly")
    parser.add_argument("--list", action="store_true", help="print the scenarios and stop")
    parser.add_argument(
        "--peers",
        default="mosquitto,lockwire",
        help="who takes part: mosquitto, lockwire, sketch, separated by commas (default: %(default)s)",
    )
    parser.add_argument(
        "--sketch", metavar="DIR", type=Path, help="folder with hotpath.py and serve.py to compare with"
    )
    parser.add_argument("--lockwire", metavar="PROGRAM", type=Path, help="measure this lockwire command")
    parser.add_argument("--repetitions", metavar="N", type=int, help="of every scenario")
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="where the report goes (default: bench/RESULTS.md; standard output with --only and --quick)",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every number of every run here too")
    arguments = parser.parse_args(argv)
    if arguments.repetitions is not None and arguments.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    if arguments.output is None and not (arguments.only or arguments.quick):
        arguments.output = RESULTS
    return arguments


def chosen(arguments: argparse.Namespace) -> list[Scenario]:
    """The scenarios that the arguments ask for."""
    scenarios = [scenario for scenario in all_scenarios() if arguments.full or scenario.core]
    if arguments.only:
        pattern = re.compile(arguments.only, re.IGNORECASE)
        scenarios = [s for s in scenarios if pattern.search(s.name) or pattern.search(s.group)]
    return scenarios


def make_peers(arguments: argparse.Namespace, folder: Path) -> list[Peer]:
    """The brokers that take part; raises BrokerError where one is missing or unknown."""
    peers: list[Peer] = []
    names = [name.strip().lower() for name in arguments.peers.split(",")]
    if arguments.sketch and "sketch" not in names:
        names.append("sketch")
    for name in names:
        if name == "mosquitto":
            peers.append(Mosquitto())
        elif name == "lockwire":
            peers.append(Lockwire(arguments.lockwire))
        elif name == "sketch" and arguments.sketch:
            sketch = folder / "sketch"
            sketch.mkdir()
            peers.append(Sketch(arguments.sketch.resolve(), sketch))
        else:
            raise BrokerError(f"--peers: {name!r} is not mosquitto, lockwire, or sketch with --sketch DIR")
    return peers


def run(arguments: argparse.Namespace, scenarios: Sequence[Scenario], folder: Path) -> str:
    """Measures everything; returns the report, which is also written after every scenario."""
    machine = this_machine()
    peers = make_peers(arguments, folder)
    bench = Bench(
        machine=machine,
        certificates=make_certificates(folder),
        generator=Generator(build(folder), machine.generator_core),
        quick=arguments.quick,
        repetitions=arguments.repetitions,
    )
    versions = {peer.name: peer.version() for peer in peers} | software()
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    results: list[tuple[Scenario, Measurements]] = []
    report = ""
    began = time.monotonic()

    def progress(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", file=sys.stderr, flush=True)

    for scenario in scenarios:
        results.append((scenario, bench.measure(scenario, peers, progress)))
        now = datetime.datetime.now(datetime.UTC)
        report = render(results, machine, versions, command, SATURATED_SECONDS, now)
        if arguments.output:
            arguments.output.write_text(report)
        if arguments.json:
            arguments.json.write_text(json.dumps(as_json(results), indent=1))
    progress("done")
    return report


def as_json(results: Sequence[tuple[Scenario, Measurements]]) -> object:
    """Every number of every run."""
    return [
        {
            "scenario": scenario.name,
            "group": scenario.group,
            "peers": {
                name: {"runs": measurement.runs, "errors": measurement.errors}
                for name, measurement in found.items()
            },
        }
        for scenario, found in results
    ]


def allow_many_files() -> None:
    """Lets brokers and generator, which inherit it, have as many connections as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit status 2 when nothing could be measured."""
    arguments = parse(argv)
    scenarios = chosen(arguments)
    if arguments.list:
        for scenario in scenarios:
            print(f"{scenario.group}: {scenario.name}")
        return 0
    if not scenarios:
        print(f"bench: no scenario matches {arguments.only!r}; --list shows them", file=sys.stderr)
        return 2
    allow_many_files()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            report = run(arguments, scenarios, Path(folder))
    except (BrokerError, GeneratorError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if not arguments.output:
        print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
