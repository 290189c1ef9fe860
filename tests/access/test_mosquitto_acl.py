"""A policy with `filtered` decides as the real Mosquitto does with the same access control list."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lockwire.access.authorizer import AccessAuthorizer
from lockwire.access.identity import ANONYMOUS_IDENTITY, Identity
from lockwire.access.rights.masks import publish_bit
from lockwire.access.rights.policy import Policy
from lockwire.access.rights.rules import PUBLISH, RECEIVE, SUBSCRIBE, Rule
from tests.support import packets
from tests.support.broker import free_port
from tests.support.peers import peer_path
from tests.support.wire import Wire

pytestmark = pytest.mark.peer("mosquitto")

ACL = """\
topic readwrite open/#
topic deny open/secret
topic read $custom/x

user kim
topic read hall/#
topic deny hall/vault
topic write hall/door
topic readwrite hall/yard/private
topic readwrite $custom/x
topic write +/wild

user root
topic readwrite #
topic readwrite $custom/#

pattern write sensor/%u/%c/#
pattern read cmd/%c
pattern deny hall/+/private
pattern readwrite hall/#
pattern readwrite %c/own/#
pattern deny %c/own/not
"""

RIGHTS = {"read": (SUBSCRIBE, RECEIVE), "write": (PUBLISH,), "readwrite": (PUBLISH, SUBSCRIBE, RECEIVE)}

CLIENTS = (
    (None, "c1"),
    ("kim", "c1"),
    ("kim", "c+1"),
    ("al", "c1"),
    ("al", "x/y"),
    ("a/l", "c2"),
    ("al", "a#b"),
    ("a+", "c3"),
    (None, "sensor"),
)
TOPICS = (
    "open/x",
    "open/secret",
    "hall/lamp",
    "hall/vault",
    "hall/door",
    "hall/yard/private",
    "hall/x/private",
    "hall",
    "any/wild",
    "$custom/x",
    "$custom/y",
    "sensor/al/c1/temp",
    "sensor/al/x/y/temp",
    "sensor/a/l/c2/temp",
    "sensor/c1/x",
    "cmd/c1",
    "cmd/x/y",
    "c1/own/a",
    "c1/own/not",
    "x/y/own/a",
    "x/y/own/not",
    "sensor/own/a",
    "nothing",
)


def rules() -> tuple[Rule, ...]:
    """The list in rules: of users, of anonymous clients before any `user`, and patterns."""
    found = []
    who = "anonymous"
    for line in ACL.splitlines():
        word, _, rest = line.partition(" ")
        if word == "user":
            who = f"user:{rest}"
        elif word:
            access, _, topic = rest.partition(" ")
            if word == "pattern":
                topic = topic.replace("%u", "{username}").replace("%c", "{client_id}")
            effect = "deny" if access == "deny" else "allow"
            rights = RIGHTS.get(access, RIGHTS["readwrite"])
            found.append(Rule("pattern" if word == "pattern" else who, rights, topic, effect=effect))
    return tuple(found)


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """Mosquitto with the list, for everybody."""
    acl = tmp_path / "acl"
    acl.write_text(ACL)
    number = free_port()
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(
        f"user root\nlistener {number} 127.0.0.1\nallow_anonymous true\nacl_file {acl}\nlog_type all\n"
    )
    command = [peer_path("mosquitto"), "-c", str(configuration)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(10):
            while not await listens(number):
                assert process.poll() is None, (tmp_path / "log").read_text()
                await asyncio.sleep(0.02)
        yield number
    finally:
        process.terminate()
        process.wait(10)


async def listens(port: int) -> bool:
    try:
        (await Wire.open(("127.0.0.1", port))).abort()
    except OSError:
        return False
    return True


async def connected(port: int, username: str | None, client_id: str) -> Wire:
    wire = await Wire.open(("127.0.0.1", port), 5)
    await wire.connect(client_id, username=username)
    return wire


async def test_every_decision_is_mosquittos(port: int) -> None:
    decides = AccessAuthorizer(Policy(rules(), filtered=True))
    root = await connected(port, "root", "root")
    for username, client_id in CLIENTS:
        wire = await connected(port, username, client_id)
        identity = ANONYMOUS_IDENTITY if username is None else Identity(username, "password")
        await wire.send(packets.subscribe(1, [(topic, 0) for topic in TOPICS]))
        suback = await wire.expect(packets.SUBACK)
        granted = [decides.granted_qos(identity, client_id, topic, 0) for topic in TOPICS]
        assert suback.reasons == granted == [0] * len(TOPICS)
        for topic in TOPICS:
            await root.publish(topic, b"", 1)
        await wire.send(packets.PING)
        received = set()
        while (packet := await wire.read()).type == packets.PUBLISH:
            received.add(packet.topic)
        expected = {topic for topic in TOPICS if decides.may_receive(identity, client_id, topic.encode())}
        assert received == expected, (username, client_id)
        await wire.unsubscribe(*TOPICS)
        for number, topic in enumerate(TOPICS):
            await wire.send(packets.publish(topic, b"", 1, number + 100))
            reason = (await wire.expect(packets.PUBACK)).reason
            mask = decides.publish_mask(identity, client_id, topic.encode())
            if topic.startswith("$"):
                assert mask == 0  # nobody's here
            else:
                assert bool(mask & publish_bit(1, False)) == (reason < 0x80), (username, client_id, topic)
        wire.abort()
    root.abort()
