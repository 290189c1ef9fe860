"""SUBSCRIBE and UNSUBSCRIBE (MQTT 5 sections 3.8 to 3.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lockwire.access.authorizer import ASK
from lockwire.broker.commit import Effect
from lockwire.broker.core import Job
from lockwire.broker.routes import Subscription, identifier_property
from lockwire.broker.session import Session
from lockwire.mqtt import reasons
from lockwire.mqtt.encoder import encode_suback, encode_unsuback
from lockwire.mqtt.errors import ProtocolError
from lockwire.mqtt.message import Message
from lockwire.mqtt.packets import Subscribe, SubscriptionRequest, Unsubscribe
from lockwire.mqtt.topics import parse_shared, validate_topic_filter
from lockwire.store import interface
from lockwire.store.interface import Operation, StoreError

if TYPE_CHECKING:
    from lockwire.broker.connection import Connection

ASKED: Final = -1
HIGHEST_QOS: Final = 2


class _UndoneIfRefused(Effect):
    """Subscriptions that the SUBACK denies where the store did not keep them."""

    def __init__(self, session: Session, made: list[tuple[Subscription, Subscription | None, str]]) -> None:
        self.session = session
        self.made = made

    def committed(self) -> None:
        """They stay."""

    def refused(self, error: StoreError) -> None:
        session = self.session
        router = session.hub.router
        for subscription, previous, topic_filter in reversed(self.made):
            if session.subscriptions.get(subscription.topic_filter) is not subscription:
                continue
            if previous is not None:
                session.subscriptions[subscription.topic_filter] = previous
                router.subscribe(previous, topic_filter)
            else:
                del session.subscriptions[subscription.topic_filter]
                router.unsubscribe(session, topic_filter, subscription.share)


class _ReplayAfterCommit(Effect):
    """Retained messages, which come behind the SUBACK that waits."""

    def __init__(self, subscribing: Subscribing) -> None:
        self.subscribing = subscribing

    def committed(self) -> None:
        self.subscribing.replay()

    def refused(self, error: StoreError) -> None:
        """The SUBACK said that there is no subscription."""


class Subscribing(Job):
    """One SUBSCRIBE being answered: its filters are judged in turn, by the rules or by who they leave it
    to.
    """

    def __init__(self, connection: Connection, session: Session, packet: Subscribe) -> None:
        self._connection = connection
        self._session = session
        self._packet = packet
        self._next: int = 0
        self._granted: list[int] = []
        self._replays: list[tuple[Subscription, str]] = []
        self._replayed: int = 0
        self._made: list[tuple[Subscription, Subscription | None, str]] = []
        self._answered: bool = False
        self._staged: int = connection.core.committer.staged

    def go_on(self) -> None:
        """Judges the filters that are left, then answers."""
        connection = self._connection
        requests = self._packet.requests
        judged = False
        while self._next < len(requests):
            if judged and connection.core.out_of_time():
                connection.park()
                connection.core.work(self)
                return
            judged = True
            request = requests[self._next]
            code = _judge(connection, self._session, request)
            if code == ASKED:
                connection.park()
                connection.hub.authorizer.decide_subscription(
                    connection.identity,
                    connection.client_id,
                    request.topic_filter,
                    request.qos,
                    self._decided,
                )
                return
            self._judged(request, code)
        self._answer()

    def _decided(self, allowed: bool) -> None:
        connection = self._connection
        if connection.session is not self._session:
            return
        connection.unpark()
        request = self._packet.requests[self._next]
        highest = min(request.qos, connection.listener.maximum_qos)
        self._judged(request, highest if allowed else reasons.NOT_AUTHORIZED)
        self.go_on()

    def step(self) -> bool:
        """Goes on in a later tick with what was too much for one."""
        connection = self._connection
        if connection.session is not self._session:
            return False
        if self._answered:
            self.replay()
        else:
            connection.unpark()
            self.go_on()
        return False

    def _judged(self, request: SubscriptionRequest, code: int) -> None:
        connection = self._connection
        self._next += 1
        exposure = connection.listener.exposure
        if exposure is not None:
            exposure.topic(request.topic_filter)
        if code <= HIGHEST_QOS:
            identifier = self._packet.subscription_identifier
            previous = self._session.subscriptions.get(request.topic_filter)
            subscription, topic_filter = _make(connection, self._session, request, code, identifier)
            self._made.append((subscription, previous, topic_filter))
            observer = connection.hub.router.observer
            if observer is not None:
                observer.subscribed(
                    connection.identity, connection.client_id, request.topic_filter, subscription.qos
                )
            wanted = request.retain_handling == 0 or (request.retain_handling == 1 and previous is None)
            if wanted and not subscription.share:
                self._replays.append((subscription, topic_filter))
        else:
            connection.core.counters.subscribe_refused += 1
            connection.record("subscribe", code, _detail(connection, request, code))
            if connection.version != 5:
                code = 0x80
        self._granted.append(code)

    def _answer(self) -> None:
        connection = self._connection
        version = connection.version
        granted = self._granted
        self._answered = True
        frame = encode_suback(version, self._packet.packet_id, granted)
        if connection.core.committer.staged != self._staged:
            refused = [reasons.UNSPECIFIED_ERROR] * len(granted)
            connection.answer_after(frame, encode_suback(version, self._packet.packet_id, refused))
            connection.core.committer.after(_UndoneIfRefused(self._session, self._made))
            if self._replays:
                connection.core.committer.after(_ReplayAfterCommit(self))
        else:
            connection.answer(frame)
            self.replay()

    def replay(self) -> None:
        """Sends the retained messages that the new subscriptions ask for: in later ticks what is too much
        for one, and no more than twice all there are, however often a packet asks for them.
        """
        connection = self._connection
        session = self._session
        hub = connection.hub
        replays = self._replays
        while self._replayed < len(replays) and connection.session is session:
            if session.waiting > hub.queue_messages + 2 * len(hub.retained):
                hub.core.counters.dropped_queue_full += 1
                return
            subscription, topic_filter = replays[self._replayed]
            self._replayed += 1
            _replay(connection, session, subscription, topic_filter)
            if hub.core.out_of_time():
                hub.core.work(self)
                return


def subscribe(connection: Connection, packet: Subscribe) -> None:
    """Makes the subscriptions that are allowed, answers, and sends the retained messages they ask for."""
    session = connection.session
    assert session is not None
    Subscribing(connection, session, packet).go_on()


def _judge(connection: Connection, session: Session, request: SubscriptionRequest) -> int:
    """The QoS that is granted, the reason code of a refusal, or ASKED: somebody else decides."""
    topic_filter = request.topic_filter
    hub = connection.hub
    try:
        validate_topic_filter(topic_filter)
    except ProtocolError as error:
        if connection.version != 5:
            raise
        return error.reason
    if topic_filter.count("/") >= hub.topic_levels:
        return reasons.TOPIC_FILTER_INVALID
    if topic_filter not in session.subscriptions and (
        len(session.subscriptions) >= hub.subscriptions_per_client
        or hub.router.subscriptions >= hub.subscriptions
    ):
        return reasons.QUOTA_EXCEEDED
    if session.waiting > hub.queue_messages:
        return reasons.QUOTA_EXCEEDED  # the retained messages of earlier ones are still to be read
    highest = min(request.qos, connection.listener.maximum_qos)
    granted = hub.authorizer.granted_qos(connection.identity, connection.client_id, topic_filter, highest)
    if granted == ASK:
        return ASKED
    return granted if granted >= 0 else reasons.NOT_AUTHORIZED


def _detail(connection: Connection, request: SubscriptionRequest, code: int) -> str:
    """What the record of a refusal says."""
    topic_filter = request.topic_filter
    why = ""
    if code == reasons.NOT_AUTHORIZED:
        why = connection.hub.authorizer.refusal(
            connection.identity, connection.client_id, "subscribe", topic_filter, request.qos, False
        )
    return f"may not subscribe to {topic_filter!r}" + (f": {why}" if why else "")


def _make(
    connection: Connection, session: Session, request: SubscriptionRequest, qos: int, identifier: int
) -> tuple[Subscription, str]:
    """Makes or replaces one subscription [MQTT5-3.8.4-3]; returns it and its filter."""
    subscription = Subscription(session, request.topic_filter, qos, identifier)
    subscription.no_local = request.no_local
    subscription.retain_as_published = request.retain_as_published
    subscription.retain_handling = request.retain_handling
    topic_filter = request.topic_filter
    shared = parse_shared(topic_filter)
    if shared is not None:
        subscription.share, topic_filter = shared
    session.subscriptions[request.topic_filter] = subscription
    connection.hub.router.subscribe(subscription, topic_filter)
    registry = connection.hub.registry
    if session.durable and registry is not None:
        registry.stage_subscription(subscription)
    return subscription, topic_filter


def _replay(connection: Connection, session: Session, subscription: Subscription, topic_filter: str) -> None:
    """Sends the retained messages that match a new subscription [MQTT5-3.3.1-9 to 3.3.1-11]."""
    hub = connection.hub
    found: list[Message] = hub.retained.matching(topic_filter, hub.wall_time())
    if not found:
        return
    session.replay_retained(found, subscription.qos, identifier_property(subscription.identifier))


def unsubscribe(connection: Connection, packet: Unsubscribe) -> None:
    """Takes subscriptions away and answers [MQTT5-3.10.4-4, 3.10.4-5]."""
    session = connection.session
    assert session is not None
    committer = connection.core.committer
    before = committer.staged
    codes: list[int] = []
    for topic_filter in packet.topic_filters:
        subscription = session.subscriptions.pop(topic_filter, None)
        if subscription is None:
            codes.append(_missing(connection, topic_filter))
            continue
        shared = parse_shared(topic_filter)
        plain = topic_filter if shared is None else shared[1]
        connection.hub.router.unsubscribe(session, plain, subscription.share)
        codes.append(reasons.SUCCESS)
        if session.durable:
            operation = Operation(interface.DROP_SUBSCRIPTION, session.number)
            operation.name = topic_filter
            committer.stage(operation)
    frame = encode_unsuback(connection.version, packet.packet_id, codes)
    if committer.staged != before:
        refused = b""
        if connection.version == 5:
            refused = encode_unsuback(5, packet.packet_id, [reasons.UNSPECIFIED_ERROR] * len(codes))
        connection.answer_after(frame, refused)
    else:
        connection.answer(frame)


def _missing(connection: Connection, topic_filter: str) -> int:
    try:
        validate_topic_filter(topic_filter)
    except ProtocolError as error:
        if connection.version != 5:
            raise
        return error.reason
    return reasons.NO_SUBSCRIPTION_EXISTED
