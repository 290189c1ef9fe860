"""Mosquitto's access control lists: read as Mosquitto reads them, decided as the real one decides."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lockwire.access.authorizer import AccessAuthorizer
from lockwire.access.identity import ANONYMOUS_IDENTITY, PASSWORD, Identity
from lockwire.access.rights.masks import publish_bit
from lockwire.access.rights.policy import Policy
from lockwire.access.rights.rules import Rule, check_rule
from lockwire.compat.mosquitto.acl import AclLine, read_acl
from lockwire.compat.mosquitto.lines import Source
from lockwire.compat.mosquitto.rules import filtered_rules, native_rules
from tests.support import packets
from tests.support.peers import peer_path
from tests.support.wire import Wire

ACL = """\
# Clients without a user name may read the news.
topic read news/#
topic  read   news talk

user root
topic readwrite #
topic readwrite $app/#

user kim
topic read hall/+/state
topic write hall/+/set
topic readwrite hall/kim's own lamp/#
topic deny hall/cellar/state
topic read $SYS/broker/version

user   jo with spaces
topic readwrite jo/#
topic deny jo/secret/#

user kim
topic readwrite later/x

user quiet

pattern write from/%u/%c/#
pattern readwrite id-%c/#
pattern read common/#
pattern deny common/closed
"""
CLIENTS = [
    ("root", "c1"),
    ("kim", "c1"),
    ("kim", "c2"),
    ("jo with spaces", "c1"),
    ("quiet", "c1"),
    ("stranger", "c1"),
    (None, "c1"),
    ("kim", "c+"),
    ("+", "c1"),
    ("a/b", "c1"),
    ("kim", "a/b"),
]
TOPICS = [
    "news",
    "news/a/b",
    "news talk",
    "talk",
    "hall/lamp/state",
    "hall/lamp/set",
    "hall/cellar/state",
    "hall/kim's own lamp",
    "hall/kim's own lamp/x",
    "jo/x",
    "jo/secret",
    "jo/secret/x",
    "later/x",
    "from/kim/c1/x",
    "from/kim/c2/x",
    "from/jo with spaces/c1/x",
    "from/a/b/c1/x",
    "id-c1",
    "id-c1/x",
    "id-c2/x",
    "id-a/b/x",
    "common/a",
    "common/closed",
    "$app/x",
    "anything/else",
]


def identity(username: str | None) -> Identity:
    return ANONYMOUS_IDENTITY if username is None else Identity(username, PASSWORD)


def lines(text: str) -> list[AclLine]:
    """The lines of a list without mistakes."""
    source = Source("acl", text.encode())
    found = read_acl(source)
    assert source.problems == []
    return found


def problems(text: str) -> list[str]:
    """What is wrong with a list, natively taken over."""
    source = Source("acl", text.encode())
    native_rules(source, read_acl(source))
    return [str(problem) for problem in source.problems]


@asynccontextmanager
async def mosquitto(folder: Path) -> AsyncIterator[tuple[str, int]]:
    """The real one with the list above, on a free port of loopback."""
    (folder / "acl").write_text(ACL)
    (folder / "acl").chmod(0o644)
    folder.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    settings = [
        f"listener {address[1]} 127.0.0.1",
        "allow_anonymous true",
        f"acl_file {folder / 'acl'}",
        "user root",
    ]
    (folder / "mosquitto.conf").write_text("\n".join(settings) + "\n")
    process = await asyncio.create_subprocess_exec(
        peer_path("mosquitto"), "-v", "-c", folder / "mosquitto.conf", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async for line in process.stderr:
        if b" running" in line:
            break
    reading = asyncio.create_task(process.stderr.read())
    try:
        yield address
    finally:
        process.terminate()
        await process.wait()
        await reading


async def what_mosquitto_says(folder: Path) -> dict[tuple[str | None, str, str, str], bool]:
    """Its decision for each client, "publish" or "receive" and topic."""
    decisions = {}
    async with mosquitto(folder) as address:
        for username, client_id in CLIENTS:
            async with await Wire.open(address) as client, await Wire.open(address) as root:
                await client.connect(client_id, username=username)
                for topic in TOPICS:
                    await client.send(packets.publish(topic, b"", 1, 1, version=5))
                    code = (await client.expect(packets.PUBACK)).reason
                    decisions[username, client_id, "publish", topic] = code < 0x80
                await client.subscribe("#", "$app/#")
                await root.connect("root", username="root")
                for topic in TOPICS:
                    await root.publish(topic, b"seen", 1)
                await client.send(packets.PING)
                seen = set()
                while (packet := await client.read()).type == packets.PUBLISH:
                    seen.add(packet.topic)
                for topic in TOPICS:
                    decisions[username, client_id, "receive", topic] = topic in seen
    return decisions


def what_rules_say(policy: Policy) -> dict[tuple[str | None, str, str, str], bool]:
    """The decisions of a policy."""
    authorizer = AccessAuthorizer(policy)
    decisions = {}
    for username, client_id in CLIENTS:
        who = identity(username)
        for topic in TOPICS:
            mask = authorizer.publish_mask(who, client_id, topic.encode())
            decisions[username, client_id, "publish", topic] = mask & publish_bit(1, False) != 0
            may = authorizer.may_receive(who, client_id, topic.encode())
            decisions[username, client_id, "receive", topic] = may
    return decisions


@pytest.mark.peer("mosquitto")
async def test_both_ways_to_take_a_list_over_agree_with_the_real_mosquitto(tmp_path: Path) -> None:
    real = await what_mosquitto_says(tmp_path)
    assert 0 < sum(real.values()) < len(real)
    source = Source("acl", ACL.encode())
    found = read_acl(source)
    filtered = what_rules_say(Policy(filtered_rules(source, found), filtered=True))
    native = what_rules_say(Policy(native_rules(source, found).rules))
    assert source.problems == []
    differing = {question for question in real if filtered[question] != real[question]}
    assert differing == {("root", "c1", "publish", "$app/x")}, "nobody publishes to topics with $ here"
    more = {question for question in real if native[question] and not real[question]}
    # Mosquitto gives clients with + or # no pattern, as a note of the import says
    assert {(username, client_id) for username, client_id, *_ in more} == {("+", "c1"), ("kim", "c+")}
    assert {topic for *_, topic in more} == {"common/a", "id-c1", "id-c1/x"}
    lost = {question for question in real if real[question] and not native[question]}
    assert {topic for *_, topic in lost} <= {"$app/x", "common/closed", "from/a/b/c1/x", "id-a/b/x"}


def test_lines_are_read_as_mosquitto_reads_them() -> None:
    found = lines(ACL)
    assert found[0] == AclLine(2, None, False, "read", "news/#")
    assert found[1] == AclLine(3, None, False, "read", "news talk")
    spaces = [line for line in found if line.user == "jo with spaces"]
    assert [(line.access, line.topic) for line in spaces] == [("readwrite", "jo/#"), ("deny", "jo/secret/#")]
    assert next(line.topic for line in found if line.pattern) == "from/%u/%c/#"
    only_word = lines("topic read\r\ntopic write  a b \r\n")
    assert [(line.access, line.topic) for line in only_word] == [("readwrite", "read"), ("write", "a b")]


def test_every_rule_can_be_kept_in_the_access_database() -> None:
    source = Source("acl", ACL.encode())
    native = native_rules(source, read_acl(source))
    for rule in native.rules:
        check_rule(rule)
    assert Rule("everyone", ("publish",), "from/{username}/{client_id}/#") in native.rules
    assert Rule("anonymous", ("publish", "subscribe", "receive"), "id-{client_id}/#") in native.rules
    assert native.left_out == ((7, "publishing to $app/#: topics with $ are the broker's own"),)
    assert len(native.notes) == 3


def test_everything_that_is_wrong_is_found_at_once() -> None:
    text = (
        "user\ntopic\ntopic reed a/b\ntopic read a/#/b\npattern a+b\ntopics x\ntopic\tread x\n"
        "topic read fine\npattern deny x/%u\ntopic read {username}/x\nuser anonymous\ntopic read x\n"
    )
    found = problems(text)
    assert [line.partition(": ")[0] for line in found] == [
        f"acl:{n}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 12)
    ]
    assert "the access is 'reed'; expected read, write, readwrite or deny" in found[2]
    assert "'#' must be the last level" in found[3]
    assert "a space, not a tab" in found[6]
    assert "would escape" in found[7]
    assert "{username} stands for something else" in found[8]


def test_what_is_no_text_is_said_with_its_line() -> None:
    source = Source("acl", b"topic read a\n\xff\xfe\ntopic read b\n\0\n")
    assert [line.topic for line in read_acl(source)] == ["a", "b"]
    assert [str(problem) for problem in source.problems] == [
        "acl:2: byte 1 is not UTF-8; save the file as UTF-8",
        "acl:4: a zero character; a text file",
    ]
