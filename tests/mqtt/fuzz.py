"""Mutated packets against the decoder: `python -m tests.mqtt.fuzz --count N --seed S`.

What may happen is a packet, None or an MqttError; what is decoded may be encoded, and means the same then.
The decoder never holds more than it was fed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from lockwire.mqtt import decoder as decoder_module
from lockwire.mqtt import packets
from lockwire.mqtt.decoder import Decoder
from lockwire.mqtt.encoder import encode
from lockwire.mqtt.errors import MqttError
from lockwire.mqtt.packets import Packet, Publish
from tests.mqtt.malformed import BAD
from tests.mqtt.meaning import meaning
from tests.mqtt.vectors import VECTORS

SEEDS: list[tuple[int, bool, bytes]] = [
    *((0 if v.packet.type == packets.CONNECT else v.version, v.from_client, v.data) for v in 3 * VECTORS),
    *((bad.version, bad.from_client, bad.data) for bad in BAD),
]
SEEDS = [seed for seed in SEEDS if len(seed[2]) < 1_000]
INTERESTING = bytes(
    (0x00, 0x01, 0x02, 0x03, 0x0B, 0x1F, 0x23, 0x26, 0x2A, 0x7F, 0x80, 0x81, 0xC0, 0xED, 0xFF)
)
MAXIMUM_PACKET_SIZE = 4_096


class Fuzzer:
    """Counts what became of the packets; `run` raises AssertionError for what must not happen."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.mutated = 0
        self.decoded = 0
        self.refused = 0
        self.reasons: dict[int, int] = {}

    def run(self, count: int) -> None:
        while self.mutated < count:
            self.one_connection()

    def one_connection(self) -> None:
        """A few packets of one peer, mutated, fed in pieces."""
        version, server, data = self.random.choice(SEEDS)
        stream = self.mutate(data)
        self.mutated += 1
        while self.random.random() < 0.3:
            stream += self.mutate(self.random.choice(SEEDS)[2])
            self.mutated += 1
        decoder = Decoder(MAXIMUM_PACKET_SIZE, server)
        decoder.version = version
        fed = 0
        while fed < len(stream):
            size = self.random.choice((1, 2, 3, 7, 64, 4_096))
            decoder.feed(stream[fed : fed + size])
            fed = min(len(stream), fed + size)
            assert decoder.buffered <= fed
            if not self.drain(decoder, server):
                return
            assert decoder.buffered < MAXIMUM_PACKET_SIZE

    def drain(self, decoder: Decoder, server: bool) -> bool:
        """Take what is complete. False: the connection ends."""
        try:
            while (packet := decoder.next_packet()) is not None:
                self.decoded += 1
                if self.random.random() < 0.05:
                    check_round_trip(packet, decoder.version, server)
        except MqttError as error:
            self.refused += 1
            self.reasons[error.reason] = self.reasons.get(error.reason, 0) + 1
            return False
        return True

    def mutate(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3, 8))):
            self.mutate_once(changed)
        if self.random.random() < 0.5 and 2 <= len(changed) < 130:
            changed[1] = len(changed) - 2  # so that what lies behind the fixed header is reached
        return bytes(changed)

    def mutate_once(self, data: bytearray) -> None:
        rng = self.random
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(8)
        if kind == 0:
            del data[at : at + rng.randrange(1, 5)]
        elif kind == 1:
            data[at:at] = bytes((rng.choice(INTERESTING),))
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            other = rng.choice(SEEDS)[2]
            begin = rng.randrange(len(other))
            data[at:at] = other[begin : begin + rng.randrange(1, 20)]
        elif kind == 4:
            data[at:at] = data[at : at + rng.randrange(1, 12)]  # a property twice
        elif at < len(data):
            if kind == 5:
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 6:
                data[at] = rng.choice(INTERESTING)
            else:
                data[at] = rng.randrange(256)


def check_round_trip(packet: Packet, version: int, server: bool) -> None:
    """What was decoded, encoded and decoded again means the same."""
    again = Decoder(server=server)
    again.version = 0 if packet.type == packets.CONNECT else version
    again.feed(encode(packet, version))
    found = again.next_packet()
    assert found is not None
    assert meaning(found) == meaning(packet), (meaning(found), meaning(packet))
    if isinstance(found, Publish) and isinstance(packet, Publish) and packet.plain:
        assert found.frame == packet.frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="mutated packets")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    fuzzer = Fuzzer(arguments.seed)
    begin = time.perf_counter()
    fuzzer.run(arguments.count)
    seconds = time.perf_counter() - begin
    how = "compiled" if not str(decoder_module.__file__).endswith(".py") else "interpreted"
    counts = ", ".join(f"0x{reason:02X}: {count}" for reason, count in sorted(fuzzer.reasons.items()))
    sys.stdout.write(
        f"{fuzzer.mutated} mutated packets, {how}, {seconds:.0f} s: {fuzzer.decoded} decoded, "
        f"{fuzzer.refused} connections refused ({counts})\n"
    )


if __name__ == "__main__":
    main()
