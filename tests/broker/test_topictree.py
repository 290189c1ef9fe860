"""The two topic trees against the obvious way: every filter asked about every topic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lockwire.broker.topictree import FilterTree, NameTree
from lockwire.mqtt.topics import matches

WORDS = st.sampled_from(["a", "b", "", "$a", "long level"])
TOPICS = st.lists(WORDS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = st.builds(
    lambda levels, tail: "/".join([*levels, *tail]),
    st.lists(st.one_of(WORDS, st.just("+")), max_size=3),
    st.sampled_from([["#"], ["+"], ["a"]]),
)


@given(st.lists(st.tuples(st.booleans(), FILTERS), max_size=30), st.lists(TOPICS, max_size=10))
def test_filters_found_by_name(changes: list[tuple[bool, str]], topics: list[str]) -> None:
    tree: FilterTree[str] = FilterTree()
    kept: set[str] = set()
    for put, topic_filter in changes:
        if put:
            tree.put(topic_filter, topic_filter)
            kept.add(topic_filter)
        else:
            tree.remove(topic_filter)
            kept.discard(topic_filter)
        assert (tree.get(topic_filter) == topic_filter) is (topic_filter in kept)
    for topic in topics:
        assert sorted(tree.matching(topic)) == sorted(each for each in kept if matches(each, topic))


@given(st.lists(st.tuples(st.booleans(), TOPICS), max_size=30), st.lists(FILTERS, max_size=10))
def test_names_found_by_filter(changes: list[tuple[bool, str]], filters: list[str]) -> None:
    tree: NameTree[str] = NameTree()
    kept: set[str] = set()
    for put, topic in changes:
        if put:
            tree.put(topic, topic)
            kept.add(topic)
        else:
            assert (tree.remove(topic) is not None) is (topic in kept)
            kept.discard(topic)
        assert tree.count == len(kept)
        assert (tree.get(topic) == topic) is (topic in kept)
    for topic_filter in filters:
        assert sorted(tree.matching(topic_filter)) == sorted(
            each for each in kept if matches(topic_filter, each)
        )


@given(st.lists(FILTERS, unique=True, max_size=20))
def test_nothing_is_left_of_filters_that_are_gone(filters: list[str]) -> None:
    tree: FilterTree[str] = FilterTree()
    for topic_filter in filters:
        tree.put(topic_filter, topic_filter)
    for topic_filter in filters:
        tree.remove(topic_filter)
    assert tree._root.is_empty
    assert not tree._exact
