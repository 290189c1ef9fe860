"""`{username}`, `{client_id}` and `{cn}` in rules, and the values that a client gives them."""

from __future__ import annotations

import re
from typing import Final

from lockwire.access import identity as identities
from lockwire.access.identity import Identity

USERNAME: Final = 0
CLIENT_ID: Final = 1
COMMON_NAME: Final = 2
NAMES: Final = ("username", "client_id", "cn")

_PLACEHOLDER: Final = re.compile(r"\{(username|client_id|cn)\}")


class Values:
    """What the placeholders stand for with one client; "" where a value cannot stand in a topic.

    That is where it is missing, or holds `/`, `+`, `#` or U+0000: with those a client could choose more than
    its own name.
    """

    def __init__(self, username: str, client_id: str, common_name: str) -> None:
        self.of: list[str] = [_usable(username), _usable(client_id), _usable(common_name)]
        self.key: tuple[str, str, str] = (self.of[0], self.of[1], self.of[2])


def values_of(identity: Identity, client_id: str) -> Values:
    """The values for one client; nobody vouches for a name of the anonymous one."""
    username = "" if identity.method == identities.ANONYMOUS else identity.name
    return Values(username, client_id, identity.common_name)


def _usable(value: str) -> str:
    if "/" in value or "+" in value or "#" in value or "\0" in value:
        return ""
    return value


class Template:
    """A text with placeholders: `parts[0] + value of slots[0] + parts[1] + ...`."""

    def __init__(self, text: str) -> None:
        pieces = _PLACEHOLDER.split(text)
        self.text = text
        self.parts: list[str] = pieces[::2]
        self.slots: list[int] = [NAMES.index(name) for name in pieces[1::2]]

    def expand(self, values: list[str]) -> str | None:
        """The text with the values put in; None where one of them cannot stand there."""
        text = self.parts[0]
        for number, slot in enumerate(self.slots):
            value = values[slot]
            if not value:
                return None
            text += value + self.parts[number + 1]
        return text


def has_placeholder(text: str) -> bool:
    """Whether the text has one of the placeholders."""
    return "{" in text and _PLACEHOLDER.search(text) is not None
