"""A few threads for drivers that block."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Workers:
    """Runs functions in threads, which start with the first of them.

    The threads are daemons: one that hangs in a driver cannot hold up the end of the process.

    count: how many. name: what they are called.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    async def run(self, function: Callable[[], T]) -> T:
        """The function's result, or what it raised. Cancelled it does not begin; one that runs runs on."""
        if len(self._threads) < self._count:
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=_work, args=(self._jobs,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        job = _Job(function, asyncio.get_running_loop())
        self._jobs.put(job)
        return cast(T, await job.result)

    async def close(self) -> None:
        """Ends the threads once they have done what was given to them."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._threads = []


class _Job:
    __slots__ = ("function", "loop", "result")

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.function = function
        self.loop = loop
        self.result: asyncio.Future[Any] = loop.create_future()

    def run(self) -> None:
        if self.result.cancelled():
            return
        try:
            value = self.function()
        except Exception as error:
            # Whatever a driver raises belongs to whoever waits.
            self._hand_over(self._fail, error)
        else:
            self._hand_over(self._succeed, value)

    def _hand_over(self, function: Callable[[Any], None], value: object) -> None:
        # a closed loop: the broker has gone, and with it whoever waited
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, value)

    def _succeed(self, value: object) -> None:
        if not self.result.done():
            self.result.set_result(value)

    def _fail(self, error: BaseException) -> None:
        if not self.result.done():
            self.result.set_exception(error)


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()
