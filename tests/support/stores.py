"""Stores for tests: one that grants late, one that refuses. Both are real stores otherwise."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from lockwire.mqtt import reasons
from lockwire.store import interface
from lockwire.store.interface import Operation, Recovered, SessionContent, StoreError
from lockwire.store.memory import MemoryStore

Done = Callable[[StoreError | None], None]


class LateStore(MemoryStore):
    """Grants a commit when `grant` is called, in the order they came. While `eager` it grants at once."""

    def __init__(self) -> None:
        super().__init__()
        self.eager = False
        self.waiting: deque[tuple[list[Operation], Done]] = deque()

    def commit(self, operations: list[Operation], done: Done) -> None:
        if self.eager and not self.waiting:
            super().commit(operations, done)
        else:
            self.waiting.append((operations, done))

    def grant(self) -> None:
        """Grants everything that waits, and what comes of it while it goes on."""
        while self.waiting:
            operations, done = self.waiting.popleft()
            super().commit(operations, done)


class RefusingStore(MemoryStore):
    """Refuses every commit while `reason` is set, and then changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.reason = 0

    def commit(self, operations: list[Operation], done: Done) -> None:
        if self.reason:
            done(StoreError(self.reason, "the disk is full"))
        else:
            super().commit(operations, done)

    def refuse(self) -> None:
        """From now on there is no room."""
        self.reason = reasons.QUOTA_EXCEEDED


def snapshot(store: MemoryStore, into: MemoryStore | None = None) -> MemoryStore:
    """What a crash at this moment would leave: a store with the same content, which goes its own way.

    into: the store that gets it, an empty one.
    """
    left = MemoryStore() if into is None else into
    operations: list[Operation] = []
    store.recover(lambda recovered: operations.extend(_operations_of(store, recovered)))
    left.commit(operations, lambda _: None)
    return left


def _operations_of(store: MemoryStore, recovered: Recovered) -> list[Operation]:
    """The operations that make the content of a store."""
    made: list[Operation] = []
    for record in recovered.sessions:
        made.append(_operation(interface.PUT_SESSION, record.number, session_record=record))
        for subscription in recovered.subscriptions[record.number]:
            made.append(_operation(interface.PUT_SUBSCRIPTION, record.number, subscription=subscription))
        made += _content(store, record.number)
    made += [_operation(interface.PUT_RETAINED, 0, message=message) for message in recovered.retained]
    made += [_operation(interface.PUT_WILL, will.session, will=will) for will in recovered.wills]
    return made


def _content(store: MemoryStore, number: int) -> list[Operation]:
    found: list[SessionContent] = []
    store.open_session(number, found.append)
    queue = [_operation(interface.ENQUEUE, number, queued=record) for record in found[0].queue]
    return queue + [_operation(interface.PUT_INCOMING, number, incoming=each) for each in found[0].incoming]


def _operation(kind: int, session: int, **fields: object) -> Operation:
    operation = Operation(kind, session)
    for name, value in fields.items():
        setattr(operation, name, value)
    return operation
