"""Asks a plug-in: so many questions at once, each with a time limit, each answered exactly once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from structlog.typing import FilteringBoundLogger

T = TypeVar("T")

AT_ONCE: Final = 64
"""Questions that a plug-in works on at once."""
WAITING: Final = 4_096
"""Questions that wait for those; more are answered at once, as busy."""
CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a plug-in has to end."""


@dataclass(frozen=True, slots=True)
class Failure:
    """There is no answer. detail: why, for the log. busy: there are too many questions."""

    detail: str
    busy: bool = False


class Calls:
    """The questions to one plug-in that are under way.

    name: the plug-in's, for the log. timeout: seconds for one answer, from the question on, waiting included.
    """

    def __init__(
        self,
        name: str,
        timeout: float,
        log: FilteringBoundLogger,
        at_once: int = AT_ONCE,
        waiting: int = WAITING,
    ) -> None:
        self.name = name
        self.timeout = timeout
        self.log = log
        self.running = 0
        self.asked = 0
        self.failures = 0
        self.turned_away = 0
        self._at_once = at_once
        self._most_waiting = waiting
        self._waiting: deque[_Call[Any]] = deque()
        self._open: set[_Call[Any]] = set()
        self._closed = False
        self._last_failure = ""

    def ask(
        self, question: Callable[[], Coroutine[Any, Any, T]], done: Callable[[T | Failure], None]
    ) -> None:
        """Asks in the running event loop; calls `done` exactly once and later, whatever the plug-in does."""
        loop = asyncio.get_running_loop()
        self.asked += 1
        if self._closed:
            loop.call_soon(done, Failure(f"the plug-in {self.name} has been closed"))
        elif len(self._waiting) >= self._most_waiting:
            self.turned_away += 1
            loop.call_soon(
                done, Failure(f"{len(self._waiting)} questions wait for the plug-in {self.name}", True)
            )
        else:
            call = _Call(self, question, done)
            call.timer = loop.call_later(self.timeout, call.expired)
            self._open.add(call)
            if self.running < self._at_once:
                self._start(call)
            else:
                self._waiting.append(call)

    def counts(self) -> dict[str, int]:
        """Counters, by name, for status and metrics."""
        return {
            "plugin_asked": self.asked,
            "plugin_failed": self.failures,
            "plugin_turned_away": self.turned_away,
        }

    def close(self) -> None:
        """Answers what is open with a failure, and takes no more questions."""
        self._closed = True
        self._waiting.clear()
        for call in list(self._open):
            call.end(Failure(f"the plug-in {self.name} has been closed"))
            if call.task is not None:
                call.task.cancel()

    def _start(self, call: _Call[Any]) -> None:
        self.running += 1
        call.task = asyncio.get_running_loop().create_task(_guarded(call.question))
        call.task.add_done_callback(call.finished)

    def ended(self, call: _Call[Any]) -> None:
        """The call's answer is out, whether or not its task runs on."""
        self._open.discard(call)

    def next(self) -> None:
        """A task has ended: its place is free."""
        self.running -= 1
        while self._waiting and self.running < self._at_once:
            call = self._waiting.popleft()
            if call.done is not None:
                self._start(call)

    def succeeded(self) -> None:
        """The plug-in answered: its next failure is news again."""
        self._last_failure = ""

    def failed(self, error: BaseException) -> Failure:
        """Logs a failure, with its traceback where the last one was of another kind."""
        self.failures += 1
        kind = f"{type(error).__name__} {_place(error)}"
        if kind != self._last_failure:
            self._last_failure = kind
            trace = (type(error), error, error.__traceback__)
            self.log.error("plug-in failed", plugin=self.name, exc_info=trace)
        return Failure(f"the plug-in {self.name} failed: {type(error).__name__}")


class _Call(Generic[T]):
    """One question; `done` is None once it has been called."""

    __slots__ = ("calls", "done", "question", "task", "timer")

    def __init__(
        self,
        calls: Calls,
        question: Callable[[], Coroutine[Any, Any, T]],
        done: Callable[[T | Failure], None],
    ) -> None:
        self.calls = calls
        self.question = question
        self.done: Callable[[T | Failure], None] | None = done
        self.task: asyncio.Task[T | _Raised] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def end(self, answer: T | Failure) -> None:
        """Gives the answer, unless there was one."""
        done = self.done
        if done is None:
            return
        self.done = None
        self.calls.ended(self)
        if self.timer is not None:
            self.timer.cancel()
        done(answer)

    def expired(self) -> None:
        """The time is over. The task keeps its place until it really ends."""
        calls = self.calls
        if self.task is None:
            calls.turned_away += 1
            self.end(Failure(f"the plug-in {calls.name} was busy for {calls.timeout:g} s", True))
            return
        self.task.cancel()
        self.end(calls.failed(TimeoutError(f"no answer within {calls.timeout:g} s")))

    def finished(self, task: asyncio.Task[T | _Raised]) -> None:
        """The task ended: with an answer, an exception, or cancelled by whomever."""
        try:
            if self.done is None:
                return
            if task.cancelled():
                self.end(self.calls.failed(asyncio.CancelledError("the plug-in cancelled itself")))
                return
            result = task.result()
            if isinstance(result, _Raised):
                self.end(self.calls.failed(result.error))
            else:
                self.calls.succeeded()
                self.end(result)
        finally:
            self.calls.next()


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a plug-in raised."""

    error: BaseException


async def _guarded(question: Callable[[], Coroutine[Any, Any, T]]) -> T | _Raised:
    # Somebody else's code; asyncio lets SystemExit and KeyboardInterrupt of a task end the whole loop.
    try:
        return await question()
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return _Raised(error)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
