"""The store in memory: grants every commit at once and survives nothing but its own broker's restart."""

from __future__ import annotations

from collections.abc import Callable

from mypy_extensions import mypyc_attr

from lockwire.mqtt.message import Message
from lockwire.store import interface
from lockwire.store.interface import (
    IncomingRecord,
    Operation,
    QueuedRecord,
    Recovered,
    SessionContent,
    SessionRecord,
    Store,
    StoreError,
    SubscriptionRecord,
    WillRecord,
)


class _Kept:
    """Everything kept of one session."""

    def __init__(self, record: SessionRecord) -> None:
        self.record = record
        self.subscriptions: dict[str, SubscriptionRecord] = {}
        self.queue: dict[int, QueuedRecord] = {}
        self.incoming: dict[int, IncomingRecord] = {}


@mypyc_attr(allow_interpreted_subclasses=True)
class MemoryStore(Store):
    """Keeps references, not copies: a message queued for many sessions is held once."""

    def __init__(self) -> None:
        self._sessions: dict[int, _Kept] = {}
        self._retained: dict[bytes, Message] = {}
        self._wills: dict[int, WillRecord] = {}

    def recover(self, done: Callable[[Recovered], None]) -> None:
        recovered = Recovered()
        for number, kept in self._sessions.items():
            recovered.sessions.append(kept.record)
            recovered.sequence = max(recovered.sequence, *kept.queue) if kept.queue else recovered.sequence
            recovered.subscriptions[number] = list(kept.subscriptions.values())
            for incoming in kept.incoming.values():
                if incoming.message is not None:
                    recovered.unrouted.append((number, incoming))
        recovered.retained = list(self._retained.values())
        recovered.wills = list(self._wills.values())
        done(recovered)

    def open_session(self, session: int, done: Callable[[SessionContent], None]) -> None:
        content = SessionContent()
        kept = self._sessions.get(session)
        if kept is not None:
            content.queue = list(kept.queue.values())
            content.incoming = list(kept.incoming.values())
        done(content)

    def commit(self, operations: list[Operation], done: Callable[[StoreError | None], None]) -> None:
        for operation in operations:
            self._apply(operation)
        done(None)

    def close(self) -> None:
        """Nothing to end."""

    def _apply(self, operation: Operation) -> None:
        kind = operation.kind
        if kind >= interface.PUT_RETAINED:
            self._apply_shared(operation)
            return
        if kind == interface.PUT_SESSION:
            record = operation.session_record
            assert record is not None
            kept = self._sessions.get(record.number)
            if kept is None:
                self._sessions[record.number] = _Kept(record)
            else:
                kept.record = record
            return
        if kind == interface.DROP_SESSION:
            self._sessions.pop(operation.session, None)
            return
        kept = self._sessions.get(operation.session)
        if kept is not None:
            self._apply_session(kept, operation)

    def _apply_session(self, kept: _Kept, operation: Operation) -> None:
        kind = operation.kind
        if kind == interface.ENQUEUE:
            queued = operation.queued
            assert queued is not None
            kept.queue[queued.sequence] = queued
        elif kind == interface.DEQUEUE:
            kept.queue.pop(operation.key, None)
        elif kind == interface.SENT:
            queued = kept.queue.get(operation.key)
            if queued is not None:
                queued.packet_id = operation.packet_id
        elif kind == interface.RECEIVED:
            queued = kept.queue.get(operation.key)
            if queued is not None:
                queued.received = True
        elif kind == interface.PUT_SUBSCRIPTION:
            subscription = operation.subscription
            assert subscription is not None
            kept.subscriptions[subscription.topic_filter] = subscription
        elif kind == interface.DROP_SUBSCRIPTION:
            kept.subscriptions.pop(operation.name, None)
        elif kind == interface.PUT_INCOMING:
            incoming = operation.incoming
            assert incoming is not None
            kept.incoming[incoming.packet_id] = incoming
        elif kind == interface.ROUTED_INCOMING:
            routed = kept.incoming.get(operation.key)
            if routed is not None:
                routed.message = None
        elif kind == interface.DROP_INCOMING:
            kept.incoming.pop(operation.key, None)

    def _apply_shared(self, operation: Operation) -> None:
        kind = operation.kind
        if kind == interface.PUT_RETAINED:
            message = operation.message
            assert message is not None
            self._retained[message.topic] = message
        elif kind == interface.DROP_RETAINED:
            self._retained.pop(operation.topic, None)
        elif kind == interface.PUT_WILL:
            will = operation.will
            assert will is not None
            self._wills[will.session] = will
        elif kind == interface.DROP_WILL:
            self._wills.pop(operation.session, None)
