"""Keeps Python's garbage collector out of the broker's way (DESIGN.md section 2, rule 11).

A full collection walks every object that lives: 123 ms with 100,000 sessions. What is there after the start
is taken out of its sight, and full collections run when the broker has little to do, or once an hour if it
never has.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Final

INTERVAL: Final = 10.0
"""Seconds between two looks at how busy the broker is."""
IDLE_RATE: Final = 100.0
"""Packets a second below which it counts as idle."""
LEAST_PAUSE: Final = 60.0
LONGEST_PAUSE: Final = 3600.0
"""Seconds between two full collections, at least while idle and at most while busy."""
_NEVER: Final = 1_000_000_000


class Collector:
    """Runs the full collections of this process.

    Args:
        work: gives the packets received so far.
    """

    def __init__(self, work: Callable[[], float]) -> None:
        self._work = work
        self._seen = 0.0
        self._collected_at = 0.0
        self._collected_work = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Takes over, from inside the running event loop."""
        gc.collect()
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)
        self._collected_at = time.monotonic()
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
        work, now = self._work(), time.monotonic()
        if self.is_due(work, now):
            gc.collect()
            self._collected_at, self._collected_work = time.monotonic(), work
        self._seen = work
        self._again()

    def is_due(self, work: float, now: float) -> bool:
        """Whether to collect, with `work` packets so far, at `now` seconds of the monotonic clock."""
        pause = now - self._collected_at
        if work == self._collected_work or pause < LEAST_PAUSE:
            return False
        return work - self._seen < IDLE_RATE * INTERVAL or pause >= LONGEST_PAUSE
