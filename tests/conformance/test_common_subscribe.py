"""SUBSCRIBE, UNSUBSCRIBE and what a filter matches, where the standards agree."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.conformance.versions import every_version
from tests.support import packets
from tests.support.wire import topics


@statement("MQTT311-3.8.4-1", "MQTT311-3.8.4-2", "MQTT311-2.3.1-7", "MQTT311-3.8.4-4", "MQTT311-3.8.4-5")
@statement("MQTT311-3.9.3-1", "MQTT311-3.9.3-2", "MQTT5-3.8.4-1", "MQTT5-3.8.4-2", "MQTT5-2.2.1-6")
@statement("MQTT5-3.8.4-5", "MQTT5-3.8.4-6", "MQTT5-3.8.4-7", "MQTT5-3.9.3-1", "MQTT5-3.9.3-2")
@every_version
@pytest.mark.parametrize("packet_id", [1, 256, 65535])
async def test_one_suback_grants_every_filter_in_order(
    connect: Clients, topic: str, version: int, packet_id: int
) -> None:
    wire = await connect(version=version)
    wanted = [2, 0, 1, 2, 1, 0]
    filters = [(f"{topic}/{number}", qos) for number, qos in enumerate(wanted)]
    await wire.send(packets.subscribe(packet_id, filters, version))
    suback = await wire.expect(packets.SUBACK)
    assert suback.packet_id == packet_id
    assert suback.reasons == wanted
    await wire.expect_nothing()
    publisher = await connect(version=version)
    for number, qos in enumerate(wanted):
        await publisher.publish(f"{topic}/{number}", b"", qos=2)
        assert (await wire.receive(f"{topic}/{number}")).qos == qos


@statement("MQTT311-3.10.4-4", "MQTT311-3.10.4-5", "MQTT311-3.10.4-6", "MQTT311-2.3.1-7", "MQTT311-3.10.4-2")
@statement("MQTT5-3.10.4-4", "MQTT5-3.10.4-5", "MQTT5-3.10.4-6", "MQTT5-2.2.1-6", "MQTT5-3.10.4-2")
@every_version
@pytest.mark.parametrize("packet_id", [1, 256, 65535])
async def test_one_unsuback_answers_and_the_filters_are_gone(
    connect: Clients, topic: str, version: int, packet_id: int
) -> None:
    wire = await connect(version=version)
    await wire.subscribe(f"{topic}/a", f"{topic}/b", f"{topic}/c", qos=1)
    gone = [f"{topic}/a", f"{topic}/never", f"{topic}/c"]
    await wire.send(packets.unsubscribe(packet_id, gone, version))
    unsuback = await wire.expect(packets.UNSUBACK)
    assert unsuback.packet_id == packet_id
    assert len(unsuback.reasons) == (3 if version == 5 else 0)
    publisher = await connect(version=version)
    for name in "acb":
        await publisher.publish(f"{topic}/{name}", b"", qos=1)
    assert (await wire.receive()).topic == f"{topic}/b"
    await wire.expect_nothing()


@statement("MQTT311-3.10.4-5", "MQTT5-3.10.4-5")
@every_version
async def test_unsubscribing_from_nothing_is_answered(connect: Clients, topic: str, version: int) -> None:
    await (await connect(version=version)).unsubscribe(topic)


@statement("MQTT311-3.10.4-1", "MQTT5-3.10.4-1")
@every_version
async def test_only_the_very_same_filter_is_deleted(connect: Clients, topic: str, version: int) -> None:
    wire = await connect(version=version)
    await wire.subscribe(f"{topic}/+")
    await wire.unsubscribe(f"{topic}/#", f"{topic}/a", f"{topic}/", f"{topic}/+/", f"{topic.upper()}/+")
    publisher = await connect(version=version)
    await publisher.publish(f"{topic}/a")
    await wire.receive(f"{topic}/a")
    await wire.unsubscribe(f"{topic}/+")
    await publisher.publish(f"{topic}/a")
    await wire.expect_nothing()


@statement("MQTT311-3.10.4-3", "MQTT5-3.10.4-3")
@every_version
async def test_what_was_begun_is_finished_after_unsubscribing(
    connect: Clients, topic: str, version: int
) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic, qos=2)
    publisher = await connect(version=version)
    await publisher.publish(topic, b"at least once", qos=1)
    await publisher.publish(topic, b"exactly once", qos=2)
    first = await wire.expect(packets.PUBLISH)
    second = await wire.expect(packets.PUBLISH)
    await wire.unsubscribe(topic)
    await wire.acknowledge(packets.PUBACK, first.packet_id)
    await wire.acknowledge(packets.PUBREC, second.packet_id)
    assert (await wire.expect(packets.PUBREL)).packet_id == second.packet_id
    await wire.acknowledge(packets.PUBCOMP, second.packet_id)
    await publisher.publish(topic, b"no more", qos=2)
    await wire.expect_nothing()


@statement("MQTT311-3.8.4-3", "MQTT5-3.8.4-3", "MQTT5-3.8.4-4")
@every_version
async def test_the_same_filter_again_replaces_the_subscription(
    connect: Clients, topic: str, version: int
) -> None:
    publisher = await connect(version=version)
    await publisher.publish(topic, b"kept", qos=1, retain=True)
    wire = await connect(version=version)
    for qos in (0, 2, 1):
        await wire.subscribe(topic, qos=qos)
        again = await wire.receive(topic, b"kept")
        assert again.retain
        await publisher.publish(topic, b"live", qos=2)
        live = await wire.receive(topic, b"live")
        assert live.qos == qos
        await wire.expect_nothing()


@statement("MQTT311-3.8.4-3", "MQTT5-3.8.4-4")
@every_version
async def test_replacing_a_subscription_loses_no_message(connect: Clients, topic: str, version: int) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic, qos=1)
    publisher = await connect(version=version)
    for number in range(50):
        data = packets.publish(topic, b"%d" % number, 1, number + 1, version=version)
        await publisher.send(data)
        await wire.send(packets.subscribe(1000 + number, [(topic, 1)], version))
    received: list[bytes] = []
    subacks = 0
    while len(received) < 50 or subacks < 50:
        packet = await wire.read()
        if packet.type == packets.SUBACK:
            subacks += 1
            continue
        received.append(packet.payload)
        await wire.acknowledge(packets.PUBACK, packet.packet_id)
    assert received == [b"%d" % number for number in range(50)]


@statement("MQTT311-3.8.4-6", "MQTT5-3.8.4-8")
@every_version
async def test_a_message_comes_at_the_lower_of_both_qos(connect: Clients, topic: str, version: int) -> None:
    publisher = await connect(version=version)
    for granted in (0, 1, 2):
        wire = await connect(version=version)
        await wire.subscribe(topic, qos=granted)
        for published in (0, 1, 2):
            await publisher.publish(topic, b"", qos=published)
            assert (await wire.receive(topic)).qos == min(granted, published)


@statement("MQTT311-3.3.5-1", "MQTT5-3.3.4-2")
@every_version
async def test_overlapping_subscriptions_deliver_at_the_highest_qos(
    connect: Clients, topic: str, version: int
) -> None:
    """One copy at the highest QoS, or one for each subscription among which is that one."""
    wire = await connect(version=version)
    await wire.subscribe(f"{topic}/#", qos=0)
    await wire.subscribe(f"{topic}/+", qos=2)
    await wire.subscribe(f"{topic}/a", qos=1)
    publisher = await connect(version=version)
    await publisher.publish(f"{topic}/a", b"all", qos=2)
    await publisher.publish(f"{topic}/marker/x", b"end", qos=0)
    copies = []
    while (message := await wire.expect(packets.PUBLISH)).payload != b"end":
        copies.append(message.qos)
    assert max(copies) == 2
    assert sorted(copies) in ([2], [0, 1, 2])


MATCHES = [
    ("a/b", ["a/b"], ["a", "a/b/", "/a/b", "a/B", "A/b", "a/bb"]),
    ("a/#", ["a", "a/", "a/b", "a/b/c", "a//b"], ["ab", "b/a", "A/b"]),
    ("a/+", ["a/b", "a/"], ["a", "a/b/c", "a//", "ab/c"]),
    ("+/b", ["a/b", "/b"], ["b", "a/b/", "a/a/b"]),
    ("a/+/c", ["a/b/c", "a//c"], ["a/c", "a/b/b/c", "a/b/c/d"]),
    ("+/+", ["a/b", "/", "/a"], ["a", "a/b/c"]),
    ("a/+/#", ["a/b", "a/b/c", "a/", "a//b"], ["a"]),
    ("/#", ["/", "/a", "/a/b"], ["a", "a/"]),
    ("/+", ["/a", "/"], ["a", "/a/b"]),
    ("a//b", ["a//b"], ["a/b", "a/x/b"]),
    ("a b/ä", ["a b/ä"], ["a b/a", "ab/ä", "a b/a\u0308"]),
    ("a/\ufeffb", ["a/\ufeffb"], ["a/b"]),
]


@statement("MQTT311-4.7.1-2", "MQTT311-4.7.1-3", "MQTT311-4.7.3-4", "MQTT311-3.3.2-3", "MQTT311-1.5.3-3")
@statement("MQTT5-4.7.1-1", "MQTT5-4.7.1-2", "MQTT5-4.7.3-4", "MQTT5-3.3.2-3", "MQTT5-1.5.4-3")
@every_version
@pytest.mark.parametrize(("name", "matching", "other"), MATCHES, ids=[name for name, _, _ in MATCHES])
async def test_a_filter_matches_what_it_says(
    connect: Clients, topic: str, version: int, name: str, matching: list[str], other: list[str]
) -> None:
    """Below a prefix of its own, so that the tests do not meet."""
    wire = await connect(version=version)
    await wire.subscribe(f"{topic}/{name}", f"{topic}/end of the test")
    publisher = await connect(version=version)
    for tail in [*other, *matching, "end of the test"]:
        await publisher.publish(f"{topic}/{tail}")
    got = []
    while (message := await wire.receive()).topic != f"{topic}/end of the test":
        got.append(message)
    assert topics(got) == [f"{topic}/{tail}" for tail in matching]


@statement("MQTT311-4.7.2-1", "MQTT5-4.7.2-1")
@every_version
async def test_leading_wildcards_do_not_reach_dollar_topics(
    connect: Clients, topic: str, version: int
) -> None:
    wire = await connect(version=version)
    await wire.subscribe("#", "+/#", f"+/{topic}", f"+/{topic}/+")
    publisher = await connect(version=version)
    await publisher.send(packets.publish(f"$test/{topic}", b"hidden", version=version))
    await publisher.send(packets.publish(f"$/{topic}/x", b"hidden", version=version))
    await publisher.publish(f"{topic}/marker", b"seen")
    while (message := await wire.receive()).topic != f"{topic}/marker":
        assert not message.topic.startswith("$")


@statement("MQTT311-4.7.2-1", "MQTT5-4.7.2-1")
@every_version
async def test_sys_topics_stay_out_of_leading_wildcards_and_come_by_name(
    connect: Clients, version: int
) -> None:
    """`$SYS/#` names them; `#` and `+/#` do not, whatever is retained there."""
    for filters, dollar in ((["$SYS/#"], True), (["#", "+/#"], False)):
        wire = await connect(version=version)
        await wire.subscribe(*filters)
        await wire.send(packets.PING)
        while (packet := await wire.read()).type != packets.PINGRESP:
            assert packet.topic.startswith("$") == dollar


@statement("MQTT311-4.7.3-3", "MQTT5-4.7.3-3", "MQTT311-4.7.3-1", "MQTT5-4.7.3-1")
@every_version
async def test_topics_of_one_character_and_of_many(connect: Clients, topic: str, version: int) -> None:
    """65,535 bytes are what the length field can say; a server may limit the topic below that by closing."""
    wire = await connect(version=version)
    long = (f"{topic}/" + "x" * 65535)[:4096]
    await wire.subscribe("/", long)
    publisher = await connect(version=version)
    await publisher.publish("/", b"short")
    await publisher.publish(long, b"long")
    assert [(await wire.receive()).payload for _ in range(2)] == [b"short", b"long"]
    await publisher.send(packets.publish("y" * 65535, b"longest", version=version))
    await publisher.send(packets.PING)
    answer = await publisher.read_or_close()
    assert answer is None or answer.type in (packets.PINGRESP, packets.DISCONNECT)


@statement("MQTT311-3.3.5-2")
async def test_a_publish_that_is_not_allowed_is_acknowledged_or_closes_the_connection(
    connect: Clients,
) -> None:
    """`$SYS` is the server's; whether others may publish there is its choice, and so is how it refuses."""
    wire = await connect(version=4)
    await wire.send(packets.publish("$SYS/broker/version", b"mine", 1, 7, version=4))
    answer = await wire.read_or_close()
    assert answer is None or (answer.type == packets.PUBACK and answer.packet_id == 7)


@statement("MQTT311-1.5.3-3", "MQTT5-1.5.4-3")
@every_version
async def test_a_byte_order_mark_is_a_character(connect: Clients, topic: str, version: int) -> None:
    wire = await connect("\ufeff" + connect.name(), version)
    await wire.subscribe(f"\ufeff{topic}")
    publisher = await connect(version=version)
    await publisher.publish(topic, b"without")
    await publisher.publish(f"\ufeff{topic}", b"with")
    await wire.receive(f"\ufeff{topic}", b"with")
