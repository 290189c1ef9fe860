"""One client's connection as MQTT: what it sends is decoded here, judged, and answered.

CONNECT is `connecting`'s, SUBSCRIBE and UNSUBSCRIBE are `subscribing`'s; the rest is here. Where a decision
is outstanding the connection is parked: its input is kept, reading pauses and nothing overtakes (rule 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lockwire.access.identity import ANONYMOUS_IDENTITY, Identity
from lockwire.broker.commit import Effect
from lockwire.broker.connecting import Connecting
from lockwire.broker.hub import Hub
from lockwire.broker.lifetime import Expiry, KeepAlive
from lockwire.broker.link import Link
from lockwire.broker.listener import Listener
from lockwire.broker.publishing import Publishing
from lockwire.broker.session import CROWD, Session
from lockwire.broker.subscribing import subscribe, unsubscribe
from lockwire.mqtt import reasons
from lockwire.mqtt.decoder import Decoder
from lockwire.mqtt.encoder import (
    PINGRESP_FRAME,
    encode_disconnect,
)
from lockwire.mqtt.errors import MqttError, ProtocolError
from lockwire.mqtt.packets import (
    AUTH,
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    TYPE_NAMES,
    UNSUBSCRIBE,
    Ack,
    Auth,
    Connect,
    Disconnect,
    Packet,
    Properties,
    Publish,
    Subscribe,
    Unsubscribe,
    Will,
)
from lockwire.store.interface import StoreError

if TYPE_CHECKING:
    from lockwire.tls.session import Session as TlsSession

WAITING: Final = 0
"""No CONNECT yet."""
CONNECTING: Final = 1
OPEN: Final = 2
CLOSED: Final = 3

STRIDE: Final = 256
"""Packets and deliveries between two looks at the clock."""
HEAVY: Final = 16
"""Deliveries that a change of a subscription counts for."""


class _HeldFrame(Effect):
    """An answer that leaves after the commit of what it states; `otherwise` leaves if that is refused."""

    def __init__(self, connection: Connection, frame: bytes, otherwise: bytes) -> None:
        self.connection = connection
        self.frame = frame
        self.otherwise = otherwise

    def committed(self) -> None:
        self.connection.release(self.frame)

    def refused(self, error: StoreError) -> None:
        connection = self.connection
        if self.otherwise:
            connection.release(self.otherwise)
        else:
            connection.release(b"")
            connection.end(reasons.IMPLEMENTATION_SPECIFIC_ERROR, f"not kept: {error}")


class Connection:
    """One client's connection. `running`: it takes input; it does not while parked, held back or put off."""

    def __init__(self, hub: Hub, listener: Listener) -> None:
        self.hub = hub
        self.core = hub.core
        self.listener = listener
        self.link: Link = Link(hub.core, listener)
        self.link.connection = self
        self.decoder = Decoder(listener.connect_bytes, True)
        self.state: int = WAITING
        self.version: int = 0
        self.client_id: str = ""
        self.identity: Identity = ANONYMOUS_IDENTITY
        self.session: Session | None = None
        self.will: Will | None = None
        self.connecting: Connecting | None = None
        self.publishing: Publishing | None = None
        self.last_received: float = hub.core.now
        self.keep_alive: int = 0
        self.problem_information: bool = True
        self.maximum_packet_size: int = 268_435_460
        self.authentication_method: str | None = None
        self._foreign: str = ""
        self.running: bool = True
        self.wants_input: bool = True
        self._parked: bool = False
        self._answers_wait: bool = False
        self._held_back: bool = False
        self._put_off: bool = False
        self._processing: bool = False
        self._work: int = 0
        self.answers: int = 0
        self._silence: KeepAlive | None = None
        self._expiry: Expiry | None = None
        hub.connected += 1
        hub.unauthenticated += 1

    # -- input -------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Takes plaintext from the link."""
        self.last_received = self.core.now
        if self.state == WAITING:
            self._recognise(data)
        self.decoder.feed(data)
        if self.running:
            self._process_in_time()

    def receive_all(self, chunks: list[bytes]) -> None:
        """Takes plaintext in several pieces."""
        self.last_received = self.core.now
        if self.state == WAITING:
            self._recognise(chunks[0])
        decoder = self.decoder
        for chunk in chunks:
            decoder.feed(chunk)
        if self.running:
            self._process_in_time()

    def _recognise(self, data: bytes) -> None:
        """Looks for what people connect here by mistake, to say so when it is refused."""
        if self.decoder.buffered > 0:
            return
        if data.startswith(b"\x16\x03"):
            self._foreign = "this is TLS, and the listener expects MQTT without it"
        elif data.startswith((b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ")):
            self._foreign = "this is HTTP, and the listener expects MQTT"

    def _process_in_time(self) -> None:
        """Works through the input now if this tick has time for it, else in the next."""
        if self.core.out_of_time():
            self._put_off_input()
        else:
            self._process()

    def _put_off_input(self) -> None:
        self._put_off = True
        self._update()
        self.core.defer(self.link)

    def _process(self) -> None:
        decoder = self.decoder
        counters = self.core.counters
        publishing = self.publishing
        self._processing = True
        try:
            while self.running:
                packet = decoder.next_packet()
                if packet is None:
                    break
                counters.packets_received += 1
                if packet.type == PUBLISH:
                    assert isinstance(packet, Publish)
                    if publishing is None:
                        publishing = self.publishing
                        if publishing is None:
                            raise ProtocolError("PUBLISH before the CONNACK")
                    self._work += publishing.take(packet)
                else:
                    self._take(packet)
                self._work += 1
                if self._work > STRIDE:
                    self._work = 0
                    if self.link.is_overfull:
                        self.end(reasons.QUOTA_EXCEEDED, "the client does not read its answers")
                        break
                    if self.core.out_of_time() and decoder.buffered > 0:
                        self._put_off_input()
        except MqttError as error:
            self.fail(error)
        self._processing = False
        if self.state < OPEN and decoder.buffered > self.listener.connect_bytes:
            self.end(reasons.PACKET_TOO_LARGE, "too much was sent before the client was authenticated")

    def _take(self, packet: Packet) -> None:
        kind = packet.type
        if self.state != OPEN:
            self._take_before_open(packet)
            return
        session = self.session
        assert session is not None
        if kind == PUBACK:
            assert isinstance(packet, Ack)
            session.puback(packet.packet_id)
        elif kind == PUBREC:
            assert isinstance(packet, Ack)
            session.pubrec(packet.packet_id, packet.reason)
        elif kind == PUBREL:
            assert isinstance(packet, Ack)
            publishing = self.publishing
            assert publishing is not None
            publishing.pubrel(packet.packet_id)
        elif kind == PUBCOMP:
            assert isinstance(packet, Ack)
            session.pubcomp(packet.packet_id)
        elif kind == PINGREQ:
            self.link.send(PINGRESP_FRAME)
        elif kind == SUBSCRIBE:
            assert isinstance(packet, Subscribe)
            self._work += HEAVY * len(packet.requests)
            subscribe(self, packet)
        elif kind == UNSUBSCRIBE:
            assert isinstance(packet, Unsubscribe)
            self._work += HEAVY * len(packet.topic_filters)
            unsubscribe(self, packet)
        elif kind == DISCONNECT:
            assert isinstance(packet, Disconnect)
            self._disconnect(packet)
        elif kind == AUTH:
            assert isinstance(packet, Auth)
            self._authenticate_again(packet)
        else:
            raise ProtocolError(f"{TYPE_NAMES[kind]} is not for clients to send")

    def _take_before_open(self, packet: Packet) -> None:
        if self.state == WAITING:
            assert isinstance(packet, Connect)
            self.state = CONNECTING
            self.connecting = Connecting(self, packet)
            self.connecting.start()
        elif isinstance(packet, Auth) and self.connecting is not None:
            self.connecting.continue_exchange(packet)
        elif isinstance(packet, Disconnect):
            self.will = None
            self.link.close_now()
        else:
            raise ProtocolError(f"{TYPE_NAMES[packet.type]} before the CONNACK")

    def opened(self, session: Session) -> None:
        """The CONNACK is on its way: the client's packets are taken from now on."""
        self.state = OPEN
        self.hub.unauthenticated -= 1
        self.connecting = None
        self.publishing = Publishing(self, session)

    # -- parked, held back, put off ----------------------------------------------------------------

    @property
    def _is_stopped(self) -> bool:
        """Whether input waits for somebody else: a decision, the store, a subscriber."""
        return self._parked or self._answers_wait or self._held_back

    def _update(self) -> None:
        running = not (self._is_stopped or self._put_off or self.state == CLOSED)
        if running == self.running:
            return
        self.running = running
        self.wants_input = running
        if running:
            self.link.resume_reading()
        else:
            self.link.pause_reading()

    def park(self) -> None:
        """Waits for a decision: input is kept and not looked at."""
        self._parked = True
        self._update()

    def unpark(self) -> None:
        """The decision is there."""
        if self._parked:
            self._parked = False
            self._take_up()

    def _take_up(self) -> None:
        """Goes on with the input, in the next tick where some is held, unless something else stops it."""
        self._update()
        if not self._processing and self.running and self.decoder.buffered > 0:
            self._put_off_input()

    def hold(self) -> bool:
        """Stops taking input because a subscriber cannot keep up; False if it is stopped so already."""
        if self._held_back or self.state != OPEN:
            return False
        self._held_back = True
        self._update()
        return True

    def unhold(self) -> None:
        """The subscriber has caught up, or its time is over."""
        if self._held_back:
            self._held_back = False
            self._put_off_input()

    def go_on(self) -> None:
        """Takes up the input that was put off."""
        self._put_off = False
        if not (self._is_stopped or self.state == CLOSED):
            self.running = True
            self._process()
            self.wants_input = self.running
            if self.running:
                self.link.resume_reading()

    # -- answers, at once or after a commit --------------------------------------------------------

    def answer(self, frame: bytes, otherwise: bytes = b"") -> None:
        """Sends an answer, behind those that still wait for their commit [MQTT5-4.6.0-2]."""
        if not self.fits(frame):
            return
        if self.answers == 0:
            self.link.send(frame)
        else:
            self.answer_after(frame, otherwise)

    def fits(self, frame: bytes) -> bool:
        """Whether the client takes a packet of this size [MQTT5-3.1.2-24].

        One that asks for an answer it does not take cannot be served: its connection ends.
        """
        if len(frame) <= self.maximum_packet_size:
            return True
        self.end(reasons.PACKET_TOO_LARGE, "the client's Maximum Packet Size is too small for an answer")
        return False

    def answer_after(self, frame: bytes, otherwise: bytes) -> None:
        """Sends `frame` after the commit of this tick's batch; `otherwise`, if the store refuses it.

        An empty `otherwise` closes the connection instead: the client will try again.
        """
        if not self.fits(frame):
            return
        self.count_answer()
        self.core.committer.after(_HeldFrame(self, frame, otherwise))

    def count_answer(self) -> None:
        """Counts an answer that waits; while more than the Receive Maximum of them do, no input is taken."""
        self.answers += 1
        if self.answers > self.listener.receive_maximum:
            self._answers_wait = True
            self._update()

    def release(self, frame: bytes) -> None:
        """Sends an answer that has waited for its commit."""
        self.answers -= 1
        if self.state == OPEN and frame:
            self.link.send(frame)
        if self._answers_wait and self.answers <= self.listener.receive_maximum:
            self._answers_wait = False
            self._take_up()

    # -- the queue of the session ------------------------------------------------------------------

    @property
    def has_backlog(self) -> bool:
        """Whether the session waits for room in the outbox."""
        session = self.session
        return session is not None and session.has_backlog

    @property
    def is_crowded(self) -> bool:
        """Whether so many messages wait for this client that publishers are still held back."""
        session = self.session
        return session is not None and session.is_crowded(CROWD * 3 // 4)

    def write_backlog(self) -> None:
        """There is room in the outbox again."""
        session = self.session
        if session is not None and session.link is self.link:
            session.write_backlog()

    # -- AUTH, DISCONNECT and the end --------------------------------------------------------------

    def _authenticate_again(self, packet: Auth) -> None:
        """Re-authentication (MQTT 5 section 4.12.1)."""
        if self.authentication_method is None:
            raise ProtocolError("AUTH from a client that connected without an Authentication Method")
        if self.connecting is None:
            self.connecting = Connecting.again(self)
        self.connecting.continue_exchange(packet)

    def _disconnect(self, packet: Disconnect) -> None:
        properties = packet.properties
        session = self.session
        registry = self.hub.registry
        assert session is not None
        assert registry is not None
        interval = -1 if properties is None else properties.session_expiry_interval
        if session.expiry_interval == 0 and interval > 0:
            raise ProtocolError("a Session Expiry Interval in DISCONNECT where CONNECT had none")
        # Any other reason than this one leaves the will to be published [MQTT5-3.14.4-3].
        if packet.reason == reasons.SUCCESS and self.will is not None:
            self.will = None
            registry.forget_will(session)
        if interval >= 0:
            registry.keep(session, min(interval, self.listener.session_expiry_maximum))
        self.link.close_now()
        self._leave()

    def watch_keep_alive(self, keep_alive: int) -> None:
        """Starts to watch for silence; `keep_alive` in seconds, 0: never."""
        self.keep_alive = keep_alive
        if keep_alive > 0:
            self._silence = KeepAlive(self, keep_alive)

    def watch_expiry(self, expires: float) -> None:
        """Starts to watch for the end of the identity: a time of `time.time()`, 0.0: it has none."""
        if self._expiry is not None:
            self._expiry.stop()
            self._expiry = None
        if expires > 0.0:
            self._expiry = Expiry(self, expires)

    def fail(self, error: MqttError) -> None:
        """Answers a packet that is malformed or breaks the protocol (MQTT 5 section 4.13)."""
        self.core.counters.protocol_errors += 1
        if self.state == CLOSED:
            return
        if self.state == OPEN:
            self.end(error.reason, error.detail)
            return
        connecting = self.connecting
        if connecting is None:
            connecting = Connecting(self, None)
            self.connecting = connecting
        connecting.fail(ProtocolError(self._foreign) if self._foreign else error)

    def end(self, reason: int, detail: str) -> None:
        """Ends the connection for a reason, and tells an MQTT 5 client [MQTT5-3.14.0-1]."""
        if self.state == CLOSED:
            return
        if reason != reasons.SERVER_SHUTTING_DOWN:
            self.record("protocol", reason, detail)
        self.say_goodbye(reason, detail)
        self.link.close_now()
        self._leave()

    def evict(self, reason: int, detail: str) -> None:
        """Ends the connection of a client that has lost its right to be here; one not open yet is refused."""
        if self.connecting is not None and self.state == CONNECTING:
            self.connecting.refuse(reason, detail)
        else:
            self.end(reason, detail)

    def say_goodbye(self, reason: int, detail: str) -> None:
        """Sends DISCONNECT to an MQTT 5 client that is connected."""
        if self.state != OPEN or self.version != 5:
            return
        properties = Properties()
        properties.reason_string = detail
        frame = encode_disconnect(5, reason, properties)
        if len(frame) > self.maximum_packet_size:
            frame = encode_disconnect(5, reason)
        self.link.send(frame)

    def taken_over(self) -> None:
        """Another connection has this client identifier now [MQTT5-3.1.4-3]."""
        self.say_goodbye(reasons.SESSION_TAKEN_OVER, "another connection uses this client identifier")
        self.link.close_now()
        self._leave()

    def lost(self) -> None:
        """The network connection is gone."""
        self.hub.connected -= 1
        self._leave()

    def _leave(self) -> None:
        if self.state == CLOSED:
            return
        if self.state != OPEN:
            self.hub.unauthenticated -= 1
        self.state = CLOSED
        self.running = False
        if self._silence is not None:
            self._silence.stop()
            self._silence = None
        if self._expiry is not None:
            self._expiry.stop()
            self._expiry = None
        if self.connecting is not None:
            self.connecting.abandoned()
            self.connecting = None
        session = self.session
        self.session = None
        self.publishing = None
        registry = self.hub.registry
        if session is not None and registry is not None:
            will = self.will
            self.will = None
            registry.disconnected(session, self, will)

    # -- what the link reports ---------------------------------------------------------------------

    def handshake_ended(self, tls: TlsSession) -> None:
        """The connection ended before TLS was up."""
        self.core.counters.handshakes_failed += 1
        failure = tls.failure
        if failure is None:
            return
        self.hub.refusals.record(
            "handshake", self.listener.name, self.link.peer, "", "", "", failure.summary(), failure.offered()
        )

    def websocket_failed(self, detail: str) -> None:
        """The WebSocket layer gave up."""
        self.record("protocol", reasons.PROTOCOL_ERROR, f"WebSocket: {detail}")

    def refuse_link(self, detail: str) -> None:
        """The listener does not admit the connection."""
        self.hub.refusals.record("connection", self.listener.name, self.link.peer, "", "", "", detail)

    def deadline_passed(self) -> None:
        """The connection did not get to its CONNACK in time."""
        self.record("connect", reasons.MAXIMUM_CONNECT_TIME, "no complete CONNECT in time")

    def record(self, kind: str, reason: int, detail: str) -> None:
        """Keeps a record of a refusal."""
        known = self.state == OPEN or self.identity is not ANONYMOUS_IDENTITY
        self.hub.refusals.record(
            kind, self.listener.name, self.link.peer, self.client_id, self.identity.name if known else "",
            reasons.name_of(reason), detail,
        )  # fmt: skip
