"""A JSON file that is one object with one list of records, read so that an error can name its line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockwire.access.errors import AccessFileError

MAXIMUM_FILE: Final = 64 << 20  # bytes
_SPACE: Final = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Record:
    """One element of the list, with the line that it begins on and the file, for errors."""

    file: Path
    line: int
    fields: dict[str, object]

    def error(self, problem: str, expected: str) -> AccessFileError:
        return AccessFileError(self.file, self.line, problem, expected)

    def text(self, field: str, default: str | None = None) -> str:
        """A field that is text and not empty; raises AccessFileError."""
        value = self.fields.get(field, default)
        if not isinstance(value, str) or not value:
            raise self.error(f"{field!r} is {_shown(value)}", f'text, as in "{field}": "..."')
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        """A field that is a list of texts, empty where it is absent; raises AccessFileError."""
        value = self.fields.get(field, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(f"{field!r} is {_shown(value)}", f'a list of texts, as in "{field}": ["..."]')
        return tuple(map(str, value))

    def flag(self, field: str) -> bool:
        """A field that is true or false, false where it is absent; raises AccessFileError."""
        value = self.fields.get(field, False)
        if not isinstance(value, bool):
            raise self.error(f"{field!r} is {_shown(value)}", "true or false")
        return value

    def only(self, *known: str) -> None:
        """Raises AccessFileError where there is a field that is none of the known ones."""
        for field in self.fields:
            if field not in known:
                raise self.error(f"{field!r} is not known here", f"only {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class Document:
    """A file's records, and its other fields by name."""

    records: list[Record]
    fields: dict[str, object]


def document_text(key: str, records: Iterable[Mapping[str, object]]) -> str:
    """`{"key": [record, ...]}` as `parse_document` reads it, a record to a line."""
    lines = ",\n".join("    " + json.dumps(record, ensure_ascii=False) for record in records)
    listed = f"[\n{lines}\n  ]" if lines else "[]"
    return f'{{\n  "{key}": {listed}\n}}\n'


def read_document(path: Path, key: str) -> Document:
    """Reads `{"key": [record, ...], other fields}`. Raises AccessFileError, OSError."""
    with path.open("rb") as file:
        return parse_document(path, file.read(MAXIMUM_FILE + 1), key)


def parse_document(path: Path, data: bytes, key: str) -> Document:
    """As `read_document`, of what was read from `path` already. Raises AccessFileError."""
    if len(data) > MAXIMUM_FILE:
        raise AccessFileError(path, 0, "the file is too large", f"at most {MAXIMUM_FILE} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise AccessFileError(path, line, "a byte that is not UTF-8", "JSON in UTF-8") from error
    return _Reader(path, text, key).document()


class _Reader:
    """Walks through the outer object by hand and leaves everything inside to the json module."""

    def __init__(self, path: Path, text: str, key: str) -> None:
        self.path = path
        self.text = text
        self.key = key
        self.position = 0
        self.counted = 0
        self.line = 1
        self.decoder = json.JSONDecoder(object_pairs_hook=_unique)

    def document(self) -> Document:
        records: list[Record] | None = None
        fields: dict[str, object] = {}
        self.take("{", f'an object, {{"{self.key}": [...]}}')
        while True:
            name = self.value()
            if not isinstance(name, str):
                raise self.error(f"{_shown(name)} where a name should be", f'"{self.key}"')
            self.take(":", "':' after a name")
            if name == self.key and records is None:
                records = self.records()
            elif name in fields or name == self.key:
                raise self.error(f"{name!r} stands there twice", "it once")
            else:
                fields[name] = self.value()
            if self.take(",}", "',' or '}'") == "}":
                break
        self.skip()
        if self.position != len(self.text):
            raise self.error("there is something after the end", "nothing more")
        if records is None:
            raise self.error(f"there is no {self.key!r}", f'"{self.key}": [...]')
        return Document(records, fields)

    def records(self) -> list[Record]:
        found: list[Record] = []
        self.take("[", "a list, [...]")
        self.skip()
        if self.text.startswith("]", self.position):
            self.position += 1
            return found
        while True:
            self.skip()
            line = self.line_number()
            value = self.value()
            if not isinstance(value, dict):
                raise AccessFileError(self.path, line, f"{_shown(value)} in the list", "an object, {...}")
            found.append(Record(self.path, line, value))
            if self.take(",]", "',' or ']'") == "]":
                return found

    def value(self) -> object:
        self.skip()
        try:
            value, self.position = self.decoder.raw_decode(self.text, self.position)
        except json.JSONDecodeError as error:
            raise AccessFileError(self.path, error.lineno, error.msg, "valid JSON") from error
        except (ValueError, RecursionError) as error:  # a repeated name, thousands of digits or brackets
            raise self.error(str(error), "plain JSON, each name once") from error
        return value

    def take(self, choices: str, expected: str) -> str:
        self.skip()
        found = self.text[self.position : self.position + 1]
        if not found or found not in choices:
            raise self.error(f"{found!r} found" if found else "the file ends too early", expected)
        self.position += 1
        return found

    def skip(self) -> None:
        while self.position < len(self.text) and self.text[self.position] in _SPACE:
            self.position += 1

    def line_number(self) -> int:
        self.line += self.text.count("\n", self.counted, self.position)
        self.counted = self.position
        return self.line

    def error(self, problem: str, expected: str) -> AccessFileError:
        return AccessFileError(self.path, self.line_number(), problem, expected)


class _RepeatedError(ValueError):
    pass


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _RepeatedError("a name stands twice in one object")
    return fields


def _shown(value: object) -> str:
    """A kind of value, never the value: it may be a secret in the wrong place."""
    if value is None:
        return "missing"
    kinds = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return kinds.get(type(value), "an object")
