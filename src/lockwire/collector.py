"""Keeps Python's garbage collector out of the broker's way (DESIGN.md section 2, rule 11).

A full collection walks every object that lives: 123 ms with 100,000 sessions. So what lived through one is
taken out of the collector's sight, and the next walks only what has come since: a few milliseconds, in a
quiet moment, or before too much has gathered. Nothing that lives long may be part of a cycle when it ends,
since nobody would find it any more: the broker's objects let go of each other, and a test holds them to it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Final

INTERVAL: Final = 0.1
"""Seconds between two looks."""
IDLE_RATE: Final = 100.0
"""Packets a second below which the broker counts as idle."""
ENOUGH: Final = 8
"""Collections of the middle generation after which a full one no longer waits for a quiet moment."""
_NEVER: Final = 1_000_000_000


class Collector:
    """Runs the full collections of this process.

    Args:
        work: gives the packets received so far.
    """

    def __init__(self, work: Callable[[], float]) -> None:
        self._work = work
        self._seen = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Takes over, from inside the running event loop."""
        gc.collect()
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)
        self._again()

    def stop(self) -> None:
        """Gives the collector back as it was."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, 10)
        gc.unfreeze()

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._look)

    def _look(self) -> None:
        work = self._work()
        if self.is_due(work, gc.get_count()[2]):
            gc.collect()
            gc.freeze()
        self._seen = work
        self._again()

    def is_due(self, work: float, gathered: int) -> bool:
        """Whether to collect, with `work` packets so far and `gathered` collections of the middle
        generation.
        """
        idle = work - self._seen < IDLE_RATE * INTERVAL
        return gathered >= (1 if idle else ENOUGH)
