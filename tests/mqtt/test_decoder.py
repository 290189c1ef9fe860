"""What the decoder refuses, and how it holds what is not complete."""

from __future__ import annotations

import tracemalloc

import pytest

from lockwire.mqtt import reasons
from lockwire.mqtt.decoder import Decoder
from lockwire.mqtt.encoder import PACKET_ID, encode_publish, puback
from lockwire.mqtt.errors import MalformedPacketError, MqttError, ProtocolError
from lockwire.mqtt.packets import Ack, Connect, Publish
from tests.mqtt.malformed import BAD, Bad
from tests.mqtt.test_vectors import drain


def decoder_of(version: int, server: bool = True, maximum_packet_size: int = 268_435_460) -> Decoder:
    decoder = Decoder(maximum_packet_size, server)
    decoder.version = version
    return decoder


def refusal(bad: Bad, pieces: list[bytes]) -> MqttError:
    decoder = decoder_of(bad.version, bad.from_client, 2_000_000)
    for piece in pieces:
        decoder.feed(piece)
        try:
            drain(decoder)
        except MqttError as error:
            return error
    raise AssertionError("it was not refused")


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_packet_is_refused_with_its_reason(bad: Bad) -> None:
    error = refusal(bad, [bad.data])
    assert error.reason == bad.reason
    assert isinstance(error, MalformedPacketError if bad.reason == 0x81 else ProtocolError)
    assert error.detail


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_packet_that_comes_byte_by_byte_is_refused_the_same(bad: Bad) -> None:
    assert refusal(bad, [bytes((byte,)) for byte in bad.data]).reason == bad.reason


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (b"\x10\x0c\x00\x04MQTT\x03\x02\x00\x00\x00\x00", 4),
        (b"\x10\x0c\x00\x04MQTT\x06\x02\x00\x00\x00\x00", 5),
        (b"\x10\x0e\x00\x06MQIsdp\x04\x02\x00\x00\x00\x00", 3),
        (b"\x10\x0d\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x00", 5),
        (b"\x10\x0c\x00\x04mqtt\x04\x02\x00\x00\x00\x00", 0),
    ],
)
def test_the_decoder_knows_how_a_refused_connect_is_to_be_answered(data: bytes, version: int) -> None:
    decoder = Decoder()
    decoder.feed(data)
    with pytest.raises(MqttError):
        decoder.next_packet()
    assert decoder.version == version


def test_connect_sets_the_version_for_what_follows_in_the_same_bytes() -> None:
    decoder = Decoder()
    decoder.feed(b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03dev\x30\x06\x00\x03a/b\x00")
    connect, publish = drain(decoder)
    assert isinstance(connect, Connect)
    assert isinstance(publish, Publish)
    assert (connect.version, publish.payload) == (5, b"")


def test_a_packet_too_large_is_refused_when_its_fixed_header_is_complete() -> None:
    decoder = decoder_of(4, maximum_packet_size=1_000)
    decoder.feed(b"\x30\xe6")  # one byte more to come
    assert decoder.next_packet() is None
    decoder.feed(b"\x07\x00\x01")
    with pytest.raises(ProtocolError) as caught:
        decoder.next_packet()
    assert caught.value.reason == reasons.PACKET_TOO_LARGE


def test_a_packet_of_just_the_maximum_size_is_accepted() -> None:
    frame = encode_publish(4, 0, b"t", 0, bytes(300))
    decoder = decoder_of(4, maximum_packet_size=len(frame))
    decoder.feed(frame)
    assert len(drain(decoder)) == 1
    decoder.maximum_packet_size -= 1
    decoder.feed(frame)
    with pytest.raises(ProtocolError):
        decoder.next_packet()


def test_a_block_that_is_one_packet_is_not_copied() -> None:
    frame = encode_publish(4, 2, b"t", 7, bytes(100))
    decoder = decoder_of(4)
    decoder.feed(frame)
    packet = decoder.next_packet()
    assert isinstance(packet, Publish)
    assert packet.frame is frame


def test_a_large_packet_in_pieces_is_followed_by_the_rest_of_the_last_piece() -> None:
    large = encode_publish(4, 0, b"t", 0, bytes(range(256)) * 300)
    stream = puback(1) + large + puback(2) + large + puback(3)
    decoder = decoder_of(4)
    found = []
    for start in range(0, len(stream), 16_384):
        decoder.feed(stream[start : start + 16_384])
        found += drain(decoder)
    identifiers = [packet.packet_id for packet in found if isinstance(packet, Ack)]
    frames = [packet.frame for packet in found if isinstance(packet, Publish)]
    assert identifiers == [1, 2, 3]
    assert frames == [large, large]


def test_what_is_held_is_counted() -> None:
    decoder = decoder_of(4)
    decoder.feed(puback(1) + puback(2) + b"\x30\x7f\x00")
    decoder.feed(bytes(50))
    assert decoder.buffered == 61
    decoder.next_packet()
    assert decoder.buffered == 57
    decoder.next_packet()
    assert decoder.next_packet() is None
    assert decoder.buffered == 53


def test_a_large_remaining_length_costs_nothing_before_its_bytes_come() -> None:
    tracemalloc.start()
    try:
        decoders = [decoder_of(4) for _ in range(100)]
        for decoder in decoders:
            decoder.feed(b"\x30\xff\xff\xff\x7f")
            assert decoder.next_packet() is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [1, 2, 3, 40, 2_047, 2_048])
def test_a_packet_in_tiny_pieces_costs_little_more_than_its_bytes(size: int) -> None:
    total = 100_000 * min(size, 4)
    frame = encode_publish(4, 0, b"t", 0, bytes(total))
    decoder = decoder_of(4)
    tracemalloc.start()
    try:
        for start in range(0, len(frame) - 1, size):
            decoder.feed(frame[start : min(start + size, len(frame) - 1)])
            assert decoder.next_packet() is None
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 1.3 * total + 20_000
    decoder.feed(frame[-1:])
    packet = decoder.next_packet()
    assert isinstance(packet, Publish)
    assert packet.frame == frame


def test_tiny_pieces_behind_a_packet_nobody_asks_for_cost_little_more_than_their_bytes() -> None:
    decoder = decoder_of(4)
    decoder.feed(puback(1))
    tracemalloc.start()
    try:
        for number in range(50_000):
            decoder.feed(PACKET_ID[0x4002 if number % 2 == 0 else 0x0007])
        assert tracemalloc.get_traced_memory()[0] < 1.3 * 100_000 + 20_000
    finally:
        tracemalloc.stop()
    assert decoder.buffered == 100_004
    found = [packet.packet_id for packet in drain(decoder) if isinstance(packet, Ack)]
    assert found == [1] + 25_000 * [7]


def test_a_drained_decoder_keeps_no_block() -> None:
    tracemalloc.start()
    try:
        decoder = decoder_of(4)
        decoder.feed(puback(1) * 100_000)
        assert len(drain(decoder)) == 100_000
        assert tracemalloc.get_traced_memory()[0] < 50_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("version", "flags", "data", "plain"),
    [
        (4, 0, b"\x30\x04\x00\x01thi"[:6], True),
        (4, 1, b"\x31\x03\x00\x01t", True),
        (4, 10, b"\x3a\x05\x00\x01t\x00\x01", False),
        (4, 0, b"\x30\x83\x00\x00\x01t", False),
        (5, 0, b"\x30\x04\x00\x01t\x00", True),
        (5, 0, b"\x30\x06\x00\x01t\x02\x01\x01", False),
        (5, 10, b"\x3a\x06\x00\x01t\x00\x01\x00", False),
    ],
)
def test_a_plain_publish_is_one_that_may_leave_as_it_came(
    version: int, flags: int, data: bytes, plain: bool
) -> None:
    decoder = decoder_of(version)
    decoder.feed(data)
    packet = decoder.next_packet()
    assert isinstance(packet, Publish)
    assert (packet.flags, packet.plain) == (flags, plain)


def test_a_clients_decoder_waits_for_its_version() -> None:
    decoder = Decoder(server=False)
    decoder.feed(b"\x20\x02\x00\x00")
    with pytest.raises(ProtocolError):
        decoder.next_packet()
