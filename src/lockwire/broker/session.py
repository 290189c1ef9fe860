"""A session: what outlives a connection, and the delivery of messages to its client (MQTT 5 section 4.1).

Messages with QoS 1 and 2 have a window, the client's Receive Maximum, and behind it a bounded queue. What a
session that outlives its connection holds is staged for the store, and what states it waits (rule 5).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from lockwire.access.identity import Identity
from lockwire.broker.commit import Effect
from lockwire.broker.core import BACKLOG
from lockwire.broker.replaying import Replay
from lockwire.broker.routes import Delivery, Subscription
from lockwire.mqtt import reasons
from lockwire.mqtt.encoder import PACKET_ID, encode_ack, pubrel
from lockwire.mqtt.message import Message
from lockwire.mqtt.packets import PUBREL
from lockwire.store import interface
from lockwire.store.interface import Operation, QueuedRecord, StoreError

if TYPE_CHECKING:
    from lockwire.broker.hub import Hub
    from lockwire.broker.link import Link

CROWD: Final = 1000
"""Messages in the queue of a connected client above which publishers are held back, until a quarter is
gone.
"""
UNLIMITED: Final = 268_435_460


class _HeldPublish(Effect):
    """An outgoing QoS 2 PUBLISH that leaves after the commit that keeps it."""

    def __init__(self, session: Session, record: QueuedRecord, link: Link) -> None:
        self.session = session
        self.record = record
        self.link = link

    def committed(self) -> None:
        session = self.session
        if session.link is self.link and session.inflight.get(self.record.packet_id) is self.record:
            session.write(self.link, self.record, False)
            if session.queue:
                session.drain()  # one that was too large for the client has left room in the window

    def refused(self, error: StoreError) -> None:
        self.session.hub.connection_failed(self.link, "the store refused a message on its way")


class _HeldPubrel(Effect):
    """A PUBREL that leaves after the commit that keeps the state it announces."""

    def __init__(self, session: Session, packet_id: int, link: Link) -> None:
        self.session = session
        self.packet_id = packet_id
        self.link = link

    def committed(self) -> None:
        if self.session.link is self.link:
            self.link.send(pubrel(self.packet_id))

    def refused(self, error: StoreError) -> None:
        self.session.hub.connection_failed(self.link, "the store refused the state of a message")


class Session:
    """A client's session. `link` is None while it is not connected; `durable`: it outlives its connection.

    `awaited`: its client is connecting, and messages wait for the CONNACK. `loaded` False: it was
    recovered, and its queue is still only in the store.
    """

    def __init__(self, hub: Hub, number: int, client_id: str, identity: Identity) -> None:
        self.hub = hub
        self.number = number
        self.client_id = client_id
        self.identity = identity
        self.link: Link | None = None
        self.version: int = 4
        self.version_class: int = 4
        self.listener: str = ""
        self.durable: bool = False
        self.expiry_interval: int = 0
        self.ends_at: float = 0.0
        self.loaded: bool = True
        self.awaited: bool = False
        self.subscriptions: dict[str, Subscription] = {}
        self.inflight: dict[int, QueuedRecord] = {}
        self.inflight_bytes: int = 0
        self.queue: deque[QueuedRecord] | None = None
        self.queue_bytes: int = 0
        self.replay: Replay | None = None
        self.quota: int = 0
        self.incoming: set[int] | None = None
        self.must_look: bool = False
        self.maximum_packet_size: int = UNLIMITED
        self.alias_maximum: int = 0
        self.aliases: dict[bytes, int] | None = None
        self._packet_id: int = 0

    # -- the connection comes and goes -------------------------------------------------------------

    def attach(
        self, link: Link, version: int, quota: int, maximum_packet_size: int, alias_maximum: int
    ) -> None:
        """Makes `link` the session's connection; `quota` is the client's Receive Maximum."""
        self.link = link
        self.awaited = False
        self.version = version
        self.version_class = 5 if version == 5 else 4
        self.maximum_packet_size = maximum_packet_size
        self.alias_maximum = alias_maximum
        self.aliases = None
        self.quota = quota
        self._look()

    def detach(self) -> None:
        """The connection is gone. Retained messages that were still on their way are not kept."""
        self.link = None
        self.awaited = False
        replay = self.replay
        self.replay = None
        if replay is not None:
            for record in replay.behind:
                if record.qos:
                    self._enqueue(record)
        self.aliases = None

    def _look(self) -> None:
        self.must_look = (
            self.replay is not None or self.maximum_packet_size < UNLIMITED or self.alias_maximum > 0
        )

    @property
    def is_ready(self) -> bool:
        """Whether a message delivered now would leave at once."""
        link = self.link
        return link is not None and not link.congested and self.quota > 0

    @property
    def keeps_messages(self) -> bool:
        """Whether a message delivered now would be kept or sent."""
        return self.link is not None or self.durable or self.awaited

    def resume(self) -> None:
        """Sends again what was in flight, in its order, and then the queue [MQTT5-4.4.0-1]."""
        records = list(self.inflight.values())
        self.inflight = {}
        self.inflight_bytes = 0
        later = deque(records)
        if self.queue is not None:
            later.extend(self.queue)
        self.queue = later
        self.drain()

    def drop_forbidden(self) -> None:
        """Drops the waiting messages that the session's rules no longer let through."""
        judged: dict[bytes, bool] = {}
        queue = self.queue
        if queue:
            kept: deque[QueuedRecord] = deque()
            for record in queue:
                if record.packet_id or self._may_have(record, judged):
                    kept.append(record)
                else:
                    self._count(-record.message.size)
            self.queue = kept
        replay = self.replay
        if replay is not None and replay.behind:
            replay.behind = deque([record for record in replay.behind if self._may_have(record, judged)])

    def _may_have(self, record: QueuedRecord, judged: dict[bytes, bool]) -> bool:
        """Whether a waiting message may still be received; one that may not is counted and forgotten."""
        topic = record.message.topic
        allowed = judged.get(topic)
        if allowed is None:
            allowed = self.hub.authorizer.may_receive(self.identity, self.client_id, topic)
            judged[topic] = allowed
        if not allowed:
            self.hub.core.counters.dropped_not_authorized += 1
            if record.qos:
                self._stage_key(interface.DEQUEUE, record.sequence)
        return allowed

    def forget_messages(self) -> None:
        """The session ends, and what it held with it."""
        self.hub.queued_bytes -= self.queue_bytes
        self.queue_bytes = 0
        self.queue = None
        self.inflight = {}
        self.incoming = None

    # -- delivery ----------------------------------------------------------------------------------

    def deliver(self, message: Message, delivery: Delivery, publisher: Link | None) -> None:
        """Delivers a routed message: sends it, queues it, or drops it as the limits say."""
        qos = message.qos
        if delivery.qos < qos:
            qos = delivery.qos
        retain = delivery.retain_as_published and message.retain
        link = self.link
        if self.replay is not None:
            self._deliver_behind(message, qos, retain, delivery.identifiers)
            return
        if qos == 0:
            if link is not None:
                self._send_qos0(link, message, retain, delivery.identifiers, publisher)
            return
        if link is None and not self.keeps_messages:
            return
        if link is not None and not self.queue and self.has_window and link.outbox_bytes < BACKLOG:
            record = self._record(message, qos, retain, delivery.identifiers)
            self._transmit(link, record)
            if link.outbox_bytes > BACKLOG:
                link.crowded(publisher)
            return
        if not self.loaded:
            # Its queue is in the store, and the store is where this goes.
            self._record(message, qos, retain, delivery.identifiers)
        elif self._has_room(message):
            self._enqueue(self._record(message, qos, retain, delivery.identifiers))
            if link is not None and publisher is not None and self.is_crowded(CROWD):
                link.hold_back(publisher)
        else:
            self.hub.core.counters.dropped_queue_full += 1

    def _deliver_behind(self, message: Message, qos: int, retain: bool, identifiers: bytes) -> None:
        """Puts a message behind the retained ones that are on their way."""
        replay = self.replay
        assert replay is not None
        if len(replay.behind) >= self.hub.queue_messages or not self._has_room(message):
            self.hub.core.counters.dropped_queue_full += 1
        elif qos == 0:
            replay.behind.append(QueuedRecord(0, message, 0, retain, identifiers))
        else:
            replay.behind.append(self._record(message, qos, retain, identifiers))

    def replay_retained(self, messages: list[Message], qos: int, identifiers: bytes) -> None:
        """Sends retained messages because of a new subscription that was granted `qos`, with RETAIN 1
        [MQTT5-3.3.1-8]: a few at once, many in the ticks that follow.
        """
        replay = self.replay
        if replay is None:
            replay = Replay(self)
            self.replay = replay
            self._look()
        replay.add(messages, qos, identifiers)

    def retained_record(self, message: Message, qos: int, identifiers: bytes) -> QueuedRecord:
        """A retained message on its way to this client."""
        if qos == 0:
            return QueuedRecord(0, message, 0, True, identifiers)
        return self._record(message, qos, True, identifiers)

    def send(self, record: QueuedRecord) -> None:
        """Sends a record, or queues it where the window is full."""
        link = self.link
        if record.qos == 0:
            if link is not None:
                self._send_qos0(link, record.message, record.retain, record.identifiers, None)
        elif link is not None and not self.queue and self.has_window:
            self._transmit(link, record)
        else:
            self._enqueue(record)

    def end_replay(self) -> None:
        """The retained messages, and what came behind them, have gone out."""
        self.replay = None
        self._look()

    @property
    def is_behind(self) -> bool:
        """Whether the client has enough to acknowledge before it gets more retained messages."""
        return self.is_crowded(CROWD)

    def _send_qos0(
        self, link: Link, message: Message, retain: bool, identifiers: bytes, publisher: Link | None
    ) -> None:
        counters = self.hub.core.counters
        known = 0 if self.aliases is None else len(self.aliases)
        if not self.must_look and not retain and not identifiers and message.expires_at == 0.0:
            frame = message.frame(self.version_class)
        else:
            frame = self._encode(message, 1 if retain else 0, b"", identifiers)
            if not frame:
                return
        counters.publish_sent_qos0 += 1
        link.send(frame)
        if link.outbox_bytes > BACKLOG and link.crowded(publisher):
            counters.publish_sent_qos0 -= 1
            counters.dropped_outbox_full += 1
            link.drop_last(frame)
            aliases = self.aliases
            if aliases is not None and len(aliases) > known:
                del aliases[message.topic]  # the client never learns of it

    def _record(self, message: Message, qos: int, retain: bool, identifiers: bytes) -> QueuedRecord:
        hub = self.hub
        hub.sequence += 1
        record = QueuedRecord(hub.sequence, message, qos, retain, identifiers)
        if self.durable:
            operation = Operation(interface.ENQUEUE, self.number)
            operation.queued = record
            hub.core.committer.stage(operation)
        return record

    def _has_room(self, message: Message) -> bool:
        hub = self.hub
        queue = self.queue
        size = message.size
        if hub.queued_bytes + size > hub.memory_bytes:
            return False
        if self.queue_bytes + self.inflight_bytes + size > hub.queue_bytes:
            return not queue and not self.inflight
        return not queue or len(queue) < hub.queue_messages

    def is_crowded(self, messages: int) -> bool:
        """Whether more than `messages` wait, or more than that share of a quarter of the bytes allowed."""
        queue = self.queue
        if not queue:
            return False
        return len(queue) > messages or self.queue_bytes * 4 * CROWD > self.hub.queue_bytes * messages

    def _count(self, size: int) -> None:
        self.queue_bytes += size
        self.hub.queued_bytes += size

    def _enqueue(self, record: QueuedRecord) -> None:
        queue = self.queue
        if queue is None:
            queue = deque()
            self.queue = queue
        queue.append(record)
        self._count(record.message.size)

    # -- the window --------------------------------------------------------------------------------

    def _transmit(self, link: Link, record: QueuedRecord) -> None:
        """Sends a record within the window: gives it a packet identifier unless it has one from before."""
        packet_id = record.packet_id
        again = packet_id != 0
        inflight = self.inflight
        if not again:
            packet_id = self._packet_id + 1
            if packet_id > 65535:
                packet_id = 1
            while packet_id in inflight:
                packet_id += 1
                if packet_id > 65535:
                    packet_id = 1
            self._packet_id = packet_id
            record.packet_id = packet_id
        inflight[packet_id] = record
        self.inflight_bytes += record.message.size
        self.quota -= 1
        if again and record.received:
            link.send(pubrel(packet_id))
        elif self.durable and not again:
            operation = Operation(interface.SENT, self.number)
            operation.key = record.sequence
            operation.packet_id = packet_id
            self.hub.core.committer.stage(operation)
            if record.qos == 2:
                self.hub.core.committer.after(_HeldPublish(self, record, link))
            else:
                self.write(link, record, False)
        else:
            self.write(link, record, again)

    def write(self, link: Link, record: QueuedRecord, again: bool) -> None:
        """Puts the PUBLISH of a record in flight into the outbox; `again` sets DUP [MQTT5-3.3.1-1]."""
        message = record.message
        qos = record.qos
        counters = self.hub.core.counters
        if self.must_look or again or record.retain or record.identifiers or message.expires_at != 0.0:
            flags = (8 if again else 0) | (qos << 1) | (1 if record.retain else 0)
            frame = self._encode(message, flags, PACKET_ID[record.packet_id], record.identifiers)
            if not frame:
                self._complete(record)
                return
            link.send(frame)
        else:
            version = self.version_class
            link.send_publish(message.head(version, qos), PACKET_ID[record.packet_id], message.tail(version))
        if qos == 1:
            counters.publish_sent_qos1 += 1
        else:
            counters.publish_sent_qos2 += 1

    def _encode(self, message: Message, flags: int, packet_id: bytes, identifiers: bytes) -> bytes:
        """The frame that only this client gets; empty if it is too large for it [MQTT5-3.1.2-25]."""
        if self.version_class != 5:
            return message.encode(4, flags, packet_id, b"", 0, True)
        alias = 0
        named = True
        if self.alias_maximum > 0:
            aliases = self.aliases
            if aliases is None:
                aliases = {}
                self.aliases = aliases
            alias = aliases.get(message.topic, 0)
            if alias:
                named = False
            elif len(aliases) < self.alias_maximum:
                alias = len(aliases) + 1
                aliases[message.topic] = alias
        frame = message.encode(5, flags, packet_id, identifiers, alias, named)
        if len(frame) > self.maximum_packet_size:
            if alias and named and self.aliases is not None:
                del self.aliases[message.topic]
            self.hub.core.counters.dropped_too_large += 1
            return b""
        return frame

    def drain(self) -> None:
        """Sends from the queue as far as the window and the outbox have room."""
        link = self.link
        queue = self.queue
        if link is None or queue is None:
            return
        counters = self.hub.core.counters
        while queue and self.has_window and link.outbox_bytes < BACKLOG:
            record = queue.popleft()
            if record.packet_id == 0:
                message = record.message
                self._count(-message.size)
                if message.expires_at != 0.0 and message.is_expired(self.hub.wall_time()):
                    counters.dropped_expired += 1
                    self._stage_key(interface.DEQUEUE, record.sequence)
                    continue
            self._transmit(link, record)
        if not queue:
            self.queue = None
        if (link.holds_back or self.replay is not None) and not self.is_crowded(CROWD * 3 // 4):
            link.relieved()

    @property
    def has_window(self) -> bool:
        """Whether one more may be unacknowledged: by the client's Receive Maximum, and by our bytes."""
        return self.quota > 0 and self.inflight_bytes < self.hub.queue_bytes

    @property
    def waiting(self) -> int:
        """How many messages wait to be sent."""
        replay = self.replay
        queue = self.queue
        return (0 if replay is None else replay.waiting) + (len(queue) if queue else 0)

    @property
    def has_backlog(self) -> bool:
        """Whether something waits only for room in the outbox."""
        return self.replay is not None or (bool(self.queue) and self.has_window)

    def write_backlog(self) -> None:
        """Goes on with what waited for room in the outbox."""
        self.drain()
        replay = self.replay
        if replay is not None and not self.is_behind:
            replay.go_on()

    # -- acknowledgements --------------------------------------------------------------------------

    def puback(self, packet_id: int) -> None:
        """The client has a QoS 1 message."""
        record = self.inflight.get(packet_id)
        if record is None or record.qos != 1:
            return
        self._complete(record)
        if self.queue:
            self.drain()

    def pubrec(self, packet_id: int, reason: int) -> None:
        """The client has a QoS 2 message, or refuses it [MQTT5-4.3.3-4]."""
        link = self.link
        assert link is not None
        record = self.inflight.get(packet_id)
        if record is None or record.qos != 2:
            if self.version == 5:
                link.send(encode_ack(PUBREL, 5, packet_id, reasons.PACKET_IDENTIFIER_NOT_FOUND))
            else:
                link.send(pubrel(packet_id))
            return
        if reason >= 0x80:
            self._complete(record)
            self.drain()
            return
        if record.received and not (self.durable and self.hub.core.committer.is_busy):
            link.send(pubrel(packet_id))
            return
        again = record.received
        record.received = True
        if self.durable:
            if not again:
                self._stage_key(interface.RECEIVED, record.sequence)
            self.hub.core.committer.after(_HeldPubrel(self, packet_id, link))
        else:
            link.send(pubrel(packet_id))

    def pubcomp(self, packet_id: int) -> None:
        """The client has released a QoS 2 message."""
        record = self.inflight.get(packet_id)
        if record is None or record.qos != 2 or not record.received:
            return
        self._complete(record)
        if self.queue:
            self.drain()

    def _complete(self, record: QueuedRecord) -> None:
        del self.inflight[record.packet_id]
        self.inflight_bytes -= record.message.size
        self.quota += 1
        if self.durable:
            self._stage_key(interface.DEQUEUE, record.sequence)

    def _stage_key(self, kind: int, key: int) -> None:
        if self.durable:
            operation = Operation(kind, self.number)
            operation.key = key
            self.hub.core.committer.stage(operation)

    # -- what the store gives back -----------------------------------------------------------------

    def restore(self, records: list[QueuedRecord], incoming: set[int]) -> None:
        """Takes over what the store kept of the queue and of the QoS 2 identifiers in use.

        Behind it comes what was delivered since the store was asked.
        """
        queue: deque[QueuedRecord] = deque()
        for record in records:
            if record.packet_id:
                self.inflight[record.packet_id] = record
                self._packet_id = record.packet_id
            else:
                queue.append(record)
                self._count(record.message.size)
        if self.queue is not None:
            queue.extend(self.queue)
        self.queue = queue
        if incoming:
            self.incoming = incoming
