"""Rules and permissions on the command line: how they are asked for, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from lockwire.cli.reach import ask
from lockwire.cli.table import print_table
from lockwire.data import DataFolder

RightsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="RIGHT",
        help="publish, subscribe, receive or all. To subscribe is to receive as well.",
        show_default=False,
    ),
]
TopicArgument = Annotated[
    str,
    typer.Argument(
        metavar="TOPIC",
        help="A topic filter, such as pump/+/state; {username}, {client_id} and {cn} are the client's own.",
        show_default=False,
    ),
]
QosOption = Annotated[
    list[int] | None,
    typer.Option(
        "--qos",
        metavar="N",
        min=0,
        max=2,
        help="Only this QoS; may be repeated. Default: each.",
        show_default=False,
    ),
]
RetainOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN", help="Only messages with RETAIN (only) or without (never).", show_default=False
    ),
]
NoteOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="A word for people.", show_default=False)
]
RegexpOption = Annotated[
    bool,
    typer.Option(
        "--regexp", help="TOPIC is a regular expression on the topic with . for /, as RabbitMQ has it."
    ),
]


def add_rule(
    data: DataFolder,
    effect: str,
    who: str,
    rights: list[str],
    topic: str,
    *,
    qos: list[int] | None,
    retain: str | None,
    note: str | None,
    regexp: bool,
) -> None:
    """Adds a rule and prints what came of it."""
    answer = ask(
        data,
        f"access.{effect}",
        who=who,
        rights=rights,
        qos=qos or [],
        retain=retain,
        note=note,
        **{"regexp" if regexp else "topics": topic},
    )
    assert isinstance(answer, dict)
    said = "Rule" if answer["new"] else "There already: rule"
    print(f"{said} {answer['rule']['id']}: {rule_text(answer['rule'])}")
    print_notes(answer)


def rule_text(rule: Mapping[str, object]) -> str:
    """A rule of an answer in one line: `allow user:jo publish, receive hall/# (QoS 0, 1)`."""
    words = [str(rule.get("effect", "allow")), str(rule["who"]), _rights(rule), _topics(rule)]
    conditions = _conditions(rule)
    if conditions:
        words.append(f"({conditions})")
    return " ".join(words)


def print_rules(rules: list[dict[str, object]]) -> None:
    """A table of rules, by their numbers."""
    rows = [
        (
            str(rule["id"]),
            str(rule.get("effect", "allow")),
            str(rule["who"]),
            _rights(rule),
            _topics(rule),
            _conditions(rule),
            str(rule.get("note", "")),
        )
        for rule in rules
    ]
    print_table(("rule", "effect", "who", "may", "topics", "only", "note"), rows)


def print_notes(answer: Mapping[str, object]) -> None:
    """What an operation has to say beside its answer."""
    notes = answer.get("notes")
    for note in notes if isinstance(notes, list) else ():
        print(f"Note: {note}")


def _rights(rule: Mapping[str, object]) -> str:
    may = rule["may"]
    assert isinstance(may, list)
    return ", ".join(map(str, may))


def _topics(rule: Mapping[str, object]) -> str:
    return f"regexp {rule['regexp']}" if "regexp" in rule else str(rule["topics"])


def _conditions(rule: Mapping[str, object]) -> str:
    conditions = []
    qos = rule.get("qos")
    if isinstance(qos, list):
        conditions.append(f"QoS {', '.join(map(str, qos))}")
    if "retain" in rule:
        conditions.append("with RETAIN" if rule["retain"] == "only" else "without RETAIN")
    return ", ".join(conditions)
