"""Reads `lockwire.toml`, and says everything that is wrong with it at once."""

from __future__ import annotations

import copy
import dataclasses
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from lockwire.config.checks import KeyPath, Problem, check_clashes, check_listener, check_methods, check_tls
from lockwire.config.describe import expected_of, shown
from lockwire.config.keys import SECTIONS, field_at, nearest_key, section_model, table_name
from lockwire.config.limits import Section
from lockwire.config.lines import LineFinder
from lockwire.config.settings import ListenerSettings, Settings, complete, inherit

AnySection = TypeVar("AnySection", bound=Section)

KNOWN_SECTIONS = (
    ", ".join(["[[listener]]", *(f"[{name}]" for name in SECTIONS[:-1])]) + f" or [{SECTIONS[-1]}]"
)
PLACE = frozenset({"transport", "address", "port", "path", "name"})


class SettingsError(Exception):
    """Raised when a configuration file cannot be read or used: all its problems, in the order of their lines.

    `file` is the file's path and `problems` has one Problem or more; `line`, `key`, `found` and `expected`
    are those of the first. Line 0 stands for the file as a whole.
    """

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        self.line = self.problems[0].line
        self.key = self.problems[0].key
        self.found = self.problems[0].found
        self.expected = self.problems[0].expected
        super().__init__("\n".join(self._text(problem) for problem in self.problems))

    def _text(self, problem: Problem) -> str:
        return f"{self.file}:{problem.line}: {problem}" if problem.line else f"{self.file}: {problem}"


def load(
    path: Path,
    base: Settings | None = None,
    check: Callable[[Settings], Iterable[Problem]] | None = None,
) -> Settings:
    """The settings of a configuration file.

    `base` holds where the file is silent: its listeners are used if the file defines none, and its sections
    give the defaults of the file's (`Settings.for_up(data)` for `lockwire up`). Without it the file must
    define a listener. `check` may look at the settings, once they are right by themselves, for what only
    another part of Lockwire can tell (whether OpenSSL has a cipher suite); its problems are reported with
    their lines like all others. Relative file names in the file are relative to the file's folder.

    Raises SettingsError, which names every problem with its line.
    """
    text = _read(path)
    tables = _parse(path, text)
    reader = _Reader(tables, path.absolute().parent, base or Settings())
    reader.read()
    problems = reader.problems
    if not problems:
        settings = reader.settings()
        problems = list(check(settings)) if check is not None else []
    if problems:
        finder = LineFinder(text)
        raise SettingsError(
            path, [dataclasses.replace(item, line=finder.line(item.key)) for item in problems]
        )
    return settings


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(path, [Problem((), reason, "a readable file")]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(path, [Problem((), "bytes that are not UTF-8", "UTF-8", line=line)]) from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = re.sub(r" \(at .*\)$", "", str(error))
        place = re.search(r"\(at line (\d+), column \d+\)$", str(error))
        line = int(place[1]) if place else text.rstrip("\n").count("\n") + 1
        written = text.split("\n")[line - 1].strip()
        found = f"{shown(written)}: {message[:1].lower()}{message[1:]}"
        raise SettingsError(path, [Problem((), found, "TOML", line=line)]) from error


class _Reader:
    """Makes settings of the tables of a file and collects what is wrong with them."""

    def __init__(self, tables: dict[str, Any], folder: Path, base: Settings) -> None:
        self.problems: list[Problem] = []
        self._tables = tables
        self._folder = folder
        self._base = base
        self._invalid: set[KeyPath] = set()
        self._sections: dict[str, Any] = {}
        self._listeners: list[ListenerSettings] = []

    def read(self) -> None:
        """Fills `problems`."""
        for key in self._tables:
            if key not in SECTIONS and key != "listener":
                self._report(Problem((key,), "unknown key", KNOWN_SECTIONS, nearest=nearest_key((key,))))
        for name in SECTIONS:
            written = self._validate(section_model(name), (name,))
            self._sections[name] = inherit(written, getattr(self._base, name))
        self._sections["plugin"].read_in(self._folder)
        self._read_listeners()
        self._check()

    def settings(self) -> Settings:
        """The settings, where `problems` is empty."""
        return Settings(listeners=self._listeners, **self._sections)

    def _read_listeners(self) -> None:
        tables = self._tables.get("listener", [])
        if not isinstance(tables, list):
            self._report(Problem(("listener",), shown(tables), "a table [[listener]] for each listener"))
            return
        self._listeners = [
            self._validate(ListenerSettings, ("listener", index)) for index in range(len(tables))
        ]
        if not self._listeners:
            self._listeners = self._base.listeners
        if not self._listeners:
            self._report(Problem(("listener",), "no listener", "a table [[listener]] for each listener"))

    def _validate(self, model: type[AnySection], key: KeyPath) -> AnySection:
        """One table as its model; what is wrong is reported and left out."""
        table = self._value(key) if key[0] in self._tables else {}
        if not isinstance(table, dict):
            self._report(Problem(key, shown(table), "a table"))
            return model()
        table = copy.deepcopy(table)
        while True:
            try:
                return model.model_validate(table, context={"folder": self._folder})
            except ValidationError as failure:
                for error in failure.errors(include_url=False, include_context=False):
                    if error["type"] != "default_factory_not_called":
                        self._report(self._problem((*key, *error["loc"]), error["type"]))
                    _remove(table, error["loc"])

    def _problem(self, key: KeyPath, kind: str) -> Problem:
        """What pydantic's error of this kind, in the value at this key, means to the file's author."""
        if kind == "extra_forbidden":
            return Problem(key, "unknown key", f"a key of {table_name(key[:-1])}", nearest=nearest_key(key))
        found = shown(self._value(key))
        if isinstance(key[-1], int) and key[-2] != "listener":
            key = key[:-1]  # an element of a list: the list is the setting
        return Problem(key, found, expected_of(field_at(key)))

    def _value(self, key: KeyPath) -> Any:
        value: Any = self._tables
        for part in key:
            value = value[part]
        return value

    def _report(self, problem: Problem) -> None:
        self.problems.append(problem)
        self._invalid.add(tuple(problem.key))

    def _check(self) -> None:
        """Looks for contradictions among what is valid by itself."""
        found = [
            *check_tls(self._sections["tls"], ("tls",)),
            *_missing_files(self._sections["tls"], ("tls",)),
        ]
        found.extend(_missing_files(self._sections["token"], ("token",)))
        sound = []
        listeners = []
        for index, listener in enumerate(self._listeners):
            key: KeyPath = ("listener", index)
            if "psk" in listener.model_fields_set:
                found.extend(_missing_files(listener.psk, (*key, "psk")))
            completed = complete(listener, self._sections["tls"], self._sections["limits"])
            invalid = self._invalid_names(key)
            if "tls" in listener.model_fields_set:
                found.extend(_missing_files(listener.tls, (*key, "tls")))
            if "transport" not in invalid:
                found.extend(
                    problem
                    for problem in check_listener(completed, key)
                    if not invalid & {problem.key[-1], *problem.about}
                )
            if not invalid & PLACE:
                sound.append((index, completed))
            listeners.append(completed)
        found.extend(check_clashes(sound))
        whole = Settings.model_construct(
            listeners=listeners, token=self._sections["token"], plugin=self._sections["plugin"]
        )
        found.extend(check_methods(whole))
        self.problems.extend(problem for problem in found if problem.key not in self._invalid)

    def _invalid_names(self, key: KeyPath) -> set[str | int]:
        """The names of settings that are invalid in a listener, or in `[tls]` which it inherits."""
        return {path[-1] for path in self._invalid if path[: len(key)] == key or path[0] == "tls"}


def _missing_files(section: Section, key: KeyPath) -> Iterator[Problem]:
    """The files that a section names itself and that are not there."""
    for name in section.model_fields_set:
        path = getattr(section, name)
        if not isinstance(path, Path):
            continue
        if not os.path.isfile(path):
            yield Problem((*key, name), f"{shown(str(path))}, where there is no file", "an existing file")
        elif not os.access(path, os.R_OK):
            yield Problem((*key, name), f"{shown(str(path))}, which may not be read", "a readable file")


def _remove(table: dict[str, Any], location: tuple[int | str, ...]) -> None:
    """Takes the setting at a location out of a table, the whole list where one element is wrong."""
    for index, part in enumerate(location):
        inner = table.get(str(part))
        if not isinstance(inner, dict) or index == len(location) - 1:
            table.pop(str(part), None)
            return
        table = inner
