"""`$SYS`: what the broker says about itself, as retained messages, under the names Mosquitto uses."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from lockwire.broker.hub import Hub
from lockwire.broker.registry import Registry
from lockwire.mqtt.message import Message
from lockwire.version import VERSION

PREFIX: Final = "$SYS/broker/"


class SysTopics:
    """Publishes what has changed since the last time, every `interval` seconds."""

    def __init__(self, hub: Hub, registry: Registry) -> None:
        self._hub = hub
        self._registry = registry
        self._interval: float = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._started = time.time()
        self._last: dict[str, str] = {}
        self._maximum = 0

    def start(self, interval: float) -> None:
        """Begins, or goes on with another interval; 0 stops."""
        self.stop()
        self._interval = interval
        if interval > 0:
            self._publish()

    def stop(self) -> None:
        """Publishes no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _publish(self) -> None:
        for topic, value in self._values().items():
            text = str(value)
            if self._last.get(topic) != text:
                self._last[topic] = text
                self._hub.publish(Message((PREFIX + topic).encode(), text.encode(), b"", 0, True), None)
        self._timer = self._hub.core.loop.call_later(self._interval, self._publish)

    def _values(self) -> dict[str, object]:
        hub = self._hub
        counters = hub.core.counters
        connected = sum(session.link is not None for session in self._registry.sessions.values())
        self._maximum = max(self._maximum, connected)
        received = (
            counters.publish_received_qos0 + counters.publish_received_qos1 + counters.publish_received_qos2
        )
        sent = counters.publish_sent_qos0 + counters.publish_sent_qos1 + counters.publish_sent_qos2
        dropped = counters.dropped_outbox_full + counters.dropped_queue_full + counters.dropped_expired
        delay = counters.loop_delay_max_ms
        counters.loop_delay_max_ms = 0.0
        return {
            "version": f"lockwire version {VERSION}",
            "uptime": f"{int(time.time() - self._started)} seconds",
            "clients/total": len(self._registry.sessions),
            "clients/connected": connected,
            "clients/active": connected,
            "clients/disconnected": len(self._registry.sessions) - connected,
            "clients/inactive": len(self._registry.sessions) - connected,
            "clients/maximum": self._maximum,
            "messages/received": counters.packets_received,
            "publish/messages/received": received,
            "publish/messages/sent": sent,
            "publish/messages/dropped": dropped,
            "bytes/received": counters.bytes_received,
            "bytes/sent": counters.bytes_sent,
            "subscriptions/count": hub.router.subscriptions,
            "shared_subscriptions/count": hub.router.shared_subscriptions,
            "retained messages/count": len(hub.retained),
            "load/loop-delay/max-ms": f"{delay:.2f}",
        }
