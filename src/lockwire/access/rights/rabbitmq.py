"""RabbitMQ's permissions, and the rules that they amount to for MQTT.

RabbitMQ judges names of resources with `configure`, `write` and `read`, and routing keys (the topic with `.`
for `/`) with topic permissions. Its regular expressions are found anywhere: `iot.kitchen.*` admits the topic
`x/iot/kitchenette/temp`. A user without topic permissions on "amq.topic" may use every topic.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from typing import Final

from lockwire.access.errors import RuleError
from lockwire.access.rights.policy import TOPIC_EXCHANGE, ResourcePermission, TopicPermission
from lockwire.access.rights.regexp import Automaton
from lockwire.access.rights.regexp_syntax import RegexpError, parse
from lockwire.access.rights.rules import PLACEHOLDERS, PUBLISH, RECEIVE, SUBSCRIBE, USER, Rule

VHOST: Final = "/"
"""What `{vhost}` stands for: RabbitMQ's own default for MQTT."""
QUEUES: Final = ("mqtt-subscription-{}qos0", "mqtt-subscription-{}qos1", "mqtt-subscription-{}qos1")
"""The queue behind a subscription, by its QoS."""


def check_resources(permission: ResourcePermission) -> None:
    """Refuses one whose regular expressions cannot be used. Raises RuleError."""
    for field in ("configure", "write", "read"):
        _check(field, getattr(permission, field), ())


def check_topics(permission: TopicPermission) -> None:
    """Refuses one whose regular expressions cannot be used. Raises RuleError."""
    for field in ("write", "read"):
        _check(field, getattr(permission, field), (*PLACEHOLDERS, "vhost"))


def _check(field: str, regexp: str, placeholders: tuple[str, ...]) -> None:
    try:
        parse(regexp, placeholders)
    except RegexpError as error:
        raise RuleError(f"{field!r}: {error.problem}", error.expected) from error


def subscribable(permission: ResourcePermission, client_id: str) -> tuple[int, ...]:
    """With which QoS this client may subscribe, as far as its queues go."""
    found = []
    for qos, queue in enumerate(QUEUES):
        name = queue.format(client_id)
        if all(_matches(each, name) for each in (permission.configure, permission.write, permission.read)):
            found.append(qos)
    return tuple(found)


def rules_of(
    name: str,
    permission: ResourcePermission | None,
    topics: Iterable[TopicPermission],
    qos: tuple[int, ...],
) -> tuple[Rule, ...]:
    """The rules that a user's permissions amount to; qos: those that `subscribable` gives."""
    if permission is None:
        return ()
    on_exchange = [each for each in topics if each.exchange == TOPIC_EXCHANGE]
    rules: list[Rule] = []
    if _matches(permission.write, TOPIC_EXCHANGE):
        rules += _rules(name, (PUBLISH,), "write", [each.write for each in on_exchange], (0, 1, 2))
    if _matches(permission.read, TOPIC_EXCHANGE):
        expressions = [each.read for each in on_exchange]
        rules += _rules(name, (RECEIVE,), "read", expressions, (0, 1, 2))
        if qos:
            rules += _rules(name, (SUBSCRIBE,), "read", expressions, qos)
    return tuple(rules)


def _rules(
    name: str, may: tuple[str, ...], field: str, expressions: list[str], qos: tuple[int, ...]
) -> list[Rule]:
    who = USER + name
    if not expressions:
        return [Rule(who, may, "#", f"RabbitMQ: {field} on {TOPIC_EXCHANGE}, no topic permissions", qos=qos)]
    note = f"RabbitMQ: topic permission, {field} on {TOPIC_EXCHANGE}"
    return [
        Rule(who, may, "", note, qos=qos, regexp=regexp.replace("{vhost}", VHOST))
        for regexp in expressions
        if regexp
    ]


def _matches(regexp: str, name: str) -> bool:
    """Whether an expression is found in a resource's name; the empty one is found in none."""
    if not regexp:
        return False
    automaton = _automaton(regexp, threading.get_ident())
    state = automaton.run(name.encode())
    return state is not None and state.final_allow != 0


@functools.lru_cache(maxsize=1024)
def _automaton(regexp: str, thread: int) -> Automaton:
    """One for each thread: it changes while it runs, and commands run beside the broker's loop."""
    automaton = Automaton()
    automaton.add(parse(regexp), 1, 0, ["", "", ""], False)
    return automaton
