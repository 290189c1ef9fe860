"""A coarse timing wheel: keep-alives, deadlines and expiries cost no timer of the event loop each."""

from __future__ import annotations

from typing import Final

SLOTS: Final = 1024


class Timer:
    """Something that falls due. Subclasses say in `fire` what happens then."""

    def __init__(self) -> None:
        self.due: float = 0.0
        self.armed: bool = False
        self.position: int = -1

    def cancel(self) -> None:
        """Forgets the timer: it will not fire. It leaves the wheel when its slot comes round."""
        self.armed = False

    def fire(self) -> None:
        """Called once when due, unless cancelled."""
        raise NotImplementedError


class Wheel:
    """Timers by slots of `granularity` seconds. One fires at most one slot late, never early."""

    def __init__(self, now: float, granularity: float = 0.1) -> None:
        self.granularity = granularity
        self._slots: list[list[Timer]] = [[] for _ in range(SLOTS)]
        self._position: int = int(now / granularity)

    def schedule(self, timer: Timer, due: float) -> None:
        """Arms `timer` for `due`, a time of the event loop; one that is armed already gets the new time.

        A timer whose slot comes before its new time stays there and moves on when the slot comes round:
        arming
        the same timer again and again costs nothing.
        """
        timer.due = due
        timer.armed = True
        position = int(due / self.granularity) + 1
        if position <= self._position:
            position = self._position + 1
        elif position >= self._position + SLOTS:
            position = self._position + SLOTS - 1
        if self._position < timer.position <= position:
            return
        timer.position = position
        self._slots[position % SLOTS].append(timer)

    def advance(self, now: float) -> None:
        """Fires what is due at `now`; what lies further ahead than the wheel's reach goes round again."""
        target = int(now / self.granularity)
        while self._position < target:
            self._position += 1
            index = self._position % SLOTS
            timers = self._slots[index]
            if timers:
                self._slots[index] = []
                self._fire(timers, now)

    def _fire(self, timers: list[Timer], now: float) -> None:
        for number, timer in enumerate(timers):
            if timer.position != self._position:
                continue  # it was armed for an earlier time since
            timer.position = -1
            if not timer.armed:
                continue
            if timer.due > now:
                self.schedule(timer, timer.due)
            else:
                timer.armed = False
                try:
                    timer.fire()
                except Exception:
                    self._put_back(timers[number + 1 :])
                    raise

    def _put_back(self, timers: list[Timer]) -> None:
        """Has those that come behind one that went wrong fire in the next slot."""
        for timer in timers:
            if timer.position == self._position:
                timer.position = -1
                if timer.armed:
                    self.schedule(timer, timer.due)
