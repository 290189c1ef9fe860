"""The rules that learning proposes: as narrow as what was seen, as few as can be read, and proven."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockwire.access.authorizer import REFUSED, AccessAuthorizer, publish_bit
from lockwire.access.identity import ANONYMOUS_IDENTITY, CERTIFICATE, PASSWORD, Identity
from lockwire.access.learning.proposal import Proposal, propose
from lockwire.access.learning.recorder import Recorder
from lockwire.access.rights.policy import Policy, TopicPermission
from lockwire.access.rights.rules import DEFAULT_RULES, RIGHTS, Rule, check_rule

READ = ("subscribe", "receive")
BROAD = {1: DEFAULT_RULES[0], 2: DEFAULT_RULES[1]}


def pump(number: int) -> tuple[Identity, str]:
    """A device and its client identifier."""
    return Identity(f"pump-{number}", CERTIFICATE, common_name=f"pump-{number}"), f"c-{number}"


def proposed(recorder: Recorder, rules: dict[int, Rule] = BROAD, **options: object) -> Proposal:
    """The proposal where these rules are all that counts."""
    policy = Policy(tuple(rules.values()), **options.pop("policy", {}))  # type: ignore[arg-type]
    return propose(recorder.snapshot(), rules, policy, **options)  # type: ignore[arg-type]


def fleet(size: int = 5) -> Recorder:
    """Pumps that publish their state, one of them retained, and take commands."""
    recorder = Recorder()
    for number in range(size):
        identity, client_id = pump(number)
        recorder.published(identity, client_id, f"pump/pump-{number}/state".encode(), 1, False)
        recorder.subscribed(identity, client_id, f"pump/pump-{number}/command/#", 1)
        recorder.received(identity, client_id, f"pump/pump-{number}/command/start".encode())
    return recorder


def test_what_many_do_with_their_own_names_is_one_rule() -> None:
    found = proposed(fleet())
    assert found.rules == (
        Rule("everyone", READ, "pump/{username}/command/#", "learned"),
        Rule("everyone", ("publish",), "pump/{username}/state", "learned", retain="never"),
    )
    assert found.replaced == {1: DEFAULT_RULES[0]}
    assert found.denied == ()
    assert found.wider == tuple(
        (f"user:pump-{n}", "pump/{username}/command/#", ("pump/{username}/command/start",)) for n in range(5)
    )


def test_what_one_does_is_a_rule_for_that_one() -> None:
    recorder = fleet()
    kim = Identity("kim", PASSWORD)
    recorder.subscribed(kim, "app", "pump/+/state", 0)
    recorder.published(kim, "app", b"pump/pump-1/command/start", 1, True)
    found = proposed(recorder)
    assert [rule for rule in found.rules if rule.who != "everyone"] == [
        Rule("user:kim", READ, "pump/+/state", "learned"),
        Rule("user:kim", ("publish",), "pump/pump-1/command/start", "learned"),
    ]


def test_what_all_of_a_group_do_is_a_rule_for_the_group() -> None:
    recorder = fleet(2)
    for number in (0, 1):
        identity, client_id = pump(number)
        recorder.subscribed(identity, client_id, "alarm", 0)
    recorder.published(Identity("kim", PASSWORD), "app", b"other", 0, False)
    groups = {f"pump-{n}": ("pumps",) for n in range(2)}
    found = proposed(recorder, policy={"groups": groups})
    assert Rule("group:pumps", READ, "alarm", "learned") in found.rules


def test_what_everybody_does_is_a_rule_for_everyone_where_there_are_three() -> None:
    for size, who in ((2, {"user:pump-0", "user:pump-1"}), (3, {"everyone"})):
        recorder = Recorder()
        for number in range(size):
            recorder.subscribed(*pump(number), "alarm/all", 0)
        assert {rule.who for rule in proposed(recorder).rules} == who


def test_whoever_has_permissions_of_rabbitmqs_kind_gets_rules_of_its_own() -> None:
    permissions = {"topic_permissions": {"pump-1": (TopicPermission("amq.topic", ".*", ".*"),)}}
    found = proposed(fleet(3), policy=permissions)
    assert {rule.who for rule in found.rules} == {"everyone", "user:pump-1"}
    assert found.denied == ()


def test_anonymous_clients_have_rules_of_their_own() -> None:
    recorder = Recorder()
    recorder.published(ANONYMOUS_IDENTITY, "c-1", b"from/c-1", 0, False)
    rules = {1: Rule("anonymous", RIGHTS, "#"), 2: Rule("everyone", RIGHTS, "#")}
    found = proposed(recorder, rules)
    assert found.rules == (Rule("anonymous", ("publish",), "from/{client_id}", "learned", retain="never"),)
    assert found.replaced == {1: rules[1]}, "nobody else was seen"


def test_levels_that_vary_become_a_plus() -> None:
    recorder = Recorder()
    for number in range(20):
        recorder.published(*pump(0), f"data/{number}/value".encode(), 0, False)
    assert [rule.topics for rule in proposed(recorder).rules] == ["data/+/value"]


def test_the_rules_that_take_another_place_can_be_kept() -> None:
    rules = {
        **BROAD,
        3: Rule("user:pump-1", ("publish",), "pump/#"),
        4: Rule("user:jo", RIGHTS, "jo/#"),
        5: Rule("everyone", RIGHTS, "secret/#", effect="deny"),
        6: Rule("everyone", ("publish",), "", regexp="^pump"),
    }
    found = proposed(fleet(), rules)
    assert sorted(found.replaced) == [1, 3, 6], "denials, $ topics and who was not seen stay"
    assert sorted(proposed(fleet(), rules, keep=[1, 6]).replaced) == [3]


def test_the_same_again_proposes_nothing() -> None:
    first = proposed(fleet())
    after = {2: BROAD[2], **dict(enumerate(first.rules, 10))}
    again = proposed(fleet(), after)
    assert (again.rules, again.replaced, again.denied) == ((), {}, ())
    by_hand = {
        number: Rule(rule.who, rule.may, rule.topics, "mine", retain=rule.retain)
        for number, rule in after.items()
    }
    assert proposed(fleet(), {**by_hand, 2: BROAD[2]}).rules == (), "a note makes no other rule"


def test_narrow_subscriptions_are_those_that_came_and_the_refusal_is_said() -> None:
    recorder = Recorder()
    kim = Identity("kim", PASSWORD)
    recorder.subscribed(kim, "app", "#", 0)
    recorder.received(kim, "app", b"hall/lamp")
    assert [rule.topics for rule in proposed(recorder).rules] == ["#"]
    found = proposed(recorder, narrow=True)
    assert found.rules == (Rule("user:kim", READ, "hall/lamp", "learned"),)
    assert [(fact.who, fact.action, fact.topic) for fact in found.denied] == [("user:kim", "subscribe", "#")]


def test_messages_of_subscriptions_from_before_are_allowed_too() -> None:
    recorder = Recorder()
    recorder.received(*pump(0), b"pump/pump-0/command")
    assert proposed(recorder).rules == (Rule("user:pump-0", READ, "pump/{username}/command", "learned"),)


def test_whoever_was_not_seen_is_named() -> None:
    assert proposed(fleet(2), names=["pump-0", "pump-1", "jo"]).unseen == ("jo",)
    assert proposed(fleet(2), names=["jo"], keep=[1]).unseen == ()


def test_the_others_beyond_the_bound_get_rules_for_everyone() -> None:
    recorder = Recorder(identities=2)
    for number in range(4):
        recorder.published(*pump(number), f"pump/pump-{number}/state".encode(), 0, False)
    rules = {(rule.who, rule.topics) for rule in proposed(recorder).rules}
    assert rules == {("everyone", "pump/{username}/state")}


TOPICS = st.lists(
    st.sampled_from(["a", "b", "c", "", "me", "c-me", "x1", "x2", "x3"]), min_size=1, max_size=4
)
FACTS = st.lists(
    st.tuples(
        st.sampled_from(["published", "subscribed"]),
        st.integers(0, 5),
        TOPICS,
        st.integers(0, 2),
        st.booleans(),
        st.sampled_from(["", "+", "#"]),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(FACTS, st.randoms(use_true_random=False))
def test_nothing_that_was_seen_is_denied(
    facts: list[tuple[str, int, list[str], int, bool, str]], shuffler: random.Random
) -> None:
    rules = {1: Rule("everyone", RIGHTS, "#"), 2: Rule("user:pump-0", RIGHTS, "/#")}
    policy = Policy(tuple(rules.values()), groups={f"pump-{n}": (f"g{n % 2}",) for n in range(6)})
    done = []
    for kind, number, levels, qos, retain, tail in facts:
        identity, client_id = pump(number)
        own = [{"me": identity.name, "c-me": client_id}.get(level, level) for level in levels]
        topic = "/".join([*own, tail] if tail and kind == "subscribed" else own)
        if topic:
            done.append((kind, identity, client_id, topic, qos, retain))
    found = []
    for _ in range(2):
        recorder = Recorder()
        for kind, identity, client_id, topic, qos, retain in done:
            if kind == "published":
                recorder.published(identity, client_id, topic.encode(), qos, retain)
            else:
                recorder.subscribed(identity, client_id, topic, qos)
        found.append(propose(recorder.snapshot(), rules, policy))
        shuffler.shuffle(done)
    proposal = found[0]
    assert proposal.denied == ()
    assert found[1] == proposal or len({topic for _, _, _, topic, _, _ in done}) > 30
    for rule in proposal.rules:
        check_rule(rule)
    left = [rule for number, rule in rules.items() if number not in proposal.replaced]
    after = AccessAuthorizer(Policy((*left, *proposal.rules), groups=policy.groups))
    for kind, identity, client_id, topic, qos, retain in done:
        if kind == "published":
            assert after.publish_mask(identity, client_id, topic.encode()) & publish_bit(qos, retain)
        else:
            assert after.granted_qos(identity, client_id, topic, qos) != REFUSED


@pytest.mark.parametrize("size", [2000])
def test_a_fleet_is_a_handful_of_rules(size: int) -> None:
    assert len(proposed(fleet(size)).rules) == 2
