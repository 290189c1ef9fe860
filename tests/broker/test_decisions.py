"""Decisions that take their time: the connection waits, keeps its order, and nobody else waits with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockwire.access.authenticator import Authenticator, Credentials, Decision, accepted, refused
from lockwire.access.authorizer import ASK
from lockwire.access.identity import Identity
from lockwire.broker.session import CROWD
from lockwire.mqtt import reasons
from tests.broker.test_commit import until
from tests.support import packets
from tests.support.inprocess import Everything, serving
from tests.support.packets import CONNACK, PUBACK, PUBREC, RECEIVE_MAXIMUM, SUBACK


class SlowRules(Everything):
    """Decides about topics that begin with `slow` when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Callable[[bool], None]] = []

    def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
        return ASK if topic.startswith(b"slow") else super().publish_mask(identity, client_id, topic)

    def decide(
        self,
        identity: Identity,
        client_id: str,
        topic: bytes,
        qos: int,
        retain: bool,
        done: Callable[[bool], None],
    ) -> None:
        self.asked.append(done)

    def granted_qos(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> int:
        return ASK if topic_filter.startswith("slow") else qos

    def decide_subscription(
        self, identity: Identity, client_id: str, topic_filter: str, qos: int, done: Callable[[bool], None]
    ) -> None:
        self.asked.append(done)

    async def answer(self, allowed: bool) -> None:
        """Answers the question that waits."""
        await until(lambda: self.asked)
        self.asked.pop(0)(allowed)


class SlowLogin(Authenticator):
    """Decides about a CONNECT when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Callable[[Decision], None]] = []

    def authenticate(self, credentials: Credentials, done: Callable[[Decision], None]) -> None:
        self.asked.append(done)


async def test_a_publish_waits_for_its_decision_and_nothing_overtakes_it() -> None:
    rules = SlowRules()
    async with serving(authorizer=rules) as served:
        subscriber = await served.client("subscriber")
        await subscriber.subscribe("#")
        publisher = await served.client("publisher")
        other = await served.client("other")
        await publisher.send(packets.publish("slow", b"1", 1, 1), packets.publish("fast", b"2", 1, 2))
        await other.publish("others", b"0")
        await subscriber.receive("others", b"0")
        await subscriber.expect_nothing()
        await rules.answer(True)
        await subscriber.receive("slow", b"1")
        await subscriber.receive("fast", b"2")
        assert [(await publisher.expect(PUBACK)).packet_id for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(("qos", "kind"), [(1, PUBACK), (2, PUBREC)])
async def test_a_publish_that_is_refused_says_so(qos: int, kind: int) -> None:
    rules = SlowRules()
    async with serving(authorizer=rules) as served:
        publisher = await served.client("publisher")
        await publisher.send(packets.publish("slow", b"1", qos, 1))
        await rules.answer(False)
        assert (await publisher.expect(kind)).reason == reasons.NOT_AUTHORIZED
        assert served.broker.core.counters.publish_refused == 1


async def test_a_subscribe_is_answered_when_each_of_its_filters_is_decided() -> None:
    rules = SlowRules()
    async with serving(authorizer=rules) as served:
        wire = await served.client("subscriber")
        await wire.send(packets.subscribe(1, [("slow/1", 0), ("fast", 1), ("slow/2", 2)]))
        await wire.send(packets.publish("fast", b"behind"))
        await rules.answer(True)
        await rules.answer(False)
        assert (await wire.expect(SUBACK)).reasons == [0, 1, reasons.NOT_AUTHORIZED]
        await wire.receive("fast", b"behind")


async def test_a_client_that_leaves_before_the_decision_leaves_nothing_behind() -> None:
    rules = SlowRules()
    async with serving(authorizer=rules) as served:
        publisher = await served.client("publisher")
        await publisher.send(packets.publish("slow", b"1", 1, 1))
        await until(lambda: rules.asked)
        publisher.abort()
        # Reading is paused meanwhile, so that the client has gone shows when it is over.
        await rules.answer(True)
        await until(lambda: not served.broker.registry.sessions)
        other = await served.client("other")
        await other.publish("still", b"there", qos=1)


async def test_a_connect_waits_for_its_decision_and_others_do_not() -> None:
    login = SlowLogin()
    async with serving(authenticator=login) as served:
        first = await served.open()
        await first.send(packets.connect("first"), packets.publish("a", b"", 1, 1))
        second = await served.open()
        await second.send(packets.connect("second"))
        await until(lambda: len(login.asked) == 2)
        login.asked[1](accepted(Identity("second", "password"), ""))
        assert (await second.expect(CONNACK)).reason == 0
        login.asked[0](refused(reasons.BAD_USER_NAME_OR_PASSWORD, "no such user"))
        assert (await first.expect(CONNACK)).reason == reasons.BAD_USER_NAME_OR_PASSWORD
        await first.expect_closed()


async def test_a_decision_that_comes_when_the_client_has_gone_is_nobody_s() -> None:
    login = SlowLogin()
    async with serving(authenticator=login) as served:
        wire = await served.open()
        await wire.send(packets.connect("gone"))
        await until(lambda: login.asked)
        wire.abort()
        login.asked[0](accepted(Identity("gone", "password"), ""))
        await until(lambda: not served.broker.registry.sessions)
        assert served.broker.hub.unauthenticated == 0


async def test_changed_rules_reach_what_is_queued_and_what_is_remembered() -> None:
    class Changing(Everything):
        closed = False

        def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
            return 0 if self.closed else super().publish_mask(identity, client_id, topic)

        def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
            return not self.closed

    rules = Changing()
    async with serving(authorizer=rules) as served:
        subscriber = await served.client("keeper", version=4, clean=False)
        await subscriber.subscribe("a", qos=1)
        subscriber.abort()
        publisher = await served.client("publisher")
        await until(lambda: len(served.broker.registry.connections) == 1)
        await publisher.publish("a", b"queued", qos=1)
        rules.closed = True
        served.broker.rules_changed()
        await publisher.send(packets.publish("a", b"late", 1, 99))
        assert (await publisher.expect(PUBACK)).reason == reasons.NOT_AUTHORIZED
        back = await served.open(version=4)
        assert (await back.connect("keeper", clean=False)).session_present
        await back.expect_nothing()
        assert served.broker.core.counters.dropped_not_authorized == 1


async def test_changed_rules_reach_what_waits_behind_retained_messages() -> None:
    class Changing(Everything):
        closed = False

        def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
            return not self.closed or topic != b"live"

    rules = Changing()
    async with serving(authorizer=rules) as served:
        publisher = await served.client("publisher")
        for number in range(CROWD + 200):
            await publisher.publish(f"kept/{number}", b"v", qos=1, retain=True)
        slow = await served.client("slow", values=[(RECEIVE_MAXIMUM, 1)])
        await slow.subscribe("live", qos=1)
        await slow.subscribe("kept/#", qos=1)
        session = served.broker.registry.sessions["slow"]
        await publisher.publish("live", b"at a time when it was allowed", qos=1)
        assert session.replay is not None
        assert len(session.replay.behind) == 1
        rules.closed = True
        served.broker.rules_changed()
        assert not session.replay.behind
        assert served.broker.core.counters.dropped_not_authorized == 1
