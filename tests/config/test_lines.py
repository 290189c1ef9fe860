"""The lines of keys in a TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lockwire.config.lines import LineFinder

NUMBERED = r"""# every value below is the number of its own line
one = 2
"quoted key" = 3
'literal.key' = 4
dotted.key."with.dot" = 5
[table] # [comment]
a = 7   # = 8
b = { inner = 8, deep.er = 8, list = [8, { x = 8 }] }
list = [ # ]
  10,
  # a comment, with ] and ,
  [12, 12], 12,
  { y = 13 },
]
[[list.of.tables]]
a = 16
[list.of.tables.below]
a = 18
[[list.of.tables.inner]]
a = 20
[[list.of.tables]]
a = 22
[[list.of.tables.inner]]
a = 24
[ spaced . "header" ]
a = 26
"""


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    """The paths and values of all that is neither table nor array."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
    return [(path, value)]


class TestLineFinder:
    def test_finds_the_line_of_every_key(self) -> None:
        finder = LineFinder(NUMBERED)
        found = leaves(tomllib.loads(NUMBERED))
        assert len(found) == 20
        assert {path: finder.lines[path] for path, _ in found} == dict(found)

    def test_finds_the_table_of_a_key_that_is_missing(self) -> None:
        assert LineFinder(NUMBERED).line(("list", "of", "tables", 1, "inner", 0, "missing")) == 23
        assert LineFinder(NUMBERED).line(("nowhere", "at", "all")) == 1

    @given(
        st.lists(
            st.sampled_from(
                [
                    '"""\n# [a]\nb = 1\n"""',
                    "'''\n[[c]]\n'''",
                    r'"\"#"',
                    '"""\\\n "" """',
                    '""""two quotes inside""""',
                    "'''it''s'''",
                    "[\n1,\n[ '#' ],\n]",
                    "{ a = ']', b = [ '}' ] }",
                    "2024-01-01 00:00:00 # date",
                    "0x1F",
                    "+inf",
                    "[]",
                    "{}",
                ]
            ),
            max_size=8,
        )
    )
    def test_is_not_misled_by_what_stands_before(self, values: list[str]) -> None:
        text = (
            "".join(f"k{index} = {value}\n\n" for index, value in enumerate(values))
            + "last = 1\n[t]\nx = 1\n"
        )
        tomllib.loads(text)
        finder = LineFinder(text)
        assert finder.lines["last",] == text.count("\n") - 2
        assert finder.lines["t", "x"] == text.count("\n")
