"""Topics as shapes: a client's own names as placeholders, levels that vary as `+`, tails that vary as `#`.

A shape is a topic filter, as `Rule.topics` has it. A table of shapes maps them to bits of what was seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from lockwire.access.rights.placeholders import NAMES, Values, has_placeholder
from lockwire.access.rights.rules import covers

LONGEST: Final = 256
"""Characters of a shape; the levels behind them are its tail."""
DEEPEST: Final = 16
"""Levels of a shape."""
LEAST_PART: Final = 4
"""Characters that a name needs to be found as part of a level: shorter ones are there by chance."""

Shapes = dict[str, int]

_ORDER: Final = (0, 2, 1)  # user name, common name, then the client identifier, which the client chooses


def shape_of(topic: str, values: Values) -> str:
    """The shape of one topic or topic filter of a client whose names are `values`."""
    names = [(values.of[slot], f"{{{NAMES[slot]}}}") for slot in _ORDER]
    usable = [(value, name) for value, name in names if value and not value.startswith("$")]
    levels = [_level(level, usable) for level in topic.split("/", DEEPEST)]
    shape = "/".join(levels)
    if len(levels) <= DEEPEST and len(shape) <= LONGEST:
        return shape
    del levels[DEEPEST:]
    while levels:
        levels[-1] = "#"
        shape = "/".join(levels)
        if len(shape) <= LONGEST:
            break
        levels.pop()
    return shape


def _level(level: str, names: list[tuple[str, str]]) -> str:
    if has_placeholder(level):
        return "+"  # in a rule it would stand for something else
    for value, name in names:
        if level == value:
            return name
    for value, name in names:
        if len(value) >= LEAST_PART and value in level:
            part = re.compile(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])")
            if part.search(level):
                return part.sub(lambda _, name=name: name, level)  # type: ignore[misc]
    return level


def note(shapes: Shapes, shape: str, bits: int, limit: int) -> bool:
    """Adds bits to a shape, or to a wider one that covers it; whether that was anything new.

    limit: how many shapes the table may have. Beyond it similar ones become one.
    """
    known = shapes.get(shape)
    if known is not None:
        shapes[shape] = known | bits
        return known | bits != known
    for wider, before in shapes.items():
        if ("+" in wider or "#" in wider) and covers(wider, shape):
            shapes[wider] = before | bits
            return before | bits != before
    if "+" in shape or "#" in shape:
        _absorb(shapes, shape)
    shapes[shape] = shapes.get(shape, 0) | bits
    while len(shapes) > limit and widen(shapes):
        pass
    return True


def widen(shapes: Shapes) -> bool:
    """Makes several similar shapes one; False where no two are similar enough.

    First those that differ in one level only, the most of them, the last level; then the longest tail.
    """
    groups = _varying(shapes, lambda group: len(group) > 1)
    if groups:
        wider = max(groups, key=lambda each: (len(groups[each]), each.count("/"), each))
    else:
        tails = _tails(shapes)
        if not tails:
            return False
        wider = max(tails, key=lambda each: (each.count("/"), each))
    _absorb(shapes, wider)
    return True


def readable(shapes: Shapes, varies: int) -> Shapes:
    """The shapes with levels of which there are more than `varies` as `+`."""
    found = dict(shapes)
    while groups := _varying(found, lambda group: len(group) > varies):
        _absorb(found, max(groups, key=lambda each: (len(groups[each]), each)))
    return found


def _varying(shapes: Shapes, enough: Callable[[set[str]], bool]) -> dict[str, set[str]]:
    """By the shape with `+` in one level: those that differ in this level alone. Own names stay."""
    groups: dict[str, set[str]] = {}
    for shape in shapes:
        levels = shape.split("/")
        for place, level in enumerate(levels):
            if level == "#" or has_placeholder(level) or (place == 0 and level.startswith("$")):
                continue
            wider = "/".join([*levels[:place], "+", *levels[place + 1 :]])
            groups.setdefault(wider, set()).add(shape)
    return {wider: group for wider, group in groups.items() if enough(group)}


def _tails(shapes: Shapes) -> list[str]:
    """Filters that end in `#` and stand for two shapes or more."""
    counts: dict[str, int] = {}
    for shape in shapes:
        levels = shape.split("/")
        for end in range(len(levels)):
            if end == 0 and levels[0].startswith("$"):
                continue
            wider = "/".join([*levels[:end], "#"])
            counts[wider] = counts.get(wider, 0) + 1
    return [wider for wider, count in counts.items() if count > 1]


def _absorb(shapes: Shapes, wider: str) -> None:
    bits = shapes.get(wider, 0)
    for shape in [each for each in shapes if covers(wider, each)]:
        bits |= shapes.pop(shape)
    shapes[wider] = bits
