"""The evaluator of rules against a slow, obvious one, over every topic of a small world."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockwire.access.authorizer import REFUSED, AccessAuthorizer
from lockwire.access.errors import RuleError
from lockwire.access.identity import ANONYMOUS_IDENTITY, Identity
from lockwire.access.rights.coverage import Cover, _cover_with_expressions, cover
from lockwire.access.rights.evaluator import Subject
from lockwire.access.rights.masks import is_refused, publish_bit, subscription_bits
from lockwire.access.rights.placeholders import values_of
from lockwire.access.rights.policy import Policy
from lockwire.access.rights.rules import RIGHTS, Rule
from lockwire.mqtt.topics import matches

CLIENT_ID = "c"
LEVELS = ("a", "u", "p-c", "z", "", "$s")
TOPICS = [
    "/".join(levels)
    for depth in (1, 2, 3)
    for levels in itertools.product(LEVELS, repeat=depth)
    if levels != ("",)
]
"""Every topic of three levels at most, of words that the rules below use and one, z, that none does."""

IDENTITIES = (
    Identity("u", "certificate", common_name="a"),
    Identity("u", "password", groups=("claimed",)),
    Identity("u", "password", rules=(Rule("user:u", RIGHTS, "a/+", effect="deny"),)),
    Identity("x/y", "certificate"),
    Identity("root", "password", administrator=True),
    ANONYMOUS_IDENTITY,
)
GROUPS = {"u": ("members",), "root": ("members", "others")}
TAGS = {"root": ("administrator", "monitoring"), "x/y": ("monitoring",)}
WHO = (
    "everyone",
    "anonymous",
    "user:u",
    "user:anonymous",
    "group:members",
    "group:claimed",
    "tag:administrator",
    "tag:monitoring",
)


def filters(*words: str) -> st.SearchStrategy[str]:
    """Topic filters of two levels at most, and a `#` behind them."""
    levels = st.lists(st.sampled_from(words), min_size=0, max_size=2)
    return st.builds(
        lambda found, rest: "/".join([*found, *rest]), levels, st.sampled_from([[], ["#"]])
    ).filter(bool)


RULE_FILTERS = filters("a", "+", "", "u", "$s", "{username}", "p-{client_id}", "{cn}")
CONDITIONS = st.sampled_from([((0, 1, 2), "any"), ((0,), "any"), ((1, 2), "never"), ((0, 1), "only")])


def rules(who: tuple[str, ...] = WHO) -> st.SearchStrategy[Rule]:
    rights = st.sampled_from([RIGHTS, ("publish",), ("subscribe",), ("receive",), ("subscribe", "receive")])
    return st.builds(
        lambda who, may, topics, effect, condition: Rule(
            who, may, topics, effect=effect, qos=condition[0], retain=condition[1]
        ),
        st.sampled_from(who),
        rights,
        RULE_FILTERS,
        st.sampled_from(["allow", "allow", "deny"]),
        CONDITIONS,
    )


POLICIES = st.builds(
    lambda found: Policy(tuple(found), GROUPS, TAGS), st.lists(rules(), min_size=1, max_size=7)
)


# --- the slow, obvious way


def applying(policy: Policy, identity: Identity) -> list[Rule]:
    """The rules that concern an identity."""
    if identity.method == "anonymous":
        subjects = {"anonymous"}
    else:
        tags = policy.tags.get(identity.name, ()) if identity.method == "password" else ()
        subjects = {"everyone", f"user:{identity.name}"}
        subjects |= {f"group:{group}" for group in policy.groups.get(identity.name, ())}
        subjects |= {f"tag:{tag}" for tag in tags}
    subjects |= {f"group:{group}" for group in identity.groups}
    return [rule for rule in policy.rules if rule.who in subjects] + list(identity.rules)


def expanded(text: str, identity: Identity, client_id: str) -> str | None:
    """A rule's topics with the client's names put in; None where the rule does not apply."""
    name = "" if identity.method == "anonymous" else identity.name
    values = {"{username}": name, "{client_id}": client_id, "{cn}": identity.common_name}
    result = text
    for placeholder, value in values.items():
        if placeholder in text:
            if not value or any(character in value for character in "/+#\0"):
                return None
            result = result.replace(placeholder, value)
    return None if result.startswith("$") and not text.startswith("$") else result


def concerns(rule: Rule, identity: Identity, topic: str) -> bool:
    if rule.regexp:
        text = rule.regexp.replace("$", "\\Z")
        return not topic.startswith("$") and bool(re.search(text, topic.replace("/", "."), re.DOTALL))
    topics = expanded(rule.topics, identity, CLIENT_ID)
    return topics is not None and matches(topics, topic)


def decision(found: list[Rule]) -> bool:
    return bool(found) and all(rule.effect == "allow" for rule in found)


def may_publish(policy: Policy, identity: Identity, topic: str, qos: int, retain: bool) -> bool:
    kinds = ("any", "only") if retain else ("any", "never")
    return not topic.startswith("$") and decision(
        [
            rule
            for rule in applying(policy, identity)
            if "publish" in rule.may
            and qos in rule.qos
            and rule.retain in kinds
            and concerns(rule, identity, topic)
        ]
    )


def may_receive(policy: Policy, identity: Identity, topic: str) -> bool:
    return decision(
        [
            rule
            for rule in applying(policy, identity)
            if "receive" in rule.may and concerns(rule, identity, topic)
        ]
    )


def may_subscribe_to(policy: Policy, identity: Identity, topic: str, qos: int) -> bool:
    return may_receive(policy, identity, topic) and decision(
        [
            rule
            for rule in applying(policy, identity)
            if "subscribe" in rule.may and qos in rule.qos and concerns(rule, identity, topic)
        ]
    )


def granted(policy: Policy, identity: Identity, topic_filter: str, qos: int) -> int:
    """The highest QoS with which every topic that the filter matches is allowed."""
    matched = [topic for topic in TOPICS if matches(topic_filter, topic)]
    for level in range(qos, -1, -1):
        if all(may_subscribe_to(policy, identity, topic, level) for topic in matched):
            return level
    return REFUSED


# --- compared


@settings(max_examples=150, deadline=None)
@given(POLICIES, st.sampled_from(IDENTITIES))
def test_publishing_and_receiving_are_decided_as_by_the_obvious_evaluator(
    policy: Policy, identity: Identity
) -> None:
    authorizer = AccessAuthorizer(policy)
    for topic in TOPICS:
        mask = authorizer.publish_mask(identity, CLIENT_ID, topic.encode())
        for qos, retain in itertools.product((0, 1, 2), (False, True)):
            expected = may_publish(policy, identity, topic, qos, retain)
            assert bool(mask & publish_bit(qos, retain)) == expected, (topic, qos, retain)
        received = authorizer.may_receive(identity, CLIENT_ID, topic.encode())
        assert received == may_receive(policy, identity, topic), topic


SUBSCRIBED = filters("a", "+", "", "u", "$s", "p-c", "q")


@settings(max_examples=400, deadline=None)
@given(POLICIES, st.sampled_from(IDENTITIES), SUBSCRIBED, st.sampled_from([0, 1, 2]))
def test_a_subscription_needs_every_topic_that_its_filter_can_match(
    policy: Policy, identity: Identity, topic_filter: str, qos: int
) -> None:
    authorizer = AccessAuthorizer(policy)
    expected = granted(policy, identity, topic_filter.replace("q", "z"), qos)
    topic_filter = topic_filter.replace("q", "z")
    assert authorizer.granted_qos(identity, CLIENT_ID, topic_filter, qos) == expected
    assert authorizer.granted_qos(identity, CLIENT_ID, f"$share/g/{topic_filter}", qos) == expected
    inquiry = authorizer.inquire(identity, CLIENT_ID, "subscribe", topic_filter, qos, False)
    assert inquiry.allowed == (expected != REFUSED)
    if not inquiry.allowed:
        witness = inquiry.witness
        assert witness is not None
        assert matches(topic_filter, witness)
        asked = {authorizer.granted_qos(identity, CLIENT_ID, witness, each) for each in (0, 1, 2)}
        assert qos not in asked


WIDE = st.lists(
    st.builds(
        lambda topics, effect: Rule("user:u", ("subscribe", "receive"), topics, effect=effect),
        st.sampled_from(["#", "a/#", "+/#", "a/+", "+", "a", "+/+", "+/a", "a/z", "z/#", "+/+/#", "$s/#"]),
        st.sampled_from(["allow", "allow", "allow", "deny"]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=400, deadline=None)
@given(WIDE, SUBSCRIBED)
def test_several_rules_cover_a_subscription_together(found: list[Rule], topic_filter: str) -> None:
    policy = Policy(tuple(found))
    topic_filter = topic_filter.replace("q", "z")
    expected = granted(policy, IDENTITIES[0], topic_filter, 1)
    assert AccessAuthorizer(policy).granted_qos(IDENTITIES[0], CLIENT_ID, topic_filter, 1) == expected


@settings(max_examples=200, deadline=None)
@given(WIDE, SUBSCRIBED)
def test_levels_and_automata_agree_on_what_covers_a_filter(found: list[Rule], topic_filter: str) -> None:
    if topic_filter.startswith("$"):
        return
    subjects = [Subject(tuple(found))]
    values = values_of(IDENTITIES[0], CLIENT_ID)
    wanted = subscription_bits(2)
    other = Cover(topic_filter.split("/"), values, wanted)
    _cover_with_expressions(other, subjects, topic_filter.split("/"), values, wanted)
    one = cover(subjects, topic_filter, values, wanted)
    assert is_refused(one.granted) == is_refused(other.granted)
    assert not other.exhausted


EXPRESSIONS = st.sampled_from(
    ["^a\\..*$", "a", "^[a-u]\\.", "\\.a$", "^(a|u)$", ".*", "^z(\\.|$)", "^[^.]*$", "^p-c\\.[^.]*$", "u|z"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.builds(
            lambda text, effect: Rule("everyone", RIGHTS, "", effect=effect, regexp=text),
            EXPRESSIONS,
            st.sampled_from(["allow", "allow", "deny"]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.lists(rules(("everyone",)), max_size=3),
    SUBSCRIBED,
)
def test_regular_expressions_are_decided_as_by_the_obvious_evaluator(
    expressions: list[Rule], others: list[Rule], topic_filter: str
) -> None:
    identity = IDENTITIES[0]
    topic_filter = topic_filter.replace("q", "z")
    policy = Policy((*expressions, *others))
    authorizer = AccessAuthorizer(policy)
    for topic in TOPICS:
        received = authorizer.may_receive(identity, CLIENT_ID, topic.encode())
        assert received == may_receive(policy, identity, topic), topic
    inquiry = authorizer.inquire(identity, CLIENT_ID, "subscribe", topic_filter, 0, False)
    assert not inquiry.exhausted
    if inquiry.allowed:
        above = topic_filter.removesuffix("/#")
        for topic in TOPICS:
            if matches(topic_filter, topic) and not matches(above, topic):
                assert may_subscribe_to(policy, identity, topic, 0), topic
    else:
        assert inquiry.witness is not None
        assert matches(topic_filter, inquiry.witness)
        assert not may_subscribe_to(policy, identity, inquiry.witness, 0)


# --- by example


def allow(*topics: str, who: str = "everyone") -> tuple[Rule, ...]:
    return tuple(Rule(who, RIGHTS, each) for each in topics)


def deny(*topics: str, who: str = "everyone") -> tuple[Rule, ...]:
    return tuple(Rule(who, RIGHTS, each, effect="deny") for each in topics)


JO = Identity("jo", "password")


@pytest.mark.parametrize(
    ("rules", "topic_filter", "witness"),
    [
        (allow("sensor/+"), "sensor/+", None),
        (allow("sensor/+"), "sensor/#", "sensor"),
        (allow("sensor", "sensor/+", "sensor/+/#"), "sensor/#", None),
        (allow("sensor/#"), "sensor/+/temp", None),
        (allow("a/b", "a/c"), "a/+", "a/x"),
        (allow("a/#") + deny("a/secret"), "a/#", "a/secret"),
        (allow("a/#") + deny("a/secret"), "a/+", "a/secret"),
        (allow("a/#") + deny("a/secret"), "a/b/#", None),
        (allow("a/#") + deny("a/+/secret/#"), "a/+", None),
        (allow("a/#") + deny("a/+/secret/#"), "a/+/+", "a/x/secret"),
        (allow("#"), "#", None),
        (allow("+/#"), "#", None),
        (allow("+"), "#", "x/x"),
        (allow("#"), "$SYS/#", "$SYS"),
        (allow("$SYS/#"), "$SYS/#", None),
        (allow("#") + deny("$SYS/#"), "#", None),
        (allow("#") + deny("/#"), "+", None),
        (allow("#") + deny("/#"), "#", "/x"),
        (allow("+/temp/#", "a/#"), "a/+", None),
        (allow("#") + deny("secret/{client_id}"), "+/c", "secret/c"),
        (allow("#") + deny("secret/{client_id}"), "+/d", None),
    ],
)
def test_coverage_by_example(rules: tuple[Rule, ...], topic_filter: str, witness: str | None) -> None:
    inquiry = AccessAuthorizer(Policy(rules)).inquire(JO, "c", "subscribe", topic_filter, 0, False)
    assert (inquiry.allowed, inquiry.witness) == (witness is None, witness)


def test_a_lower_qos_is_granted_where_a_higher_one_is_not() -> None:
    receive = Rule("everyone", ("receive",), "a/#")
    both = (receive, Rule("everyone", ("subscribe",), "a/#", qos=(0, 1)))
    authorizer = AccessAuthorizer(Policy(both))
    assert [authorizer.granted_qos(JO, "c", "a/+", qos) for qos in (0, 1, 2)] == [0, 1, 1]
    less = Rule("everyone", ("subscribe",), "a/b", effect="deny", qos=(1, 2))
    authorizer = AccessAuthorizer(Policy((*both, less)))
    assert [authorizer.granted_qos(JO, "c", "a/+", qos) for qos in (0, 1, 2)] == [0, 0, 0]
    assert authorizer.granted_qos(JO, "c", "a/c", 2) == 1
    highest = Rule("everyone", ("subscribe",), "a/#", qos=(2,))
    authorizer = AccessAuthorizer(Policy((receive, highest)))
    assert [authorizer.granted_qos(JO, "c", "a/b", qos) for qos in (0, 1, 2)] == [REFUSED, REFUSED, 2]


@pytest.mark.parametrize("client_id", ["", "a/b", "+", "#", "a\0"])
def test_a_name_that_is_no_level_makes_its_rules_not_apply(client_id: str) -> None:
    authorizer = AccessAuthorizer(Policy(allow("dev/{client_id}/#", "x-{client_id}", "open/#")))
    assert not authorizer.publish_mask(JO, client_id, f"dev/{client_id}/x".encode())
    assert not authorizer.publish_mask(JO, client_id, b"dev/a/x")
    assert not authorizer.publish_mask(JO, client_id, f"x-{client_id}".encode())
    assert authorizer.publish_mask(JO, client_id, b"open/x")


def test_a_name_does_not_open_topics_that_begin_with_a_dollar_sign() -> None:
    authorizer = AccessAuthorizer(Policy(allow("{client_id}/#", "{client_id}SYS/#")))
    for client_id in ("$SYS", "$"):
        assert not authorizer.may_receive(JO, client_id, b"$SYS/broker/uptime")
        assert authorizer.granted_qos(JO, client_id, "$SYS/#", 0) == REFUSED


def test_nobody_vouches_for_the_name_anonymous() -> None:
    policy = Policy(allow("home/{username}", who="anonymous") + allow("x", who="user:anonymous"))
    authorizer = AccessAuthorizer(policy)
    assert not authorizer.publish_mask(ANONYMOUS_IDENTITY, "c", b"home/anonymous")
    assert not authorizer.publish_mask(ANONYMOUS_IDENTITY, "c", b"x")


def test_a_device_does_not_have_the_tags_of_a_user_of_its_name() -> None:
    policy = Policy(allow("$SYS/#", who="tag:administrator"), tags={"jo": ("administrator",)})
    authorizer = AccessAuthorizer(policy)
    assert authorizer.may_receive(JO, "c", b"$SYS/x")
    assert not authorizer.may_receive(Identity("jo", "certificate"), "c", b"$SYS/x")
    gone = Policy(policy.rules, tags={"jo": ()})
    authorizer.set_policy(gone)
    assert not authorizer.may_receive(Identity("jo", "password", administrator=True), "c", b"$SYS/x")


def test_where_delivery_is_filtered_what_is_said_of_the_user_wins_over_patterns() -> None:
    """As with a Mosquitto ACL, where both tiers deny and allow."""
    for first, second, expected in (("deny", "allow", False), ("allow", "deny", True)):
        rules = (
            Rule("user:jo", ("publish",), "a", effect=first),
            Rule("pattern", ("publish", "receive"), "a", effect=second),
        )
        decides = AccessAuthorizer(Policy(rules, filtered=True))
        assert bool(decides.publish_mask(JO, "c", b"a")) is expected
        assert decides.may_receive(JO, "c", b"a") is (second == "allow")


def test_a_change_rebuilds_only_the_rules_of_those_it_concerns() -> None:
    rules = allow("a", who="user:jo") + allow("b", who="user:al")
    authorizer = AccessAuthorizer(Policy(rules))
    assert authorizer.publish_mask(JO, "c", b"a")
    revision = authorizer.revision
    before = dict(authorizer._subjects)
    authorizer.set_policy(Policy(rules + deny("a", who="user:jo")))
    assert authorizer.revision > revision
    assert authorizer._subjects["user:al"] is before["user:al"]
    assert authorizer._subjects["user:jo"] is not before["user:jo"]
    assert not authorizer.publish_mask(JO, "c", b"a")


def test_rules_of_a_token_that_cannot_be_used_deny_everything() -> None:
    identity = Identity("jo", "token", rules=(Rule("user:jo", RIGHTS, "", regexp="(?=a)"),))
    authorizer = AccessAuthorizer(Policy(allow("#", "$x/#")))
    assert not authorizer.publish_mask(identity, "c", b"a")
    assert not authorizer.may_receive(identity, "c", b"$x/y")
    assert authorizer.granted_qos(identity, "c", "#", 0) == REFUSED
    assert authorizer.granted_qos(identity, "c", "$x/#", 0) == REFUSED


@pytest.mark.parametrize("levels", [200, 5000])
def test_deep_topics_and_filters_are_judged(levels: int) -> None:
    decides = AccessAuthorizer(Policy(allow("a/#") + deny("/".join(["+"] * 199 + ["x"]))))
    deep = "/".join(["a"] * levels)
    assert decides.publish_mask(JO, "c", deep.encode())
    assert decides.granted_qos(JO, "c", deep, 0) == 0
    wide = AccessAuthorizer(Policy(allow("a/+"))).inquire(JO, "c", "subscribe", f"a/+/{deep}/#", 0, False)
    assert (wide.allowed, wide.witness) == (False, f"a/x/{deep}")


def test_a_rule_of_too_many_levels_is_refused() -> None:
    with pytest.raises(RuleError, match="too many levels"):
        AccessAuthorizer(Policy(allow("/".join(["a"] * 201))))


def test_a_subscription_that_takes_too_much_work_to_judge_is_refused() -> None:
    names = [f"n{number}" for number in range(30)]
    levels = [[*names], [*names], [*names]]
    rules = allow("#")
    for position, found in enumerate(levels):
        for name in found:
            path = ["+"] * position + [name] + ["+"] * (3 - position) + ["secret"]
            rules += deny("/".join(path))
    inquiry = AccessAuthorizer(Policy(rules)).inquire(JO, "c", "subscribe", "+/+/+/+/open", 0, False)
    assert (inquiry.allowed, inquiry.exhausted) == (False, True)


def test_numbered_names_that_may_publish_beside_many_denials_are_quickly_judged() -> None:
    """It took seconds, one step for each number below each denied name."""
    rules = allow("#") + tuple(Rule("everyone", ("publish",), f"+/x{number or ''}") for number in range(5000))
    rules += tuple(rule for number in range(5000) for rule in deny(f"n{number}/secret/key"))
    authorizer = AccessAuthorizer(Policy(rules))
    assert authorizer.granted_qos(JO, "c", "+/+/open", 2) == 2
