"""MQTT 5: subscription options, subscription identifiers, shared subscriptions."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.support import packets
from tests.support.packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Packet

NO_LOCAL = 0x04
RETAIN_AS_PUBLISHED = 0x08
RETAIN_IF_NEW = 0x10
RETAIN_NEVER = 0x20
IDENTIFIER = packets.SUBSCRIPTION_IDENTIFIER


@statement("MQTT5-3.8.3-3")
async def test_no_local_keeps_a_client_s_own_messages_from_it(connect: Clients, topic: str) -> None:
    """Its own, by client identifier; those of others come."""
    name = connect.name()
    wire = await connect.resume(name)
    await wire.subscribe(topic, qos=1, options=NO_LOCAL)
    await wire.publish(topic, b"mine", qos=1)
    await wire.expect_nothing()
    await (await connect()).publish(topic, b"theirs", qos=1)
    await wire.receive(topic, b"theirs")
    await wire.disconnect()
    again = await connect.resume(name)
    await again.publish(topic, b"mine, later", qos=1)
    await again.expect_nothing()


@statement("MQTT5-3.3.1-12", "MQTT5-3.3.1-13")
async def test_retain_as_published(connect: Clients, topic: str) -> None:
    keeps, drops = await connect(), await connect()
    await keeps.subscribe(topic, options=RETAIN_AS_PUBLISHED)
    await drops.subscribe(topic)
    publisher = await connect()
    for retain in (True, False):
        await publisher.publish(topic, b"x", retain=retain)
        assert (await keeps.receive(topic)).retain == retain
        assert not (await drops.receive(topic)).retain


@statement("MQTT5-3.3.1-9", "MQTT5-3.3.1-10", "MQTT5-3.3.1-11", "MQTT5-3.8.4-4")
async def test_retain_handling(connect: Clients, topic: str) -> None:
    """0: at every SUBSCRIBE; 1: at the first; 2: never."""
    await (await connect()).publish(topic, b"kept", qos=1, retain=True)
    wire = await connect()
    await wire.subscribe(topic, options=RETAIN_NEVER)
    await wire.expect_nothing()
    await wire.subscribe(topic, options=RETAIN_IF_NEW)
    await wire.expect_nothing()
    for _ in range(2):
        await wire.subscribe(topic)
        assert (await wire.receive(topic, b"kept")).retain
    await wire.unsubscribe(topic)
    await wire.subscribe(topic, options=RETAIN_IF_NEW)
    assert (await wire.receive(topic, b"kept")).retain
    await wire.expect_nothing()


@statement("MQTT5-3.3.1-10", "MQTT5-3.1.2-5")
async def test_a_resumed_subscription_is_not_new(connect: Clients, topic: str) -> None:
    await (await connect()).publish(topic, b"kept", qos=1, retain=True)
    name = connect.name()
    first = await connect.resume(name)
    await first.subscribe(topic, options=RETAIN_IF_NEW)
    await first.receive(topic)
    await first.disconnect()
    second = await connect.resume(name)
    await second.expect_nothing()
    await second.subscribe(topic, options=RETAIN_IF_NEW)
    await second.expect_nothing()


@statement("MQTT5-3.8.4-3")
async def test_replacing_changes_every_option(connect: Clients, topic: str) -> None:
    wire = await connect()
    await wire.subscribe(topic, options=NO_LOCAL | RETAIN_AS_PUBLISHED, values=[(IDENTIFIER, 1)])
    await wire.subscribe(topic, qos=1, options=RETAIN_NEVER, values=[(IDENTIFIER, 2)])
    await wire.send(packets.publish(topic, b"", 0, retain=True))
    message = await wire.receive(topic)
    assert not message.retain
    assert message.all(IDENTIFIER) == [2]
    await wire.subscribe(topic, options=RETAIN_NEVER)
    await (await connect()).publish(topic)
    assert (await wire.receive(topic)).all(IDENTIFIER) == []


@statement("MQTT5-3.3.4-3", "MQTT5-1.5.5-1")
@pytest.mark.parametrize("identifier", [1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455])
async def test_a_subscription_identifier_comes_with_its_messages(
    connect: Clients, topic: str, identifier: int
) -> None:
    await (await connect()).publish(topic, b"kept", qos=1, retain=True)
    wire = await connect()
    await wire.subscribe(topic, qos=1, values=[(IDENTIFIER, identifier)])
    assert (await wire.receive(topic, b"kept")).all(IDENTIFIER) == [identifier]
    await (await connect()).publish(topic, b"live", qos=1)
    assert (await wire.receive(topic, b"live")).all(IDENTIFIER) == [identifier]


@statement("MQTT5-3.3.4-2", "MQTT5-3.3.4-3", "MQTT5-3.3.4-4", "MQTT5-3.3.4-5")
async def test_overlapping_subscriptions_give_all_their_identifiers(connect: Clients, topic: str) -> None:
    """In one copy, or each in the copy of its subscription."""
    wire = await connect()
    await wire.subscribe(f"{topic}/#", qos=0, values=[(IDENTIFIER, 10)])
    await wire.subscribe(f"{topic}/+", qos=2, values=[(IDENTIFIER, 20)])
    await wire.subscribe(f"{topic}/a", qos=1, values=[(IDENTIFIER, 30)])
    await wire.subscribe("+/" + topic.partition("/")[2] + "/a", qos=1)
    publisher = await connect()
    await publisher.publish(f"{topic}/a", b"all", qos=2)
    await publisher.publish(f"{topic}/end/x", b"end")
    copies: list[Packet] = []
    while (message := await wire.expect(PUBLISH)).payload != b"end":
        copies.append(message)
    seen = [identifier for message in copies for identifier in message.all(IDENTIFIER)]
    assert sorted(seen, key=str) == [10, 20, 30]
    assert max(message.qos for message in copies) == 2
    assert len(copies) in (1, 4)


@statement("MQTT5-3.1.2-5", "MQTT5-3.3.4-3")
async def test_the_session_keeps_the_subscription_identifier(connect: Clients, topic: str) -> None:
    name = connect.name()
    first = await connect.resume(name)
    await first.subscribe(topic, qos=1, values=[(IDENTIFIER, 7)])
    await first.disconnect()
    await (await connect()).publish(topic, b"queued", qos=1)
    second = await connect.resume(name)
    assert (await second.receive(topic, b"queued")).all(IDENTIFIER) == [7]
    await (await connect()).publish(topic, b"live", qos=1)
    assert (await second.receive(topic, b"live")).all(IDENTIFIER) == [7]


@statement("MQTT5-3.11.3-1", "MQTT5-3.11.3-2", "MQTT5-3.10.4-6")
async def test_unsuback_has_a_reason_for_each_filter_in_order(connect: Clients, topic: str) -> None:
    wire = await connect()
    await wire.subscribe(f"{topic}/a", f"{topic}/b")
    unsuback = await wire.unsubscribe(f"{topic}/x", f"{topic}/b", f"{topic}/y", f"{topic}/a", f"{topic}/a")
    assert unsuback.reasons == [0x11, 0x00, 0x11, 0x00, 0x11]


@statement("MQTT5-3.8.4-7", "MQTT5-3.9.3-1", "MQTT5-3.9.3-2", "MQTT5-3.8.4-5")
async def test_refused_filters_do_not_spoil_the_others(connect: Clients, topic: str) -> None:
    """Where the server answers an invalid filter in SUBACK at all."""
    wire = await connect()
    filters = [(f"{topic}/a", 1), (f"{topic}/a#", 1), (f"{topic}/b", 2)]
    await wire.send(packets.subscribe(1, filters))
    answer = await wire.read_or_close()
    if answer is not None and answer.type == packets.SUBACK:
        assert answer.reasons == [1, 0x8F, 2]
        await (await connect()).publish(f"{topic}/b", b"ok", qos=2)
        await wire.receive(f"{topic}/b", b"ok")
    else:
        assert await wire.until_closed() == []


@statement("MQTT5-4.8.2-3", "MQTT5-4.5.0-1")
async def test_one_of_a_group_gets_each_message(connect: Clients, topic: str) -> None:
    """Two groups and a subscription that is not shared: each of the three gets every message once."""
    members = [await connect() for _ in range(3)]
    for qos, member in enumerate(members):
        await member.subscribe(f"$share/g/{topic}/+", qos=qos)
    other = await connect()
    await other.subscribe(f"$share/h/{topic}/#", qos=1)
    plain = await connect()
    await plain.subscribe(f"{topic}/a", qos=1)
    publisher = await connect()
    for number in range(12):
        await publisher.publish(f"{topic}/a", b"%d" % number, qos=2)
    everything = [b"%d" % number for number in range(12)]
    assert await plain.payloads(12) == everything
    assert await other.payloads(12) == everything
    shared: list[bytes] = []
    for granted, member in enumerate(members):
        await member.send(packets.PING)
        while (packet := await member.read()).type != packets.PINGRESP:
            if packet.type == PUBLISH:
                assert packet.qos == granted
                shared.append(packet.payload)
                if packet.qos:
                    await member.acknowledge(PUBACK if packet.qos == 1 else PUBREC, packet.packet_id)
            else:
                assert packet.type == PUBREL
    assert sorted(shared) == sorted(everything)


@statement("MQTT5-4.8.2-3")
async def test_a_group_goes_on_without_a_member_that_left(connect: Clients, topic: str) -> None:
    members = [await connect() for _ in range(2)]
    for member in members:
        await member.subscribe(f"$share/g/{topic}", qos=1)
    await members[0].disconnect()
    publisher = await connect()
    for number in range(6):
        await publisher.publish(topic, b"%d" % number, qos=1)
    assert await members[1].payloads(6) == [b"%d" % number for number in range(6)]
    await members[1].unsubscribe(f"$share/g/{topic}")
    await publisher.publish(topic, b"nobody", qos=1)
    await members[1].expect_nothing()


@statement("MQTT5-3.3.1-9")
async def test_a_shared_subscription_gets_no_retained_messages(connect: Clients, topic: str) -> None:
    """MQTT 5 section 4.8.2: they are not sent when it is made."""
    await (await connect()).publish(topic, b"kept", qos=1, retain=True)
    wire = await connect()
    await wire.subscribe(f"$share/g/{topic}", qos=1)
    await wire.expect_nothing()


@statement("MQTT5-4.8.2-4", "MQTT5-4.4.0-1")
async def test_qos_2_begun_with_a_member_waits_for_it(connect: Clients, topic: str) -> None:
    name = connect.name()
    member = await connect.resume(name)
    await member.subscribe(f"$share/g/{topic}", qos=2)
    await (await connect()).publish(topic, b"yours", qos=2)
    message = await member.expect(PUBLISH)
    other = await connect()
    await other.subscribe(f"$share/g/{topic}", qos=2)
    member.abort()
    back = await connect.resume(name)
    again = await back.receive(topic, b"yours")
    assert again.packet_id == message.packet_id
    await other.expect_nothing()


@statement("MQTT5-4.8.2-5")
@pytest.mark.parametrize("received", [False, True], ids=["no PUBREC", "PUBREC"])
async def test_qos_2_begun_with_a_session_that_ends_goes_to_no_other(
    connect: Clients, topic: str, received: bool
) -> None:
    member = await connect()
    await member.subscribe(f"$share/g/{topic}", qos=2)
    await (await connect()).publish(topic, b"yours", qos=2)
    message = await member.expect(PUBLISH)
    other = await connect()
    await other.subscribe(f"$share/g/{topic}", qos=2)
    if received:
        await member.acknowledge(PUBREC, message.packet_id)
        await member.expect(PUBREL)
    await member.disconnect()
    await other.expect_nothing()
    await (await connect()).publish(topic, b"next", qos=1)
    await other.receive(topic, b"next")


@statement("MQTT5-4.8.2-6", "MQTT5-4.4.0-2")
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_refused_shared_message_goes_to_no_other(connect: Clients, topic: str, qos: int) -> None:
    name = connect.name()
    member = await connect.resume(name)
    await member.subscribe(f"$share/g/{topic}", qos=qos)
    await (await connect()).publish(topic, b"no thanks", qos=qos)
    message = await member.expect(PUBLISH)
    other = await connect()
    await other.subscribe(f"$share/g/{topic}", qos=qos)
    await member.acknowledge(PUBACK if qos == 1 else PUBREC, message.packet_id, 0x83)
    await member.expect_nothing()
    await other.expect_nothing()
    member.abort()
    await (await connect.resume(name)).expect_nothing()
    await other.expect_nothing()


@statement("MQTT5-4.4.0-2", "MQTT5-4.3.3-4")
async def test_a_refused_pubrec_ends_the_exchange(connect: Clients, topic: str) -> None:
    """No PUBREL follows, and nothing is sent again; the identifier and the quota are free."""
    name = connect.name()
    values = [(packets.RECEIVE_MAXIMUM, 1)]
    wire = await connect.resume(name, values=values)
    await wire.subscribe(topic, qos=2)
    publisher = await connect()
    for payload in (b"refused", b"taken"):
        await publisher.publish(topic, payload, qos=2)
    first = await wire.expect(PUBLISH)
    await wire.acknowledge(PUBREC, first.packet_id, 0x83)
    second = await wire.expect(PUBLISH)
    assert second.payload == b"taken"
    await wire.acknowledge(PUBREC, second.packet_id)
    await wire.expect(PUBREL)
    await wire.acknowledge(PUBCOMP, second.packet_id)
    wire.abort()
    await (await connect.resume(name)).expect_nothing()


@statement("MQTT5-4.8.2-1", "MQTT5-4.8.2-2", "MQTT5-3.9.3-2")
@pytest.mark.parametrize("name", ["$share//a", "$share/g", "$share/g/", "$share/+/a", "$share/g#/a"])
async def test_an_invalid_share_is_refused(connect: Clients, name: str) -> None:
    wire = await connect()
    await wire.send(packets.subscribe(1, [(name, 0)]))
    answer = await wire.read_or_close()
    if answer is not None and answer.type == packets.SUBACK:
        assert answer.reasons == [0x8F]
    else:
        assert answer is None or answer.reason in (0x81, 0x82, 0x8F)
        assert await wire.until_closed() == []
