"""The load generator: what it finds wrong, and how it fails."""

from __future__ import annotations

import pytest
from bench.generator import Generator, GeneratorError, Result, build
from bench.machine import this_machine

from tests.bench.faulty import FaultyBroker, Mistakes

pytestmark = pytest.mark.peer("gcc", "openssl/ssl.h")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return Generator(build(tmp_path_factory.mktemp("generator")), this_machine().generator_core)


def flow(generator: Generator, mistakes: Mistakes) -> Result:
    """100 publications at QoS 0 through a broker with these mistakes."""
    broker = FaultyBroker(mistakes)
    options = {"port": broker.port, "rate": 1000, "seconds": 0.1, "patience": 0.3}
    result = generator.run("flow", options)
    broker.close()
    return result


def faults(result: Result) -> dict[str, float | str]:
    names = ("lost", "duplicates", "out_of_order", "misrouted", "foreign")
    return {name: result[name] for name in names if result[name]}


def test_everything_delivered_once_and_in_order_is_no_fault(generator: Generator) -> None:
    result = flow(generator, lambda number, packet: [packet])
    assert result["published"] == result["received"] == 100
    assert faults(result) == {}
    assert result["latency_us.samples"] == 100


def test_losses_are_counted(generator: Generator) -> None:
    result = flow(generator, lambda number, packet: [packet] if number % 10 else [])
    assert faults(result) == {"lost": 10}


def test_duplicates_are_counted_and_are_no_deliveries(generator: Generator) -> None:
    result = flow(generator, lambda number, packet: [packet] if number % 10 else [packet, packet])
    assert result["received"] == 100
    assert faults(result) == {"duplicates": 10}


def test_overtaken_publications_are_counted_once_they_arrive(generator: Generator) -> None:
    held: list[bytes] = []

    def hold_the_fifth(number: int, packet: bytes) -> list[bytes]:
        if number == 5:
            held.append(packet)
            return []
        return [packet, *held] if number == 8 else [packet]

    assert faults(flow(generator, hold_the_fifth)) == {"out_of_order": 1}


def test_publications_that_nobody_sent_are_counted(generator: Generator) -> None:
    stray = b"\x30\x05\x00\x01x42"
    result = flow(generator, lambda number, packet: [packet, stray] if number == 50 else [packet])
    assert faults(result) == {"foreign": 1}


def test_a_missing_broker_is_an_error(generator: Generator) -> None:
    with pytest.raises(GeneratorError, match="Connection refused"):
        generator.run("flow", {"port": 1})


def test_unknown_options_are_errors(generator: Generator) -> None:
    with pytest.raises(GeneratorError, match="--qos wants a number from 0 to 2, not '3'"):
        generator.run("flow", {"port": 1, "qos": 3})
