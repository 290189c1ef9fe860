"""Mosquitto's access control list (acl_file of mosquitto.conf(5)).

    topic read news/#                 for clients without a user name, until the first `user`
    user kim
    topic readwrite hall/lamp         for the user kim
    topic deny hall/lamp/secret
    pattern write sensor/%u/%c/#      for everybody: %u the user name, %c the client id

What is said of a user comes first, its `deny` lines before the others; then the patterns likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from lockwire.compat.mosquitto.lines import Source
from lockwire.mqtt.errors import MqttError
from lockwire.mqtt.topics import validate_topic_filter

Access = Literal["read", "write", "readwrite", "deny"]

_ACCESSES: Final[dict[str, Access]] = {
    "read": "read",
    "write": "write",
    "readwrite": "readwrite",
    "deny": "deny",
}


@dataclass(frozen=True, slots=True)
class AclLine:
    """One `topic` or `pattern` line.

    user: whom a `topic` is for, None for clients without a user name. pattern: it is a `pattern`.
    topic: the filter as it stands there, with %u and %c where it is a pattern.
    """

    line: int
    user: str | None
    pattern: bool
    access: Access
    topic: str


def read_acl(source: Source) -> list[AclLine]:
    """The lines of an access control list. What is wrong goes to the source's problems.

    Mosquitto stops at the first mistake and does not start; here each of them is found.
    """
    found: list[AclLine] = []
    user: str | None = None
    for number, text in source.lines():
        word, _, rest = text.lstrip(" ").partition(" ")
        rest = rest.strip()
        if word == "user":
            if not rest:
                source.wrong(number, "user without a name", "expected user NAME")
            user = rest or None
        elif word in ("topic", "pattern"):
            line = _line(source, number, user, word == "pattern", rest)
            if line is not None:
                found.append(line)
        else:
            hint = "a space, not a tab, behind the first word" if "\t" in word else "user, topic or pattern"
            source.wrong(number, f"the line begins with {word!r}", f"expected {hint}")
    return found


def _line(source: Source, number: int, user: str | None, pattern: bool, rest: str) -> AclLine | None:
    first, _, topic = rest.partition(" ")
    topic = topic.strip()
    # `topic read` alone is the topic called "read", as Mosquitto has it.
    access = _ACCESSES.get(first) if topic else "readwrite"
    if not topic:
        topic = first
    if access is None:
        source.wrong(
            number,
            f"the access is {first!r}",
            "expected read, write, readwrite or deny; a topic with spaces needs one of them before it",
        )
        return None
    if not topic:
        source.wrong(number, "there is no topic", "expected a topic filter, such as sensor/#")
        return None
    try:
        validate_topic_filter(topic)
    except MqttError as error:
        source.wrong(number, f"{topic!r}: {error.detail}", "expected a topic filter, such as sensor/#")
        return None
    return AclLine(number, None if pattern else user, pattern, access, topic)
