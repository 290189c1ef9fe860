"""The seam between the broker and whoever decides what a client may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from mypy_extensions import mypyc_attr

from lockwire.access import identity as identities
from lockwire.access import rules as permissions
from lockwire.access.identity import Identity
from lockwire.access.rules import Rule, covers
from lockwire.mqtt.topics import matches, parse_shared

EVERY_PUBLISH: Final = 0b111111
NO_PUBLISH: Final = 0
ASK: Final = -1
REFUSED: Final = -2


def publish_bit(qos: int, retain: bool) -> int:
    """The bit of a publish mask that stands for this QoS (0, 1, 2) with or without RETAIN."""
    return 1 << (qos + 3 if retain else qos)


@mypyc_attr(allow_interpreted_subclasses=True)
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

    def granted_qos(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> int:
        """The highest QoS, `qos` at most, that a subscription may be made with; REFUSED; ASK:
        `decide_subscription` knows.

        topic_filter: valid; a shared one with its `$share/name/`. It is granted only if every topic that the
            filter can match may be subscribed to and received.
        """
        return REFUSED

    def decide_subscription(
        self, identity: Identity, client_id: str, topic_filter: str, qos: int, done: Callable[[bool], None]
    ) -> None:
        """Decides about one subscription where `granted_qos` answered ASK; calls `done` exactly once."""
        done(False)

    def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
        """Whether a message of this topic may be delivered, asked for queued ones and wills once more."""
        return False


class RuleAuthorizer(Authorizer):
    """Allows what one of the rules allows, and nothing else."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        super().__init__()
        self.rules: tuple[Rule, ...] = ()
        self._granted: dict[tuple[str, str], list[str]] = {}
        self.set_rules(rules)

    def set_rules(self, rules: Iterable[Rule]) -> None:
        """Puts other rules in force at once; `revision` changes."""
        self.rules = tuple(rules)
        granted: dict[tuple[str, str], list[str]] = {}
        for rule in self.rules:
            for right in rule.may:
                granted.setdefault((rule.who, right), []).append(rule.topics)
        self._granted = granted
        self.revision += 1

    def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
        if topic.startswith(b"$"):
            return NO_PUBLISH
        return EVERY_PUBLISH if self._matched(identity, permissions.PUBLISH, topic) else NO_PUBLISH

    def granted_qos(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> int:
        shared = parse_shared(topic_filter)
        inner = topic_filter if shared is None else shared[1]
        for audience in _audiences(identity):
            for outer in self._granted.get((audience, permissions.SUBSCRIBE), ()):
                if covers(outer, inner):
                    return qos
        return REFUSED

    def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
        return self._matched(identity, permissions.RECEIVE, topic)

    def _matched(self, identity: Identity, right: str, topic: bytes) -> bool:
        for audience in _audiences(identity):
            for topic_filter in self._granted.get((audience, right), ()):
                if topic_filter == "#":
                    if not topic.startswith(b"$"):
                        return True
                elif matches(topic_filter, topic.decode()):
                    return True
        return False


def _audiences(identity: Identity) -> tuple[str, ...]:
    if identity.method == identities.ANONYMOUS:
        return _ANONYMOUS
    return _ADMINISTRATOR if identity.administrator else _DEVICE


_ANONYMOUS: Final = (permissions.ANONYMOUS,)
_DEVICE: Final = (permissions.EVERYONE,)
_ADMINISTRATOR: Final = (permissions.EVERYONE, permissions.ADMINISTRATORS)
