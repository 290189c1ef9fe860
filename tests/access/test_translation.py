"""RabbitMQ's regular expressions shown as the topic filters that they amount to."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockwire.access.rights.regexp_syntax import RegexpError
from lockwire.access.rights.translation import Translation, translate
from lockwire.mqtt.topics import matches


@pytest.mark.parametrize(
    ("regexp", "expected"),
    [
        (r"^iot\.kitchen\..*$", Translation(("iot/kitchen/#",), True, True)),
        (r"^iot\.kitchen\..*", Translation(("iot/kitchen/#",), True, True)),
        (r"^iot\.kitchen\.", Translation(("iot/kitchen/#",), True, True)),
        (r"^iot\.kitchen\.temp$", Translation(("iot/kitchen/temp",), True, True)),
        (r"^iot\.[^.]*\.temp$", Translation(("iot/+/temp",), True, True)),
        (r"^iot\.[^.]+\.temp$", Translation(("iot/+/temp",), False, True)),
        (r"^(a|b)\.x$", Translation(("a/x", "b/x"), True, True)),
        (r"^a\.x$|^a\..*$", Translation(("a/#",), True, True)),
        (r"^dev-{client_id}\.status$", Translation(("dev-{client_id}/status",), True, True)),
        (r"^{username}\..*$", Translation(("{username}/#",), True, True)),
        (r"^[a-z]+\.temp$", Translation(("+/temp",), False, True)),
        (".*", Translation(("#",), True, True)),
        ("^.*$", Translation(("#",), True, True)),
        ("", Translation((), True, True)),
        ("^$", Translation((), True, True)),
        (
            "iot.kitchen.*",
            Translation(("#",), False, False, r"^iot\.kitchen\..*$", "iotikitchen"),
        ),
        (
            r"iot\.kitchen\.temp",
            Translation(("#",), False, False, r"^iot\.kitchen\.temp\..*$", "iot/kitchen/tempx"),
        ),
    ],
)
def test_by_example(regexp: str, expected: Translation) -> None:
    assert translate(regexp) == expected


def test_the_text_says_what_to_write() -> None:
    assert translate(r"^a\..*$").text == "a/#"
    assert translate("^a[0-9]$").text == "+ (at most)"
    assert translate("").text == "no topic"
    assert translate("iot.kitchen.*").text == (
        "# (at most); it is found anywhere in a topic, so that it admits 'iotikitchen': "
        r"if that is not meant, write ^iot\.kitchen\..*$"
    )
    with pytest.raises(RegexpError, match="look-ahead"):
        translate("^a(?=b)")


PARTS = st.sampled_from(["a", "b", r"\.", ".", ".*", "[^.]*", "(a|b)", r"(a\.)?", "[ab]+", "b?"])
TOPICS = [
    "/".join(levels) for n in (1, 2, 3) for levels in itertools.product(("a", "b", "ab", "c"), repeat=n)
]


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=5), st.sampled_from(["", "^"]), st.sampled_from(["", "$"]))
def test_the_filters_match_all_that_the_expression_admits(parts: list[str], start: str, end: str) -> None:
    regexp = start + "".join(parts) + end
    found = translate(regexp)
    for topic in TOPICS:
        admitted = bool(regexp) and bool(
            re.search(regexp.replace("$", r"\Z"), topic.replace("/", "."), re.DOTALL)
        )
        matched = any(matches(one, topic) for one in found.filters)
        assert matched or not admitted, topic
        above = any(matches(one.removesuffix("/#"), topic) for one in found.filters)
        if found.exact and matched and not above:
            assert admitted, topic
