"""Routes changed in their place are what a router that starts afresh would find."""

from __future__ import annotations

import random

import pytest

from lockwire.access.identity import Identity
from lockwire.broker.hub import Hub
from lockwire.broker.router import Router
from lockwire.broker.routes import Route, Subscription
from lockwire.broker.session import Session
from lockwire.mqtt.topics import parse_shared
from tests.support.inprocess import serving

FILTERS = ["a", "a/b", "a/+", "a/#", "+/b", "#", "$share/g/a/b", "$share/g/a/+", "$share/h/#", "c/+/d"]
TOPICS = [b"a", b"a/b", b"a/c", b"b/b", b"c/x/d", b"$x"]
Key = tuple[int, str]


def described(route: Route) -> tuple[object, ...]:
    """What a route leads to, in an order of its own."""
    deliveries = sorted(
        (
            each.session.number,
            each.qos,
            sorted(each.identifiers),
            each.retain_as_published,
            each.own is not None and each.own.silent,
        )
        for each in route.deliveries
    )
    groups = sorted(sorted(member.session.number for member in group.members) for group in route.groups)
    return deliveries, groups, route.special


def subscribe(router: Router, subscription: Subscription) -> None:
    shared = parse_shared(subscription.topic_filter)
    if shared is not None:
        subscription.share = shared[0]
    router.subscribe(subscription, subscription.topic_filter if shared is None else shared[1])


def unsubscribe(router: Router, session: Session, topic_filter: str) -> None:
    share, plain = parse_shared(topic_filter) or ("", topic_filter)
    assert router.unsubscribe(session, plain, share)


def chosen(rng: random.Random, session: Session, topic_filter: str) -> Subscription:
    subscription = Subscription(session, topic_filter, rng.randrange(3), rng.choice([0, 0, 1, 300]))
    shared = topic_filter.startswith("$share")
    subscription.no_local = not shared and rng.random() < 0.2
    subscription.retain_as_published = rng.random() < 0.2
    return subscription


def afresh(hub: Hub, kept: dict[Key, Subscription]) -> Router:
    router = Router(hub.core.counters, hub.authorizer)
    for subscription in kept.values():
        subscribe(router, subscription)
    return router


@pytest.mark.parametrize("seed", range(20))
async def test_changed_routes_are_as_good_as_new_ones(seed: int) -> None:
    rng = random.Random(seed)
    async with serving() as served:
        hub = served.broker.hub
        sessions = [Session(hub, n, f"c{n}", Identity(f"c{n}", "password")) for n in range(1, 5)]
        router = Router(hub.core.counters, hub.authorizer)
        kept: dict[Key, Subscription] = {}
        for _ in range(60):
            session, topic_filter = rng.choice(sessions), rng.choice(FILTERS)
            key = (session.number, topic_filter)
            if key in kept and rng.random() < 0.6:
                unsubscribe(router, session, topic_filter)
                del kept[key]
            else:
                kept[key] = chosen(rng, session, topic_filter)
                subscribe(router, kept[key])
            assert router.subscriptions == len(kept)
            fresh = afresh(hub, kept)
            for topic in TOPICS:
                name = topic.decode()
                assert described(router.route(topic, name)) == described(fresh.route(topic, name))
