"""What an access control list of Mosquitto's is in Lockwire's rules.

`filtered_rules` decides as Mosquitto does, for a policy with `filtered`. `native_rules` is for the access
database: there a denial beats every permission, and a SUBSCRIBE is granted only where all of it is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from lockwire.access.database.users import check_name
from lockwire.access.errors import UserError
from lockwire.access.rights.rules import ANONYMOUS, DENY, EVERYONE, PATTERN, PUBLISH, RECEIVE, SUBSCRIBE, Rule
from lockwire.compat.mosquitto.acl import AclLine
from lockwire.compat.mosquitto.lines import Source

_PLACEHOLDER: Final = re.compile(r"\{(username|client_id|cn)\}")
_PATTERN: Final = re.compile("%[uc]")
_NAMES: Final = {"%u": "{username}", "%c": "{client_id}"}
_WRITE: Final = (PUBLISH,)
_READ: Final = (SUBSCRIBE, RECEIVE)
_RIGHTS: Final = {"read": _READ, "write": _WRITE, "readwrite": (*_WRITE, *_READ), "deny": (*_WRITE, *_READ)}


@dataclass(frozen=True, slots=True)
class Native:
    """An access control list in rules of the access database.

    rules: they never allow what Mosquitto did not, but for what `notes` says.
    left_out: lines, or parts of them, that have no counterpart: number and why. They all allow something.
    notes: where both differ in what they do.
    """

    rules: tuple[Rule, ...]
    left_out: tuple[tuple[int, str], ...]
    notes: tuple[str, ...]


def filtered_rules(source: Source, lines: Iterable[AclLine]) -> tuple[Rule, ...]:
    """The rules of a policy with `filtered`, which decides as Mosquitto does.

    A line that rules cannot say goes to the source's problems.
    """
    found = []
    for line in lines:
        if _is_sayable(source, line):
            who = PATTERN if line.pattern else _who(line)
            found.append(_rule(who, line))
    return tuple(found)


def native_rules(source: Source, lines: Iterable[AclLine]) -> Native:
    """The rules for the access database. A denial that they cannot say goes to the source's problems."""
    rules: dict[Rule, None] = {}
    left_out: list[tuple[int, str]] = []
    lines = list(lines)
    for line in lines:
        if not _is_sayable(source, line):
            continue
        if line.access == "deny" and line.pattern and _PATTERN.search(line.topic):
            source.wrong(
                line.line,
                "a denial with %u or %c, which clients with / in user name or client id would escape here",
                "deny the topics for named users, or allow less in the other lines",
            )
            continue
        allowed = line
        if line.topic.startswith("$") and line.access in ("write", "readwrite"):
            left_out.append((line.line, f"publishing to {line.topic}: topics with $ are the broker's own"))
            if line.access == "write":
                continue
            allowed = replace(line, access="read")
        for who in _audiences(line):
            rules[_rule(who, allowed)] = None
    return Native(tuple(rules), tuple(left_out), tuple(_notes(lines)))


def _is_sayable(source: Source, line: AclLine) -> bool:
    before = len(source.problems)
    literal = _PLACEHOLDER.search(line.topic)
    if literal is not None:
        source.wrong(line.line, f"{literal[0]} stands for something else in Lockwire", "rename the topic")
    if line.user is not None:
        try:
            check_name(line.user)
        except UserError as error:
            source.wrong(line.line, str(error).rstrip("."), "rename the user in this file")
    return len(source.problems) == before


def _audiences(line: AclLine) -> tuple[str, ...]:
    if not line.pattern:
        return (_who(line),)
    # Nobody vouches for the user name of an anonymous client.
    return (EVERYONE,) if "%u" in line.topic else (EVERYONE, ANONYMOUS)


def _who(line: AclLine) -> str:
    return ANONYMOUS if line.user is None else f"user:{line.user}"


def _rule(who: str, line: AclLine) -> Rule:
    topics = _PATTERN.sub(lambda found: _NAMES[found[0]], line.topic) if line.pattern else line.topic
    rule = Rule(who, _RIGHTS[line.access], topics)
    return replace(rule, effect=DENY) if line.access == "deny" else rule


def _notes(lines: list[AclLine]) -> Iterable[str]:
    if any(line.access == "deny" for line in lines):
        yield (
            "A denial counts for every client it names and beats all that is allowed, also where Mosquitto "
            "lets the topics of a user win over a pattern. A SUBSCRIBE that covers denied topics is refused; "
            "Mosquitto grants it and drops their messages."
        )
    if any(line.access in ("read", "readwrite") for line in lines):
        yield (
            "A SUBSCRIBE to more than may be read, such as #, is refused; Mosquitto grants it and sends what "
            "may be read."
        )
    if any(line.pattern and not {"%u", "%c"} <= set(_PATTERN.findall(line.topic)) for line in lines):
        yield (
            "Mosquitto lets no pattern count for a client with + or # in its user name or client id; here "
            "those count that do not hold this name."
        )
