"""Retained messages: the last one of each topic, for those who subscribe later (MQTT 5 section 3.3.1.3)."""

from __future__ import annotations

from lockwire.broker.commit import Committer
from lockwire.broker.counters import Counters
from lockwire.broker.topictree import NameTree
from lockwire.mqtt.message import Message
from lockwire.store import interface
from lockwire.store.interface import Operation


class Retained:
    """All retained messages of a broker, within limits of number and bytes."""

    def __init__(self, committer: Committer, counters: Counters, maximum: int, maximum_bytes: int) -> None:
        self._committer = committer
        self._counters = counters
        self.maximum = maximum
        self.maximum_bytes = maximum_bytes
        self._messages: dict[bytes, Message] = {}
        self._tree: NameTree[Message] = NameTree()
        self.bytes: int = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message, keep: bool) -> bool:
        """Retains `message`, or with an empty payload forgets its topic [MQTT5-3.3.1-6]; False: at the limit.

        `keep` False leaves the store out of it, for what the broker says about itself.
        """
        topic = message.topic
        name = topic.decode()
        previous = self._messages.get(topic)
        if not message.payload:
            if previous is not None:
                self._forget(topic, name, previous)
                if keep:
                    operation = Operation(interface.DROP_RETAINED, 0)
                    operation.topic = topic
                    self._committer.stage(operation)
            return True
        grown = message.size - (previous.size if previous is not None else 0)
        full = previous is None and len(self._messages) >= self.maximum
        if keep and (full or self.bytes + grown > self.maximum_bytes):
            self._counters.dropped_retained_full += 1
            return False
        self._messages[topic] = message
        self._tree.put(name, message)
        self.bytes += grown
        if keep:
            operation = Operation(interface.PUT_RETAINED, 0)
            operation.message = message
            self._committer.stage(operation)
        return True

    def _forget(self, topic: bytes, name: str, message: Message) -> None:
        del self._messages[topic]
        self._tree.remove(name)
        self.bytes -= message.size

    def matching(self, topic_filter: str, now: float) -> list[Message]:
        """Those that a filter matches and that have not expired at `now`, a time of `time.time()`."""
        found: list[Message] = []
        for message in self._tree.matching(topic_filter):
            if message.expires_at != 0.0 and message.is_expired(now):
                self._expire(message)
            else:
                found.append(message)
        return found

    def _expire(self, message: Message) -> None:
        self._counters.dropped_expired += 1
        self._forget(message.topic, message.topic.decode(), message)
        operation = Operation(interface.DROP_RETAINED, 0)
        operation.topic = message.topic
        self._committer.stage(operation)

    def restore(self, messages: list[Message]) -> None:
        """Takes over what the store kept."""
        for message in messages:
            self._messages[message.topic] = message
            self._tree.put(message.topic.decode(), message)
            self.bytes += message.size
