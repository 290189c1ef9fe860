"""What the connections of a broker work with: its sessions, routes, retained messages, rules and limits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lockwire.access.authorizer import Authorizer
from lockwire.access.observer import Observer
from lockwire.broker.core import Core
from lockwire.broker.refusals import Refusals
from lockwire.broker.retained import Retained
from lockwire.broker.router import Router
from lockwire.mqtt import reasons
from lockwire.mqtt.message import Message
from lockwire.pki.revocation.denylist import DenyList

if TYPE_CHECKING:
    from lockwire.broker.link import Link
    from lockwire.broker.registry import Registry


class Hub:
    """One broker's shared state. Limits are copied out of the settings; 0 where one does not apply."""

    def __init__(
        self,
        core: Core,
        authorizer: Authorizer,
        refusals: Refusals,
        retained_messages: int,
        retained_bytes: int,
    ) -> None:
        self.core = core
        self.authorizer = authorizer
        self.refusals = refusals
        self.router = Router(core.counters, authorizer)
        self.retained = Retained(core.committer, core.counters, retained_messages, retained_bytes)
        self.registry: Registry | None = None
        self.deny_list = DenyList()
        self.connected: int = 0
        self.unauthenticated: int = 0
        self.queue_messages: int = 10_000
        self.queue_bytes: int = 16 * 1024 * 1024
        self.sessions: int = 200_000
        self.subscriptions: int = 10_000_000
        self.subscriptions_per_client: int = 10_000
        self.topic_levels: int = 128
        self.memory_bytes: int = 1024 * 1024 * 1024
        self.queued_bytes: int = 0
        self.connections: int = 100_000
        self.unauthenticated_connections: int = 4096
        self.sequence: int = 0

    def admit(self) -> str:
        """Why no further connection is taken; empty: it is. The one that asks is counted already."""
        if self.connected > self.connections:
            return "too many connections"
        if self.unauthenticated > self.unauthenticated_connections:
            return "too many connections that are not authenticated yet"
        return ""

    def wall_time(self) -> float:
        """The time of day, by which messages and sessions expire."""
        return time.time()

    def publish(self, message: Message, publisher: Link | None) -> int:
        """Retains and routes a message that did not come in as a PUBLISH: a will, or the broker's own."""
        name = message.topic.decode()
        system = name.startswith("$SYS/")
        if message.retain:
            self.retained.put(message, not system)
        return self.router.publish(self.router.route(message.topic, name), message, publisher)

    def connection_failed(self, link: Link, detail: str) -> None:
        """Ends a connection that the broker cannot serve any more."""
        connection = link.connection
        if connection is not None:
            connection.end(reasons.IMPLEMENTATION_SPECIFIC_ERROR, detail)

    def observe(self, observer: Observer | None) -> None:
        """Has somebody watch what clients do from now on, or nobody."""
        self.router.observer = observer
        self.router.invalidate_all()

    def rules_changed(self) -> None:
        """Makes every cached decision be made anew, and drops queued messages that are no longer allowed."""
        self.router.invalidate_all()
        registry = self.registry
        if registry is not None:
            registry.judge_again()
