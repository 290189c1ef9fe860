"""Any packet that can be said, encoded and decoded, means the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lockwire.mqtt import bodies, packets
from lockwire.mqtt.decoder import Decoder
from lockwire.mqtt.encoder import encode
from lockwire.mqtt.packets import (
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Publish,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
    Will,
)
from lockwire.mqtt.properties import ALLOWED_IN, WILL
from tests.mqtt.meaning import meaning, properties, will

versions = st.sampled_from([3, 4, 5])
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
blobs = st.binary(max_size=30)
packet_ids = st.integers(1, 65_535)
two_bytes = st.integers(0, 65_535)
four_bytes = st.integers(0, 0xFFFFFFFF)
flags = st.integers(0, 1)
variable = st.integers(1, 268_435_455)
levels = st.text(st.characters(exclude_characters="\0+#/", exclude_categories=["Cs"]), max_size=5)
topics = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
topic_names = topics.map(str.encode)
plain_filters = (
    st.lists(levels | st.just("+"), min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda text: bool(text) and not text.startswith("$share/"))
)
shared_filters = st.builds(lambda name, rest: f"$share/{name}/{rest}", levels.filter(bool), plain_filters)
topic_filters = plain_filters | plain_filters.map(lambda text: text + "/#") | st.just("#") | shared_filters

# One strategy a property, by its identifier: the field of Properties it fills and its values.
PROPERTIES: dict[int, tuple[str, st.SearchStrategy[object]]] = {
    0x01: ("payload_format_indicator", flags),
    0x02: ("message_expiry_interval", four_bytes),
    0x03: ("content_type", texts),
    0x08: ("response_topic", topics),
    0x09: ("correlation_data", blobs),
    0x0B: ("subscription_identifiers", st.lists(variable, min_size=1, max_size=1)),
    0x11: ("session_expiry_interval", four_bytes),
    0x12: ("assigned_client_identifier", texts),
    0x13: ("server_keep_alive", two_bytes),
    0x15: ("authentication_method", texts),
    0x16: ("authentication_data", blobs),
    0x17: ("request_problem_information", flags),
    0x18: ("will_delay_interval", four_bytes),
    0x19: ("request_response_information", flags),
    0x1A: ("response_information", texts),
    0x1C: ("server_reference", texts),
    0x1F: ("reason_string", texts),
    0x21: ("receive_maximum", st.integers(1, 65_535)),
    0x22: ("topic_alias_maximum", two_bytes),
    0x23: ("topic_alias", st.integers(1, 65_535)),
    0x24: ("maximum_qos", flags),
    0x25: ("retain_available", flags),
    0x26: ("user_properties", st.lists(st.tuples(texts, texts), max_size=3)),
    0x27: ("maximum_packet_size", st.integers(1, 0xFFFFFFFF)),
    0x28: ("wildcard_subscription_available", flags),
    0x29: ("subscription_identifier_available", flags),
    0x2A: ("shared_subscription_available", flags),
}


@st.composite
def properties_of(draw: st.DrawFn, packet_type: int, without: tuple[int, ...] = ()) -> Properties:
    fields: dict[str, object] = {}
    for identifier, (name, values) in PROPERTIES.items():
        allowed = ALLOWED_IN[identifier] >> packet_type & 1 and identifier not in without
        if allowed and draw(st.booleans()):
            fields[name] = draw(values)
    if "authentication_data" in fields or packet_type == packets.AUTH:
        fields.setdefault("authentication_method", "method")
    return properties(**fields)


def text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def forwarded(draw: st.DrawFn) -> bytes:
    """Encoded properties that a server forwards, in any order."""
    found = [
        b"\x26" + text(name) + text(value)
        for name, value in draw(st.lists(st.tuples(texts, texts), max_size=3))
    ]
    if draw(st.booleans()):
        found.append(bytes((1, draw(flags))))
    if draw(st.booleans()):
        found.append(b"\x03" + text(draw(texts)))
    if draw(st.booleans()):
        found.append(b"\x08" + text(draw(topics)))
    if draw(st.booleans()):
        data = draw(blobs)
        found.append(b"\x09" + len(data).to_bytes(2, "big") + data)
    return b"".join(draw(st.permutations(found)))


def round_trip(packet: Packet, version: int, server: bool, pieces: int) -> Packet:
    decoder = Decoder(server=server)
    if packet.type != packets.CONNECT:
        decoder.version = version
    data = encode(packet, version)
    for start in range(0, len(data), pieces):
        decoder.feed(data[start : start + pieces])
        found = decoder.next_packet()
        assert (found is None) is (start + pieces < len(data))
    assert found is not None
    assert meaning(found) == meaning(packet)
    assert decoder.buffered == 0
    return found


sizes = st.sampled_from([1, 2, 3, 10, 1_000_000])


@st.composite
def wills(draw: st.DrawFn, version: int) -> Will:
    found = will(draw(topic_names), draw(blobs), draw(st.integers(0, 2)), draw(st.booleans()))
    if version == 5:
        found.properties = forwarded(draw)
        found.message_expiry_interval = draw(st.just(-1) | four_bytes)
        found.delay_interval = draw(four_bytes)
    return found


@st.composite
def connects(draw: st.DrawFn) -> Connect:
    packet = Connect()
    packet.version = draw(versions)
    packet.is_bridge = packet.version != 5 and draw(st.booleans())
    packet.clean_start = draw(st.booleans())
    packet.keep_alive = draw(two_bytes)
    packet.client_id = draw(texts)
    packet.username = draw(st.none() | texts)
    if packet.version == 5 or packet.username is not None:
        packet.password = draw(st.none() | blobs)
    packet.will = draw(st.none() | wills(packet.version))
    if packet.version == 5:
        packet.properties = draw(properties_of(packets.CONNECT))
    return packet


@given(connects(), sizes)
def test_connect(packet: Connect, pieces: int) -> None:
    round_trip(packet, packet.version, True, pieces)


@given(st.data(), versions, sizes)
def test_connack(data: st.DataObject, version: int, pieces: int) -> None:
    if version == 5:
        reason = data.draw(st.sampled_from(sorted(bodies._CONNACK_REASONS)))
        found = data.draw(properties_of(packets.CONNACK))
    else:
        reason = data.draw(st.integers(0, 5))
        found = Properties()
    session_present = reason == 0 and version != 3 and data.draw(st.booleans())
    round_trip(Connack(session_present, reason, found), version, False, pieces)


@st.composite
def publishes(draw: st.DrawFn, version: int, server: bool) -> Publish:
    qos = draw(st.integers(0, 2))
    packet = Publish(
        draw(blobs),
        qos << 1 | (8 if qos and draw(st.booleans()) else 0) | draw(flags),
        draw(topic_names),
        draw(packet_ids) if qos else 0,
        0,
    )
    if version == 5:
        packet.properties = forwarded(draw)
        packet.message_expiry_interval = draw(st.just(-1) | four_bytes)
        packet.topic_alias = draw(two_bytes)
        if packet.topic_alias and draw(st.booleans()):
            packet.topic = b""
        if not server:
            packet.subscription_identifiers = draw(st.none() | st.lists(variable, min_size=1, max_size=4))
    return packet


@given(st.data(), versions, st.booleans(), sizes)
def test_publish(data: st.DataObject, version: int, server: bool, pieces: int) -> None:
    packet = data.draw(publishes(version, server))
    found = round_trip(packet, version, server, pieces)
    assert isinstance(found, Publish)
    assert (found.qos, found.retain, found.dup) == (packet.qos, packet.retain, packet.dup)


@given(st.data(), versions, st.booleans(), sizes)
def test_acks(data: st.DataObject, version: int, server: bool, pieces: int) -> None:
    packet_type = data.draw(st.integers(packets.PUBACK, packets.PUBCOMP))
    packet = Ack(packet_type, data.draw(packet_ids), 0, None)
    if version == 5:
        allowed = bodies._PUBACK_REASONS if packet_type <= packets.PUBREC else bodies._PUBREL_REASONS
        packet.reason = data.draw(st.sampled_from(sorted(allowed)))
        packet.properties = data.draw(st.none() | properties_of(packet_type))
    round_trip(packet, version, server, pieces)


@st.composite
def requests(draw: st.DrawFn, version: int) -> SubscriptionRequest:
    found = SubscriptionRequest(draw(topic_filters), draw(st.integers(0, 2)), False, False, 0)
    if version == 5:
        found.no_local = not found.topic_filter.startswith("$share/") and draw(st.booleans())
        found.retain_as_published = draw(st.booleans())
        found.retain_handling = draw(st.integers(0, 2))
    return found


@given(st.data(), versions, sizes)
def test_subscribe(data: st.DataObject, version: int, pieces: int) -> None:
    packet = Subscribe(
        data.draw(packet_ids), data.draw(st.lists(requests(version), min_size=1, max_size=4)), 0, None
    )
    if version == 5:
        packet.properties = data.draw(properties_of(packets.SUBSCRIBE))
        if packet.properties.subscription_identifiers:
            packet.subscription_identifier = packet.properties.subscription_identifiers[0]
    round_trip(packet, version, True, pieces)


@given(st.data(), versions, sizes)
def test_suback(data: st.DataObject, version: int, pieces: int) -> None:
    allowed = sorted(bodies._SUBACK_REASONS if version == 5 else bodies._SUBACK_RETURN_CODES)
    codes = data.draw(st.lists(st.sampled_from(allowed), min_size=1))
    found = data.draw(properties_of(packets.SUBACK)) if version == 5 else None
    round_trip(Suback(data.draw(packet_ids), codes, found), version, False, pieces)


@given(st.data(), versions, sizes)
def test_unsubscribe(data: st.DataObject, version: int, pieces: int) -> None:
    found = data.draw(properties_of(packets.UNSUBSCRIBE)) if version == 5 else None
    filters = data.draw(st.lists(topic_filters, min_size=1, max_size=4))
    round_trip(Unsubscribe(data.draw(packet_ids), filters, found), version, True, pieces)


@given(st.data(), versions, sizes)
def test_unsuback(data: st.DataObject, version: int, pieces: int) -> None:
    codes: list[int] = []
    found: Properties | None = None
    if version == 5:
        codes = data.draw(st.lists(st.sampled_from(sorted(bodies._UNSUBACK_REASONS)), min_size=1))
        found = data.draw(properties_of(packets.UNSUBACK))
    round_trip(Unsuback(data.draw(packet_ids), codes, found), version, False, pieces)


@given(versions, sizes)
def test_pings(version: int, pieces: int) -> None:
    round_trip(Pingreq(), version, True, pieces)
    round_trip(Pingresp(), version, False, pieces)


@given(st.data(), versions, st.booleans(), sizes)
def test_disconnect(data: st.DataObject, version: int, server: bool, pieces: int) -> None:
    packet = Disconnect(0, None)
    if version == 5:
        allowed = bodies._CLIENT_DISCONNECT_REASONS if server else bodies._SERVER_DISCONNECT_REASONS
        packet.reason = data.draw(st.sampled_from(sorted(allowed)))
        other_side = (0x1C,) if server else (0x11,)
        packet.properties = data.draw(st.none() | properties_of(packets.DISCONNECT, other_side))
    round_trip(packet, version, server or version != 5, pieces)


@given(st.data(), st.booleans(), sizes)
def test_auth(data: st.DataObject, server: bool, pieces: int) -> None:
    allowed = bodies._CLIENT_AUTH_REASONS if server else bodies._SERVER_AUTH_REASONS
    packet = Auth(data.draw(st.sampled_from(sorted(allowed))), data.draw(properties_of(packets.AUTH)))
    round_trip(packet, 5, server, pieces)


def test_every_property_of_the_standard_is_tried() -> None:
    assert PROPERTIES.keys() == ALLOWED_IN.keys()
    assert {name for name, _ in PROPERTIES.values()} == meaning(Properties()).keys() - {"class"}  # type: ignore[attr-defined]
    assert ALLOWED_IN[0x18] == 1 << WILL
