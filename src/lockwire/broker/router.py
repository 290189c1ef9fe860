"""Routing: which sessions get a message, computed once a topic and kept until a subscription concerns it.

A `Route` is all that a topic leads to. A subscription change makes stale only the routes whose topic its
filter matches, found through a tree of the routed topics (DESIGN.md section 2, rule 3).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from lockwire.access.authorizer import Authorizer
from lockwire.access.observer import Observer
from lockwire.broker.core import BACKLOG
from lockwire.broker.counters import Counters
from lockwire.broker.routes import Route, ShareGroup, Subscribers, Subscription, delivery_of
from lockwire.broker.topictree import FilterTree, NameTree
from lockwire.mqtt.message import Message

if TYPE_CHECKING:
    from lockwire.broker.link import Link
    from lockwire.broker.session import Session

ROUTES: Final = 200_000
"""Routes kept at most."""
SEEN: Final = 2 * ROUTES
"""Topics remembered as seen before their route is kept, a number each."""
LONG: Final = 1024
"""Bytes of a topic that is not worth its place among the routes kept."""


class Router:
    """All subscriptions of a broker, and the routes they make."""

    def __init__(self, counters: Counters, authorizer: Authorizer) -> None:
        self.counters = counters
        self.authorizer = authorizer
        self.observer: Observer | None = None
        self.routes: dict[bytes, Route] = {}
        self.subscriptions: int = 0
        self.shared_subscriptions: int = 0
        self.maximum_references: int = 2_000_000
        self._filters: FilterTree[Subscribers] = FilterTree()
        self._routed: NameTree[Route] = NameTree()
        self._order: deque[bytes] = deque()
        self._references: int = 0
        self._seen: set[int] = set()

    # -- subscriptions -----------------------------------------------------------------------------

    def subscribe(self, subscription: Subscription, topic_filter: str) -> bool:
        """Adds a subscription to `topic_filter` (without $share); returns whether the session had none
        there.
        """
        subscribers = self._filters.get(topic_filter)
        if subscribers is None:
            subscribers = Subscribers()
            self._filters.put(topic_filter, subscribers)
        if subscription.share:
            new = self._join(subscribers, subscription, topic_filter)
        else:
            new = subscribers.put(subscription)
            for route in self._concerned(topic_filter):
                self._extend(route, subscription)
        self.subscriptions += new
        return new

    def _join(self, subscribers: Subscribers, subscription: Subscription, topic_filter: str) -> bool:
        group = subscribers.group(subscription.share)
        if group is None:
            group = ShareGroup()
            if subscribers.groups is None:
                subscribers.groups = {}
            subscribers.groups[subscription.share] = group
            for route in self._concerned(topic_filter):
                route.groups = [*route.groups, group]
                route.special = True
        before = len(group.members)
        group.put(subscription)
        new = len(group.members) > before
        self.shared_subscriptions += new
        return new

    def unsubscribe(self, session: Session, topic_filter: str, share: str) -> bool:
        """Takes a subscription away; returns whether there was one."""
        subscribers = self._filters.get(topic_filter)
        if subscribers is None:
            return False
        if share:
            found = self._part(subscribers, session, topic_filter, share)
        else:
            found = subscribers.remove(session)
            if found:
                for route in self._concerned(topic_filter):
                    self._reduce(route, session, topic_filter)
        self.subscriptions -= found
        if subscribers.is_empty:
            self._filters.remove(topic_filter)
        return found

    def _part(self, subscribers: Subscribers, session: Session, topic_filter: str, share: str) -> bool:
        group = subscribers.group(share)
        if group is None:
            return False
        before = len(group.members)
        group.remove(session)
        found = len(group.members) < before
        self.shared_subscriptions -= found
        if not group.members and subscribers.groups is not None:
            del subscribers.groups[share]
            for route in self._concerned(topic_filter):
                route.groups = [other for other in route.groups if other is not group]
                route.look()
        return found

    # -- changes of routes: in their place, with new lists, since somebody may be walking the old ones

    def _concerned(self, topic_filter: str) -> list[Route]:
        """The routes whose topic the filter matches."""
        if "+" in topic_filter or "#" in topic_filter:
            return self._routed.matching(topic_filter)
        exact = self.routes.get(topic_filter.encode())
        return [] if exact is None else [exact]

    def _extend(self, route: Route, subscription: Subscription) -> None:
        """A subscription begins to count for a route."""
        session = subscription.session
        index = route.index_of(session)
        if index < 0:
            if not self.authorizer.may_receive(session.identity, session.client_id, route.topic):
                return
            delivery = delivery_of([subscription])
            route.deliveries = [*route.deliveries, delivery]
            route.references += 1
            self._references += 1
        else:
            name = subscription.topic_filter
            parts = [part for part in route.deliveries[index].parts if part.topic_filter != name]
            parts.append(subscription)
            delivery = delivery_of(parts)
            deliveries = list(route.deliveries)
            deliveries[index] = delivery
            route.deliveries = deliveries
        if not delivery.plain:
            route.special = True

    def _reduce(self, route: Route, session: Session, topic_filter: str) -> None:
        """A subscription counts no more for a route."""
        index = route.index_of(session)
        if index < 0:
            return
        deliveries = list(route.deliveries)
        delivery = deliveries[index]
        parts = [part for part in delivery.parts if part.topic_filter != topic_filter]
        if parts:
            deliveries[index] = delivery_of(parts)
        else:
            del deliveries[index]
            route.references -= 1
            self._references -= 1
        route.deliveries = deliveries
        if not delivery.plain:
            route.look()

    # -- routes ------------------------------------------------------------------------------------

    def route(self, topic: bytes, name: str) -> Route:
        """The route of a valid topic name, given as it is on the wire and decoded."""
        route = self.routes.get(topic)
        if route is None:
            route = self._build(topic, name)
            if len(topic) <= LONG and self._seen_before(topic):
                self._keep(route)
            else:
                route.stale = True
        return route

    def _seen_before(self, topic: bytes) -> bool:
        """Whether the topic was routed lately: one that comes only once is not worth a place."""
        seen = self._seen
        mark = hash(topic)
        if mark in seen:
            return True
        if len(seen) >= SEEN:
            seen.clear()
        seen.add(mark)
        return False

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
            first = subscribers.first
            if first is not None:
                _gather(by_session, first)
            others = subscribers.others
            if others is not None:
                for subscription in others.values():
                    _gather(by_session, subscription)
            if subscribers.groups is not None:
                route.groups.extend(subscribers.groups.values())
        route.special = bool(route.groups)
        authorizer = self.authorizer
        for subscriptions in by_session.values():
            session = subscriptions[0].session
            if authorizer.may_receive(session.identity, session.client_id, topic):
                delivery = delivery_of(subscriptions)
                route.deliveries.append(delivery)
                if self.observer is not None and not topic.startswith(b"$SYS/"):
                    self.observer.received(session.identity, session.client_id, topic)
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
            if link.outbox_bytes > BACKLOG and link.crowded(publisher):
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


def _gather(by_session: dict[int, list[Subscription]], subscription: Subscription) -> None:
    number = subscription.session.number
    parts = by_session.get(number)
    if parts is None:
        by_session[number] = [subscription]
    else:
        parts.append(subscription)


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
