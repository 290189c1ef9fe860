"""All sessions of a broker: opened, taken over, resumed, ended; and the wills that wait for their time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lockwire.access.authorizer import ASK, publish_bit
from lockwire.access.identity import Identity
from lockwire.access.keeping import attributes_of, identity_of
from lockwire.broker.core import Job
from lockwire.broker.hub import Hub
from lockwire.broker.routes import Subscription
from lockwire.broker.session import Session
from lockwire.broker.wheel import Timer
from lockwire.mqtt.message import Message
from lockwire.mqtt.packets import Will
from lockwire.mqtt.topics import parse_shared
from lockwire.store import interface
from lockwire.store.interface import (
    Operation,
    Recovered,
    SessionContent,
    SessionRecord,
    Store,
    SubscriptionRecord,
    WillRecord,
)

if TYPE_CHECKING:
    from lockwire.broker.connection import Connection

NEVER: Final = 0xFFFFFFFF
"""The Session Expiry Interval of a session that does not expire (MQTT 5 section 3.1.2.11.2)."""


def same_owner(one: Identity, other: Identity) -> bool:
    """Whether two identities are the same one: the same name, vouched for by the same authority."""
    return one.name == other.name and one.realm == other.realm


def _is_connected(session: Session) -> bool:
    return session.link is not None


def same_rights(one: Identity, other: Identity) -> bool:
    """Whether nothing that rules look at differs between two identities of the same name."""
    return (
        one.administrator == other.administrator
        and one.common_name == other.common_name
        and one.groups == other.groups
        and one.rules == other.rules
    )


AT_ONCE: Final = 64
"""Subscriptions taken away in one go when a session ends; more of them wait for the ticks that follow."""


class _SessionEnd(Timer):
    """Ends a session whose Session Expiry Interval has passed."""

    def __init__(self, registry: Registry, session: Session) -> None:
        super().__init__()
        self.registry = registry
        self.session = session

    def fire(self) -> None:
        if self.session.link is None:
            self.registry.end(self.session)


class _WillDue(Timer):
    """Publishes a will whose Will Delay Interval has passed."""

    def __init__(self, registry: Registry, session: Session, will: Will) -> None:
        super().__init__()
        self.registry = registry
        self.session = session
        self.will = will

    def fire(self) -> None:
        self.registry.publish_will(self.session)

    def decided(self, allowed: bool) -> None:
        """The authorizer's answer about this will."""
        self.registry.will_decided(self.session, self.will, allowed)


class _Unsubscribing(Job):
    """Takes away the many subscriptions of a session that has ended."""

    def __init__(self, hub: Hub, session: Session, subscriptions: list[Subscription]) -> None:
        self.hub = hub
        self.session = session
        self.subscriptions = subscriptions

    def step(self) -> bool:
        subscriptions = self.subscriptions
        for _ in range(AT_ONCE):
            if not subscriptions:
                return False
            subscription = subscriptions.pop()
            shared = parse_shared(subscription.topic_filter)
            topic_filter = subscription.topic_filter if shared is None else shared[1]
            self.hub.router.unsubscribe(self.session, topic_filter, subscription.share)
        return bool(subscriptions)


class _Judging(Job):
    """Drops what the sessions may no longer receive, in as many ticks as that takes.

    A session that is resumed meanwhile is judged then.
    """

    def __init__(self, hub: Hub, sessions: list[Session]) -> None:
        self.hub = hub
        self.sessions = sessions

    def step(self) -> bool:
        """Goes on; whether there is more."""
        while self.sessions:
            self.sessions.pop().drop_forbidden()
            if self.hub.core.out_of_time():
                break
        return bool(self.sessions)


class _Opening:
    """A session that is read from the store while its connection waits."""

    def __init__(self, registry: Registry, session: Session, done: Callable[[Session, bool], None]) -> None:
        self.registry = registry
        self.session = session
        self.done = done

    def loaded(self, content: SessionContent) -> None:
        if not self.registry.has_loaded(self.session):
            return
        incoming = {record.packet_id for record in content.incoming}
        self.session.restore(content.queue, incoming)
        self.done(self.session, True)


class Registry:
    """The sessions by client identifier."""

    def __init__(self, hub: Hub, store: Store) -> None:
        self.hub = hub
        self._store = store
        self.sessions: dict[str, Session] = {}
        self.connections: dict[int, Connection] = {}
        self._ends: dict[int, _SessionEnd] = {}
        self._wills: dict[int, _WillDue] = {}
        self._openings: dict[int, _Opening] = {}
        self._number: int = 0

    # -- opening -----------------------------------------------------------------------------------

    def refuses(self, client_id: str, identity: Identity) -> bool:
        """Whether the session of this client identifier belongs to somebody else."""
        session = self.sessions.get(client_id)
        return session is not None and not same_owner(session.identity, identity)

    def is_full(self, client_id: str) -> bool:
        """Whether a session for this client identifier would be one too many."""
        return len(self.sessions) >= self.hub.sessions and client_id not in self.sessions

    def open(
        self,
        connection: Connection,
        client_id: str,
        identity: Identity,
        clean_start: bool,
        done: Callable[[Session, bool], None],
    ) -> None:
        """Gives the session of a client, and whether it was there before [MQTT5-3.1.2-4, 3.1.2-5, 3.1.2-6].

        A connection that the session has is ended first [MQTT5-3.1.4-3].
        """
        session = self.sessions.get(client_id)
        if session is not None:
            previous = self.connections.get(session.number)
            if previous is not None:
                self.hub.core.counters.takeovers += 1
                previous.taken_over()
            session = self.sessions.get(client_id)
        if session is not None and clean_start:
            self.end(session)
            session = None
        if session is None:
            self._number += 1
            session = Session(self.hub, self._number, client_id, identity)
            self.sessions[client_id] = session
            self.connections[session.number] = connection
            done(session, False)
            return
        self._cancel_timers(session)
        self.adopt(session, identity)
        self.connections[session.number] = connection
        opening = self._openings.get(session.number)
        if opening is not None:
            opening.done = done  # who asked first has gone
        elif session.loaded:
            done(session, True)
        else:
            session.loaded = True
            self.hub.core.committer.flush()
            opening = _Opening(self, session, done)
            self._openings[session.number] = opening
            self._store.open_session(session.number, opening.loaded)

    def judge_again(self) -> None:
        """Drops waiting messages that other rules no longer let through, those of connected clients first."""
        self.hub.core.begin()
        waiting = [
            session for session in self.sessions.values() if session.queue or session.replay is not None
        ]
        waiting.sort(key=_is_connected)
        job = _Judging(self.hub, waiting)
        if waiting and job.step():
            self.hub.core.work(job)

    def adopt(self, session: Session, identity: Identity) -> None:
        """Makes `identity` the one that a session's rights are judged by."""
        previous = session.identity
        session.identity = identity
        if not same_rights(previous, identity):
            self.hub.router.invalidate_all()
            if session.durable:
                self._stage_session(session)

    def has_loaded(self, session: Session) -> bool:
        """The store has given a session back; returns whether it is still wanted."""
        self._openings.pop(session.number, None)
        if self.sessions.get(session.client_id) is session:
            return True
        self.connections.pop(session.number, None)
        return False

    def abandoned(self, session: Session) -> None:
        """The connection that a session was read for has gone meanwhile."""
        connection = self.connections.get(session.number)
        if connection is not None:
            self.disconnected(session, connection, None)

    def _cancel_timers(self, session: Session) -> None:
        end = self._ends.pop(session.number, None)
        if end is not None:
            end.cancel()
        will = self._wills.pop(session.number, None)
        if will is not None:
            will.cancel()
            self._drop_will(session.number)

    def keep(self, session: Session, expiry_interval: int) -> None:
        """Sets how long the session outlives its connection, in seconds, and stages what follows from it."""
        was_durable = session.durable
        session.expiry_interval = expiry_interval
        session.durable = expiry_interval > 0
        session.ends_at = 0.0
        if session.durable:
            self._stage_session(session)
            if not was_durable:
                for subscription in session.subscriptions.values():
                    self.stage_subscription(subscription)
        elif was_durable:
            self.hub.core.committer.stage(Operation(interface.DROP_SESSION, session.number))

    def _stage_session(self, session: Session) -> None:
        record = SessionRecord(
            session.number, session.client_id, session.identity.name, session.identity.method
        )
        record.administrator = session.identity.administrator
        record.attributes = attributes_of(session.identity)
        record.version = session.version
        record.listener = session.listener
        record.expiry_interval = session.expiry_interval
        record.ends_at = session.ends_at
        operation = Operation(interface.PUT_SESSION, session.number)
        operation.session_record = record
        self.hub.core.committer.stage(operation)

    def stage_subscription(self, subscription: Subscription) -> None:
        """Stages a subscription of a session that outlives its connection."""
        record = SubscriptionRecord(subscription.topic_filter, subscription.qos, subscription.identifier)
        record.no_local = subscription.no_local
        record.retain_as_published = subscription.retain_as_published
        record.retain_handling = subscription.retain_handling
        operation = Operation(interface.PUT_SUBSCRIPTION, subscription.session.number)
        operation.subscription = record
        self.hub.core.committer.stage(operation)

    # -- ending ------------------------------------------------------------------------------------

    def disconnected(self, session: Session, connection: Connection, will: Will | None) -> None:
        """The session's connection is gone; `will` is None where the client took it back (DISCONNECT)."""
        if self.connections.get(session.number) is not connection:
            return
        del self.connections[session.number]
        session.detach()
        hub = self.hub
        if will is not None:
            due = _WillDue(self, session, will)
            self._wills[session.number] = due
            delay = min(will.delay_interval, session.expiry_interval)
            if delay > 0:
                hub.core.wheel.schedule(due, hub.core.now + delay)
                self.stage_will(session, will, hub.wall_time() + delay)
        if not session.durable:
            self.end(session)
            return
        if will is not None and min(will.delay_interval, session.expiry_interval) == 0:
            self.publish_will(session)
        if session.expiry_interval != NEVER:
            session.ends_at = hub.wall_time() + session.expiry_interval
            end = _SessionEnd(self, session)
            self._ends[session.number] = end
            hub.core.wheel.schedule(end, hub.core.now + session.expiry_interval)
            self._stage_session(session)

    def end(self, session: Session) -> None:
        """Ends a session: its subscriptions, its messages, and its will if that still waits
        [MQTT5-3.1.3-9].
        """
        if session.number in self._wills:
            self.publish_will(session)
        end = self._ends.pop(session.number, None)
        if end is not None:
            end.cancel()
        if session.subscriptions:
            job = _Unsubscribing(self.hub, session, list(session.subscriptions.values()))
            session.subscriptions = {}
            if job.step():
                self.hub.core.work(job)
        session.forget_messages()
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]
        if session.durable:
            self.hub.core.committer.stage(Operation(interface.DROP_SESSION, session.number))
            session.durable = False

    # -- wills -------------------------------------------------------------------------------------

    def stage_will(self, session: Session, will: Will, due: float) -> None:
        """Stages a will, so that it is published even if the broker ends before its client does."""
        record = WillRecord(session.number, will, due)
        record.client_id = session.client_id
        record.identity = session.identity.name
        record.method = session.identity.method
        record.attributes = attributes_of(session.identity)
        operation = Operation(interface.PUT_WILL, session.number)
        operation.will = record
        self.hub.core.committer.stage(operation)

    def _drop_will(self, number: int) -> None:
        self.hub.core.committer.stage(Operation(interface.DROP_WILL, number))

    def forget_will(self, session: Session) -> None:
        """The client took its will back [MQTT5-3.14.4-3]."""
        self._drop_will(session.number)

    def publish_will(self, session: Session) -> None:
        """Publishes the will that waits for this session, if its rules still let it [MQTT5-3.1.2-8]."""
        due = self._wills.pop(session.number, None)
        if due is None:
            return
        due.cancel()
        self._drop_will(session.number)
        will = due.will
        hub = self.hub
        identity = session.identity
        mask = hub.authorizer.publish_mask(identity, session.client_id, will.topic)
        if mask == ASK:
            hub.authorizer.decide(identity, session.client_id, will.topic, will.qos, will.retain, due.decided)
        else:
            self.will_decided(session, will, mask & publish_bit(will.qos, will.retain) != 0)

    def will_decided(self, session: Session, will: Will, allowed: bool) -> None:
        """Publishes a will that is due, if that is allowed."""
        hub = self.hub
        if not allowed:
            hub.core.counters.dropped_not_authorized += 1
            return
        message = Message(will.topic, will.payload, will.properties, will.qos, will.retain)
        message.publisher = session.number
        if will.message_expiry_interval >= 0:
            message.expires_at = hub.wall_time() + will.message_expiry_interval
        hub.publish(message, None)

    # -- recovery ----------------------------------------------------------------------------------

    def restore(self, recovered: Recovered) -> None:
        """Takes over what the store kept. Wills of clients that were connected count from now."""
        hub = self.hub
        hub.sequence = recovered.sequence
        hub.retained.restore(recovered.retained)
        by_number: dict[int, Session] = {}
        for record in recovered.sessions:
            session = self._restore_session(record)
            by_number[record.number] = session
            for kept in recovered.subscriptions.get(record.number, []):
                self._restore_subscription(session, kept)
        for will in recovered.wills:
            owner = by_number.get(will.session)
            self._restore_will(will, owner)
        for number, incoming in recovered.unrouted:
            message = incoming.message
            if message is not None:
                hub.publish(message, None)
                operation = Operation(interface.ROUTED_INCOMING, number)
                operation.key = incoming.packet_id
                hub.core.committer.stage(operation)

    def _restore_session(self, record: SessionRecord) -> Session:
        hub = self.hub
        identity = identity_of(record.identity, record.method, record.administrator, record.attributes)
        session = Session(hub, record.number, record.client_id, identity)
        session.version = record.version
        session.version_class = 5 if record.version == 5 else 4
        session.listener = record.listener
        session.durable = True
        session.loaded = False
        session.expiry_interval = record.expiry_interval
        self._number = max(self._number, record.number)
        self.sessions[record.client_id] = session
        if record.expiry_interval != NEVER:
            now = hub.wall_time()
            session.ends_at = record.ends_at or now + record.expiry_interval
            end = _SessionEnd(self, session)
            self._ends[record.number] = end
            hub.core.wheel.schedule(end, hub.core.now + max(0.0, session.ends_at - now))
        return session

    def _restore_subscription(self, session: Session, record: SubscriptionRecord) -> None:
        subscription = Subscription(session, record.topic_filter, record.qos, record.identifier)
        subscription.no_local = record.no_local
        subscription.retain_as_published = record.retain_as_published
        subscription.retain_handling = record.retain_handling
        shared = parse_shared(record.topic_filter)
        topic_filter = record.topic_filter
        if shared is not None:
            subscription.share, topic_filter = shared
        session.subscriptions[record.topic_filter] = subscription
        self.hub.router.subscribe(subscription, topic_filter)

    def _restore_will(self, record: WillRecord, owner: Session | None) -> None:
        hub = self.hub
        session = owner
        if session is None:
            self._number = max(self._number, record.session)
            identity = identity_of(record.identity, record.method, False, record.attributes)
            session = Session(hub, record.session, record.client_id, identity)
        due = _WillDue(self, session, record.will)
        self._wills[session.number] = due
        now = hub.wall_time()
        at = record.due or now + min(record.will.delay_interval, session.expiry_interval)
        hub.core.wheel.schedule(due, hub.core.now + max(0.0, at - now))
