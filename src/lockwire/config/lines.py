"""Where each key of a TOML text stands. tomllib tells values but not lines, so messages need this."""

from __future__ import annotations

import re
import tomllib

from lockwire.config.checks import KeyPath

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACES = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}' r"|'''(?:[^']|'(?!''))*'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


class LineFinder:
    """Finds the lines of all keys of a TOML text, which must be one that tomllib accepts.

    `lines` maps each key path to its line, counted from 1. Tables have the line of their header, elements
    of an array their own; `("listener", 0, "port")` is the port of the first `[[listener]]`.
    """

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {(): 1}
        self._text = text
        self._position = 0
        self._tables: dict[KeyPath, int] = {}
        """How many tables each array of tables has so far."""
        self._scan()

    def line(self, key: KeyPath) -> int:
        """The line of a key, or of the nearest table around it where the key is not written."""
        while key not in self.lines:
            key = key[:-1]
        return self.lines[key]

    def _scan(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._position < len(self._text):
            if self._text[self._position] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> KeyPath:
        is_array = self._text.startswith("[[", self._position)
        line = self._line_number()
        self._position += 2 if is_array else 1
        names = self._key()
        self._position += 2 if is_array else 1
        path = (*self._resolve(names[:-1]), names[-1])
        if is_array:
            self.lines.setdefault(path, line)
            index = self._tables.get(path, 0)
            self._tables[path] = index + 1
            path = (*path, index)
        self.lines[path] = line
        return path

    def _resolve(self, names: tuple[str, ...]) -> KeyPath:
        """The path of a header's names, where an array of tables stands for its newest table."""
        path: KeyPath = ()
        for name in names:
            path = (*path, name)
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line_number()
        names = self._key()
        for end in range(1, len(names) + 1):
            self.lines.setdefault(table + names[:end], line)
        self._position += 1  # the equals sign
        self._skip(_SPACES)
        self._value(table + names)

    def _key(self) -> tuple[str, ...]:
        names = []
        while True:
            self._skip(_SPACES)
            quoted = self._text[self._position] in "\"'"
            word = self._take(_STRING if quoted else _BARE_KEY)
            names.append(tomllib.loads(f"key = {word}")["key"] if quoted else word)
            self._skip(_SPACES)
            if self._text[self._position] != ".":
                return tuple(names)
            self._position += 1

    def _value(self, path: KeyPath) -> None:
        opening = self._text[self._position]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        elif opening in "\"'":
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        index = 0
        self._position += 1
        self._skip(_BLANK)
        while self._text[self._position] != "]":
            self.lines[(*path, index)] = self._line_number()
            self._value((*path, index))
            index += 1
            self._separator()
        self._position += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._position += 1
        self._skip(_BLANK)
        while self._text[self._position] != "}":
            self._pair(path)
            self._separator()
        self._position += 1

    def _separator(self) -> None:
        self._skip(_BLANK)
        if self._text[self._position] == ",":
            self._position += 1
            self._skip(_BLANK)

    def _line_number(self) -> int:
        return self._text.count("\n", 0, self._position) + 1

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._position)
        if match is None:
            raise ValueError(f"line {self._line_number()}: not TOML")
        self._position = match.end()
        return match[0]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)
