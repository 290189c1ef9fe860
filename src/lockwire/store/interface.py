"""What survives, and the contract of whoever keeps it (DESIGN.md section 2, rule 5).

The broker stages operations while it works through a tick and commits them as one batch. Whatever states
that something is kept (PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK, CONNACK, an outgoing QoS 2 PUBLISH or
PUBREL) leaves after the commit. A store may grant at once or later, but in the order of the commits, on the
broker's thread. A refused batch has changed nothing.

Sessions are known by their number, which the broker gives and never uses twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import mypyc_attr

from lockwire.mqtt.message import Message
from lockwire.mqtt.packets import Will

PUT_SESSION: Final = 1
DROP_SESSION: Final = 2
PUT_SUBSCRIPTION: Final = 3
DROP_SUBSCRIPTION: Final = 4
ENQUEUE: Final = 5
SENT: Final = 6
RECEIVED: Final = 7
DEQUEUE: Final = 8
PUT_INCOMING: Final = 9
ROUTED_INCOMING: Final = 10
DROP_INCOMING: Final = 11
PUT_RETAINED: Final = 12
DROP_RETAINED: Final = 13
PUT_WILL: Final = 14
DROP_WILL: Final = 15


class StoreError(Exception):
    """A commit that was refused. `reason` is the MQTT 5 reason code publishers get (0x80 or 0x97)."""

    def __init__(self, reason: int, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@mypyc_attr(acyclic=True)
class SessionRecord:
    """A session as it is kept. `attributes`: of its identity, for `lockwire.access.keeping`.

    `ends_at` is a time of `time.time()`, 0.0 while connected or without an end.
    """

    def __init__(self, number: int, client_id: str, identity: str, method: str) -> None:
        self.number = number
        self.client_id = client_id
        self.identity = identity
        self.method = method
        self.administrator: bool = False
        self.attributes: str = ""
        self.version: int = 4
        self.listener: str = ""
        self.expiry_interval: int = 0
        self.ends_at: float = 0.0


@mypyc_attr(acyclic=True)
class SubscriptionRecord:
    """One subscription of a session, with its options (MQTT 5 section 3.8.3.1). `topic_filter` as
    subscribed.
    """

    def __init__(self, topic_filter: str, qos: int, identifier: int) -> None:
        self.topic_filter = topic_filter
        self.qos = qos
        self.identifier = identifier
        self.no_local: bool = False
        self.retain_as_published: bool = False
        self.retain_handling: int = 0


@mypyc_attr(acyclic=True)
class QueuedRecord:
    """One message on its way to a session. `packet_id` 0: not sent yet; `received`: its PUBREC came."""

    def __init__(self, sequence: int, message: Message, qos: int, retain: bool, identifiers: bytes) -> None:
        self.sequence = sequence
        self.message = message
        self.qos = qos
        self.retain = retain
        self.identifiers = identifiers
        self.packet_id: int = 0
        self.received: bool = False


@mypyc_attr(acyclic=True)
class IncomingRecord:
    """A QoS 2 packet identifier a client has in use; `message` None once it has been routed."""

    def __init__(self, packet_id: int, message: Message | None) -> None:
        self.packet_id = packet_id
        self.message = message


@mypyc_attr(acyclic=True)
class WillRecord:
    """A will, and when it is due: a time of `time.time()`, 0.0 while its client is connected.

    `identity`, `method` and `attributes` say whose it is, for sessions that do not outlive their connection
    themselves.
    """

    def __init__(self, session: int, will: Will, due: float) -> None:
        self.session = session
        self.will = will
        self.due = due
        self.client_id: str = ""
        self.identity: str = ""
        self.method: str = ""
        self.attributes: str = ""


@mypyc_attr(acyclic=True)
class Operation:
    """One change. `kind` says which of the other fields count:

    PUT_SESSION record; DROP_SESSION session; PUT_SUBSCRIPTION session, record; DROP_SUBSCRIPTION session,
    name;
    ENQUEUE session, record; SENT session, key (sequence), packet_id; RECEIVED, DEQUEUE session, key
    (sequence);
    PUT_INCOMING session, record; ROUTED_INCOMING, DROP_INCOMING session, key (packet identifier);
    PUT_RETAINED message; DROP_RETAINED topic; PUT_WILL record; DROP_WILL session.
    """

    def __init__(self, kind: int, session: int) -> None:
        self.kind = kind
        self.session = session
        self.key: int = 0
        self.packet_id: int = 0
        self.name: str = ""
        self.topic: bytes = b""
        self.session_record: SessionRecord | None = None
        self.subscription: SubscriptionRecord | None = None
        self.queued: QueuedRecord | None = None
        self.incoming: IncomingRecord | None = None
        self.message: Message | None = None
        self.will: WillRecord | None = None


class SessionContent:
    """What a session holds besides its subscriptions: its queue in order, and the QoS 2 identifiers in
    use.
    """

    def __init__(self) -> None:
        self.queue: list[QueuedRecord] = []
        self.incoming: list[IncomingRecord] = []


class Recovered:
    """What a store holds when the broker starts. Queues stay where they are until `open_session`.

    `sequence` is the highest of a queued message, 0 where there is none.
    `unrouted` are the QoS 2 messages, each with its session's number, that were kept but not yet routed.
    """

    def __init__(self) -> None:
        self.sequence: int = 0
        self.unrouted: list[tuple[int, IncomingRecord]] = []
        self.sessions: list[SessionRecord] = []
        self.subscriptions: dict[int, list[SubscriptionRecord]] = {}
        self.retained: list[Message] = []
        self.wills: list[WillRecord] = []


@mypyc_attr(allow_interpreted_subclasses=True)
class Store:
    """What a store does. Every method completes by calling `done` exactly once, at once or later."""

    def recover(self, done: Callable[[Recovered], None]) -> None:
        """Reads what the broker needs before it can listen. Called once, before anything else."""
        raise NotImplementedError

    def open_session(self, session: int, done: Callable[[SessionContent], None]) -> None:
        """Reads the queue and the identifiers in use of a session that was recovered.

        What it gives includes every commit called before it.
        """
        raise NotImplementedError

    def commit(self, operations: list[Operation], done: Callable[[StoreError | None], None]) -> None:
        """Keeps all of `operations` or none. Grants (None) or refuses in the order of the calls."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends the store; whatever was committed is kept as the implementation promises."""
        raise NotImplementedError
