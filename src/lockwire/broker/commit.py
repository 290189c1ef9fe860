"""Act after commit (DESIGN.md section 2, rule 5): what states that something is kept leaves when it is.

While a tick is worked through, operations for the store and the effects that wait for them are collected
into one batch. The flush at the end of the tick commits it; the store's answer lets the effects go.
"""

from __future__ import annotations

from collections import deque

from lockwire.broker.counters import Counters
from lockwire.store.interface import Operation, Store, StoreError


class Effect:
    """Something that waits for a commit."""

    def committed(self) -> None:
        """What it waited for is kept."""
        raise NotImplementedError

    def refused(self, error: StoreError) -> None:
        """Nothing of its batch is kept."""
        raise NotImplementedError


class _Batch:
    def __init__(self, effects: list[Effect]) -> None:
        self.effects = effects


class Committer:
    """The one batch of this tick, and those whose answer is still to come."""

    def __init__(self, store: Store, counters: Counters) -> None:
        self._store = store
        self._counters = counters
        self._operations: list[Operation] = []
        self._effects: list[Effect] = []
        self._waiting: deque[_Batch] = deque()
        self.staged: int = 0

    def stage(self, operation: Operation) -> None:
        """Adds an operation to this tick's batch."""
        self._operations.append(operation)
        self.staged += 1

    def after(self, effect: Effect) -> None:
        """Lets `effect` go when this tick's batch, and so every batch before it, is kept."""
        self._effects.append(effect)

    @property
    def pending(self) -> bool:
        """Whether there is something to flush."""
        return bool(self._operations) or bool(self._effects)

    @property
    def is_busy(self) -> bool:
        """Whether an answer of the store is still to come, or something is still to be committed."""
        return self.pending or bool(self._waiting)

    def flush(self) -> None:
        """Commits the batch. What a granted effect stages in turn goes with the next flush."""
        operations = self._operations
        batch = _Batch(self._effects)
        self._operations = []
        self._effects = []
        self._waiting.append(batch)
        if operations:
            self._counters.commits += 1
            self._counters.operations_committed += len(operations)
            self._store.commit(operations, self._answered)
        elif len(self._waiting) == 1:
            # Nothing to keep and nothing outstanding before it: the effects only waited for their turn.
            self._release(None)
        else:
            self._store.commit(operations, self._answered)

    def _answered(self, error: StoreError | None) -> None:
        if error is not None:
            self._counters.commits_refused += 1
        self._release(error)

    def _release(self, error: StoreError | None) -> None:
        self._let_go(self._waiting.popleft().effects, error)

    def _let_go(self, effects: list[Effect], error: StoreError | None) -> None:
        done = 0
        try:
            for effect in effects:
                done += 1
                if error is None:
                    effect.committed()
                else:
                    effect.refused(error)
        finally:
            if done < len(effects):  # one went wrong; the others are not to wait for ever
                self._let_go(effects[done:], error)
