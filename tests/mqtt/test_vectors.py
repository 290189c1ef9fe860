"""Every packet of the table, decoded and encoded."""

from __future__ import annotations

import pytest

from lockwire.mqtt import packets
from lockwire.mqtt.decoder import Decoder
from lockwire.mqtt.encoder import encode
from lockwire.mqtt.packets import Packet, Publish
from tests.mqtt.meaning import meaning
from tests.mqtt.vectors import VECTORS, Vector


def decoder_for(vector: Vector) -> Decoder:
    decoder = Decoder(server=vector.from_client)
    if vector.packet.type != packets.CONNECT:
        decoder.version = vector.version
    return decoder


def drain(decoder: Decoder) -> list[Packet]:
    found = []
    while (packet := decoder.next_packet()) is not None:
        found.append(packet)
    return found


def name_of(vector: Vector) -> str:
    return f"{vector.name} {'from client' if vector.from_client else 'from server'}"


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_bytes_decode_to_the_packet(vector: Vector) -> None:
    decoder = decoder_for(vector)
    decoder.feed(vector.data)
    assert [meaning(packet) for packet in drain(decoder)] == [meaning(vector.packet)]
    assert decoder.version == vector.version
    assert decoder.buffered == 0


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.canonical], ids=name_of)
def test_the_packet_encodes_to_the_bytes(vector: Vector) -> None:
    assert encode(vector.packet, vector.version).hex(" ") == vector.data.hex(" ")


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_a_packet_split_at_any_byte_is_the_same(vector: Vector) -> None:
    step = 1 if len(vector.data) < 500 else 997
    for cut in range(1, len(vector.data), step):
        decoder = decoder_for(vector)
        decoder.feed(vector.data[:cut])
        assert decoder.next_packet() is None
        assert decoder.buffered == cut
        decoder.feed(vector.data[cut:])
        assert [meaning(packet) for packet in drain(decoder)] == [meaning(vector.packet)]
        assert decoder.buffered == 0


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("from_client", [True, False])
@pytest.mark.parametrize("ask", [True, False], ids=["asked after each piece", "asked at the end"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, 61, 1_460, 4_096, 1_000_000])
def test_a_stream_in_pieces_of_any_size_is_the_same(
    version: int, from_client: bool, ask: bool, size: int
) -> None:
    chosen = [
        vector
        for vector in VECTORS
        if vector.version == version
        and vector.from_client == from_client
        and vector.packet.type != packets.CONNECT
    ]
    stream = b"".join(vector.data for vector in chosen)
    decoder = Decoder(server=from_client)
    decoder.version = version
    found: list[Packet] = []
    for start in range(0, len(stream), size):
        decoder.feed(stream[start : start + size])
        if ask:
            found += drain(decoder)
        else:
            assert decoder.buffered == min(len(stream), start + size)
    found += drain(decoder)
    assert [meaning(packet) for packet in found] == [meaning(vector.packet) for vector in chosen]
    assert decoder.buffered == 0


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.packet.type == packets.PUBLISH], ids=name_of)
def test_a_publish_says_where_its_parts_lie(vector: Vector) -> None:
    decoder = decoder_for(vector)
    decoder.feed(vector.data)
    packet = decoder.next_packet()
    assert isinstance(packet, Publish)
    start = packet.topic_start
    assert packet.frame == vector.data
    assert packet.frame[start : start + 2] == len(packet.topic).to_bytes(2, "big")
    assert packet.frame[start + 2 : start + 2 + len(packet.topic)] == packet.topic
    assert packet.frame[packet.body :] == packet.payload


def test_every_packet_type_and_version_is_in_the_table() -> None:
    found = {(vector.packet.type, vector.version) for vector in VECTORS}
    for packet_type in range(packets.CONNECT, packets.AUTH):
        for version in (3, 4, 5):
            assert (packet_type, version) in found
    assert (packets.AUTH, 5) in found
