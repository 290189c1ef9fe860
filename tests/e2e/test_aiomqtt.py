"""aiomqtt, the asyncio client, in MQTT 3.1.1 and 5 and on every kind of listener."""

from __future__ import annotations

import asyncio
from typing import Any

import aiomqtt
import pytest

from tests.e2e.site import Channel, Site

everywhere = pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])


def client_of(
    channel: Channel, client_id: str, version: aiomqtt.ProtocolVersion, **options: Any
) -> aiomqtt.Client:
    """A client on this channel, not connected yet."""
    return aiomqtt.Client(
        channel.host,
        channel.port,
        identifier=client_id,
        protocol=version,
        transport=channel.transport,
        tls_context=channel.context(),
        username=channel.username,
        password=channel.password,
        **options,
    )


@everywhere
async def test_messages_of_every_qos_arrive(
    channel: Channel, version: aiomqtt.ProtocolVersion, unique: str
) -> None:
    async with asyncio.timeout(10), client_of(channel, unique, version) as client:
        await client.subscribe(f"{unique}/#", qos=2)
        for qos in (0, 1, 2):
            await client.publish(f"{unique}/{qos}", b"payload", qos=qos)
            message = await anext(client.messages)
            assert (str(message.topic), message.payload, message.qos) == (f"{unique}/{qos}", b"payload", qos)


async def be_taken_over(client: aiomqtt.Client, successor: aiomqtt.Client) -> None:
    """Connect both with the same client identifier: the broker drops the first connection."""
    async with client, successor:
        await anext(client.messages)


@everywhere
async def test_retained_and_will(channel: Channel, version: aiomqtt.ProtocolVersion, unique: str) -> None:
    will = aiomqtt.Will(unique, b"gone", qos=1, retain=True)
    client = client_of(channel, unique, version, will=will)
    async with asyncio.timeout(10), client_of(channel, f"{unique}w", version) as watcher:
        await watcher.subscribe(unique, qos=1)
        with pytest.raises(aiomqtt.MqttError):
            await be_taken_over(client, client_of(channel, unique, version))
        message = await anext(watcher.messages)
        assert (message.payload, message.retain) == (b"gone", False)
        await watcher.unsubscribe(unique)
        await watcher.subscribe(unique, qos=1)
        message = await anext(watcher.messages)
        assert (message.payload, message.retain) == (b"gone", True)
        await watcher.publish(unique, b"", qos=1, retain=True)


@everywhere
async def test_many_at_once(site: Site, version: aiomqtt.ProtocolVersion, unique: str) -> None:
    channel = site.channel("tls13")
    count = 200
    async with asyncio.timeout(20), client_of(channel, unique, version) as subscriber:
        await subscriber.subscribe(f"{unique}/#", qos=2)
        async with client_of(channel, f"{unique}p", version) as publisher:
            async with asyncio.TaskGroup() as group:
                for number in range(count):
                    group.create_task(publisher.publish(f"{unique}/{number}", b"x", qos=number % 3))
            topics = {str((await anext(subscriber.messages)).topic) for _ in range(count)}
    assert topics == {f"{unique}/{number}" for number in range(count)}


async def test_a_wrong_password_is_refused(site: Site, unique: str) -> None:
    client = aiomqtt.Client(
        "127.0.0.1",
        site.broker.ports["tls"],
        identifier=unique,
        protocol=aiomqtt.ProtocolVersion.V5,
        tls_context=site.channel("tls").context(),
        username="admin",
        password="wrong",
    )
    with pytest.raises(aiomqtt.MqttError, match="Bad user name or password"):
        async with client:
            pass
