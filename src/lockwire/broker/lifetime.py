"""What ends a connection in time: silence, and the end of what proved its client's identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lockwire.broker.wheel import Timer
from lockwire.mqtt import reasons

if TYPE_CHECKING:
    from lockwire.broker.connection import Connection

LOOK_INTERVAL: Final = 60.0
"""Seconds between two looks at the clock of the day, which may be set."""


class Watch(Timer):
    """A timer of one connection, which lets go of it at the end."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection: Connection | None = connection

    def stop(self) -> None:
        """The connection is over."""
        self.cancel()
        self.connection = None


class KeepAlive(Watch):
    """Ends a connection that was silent for one and a half times its Keep Alive [MQTT5-3.1.2-22]."""

    def __init__(self, connection: Connection, keep_alive: int) -> None:
        super().__init__(connection)
        self.seconds: float = keep_alive * 1.5
        connection.core.wheel.schedule(self, connection.core.now + self.seconds)

    def fire(self) -> None:
        connection = self.connection
        if connection is None:
            return
        core = connection.core
        if not connection.link.reading:
            connection.last_received = core.now  # it may have spoken: nobody listened
        due = connection.last_received + self.seconds
        if core.now < due:
            core.wheel.schedule(self, due)
            return
        core.counters.keep_alive_timeouts += 1
        connection.end(reasons.KEEP_ALIVE_TIMEOUT, f"silent for {self.seconds:.0f} s")


class Expiry(Watch):
    """Ends a connection when what proved its identity is no longer valid; the session lives on."""

    def __init__(self, connection: Connection, expires: float) -> None:
        super().__init__(connection)
        self.expires = expires
        self._wait(connection)

    def _wait(self, connection: Connection) -> None:
        left = min(self.expires - connection.hub.wall_time(), LOOK_INTERVAL)
        connection.core.wheel.schedule(self, connection.core.now + left)

    def fire(self) -> None:
        connection = self.connection
        if connection is None:
            return
        if connection.hub.wall_time() < self.expires:
            self._wait(connection)
            return
        connection.core.counters.identities_expired += 1
        connection.end(reasons.NOT_AUTHORIZED, "what proved the client's identity has expired")
