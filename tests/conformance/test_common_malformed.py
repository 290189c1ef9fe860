"""Malformed packets and protocol errors, where the standards agree: the connection is closed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.conformance.versions import oasis_versions
from tests.support import packets
from tests.support.packets import Will

Builder = Callable[[int], bytes]

SURROGATE = b"a\xed\xa0\x80"
OVERLONG = b"a\xc0\xaf"
CUT_SHORT = b"a\xe2\x82"
NULL = b"a\0b"
ILL_FORMED = [SURROGATE, OVERLONG, CUT_SHORT, b"\xff", b"\xf4\x90\x80\x80"]


def _with_flags(flags: int, rest: bytes = b"") -> Builder:
    """CONNECT with these connect flags, a client identifier, and `rest` in the payload."""

    def build(version: int) -> bytes:
        whole = packets.connect("c", version, flags=flags)
        return packets.packet(packets.CONNECT, 0, whole[2:] + rest)

    return build


def _will(topic: bytes) -> Builder:
    return lambda version: packets.connect("c", version, will=Will(topic))


def _no_client_id(version: int) -> bytes:
    return packets.packet(packets.CONNECT, 0, packets.connect("", version)[2:-2])


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(
            _with_flags(0x03),
            id="reserved connect flag",
            marks=statement("MQTT311-3.1.2-3", "MQTT5-3.1.2-3"),
        ),
        pytest.param(
            _with_flags(0x02 | 0x08),
            id="will QoS without will",
            marks=statement("MQTT311-3.1.2-13", "MQTT311-3.1.2-11", "MQTT5-3.1.2-11"),
        ),
        pytest.param(
            _with_flags(0x02 | 0x20),
            id="will retain without will",
            marks=statement("MQTT311-3.1.2-15", "MQTT311-3.1.2-11", "MQTT5-3.1.2-13"),
        ),
        pytest.param(
            _with_flags(0x02 | 0x04 | 0x18, packets.string("t") + packets.string("m")),
            id="will QoS 3",
            marks=statement("MQTT311-3.1.2-14", "MQTT5-3.1.2-12"),
        ),
        pytest.param(
            _with_flags(0x02 | 0x04),
            id="will flag without will fields",
            marks=statement("MQTT311-3.1.2-9", "MQTT5-3.1.2-9"),
        ),
        pytest.param(
            _with_flags(0x02, packets.string("t") + packets.string("m")),
            id="will fields without will flag",
            marks=statement("MQTT311-3.1.2-11", "MQTT5-3.1.3-1"),
        ),
        pytest.param(
            _with_flags(0x02, packets.string("user")),
            id="user name without its flag",
            marks=statement("MQTT311-3.1.2-18", "MQTT5-3.1.2-16"),
        ),
        pytest.param(
            _with_flags(0x82),
            id="user name flag without user name",
            marks=statement("MQTT311-3.1.2-19", "MQTT5-3.1.2-17"),
        ),
        pytest.param(
            _with_flags(0x82, packets.string("user") + packets.string("secret")),
            id="password without its flag",
            marks=statement("MQTT311-3.1.2-20", "MQTT5-3.1.2-18"),
        ),
        pytest.param(
            _with_flags(0xC2, packets.string("user")),
            id="password flag without password",
            marks=statement("MQTT311-3.1.2-21", "MQTT5-3.1.2-19"),
        ),
        pytest.param(
            _no_client_id,
            id="no client identifier",
            marks=statement("MQTT311-3.1.3-3", "MQTT5-3.1.3-3"),
        ),
        pytest.param(
            lambda version: b"\x11" + packets.connect("c", version)[1:],
            id="reserved flags of CONNECT",
            marks=statement("MQTT311-2.2.2-1", "MQTT311-2.2.2-2", "MQTT5-2.1.3-1"),
        ),
        *(
            pytest.param(
                lambda version, text=text: packets.connect(text, version),
                id=f"client identifier {text.hex()}",
                marks=statement("MQTT311-3.1.3-4", "MQTT5-3.1.3-4", "MQTT311-1.5.3-1", "MQTT5-1.5.4-1"),
            )
            for text in ILL_FORMED
        ),
    ],
)
@statement("MQTT311-3.1.4-1", "MQTT5-3.1.4-1", "MQTT5-4.13.1-1", "MQTT311-3.2.2-6", "MQTT5-3.2.2-8")
@oasis_versions
async def test_a_malformed_connect_closes_the_connection(
    connect: Clients, version: int, build: Builder
) -> None:
    """MQTT 3.1.1 has no return code for it; in MQTT 5 a CONNACK may say 0x81 or 0x82."""
    wire = await connect.open(version)
    await wire.send(build(version))
    if version == 4:
        assert await wire.until_closed() == []
    else:
        said = await wire.expect_refused()
        assert said is None or said.reason in (0x81, 0x82)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(
            lambda version: packets.connect(NULL, version),
            id="client identifier",
            marks=statement("MQTT311-3.1.3-4", "MQTT5-3.1.3-4"),
        ),
        pytest.param(_will(NULL), id="will topic", marks=statement("MQTT311-3.1.3-10", "MQTT5-3.1.3-11")),
        pytest.param(
            _will(OVERLONG), id="will topic overlong", marks=statement("MQTT311-3.1.3-10", "MQTT5-3.1.3-11")
        ),
        pytest.param(
            lambda version: packets.connect("c", version, username=NULL),
            id="user name",
            marks=statement("MQTT311-3.1.3-11", "MQTT5-3.1.3-12"),
        ),
        pytest.param(
            lambda version: packets.connect("c", version, username=SURROGATE),
            id="user name surrogate",
            marks=statement("MQTT311-3.1.3-11", "MQTT5-3.1.3-12"),
        ),
    ],
)
@statement("MQTT311-1.5.3-2", "MQTT5-1.5.4-2", "MQTT311-1.5.3-1", "MQTT5-1.5.4-1")
@oasis_versions
async def test_an_ill_formed_string_in_connect_closes_the_connection(
    connect: Clients, version: int, build: Builder
) -> None:
    wire = await connect.open(version)
    await wire.send(build(version))
    said = await wire.expect_refused()
    assert said is None or said.reason in (0x81, 0x82, 0x85, 0x90, 0x02)


def _flags(whole: bytes, flags: int) -> bytes:
    """The packet with these flags in its fixed header."""
    return bytes([whole[0] & 0xF0 | flags]) + whole[1:]


def _subscribe(*filters: tuple[str | bytes, int]) -> Builder:
    return lambda version: packets.subscribe(1, filters, version)


def _unsubscribe(*filters: str | bytes) -> Builder:
    return lambda version: packets.unsubscribe(1, filters, version)


def _publish(topic: bytes, qos: int = 0, packet_id: int = 0) -> Builder:
    return lambda version: packets.publish(topic, b"", qos, packet_id, version=version)


@pytest.mark.parametrize(
    "build",
    [
        *(
            pytest.param(
                lambda version, flags=flags: _flags(packets.acknowledgement(packets.PUBREL, 1), flags),
                id=f"PUBREL flags {flags}",
                marks=statement("MQTT311-3.6.1-1", "MQTT5-3.6.1-1"),
            )
            for flags in (0, 3, 15)
        ),
        *(
            pytest.param(
                lambda version, flags=flags: _flags(packets.subscribe(1, [("a", 0)], version), flags),
                id=f"SUBSCRIBE flags {flags}",
                marks=statement("MQTT311-3.8.1-1", "MQTT5-3.8.1-1"),
            )
            for flags in (0, 3, 10)
        ),
        *(
            pytest.param(
                lambda version, flags=flags: _flags(packets.unsubscribe(1, ["a"], version), flags),
                id=f"UNSUBSCRIBE flags {flags}",
                marks=statement("MQTT311-3.10.1-1", "MQTT5-3.10.1-1"),
            )
            for flags in (0, 3, 6)
        ),
        pytest.param(
            lambda _: b"\xe1\x00",
            id="DISCONNECT flags",
            marks=statement("MQTT311-3.14.1-1", "MQTT5-3.14.1-1"),
        ),
        pytest.param(
            lambda _: b"\xc1\x00",
            id="PINGREQ flags",
            marks=statement("MQTT311-2.2.2-2", "MQTT311-2.2.2-1", "MQTT5-2.1.3-1"),
        ),
        pytest.param(
            lambda _: b"\x41\x02\x00\x01",
            id="PUBACK flags",
            marks=statement("MQTT311-2.2.2-2", "MQTT311-2.2.2-1", "MQTT5-2.1.3-1"),
        ),
        pytest.param(
            _publish(b"a", qos=3, packet_id=1),
            id="PUBLISH QoS 3",
            marks=statement("MQTT311-3.3.1-4", "MQTT5-3.3.1-4"),
        ),
        pytest.param(
            lambda version: packets.packet(packets.PUBLISH, 0, b"\x00"),
            id="PUBLISH without topic",
            marks=statement("MQTT311-3.3.2-1", "MQTT5-3.3.2-1"),
        ),
        pytest.param(
            _publish(SURROGATE),
            id="PUBLISH topic ill formed",
            marks=statement("MQTT311-3.3.2-1", "MQTT5-3.3.2-1", "MQTT311-1.5.3-1", "MQTT5-1.5.4-1"),
        ),
        pytest.param(
            _publish(NULL),
            id="PUBLISH topic null",
            marks=statement("MQTT311-4.7.3-2", "MQTT5-4.7.3-2", "MQTT311-1.5.3-2", "MQTT5-1.5.4-2"),
        ),
        pytest.param(
            _publish(b""),
            id="PUBLISH topic empty",
            marks=statement("MQTT311-4.7.3-1", "MQTT5-4.7.3-1"),
        ),
        pytest.param(
            _publish(b"a/#"),
            id="PUBLISH topic many levels",
            marks=statement("MQTT311-3.3.2-2", "MQTT5-3.3.2-2", "MQTT311-4.7.1-1", "MQTT5-4.7.0-1"),
        ),
        pytest.param(
            _publish(b"a/+/b"),
            id="PUBLISH topic one level",
            marks=statement("MQTT311-3.3.2-2", "MQTT5-3.3.2-2", "MQTT311-4.7.1-1", "MQTT5-4.7.0-1"),
        ),
        pytest.param(
            _publish(b"a", qos=1, packet_id=0),
            id="PUBLISH packet identifier 0",
            marks=statement("MQTT311-2.3.1-1", "MQTT5-2.2.1-3"),
        ),
        pytest.param(
            lambda version: packets.subscribe(0, [("a", 0)], version),
            id="SUBSCRIBE packet identifier 0",
            marks=statement("MQTT311-2.3.1-1", "MQTT5-2.2.1-3"),
        ),
        pytest.param(
            lambda version: packets.unsubscribe(0, ["a"], version),
            id="UNSUBSCRIBE packet identifier 0",
            marks=statement("MQTT311-2.3.1-1", "MQTT5-2.2.1-3"),
        ),
        pytest.param(
            _subscribe(), id="SUBSCRIBE without filter", marks=statement("MQTT311-3.8.3-3", "MQTT5-3.8.3-2")
        ),
        pytest.param(
            _unsubscribe(),
            id="UNSUBSCRIBE without filter",
            marks=statement("MQTT311-3.10.3-2", "MQTT5-3.10.3-2"),
        ),
        pytest.param(
            _subscribe(("a", 3)), id="SUBSCRIBE QoS 3", marks=statement("MQTT311-3.8.3-4", "MQTT5-3.8.3-5")
        ),
        pytest.param(
            _subscribe(("a", 0x40)),
            id="SUBSCRIBE reserved bit 6",
            marks=statement("MQTT311-3.8.3-4", "MQTT5-3.8.3-5"),
        ),
        pytest.param(
            _subscribe(("a", 0x80)),
            id="SUBSCRIBE reserved bit 7",
            marks=statement("MQTT311-3.8.3-4", "MQTT5-3.8.3-5"),
        ),
        pytest.param(
            _subscribe((CUT_SHORT, 0)),
            id="SUBSCRIBE filter ill formed",
            marks=statement("MQTT311-3.8.3-1", "MQTT5-3.8.3-1"),
        ),
        pytest.param(
            _subscribe((NULL, 0)),
            id="SUBSCRIBE filter null",
            marks=statement("MQTT311-4.7.3-2", "MQTT5-4.7.3-2"),
        ),
        pytest.param(
            _unsubscribe(OVERLONG),
            id="UNSUBSCRIBE filter ill formed",
            marks=statement("MQTT311-3.10.3-1", "MQTT5-3.10.3-1"),
        ),
        pytest.param(
            lambda version: packets.packet(packets.PUBREL, 2, b"\x00"),
            id="PUBREL without packet identifier",
            marks=statement("MQTT311-4.8.0-1", "MQTT5-4.13.1-1"),
        ),
        pytest.param(
            lambda _: b"\x30\xff\xff\xff\xff\x01",
            id="remaining length of five bytes",
            marks=statement("MQTT311-4.8.0-1", "MQTT5-4.13.1-1"),
        ),
        pytest.param(
            lambda _: packets.packet(packets.CONNACK, 0, b"\0\0"),
            id="CONNACK from a client",
            marks=statement("MQTT311-4.8.0-1", "MQTT5-4.13.1-1"),
        ),
        pytest.param(
            lambda _: packets.packet(packets.PINGRESP, 0, b""),
            id="PINGRESP from a client",
            marks=statement("MQTT311-4.8.0-1", "MQTT5-4.13.1-1"),
        ),
        pytest.param(
            lambda _: packets.packet(0, 0, b""),
            id="packet type 0",
            marks=statement("MQTT311-4.8.0-1", "MQTT5-4.13.1-1"),
        ),
    ],
)
@statement("MQTT5-4.13.2-1", "MQTT5-3.14.2-1")
@oasis_versions
async def test_a_malformed_packet_closes_the_connection(
    connect: Clients, version: int, build: Builder
) -> None:
    """In MQTT 5 a DISCONNECT may say so first."""
    wire = await connect(version=version)
    await wire.send(build(version))
    said = await wire.expect_closed()
    assert said is None or said.reason in (0x81, 0x82, 0x8F, 0x90, 0x9B)


INVALID_FILTERS = {
    "level before the last": "a/#/b",
    "within a level": "a#",
    "after a letter": "a/b#",
    "plus within a level": "a/b+/c",
    "plus before a letter": "+a",
}


@statement("MQTT311-4.7.1-2", "MQTT5-4.7.1-1", "MQTT311-4.7.1-3", "MQTT5-4.7.1-2", "MQTT311-4.7.3-1")
@statement("MQTT5-4.7.3-1", "MQTT311-3.9.3-2", "MQTT5-3.9.3-2", "MQTT5-3.8.4-7")
@pytest.mark.parametrize("name", [*INVALID_FILTERS, "empty"])
@oasis_versions
async def test_an_invalid_filter_is_refused(connect: Clients, version: int, name: str) -> None:
    """By a SUBACK that says so for that filter, or by the close."""
    wire = await connect(version=version)
    await wire.send(packets.subscribe(1, [(INVALID_FILTERS.get(name, ""), 0)], version))
    received = await wire.read_or_close()
    if received is not None and received.type == packets.SUBACK:
        assert received.reasons == [0x8F if version == 5 else 0x80]
        return
    assert received is None or (received.type == packets.DISCONNECT and received.reason in (0x81, 0x82, 0x8F))
    assert await wire.until_closed() == []
