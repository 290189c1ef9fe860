"""What all connections of one event loop share: the clock, the tick and its one flush (DESIGN.md, rules 1,
5, 10).

A tick is what one round of the event loop brings in. While it lasts, connections decode, route and append to
outboxes. The flush that ends it commits what must be kept and then writes once for every connection that has
something to say. Work beyond the tick's budget is put off to the next one, in turn.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from lockwire.broker.commit import Committer
from lockwire.broker.counters import Counters
from lockwire.broker.wheel import Wheel
from lockwire.store.interface import Store

if TYPE_CHECKING:
    from lockwire.broker.link import Link

BACKLOG: Final = 512 * 1024
"""Bytes in a connection's outbox above which publishers are held back, and queues wait."""
TICK_BUDGET: Final = 0.010
"""Seconds of decoding and routing in a tick; the rest waits for the next."""


class Job:
    """Work that may take long, done in steps where ticks have time for it."""

    def step(self) -> bool:
        """Does a little; returns whether there is more."""
        raise NotImplementedError


class Core:
    """The heart of one broker: one instance an event loop. `now` is the loop's time at the start of the
    tick.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, store: Store, handshake_budget: float) -> None:
        self.loop = loop
        self.counters = Counters()
        self.committer = Committer(store, self.counters)
        self.now: float = loop.time()
        self.wheel = Wheel(self.now)
        self.handshake_budget = handshake_budget
        self._dirty: list[Link] = []
        self._deferred: deque[Link] = deque()
        self._handshakes: deque[Link] = deque()
        self._jobs: deque[Job] = deque()
        self._lost: deque[Link] = deque()
        self._handshake_spent: float = 0.0
        self._scheduled: bool = False
        self._tick_began: float = 0.0
        self._beat: asyncio.TimerHandle | None = None
        self._beat_due: float = 0.0
        self.stopped: bool = False

    # -- the tick ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Called with every event: opens a tick unless one is open."""
        if not self._scheduled:
            self._scheduled = True
            self.now = self.loop.time()
            self._tick_began = time.perf_counter()
            self._handshake_spent = 0.0
            self.loop.call_soon(self._flush)

    def mark(self, link: Link) -> None:
        """Puts `link` on the list of those that the flush writes for."""
        self._dirty.append(link)
        if not self._scheduled:
            self.begin()

    def out_of_time(self) -> bool:
        """Whether this tick has had its share of work."""
        return time.perf_counter() - self._tick_began > TICK_BUDGET

    def defer(self, link: Link) -> None:
        """Has `link` go on with the input it holds in the next tick."""
        self._deferred.append(link)
        self.begin()

    def _flush(self) -> None:
        self._scheduled = False
        try:
            if self.committer.pending:
                self.committer.flush()
        except Exception as error:
            self.failed("a commit", error)
        dirty = self._dirty
        self._dirty = []
        for link in dirty:
            try:
                link.flush()
            except Exception as error:
                self.link_failed(link, error)
        took = (time.perf_counter() - self._tick_began) * 1000.0
        if took > self.counters.loop_delay_max_ms:
            self.counters.loop_delay_max_ms = took
        if self._deferred or self._handshakes or self._jobs or self._lost:
            self.loop.call_soon(self._resume)
        elif self.committer.pending:
            self.begin()

    def _resume(self) -> None:
        self.begin()
        self._resume_handshakes()
        count = len(self._deferred)
        while count > 0 and not self.out_of_time():
            count -= 1
            link = self._deferred.popleft()
            try:
                link.go_on()
            except Exception as error:
                self.link_failed(link, error)
        # A step in any case: where the deferred take all the time, the others come to their end all the same.
        while self._lost:
            link = self._lost.popleft()
            try:
                link.let_go()
            except Exception as error:
                self.failed("letting go of a connection", error)
            if self.out_of_time():
                break
        self._step_jobs()

    def _step_jobs(self) -> None:
        while self._jobs:
            job = self._jobs[0]
            more = False
            try:
                more = job.step()
            except Exception as error:
                self.failed("a job", error)
            if not more:
                self._jobs.popleft()
            if self.out_of_time():
                break

    def failed(self, what: str, error: Exception) -> None:
        """Reports what must not happen; everything else goes on."""
        self.loop.call_exception_handler({"message": f"{what} went wrong", "exception": error})

    def link_failed(self, link: Link, error: Exception) -> None:
        """Reports what must not happen with a connection, and ends that one."""
        self.failed("a connection", error)
        link.abort()

    def lose(self, link: Link) -> None:
        """Has a connection that is gone let go of everything, now or when a tick has time for it.

        Thousands may go at once, and each takes a while.
        """
        if self._lost or self.out_of_time():
            self._lost.append(link)
        else:
            link.let_go()

    def work(self, job: Job) -> None:
        """Has `job` done in the ticks that follow."""
        self._jobs.append(job)
        self.begin()

    # -- handshakes are admitted by the time they take ---------------------------------------------

    def may_handshake(self) -> bool:
        """Whether this tick has time for another step of a TLS handshake (rule 10)."""
        return self._handshake_spent < self.handshake_budget and not self._handshakes

    def spent_on_handshake(self, seconds: float) -> None:
        """Counts the time of one step."""
        self._handshake_spent += seconds

    def queue_handshake(self, link: Link) -> None:
        """Has `link` go on with its handshake in a later tick, in turn."""
        self.counters.handshakes_queued += 1
        self._handshakes.append(link)
        self.begin()

    def _resume_handshakes(self) -> None:
        while self._handshakes and self._handshake_spent < self.handshake_budget:
            self._handshakes.popleft().go_on_handshake()

    # -- the wheel ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the beat that turns the wheel."""
        self._beat_due = self.loop.time() + self.wheel.granularity
        self._beat = self.loop.call_at(self._beat_due, self._turn)

    def stop(self) -> None:
        """Ends the beat."""
        self.stopped = True
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    def _turn(self) -> None:
        self.begin()
        now = self.loop.time()
        self.now = now
        late = (now - self._beat_due) * 1000.0
        if late > self.counters.loop_delay_max_ms:
            self.counters.loop_delay_max_ms = late
        try:
            self.wheel.advance(now)
        except Exception as error:
            self.failed("a timer", error)
        if not self.stopped:
            self._beat_due = now + self.wheel.granularity
            self._beat = self.loop.call_at(self._beat_due, self._turn)
