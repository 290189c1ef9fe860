"""paho-mqtt, in every version of MQTT and on every kind of listener."""

from __future__ import annotations

from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.e2e.paho_client import PahoClient, properties_of
from tests.e2e.site import Channel, Site

everywhere = pytest.mark.parametrize("version", ["3.1", "3.1.1", "5"])


@everywhere
def test_messages_of_every_qos_arrive_with_it(channel: Channel, version: str, unique: str) -> None:
    with PahoClient(channel, unique, version).connect() as client:
        assert client.subscribe(f"{unique}/+", 2) == [2]
        for qos in (0, 1, 2):
            client.publish(f"{unique}/{qos}", b"payload", qos)
            message = client.receive()
            assert (message.topic, message.payload, message.qos) == (f"{unique}/{qos}", b"payload", qos)
            assert not message.retain


@everywhere
def test_a_retained_message_waits_for_its_subscriber(channel: Channel, version: str, unique: str) -> None:
    with PahoClient(channel, unique, version).connect() as client:
        client.publish(unique, b"last", 1, retain=True)
        client.subscribe(unique, 1)
        message = client.receive()
        assert (message.payload, message.retain, message.qos) == (b"last", True, 1)
        client.publish(unique, b"", 1, retain=True)


@everywhere
def test_a_will_is_published_when_its_client_is_lost(channel: Channel, version: str, unique: str) -> None:
    with PahoClient(channel, f"{unique}w", version).connect() as watcher:
        watcher.subscribe(unique, 2)
        client = PahoClient(channel, unique, version)
        client.paho.will_set(unique, b"gone", qos=2)
        client.connect().drop()
        message = watcher.receive()
        assert (message.payload, message.qos) == (b"gone", 2)


@everywhere
def test_a_persistent_session_keeps_what_was_published_meanwhile(
    channel: Channel, version: str, unique: str
) -> None:
    with PahoClient(channel, unique, version, clean=False, expiry=300).connect() as client:
        assert not client.session_present
        client.subscribe(unique, 2)
    with PahoClient(channel, f"{unique}p", version).connect() as publisher:
        for number in range(20):
            publisher.publish(unique, b"%d" % number, qos=1 + number % 2)
    with PahoClient(channel, unique, version, clean=False, expiry=300).connect() as client:
        assert client.session_present is (version != "3.1")  # there is no such flag before 3.1.1
        messages = [client.receive() for _ in range(20)]
        for qos in (1, 2):  # the order holds for each QoS (MQTT 5 section 4.6)
            payloads = [message.payload for message in messages if message.qos == qos]
            assert payloads == [b"%d" % number for number in range(qos - 1, 20, 2)]


def test_a_mebibyte_arrives_whole(channel: Channel, unique: str) -> None:
    payload = bytes(range(256)) * 4096
    with PahoClient(channel, unique).connect() as client:
        client.subscribe(unique, 2)
        for qos in (0, 1, 2):
            client.publish(unique, payload, qos)
            assert client.receive().payload == payload


def test_properties_go_from_publisher_to_subscriber(channel: Channel, unique: str) -> None:
    properties = properties_of(
        PacketTypes.PUBLISH,
        ResponseTopic=f"{unique}/answer",
        CorrelationData=b"\x00\xff17",
        ContentType="text/plain",
        PayloadFormatIndicator=1,
        MessageExpiryInterval=600,
        UserProperty=[("a", "1"), ("b", "2"), ("a", "3")],
    )
    with PahoClient(channel, unique).connect() as client:
        client.subscribe(unique, 1)
        client.publish(unique, b"question", 1, properties=properties)
        received: Any = client.receive().properties
        assert received.ResponseTopic == f"{unique}/answer"
        assert received.CorrelationData == b"\x00\xff17"
        assert received.ContentType == "text/plain"
        assert received.PayloadFormatIndicator == 1
        assert received.MessageExpiryInterval <= 600
        assert received.UserProperty == [("a", "1"), ("b", "2"), ("a", "3")]


def test_request_and_response(channel: Channel, unique: str) -> None:
    asking = properties_of(PacketTypes.CONNECT, RequestResponseInformation=1)
    with (
        PahoClient(channel, f"{unique}s").connect() as server,
        PahoClient(channel, f"{unique}c").connect(asking) as client,
    ):
        place = f"{client.connack.ResponseInformation}/1"
        server.subscribe(f"{unique}/service", 1)
        client.subscribe(place, 1)
        question = properties_of(PacketTypes.PUBLISH, ResponseTopic=place, CorrelationData=b"no 7")
        client.publish(f"{unique}/service", b"?", 1, properties=question)
        request: Any = server.receive().properties
        answer = properties_of(PacketTypes.PUBLISH, CorrelationData=request.CorrelationData)
        server.publish(request.ResponseTopic, b"!", 1, properties=answer)
        response = client.receive()
        received: Any = response.properties
        assert (response.payload, received.CorrelationData) == (b"!", b"no 7")


def test_no_local_and_subscription_identifiers(channel: Channel, unique: str) -> None:
    numbered = properties_of(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=77)
    with (
        PahoClient(channel, unique).connect() as client,
        PahoClient(channel, f"{unique}o").connect() as other,
    ):
        client.subscribe(unique, options=SubscribeOptions(qos=1, noLocal=True), properties=numbered)
        client.publish(unique, b"mine", 1)
        other.publish(unique, b"theirs", 1)
        message = client.receive()
        received: Any = message.properties
        assert (message.payload, received.SubscriptionIdentifier) == (b"theirs", [77])


@pytest.mark.parametrize("name", ["ipv6", "unix"])
def test_other_places_to_listen(site: Site, name: str, unique: str) -> None:
    with PahoClient(site.channel(name), unique).connect() as client:
        client.subscribe(unique, 2)
        client.publish(unique, b"through", 2)
        assert client.receive().payload == b"through"
