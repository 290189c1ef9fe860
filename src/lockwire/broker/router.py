"""Routing: which sessions get a message, computed once a topic and kept until a subscription concerns it.

A `Route` is all that a topic leads to. A subscription change makes stale only the routes whose topic its
filter matches, found through a tree of the routed topics (DESIGN.md section 2, rule 3).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from lockwire.access.authorizer import Authorizer
from lockwire.broker.counters import Counters
from lockwire.broker.topictree import FilterTree, NameTree
from lockwire.mqtt.encoder import variable_byte_integer
from lockwire.mqtt.message import Message

if TYPE_CHECKING:
    from lockwire.broker.link import Link
    from lockwire.broker.session import Session

ROUTES: Final = 200_000
"""Routes kept at most."""
LONG: Final = 1024
"""Bytes of a topic that is not worth its place among the routes kept."""
_SUBSCRIPTION_IDENTIFIER: Final = b"\x0b"


class Subscription:
    """One subscription of a session. `topic_filter` is as subscribed, with $share; `share` "" where not
    shared.
    """

    def __init__(self, session: Session, topic_filter: str, qos: int, identifier: int) -> None:
        self.session = session
        self.topic_filter = topic_filter
        self.qos = qos
        self.identifier = identifier
        self.no_local: bool = False
        self.retain_as_published: bool = False
        self.retain_handling: int = 0
        self.share: str = ""


class Delivery:
    """How a session gets the messages of one topic: the sum of its subscriptions that match it
    [MQTT5-3.3.4-2].

    `identifiers` are encoded properties. `own` is what holds for messages that the session itself published,
    where No Local makes a difference; `silent` means that it gets none of those.
    """

    def __init__(self, session: Session, qos: int) -> None:
        self.session = session
        self.qos = qos
        self.identifiers: bytes = b""
        self.retain_as_published: bool = False
        self.silent: bool = False
        self.own: Delivery | None = None
        self.plain: bool = True


class ShareGroup:
    """The members of one shared subscription; each message goes to one of them, in turn (MQTT 5 section
    4.8.2).
    """

    def __init__(self) -> None:
        self.members: list[Subscription] = []
        self.deliveries: list[Delivery] = []
        self.turn: int = 0

    def next_delivery(self) -> Delivery | None:
        """The next member in turn that is connected and has room; else the next that will keep the
        message.
        """
        deliveries = self.deliveries
        count = len(deliveries)
        kept: Delivery | None = None
        for step in range(count):
            index = (self.turn + step) % count
            delivery = deliveries[index]
            session = delivery.session
            if session.is_ready:
                self.turn = index + 1
                return delivery
            if kept is None and session.keeps_messages:
                kept = delivery
        if kept is not None:
            self.turn += 1
        return kept

    def put(self, subscription: Subscription) -> None:
        """Adds a member, or replaces its subscription."""
        self.remove(subscription.session)
        self.members.append(subscription)
        self.deliveries.append(_delivery_of([subscription]))

    def remove(self, session: Session) -> None:
        """Takes a member out."""
        for index, member in enumerate(self.members):
            if member.session is session:
                del self.members[index]
                del self.deliveries[index]
                return


class Subscribers:
    """Who subscribed to one filter."""

    def __init__(self) -> None:
        self.direct: dict[int, Subscription] = {}
        self.groups: dict[str, ShareGroup] = {}


class Route:
    """What a topic leads to. `stale`: a subscription or a rule has changed since, look again."""

    def __init__(self, topic: bytes, name: str) -> None:
        self.topic = topic
        self.name = name
        self.deliveries: list[Delivery] = []
        self.groups: list[ShareGroup] = []
        self.stale: bool = False
        self.special: bool = False
        self.references: int = 0


class Router:
    """All subscriptions of a broker, and the routes they make."""

    def __init__(self, counters: Counters, authorizer: Authorizer) -> None:
        self.counters = counters
        self.authorizer = authorizer
        self.routes: dict[bytes, Route] = {}
        self.subscriptions: int = 0
        self.shared_subscriptions: int = 0
        self.maximum_references: int = 2_000_000
        self._filters: FilterTree[Subscribers] = FilterTree()
        self._routed: NameTree[Route] = NameTree()
        self._order: deque[bytes] = deque()
        self._references: int = 0

    # -- subscriptions -----------------------------------------------------------------------------

    def subscribe(self, subscription: Subscription, topic_filter: str) -> bool:
        """Adds a subscription to `topic_filter` (without $share); returns whether the session had none
        there.
        """
        subscribers = self._filters.get(topic_filter)
        if subscribers is None:
            subscribers = Subscribers()
            self._filters.put(topic_filter, subscribers)
        session = subscription.session
        if subscription.share:
            group = subscribers.groups.get(subscription.share)
            if group is None:
                group = ShareGroup()
                subscribers.groups[subscription.share] = group
            before = len(group.members)
            group.put(subscription)
            new = len(group.members) > before
            self.shared_subscriptions += new
        else:
            new = session.number not in subscribers.direct
            subscribers.direct[session.number] = subscription
        self.subscriptions += new
        self.invalidate(topic_filter)
        return new

    def unsubscribe(self, session: Session, topic_filter: str, share: str) -> bool:
        """Takes a subscription away; returns whether there was one."""
        subscribers = self._filters.get(topic_filter)
        if subscribers is None:
            return False
        if share:
            group = subscribers.groups.get(share)
            if group is None:
                return False
            before = len(group.members)
            group.remove(session)
            found = len(group.members) < before
            self.shared_subscriptions -= found
            if not group.members:
                del subscribers.groups[share]
        else:
            found = subscribers.direct.pop(session.number, None) is not None
        if found:
            self.subscriptions -= 1
            self.invalidate(topic_filter)
        if not subscribers.direct and not subscribers.groups:
            self._filters.remove(topic_filter)
        return found

    # -- routes ------------------------------------------------------------------------------------

    def route(self, topic: bytes, name: str) -> Route:
        """The route of a valid topic name, given as it is on the wire and decoded."""
        route = self.routes.get(topic)
        if route is None:
            route = self._build(topic, name)
            if len(topic) > LONG:
                route.stale = True
            else:
                self._keep(route)
        return route

    def invalidate(self, topic_filter: str) -> None:
        """Makes stale the routes that a change at `topic_filter` concerns."""
        if "+" in topic_filter or "#" in topic_filter:
            for route in self._routed.matching(topic_filter):
                self._forget(route)
        else:
            exact = self.routes.get(topic_filter.encode())
            if exact is not None:
                self._forget(exact)

    def invalidate_all(self) -> None:
        """Makes every route stale: the rules have changed."""
        for route in list(self.routes.values()):
            self._forget(route)

    def _forget(self, route: Route) -> None:
        route.stale = True
        del self.routes[route.topic]
        self._routed.remove(route.name)
        self._references -= route.references

    def _keep(self, route: Route) -> None:
        while len(self.routes) >= ROUTES or (self._references > self.maximum_references and self.routes):
            oldest = self.routes.get(self._order.popleft())
            if oldest is not None:
                self.counters.routes_evicted += 1
                self._forget(oldest)
        if len(self._order) > 2 * ROUTES:
            self._order = deque(self.routes)
        self.routes[route.topic] = route
        self._routed.put(route.name, route)
        self._order.append(route.topic)
        # A level of a topic that nobody shares costs about what two deliveries do.
        route.references = len(route.deliveries) + 2 * (route.name.count("/") + 1)
        self._references += route.references

    def _build(self, topic: bytes, name: str) -> Route:
        self.counters.routes_built += 1
        route = Route(topic, name)
        by_session: dict[int, list[Subscription]] = {}
        for subscribers in self._filters.matching(name):
            for number, subscription in subscribers.direct.items():
                if number in by_session:
                    by_session[number].append(subscription)
                else:
                    by_session[number] = [subscription]
            route.groups.extend(subscribers.groups.values())
        route.special = bool(route.groups)
        authorizer = self.authorizer
        for subscriptions in by_session.values():
            session = subscriptions[0].session
            if authorizer.may_receive(session.identity, session.client_id, topic):
                delivery = _delivery_of(subscriptions)
                route.deliveries.append(delivery)
                if not delivery.plain:
                    route.special = True
        return route

    # -- messages ----------------------------------------------------------------------------------

    def forward(self, route: Route, frame: bytes, version: int, publisher: Link) -> None:
        """Delivers a QoS 0 PUBLISH whose frame can leave as it came, to all who want it just so (rule 2).

        Only for routes that are not `special` and have no groups; subscribers of the other version get a
        frame encoded once for all of them.
        """
        other: Message | None = None
        counters = self.counters
        for delivery in route.deliveries:
            session = delivery.session
            link = session.link
            if link is None:
                continue
            if session.version_class != version:
                if other is None:
                    other = _reread(frame, route.topic, version)
                out = other.frame(session.version_class)
            else:
                out = frame
            if session.must_look:
                if other is None:
                    other = _reread(frame, route.topic, version)
                session.deliver(other, delivery, publisher)
                continue
            counters.publish_sent_qos0 += 1
            link.outbox.append(out)
            link.outbox_bytes += len(out)
            if not link.dirty:
                link.dirty = True
                link.core.mark(link)
            if link.outbox_bytes > 524_288 and link.crowded(publisher):
                counters.publish_sent_qos0 -= 1
                counters.dropped_outbox_full += 1
                link.drop_last(out)

    def publish(self, route: Route, message: Message, publisher: Link | None) -> int:
        """Delivers `message` to everyone the route leads to; returns how many that were."""
        count = 0
        for delivery in route.deliveries:
            session = delivery.session
            if delivery.own is not None and session.number == message.publisher:
                if delivery.own.silent:
                    continue
                session.deliver(message, delivery.own, publisher)
            else:
                session.deliver(message, delivery, publisher)
            count += 1
        for group in route.groups:
            count += self._publish_to_one(group, message, publisher)
        return count

    def _publish_to_one(self, group: ShareGroup, message: Message, publisher: Link | None) -> int:
        for _ in range(len(group.deliveries)):
            delivery = group.next_delivery()
            if delivery is None:
                return 0
            session = delivery.session
            if self.authorizer.may_receive(session.identity, session.client_id, message.topic):
                session.deliver(message, delivery, publisher)
                return 1
        return 0


def identifier_property(identifier: int) -> bytes:
    """A Subscription Identifier as an encoded property; empty for 0, none."""
    return _SUBSCRIPTION_IDENTIFIER + variable_byte_integer(identifier) if identifier else b""


def _delivery_of(subscriptions: list[Subscription]) -> Delivery:
    """The sum of a session's subscriptions that match one topic."""
    delivery = _sum_of(subscriptions)
    if any(subscription.no_local for subscription in subscriptions):
        others = [subscription for subscription in subscriptions if not subscription.no_local]
        own = _sum_of(others) if others else Delivery(subscriptions[0].session, 0)
        own.silent = not others
        delivery.own = own
        delivery.plain = False
    return delivery


def _sum_of(subscriptions: list[Subscription]) -> Delivery:
    delivery = Delivery(subscriptions[0].session, max(subscription.qos for subscription in subscriptions))
    identifiers = b"".join([identifier_property(subscription.identifier) for subscription in subscriptions])
    delivery.identifiers = identifiers
    delivery.retain_as_published = any(subscription.retain_as_published for subscription in subscriptions)
    delivery.plain = not identifiers and not delivery.retain_as_published
    return delivery


def _reread(frame: bytes, topic: bytes, version: int) -> Message:
    """The message in a QoS 0 PUBLISH frame without properties."""
    start = 2
    while frame[start - 1] & 0x80:
        start += 1
    start += 2 + len(topic)
    message = Message(topic, frame[start + 1 :] if version == 5 else frame[start:], b"", 0, False)
    if version == 5:
        message._frame5 = frame
    else:
        message._frame4 = frame
    return message
