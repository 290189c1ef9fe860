"""Retained messages for a new subscription, many at a time: in steps, as the client reads.

What is published while they go out waits behind them, so that an old value never follows a new one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from lockwire.broker.core import BACKLOG, Job
from lockwire.mqtt.message import Message
from lockwire.store.interface import QueuedRecord

if TYPE_CHECKING:
    from lockwire.broker.session import Session

STEP: Final = 256
"""Messages in one go."""


class _Share:
    """The retained messages that one subscription gets."""

    def __init__(self, messages: list[Message], qos: int, identifiers: bytes) -> None:
        self.messages = messages
        self.qos = qos
        self.identifiers = identifiers
        self.position: int = 0


class Replay(Job):
    """What a session still has to get because of its new subscriptions, and what waits behind it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.behind: deque[QueuedRecord] = deque()
        self._shares: deque[_Share] = deque()
        self._left: int = 0
        self._under_way: bool = False

    @property
    def waiting(self) -> int:
        """Messages that have not gone out."""
        return self._left + len(self.behind)

    def add(self, messages: list[Message], qos: int, identifiers: bytes) -> None:
        """Adds the messages of one more subscription, granted `qos`; the first go out at once."""
        self._shares.append(_Share(messages, qos, identifiers))
        self._left += len(messages)
        if not self._under_way:
            self._under_way = True
            if self.step():
                self.session.hub.core.work(self)

    def go_on(self) -> None:
        """Has the rest sent in the ticks that follow, unless it is being sent."""
        if not self._under_way:
            self._under_way = True
            self.session.hub.core.work(self)

    def step(self) -> bool:
        session = self.session
        if session.replay is not self:
            return False
        for _ in range(STEP):
            link = session.link
            if link is None or link.outbox_bytes >= BACKLOG or session.is_behind:
                self._under_way = False
                return False
            if self._shares:
                self._send_next(self._shares[0])
            elif self.behind:
                session.send(self.behind.popleft())
            else:
                session.end_replay()
                return False
        return True

    def _send_next(self, share: _Share) -> None:
        session = self.session
        message = share.messages[share.position]
        share.position += 1
        self._left -= 1
        if share.position == len(share.messages):
            self._shares.popleft()
        if session.hub.authorizer.may_receive(session.identity, session.client_id, message.topic):
            session.send(session.retained_record(message, min(share.qos, message.qos), share.identifiers))
