"""A short run of the fuzzer."""

from __future__ import annotations

import random
import tracemalloc

from lockwire.mqtt.decoder import Decoder
from lockwire.mqtt.errors import MqttError
from tests.mqtt.fuzz import Fuzzer


def test_mutated_packets_are_decoded_or_refused() -> None:
    fuzzer = Fuzzer(20)
    fuzzer.run(50_000)
    assert fuzzer.decoded > 5_000
    assert fuzzer.refused > 5_000
    assert {0x81, 0x82, 0x84, 0x8F, 0x90, 0x94, 0x95} <= set(fuzzer.reasons)


def test_random_bytes_are_decoded_or_refused() -> None:
    rng = random.Random(7)
    for _ in range(5_000):
        decoder = Decoder(4_096, rng.random() < 0.5)
        decoder.version = rng.choice((0, 3, 4, 5))
        data = rng.randbytes(rng.randrange(1, 200))
        decoder.feed(data)
        try:
            while decoder.next_packet() is not None:
                pass
        except MqttError:
            continue
        assert decoder.buffered <= len(data)


def test_the_fuzzer_leaves_no_memory_behind() -> None:
    fuzzer = Fuzzer(21)
    fuzzer.run(2_000)
    tracemalloc.start()
    try:
        fuzzer.run(4_000)
        before = tracemalloc.get_traced_memory()[0]
        fuzzer.run(14_000)
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()
