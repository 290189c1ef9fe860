"""The rules file, `access/rules.json`: who may do what to which topics. What no rule allows is refused.

A rule is judged alone: a subscription is allowed where one rule covers every topic that its filter can
match. A wildcard at the beginning never covers topics that begin with `$` (MQTT 5 section 4.7.2), and nobody
publishes to those.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockwire.access.records import Record, read_document
from lockwire.mqtt.errors import MqttError
from lockwire.mqtt.topics import validate_topic_filter
from lockwire.pki.files import make_private_folder, write_private

DEVICES: Final = "devices"
ADMINISTRATORS: Final = "administrators"
ANONYMOUS: Final = "anonymous"
AUDIENCES: Final = (DEVICES, ADMINISTRATORS, ANONYMOUS)

PUBLISH: Final = "publish"
SUBSCRIBE: Final = "subscribe"
RECEIVE: Final = "receive"
RIGHTS: Final = (PUBLISH, SUBSCRIBE, RECEIVE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission.

    who: "devices" (everyone who proved who they are, by certificate or password, administrators too),
        "administrators", or "anonymous".
    may: some of "publish", "subscribe" and "receive".
    topics: a topic filter.
    note: for people.
    """

    who: str
    may: tuple[str, ...]
    topics: str
    note: str = ""


DEFAULT_RULES: Final = (
    Rule(DEVICES, RIGHTS, "#", "Everyone who is authenticated uses every topic that does not begin with $."),
    Rule(ADMINISTRATORS, (SUBSCRIBE, RECEIVE), "$SYS/#", "The broker's own figures are for administrators."),
)


# Filters that match the same topics, since no topic is empty.
_SAME: Final = {"#": "+/#", "/#": "/+/#"}


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules in a file. Raises AccessFileError with file, line and what was expected; OSError."""
    document = read_document(path, "rules")
    for name in document.fields:
        raise Record(path, 0, {}).error(f"{name!r} is not known here", "only rules")
    return tuple(_rule(record) for record in document.records)


def write_rules(path: Path, rules: Iterable[Rule]) -> None:
    """Writes the rules, one to a line, atomically and for the owner only. OSError where the disk refuses."""
    lines = ",\n".join("    " + json.dumps(_fields(rule), ensure_ascii=False) for rule in rules)
    listed = f"[\n{lines}\n  ]" if lines else "[]"
    make_private_folder(path.parent)
    write_private(path, f'{{\n  "rules": {listed}\n}}\n'.encode())


def covers(outer: str, inner: str) -> bool:
    """Whether every topic that the filter `inner` can match is matched by the filter `outer`.

    Both are valid topic filters, not shared ones: `sensor/#` covers `sensor/+` and not the other way round.
    """
    if inner.startswith("$") and outer[:1] in ("+", "#"):
        return False
    outer_levels = outer.split("/")
    inner_levels = _SAME.get(inner, inner).split("/")
    for number, level in enumerate(outer_levels):
        if level == "#":
            return True
        if number == len(inner_levels) or inner_levels[number] == "#":
            return False
        if level not in ("+", inner_levels[number]):
            return False
    return len(outer_levels) == len(inner_levels)


def _rule(record: Record) -> Rule:
    record.only("who", "may", "topics", "note")
    who = record.text("who")
    if who not in AUDIENCES:
        raise record.error(f"'who' is {who!r}", ", ".join(AUDIENCES[:-1]) + " or " + AUDIENCES[-1])
    may = record.fields.get("may")
    if not isinstance(may, list) or not may or not all(right in RIGHTS for right in may):
        raise record.error("'may' is not a list of rights", f"some of {json.dumps(RIGHTS)}")
    topics = record.text("topics")
    try:
        validate_topic_filter(topics)
    except MqttError as error:
        raise record.error(
            f"'topics' is {topics!r}: {error.detail}", "a topic filter, such as sensor/#"
        ) from error
    if topics.startswith("$share/"):
        raise record.error("'topics' is a shared subscription", "the filter alone, without $share/name/")
    if topics.startswith("$") and PUBLISH in may:
        raise record.error("publishing to topics that begin with $", "subscribe and receive only")
    note = record.fields.get("note", "")
    if not isinstance(note, str):
        raise record.error("'note' is not text", 'text, as in "note": "..."')
    return Rule(who, tuple(right for right in RIGHTS if right in may), topics, note)


def _fields(rule: Rule) -> dict[str, object]:
    fields: dict[str, object] = {"who": rule.who, "may": list(rule.may), "topics": rule.topics}
    if rule.note:
        fields["note"] = rule.note
    return fields
