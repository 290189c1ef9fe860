"""What a client publishes: judged, routed, and acknowledged once what must survive is kept.

PUBLISH and PUBREL of one connection (MQTT 5 sections 3.3, 3.6, 4.3). Which topics a client may publish to,
and
where they lead, is remembered by topic: one look-up answers both (DESIGN.md section 2, rule 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lockwire.access.authorizer import ASK, publish_bit
from lockwire.broker.commit import Effect
from lockwire.broker.routes import Route
from lockwire.mqtt import reasons
from lockwire.mqtt.encoder import encode_ack, puback, pubcomp, pubrec
from lockwire.mqtt.errors import MqttError, ProtocolError
from lockwire.mqtt.message import Message, message_of
from lockwire.mqtt.packets import PUBACK, PUBCOMP, PUBREC, Publish
from lockwire.mqtt.topics import validate_topic_name
from lockwire.store import interface
from lockwire.store.interface import IncomingRecord, Operation, StoreError

if TYPE_CHECKING:
    from lockwire.broker.connection import Connection
    from lockwire.broker.session import Session

GRANTS: Final = 16_384
"""Topics for which a connection remembers that it may publish, and where to."""


WATCHED: Final = -2
"""The mask of a grant whose messages an observer wants to know of."""


class Grant:
    """Where a client's messages of one topic go, and with which QoS and RETAIN it may send them.

    `mask` is below 0 where more than a look at it is needed: ASK, or WATCHED; then `allowed` is the mask.
    `seen`: the kinds of message, as bits of a mask, that the observer knows of.
    """

    def __init__(self, route: Route, mask: int, watched: bool) -> None:
        self.route = route
        self.mask = WATCHED if watched else mask
        self.allowed = mask
        self.seen: int = 0


class _HeldAck(Effect):
    """The PUBACK or PUBREC of a message that leaves once the message is kept."""

    def __init__(self, publishing: Publishing, frame: bytes, kind: int, packet_id: int) -> None:
        self.publishing = publishing
        self.frame = frame
        self.kind = kind
        self.packet_id = packet_id

    def committed(self) -> None:
        self.publishing.release(self.frame)

    def refused(self, error: StoreError) -> None:
        self.publishing.not_kept(self.kind, self.packet_id, error)


class _HeldPubcomp(Effect):
    """The PUBCOMP that frees an identifier, once the store has forgotten it."""

    def __init__(self, publishing: Publishing, packet_id: int) -> None:
        self.publishing = publishing
        self.packet_id = packet_id

    def committed(self) -> None:
        incoming = self.publishing.session.incoming
        if incoming is not None:
            incoming.discard(self.packet_id)
        self.publishing.connection.release(pubcomp(self.packet_id))

    def refused(self, error: StoreError) -> None:
        connection = self.publishing.connection
        connection.release(b"")
        connection.end(reasons.IMPLEMENTATION_SPECIFIC_ERROR, f"not kept: {error}")


class _RouteAfterCommit(Effect):
    """A QoS 2 message that is routed once it is kept: routed before, a crash would deliver it twice."""

    def __init__(self, publishing: Publishing, packet_id: int, message: Message) -> None:
        self.publishing = publishing
        self.packet_id = packet_id
        self.message = message

    def committed(self) -> None:
        publishing = self.publishing
        session = publishing.session
        hub = publishing.hub
        if session.durable:
            operation = Operation(interface.ROUTED_INCOMING, session.number)
            operation.key = self.packet_id
            hub.core.committer.stage(operation)
        message = self.message
        route = hub.router.route(message.topic, message.topic.decode())
        count = hub.router.publish(route, message, publishing.link)
        publishing.release(_received(self.packet_id, count, publishing.version))

    def refused(self, error: StoreError) -> None:
        self.publishing.not_kept(PUBREC, self.packet_id, error)


class Publishing:
    """The publishing side of a connection that is open."""

    def __init__(self, connection: Connection, session: Session) -> None:
        self.connection = connection
        self.session = session
        self.version: int = connection.version
        self.hub = connection.hub
        self.core = connection.core
        self.link = connection.link
        self._grants: dict[bytes, Grant] = {}
        self._aliases: dict[int, bytes] | None = None
        self._held: int = 0

    def take(self, packet: Publish) -> int:
        """Works through one PUBLISH; returns to how many sessions it went, as a measure of the work."""
        if packet.topic_alias != 0:
            self._resolve_alias(packet)
        topic = packet.topic
        grant = self._grants.get(topic)
        if grant is None or grant.route.stale:
            grant = self._grant(topic)
        flags = packet.flags
        qos = (flags >> 1) & 3
        mask = grant.mask
        if mask < 0:
            mask = self._watched(packet, grant)
            if mask == ASK:
                self._ask(packet, grant)
                return 0
        if not (mask >> (qos + 3 * (flags & 1))) & 1:
            self._refuse(packet)
            return 0
        route = grant.route
        self._route(packet, route, self.session)
        return len(route.deliveries)

    def _route(self, packet: Publish, route: Route, session: Session) -> None:
        core = self.core
        flags = packet.flags
        qos = (flags >> 1) & 3
        if qos == 0:
            core.counters.publish_received_qos0 += 1
            if flags == 0 and packet.plain and not route.special and packet.topic_alias == 0:
                self.hub.router.forward(route, packet.frame, session.version_class, self.link)
                return
            message = message_of(packet, self.version)
            message.publisher = session.number
            if flags & 1:
                self._retain(message)
            self.hub.router.publish(route, message, self.link)
            return
        message = message_of(packet, self.version)
        message.publisher = session.number
        if qos > self.connection.listener.maximum_qos:
            raise ProtocolError("a higher QoS than the CONNACK allows", reasons.QOS_NOT_SUPPORTED)
        if qos == 1:
            core.counters.publish_received_qos1 += 1
            self._publish_qos1(packet, message, route)
        else:
            core.counters.publish_received_qos2 += 1
            self._publish_qos2(packet, message, route, session)

    def _publish_qos1(self, packet: Publish, message: Message, route: Route) -> None:
        hub = self.hub
        committer = self.core.committer
        before = committer.staged
        kept = True
        if packet.flags & 1:
            kept = self._retain(message)
        count = hub.router.publish(route, message, self.link)
        packet_id = packet.packet_id
        if not kept and self.version == 5:
            frame = encode_ack(PUBACK, 5, packet_id, reasons.QUOTA_EXCEEDED)
        elif count == 0 and self.version == 5:
            frame = encode_ack(PUBACK, 5, packet_id, reasons.NO_MATCHING_SUBSCRIBERS)
        else:
            frame = puback(packet_id)
        if self.connection.answers == 0 and committer.staged == before:
            self.link.send(frame)
        else:
            self._hold(_HeldAck(self, frame, PUBACK, packet_id))

    def _hold(self, effect: Effect) -> None:
        """Has an acknowledgement wait for its commit: as many as the Receive Maximum, and no more."""
        self._held += 1
        self.connection.count_answer()
        self.core.committer.after(effect)
        if self.version == 5 and self._held > self.connection.listener.receive_maximum:
            raise ProtocolError(
                "more than the Receive Maximum unacknowledged", reasons.RECEIVE_MAXIMUM_EXCEEDED
            )

    def release(self, frame: bytes) -> None:
        """Sends an acknowledgement that has waited for its commit."""
        self._held -= 1
        self.connection.release(frame)

    def _publish_qos2(self, packet: Publish, message: Message, route: Route, session: Session) -> None:
        incoming = session.incoming
        if incoming is None:
            incoming = set()
            session.incoming = incoming
        packet_id = packet.packet_id
        if packet_id in incoming:
            # What the PUBREC states may not be kept yet: then it waits with the first one's.
            if session.durable and self.core.committer.is_busy:
                self.connection.answer_after(pubrec(packet_id), b"")
            else:
                self.connection.answer(pubrec(packet_id), b"")
            return
        if self.version == 5 and len(incoming) >= self.connection.listener.receive_maximum:
            raise ProtocolError(
                "more than the Receive Maximum unacknowledged", reasons.RECEIVE_MAXIMUM_EXCEEDED
            )
        incoming.add(packet_id)
        committer = self.core.committer
        before = committer.staged
        if packet.flags & 1 and not self._retain(message) and self.version == 5:
            incoming.discard(packet_id)
            self.connection.answer(encode_ack(PUBREC, 5, packet_id, reasons.QUOTA_EXCEEDED), b"")
            return
        if session.durable:
            operation = Operation(interface.PUT_INCOMING, session.number)
            operation.incoming = IncomingRecord(packet_id, message)
            committer.stage(operation)
        if committer.staged != before:
            self._hold(_RouteAfterCommit(self, packet_id, message))
            return
        count = self.hub.router.publish(route, message, self.link)
        frame = _received(packet_id, count, self.version)
        if self.connection.answers == 0 and committer.staged == before:
            self.link.send(frame)
        else:
            self._hold(_HeldAck(self, frame, PUBREC, packet_id))

    def not_kept(self, kind: int, packet_id: int, error: StoreError) -> None:
        """The store refused a message: MQTT 5 is told so, MQTT 3 gets no acknowledgement."""
        connection = self.connection
        incoming = self.session.incoming
        if kind == PUBREC and incoming is not None:
            incoming.discard(packet_id)
        if self.version == 5:
            self.release(encode_ack(kind, 5, packet_id, error.reason))
        else:
            self.release(b"")
            connection.end(reasons.IMPLEMENTATION_SPECIFIC_ERROR, f"not kept: {error}")

    def pubrel(self, packet_id: int) -> None:
        """The client has released a QoS 2 message."""
        session = self.session
        incoming = session.incoming
        if incoming is None or packet_id not in incoming:
            if self.version == 5:
                self.connection.answer(
                    encode_ack(PUBCOMP, 5, packet_id, reasons.PACKET_IDENTIFIER_NOT_FOUND), b""
                )
            else:
                self.connection.answer(pubcomp(packet_id), b"")
            return
        if session.durable:
            operation = Operation(interface.DROP_INCOMING, session.number)
            operation.key = packet_id
            self.core.committer.stage(operation)
            self.connection.count_answer()
            self.core.committer.after(_HeldPubcomp(self, packet_id))
        else:
            incoming.discard(packet_id)
            self.connection.answer(pubcomp(packet_id), b"")

    def _retain(self, message: Message) -> bool:
        if not self.connection.listener.retain_available:
            raise ProtocolError("retained messages are turned off", reasons.RETAIN_NOT_SUPPORTED)
        return self.hub.retained.put(message, True)

    def _resolve_alias(self, packet: Publish) -> None:
        """Sets or uses a Topic Alias of the client [MQTT5-3.3.2-8 to 3.3.2-11]."""
        alias = packet.topic_alias
        if alias > self.connection.listener.topic_alias_maximum:
            raise ProtocolError(f"topic alias {alias} above the maximum", reasons.TOPIC_ALIAS_INVALID)
        aliases = self._aliases
        if aliases is None:
            aliases = {}
            self._aliases = aliases
        if packet.topic:
            aliases[alias] = packet.topic
            return
        topic = aliases.get(alias)
        if topic is None:
            raise ProtocolError(f"topic alias {alias} stands for no topic", reasons.PROTOCOL_ERROR)
        packet.topic = topic

    def _grant(self, topic: bytes) -> Grant:
        """Judges a topic for this client and finds its route; remembered until a change concerns it."""
        name = validate_topic_name(topic)
        hub = self.hub
        if name.count("/") >= hub.topic_levels:
            raise ProtocolError(f"more than {hub.topic_levels} topic levels", reasons.TOPIC_NAME_INVALID)
        mask = hub.authorizer.publish_mask(self.connection.identity, self.connection.client_id, topic)
        grant = Grant(hub.router.route(topic, name), mask, hub.router.observer is not None)
        exposure = self.connection.listener.exposure
        if exposure is not None:
            exposure.topic(name)
        if grant.route.stale:
            return grant  # too long to be kept
        if not grant.route.stale:
            grants = self._grants
            if len(grants) >= GRANTS:
                grants.clear()
            grants[topic] = grant
        return grant

    def _watched(self, packet: Publish, grant: Grant) -> int:
        """The grant's real mask; a kind of message that is new and allowed is told to the observer."""
        mask = grant.allowed
        bit = publish_bit(packet.qos, packet.retain)
        if mask >= 0 and mask & bit and not grant.seen & bit:
            grant.seen |= bit
            self._tell(packet)
        return mask

    def _tell(self, packet: Publish) -> None:
        observer = self.hub.router.observer
        if observer is not None:
            connection = self.connection
            observer.published(
                connection.identity, connection.client_id, packet.topic, packet.qos, packet.retain
            )

    def _ask(self, packet: Publish, grant: Grant) -> None:
        """Has the authorizer decide about this one PUBLISH; the connection waits meanwhile."""
        asked = _Asked(self, packet, grant)
        self.connection.park()
        self.hub.authorizer.decide(
            self.connection.identity,
            self.connection.client_id,
            packet.topic,
            packet.qos,
            packet.retain,
            asked.decided,
        )

    def decided(self, packet: Publish, grant: Grant, allowed: bool) -> None:
        """The authorizer's answer to `_ask`."""
        connection = self.connection
        if connection.publishing is not self:
            return
        try:
            if allowed:
                self._tell(packet)
                self._route(packet, self.hub.router.route(packet.topic, grant.route.name), self.session)
            else:
                self._refuse(packet)
        except MqttError as error:
            connection.fail(error)
        self.connection.unpark()

    def _refuse(self, packet: Publish) -> None:
        """Not authorized: MQTT 5 says so, MQTT 3 has no way to [MQTT5-3.4.2, MQTT311-3.3.5-2]."""
        qos = packet.qos
        incoming = self.session.incoming
        if qos == 2 and incoming is not None and packet.packet_id in incoming:
            # It was taken under other rules: a refusal would free the identifier, which is still in use.
            self.connection.answer(pubrec(packet.packet_id), b"")
            return
        self.core.counters.publish_refused += 1
        topic = packet.topic.decode()
        why = self.hub.authorizer.refusal(
            self.connection.identity, self.connection.client_id, "publish", topic, qos, packet.retain
        )
        detail = f"may not publish to {topic!r} with QoS {qos}" + (f": {why}" if why else "")
        self.connection.record("publish", reasons.NOT_AUTHORIZED, detail)
        packet_id = packet.packet_id
        if qos == 0:
            return
        kind = PUBACK if qos == 1 else PUBREC
        if self.version == 5:
            self.connection.answer(encode_ack(kind, 5, packet_id, reasons.NOT_AUTHORIZED), b"")
            return
        session = self.session
        if qos == 2:
            if session.incoming is None:
                session.incoming = set()
            session.incoming.add(packet_id)
        self.connection.answer(puback(packet_id) if qos == 1 else pubrec(packet_id), b"")


class _Asked:
    """A question to the authorizer, and who asked it."""

    def __init__(self, publishing: Publishing, packet: Publish, grant: Grant) -> None:
        self._publishing = publishing
        self._packet = packet
        self._grant = grant

    def decided(self, allowed: bool) -> None:
        self._publishing.decided(self._packet, self._grant, allowed)


def _received(packet_id: int, count: int, version: int) -> bytes:
    """PUBREC, with No matching subscribers where there were none."""
    if count == 0 and version == 5:
        return encode_ack(PUBREC, 5, packet_id, reasons.NO_MATCHING_SUBSCRIBERS)
    return pubrec(packet_id)
