"""Operations of `lockwire access rabbitmq`: permissions as RabbitMQ has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from lockwire.access.errors import UserError
from lockwire.access.rights.policy import TOPIC_EXCHANGE, ResourcePermission, TopicPermission
from lockwire.access.rights.rabbitmq import QUEUES, rules_of, subscribable
from lockwire.access.rights.rules import RECEIVE, Rule
from lockwire.access.rights.translation import translate
from lockwire.control import Arguments
from lockwire.household import Household
from lockwire.operations.arguments import flag, optional_text, text
from lockwire.operations.outcome import AccessChanged, Operation, Outcome
from lockwire.operations.users import notes_on_unknown

_RESOURCE: Final = ("configure", "write", "read")
_TOPIC: Final = ("topic_write", "topic_read")


def list_permissions(household: Household, arguments: Arguments) -> Outcome:
    """Gives everybody who has such permissions, with their expressions."""
    access = household.access
    names = sorted(set(access.resources) | set(access.topic_permissions))
    return Outcome([{"name": name, **_expressions(household, name)} for name in names])


def show(household: Household, arguments: Arguments) -> Outcome:
    """Gives the permissions of a name and what they amount to: name, client_id (None: the name)."""
    name = text(arguments, "name")
    return Outcome(_shown(household, name, optional_text(arguments, "client_id") or name))


def change(household: Household, arguments: Arguments) -> Outcome:
    """Sets permissions of a name: configure, write, read, topic_write, topic_read (None: as before), remove.

    Answers as `show`.
    """
    access = household.access
    name = text(arguments, "name")
    if flag(arguments, "remove"):
        if name not in access.resources and name not in access.topic_permissions:
            raise UserError(f"{name!r} has no permissions of RabbitMQ's kind.")
        access.set_permissions(name, None, ())
    else:
        resource = _changed_resource(access.resources.get(name), arguments)
        topics = _changed_topics(access.topic_permissions.get(name, ()), arguments)
        access.set_permissions(name, resource, topics)
    answer = _shown(household, name, name, notes_on_unknown(household, name))
    return Outcome(answer, (AccessChanged(),), log="RabbitMQ permissions changed", fields=(("name", name),))


def _changed_resource(before: ResourcePermission | None, arguments: Arguments) -> ResourcePermission | None:
    given = {field: optional_text(arguments, field) for field in _RESOURCE}
    found = {field: value for field, value in given.items() if value is not None}
    return replace(before or ResourcePermission("", "", ""), **found) if found else before


def _changed_topics(before: tuple[TopicPermission, ...], arguments: Arguments) -> tuple[TopicPermission, ...]:
    write, read = (optional_text(arguments, field) for field in _TOPIC)
    if write is None and read is None:
        return before
    now = next((each for each in before if each.exchange == TOPIC_EXCHANGE), None)
    # Without a topic permission every topic is allowed: what is not said stays so.
    now = now or TopicPermission(TOPIC_EXCHANGE, ".*", ".*")
    now = replace(now, write=now.write if write is None else write, read=now.read if read is None else read)
    return (*(each for each in before if each.exchange != TOPIC_EXCHANGE), now)


def _expressions(household: Household, name: str) -> dict[str, str | None]:
    resource = household.access.resources.get(name)
    topic = next(
        (
            each
            for each in household.access.topic_permissions.get(name, ())
            if each.exchange == TOPIC_EXCHANGE
        ),
        None,
    )
    return {
        **{field: None if resource is None else getattr(resource, field) for field in _RESOURCE},
        "topic_write": None if topic is None else topic.write,
        "topic_read": None if topic is None else topic.read,
    }


def _shown(household: Household, name: str, client_id: str, notes: Iterable[str] = ()) -> dict[str, object]:
    access = household.access
    resource = access.resources.get(name)
    qos = () if resource is None else subscribable(resource, client_id)
    rules = rules_of(name, resource, access.topic_permissions.get(name, ()), qos)
    notes = list(notes)
    if any(RECEIVE in rule.may for rule in rules) and not qos:
        queue = QUEUES[0].format(client_id)
        notes.append(
            f"It cannot subscribe: for that configure, write and read must all admit its queue {queue}."
        )
    return {
        "name": name,
        "expressions": _expressions(household, name),
        "rules": [
            {"may": list(rule.may), "qos": list(rule.qos), "topics": _amounts_to(rule)} for rule in rules
        ],
        "notes": notes,
    }


def _amounts_to(rule: Rule) -> str:
    return translate(rule.regexp).text if rule.regexp else rule.topics


OPERATIONS: Final[dict[str, Operation]] = {
    "rabbitmq.list": list_permissions,
    "rabbitmq.show": show,
    "rabbitmq.change": change,
}
