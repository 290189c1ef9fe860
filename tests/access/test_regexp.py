"""Regular expressions of rules: against Python's own, in linear time, and what they refuse."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockwire.access.rights.coverage import filter_automaton, filter_tree
from lockwire.access.rights.masks import RECEIVE, subscription_bits
from lockwire.access.rights.regexp import STATES, WORK, Automaton, covered
from lockwire.access.rights.regexp_syntax import LARGEST, LONGEST, RegexpError, parse
from lockwire.mqtt.topics import matches

NOBODY = ["", "", ""]
WANTED = subscription_bits(0)


def automaton(pattern: str, *, dotted: bool = False, values: list[str] = NOBODY) -> Automaton:
    made = Automaton()
    made.add(parse(pattern, ("username", "client_id", "cn")), WANTED, 0, values, dotted)
    return made


def found(pattern: str, text: bytes) -> bool:
    state = automaton(pattern).run(text)
    assert state is not None
    return state.final_allow != 0


# --- against Python

LITERALS = st.sampled_from(["a", "b", "-", r"\.", r"\-", r"\x61", r"\t", " "])
SETS = st.sampled_from(
    [".", "[ab]", "[^a]", "[a-c.]", "[]a]", "[^]]", r"[\d-]", r"[\]a]", r"\d", r"\w", r"\S", r"[^\s]", "[.]"]
)
PLACES = st.sampled_from(["^", "$", ""])
QUANTIFIERS = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?", "{0}"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = st.builds("({})".format, inner) | st.builds("(?:{})".format, inner)
    return (
        st.builds("{}{}".format, inner, inner)
        | st.builds("{}|{}".format, inner, inner)
        | st.builds("{}{}".format, group | SETS | LITERALS, QUANTIFIERS)
        | group
    )


PATTERNS = st.recursive(LITERALS | SETS | PLACES, larger, max_leaves=8)
TEXTS = st.lists(st.text("ab-.c1 \t\n]", max_size=7), min_size=1, max_size=6)


@settings(max_examples=800, deadline=None)
@given(PATTERNS, TEXTS)
def test_an_expression_finds_what_python_finds(pattern: str, texts: list[str]) -> None:
    theirs = re.compile(pattern.replace("$", r"\Z").encode(), re.DOTALL)
    ours = automaton(pattern)
    for text in texts:
        state = ours.run(text.encode())
        assert state is not None
        assert (state.final_allow != 0) == (theirs.search(text.encode()) is not None), text


@settings(max_examples=200, deadline=None)
@given(st.lists(PATTERNS, min_size=2, max_size=4), TEXTS)
def test_several_expressions_run_as_one(patterns: list[str], texts: list[str]) -> None:
    union = Automaton()
    for number, pattern in enumerate(patterns):
        union.add(parse(pattern), 1 << number, 1 << number + 8, NOBODY, False)
    for text in texts:
        state = union.run(text.encode())
        assert state is not None
        each = sum(found(pattern, text.encode()) << number for number, pattern in enumerate(patterns))
        assert (state.final_allow, state.final_deny) == (each, each << 8)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("iot.kitchen.*", b"x.iot.kitchenette.temp", True),
        (r"^iot\.kitchen\..*$", b"x.iot.kitchenette.temp", False),
        ("(?i)^IoT$", b"iOt", True),
        ("(?i)[a-c]x", b"BX", True),
        ("^a{2,3}$", b"aaaa", False),
        ("a{,3}", b"a{,3}", True),
        ("{x}", b"{x}", True),
        ("^süd|(ä|ö)+$", "süd".encode(), True),
        ("^ä*$", "ää".encode(), True),
        (r"\Aa\z", b"a", True),
        ("^.$", "ä".encode(), False),
        ("^a.b$", b"a\nb", True),
        ("^a$", b"a\n", False),
        ("[[:alpha:]_]+[[:digit:]]", b"x7", True),
        ("", b"anything", True),
        ("(?<name>a)(?P<other>b)", b"ab", True),
        (r"^\x{2e}\x2e$", b"..", True),
        ("^$", b"", True),
        ("(^|x)a", b"xa", True),
        ("a(b$|c)", b"acd", True),
        ("a$b", b"a", False),
    ],
)
def test_by_example(pattern: str, text: bytes, expected: bool) -> None:
    assert found(pattern, text) is expected


def test_placeholders_stand_for_themselves() -> None:
    expression = automaton("^dev-{client_id}$", values=["", "a.*(", ""])
    for text, expected in ((b"dev-a.*(", True), (b"dev-abc", False), (b"dev-", False)):
        state = expression.run(text)
        assert state is not None
        assert bool(state.final_allow) is expected
    missing = automaton("^dev-{client_id}|x", values=["", "", ""])
    for text, expected in ((b"dev-", False), (b"x", True)):
        state = missing.run(text)
        assert state is not None
        assert bool(state.final_allow) is expected


# --- what is refused, and where


@pytest.mark.parametrize(
    ("pattern", "position", "problem"),
    [
        ("a(?=b)", 1, "look-ahead"),
        ("a(?!b)", 1, "look-ahead"),
        ("(?<=a)b", 0, "look-behind"),
        ("(?<!a)b", 0, "look-behind"),
        (r"(a)\1", 3, "back-reference"),
        ("(?P<n>a)(?P=n)", 8, "back-reference"),
        ("(?>a)", 0, "atomic group"),
        ("a(?i)b", 1, "unknown kind of group"),
        ("(?R)", 0, "recursion"),
        ("(?(1)a|b)", 0, "condition"),
        ("(*UTF)a", 0, "verb"),
        ("a*+", 2, "possessive"),
        ("a**", 2, "repetition of a repetition"),
        ("a{2}{3}", 4, "repetition of a repetition"),
        ("*a", 0, "nothing to repeat"),
        ("a|+", 2, "nothing to repeat"),
        ("{2}", 0, "nothing to repeat"),
        ("^*", 1, "nothing to repeat"),
        ("a{3,2}", 1, "wrong way round"),
        ("a{2000}", 1, "too many repetitions"),
        ("(a", 0, "'(' without ')'"),
        ("a)", 1, "')' without '('"),
        ("[a", 0, "'[' without ']'"),
        ("[b-a]", 1, "a range that is none"),
        (r"[\d-z]", 1, "a range that is none"),
        ("[ä]", 1, "it has several"),
        ("[[:vowel:]]", 1, "unknown class"),
        (r"a\b", 1, "word boundary"),
        (r"\q", 0, "unknown escape"),
        (r"\xg1", 0, "number of a byte"),
        ("a\\", 1, "at the end"),
        ("(" * 60 + ")" * 60, 50, "too deep"),
        ("((a{100}){100}){100}", 0, "too large"),
        ("a" * (LARGEST + 1), 0, "too large"),
        ("a" * (LONGEST + 1), LONGEST, "too long"),
        ("ab\udcff", 2, "no text"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(pattern: str, position: int, problem: str) -> None:
    with pytest.raises(RegexpError) as caught:
        parse(pattern)
    assert problem in caught.value.problem
    assert caught.value.position == position
    assert f"character {position + 1}" in str(caught.value)


# --- nothing hangs


@pytest.mark.parametrize(
    "pattern",
    ["(a*)*b", "(a|a)*$", "(a+)+$x", "(x+x+)+y", "^(a?){100}a{100}$", "(.*a){40}.*b", "([ab]?){600}c"],
)
def test_what_hangs_others_takes_linear_time(pattern: str) -> None:
    expression = automaton(pattern)
    expression.run(b"ab" * 1000)
    for text in (b"a" * 65535, b"ab" * 32767):
        before = expression.work
        assert expression.run(text) is not None
        assert expression.work - before < WORK


def test_a_text_that_needs_too_many_states_is_given_up() -> None:
    expression = automaton("(a|b)*a(a|b){300}$")
    digits = "".join(f"{number:016b}" for number in range(4000))
    text = digits.replace("0", "a").replace("1", "b").encode()
    assert expression.run(text) is None
    assert expression.work < 2 * WORK
    assert len(expression._states) <= STATES


def test_states_are_bounded_and_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    expression = automaton("(a|b)*a(a|b){12}$")
    digits = "".join(f"{number:013b}" for number in range(3000)).replace("0", "a").replace("1", "b")
    expected = re.compile(r"(a|b)*a(a|b){12}\Z")
    for start in range(0, len(digits), 500):
        text = digits[start : start + 400]
        state = expression.run(text.encode())
        assert state is not None
        assert (state.final_allow != 0) == (expected.search(text) is not None)
        assert len(expression._states) <= STATES


# --- languages

FILTERS = ["#", "+", "+/#", "a/#", "a/+", "a/+/b", "+/b", "a", "a/b", "/#", "/+", "+/+", "a/b/#", "a.b/#"]
TOPICS = ["a", "b", "a/b", "a/", "/a", "/", "a/b/b", "a/c/b", "b/b", "a.b/c", "a.b", "$a", "a/x.y", "c/c/c"]


@pytest.mark.parametrize("topic_filter", FILTERS)
def test_a_topic_filter_as_an_expression_matches_the_same_topics(topic_filter: str) -> None:
    expression = Automaton()
    expression.add(filter_tree(topic_filter.split("/")), 1, 0, NOBODY, False)
    for topic in TOPICS:
        state = expression.run(topic.encode())
        assert state is not None
        assert (state.final_allow != 0) == matches(topic_filter, topic), topic


@pytest.mark.parametrize(
    ("topic_filter", "pattern", "witness"),
    [
        ("iot/kitchen/#", r"^iot\.kitchen\..*$", None),
        ("iot/kitchen/temp", r"^iot\.kitchen\..*$", None),
        ("iot/+/temp", r"^iot\.[^.]*\.temp$", None),
        ("iot/+/temp", r"^iot\.[^.]+\.temp$", b"iot//temp"),
        ("iot/#", r"^iot\.kitchen\..*$", b"iot/"),
        ("#", ".*", None),
        ("+", ".*", None),
        ("iot/+", r"^iot\.[a-z]*$", b"iot/A"),
        ("iot/+", r"^iot\.(a|b)$|^iot\.[^ab]*$|^iot\.[ab][^.]+$|^iot\.[^.]+[ab][^.]*$", None),
        ("a", "^b$", b"a"),
        ("a.b", "^c", b"a.b"),
    ],
)
def test_what_an_expression_covers(topic_filter: str, pattern: str, witness: bytes | None) -> None:
    result = covered(
        filter_automaton(topic_filter.split("/")), automaton(pattern, dotted=True), WANTED, 100_000, True
    )
    assert (result.witness, bool(result.granted & RECEIVE)) == (witness, witness is None)


def test_a_comparison_that_takes_too_much_work_is_given_up() -> None:
    outer = automaton(r"^a\.(.*x.{12}|.*y.{13}|.*z.{14})", dotted=True)
    outer.add(parse("^a.*"), WANTED, 0, NOBODY, True)
    hard = automaton(r"^a\.(.*x.{12}|.*y.{13}|.*z.{14}|.*)$", dotted=True)
    hard.add(parse("(a|b)*a(a|b){30}$"), 0, WANTED, NOBODY, True)
    result = covered(filter_automaton(["a", "#"]), hard, WANTED, 20_000, True)
    assert not result.granted
    assert result.exhausted or result.witness is not None
