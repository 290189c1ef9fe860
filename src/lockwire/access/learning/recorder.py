"""What clients do, recorded while learning goes on: an observer of the broker with a bounded memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Final

from lockwire.access import identity as identities
from lockwire.access.identity import Identity
from lockwire.access.learning.shapes import Shapes, note, shape_of
from lockwire.access.observer import Observer
from lockwire.access.rights.placeholders import values_of
from lockwire.access.rights.rules import ANONYMOUS, EVERYONE, USER
from lockwire.mqtt.topics import parse_shared

IDENTITIES: Final = 10_000
"""Identities with a record of their own; the others share one."""
SHAPES: Final = 64
"""Shapes of one identity and kind; fewer where there are many identities."""
LEAST_SHAPES: Final = 8
ALL_SHAPES: Final = 200_000

Key = tuple[str, str]
OTHERS: Final[Key] = ("", "")


@dataclass(slots=True)
class Record:
    """What one identity did.

    identity: as it was last. client_id: of its last connection. published: bits as `publish_bit`; subscribed:
    1 << QoS; received: 1. Topics are shapes.
    """

    identity: Identity
    client_id: str
    published: Shapes = field(default_factory=dict)
    subscribed: Shapes = field(default_factory=dict)
    received: Shapes = field(default_factory=dict)

    @property
    def who(self) -> str:
        """Whom a rule for it is for."""
        if self.identity.method == identities.ANONYMOUS:
            return ANONYMOUS
        return USER + self.identity.name if self.identity.name else EVERYONE

    def copy(self) -> Record:
        """Another record of the same."""
        return replace(
            self,
            published=dict(self.published),
            subscribed=dict(self.subscribed),
            received=dict(self.received),
        )


class Recorder(Observer):
    """Records what it is told. Its methods are quick and never raise; another thread may take a `snapshot`.

    Memory is bounded: so many identities, so many shapes each; what is too much is generalised, never
    forgotten, so that rules made of the record cover all that was seen.
    """

    def __init__(self, records: list[Record] | None = None, identities: int = IDENTITIES) -> None:
        """records: to go on with. identities: how many have a record of their own."""
        super().__init__()
        self.changes = 0
        """How often something new was seen."""
        self.failures = 0
        """Facts that could not be recorded. Not a matter of memory: a fault."""
        self._identities = identities
        self._lock = threading.Lock()
        self._records: dict[Key, Record] = {_key(record.identity): record for record in records or ()}

    def __len__(self) -> int:
        return len(self._records)

    def published(self, identity: Identity, client_id: str, topic: bytes, qos: int, retain: bool) -> None:
        self._note(identity, client_id, "published", topic, 1 << (qos + 3 if retain else qos))

    def subscribed(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> None:
        shared = parse_shared(topic_filter)
        inner = topic_filter if shared is None else shared[1]
        self._note(identity, client_id, "subscribed", inner.encode(), 1 << qos)

    def received(self, identity: Identity, client_id: str, topic: bytes) -> None:
        self._note(identity, client_id, "received", topic, 1)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._records = {}
            self.changes += 1

    def snapshot(self) -> list[Record]:
        """The records as they are, sorted by name; a moment of the lock for each."""
        with self._lock:
            keys = sorted(self._records)
        found = []
        for key in keys:
            with self._lock:
                record = self._records.get(key)
                if record is not None:
                    found.append(record.copy())
        return found

    def _note(self, identity: Identity, client_id: str, kind: str, topic: bytes, bits: int) -> None:
        try:
            shape = shape_of(topic.decode(), values_of(identity, client_id))
            with self._lock:
                record = self._record(identity, client_id)
                if note(getattr(record, kind), shape, bits, self._limit()):
                    self.changes += 1
        except Exception:
            # Whoever watches must not disturb what it watches.
            self.failures += 1

    def _record(self, identity: Identity, client_id: str) -> Record:
        key = _key(identity)
        record = self._records.get(key)
        is_named = identity.method != identities.ANONYMOUS
        if record is None and is_named and len(self._records) >= self._identities:
            key = OTHERS
            identity = Identity("", identity.method)
            record = self._records.get(key)
        if record is None:
            record = Record(identity, client_id)
            self._records[key] = record
        elif key != OTHERS:
            record.identity = identity
            record.client_id = client_id
        return record

    def _limit(self) -> int:
        return max(LEAST_SHAPES, min(SHAPES, ALL_SHAPES // (3 * len(self._records))))


def _key(identity: Identity) -> Key:
    return (identity.name, identity.realm) if identity.name else OTHERS
