"""What rules say of every topic that a filter can match: whether a subscription may be made."""

from __future__ import annotations

from typing import Final

from lockwire.access.rights import regexp_syntax as syntax
from lockwire.access.rights import rules as words
from lockwire.access.rights.evaluator import Node, Subject, expanded_level, mask_of
from lockwire.access.rights.masks import NOTHING, is_refused
from lockwire.access.rights.placeholders import Template, Values, has_placeholder
from lockwire.access.rights.regexp import Automaton, covered

BUDGET: Final = 50_000
"""Steps for one SUBSCRIBE; one that needs more is refused."""
EXPRESSION_BUDGET: Final = 100_000
"""The same where regular expressions take part: shorter steps."""


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
        if not nodes:
            self._settle(nodes, allow, deny, [*path, *_sample(self._levels[depth:], path)])
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
                    text = expanded_level(template, self._values, not path)
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
                        if expanded_level(template, self._values, not path) == level:
                            taken = True
            if not taken:
                return level
            number = 2 * number + 1  # devices are often numbered: not one step for each of them

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
                    if expanded_level(template, self._values, not path) == level:
                        found.append(after)
        return found


def _sample(levels: list[str], path: list[str]) -> list[str]:
    """Levels that these of a filter match, behind those of `path`."""
    found = ["x" if level in ("+", "#") else level for level in levels]
    if levels[-1] == "#" and "/".join([*path, *found]) not in ("x", "/x"):
        found.pop()  # it matches what stands before it, but no topic is empty
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
            text = expanded_level(Template(level), values, not levels)
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
