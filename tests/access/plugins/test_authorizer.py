"""Rules decide first; what none of them decides is the plug-in's, and a delivery never waits for it."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from lockwire.access.authorizer import ASK, EVERY_PUBLISH, NO_PUBLISH, REFUSED, AccessAuthorizer
from lockwire.access.identity import PASSWORD, Identity
from lockwire.access.plugins.authorizer import PluginAuthorizer
from lockwire.access.plugins.calls import Calls
from lockwire.access.plugins.options import Options
from lockwire.access.plugins.protocol import Action, Plugin
from lockwire.access.rights.policy import Policy
from lockwire.access.rights.rules import RIGHTS, Rule
from lockwire.mqtt import reasons
from tests.support import packets
from tests.support.inprocess import serving

KIM = Identity("kim", PASSWORD)
RULES = (
    Rule("everyone", RIGHTS, "open/#"),
    Rule("everyone", RIGHTS, "shut/#", effect="deny"),
    Rule("everyone", ("publish",), "slow/#", qos=(0,)),
)


class Letting(Plugin):
    """Allows what the test says; remembers what it was asked."""

    def __init__(self, *topics: str) -> None:
        super().__init__(Options("letting", {}))
        self.topics = set(topics)
        self.asked: list[tuple[str, str, int, bool]] = []
        self.broken = False

    async def authorize(
        self, identity: Identity, client_id: str, action: Action, topic: str, qos: int, retain: bool
    ) -> bool:
        self.asked.append((action, topic, qos, retain))
        if self.broken:
            raise OSError("down")
        return topic in self.topics


def authorizer(plugin: Plugin, seconds: float = 60.0) -> PluginAuthorizer:
    """The rules above, and the plug-in behind them."""
    calls = Calls("letting", 5.0, structlog.get_logger())
    return PluginAuthorizer(AccessAuthorizer(Policy(RULES)), plugin, calls, seconds)


async def publishing(asked: PluginAuthorizer, topic: str, qos: int = 0, retain: bool = False) -> bool:
    """The decision about one PUBLISH, as the broker gets it."""
    mask = asked.publish_mask(KIM, "c1", topic.encode())
    if mask != ASK:
        return mask >> (qos + 3 * retain) & 1 == 1
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    asked.decide(KIM, "c1", topic.encode(), qos, retain, answer.set_result)
    return await answer


async def subscribing(asked: PluginAuthorizer, topic_filter: str) -> bool:
    """The same for a SUBSCRIBE."""
    granted = asked.granted_qos(KIM, "c1", topic_filter, 1)
    if granted != ASK:
        return granted != REFUSED
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    asked.decide_subscription(KIM, "c1", topic_filter, 1, answer.set_result)
    return await answer


async def test_the_plugin_is_asked_only_where_no_rule_decides() -> None:
    plugin = Letting("mine/a", "shut/a", "mine/#", "$SYS/x")
    asked = authorizer(plugin)
    assert asked.publish_mask(KIM, "c1", b"open/a") == EVERY_PUBLISH
    assert asked.publish_mask(KIM, "c1", b"$SYS/x") == NO_PUBLISH
    assert await publishing(asked, "mine/a", 1, True)
    assert not await publishing(asked, "mine/b")
    assert not await publishing(asked, "shut/a")
    assert await subscribing(asked, "open/+")
    assert await subscribing(asked, "mine/#")
    assert not await subscribing(asked, "shut/a")
    assert plugin.asked == [
        ("publish", "mine/a", 1, True),
        ("publish", "mine/b", 0, False),
        ("subscribe", "mine/#", 1, False),
    ]


async def test_a_rule_for_one_qos_leaves_the_others_to_the_plugin() -> None:
    plugin = Letting()
    asked = authorizer(plugin)
    assert await publishing(asked, "slow/a", 0)
    assert not await publishing(asked, "slow/a", 1)
    assert plugin.asked == [("publish", "slow/a", 1, False)]


async def test_a_delivery_meets_only_rules() -> None:
    plugin = Letting()
    asked = authorizer(plugin)
    assert asked.may_receive(KIM, "c1", b"open/a")
    assert asked.may_receive(KIM, "c1", b"mine/a"), "whoever is subscribed was let"
    assert not asked.may_receive(KIM, "c1", b"shut/a")
    assert plugin.asked == []


async def test_in_mosquittos_mode_deliveries_are_filtered_by_the_rules_alone() -> None:
    rules = AccessAuthorizer(Policy((Rule("user:kim", ("publish",), "a/#"),), filtered=True))
    asked = PluginAuthorizer(rules, Letting(), Calls("letting", 5.0, structlog.get_logger()), 60.0)
    assert not asked.may_receive(KIM, "c1", b"b")


async def test_an_answer_is_used_again_until_the_rules_change() -> None:
    plugin = Letting("mine/a")
    asked = authorizer(plugin)
    for _ in range(3):
        assert await publishing(asked, "mine/a")
    assert len(plugin.asked) == 1
    await publishing(asked, "mine/a", 1)
    assert len(plugin.asked) == 2, "another QoS is another question"
    asked.rules.set_policy(Policy((*RULES, Rule("user:kim", RIGHTS, "mine/a", effect="deny"))))
    assert not await publishing(asked, "mine/a")
    assert len(plugin.asked) == 2
    asked.rules.set_policy(Policy(RULES))
    assert await publishing(asked, "mine/a")
    asked.forget()
    assert await publishing(asked, "mine/a")
    assert len(plugin.asked) == 4


async def test_a_failure_refuses_once_and_is_not_remembered() -> None:
    plugin = Letting("mine/a")
    asked = authorizer(plugin)
    plugin.broken = True
    assert not await publishing(asked, "mine/a")
    assert not await subscribing(asked, "mine/a")
    plugin.broken = False
    assert await publishing(asked, "mine/a")
    assert await subscribing(asked, "mine/a")


@pytest.mark.parametrize("version", [4, 5])
async def test_the_broker_waits_for_it_and_nothing_overtakes(version: int) -> None:
    plugin = Letting("mine/a", "mine/#")
    async with serving(authorizer=authorizer(plugin)) as served:
        jo = await served.client("jo", version, username="jo")
        await jo.subscribe("mine/#")
        await jo.send(packets.subscribe(7, [("other/#", 0), ("mine/#", 0)], version))
        assert (await jo.expect(packets.SUBACK)).reasons == [
            reasons.NOT_AUTHORIZED if version == 5 else 0x80,
            0,
        ]
        kim = await served.client("kim", version, username="kim")
        sent = [
            ("mine/a", b"1"),
            ("mine/b", b"refused"),
            ("open/a", b"unseen"),
            ("mine/a", b"2"),
            ("mine/a", b"3"),
        ]
        await kim.send(*(packets.publish(topic, payload, version=version) for topic, payload in sent))
        assert await jo.payloads(3) == [b"1", b"2", b"3"]
    assert plugin.asked.count(("publish", "mine/a", 0, False)) == 1
    assert ("publish", "mine/b", 0, False) in plugin.asked


def test_the_record_of_a_refusal_says_who_decided() -> None:
    asked = authorizer(Letting())
    assert (
        asked.refusal(KIM, "c1", "publish", "mine/a", 0, False) == "neither a rule nor the plug-in allows it"
    )
    assert asked.refusal(KIM, "c1", "publish", "shut/a", 0, False) == (
        "a rule denies it: deny everyone publish, subscribe, receive shut/#"
    )
    asked.rest()
    assert asked.refusal(KIM, "c1", "publish", "mine/a", 0, False) == "no rule allows it"
