"""Rules: who may publish, subscribe to and receive which topics; and the file that carries them.

    {"rules": [
      {"who": "everyone", "may": ["publish", "subscribe", "receive"], "topics": "#"},
      {"who": "group:pumps", "may": ["publish"], "topics": "pump/{client_id}/#", "qos": [0, 1]},
      {"who": "user:jo", "may": ["publish"], "topics": "valve/+/set", "effect": "deny"}
    ]}

The order of evaluation is in docs/permissions.md. Topics are topic filters (MQTT 5 section 4.7): a wildcard
at the beginning never covers topics that begin with `$` (section 4.7.2), and nobody publishes to those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockwire.access.database.records import Record, document_text, parse_document
from lockwire.access.errors import RuleError
from lockwire.access.rights.regexp_syntax import parse
from lockwire.mqtt.errors import MqttError
from lockwire.mqtt.topics import validate_topic_filter
from lockwire.pki.files import make_private_folder, write_private

EVERYONE: Final = "everyone"
ANONYMOUS: Final = "anonymous"
PATTERN: Final = "pattern"
"""Every client, anonymous ones too, after what is said of the user: `pattern` lines of a Mosquitto ACL. Only
in policies with `filtered`, never in a file."""
USER: Final = "user:"
GROUP: Final = "group:"
TAG: Final = "tag:"
ADMINISTRATORS: Final = "tag:administrator"

PUBLISH: Final = "publish"
SUBSCRIBE: Final = "subscribe"
RECEIVE: Final = "receive"
RIGHTS: Final = (PUBLISH, SUBSCRIBE, RECEIVE)

ALLOW: Final = "allow"
DENY: Final = "deny"

EVERY_QOS: Final = (0, 1, 2)
ANY_RETAIN: Final = "any"
ONLY_RETAIN: Final = "only"
NEVER_RETAIN: Final = "never"
RETAINS: Final = (ANY_RETAIN, ONLY_RETAIN, NEVER_RETAIN)

MOST_LEVELS: Final = 200
"""Levels of a rule's topics."""
PLACEHOLDERS: Final = ("username", "client_id", "cn")

_FORMER_WORDS: Final = {"devices": EVERYONE, "administrators": ADMINISTRATORS}
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
"""What Python has in the place of bytes that are not UTF-8, and JSON for half of a surrogate pair."""
_BRACED: Final = re.compile(r"\{([a-z_]*)\}")
_FIELDS: Final = ("who", "may", "topics", "note", "effect", "qos", "retain", "regexp")


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission, or the refusal of one.

    who: "everyone" (all who proved who they are), "anonymous", "user:NAME" (any identity of that name),
        "group:NAME" or "tag:NAME" (users with that tag; "tag:administrator").
    may: some of "publish", "subscribe" and "receive".
    topics: a topic filter; `{username}`, `{client_id}` and `{cn}` stand for the client's own, as a level or
        part of one. Where a value is missing, or holds one of `/ + #`, the rule does not apply.
    note: for people.
    effect: "allow" or "deny".
    qos: the QoS levels of a PUBLISH or of a SUBSCRIBE that it concerns.
    retain: a PUBLISH with RETAIN: "any": with and without, "only": with, "never": without.
    regexp: instead of `topics` a regular expression, found anywhere in the topic written with `.` for `/`, as
        RabbitMQ does it; the same placeholders.
    """

    who: str
    may: tuple[str, ...]
    topics: str
    note: str = ""
    effect: str = ALLOW
    qos: tuple[int, ...] = EVERY_QOS
    retain: str = ANY_RETAIN
    regexp: str = ""


DEFAULT_RULES: Final = (
    Rule(EVERYONE, RIGHTS, "#", "Everyone who is authenticated uses every topic that does not begin with $."),
    Rule(ADMINISTRATORS, (SUBSCRIBE, RECEIVE), "$SYS/#", "The broker's own figures are for administrators."),
)


# Filters that match the same topics, since no topic is empty.
_SAME: Final = {"#": "+/#", "/#": "/+/#"}


def check_rule(rule: Rule) -> None:
    """Refuses a rule that cannot be one. Raises RuleError with what is wrong and what was expected."""
    for name in ("who", "topics", "regexp", "note"):
        if _SURROGATE.search(getattr(rule, name)):
            raise RuleError(f"{name!r} holds what is no text", "text in UTF-8")
    _check_who(rule.who)
    if not rule.may or not all(right in RIGHTS for right in rule.may):
        raise RuleError("'may' is not a list of rights", f"some of {json.dumps(RIGHTS)}")
    if rule.effect not in (ALLOW, DENY):
        raise RuleError(f"'effect' is {rule.effect!r}", f"{ALLOW} or {DENY}")
    _check_conditions(rule)
    if bool(rule.topics) == bool(rule.regexp):
        raise RuleError(
            "'topics' is missing" if not rule.topics else "'topics' and 'regexp'", "one of the two"
        )
    for name in _BRACED.findall(rule.topics or rule.regexp):
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise RuleError(f"{{{name}}} is no placeholder", known)
    if rule.topics:
        _check_topics(rule)
    else:
        parse(rule.regexp, PLACEHOLDERS)


def _check_who(who: str) -> None:
    named = any(who.startswith(prefix) and who != prefix for prefix in (USER, GROUP, TAG))
    if who not in (EVERYONE, ANONYMOUS) and not named:
        raise RuleError(f"'who' is {who!r}", "everyone, anonymous, user:NAME, group:NAME or tag:NAME")


def _check_conditions(rule: Rule) -> None:
    if not rule.qos or not all(qos in EVERY_QOS for qos in rule.qos):
        raise RuleError("'qos' is not a list of QoS levels", "some of [0, 1, 2]")
    if rule.retain not in RETAINS:
        raise RuleError(f"'retain' is {rule.retain!r}", "any, only or never")
    conditional = rule.retain != ANY_RETAIN or set(rule.qos) != set(EVERY_QOS)
    if rule.effect == DENY and RECEIVE in rule.may and conditional:
        raise RuleError(
            "denies receiving under a condition on QoS or RETAIN, which receiving does not have",
            "two rules, the one for receive without 'qos' and 'retain'",
        )


def _check_topics(rule: Rule) -> None:
    topics = rule.topics
    try:
        validate_topic_filter(topics)
    except MqttError as error:
        raise RuleError(
            f"'topics' is {topics!r}: {error.detail}", "a topic filter, such as sensor/#"
        ) from error
    if "\0" in topics:
        raise RuleError("'topics' holds U+0000", "a topic filter, such as sensor/#")
    if topics.count("/") >= MOST_LEVELS:
        raise RuleError("'topics' has too many levels", f"{MOST_LEVELS} at most")
    if topics.startswith("$share/"):
        raise RuleError("'topics' is a shared subscription", "the filter alone, without $share/name/")
    if topics.startswith("$") and PUBLISH in rule.may and rule.effect == ALLOW:
        raise RuleError("publishing to topics that begin with $", "subscribe and receive only")


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules in a file. Raises AccessFileError with file, line and what was expected; OSError.

    "devices" and "administrators", as older files have them, are read as "everyone" and "tag:administrator".
    """
    return parse_rules(path, path.read_bytes())


def parse_rules(path: Path, data: bytes) -> tuple[Rule, ...]:
    """As `read_rules`, of what was read from `path` already. Raises AccessFileError."""
    document = parse_document(path, data, "rules")
    for name in document.fields:
        raise Record(path, 0, {}).error(f"{name!r} is not known here", "only rules")
    return tuple(_rule(record) for record in document.records)


def write_rules(path: Path, rules: Iterable[Rule]) -> None:
    """Writes the rules, one to a line, atomically and for the owner only. OSError where the disk refuses."""
    make_private_folder(path.parent)
    write_private(path, rules_text(rules).encode())


def rules_text(rules: Iterable[Rule]) -> str:
    """What `write_rules` writes."""
    return document_text("rules", map(rule_fields, rules))


def describe_rule(rule: Rule) -> str:
    """A rule in one line: `allow user:jo publish, receive hall/# (QoS 0, 1)`."""
    conditions = []
    if set(rule.qos) != set(EVERY_QOS):
        conditions.append(f"QoS {', '.join(map(str, rule.qos))}")
    if rule.retain != ANY_RETAIN:
        conditions.append("with RETAIN" if rule.retain == ONLY_RETAIN else "without RETAIN")
    topics = f"regexp {rule.regexp}" if rule.regexp else rule.topics
    condition = f" ({', '.join(conditions)})" if conditions else ""
    return f"{rule.effect} {rule.who} {', '.join(rule.may)} {topics}{condition}"


def rule_fields(rule: Rule) -> dict[str, object]:
    """A rule as it stands in JSON, without what is as by default."""
    fields: dict[str, object] = {"who": rule.who, "may": list(rule.may)}
    if rule.regexp:
        fields["regexp"] = rule.regexp
    else:
        fields["topics"] = rule.topics
    if rule.effect != ALLOW:
        fields["effect"] = rule.effect
    if set(rule.qos) != set(EVERY_QOS):
        fields["qos"] = list(rule.qos)
    if rule.retain != ANY_RETAIN:
        fields["retain"] = rule.retain
    if rule.note:
        fields["note"] = rule.note
    return fields


def _rule(record: Record) -> Rule:
    record.only(*_FIELDS)
    who = record.text("who")
    may = record.fields.get("may")
    if not isinstance(may, list) or not may or not all(right in RIGHTS for right in may):
        raise record.error("'may' is not a list of rights", f"some of {json.dumps(RIGHTS)}")
    qos = record.fields.get("qos", list(EVERY_QOS))
    if not isinstance(qos, list) or not all(type(level) is int for level in qos):
        raise record.error("'qos' is not a list of QoS levels", "some of [0, 1, 2]")
    note = record.fields.get("note", "")
    if not isinstance(note, str):
        raise record.error("'note' is not text", 'text, as in "note": "..."')
    with_regexp = "regexp" in record.fields
    rule = Rule(
        who=_FORMER_WORDS.get(who, who),
        may=tuple(right for right in RIGHTS if right in may),
        topics="" if with_regexp and "topics" not in record.fields else record.text("topics"),
        note=note,
        effect=record.text("effect", ALLOW),
        qos=tuple(sorted(set(qos))),
        retain=record.text("retain", ANY_RETAIN),
        regexp=record.text("regexp") if with_regexp else "",
    )
    try:
        check_rule(rule)
    except RuleError as error:
        raise record.error(error.problem, error.expected) from error
    return rule


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
