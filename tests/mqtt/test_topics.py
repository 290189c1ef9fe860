"""Topic Names and Topic Filters (MQTT 5 section 4.7, 3.1.1 section 4.7)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockwire.mqtt import reasons
from lockwire.mqtt.errors import MalformedPacketError, ProtocolError
from lockwire.mqtt.topics import (
    has_wildcard,
    matches,
    parse_shared,
    validate_topic_filter,
    validate_topic_name,
)

MATCHES = [
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/tennis/player1/#", "sport/tennis/player10", False),
    ("sport/#", "sport", True),
    ("#", "a", True),
    ("#", "/", True),
    ("#", "a/b/c", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("+/+/#", "a", False),
    ("+/#", "a", True),
    ("+/tennis/#", "sport/tennis", True),
    ("a/+/c", "a/b/c", True),
    ("a/+/c", "a//c", True),
    ("a/+/c", "a/b/d", False),
    ("a", "A", False),
    ("a", "/a", False),
    ("a/", "a", False),
    ("a b", "a b", True),
    ("#", "$SYS/broker", False),
    ("+/broker", "$SYS/broker", False),
    ("+/#", "$SYS", False),
    ("$SYS/#", "$SYS/broker", True),
    ("$SYS/#", "$SYS", True),
    ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
    ("a/#", "a/$SYS", True),
    ("ü/+", "ü/é", True),
]  # fmt: skip


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), MATCHES)
def test_matches(topic_filter: str, topic: str, expected: bool) -> None:
    """[MQTT5-4.7.1-1], [MQTT5-4.7.1-2], [MQTT5-4.7.2-1], [MQTT5-4.7.3-4]; the same numbers in 3.1.1."""
    validate_topic_filter(topic_filter)
    assert matches(topic_filter, topic) is expected


def as_expression(topic_filter: str) -> str:
    """An independent reading of the rules: a topic filter as a regular expression."""
    if topic_filter == "#":
        return r"[^$].*"
    parts = [
        r"[^/]*" if level == "+" else re.escape(level) for level in topic_filter.removesuffix("/#").split("/")
    ]
    start = "(?![$])" if topic_filter.startswith("+") else ""
    return start + "/".join(parts) + ("(/.*)?" if topic_filter.endswith("/#") else "")


levels = st.sampled_from(["", "a", "b", "$x", "+"])
filters = st.builds(
    lambda parts, hash: "/".join(parts + ["#"] * hash), st.lists(levels, min_size=1), st.booleans()
)
names = st.lists(st.sampled_from(["", "a", "b", "$x"]), min_size=1, max_size=5).map("/".join)


@given(filters.filter(bool), names.filter(bool))
def test_matches_as_a_regular_expression_does(topic_filter: str, topic: str) -> None:
    validate_topic_filter(topic_filter)
    expected = re.fullmatch(as_expression(topic_filter), topic, re.DOTALL) is not None
    assert matches(topic_filter, topic) is expected


VALID = [
    "a", "/", "//", "a/b", "+", "#", "+/#", "a/+/#", "/#", " ", "$SYS/#", "$share/g/a", "$share/g/#",
    "$share/g//", "$share/g/$SYS/#", "$shared", "$share", "x/$share/+",
]  # fmt: skip
INVALID = [
    "", "a#", "#a", "a/#/b", "##", "#/", "a+", "+a", "a/b+/c", "++", "+#", "$share/", "$share/g", "$share//a",
    "$share/g/", "$share/+/a", "$share/#/a", "$share/g+/a", "$share/g/a#",
]  # fmt: skip


@pytest.mark.parametrize("topic_filter", VALID)
def test_valid_topic_filters(topic_filter: str) -> None:
    validate_topic_filter(topic_filter)


@pytest.mark.parametrize("topic_filter", INVALID)
def test_invalid_topic_filters(topic_filter: str) -> None:
    """[MQTT5-4.7.3-1], [MQTT5-4.7.1-1], [MQTT5-4.7.1-2], [MQTT5-4.8.2-1], [MQTT5-4.8.2-2]."""
    with pytest.raises(ProtocolError) as caught:
        validate_topic_filter(topic_filter)
    assert caught.value.reason == reasons.TOPIC_FILTER_INVALID


def test_valid_topic_names() -> None:
    for text in ("a", "/", "a/b c/ü", "$SYS/x", "\ufeffa", "\U0001f600"):
        assert validate_topic_name(text.encode()) == text


@pytest.mark.parametrize("topic", [b"", b"a/+", b"#", b"a#b"])
def test_invalid_topic_names(topic: bytes) -> None:
    """[MQTT5-4.7.3-1], [MQTT5-3.3.2-2]."""
    with pytest.raises(ProtocolError) as caught:
        validate_topic_name(topic)
    assert caught.value.reason == reasons.TOPIC_NAME_INVALID


@pytest.mark.parametrize(
    "topic",
    [b"\xff", b"a\x00b", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"],
)
def test_topic_names_that_are_no_strings(topic: bytes) -> None:
    """[MQTT5-1.5.4-1], [MQTT5-1.5.4-2]."""
    with pytest.raises(MalformedPacketError):
        validate_topic_name(topic)


def test_shared_subscriptions() -> None:
    assert parse_shared("$share/group/a/+/#") == ("group", "a/+/#")
    assert parse_shared("$share/g//") == ("g", "/")
    assert parse_shared("$shared/g/a") is None
    assert parse_shared("a") is None


def test_wildcards() -> None:
    assert has_wildcard("a/+")
    assert has_wildcard("#")
    assert not has_wildcard("a/$b")
