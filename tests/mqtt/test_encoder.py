"""What the encoder offers beside whole packets, and what it refuses."""

from __future__ import annotations

import pytest

from lockwire.mqtt import packets
from lockwire.mqtt.encoder import (
    PACKET_ID,
    encode_ack,
    encode_connack,
    encode_connect,
    encode_disconnect,
    encode_publish,
    encode_suback,
    encode_unsuback,
    puback,
    pubcomp,
    publish_head,
    pubrec,
    pubrel,
    variable_byte_integer,
)
from lockwire.mqtt.packets import Properties
from lockwire.mqtt.properties import encode_message_properties, encode_properties
from tests.mqtt.meaning import connect, properties


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "80 01"),
        (16_383, "ff 7f"),
        (16_384, "80 80 01"),
        (2_097_151, "ff ff 7f"),
        (2_097_152, "80 80 80 01"),
        (268_435_455, "ff ff ff 7f"),
    ],
)
def test_variable_byte_integers(value: int, data: str) -> None:
    """MQTT 5 table 1-1, [MQTT5-1.5.5-1]."""
    assert variable_byte_integer(value) == bytes.fromhex(data)


@pytest.mark.parametrize("value", [-1, 268_435_456])
def test_a_variable_byte_integer_has_its_bounds(value: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        variable_byte_integer(value)


def test_packet_identifiers() -> None:
    assert len(PACKET_ID) == 65_536
    assert (PACKET_ID[1], PACKET_ID[258], PACKET_ID[65_535]) == (b"\x00\x01", b"\x01\x02", b"\xff\xff")


def test_acknowledgements_of_success_are_made_once() -> None:
    for make, first in ((puback, 0x40), (pubrec, 0x50), (pubrel, 0x62), (pubcomp, 0x70)):
        frame = make(0x1234)
        assert frame == bytes((first, 2, 0x12, 0x34))
        assert make(0x1234) is frame


@pytest.mark.parametrize("length", [0, 1, 121, 122, 123, 16_377, 16_378, 200_000])
@pytest.mark.parametrize("flags", [0, 1, 2, 13])
def test_the_head_of_a_publish(length: int, flags: int) -> None:
    body = bytes(length)
    expected = bytes((0x30 | flags,)) + variable_byte_integer(length + 5) + b"\x00\x03a/b" + body
    assert publish_head(b"a/b", flags, length) + body == expected
    assert publish_head(b"a/b", 0x30 | flags, length) + body == expected


def test_a_publish_from_its_parts() -> None:
    found = encode_message_properties(b"\x01\x01", 60, 7, [1, 128])
    assert found == b"\x0f\x01\x01\x02\x00\x00\x00\x3c\x23\x00\x07\x0b\x01\x0b\x80\x01"
    assert encode_publish(5, 2, b"t", 9, b"x", found) == b"\x32\x16\x00\x01t\x00\x09" + found + b"x"
    assert encode_publish(5, 0, b"t", 9, b"x") == b"\x30\x05\x00\x01t\x00x"
    assert encode_publish(4, 2, b"t", 9, b"x", found) == b"\x32\x06\x00\x01t\x00\x09x"


def test_mqtt_3_has_neither_reasons_nor_properties() -> None:
    some = properties(reason_string="no")
    assert encode_ack(packets.PUBREC, 4, 1, 0x97, some) == b"\x50\x02\x00\x01"
    assert encode_disconnect(4, 0x8B, some) == b"\xe0\x00"
    assert encode_suback(4, 1, [1], some) == b"\x90\x03\x00\x01\x01"
    assert encode_unsuback(3, 1, [0x11], some) == b"\xb0\x02\x00\x01"
    assert encode_connack(4, True, 0, some) == b"\x20\x02\x01\x00"
    assert encode_connack(3, True, 0, some) == b"\x20\x02\x00\x00"


def test_no_properties_are_an_empty_section() -> None:
    assert encode_properties(None) == b"\x00"
    assert encode_properties(Properties()) == b"\x00"


def test_what_does_not_fit_its_field_is_refused() -> None:
    with pytest.raises(ValueError, match="65,535"):
        encode_connect(connect(4, "a" * 65_536))
    with pytest.raises(ValueError, match="65,535"):
        publish_head(bytes(65_536), 0, 0)
    with pytest.raises(ValueError, match=r"U\+0000"):
        encode_connect(connect(4, "a\0"))
    with pytest.raises(UnicodeEncodeError):
        encode_connect(connect(4, "\ud800"))
    with pytest.raises(ValueError, match="does not fit"):
        encode_properties(properties(receive_maximum=65_536))
    with pytest.raises(ValueError, match="does not fit"):
        encode_properties(properties(session_expiry_interval=1 << 32))
    with pytest.raises(ValueError, match="does not fit"):
        encode_publish(4, 0, b"t", 0, bytes(268_435_455))
    with pytest.raises(IndexError):
        puback(65_536)
