"""Rules as tries of topic levels: what they say of a topic, and of every topic that a filter can match.

One `Subject` for everyone and for each user, group and tag holds the rules for it, shared by all clients that
they apply to. Looking up a topic walks its levels; what a placeholder stands for is put in while walking.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from lockwire.access import regexp_syntax as syntax
from lockwire.access import rules as words
from lockwire.access.masks import (
    EVERYTHING,
    NOTHING,
    RECEIVE,
    is_refused,
    publish_bit,
    subscribe_bit,
)
from lockwire.access.placeholders import Template, Values, has_placeholder
from lockwire.access.regexp import Automaton, covered
from lockwire.access.rules import Rule

BUDGET: Final = 50_000
"""Steps for one SUBSCRIBE; one that needs more is refused."""
EXPRESSION_BUDGET: Final = 100_000
"""The same where regular expressions take part: shorter steps."""
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
        """Raises RegexpError."""
        self.rules = rules
        self.denies: int = NOTHING
        """What it denies whatever the topic."""
        self.expressions: list[Expression] = [Expression(rule) for rule in rules if rule.regexp]
        self.personal: bool = False
        self.allows_expressions: bool = False
        for rule in rules:
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
            if _expanded(template, values, index == 0) == level:
                _walk(after, levels, index + 1, values, found)


def _expanded(template: Template, values: list[str], first: bool) -> str | None:
    """A level with the values put in. None: the rule does not apply.

    Nor does it where the first level would begin with `$` only because a client's name does.
    """
    text = template.expand(values)
    if text is not None and first and text.startswith("$") and not template.text.startswith("$"):
        return None
    return text


class Cover:
    """Whether every topic that a filter can match is allowed: what is `granted`, and a `witness` if not all.

    A level that `+` or `#` stands for is either one that rules name or any other. A topic with another level
    there meets fewer rules, so it decides about what is allowed; the named ones matter where they are denied.
    """

    def __init__(self, levels: list[str], values: Values, wanted: int) -> None:
        """levels: of the filter, not a shared one. wanted: `subscription_bits`."""
        self.granted: int = wanted
        self.witness: str | None = None
        self.exhausted: bool = False
        self._levels = levels
        self._values = values.of
        self._steps: int = 0

    def explore(self, nodes: list[Node], allow: int, deny: int, path: list[str]) -> None:
        """Judges the topics that begin with the levels of `path`, which led to these nodes."""
        depth = len(path)
        if self._is_over(nodes):
            return
        if depth > 0 or not self._levels[0].startswith("$"):
            for node in nodes:
                allow |= node.tree_allow
                deny |= node.tree_deny
        if depth == len(self._levels):
            self._settle(nodes, allow, deny, path)
            return
        level = self._levels[depth]
        if level == "#":
            self._below(nodes, allow, deny, path)
        elif level == "+":
            for symbol in self._symbols(nodes, path):
                self.explore(self._after(nodes, symbol, path), allow, deny, [*path, symbol])
        else:
            self.explore(self._after(nodes, level, path), allow, deny, [*path, level])

    def _below(self, nodes: list[Node], allow: int, deny: int, path: list[str]) -> None:
        """The same for `#`: the topics that end here or go on. `allow` and `deny` know of rules with `#`."""
        if self._is_over(nodes):
            return
        if path:
            self._settle(nodes, allow, deny, path)
        denied = 0
        for node in nodes:
            denied |= node.denied_below
        if not self.granted & ~(allow & ~deny) and not denied & self.granted:
            return
        for symbol in self._symbols(nodes, path):
            after = self._after(nodes, symbol, path)
            longer = [*path, symbol]
            below_allow = allow
            below_deny = deny
            for node in after:
                below_allow |= node.tree_allow
                below_deny |= node.tree_deny
            if after:
                self._below(after, below_allow, below_deny, longer)
            else:
                self._settle(after, allow, deny, longer)

    def _is_over(self, nodes: list[Node]) -> bool:
        self._steps += 1 + len(nodes)
        if self._steps > BUDGET:
            self.exhausted = True
            self.granted = NOTHING
        return is_refused(self.granted)

    def _settle(self, nodes: list[Node], allow: int, deny: int, path: list[str]) -> None:
        """Counts the topic that ends here."""
        if len(path) == 1 and not path[0]:
            return  # no topic is empty
        for node in nodes:
            allow |= node.allow
            deny |= node.deny
        result = allow & ~deny
        if self.granted & ~result:
            self.witness = "/".join(path)
            self.granted &= result

    def _symbols(self, nodes: list[Node], path: list[str]) -> list[str]:
        """A level that no rule names, and those named ones below which something is denied."""
        named: set[str] = set()
        for node in nodes:
            if not node.denied_named & self.granted:
                continue
            self._steps += len(node.literals) // 4
            for literal, after in node.literals.items():
                if self._may_deny(after, len(path) + 1) and not (not path and literal.startswith("$")):
                    named.add(literal)
            if node.templates is not None:
                for template, after in node.templates:
                    text = _expanded(template, self._values, not path)
                    if text is None or (not path and text.startswith("$")):
                        continue
                    if self._may_deny(after, len(path) + 1):
                        named.add(text)
        self._steps += len(named)
        return [self._unnamed(nodes, path), *sorted(named)]

    def _may_deny(self, node: Node, depth: int) -> bool:
        """Whether something is denied here or below that the filter's levels from `depth` on may meet."""
        if not node.denied_below & self.granted:
            return False
        if node.tree_deny or depth >= len(self._levels) or self._levels[depth] in ("+", "#"):
            return True
        named = node.literals.get(self._levels[depth])
        return named is not None or node.plus is not None or node.templates is not None

    def _unnamed(self, nodes: list[Node], path: list[str]) -> str:
        number = 0
        while True:
            level = f"x{number}" if number else "x"
            taken = False
            for node in nodes:
                if level in node.literals:
                    taken = True
                if node.templates is not None:
                    for template, _ in node.templates:
                        if _expanded(template, self._values, not path) == level:
                            taken = True
            if not taken:
                return level
            number += 1

    def _after(self, nodes: list[Node], level: str, path: list[str]) -> list[Node]:
        """Where a level leads."""
        found: list[Node] = []
        at_dollar = not path and level.startswith("$")
        for node in nodes:
            after = node.literals.get(level)
            if after is not None:
                found.append(after)
            if node.plus is not None and not at_dollar:
                found.append(node.plus)
            if node.templates is not None:
                for template, after in node.templates:
                    if _expanded(template, self._values, not path) == level:
                        found.append(after)
        return found


def cover(subjects: list[Subject], topic_filter: str, values: Values, wanted: int) -> Cover:
    """What the subjects' rules allow of every topic that a filter, not a shared one, can match."""
    levels = topic_filter.split("/")
    found = Cover(levels, values, wanted)
    denied = NOTHING
    with_expressions = False
    for subject in subjects:
        denied |= subject.denies
        with_expressions = with_expressions or len(subject.expressions) > 0
    if with_expressions and not denied and not topic_filter.startswith("$"):
        _cover_with_expressions(found, subjects, levels, values, wanted)
    else:
        found.explore([subject.root for subject in subjects], NOTHING, denied, [])
    return found


def _cover_with_expressions(
    found: Cover, subjects: list[Subject], levels: list[str], values: Values, wanted: int
) -> None:
    outer = Automaton()
    tolerant = False
    for subject in subjects:
        subject.add_expressions(outer, values)
        tolerant = tolerant or subject.allows_expressions
        for rule in subject.rules:
            mask = mask_of(rule) & wanted
            expanded = _expand_filter(rule.topics, values.of) if rule.topics and mask else None
            if expanded is None or not _overlap(expanded, levels):
                continue
            allowed = rule.effect == words.ALLOW
            tree = filter_tree(expanded)
            outer.add(tree, mask if allowed else NOTHING, NOTHING if allowed else mask, values.of, False)
            if outer.size > EXPRESSION_BUDGET:
                found.granted = NOTHING
                found.exhausted = True
                return
    result = covered(filter_automaton(levels), outer, wanted, EXPRESSION_BUDGET, tolerant)
    found.granted = result.granted
    found.exhausted = result.exhausted
    if result.witness is not None:
        found.witness = result.witness.decode(errors="backslashreplace")


def _expand_filter(topics: str, values: list[str]) -> list[str] | None:
    """The levels of a rule's filter with the values put in; None: the rule does not apply."""
    levels: list[str] = []
    for level in topics.split("/"):
        if has_placeholder(level):
            text = _expanded(Template(level), values, not levels)
            if text is None:
                return None
            levels.append(text)
        else:
            levels.append(level)
    return levels


def _overlap(one: list[str], other: list[str]) -> bool:
    """Whether some topic may be matched by both filters."""
    for number in range(max(len(one), len(other))):
        if number == len(one):
            return other[number] == "#"
        if number == len(other):
            return one[number] == "#"
        first = one[number]
        second = other[number]
        if first == "#" or second == "#":
            return True
        if first != second and first != "+" and second != "+":
            return False
    return True


_SLASH: Final = 1 << 0x2F
_DOLLAR: Final = 1 << 0x24
_DOT: Final = 1 << 0x2E


def filter_tree(levels: list[str], dots: bool = True) -> syntax.Sequence:
    """A topic filter as a regular expression about topics.

    dots: with the topics that have a `.` in a level that a wildcard stands for, and the one before `/#`.
    """
    inside = syntax.ALL if dots else syntax.ALL & ~_DOT
    if levels[-1] != "#":
        return syntax.Sequence((*_level_trees(levels, inside), syntax.End()))
    rest: tuple[syntax.Node, ...] = ()
    if not dots:
        rest = (syntax.Repeat(syntax.Bytes(inside), 0, None), syntax.End())
    if len(levels) == 1:
        return syntax.Sequence((syntax.Start(), syntax.Bytes(inside & ~_DOLLAR), *rest))
    below = syntax.Sequence((syntax.Bytes(_SLASH), *rest))
    end = syntax.Choice((syntax.End(), below)) if dots else below
    return syntax.Sequence((*_level_trees(levels[:-1], inside), end))


def filter_automaton(levels: list[str]) -> Automaton:
    """A filter for the inner side of `covered`: bit 2 for its topics, bit 1 for those without `dots`."""
    automaton = Automaton()
    automaton.add(filter_tree(levels, False), 1, NOTHING, ["", "", ""], False)
    automaton.add(filter_tree(levels), 2, NOTHING, ["", "", ""], False)
    return automaton


def _level_trees(levels: list[str], inside: int) -> list[syntax.Node]:
    trees: list[syntax.Node] = [syntax.Start()]
    level_bytes = syntax.Bytes(inside & ~_SLASH)
    for number, level in enumerate(levels):
        if number:
            trees.append(syntax.Bytes(_SLASH))
        if level != "+":
            trees.extend([syntax.Bytes(1 << byte) for byte in level.encode()])
        elif number:
            trees.append(syntax.Repeat(level_bytes, 0, None))
        else:
            first = syntax.Bytes(inside & ~_SLASH & ~_DOLLAR)
            trees.append(syntax.Repeat(syntax.Sequence((first, syntax.Repeat(level_bytes, 0, None))), 0, 1))
    return trees
