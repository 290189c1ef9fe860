"""What routes are made of: subscriptions, shared ones in groups, and the deliveries they add up to.

One `Delivery` a session says how it gets the messages of a topic, whatever subscriptions it has for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from lockwire.mqtt.encoder import variable_byte_integer

if TYPE_CHECKING:
    from lockwire.broker.session import Session

_SUBSCRIPTION_IDENTIFIER: Final = b"\x0b"


@mypyc_attr(acyclic=True)
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


@mypyc_attr(acyclic=True)
class Delivery:
    """How a session gets the messages of one topic: the sum of its subscriptions that match it
    [MQTT5-3.3.4-2].

    `identifiers` are encoded properties. `own` is what holds for messages that the session itself published,
    where No Local makes a difference; `silent` means that it gets none of those.
    """

    def __init__(self, session: Session, qos: int, parts: list[Subscription]) -> None:
        self.session = session
        self.qos = qos
        self.parts = parts
        self.identifiers: bytes = b""
        self.retain_as_published: bool = False
        self.silent: bool = False
        self.own: Delivery | None = None
        self.plain: bool = True


@mypyc_attr(acyclic=True)
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
        self.deliveries.append(delivery_of([subscription]))

    def remove(self, session: Session) -> None:
        """Takes a member out."""
        for index, member in enumerate(self.members):
            if member.session is session:
                del self.members[index]
                del self.deliveries[index]
                return


@mypyc_attr(acyclic=True)
class Subscribers:
    """Who subscribed to one filter. Most filters have one subscriber: that one costs no table."""

    def __init__(self) -> None:
        self.first: Subscription | None = None
        self.others: dict[int, Subscription] | None = None
        self.groups: dict[str, ShareGroup] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nobody is left."""
        return self.first is None and not self.others and not self.groups

    def put(self, subscription: Subscription) -> bool:
        """Adds a subscription that is not shared, or replaces the session's; returns whether it had none."""
        session = subscription.session
        first = self.first
        others = self.others
        if first is not None and first.session is session:
            self.first = subscription
            return False
        if others is not None and session.number in others:
            others[session.number] = subscription
            return False
        if first is None:
            self.first = subscription
        elif others is None:
            self.others = {session.number: subscription}
        else:
            others[session.number] = subscription
        return True

    def remove(self, session: Session) -> bool:
        """Takes away the session's subscription that is not shared; returns whether there was one."""
        first = self.first
        if first is not None and first.session is session:
            self.first = None
            return True
        others = self.others
        return others is not None and others.pop(session.number, None) is not None

    def group(self, share: str) -> ShareGroup | None:
        """The group of this share name."""
        groups = self.groups
        return None if groups is None else groups.get(share)


@mypyc_attr(acyclic=True)
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

    def index_of(self, session: Session) -> int:
        """Where the session's delivery is, -1: nowhere."""
        for index, delivery in enumerate(self.deliveries):
            if delivery.session is session:
                return index
        return -1

    def look(self) -> None:
        """Finds out again whether there is more to do than to forward the same bytes to everyone."""
        special = bool(self.groups)
        for delivery in self.deliveries:
            if not delivery.plain:
                special = True
        self.special = special


def identifier_property(identifier: int) -> bytes:
    """A Subscription Identifier as an encoded property; empty for 0, none."""
    return _SUBSCRIPTION_IDENTIFIER + variable_byte_integer(identifier) if identifier else b""


def delivery_of(subscriptions: list[Subscription]) -> Delivery:
    """The sum of a session's subscriptions that match one topic."""
    delivery = _sum_of(subscriptions)
    local = False
    for subscription in subscriptions:
        if subscription.no_local:
            local = True
    if local:
        others = [subscription for subscription in subscriptions if not subscription.no_local]
        own = _sum_of(others) if others else Delivery(subscriptions[0].session, 0, [])
        own.silent = not others
        delivery.own = own
        delivery.plain = False
    return delivery


def _sum_of(subscriptions: list[Subscription]) -> Delivery:
    first = subscriptions[0]
    qos = 0
    identifiers = b""
    retain_as_published = False
    for subscription in subscriptions:
        if subscription.qos > qos:
            qos = subscription.qos
        if subscription.identifier:
            identifiers += identifier_property(subscription.identifier)
        if subscription.retain_as_published:
            retain_as_published = True
    delivery = Delivery(first.session, qos, subscriptions)
    delivery.identifiers = identifiers
    delivery.retain_as_published = retain_as_published
    delivery.plain = not identifiers and not retain_as_published
    return delivery
