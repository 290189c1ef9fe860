"""What rules allow: the file, the default rules, and the test that one filter covers another."""

from __future__ import annotations

import itertools
import json
import stat
from pathlib import Path

import pytest

from lockwire.access.authorizer import (
    EVERY_PUBLISH,
    NO_PUBLISH,
    REFUSED,
    AccessAuthorizer,
    Authorizer,
    publish_bit,
)
from lockwire.access.errors import AccessFileError
from lockwire.access.identity import ANONYMOUS_IDENTITY, Identity
from lockwire.access.rights.policy import Policy
from lockwire.access.rights.rules import (
    DEFAULT_RULES,
    RIGHTS,
    Rule,
    covers,
    describe_rule,
    read_rules,
    write_rules,
)
from lockwire.mqtt.topics import matches

DEVICE = Identity("pump-7", "certificate")
USER = Identity("jo", "password")
ADMINISTRATOR = Identity("admin", "password", administrator=True)
EVERYONE = [DEVICE, USER, ADMINISTRATOR, ANONYMOUS_IDENTITY]


# --- the default rules


@pytest.fixture
def default() -> AccessAuthorizer:
    return AccessAuthorizer(Policy(DEFAULT_RULES))


@pytest.mark.parametrize("identity", [DEVICE, USER, ADMINISTRATOR])
def test_whoever_is_authenticated_uses_every_topic_outside_dollar(
    default: AccessAuthorizer, identity: Identity
) -> None:
    for topic in (b"a", b"a/b/$c", b"/", "süd/\N{SNOWMAN}".encode()):
        assert default.publish_mask(identity, "c", topic) == EVERY_PUBLISH
        assert default.may_receive(identity, "c", topic)
    for topic_filter in ("#", "+", "a/#", "+/$x", "$share/g/#", "$share/g/a/+"):
        assert default.granted_qos(identity, "c", topic_filter, 2) == 2


@pytest.mark.parametrize("identity", EVERYONE)
def test_nobody_publishes_to_dollar_topics(default: AccessAuthorizer, identity: Identity) -> None:
    for topic in (b"$SYS/broker/uptime", b"$SYS", b"$share/g/a", b"$", b"$other/x"):
        assert default.publish_mask(identity, "c", topic) == NO_PUBLISH


def test_only_administrators_see_sys(default: AccessAuthorizer) -> None:
    for topic_filter in ("$SYS/#", "$SYS", "$SYS/broker/+", "$share/g/$SYS/#"):
        assert default.granted_qos(ADMINISTRATOR, "c", topic_filter, 2) == 2
        assert default.granted_qos(DEVICE, "c", topic_filter, 2) == REFUSED
        assert default.granted_qos(USER, "c", topic_filter, 2) == REFUSED
    assert default.may_receive(ADMINISTRATOR, "c", b"$SYS/broker/uptime")
    assert not default.may_receive(DEVICE, "c", b"$SYS/broker/uptime")


@pytest.mark.parametrize("identity", EVERYONE)
def test_other_dollar_topics_are_nobodys(default: AccessAuthorizer, identity: Identity) -> None:
    for topic_filter in ("$other/#", "$", "$SYSTEM/#", "$share/g/$other/x"):
        assert default.granted_qos(identity, "c", topic_filter, 2) == REFUSED
    assert not default.may_receive(identity, "c", b"$other/x")


def test_what_no_rule_allows_is_refused(default: AccessAuthorizer) -> None:
    for authorizer in (AccessAuthorizer(), Authorizer()):
        for identity in EVERYONE:
            assert authorizer.publish_mask(identity, "c", b"a") == NO_PUBLISH
            assert authorizer.granted_qos(identity, "c", "a", 2) == REFUSED
            assert not authorizer.may_receive(identity, "c", b"a")
    assert default.publish_mask(ANONYMOUS_IDENTITY, "c", b"a") == NO_PUBLISH
    assert default.granted_qos(ANONYMOUS_IDENTITY, "c", "a", 2) == REFUSED


def test_a_publish_that_is_to_be_asked_about_is_refused_by_default() -> None:
    answers: list[bool] = []
    Authorizer().decide(DEVICE, "c", b"a", 0, False, answers.append)
    assert answers == [False]


# --- rules of one's own


def test_each_right_is_its_own() -> None:
    authorizer = AccessAuthorizer(
        Policy(
            (
                Rule("everyone", ("publish",), "out/#"),
                Rule("everyone", ("subscribe",), "in/+"),
                Rule("everyone", ("receive",), "in/#"),
                Rule("anonymous", ("publish", "subscribe", "receive"), "public/#"),
                Rule("tag:administrator", ("publish",), "#"),
            )
        )
    )
    assert authorizer.publish_mask(DEVICE, "c", b"out/a") == EVERY_PUBLISH
    assert authorizer.publish_mask(DEVICE, "c", b"in/a") == NO_PUBLISH
    assert authorizer.publish_mask(ADMINISTRATOR, "c", b"in/a") == EVERY_PUBLISH
    assert authorizer.granted_qos(DEVICE, "c", "in/a", 2) == 2
    assert authorizer.granted_qos(DEVICE, "c", "out/a", 2) == REFUSED
    assert authorizer.may_receive(DEVICE, "c", b"in/a/b")
    assert not authorizer.may_receive(DEVICE, "c", b"out/a")
    assert authorizer.granted_qos(ANONYMOUS_IDENTITY, "c", "public/+", 2) == 2
    assert authorizer.granted_qos(DEVICE, "c", "public/+", 2) == REFUSED


def test_a_wider_subscription_than_the_rule_is_refused() -> None:
    authorizer = AccessAuthorizer(Policy((Rule("everyone", ("subscribe", "receive"), "sensor/+"),)))
    assert authorizer.granted_qos(DEVICE, "c", "sensor/7", 2) == 2
    assert authorizer.granted_qos(DEVICE, "c", "sensor/+", 2) == 2
    assert authorizer.granted_qos(DEVICE, "c", "$share/g/sensor/+", 2) == 2
    for topic_filter in ("sensor/#", "sensor", "sensor/+/x", "+/+", "#", "$share/g/sensor/#"):
        assert authorizer.granted_qos(DEVICE, "c", topic_filter, 2) == REFUSED


def test_new_rules_count_at_once_and_change_the_revision() -> None:
    authorizer = AccessAuthorizer()
    before = authorizer.revision
    authorizer.set_policy(Policy(DEFAULT_RULES))
    assert authorizer.revision != before
    assert authorizer.granted_qos(DEVICE, "c", "#", 2) == 2


def test_the_bits_of_a_publish_mask() -> None:
    bits = [publish_bit(qos, retain) for retain in (False, True) for qos in (0, 1, 2)]
    assert bits == [1, 2, 4, 8, 16, 32]
    assert sum(bits) == EVERY_PUBLISH


# --- one filter covers another

WORDS = ("a", "b", "", "$a")
TOPICS = [
    "/".join(levels)
    for depth in (1, 2, 3, 4)
    for levels in itertools.product((*WORDS, "z"), repeat=depth)
    if levels != ("",)
]
"""Every topic of four levels at most over the words that the filters below use, and one that they do not."""

FILTERS = [
    "/".join((*levels, *rest))
    for depth in (0, 1, 2, 3)
    for levels in itertools.product((*WORDS, "+"), repeat=depth)
    for rest in ((), ("#",))
    if "".join((*levels, *rest)) or depth > 1
]


def test_a_filter_covers_another_just_where_it_matches_every_topic_of_it() -> None:
    matched = {one: frozenset(topic for topic in TOPICS if matches(one, topic)) for one in FILTERS}
    wrong = [
        (outer, inner)
        for outer, inner in itertools.product(FILTERS, repeat=2)
        if covers(outer, inner) != (matched[inner] <= matched[outer])
    ]
    assert len(FILTERS) == 310
    assert wrong == []


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("#", "#", True),
        ("#", "+/a/#", True),
        ("#", "$SYS/#", False),
        ("+/#", "#", True),
        ("+", "#", False),
        ("sensor/#", "sensor", True),
        ("sensor/+", "sensor/#", False),
        ("sensor/+/#", "sensor/#", False),
        ("sensor/#", "sensor/+/#", True),
        ("+/b", "a/b", True),
        ("a/b", "+/b", False),
        ("$SYS/#", "$SYS/a/+", True),
        ("$SYS/#", "#", False),
        ("+/a", "$SYS/a", False),
    ],
)
def test_coverage_by_example(outer: str, inner: str, expected: bool) -> None:
    assert covers(outer, inner) is expected


# --- the file


def test_rules_are_written_readable_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "access" / "rules.json"
    write_rules(path, DEFAULT_RULES)
    assert read_rules(path) == DEFAULT_RULES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["rules"][0] == {
        "who": "everyone",
        "may": ["publish", "subscribe", "receive"],
        "topics": "#",
        "note": "Everyone who is authenticated uses every topic that does not begin with $.",
    }
    write_rules(path, [])
    assert read_rules(path) == ()


def test_all_that_a_rule_can_say_is_written_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    rules = (
        Rule("user:jo", ("publish",), "a/{client_id}", "note", "deny", (0, 1), "only"),
        Rule("group:pumps", ("publish", "subscribe"), "", regexp=r"^pump\.{username}"),
        Rule("tag:monitoring", ("receive",), "$SYS/#"),
    )
    write_rules(path, rules)
    assert read_rules(path) == rules


def test_the_words_of_older_files_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(
        '{"rules": [{"who": "devices", "may": ["publish"], "topics": "a"},'
        ' {"who": "administrators", "may": ["receive"], "topics": "$SYS/#"}]}'
    )
    assert [rule.who for rule in read_rules(path)] == ["everyone", "tag:administrator"]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule("user:jo", RIGHTS, "a/#"), "allow user:jo publish, subscribe, receive a/#"),
        (
            Rule("everyone", ("publish",), "a", effect="deny", qos=(1, 2), retain="only"),
            "deny everyone publish a (QoS 1, 2, with RETAIN)",
        ),
        (Rule("everyone", ("publish",), "a", retain="never"), "allow everyone publish a (without RETAIN)"),
        (Rule("group:g", ("receive",), "", regexp="^a"), "allow group:g receive regexp ^a"),
    ],
)
def test_a_rule_in_one_line(rule: Rule, text: str) -> None:
    assert describe_rule(rule) == text


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"may": ["publish"], "topics": "#"}, "'who' is missing"),
        (
            {"who": "me", "may": ["publish"], "topics": "#"},
            "expected everyone, anonymous, user:NAME, group:NAME or tag:NAME",
        ),
        ({"who": "everyone", "topics": "#"}, "'may' is not a list of rights"),
        ({"who": "everyone", "may": [], "topics": "#"}, "'may' is not a list of rights"),
        ({"who": "everyone", "may": ["write"], "topics": "#"}, "'may' is not a list of rights"),
        ({"who": "everyone", "may": [["publish"]], "topics": "#"}, "'may' is not a list of rights"),
        ({"who": "everyone", "may": ["publish"]}, "'topics' is missing"),
        ({"who": "everyone", "may": ["publish"], "topics": "a#"}, "expected a topic filter"),
        ({"who": "everyone", "may": ["subscribe"], "topics": "$share/g/a"}, "shared subscription"),
        (
            {"who": "everyone", "may": ["publish"], "topics": "$SYS/#"},
            "publishing to topics that begin with $",
        ),
        ({"who": "everyone", "may": ["publish"], "topics": "#", "note": 7}, "'note' is not text"),
        ({"who": "user:", "may": ["publish"], "topics": "#"}, "'who' is 'user:'"),
        ({"who": "pattern", "may": ["publish"], "topics": "#"}, "'who' is 'pattern'"),
        ({"who": "everyone", "may": ["publish"], "topics": "#", "effect": "block"}, "expected allow or deny"),
        ({"who": "everyone", "may": ["publish"], "topics": "#", "qos": 1}, "'qos' is not a list"),
        ({"who": "everyone", "may": ["publish"], "topics": "#", "qos": [3]}, "expected some of [0, 1, 2]"),
        ({"who": "everyone", "may": ["publish"], "topics": "#", "qos": []}, "expected some of [0, 1, 2]"),
        ({"who": "everyone", "may": ["publish"], "topics": "#", "retain": "yes"}, "any, only or never"),
        ({"who": "everyone", "may": ["publish"], "topics": "a/{user}"}, "{user} is no placeholder"),
        ({"who": "everyone", "may": ["publish"], "topics": "a", "regexp": "a"}, "one of the two"),
        ({"who": "everyone", "may": ["publish"], "regexp": "a(?=b)"}, "character 2: look-ahead"),
        (
            {"who": "everyone", "may": ["receive"], "topics": "a", "effect": "deny", "qos": [0]},
            "which receiving does not have",
        ),
        ({"who": "everyone", "may": ["publish"], "topics": "#", "deny": True}, "'deny' is not known here"),
        ({"who": "user:\ud800", "may": ["publish"], "topics": "#"}, "'who' holds what is no text"),
        ({"who": "everyone", "may": ["publish"], "topics": "a\udfff"}, "'topics' holds what is no text"),
        ({"who": "everyone", "may": ["publish"], "regexp": "a\udfff"}, "'regexp' holds what is no text"),
        (
            {"who": "everyone", "may": ["publish"], "topics": "a", "note": "\udcff"},
            "'note' holds what is no text",
        ),
    ],
)
def test_a_malformed_rule_is_named_with_its_line(
    tmp_path: Path, rule: dict[str, object], message: str
) -> None:
    path = tmp_path / "rules.json"
    path.write_text('{"rules": [\n' + json.dumps(rule) + "\n]}")
    with pytest.raises(AccessFileError) as caught:
        read_rules(path)
    assert caught.value.line == 2
    assert message in str(caught.value)


def test_a_file_with_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text('{"rules": [], "groups": []}')
    with pytest.raises(AccessFileError, match="'groups' is not known here"):
        read_rules(path)
