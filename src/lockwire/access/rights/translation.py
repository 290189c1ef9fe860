"""What a regular expression of RabbitMQ's kind amounts to, as topic filters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lockwire.access.rights import regexp_syntax as syntax
from lockwire.access.rights.coverage import filter_automaton, filter_tree
from lockwire.access.rights.masks import EVERYTHING
from lockwire.access.rights.regexp import Automaton, covered
from lockwire.access.rights.rules import PLACEHOLDERS

_SEPARATOR: Final = 1 << 0x2E
_BUDGET: Final = 200_000
_MOST_BRANCHES: Final = 32
_NOBODY: Final = ["", "", ""]

# What a branch is made of, beside characters: any text, any text within a level, one character of any kind.
_ANY: Final = object()
_WITHIN: Final = object()
_ONE: Final = object()
_Token = object


@dataclass(frozen=True, slots=True)
class Translation:
    """A regular expression as topic filters.

    filters: together they match every topic that it admits; none: it admits no topic.
    exact: and no other, as far as levels without dots go.
    anchored: it is about whole topics, with ^ and $. Where it is not:
    remedy: the expression that was probably meant; "" otherwise. witness: a topic that only the first admits.
    """

    filters: tuple[str, ...]
    exact: bool
    anchored: bool
    remedy: str = ""
    witness: str = ""

    @property
    def text(self) -> str:
        """It in one line, with the remedy."""
        if not self.filters:
            return "no topic"
        shown = ", ".join(self.filters) + ("" if self.exact else " (at most)")
        if not self.remedy:
            return shown
        other = f", so that it admits {self.witness!r}" if self.witness else ""
        return f"{shown}; it is found anywhere in a topic{other}: if that is not meant, write {self.remedy}"


def translate(regexp: str) -> Translation:
    """What an expression about dotted topics amounts to; "" admits nothing. Raises RegexpError."""
    if not regexp:
        return Translation((), True, True)
    tree = syntax.parse(regexp, PLACEHOLDERS)
    if covered(_expression(tree), Automaton(), EVERYTHING, _BUDGET, False).granted:
        return Translation((), True, True)
    branches = list(itertools.islice(_branches(tree), _MOST_BRANCHES + 1))
    if len(branches) > _MOST_BRANCHES:
        branches = [(_ANY,)]
    anchored = all(_is_anchored(branch) for branch in branches)
    filters = _without_covered([_filter_of(branch) for branch in branches])
    exact = _is_exact(tree, filters)
    if anchored or exact:
        return Translation(tuple(filters), exact, True)
    meant = list(dict.fromkeys(_remedy(branch) for branch in branches))
    return Translation(tuple(filters), exact, False, "|".join(meant), _witness(tree, meant))


def _branches(node: object) -> Iterator[tuple[_Token, ...]]:
    """The alternatives of an expression, each as tokens: text, the ends, and what stands for more."""
    if isinstance(node, syntax.Choice):
        for branch in node.branches:
            yield from _branches(branch)
    elif isinstance(node, syntax.Sequence):
        for parts in itertools.product(*(list(_branches(part)) for part in node.parts)):
            yield tuple(itertools.chain.from_iterable(parts))
    elif isinstance(node, syntax.Bytes):
        yield (_one(node.members),)
    elif isinstance(node, syntax.Value):
        yield (f"{{{node.name}}}",)
    elif isinstance(node, syntax.Repeat):
        yield from _repeated(node)
    else:
        yield (node,)


def _one(members: int) -> _Token:
    if members & (members - 1) == 0 and members:
        byte = members.bit_length() - 1
        return chr(byte) if byte < 128 else _WITHIN
    return _ONE if members & _SEPARATOR else _WITHIN


def _repeated(node: syntax.Repeat) -> Iterator[tuple[_Token, ...]]:
    if (node.least, node.most) == (0, 1):
        yield ()
        yield from _branches(node.part)
        return
    inside = set(itertools.chain.from_iterable(_branches(node.part)))
    separated = any(each in (_ANY, _ONE) or (isinstance(each, str) and "." in each) for each in inside)
    yield (_ANY if separated else _WITHIN,)


def _is_anchored(branch: tuple[_Token, ...]) -> bool:
    begins = bool(branch) and (isinstance(branch[0], syntax.Start) or branch[0] is _ANY)
    return begins and (isinstance(branch[-1], syntax.End) or branch[-1] is _ANY)


def _filter_of(branch: tuple[_Token, ...]) -> str:
    """The narrowest filter, made level by level, that matches all that a branch admits."""
    tokens = list(branch)
    if not tokens or not isinstance(tokens[0], syntax.Start):
        return "#"
    if not isinstance(tokens[-1], syntax.End):
        tokens.append(_ANY)
    levels: list[str] = []
    level: str | None = ""
    for part in tokens:
        if isinstance(part, (syntax.Start, syntax.End)):
            continue
        if part is _ANY or part is _ONE:
            return "/".join([*levels, "#"])
        if part is _WITHIN:
            level = None
        elif part == ".":
            levels.append("+" if level is None else level)
            level = ""
        elif level is not None:
            level += str(part)
    levels.append("+" if level is None else level)
    return "/".join(levels) or "+"


def _without_covered(filters: list[str]) -> list[str]:
    """The filters without those that another one covers."""
    kept: list[str] = []
    for one in sorted(set(filters), key=lambda each: (each != "#", each)):
        outer = _union(kept)
        if not kept or not covered(_inner(one), outer, EVERYTHING, _BUDGET, False).granted:
            kept.append(one)
    return kept


def _union(filters: list[str]) -> Automaton:
    automaton = Automaton()
    for each in filters:
        automaton.add(filter_tree(each.split("/")), EVERYTHING, 0, _NOBODY, False)
    return automaton


def _inner(topic_filter: str) -> Automaton:
    return filter_automaton(topic_filter.split("/"))


def _expression(tree: object) -> Automaton:
    automaton = Automaton()
    automaton.add(_plain(tree), EVERYTHING, 0, _NOBODY, True)
    return automaton


def _plain(node: object) -> object:
    """The expression with its placeholders as the text that they are, as filters have them."""
    if isinstance(node, syntax.Value):
        return syntax.Sequence(tuple(syntax.Bytes(1 << byte) for byte in f"{{{node.name}}}".encode()))
    if isinstance(node, syntax.Sequence):
        return syntax.Sequence(tuple(_plain(part) for part in node.parts))  # type: ignore[misc]
    if isinstance(node, syntax.Choice):
        return syntax.Choice(tuple(_plain(part) for part in node.branches))  # type: ignore[misc]
    if isinstance(node, syntax.Repeat):
        return syntax.Repeat(_plain(node.part), node.least, node.most)  # type: ignore[arg-type]
    return node


def _is_exact(tree: object, filters: list[str]) -> bool:
    """Whether every topic that the filters match is admitted, but for levels with dots."""
    outer = _expression(tree)
    return all(covered(_inner(each), outer, EVERYTHING, _BUDGET, True).granted for each in filters)


def _remedy(branch: tuple[_Token, ...]) -> str:
    """A branch as it was probably meant: `iot.kitchen.*` as `^iot\\.kitchen\\..*$`."""
    text = ""
    open_end = not branch or not (isinstance(branch[-1], syntax.End) or branch[-1] is _ANY)
    for part in (*branch, _ANY) if open_end else branch:
        if part is _ANY:
            text += r"\..*" if text and not text.endswith((r"\.", ".*")) else ".*"
        elif part is _ONE or part == ".":
            text += r"\."
        elif part is _WITHIN:
            text += r"[^.]*"
        elif isinstance(part, str):
            text += part if part.startswith("{") else _escaped(part)
    return f"^{text}$"


def _escaped(character: str) -> str:
    return character if character.isalnum() or character in "_-/ ,:;=" else "\\" + character


def _witness(tree: object, meant: list[str]) -> str:
    """A topic that the expression admits and those that were meant do not, with the topic before `/#`."""
    inner = Automaton()
    inner.add(_plain(tree), 1, 0, _NOBODY, True)
    outer = Automaton()
    for each in meant:
        for regexp in (each, each.removesuffix(r"\..*$") + "$"):
            outer.add(_plain(syntax.parse(regexp, PLACEHOLDERS)), EVERYTHING, 0, _NOBODY, True)
    found = covered(inner, outer, EVERYTHING, _BUDGET, False).witness
    return "" if found is None else found.decode(errors="backslashreplace")
