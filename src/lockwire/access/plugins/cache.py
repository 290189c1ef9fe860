"""Answers that are used again for a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ANSWERS: Final = 100_000


class Cache(Generic[K, V]):
    """A table of answers; at most so many, the one not asked for the longest leaves.

    answers: how many. clock: seconds, monotonic.
    """

    def __init__(self, answers: int = ANSWERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._answers = answers
        self._clock = clock
        self._table: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def get(self, key: K) -> V | None:
        """The answer to a question, None where there is none or its time is over."""
        found = self._table.get(key)
        if found is None:
            return None
        value, until = found
        if until <= self._clock():
            del self._table[key]
            return None
        self._table.move_to_end(key)
        return value

    def put(self, key: K, value: V, seconds: float) -> None:
        """Keeps an answer for so long; 0 keeps nothing."""
        if seconds <= 0:
            return
        self._table[key] = (value, self._clock() + seconds)
        self._table.move_to_end(key)
        if len(self._table) > self._answers:
            self._table.popitem(last=False)

    def discard(self, key: K) -> None:
        """Forgets one answer."""
        self._table.pop(key, None)

    def clear(self) -> None:
        """Forgets everything."""
        self._table.clear()
