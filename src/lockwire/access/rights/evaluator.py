"""Rules as tries of topic levels: what they say of a topic.

One `Subject` for everyone and for each user, group and tag holds the rules for it, shared by all clients that
they apply to. Looking up a topic walks its levels; what a placeholder stands for is put in while walking.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from lockwire.access.errors import RuleError
from lockwire.access.rights import regexp_syntax as syntax
from lockwire.access.rights import rules as words
from lockwire.access.rights.masks import (
    EVERYTHING,
    NOTHING,
    RECEIVE,
    publish_bit,
    subscribe_bit,
)
from lockwire.access.rights.placeholders import Template, Values, has_placeholder
from lockwire.access.rights.regexp import Automaton
from lockwire.access.rights.rules import Rule

PERSONAL_AUTOMATA: Final = 256
"""Clients for whom a subject keeps its regular expressions with their placeholders put in."""


def mask_of(rule: Rule) -> int:
    """The bits that a rule allows or denies."""
    mask = NOTHING
    if words.PUBLISH in rule.may:
        for qos in rule.qos:
            if rule.retain != words.ONLY_RETAIN:
                mask |= publish_bit(qos, False)
            if rule.retain != words.NEVER_RETAIN:
                mask |= publish_bit(qos, True)
    if words.SUBSCRIBE in rule.may:
        for qos in rule.qos:
            mask |= subscribe_bit(qos)
    if words.RECEIVE in rule.may:
        mask |= RECEIVE
    return mask


@mypyc_attr(acyclic=True)
class Topic:
    """A topic name as the tries read it."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.levels: list[str] = name.decode().split("/")
        self.dollar: bool = name.startswith(b"$")


@mypyc_attr(acyclic=True)
class Found:
    """What matching rules add up to. rules: they themselves, where somebody wants to know."""

    def __init__(self, collect: bool) -> None:
        self.allow: int = 0
        self.deny: int = 0
        self.rules: list[Rule] | None = [] if collect else None

    def add(self, rule: Rule) -> None:
        """Counts a rule that matches."""
        if rule.effect == words.ALLOW:
            self.allow |= mask_of(rule)
        else:
            self.deny |= mask_of(rule)
        if self.rules is not None:
            self.rules.append(rule)

    def first(self, bits: int, allows: bool) -> Rule | None:
        """The first of the rules that allows, or denies, some of the bits."""
        for rule in self.rules or []:
            if (rule.effect == words.ALLOW) == allows and mask_of(rule) & bits:
                return rule
        return None


@mypyc_attr(acyclic=True)
class Node:
    """What rules say of the topics that end here, and of those that end here or go on (`#`).

    denied_below: bits that a rule at this node or below denies; denied_named: those below its literal levels.
    """

    def __init__(self) -> None:
        self.literals: dict[str, Node] = {}
        self.plus: Node | None = None
        self.templates: list[tuple[Template, Node]] | None = None
        self.allow: int = 0
        self.deny: int = 0
        self.tree_allow: int = 0
        self.tree_deny: int = 0
        self.denied_below: int = 0
        self.denied_named: int = 0
        self.rules: list[Rule] | None = None
        self.tree_rules: list[Rule] | None = None

    def child(self, level: str) -> Node:
        """The node of a level of a rule, made where it is not there."""
        if level == "+":
            if self.plus is None:
                self.plus = Node()
            return self.plus
        if has_placeholder(level):
            if self.templates is None:
                self.templates = []
            for template, node in self.templates:
                if template.text == level:
                    return node
            node = Node()
            self.templates.append((Template(level), node))
            return node
        found = self.literals.get(level)
        if found is None:
            found = Node()
            self.literals[level] = found
        return found


class Expression:
    """A rule with a regular expression."""

    def __init__(self, rule: Rule) -> None:
        tree = syntax.parse(rule.regexp, words.PLACEHOLDERS)
        self.rule = rule
        self.tree: object = tree
        self.size: int = syntax.size(tree)
        self._automaton: Automaton | None = None
        self._key: tuple[str, str, str] = ("", "", "")
        mask = mask_of(rule)
        self.allow: int = mask if rule.effect == words.ALLOW else NOTHING
        self.deny: int = mask if rule.effect == words.DENY else NOTHING

    def matches(self, topic: bytes, values: Values) -> bool:
        """Whether it is found in a topic; where that takes too much work to tell: whether it denies."""
        automaton = self._automaton
        if automaton is None or self._key != values.key:
            automaton = Automaton()
            automaton.add(self.tree, 1, 0, values.of, True)
            self._automaton = automaton
            self._key = values.key
        state = automaton.run(topic)
        return self.deny != 0 if state is None else state.final_allow != 0


class Subject:
    """The rules for everyone, or for one user, group or tag."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        """Raises RuleError for a regular expression that is none, and for too many levels."""
        self.rules = rules
        self.denies: int = NOTHING
        """What it denies whatever the topic."""
        self.expressions: list[Expression] = [Expression(rule) for rule in rules if rule.regexp]
        self.personal: bool = False
        self.allows_expressions: bool = False
        for rule in rules:
            if rule.topics.count("/") >= words.MOST_LEVELS:
                raise RuleError("'topics' has too many levels", f"{words.MOST_LEVELS} at most")
            if has_placeholder(rule.regexp or rule.topics):
                self.personal = True
        for expression in self.expressions:
            if expression.allow:
                self.allows_expressions = True
        self._root: Node | None = None
        self._automata: dict[tuple[str, str, str], Automaton] = {}
        self._topic: Topic | None = None
        self._allow: int = 0
        self._deny: int = 0

    @property
    def size(self) -> int:
        """How large its regular expressions are, together."""
        return sum([expression.size for expression in self.expressions])

    @property
    def root(self) -> Node:
        """The trie, made when it is first needed."""
        root = self._root
        if root is None:
            root = Node()
            for rule in self.rules:
                if rule.topics:
                    _insert(root, rule)
            self._root = root
        return root

    def judge(self, topic: Topic, values: Values, found: Found) -> None:
        """Adds what its rules say of a topic to what has been found."""
        found.deny |= self.denies
        if self.personal or found.rules is not None:
            self._look(topic, values, found)
            return
        if self._topic is not topic:
            fresh = Found(False)
            self._look(topic, values, fresh)
            self._topic = topic
            self._allow = fresh.allow
            self._deny = fresh.deny
        found.allow |= self._allow
        found.deny |= self._deny

    def _look(self, topic: Topic, values: Values, found: Found) -> None:
        _walk(self.root, topic.levels, 0, values.of, found)
        if not self.expressions or topic.dollar:
            return
        if found.rules is not None:
            for expression in self.expressions:
                if expression.matches(topic.name, values):
                    found.add(expression.rule)
            return
        state = self._automaton(values).run(topic.name)
        if state is None:
            found.deny = EVERYTHING
        else:
            found.allow |= state.final_allow
            found.deny |= state.final_deny

    def _automaton(self, values: Values) -> Automaton:
        automaton = self._automata.get(values.key if self.personal else ("", "", ""))
        if automaton is None:
            automaton = Automaton()
            self.add_expressions(automaton, values)
            if len(self._automata) >= PERSONAL_AUTOMATA:
                self._automata.clear()
            self._automata[values.key if self.personal else ("", "", "")] = automaton
        return automaton

    def add_expressions(self, automaton: Automaton, values: Values) -> None:
        """Adds its regular expressions to an automaton."""
        for expression in self.expressions:
            automaton.add(expression.tree, expression.allow, expression.deny, values.of, True)


def _insert(root: Node, rule: Rule) -> None:
    mask = mask_of(rule)
    allow = mask if rule.effect == words.ALLOW else NOTHING
    deny = mask if rule.effect == words.DENY else NOTHING
    node = root
    levels = rule.topics.split("/")
    tree = levels[-1] == "#"
    for level in levels[:-1] if tree else levels:
        node.denied_below |= deny
        if level != "+":
            node.denied_named |= deny
        node = node.child(level)
    node.denied_below |= deny
    if tree:
        node.tree_allow |= allow
        node.tree_deny |= deny
        if node.tree_rules is None:
            node.tree_rules = []
        node.tree_rules.append(rule)
    else:
        node.allow |= allow
        node.deny |= deny
        if node.rules is None:
            node.rules = []
        node.rules.append(rule)


def _walk(node: Node, levels: list[str], index: int, values: list[str], found: Found) -> None:
    """Adds what the rules at and below a node say of the topic whose first `index` levels led there."""
    at_dollar = index == 0 and levels[0].startswith("$")
    if not at_dollar:
        found.allow |= node.tree_allow
        found.deny |= node.tree_deny
        if found.rules is not None and node.tree_rules is not None:
            found.rules.extend(node.tree_rules)
    if index == len(levels):
        found.allow |= node.allow
        found.deny |= node.deny
        if found.rules is not None and node.rules is not None:
            found.rules.extend(node.rules)
        return
    level = levels[index]
    after = node.literals.get(level)
    if after is not None:
        _walk(after, levels, index + 1, values, found)
    if node.plus is not None and not at_dollar:
        _walk(node.plus, levels, index + 1, values, found)
    if node.templates is not None:
        for template, after in node.templates:
            if expanded_level(template, values, index == 0) == level:
                _walk(after, levels, index + 1, values, found)


def expanded_level(template: Template, values: list[str], first: bool) -> str | None:
    """A level with the values put in. None: the rule does not apply.

    Nor does it where the first level would begin with `$` only because a client's name does.
    """
    text = template.expand(values)
    if text is not None and first and text.startswith("$") and not template.text.startswith("$"):
        return None
    return text
