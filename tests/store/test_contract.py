"""The contract of a store, for every implementation (DESIGN.md section 2, rule 5)."""

from __future__ import annotations

import pytest

from lockwire.mqtt import reasons
from lockwire.mqtt.message import Message
from lockwire.mqtt.packets import Will
from lockwire.store import interface
from lockwire.store.interface import (
    IncomingRecord,
    Operation,
    QueuedRecord,
    Recovered,
    SessionContent,
    SessionRecord,
    Store,
    StoreError,
    SubscriptionRecord,
    WillRecord,
)
from lockwire.store.memory import MemoryStore
from tests.support.stores import LateStore, RefusingStore


@pytest.fixture(params=["memory", "late"])
def store(request: pytest.FixtureRequest) -> Store:
    return MemoryStore() if request.param == "memory" else LateStore()


def commit(store: Store, *operations: Operation) -> list[StoreError | None]:
    """Commits and returns the answers, after a late store was made to grant."""
    answers: list[StoreError | None] = []
    store.commit(list(operations), answers.append)
    if isinstance(store, LateStore):
        store.grant()
    return answers


def recover(store: Store) -> Recovered:
    found: list[Recovered] = []
    store.recover(found.append)
    assert len(found) == 1
    return found[0]


def content(store: Store, session: int) -> SessionContent:
    found: list[SessionContent] = []
    store.open_session(session, found.append)
    assert len(found) == 1
    return found[0]


def put_session(number: int, client_id: str = "sensor1") -> Operation:
    operation = Operation(interface.PUT_SESSION, number)
    operation.session_record = SessionRecord(number, client_id, "sensor1", "certificate")
    return operation


def put_subscription(session: int, topic_filter: str, qos: int = 1) -> Operation:
    operation = Operation(interface.PUT_SUBSCRIPTION, session)
    operation.subscription = SubscriptionRecord(topic_filter, qos, 7)
    return operation


def enqueue(session: int, sequence: int, payload: bytes = b"21.5", qos: int = 1) -> Operation:
    operation = Operation(interface.ENQUEUE, session)
    operation.queued = QueuedRecord(sequence, Message(b"a/b", payload, b"", qos, False), qos, False, b"")
    return operation


def keyed(kind: int, session: int, key: int, packet_id: int = 0) -> Operation:
    operation = Operation(kind, session)
    operation.key = key
    operation.packet_id = packet_id
    return operation


def test_an_empty_store_recovers_nothing(store: Store) -> None:
    found = recover(store)
    assert (found.sessions, found.retained, found.wills, found.unrouted) == ([], [], [], [])
    assert content(store, 1).queue == []


def test_every_commit_is_answered_once(store: Store) -> None:
    assert commit(store, put_session(1)) == [None]
    assert commit(store) == [None]


def test_commits_are_answered_in_their_order() -> None:
    store = LateStore()
    answered: list[int] = []
    for number in (1, 2, 3):
        store.commit([put_session(number)], lambda _, number=number: answered.append(number))  # type: ignore[misc]
    assert answered == []
    assert recover(store).sessions == []
    store.grant()
    assert answered == [1, 2, 3]


def test_a_session_with_its_subscriptions_comes_back(store: Store) -> None:
    commit(store, put_session(4), put_subscription(4, "a/+"), put_subscription(4, "$share/g/b"))
    commit(store, put_subscription(4, "a/+", qos=2))
    found = recover(store)
    assert [(record.number, record.client_id, record.identity) for record in found.sessions] == [
        (4, "sensor1", "sensor1")
    ]
    kept = {record.topic_filter: (record.qos, record.identifier) for record in found.subscriptions[4]}
    assert kept == {"a/+": (2, 7), "$share/g/b": (1, 7)}
    drop = Operation(interface.DROP_SUBSCRIPTION, 4)
    drop.name = "a/+"
    commit(store, drop)
    assert [record.topic_filter for record in recover(store).subscriptions[4]] == ["$share/g/b"]


def test_a_queue_comes_back_in_its_order_with_its_state(store: Store) -> None:
    commit(store, put_session(1), *(enqueue(1, number, b"%d" % number, 2) for number in (1, 2, 3, 4)))
    commit(store, keyed(interface.SENT, 1, 1, 11), keyed(interface.SENT, 1, 2, 12))
    commit(store, keyed(interface.RECEIVED, 1, 2), keyed(interface.DEQUEUE, 1, 1))
    queue = content(store, 1).queue
    assert [record.message.payload for record in queue] == [b"2", b"3", b"4"]
    assert [(record.packet_id, record.received) for record in queue] == [(12, True), (0, False), (0, False)]


def test_qos_2_identifiers_of_publishers_come_back(store: Store) -> None:
    put = Operation(interface.PUT_INCOMING, 1)
    put.incoming = IncomingRecord(21, Message(b"a", b"once", b"", 2, False))
    commit(store, put_session(1), put)
    assert [(number, record.packet_id) for number, record in recover(store).unrouted] == [(1, 21)]
    commit(store, keyed(interface.ROUTED_INCOMING, 1, 21))
    assert recover(store).unrouted == []
    assert [record.packet_id for record in content(store, 1).incoming] == [21]
    commit(store, keyed(interface.DROP_INCOMING, 1, 21))
    assert content(store, 1).incoming == []


def test_retained_messages_and_wills_come_back(store: Store) -> None:
    retained = Operation(interface.PUT_RETAINED, 0)
    retained.message = Message(b"a/b", b"old", b"", 1, True)
    newer = Operation(interface.PUT_RETAINED, 0)
    newer.message = Message(b"a/b", b"new", b"", 1, True)
    will = Operation(interface.PUT_WILL, 9)
    will.will = WillRecord(9, Will(b"gone", b"9", 1, False), 0.0)
    commit(store, retained, newer, will)
    found = recover(store)
    assert [message.payload for message in found.retained] == [b"new"]
    assert [record.will.topic for record in found.wills] == [b"gone"]
    drop = Operation(interface.DROP_RETAINED, 0)
    drop.topic = b"a/b"
    commit(store, drop, Operation(interface.DROP_WILL, 9))
    found = recover(store)
    assert (found.retained, found.wills) == ([], [])


def test_the_end_of_a_session_takes_all_it_held(store: Store) -> None:
    commit(store, put_session(1), put_subscription(1, "a"), enqueue(1, 1))
    commit(store, Operation(interface.DROP_SESSION, 1))
    assert recover(store).sessions == []
    assert content(store, 1).queue == []


def test_a_refused_commit_changes_nothing() -> None:
    store = RefusingStore()
    commit(store, put_session(1))
    store.refuse()
    answers = commit(store, put_session(2), enqueue(1, 1), Operation(interface.DROP_SESSION, 1))
    assert [answer.reason for answer in answers if answer is not None] == [reasons.QUOTA_EXCEEDED]
    store.reason = 0
    assert [record.number for record in recover(store).sessions] == [1]
    assert content(store, 1).queue == []
