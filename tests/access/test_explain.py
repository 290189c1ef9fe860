"""Decisions in plain words, and what the record of a refusal says."""

from __future__ import annotations

import pytest

from lockwire.access.authorizer import AccessAuthorizer
from lockwire.access.identity import ANONYMOUS_IDENTITY, Identity
from lockwire.access.rights.explain import explain
from lockwire.access.rights.policy import Policy, ResourcePermission, TopicPermission
from lockwire.access.rights.rules import RIGHTS, Rule
from tests.support.inprocess import serving
from tests.support.packets import PUBACK, SUBACK, publish, subscribe

JO = Identity("jo", "password", groups=("claimed",))
ALLOW = Rule("everyone", RIGHTS, "sensor/+")
DENY = Rule("group:ops", ("publish",), "valve/+/set", "The valves are Kim's.", effect="deny")
OWN = Rule("user:jo", RIGHTS, "valve/#")
LOW = Rule("user:jo", ("subscribe",), "low/#", qos=(0,))
HEARD = Rule("user:jo", ("receive",), "low/#")
POLICY = Policy((ALLOW, DENY, OWN, LOW, HEARD), groups={"jo": ("ops",)}, tags={"jo": ("monitoring",)})


@pytest.mark.parametrize(
    ("action", "topic", "allowed", "rule", "line"),
    [
        ("publish", "sensor/1", True, ALLOW, "Allowed: 'jo' with client id 'c' may publish to 'sensor/1'"),
        ("publish", "valve/1/set", False, DENY, "rule that denies it: deny group:ops publish valve/+/set"),
        ("publish", "valve/1/set", False, DENY, "Its note: The valves are Kim's."),
        ("publish", "valve/1", True, OWN, "allows it: allow user:jo publish, subscribe, receive valve/#"),
        ("publish", "other", False, None, "No rule that concerns this client allows it."),
        ("publish", "$SYS/x", False, None, "Nobody publishes to topics that begin with $"),
        ("receive", "valve/1/set", True, OWN, "may receive messages of 'valve/1/set'."),
        ("receive", "other", False, None, "Refused: 'jo' with client id 'c' may not receive"),
        ("subscribe", "sensor/+", True, ALLOW, "may subscribe to 'sensor/+' with QoS 1."),
        ("subscribe", "$share/g/sensor/+", True, ALLOW, "Allowed"),
        ("subscribe", "sensor/#", False, None, "The filter also matches 'sensor', and no rule allows it."),
        ("subscribe", "other", False, None, "No rule that concerns this client allows it."),
        ("subscribe", "low/+", True, LOW, "QoS 1 was asked for, and QoS 0 is the highest that is allowed"),
        ("publish", "x", False, None, "everyone, user:jo, group:ops, tag:monitoring, group:claimed (from"),
        ("publish", "x", False, None, "one that denies beats every one that allows"),
    ],
)  # fmt: skip
def test_a_decision_and_the_rule_that_made_it(
    action: str, topic: str, allowed: bool, rule: Rule | None, line: str
) -> None:
    found = explain(POLICY, JO, "c", action, topic, 1)
    assert (found.allowed, found.rule) == (allowed, rule)
    assert line in found.text


def test_a_denied_part_of_a_filter_is_named() -> None:
    policy = Policy((Rule("everyone", RIGHTS, "#"), Rule("everyone", RIGHTS, "a/secret/#", effect="deny")))
    found = explain(policy, JO, "c", "subscribe", "a/+/x", 0)
    assert found.rule == policy.rules[1]
    assert "The filter also matches 'a/secret/x', and it is denied." in found.text


def test_a_name_that_cannot_stand_in_a_topic_is_said_to_be_the_cause() -> None:
    policy = Policy((Rule("everyone", RIGHTS, "dev/{client_id}/#"),))
    assert "placeholder for the client id do not apply" in explain(policy, JO, "a/b", "publish", "x").text
    assert "placeholder" not in explain(policy, JO, "ab", "publish", "x").text


def test_rabbitmqs_permissions_appear_as_rules() -> None:
    policy = Policy(
        (Rule("everyone", RIGHTS, "#"),),
        resources={"jo": ResourcePermission(".*", ".*", ".*")},
        topic_permissions={"jo": (TopicPermission("amq.topic", "^a", ".*"),)},
    )
    found = explain(policy, JO, "c", "publish", "a/b")
    assert "allow user:jo publish regexp ^a" in found.text
    assert "RabbitMQ: topic permission, write on amq.topic" in found.text
    refused = explain(policy, JO, "c", "publish", "b")
    assert not refused.allowed
    assert "everyone (only those that deny), user:jo, RabbitMQ's permissions of the user" in refused.text


def test_a_mosquitto_acl_explains_its_own_order() -> None:
    policy = Policy(
        (
            Rule("user:jo", RIGHTS, "a", effect="deny"),
            Rule("user:jo", RIGHTS, "b"),
            Rule("pattern", RIGHTS, "b", effect="deny"),
            Rule("pattern", RIGHTS, "{client_id}/#"),
        ),
        filtered=True,
    )
    for action, topic, allowed, rule in (
        ("publish", "a", False, policy.rules[0]),
        ("publish", "b", True, policy.rules[1]),
        ("receive", "c/x", True, policy.rules[3]),
        ("receive", "d/x", False, None),
        ("subscribe", "#", True, None),
    ):
        found = explain(policy, JO, "c", action, topic)
        assert (found.allowed, found.rule) == (allowed, rule), topic
        assert "Mosquitto ACL" in found.text
    slashed = explain(policy, JO, "x/y", "receive", "x/y/z")
    assert (slashed.allowed, slashed.rule) == (True, policy.rules[3])


def test_the_anonymous_client_has_rules_of_its_own() -> None:
    found = explain(POLICY, ANONYMOUS_IDENTITY, "c", "publish", "sensor/1")
    assert not found.allowed
    assert "The anonymous client with client id 'c' may not publish" in found.text
    assert "Rules looked at: anonymous." in found.text


# --- in the broker


async def test_a_refusal_is_recorded_with_the_rule_that_made_it() -> None:
    policy = Policy((Rule("everyone", RIGHTS, "a/#"), Rule("everyone", RIGHTS, "a/x", effect="deny")))
    async with serving(authorizer=AccessAuthorizer(policy)) as served:
        wire = await served.client("c", username="jo")
        await wire.send(
            publish("a/x", b"", 1, 1), publish("b", b"", 1, 2), subscribe(3, [("a/+", 0), ("b", 0)])
        )
        assert [(await wire.expect(PUBACK)).reason for _ in range(2)] == [0x87, 0x87]
        assert (await wire.expect(SUBACK)).reasons == [0x87, 0x87]
        assert [refusal.detail for refusal in served.broker.hub.refusals.latest] == [
            "may not publish to 'a/x' with QoS 1: a rule denies it: "
            "deny everyone publish, subscribe, receive a/x",
            "may not publish to 'b' with QoS 1: no rule allows it",
            "may not subscribe to 'a/+': a rule denies 'a/x', which the filter matches: "
            "deny everyone publish, subscribe, receive a/x",
            "may not subscribe to 'b': no rule allows it",
        ]


async def test_a_subscription_gets_the_highest_qos_that_is_allowed() -> None:
    rules = (HEARD, LOW, Rule("user:jo", ("publish",), "#"))
    async with serving(authorizer=AccessAuthorizer(Policy(rules))) as served:
        wire = await served.client("c", username="jo")
        other = await served.client("d", username="jo")
        await wire.send(subscribe(1, [("low/#", 2), ("low/x", 0)]))
        assert (await wire.expect(SUBACK)).reasons == [0, 0]
        await other.publish("low/a", b"1", 1)
        assert (await wire.receive("low/a", b"1")).qos == 0


async def test_a_new_policy_counts_for_connected_clients() -> None:
    decides = AccessAuthorizer(Policy((Rule("everyone", RIGHTS, "#"),)))
    async with serving(authorizer=decides) as served:
        wire = await served.client("c", username="jo")
        other = await served.client("d", username="jo")
        await wire.subscribe("a")
        await other.publish("a", b"1")
        await wire.receive("a", b"1")
        decides.set_policy(Policy((Rule("everyone", ("publish",), "#"),)))
        served.broker.rules_changed()
        await other.publish("a", b"2")
        await wire.expect_nothing()
