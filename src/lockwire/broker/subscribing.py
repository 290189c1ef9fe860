"""SUBSCRIBE and UNSUBSCRIBE (MQTT 5 sections 3.8 to 3.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockwire.broker.router import Subscription, identifier_property
from lockwire.broker.session import Session
from lockwire.mqtt import reasons
from lockwire.mqtt.encoder import encode_suback, encode_unsuback
from lockwire.mqtt.errors import ProtocolError
from lockwire.mqtt.message import Message
from lockwire.mqtt.packets import Subscribe, SubscriptionRequest, Unsubscribe
from lockwire.mqtt.topics import parse_shared, validate_topic_filter
from lockwire.store import interface
from lockwire.store.interface import Operation

if TYPE_CHECKING:
    from lockwire.broker.connection import Connection


def subscribe(connection: Connection, packet: Subscribe) -> None:
    """Makes the subscriptions that are allowed, answers, and sends the retained messages they ask for."""
    session = connection.session
    assert session is not None
    committer = connection.core.committer
    before = committer.staged
    granted: list[int] = []
    replays: list[tuple[Subscription, str]] = []
    for request in packet.requests:
        code = _refusal(connection, session, request)
        if code == 0:
            subscription, topic_filter, is_new = _make(
                connection, session, request, packet.subscription_identifier
            )
            code = subscription.qos
            wanted = request.retain_handling == 0 or (request.retain_handling == 1 and is_new)
            if wanted and not subscription.share:
                replays.append((subscription, topic_filter))
        else:
            connection.core.counters.subscribe_refused += 1
            connection.record("subscribe", code, f"may not subscribe to {request.topic_filter!r}")
            if connection.version != 5:
                code = 0x80
        granted.append(code)
    frame = encode_suback(connection.version, packet.packet_id, granted)
    if committer.staged != before:
        refused = encode_suback(
            connection.version, packet.packet_id, [reasons.UNSPECIFIED_ERROR] * len(granted)
        )
        connection.answer_after(frame, refused)
    else:
        connection.answer(frame)
    for subscription, topic_filter in replays:
        _replay(connection, session, subscription, topic_filter)


def _refusal(connection: Connection, session: Session, request: SubscriptionRequest) -> int:
    """The reason code a subscription is refused with; 0: it is not."""
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
    if not hub.authorizer.may_subscribe(connection.identity, connection.client_id, topic_filter):
        return reasons.NOT_AUTHORIZED
    return 0


def _make(
    connection: Connection, session: Session, request: SubscriptionRequest, identifier: int
) -> tuple[Subscription, str, bool]:
    """Makes or replaces one subscription [MQTT5-3.8.4-3]; returns it, its filter and whether it is new."""
    qos = min(request.qos, connection.listener.maximum_qos)
    subscription = Subscription(session, request.topic_filter, qos, identifier)
    subscription.no_local = request.no_local
    # What MQTT 3 calls a bridge wants RETAIN as it was published, so that it can pass it on.
    subscription.retain_as_published = request.retain_as_published
    subscription.retain_handling = request.retain_handling
    topic_filter = request.topic_filter
    shared = parse_shared(topic_filter)
    if shared is not None:
        subscription.share, topic_filter = shared
    is_new = request.topic_filter not in session.subscriptions
    session.subscriptions[request.topic_filter] = subscription
    connection.hub.router.subscribe(subscription, topic_filter)
    registry = connection.hub.registry
    if session.durable and registry is not None:
        registry.stage_subscription(subscription)
    return subscription, topic_filter, is_new


def _replay(connection: Connection, session: Session, subscription: Subscription, topic_filter: str) -> None:
    """Sends the retained messages that match a new subscription [MQTT5-3.3.1-9 to 3.3.1-11]."""
    hub = connection.hub
    found: list[Message] = hub.retained.matching(topic_filter, hub.wall_time())
    if not found:
        return
    identifiers = identifier_property(subscription.identifier)
    for message in found:
        if hub.authorizer.may_receive(session.identity, session.client_id, message.topic):
            session.deliver_retained(message, min(subscription.qos, message.qos), identifiers)


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
