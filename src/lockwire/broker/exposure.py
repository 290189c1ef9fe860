"""What an onlooker could have read on a listener without TLS: masked, bounded, and never in a log."""

from __future__ import annotations

from typing import Final

SAMPLES: Final = 20
"""Different values kept of each kind; the rest are only counted."""
LONGEST: Final = 256
"""Characters of a value that are looked at."""


class _Seen:
    """Values of one kind: how many times one went by, and some of them, masked."""

    def __init__(self) -> None:
        self.count: int = 0
        self.samples: dict[str, None] = {}

    def add(self, value: str) -> None:
        self.count += 1
        if len(self.samples) < SAMPLES:
            self.samples[masked(value)] = None


class Exposure:
    """The values that went over one listener in the clear.

    Counts are of packets that carried one (topics: of the first message of a topic on a connection).
    """

    def __init__(self) -> None:
        self.passwords: int = 0
        self._client_ids = _Seen()
        self._usernames = _Seen()
        self._topics = _Seen()

    def connect(self, client_id: str, username: str | None, has_password: bool) -> None:
        """A CONNECT went by."""
        if client_id:
            self._client_ids.add(client_id)
        if username is not None:
            self._usernames.add(username)
        if has_password:
            self.passwords += 1

    def topic(self, topic: str) -> None:
        """A topic name or a topic filter went by."""
        self._topics.add(topic)

    def report(self) -> dict[str, object]:
        """What could have been read, for the status and the metrics."""
        return {
            "passwords": self.passwords,
            **{
                name: {"count": seen.count, "masked": list(seen.samples)}
                for name, seen in (
                    ("client_ids", self._client_ids),
                    ("usernames", self._usernames),
                    ("topics", self._topics),
                )
            },
        }


def masked(value: str) -> str:
    """A value of which only its shape is left: `sensors/kitchen` becomes `s*****s/k*****n`.

    The stars stand for any number of characters; a level of up to three characters shows none of them.
    """
    return "/".join(_masked_level(level) for level in value[:LONGEST].split("/"))


def _masked_level(level: str) -> str:
    if len(level) <= 3:
        return "*" * len(level) if level not in ("+", "#") else level
    return f"{level[0]}*****{level[-1]}"
