"""The seam between the broker and whoever decides what a client may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lockwire.access.identity import Identity

EVERY_PUBLISH: Final = 0b111111
NO_PUBLISH: Final = 0
ASK: Final = -1


def publish_bit(qos: int, retain: bool) -> int:
    """The bit of a publish mask that stands for this QoS (0, 1, 2) with or without RETAIN."""
    return 1 << (qos + 3 if retain else qos)


class Authorizer:
    """Decides what an identity may do. The base class refuses everything."""

    revision: int
    """Changes whenever an answer given earlier may have become wrong: whoever caches answers compares it."""

    def __init__(self) -> None:
        self.revision = 0

    def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
        """What may be published to a topic: bit `qos + 3 * retain` set where allowed; -1: ask `decide`."""
        return NO_PUBLISH

    def decide(
        self,
        identity: Identity,
        client_id: str,
        topic: bytes,
        qos: int,
        retain: bool,
        done: Callable[[bool], None],
    ) -> None:
        """Decides about one PUBLISH where `publish_mask` answered -1; calls `done` exactly once."""
        done(False)

    def may_subscribe(self, identity: Identity, client_id: str, topic_filter: str) -> bool:
        """Whether a subscription may be made: only if every topic that the filter can match is allowed."""
        return False

    def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
        """Whether a message of this topic may be delivered, asked for queued ones and wills once more."""
        return False


class AllowAll(Authorizer):
    """For a bare `lockwire broker`: publish outside `$`, subscribe to everything, `$SYS` included."""

    def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
        return NO_PUBLISH if topic.startswith(b"$") else EVERY_PUBLISH

    def may_subscribe(self, identity: Identity, client_id: str, topic_filter: str) -> bool:
        return True

    def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
        return True
