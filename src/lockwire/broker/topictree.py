"""Two trees over topic levels: things kept by topic name, and things kept by topic filter (MQTT 5 section
4.7).

`NameTree` finds, for a filter, all names that match it: the retained messages a new subscription gets, the
cached routes it touches. `FilterTree` finds, for a name, all filters that match it: the subscriptions of a
message. Both cost what the matching part of the tree costs, whatever else is in it.
"""

from __future__ import annotations

from typing import Generic, TypeVar, cast

from mypy_extensions import mypyc_attr

T = TypeVar("T")


@mypyc_attr(acyclic=True)
class _NameNode:
    def __init__(self) -> None:
        self.children: dict[str, _NameNode] | None = None  # most nodes are leaves
        self.value: object | None = None


class NameTree(Generic[T]):
    """Values by topic name, found by topic filter."""

    def __init__(self) -> None:
        self._root: _NameNode = _NameNode()
        self.count: int = 0

    def put(self, topic: str, value: T) -> None:
        """Keeps `value` for `topic`, in the place of what was there."""
        node = self._root
        for level in topic.split("/"):
            children = node.children
            if children is None:
                children = {}
                node.children = children
            child = children.get(level)
            if child is None:
                child = _NameNode()
                children[level] = child
            node = child
        if node.value is None:
            self.count += 1
        node.value = value

    def get(self, topic: str) -> T | None:
        """The value of `topic`, None where there is none."""
        node = self._root
        for level in topic.split("/"):
            children = node.children
            child = None if children is None else children.get(level)
            if child is None:
                return None
            node = child
        return cast("T | None", node.value)

    def remove(self, topic: str) -> T | None:
        """Forgets `topic` and the branches that led only to it; returns what was there."""
        path = [self._root]
        levels = topic.split("/")
        for level in levels:
            children = path[-1].children
            child = None if children is None else children.get(level)
            if child is None:
                return None
            path.append(child)
        value = cast("T | None", path[-1].value)
        if value is None:
            return None
        path[-1].value = None
        self.count -= 1
        index = len(levels)
        while index > 0 and path[index].value is None and not path[index].children:
            above = path[index - 1].children
            assert above is not None
            del above[levels[index - 1]]
            index -= 1
        return value

    def matching(self, topic_filter: str) -> list[T]:
        """All values whose topic the filter matches; wildcards at the front leave `$` topics out
        [MQTT5-4.7.2-1].
        """
        found: list[T] = []
        self._collect(self._root, topic_filter.split("/"), 0, found)
        return found

    def _collect(self, node: _NameNode, levels: list[str], index: int, found: list[T]) -> None:
        if index == len(levels):
            if node.value is not None:
                found.append(cast(T, node.value))
            return
        level = levels[index]
        if level == "#":
            self._collect_all(node, index == 0, found)
            return
        children = node.children
        if children is None:
            return
        if level == "+":
            for name, child in children.items():
                if index > 0 or not name.startswith("$"):
                    self._collect(child, levels, index + 1, found)
        else:
            child2 = children.get(level)
            if child2 is not None:
                self._collect(child2, levels, index + 1, found)

    def _collect_all(self, node: _NameNode, first: bool, found: list[T]) -> None:
        if node.value is not None:
            found.append(cast(T, node.value))
        children = node.children
        if children is None:
            return
        for name, child in children.items():
            if not first or not name.startswith("$"):
                self._collect_all(child, False, found)


@mypyc_attr(acyclic=True)
class _FilterNode:
    """A level of filters. Most have one below them: that one costs no table, which a million filters feel."""

    def __init__(self) -> None:
        self.value: object | None = None
        self.key: str = ""
        self.only: _FilterNode | None = None
        self.children: dict[str, _FilterNode] | None = None

    def child(self, level: str) -> _FilterNode | None:
        """What is below at this level, None where nothing is."""
        children = self.children
        if children is not None:
            return children.get(level)
        only = self.only
        return only if only is not None and self.key == level else None

    def make_child(self, level: str) -> _FilterNode:
        """What is below at this level, made where it is missing."""
        child = self.child(level)
        if child is not None:
            return child
        child = _FilterNode()
        only = self.only
        if self.children is not None:
            self.children[level] = child
        elif only is None:
            self.key = level
            self.only = child
        else:
            self.children = {self.key: only, level: child}
            self.only = None
        return child

    def drop_child(self, level: str) -> None:
        """Forgets what is below at this level."""
        children = self.children
        if children is not None:
            children.pop(level, None)
        elif self.key == level:
            self.only = None

    @property
    def is_empty(self) -> bool:
        """Whether neither a value nor anything below is left."""
        return self.value is None and self.only is None and not self.children


class FilterTree(Generic[T]):
    """Values by topic filter, found by topic name.

    A filter without wildcards lies in one table, not in the tree.
    """

    def __init__(self) -> None:
        self._exact: dict[str, T] = {}
        self._root: _FilterNode = _FilterNode()

    def get(self, topic_filter: str) -> T | None:
        """The value of exactly this filter, None where there is none."""
        if not _has_wildcard(topic_filter):
            return self._exact.get(topic_filter)
        node = self._root
        for level in topic_filter.split("/"):
            child = node.child(level)
            if child is None:
                return None
            node = child
        return cast("T | None", node.value)

    def put(self, topic_filter: str, value: T) -> None:
        """Keeps `value` for `topic_filter`, in the place of what was there."""
        if not _has_wildcard(topic_filter):
            self._exact[topic_filter] = value
            return
        node = self._root
        for level in topic_filter.split("/"):
            node = node.make_child(level)
        node.value = value

    def remove(self, topic_filter: str) -> None:
        """Forgets `topic_filter` and the branches that led only to it."""
        if not _has_wildcard(topic_filter):
            self._exact.pop(topic_filter, None)
            return
        path = [self._root]
        levels = topic_filter.split("/")
        for level in levels:
            child = path[-1].child(level)
            if child is None:
                return
            path.append(child)
        path[-1].value = None
        index = len(levels)
        while index > 0 and path[index].is_empty:
            path[index - 1].drop_child(levels[index - 1])
            index -= 1

    def matching(self, topic: str) -> list[T]:
        """All values whose filter matches the topic name (MQTT 5 section 4.7.1, [MQTT5-4.7.2-1])."""
        found: list[T] = []
        exact = self._exact.get(topic)
        if exact is not None:
            found.append(exact)
        if not self._root.is_empty:
            self._collect(self._root, topic.split("/"), 0, found)
        return found

    def _collect(self, node: _FilterNode, levels: list[str], index: int, found: list[T]) -> None:
        at_end = index == len(levels)
        if at_end and node.value is not None:
            found.append(cast(T, node.value))
        wild = index > 0 or not levels[0].startswith("$")
        children = node.children
        if children is None:
            only = node.only
            if only is not None:
                key = node.key
                if wild and key == "#":
                    if only.value is not None:
                        found.append(cast(T, only.value))
                elif not at_end and ((wild and key == "+") or key == levels[index]):
                    self._collect(only, levels, index + 1, found)
            return
        if wild:
            everything = children.get("#")
            if everything is not None and everything.value is not None:
                found.append(cast(T, everything.value))
        if at_end:
            return
        child = children.get(levels[index])
        if child is not None:
            self._collect(child, levels, index + 1, found)
        if wild:
            single = children.get("+")
            if single is not None:
                self._collect(single, levels, index + 1, found)


def _has_wildcard(topic_filter: str) -> bool:
    return "+" in topic_filter or "#" in topic_filter
