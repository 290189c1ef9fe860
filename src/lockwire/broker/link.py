"""One network connection as bytes: the socket, TLS and WebSocket on top of it, and the outbox.

Plaintext goes up to the `Connection`; what it sends collects in the outbox and leaves as one write a tick. A
link whose peer reads slowly holds back those who publish to it for a moment; if the peer stays slow, they go
on and it is the slow one that loses QoS 0 messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from lockwire.broker.core import BACKLOG, Core
from lockwire.broker.listener import Listener
from lockwire.broker.websocket import WebSocketLayer
from lockwire.broker.wheel import Timer
from lockwire.tls.failure import TIMED_OUT
from lockwire.tls.session import Session as TlsSession

if TYPE_CHECKING:
    from lockwire.broker.connection import Connection

CONGESTED: Final = 256 * 1024
"""Bytes in the transport above which nothing more is written to it."""
RELIEVED: Final = 64 * 1024
PATIENCE: Final = 0.25
"""Seconds that a link may hold back publishers before it counts as slow."""
CLOSING: Final = 3.0
"""Seconds for the last bytes of a connection that is being closed."""
PIECE: Final = 48
"""Bytes that a piece in the outbox costs beside its content."""
LARGE: Final = 4096
"""Bytes of an average piece above which joining the pieces costs more than writing them one by one."""


class _Deadline(Timer):
    """Closes a connection that has not got as far as it should have."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link: Link | None = link

    def fire(self) -> None:
        link = self.link
        if link is not None:
            link.deadline_passed()


class _Turn(Timer):
    """Takes up a connection that had to wait because too many came at once."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link

    def fire(self) -> None:
        self.link.resume_reading()


class _Patience(Timer):
    """Ends the time that a slow reader may hold back publishers."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link

    def fire(self) -> None:
        self.link.patience_ended()


class Link:
    """A connection's bytes. An asyncio protocol without a base class, which uvloop and asyncio both take."""

    def __init__(self, core: Core, listener: Listener) -> None:
        self.core = core
        self.listener = listener
        self.connection: Connection | None = None
        self.transport: Any = None
        self.tls: TlsSession | None = None
        self.websocket: WebSocketLayer | None = None
        self.layered: bool = False
        self.address: str = ""
        self.port: int = 0
        self.outbox: list[bytes] = []
        self.outbox_bytes: int = 0
        self.dirty: bool = False
        self.congested: bool = False
        self.closing: bool = False
        self.reading: bool = True
        self.slow: bool = False
        self.holds_back: bool = False
        self._held: list[bytes] | None = None
        self._queued: bool = False
        self._stop_waiting: Callable[[], None] | None = None
        self._relieving: bool = False
        self._deadline: _Deadline | None = None
        self._patience: _Patience | None = None
        self._waiters: list[Link] | None = None

    @property
    def peer(self) -> str:
        """Where it comes from, as logs show it: `192.0.2.7:50123`, `[2001:db8::7]:50123` or `unix`."""
        if not self.address:
            return "unix"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    # -- the transport's calls ---------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        core = self.core
        core.begin()
        listener = self.listener
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            # An IPv4 client of a socket for both families.
            self.address = str(name[0]).removeprefix("::ffff:")
            self.port = int(name[1])
        connection = self.connection
        assert connection is not None
        refusal = listener.admit(self.address) or connection.hub.admit()
        wait = 0.0 if refusal else listener.wait_for(core.now)
        if wait < 0.0:
            refusal = "too many new connections at once"
        listener.enter(self, self.address)
        if refusal:
            core.counters.connections_refused += 1
            connection.refuse_link(refusal)
            transport.abort()
            return
        core.counters.connections_opened += 1
        transport.set_write_buffer_limits(CONGESTED, RELIEVED)
        context = listener.context
        deadline = listener.connect_timeout
        if context is not None:
            self.tls = TlsSession(context)
            self.layered = True
            deadline = listener.handshake_timeout
        if listener.has_websocket:
            self.websocket = WebSocketLayer(listener.websocket_path, listener.websocket_origins)
            self.layered = True
        if wait > 0.0:
            core.counters.connections_delayed += 1
            self.pause_reading()
            core.wheel.schedule(_Turn(self), core.now + wait)
        self.arm_deadline(deadline + wait)

    def data_received(self, data: bytes) -> None:
        core = self.core
        core.begin()
        core.counters.bytes_received += len(data)
        connection = self.connection
        if connection is None or self.closing:
            return
        if not self.layered:
            connection.receive(data)
            return
        tls = self.tls
        if tls is None:
            self._receive_websocket(data)
        elif tls.established:
            self._receive_records(tls, data)
        elif core.may_handshake() and not self._queued:
            self._shake_hands(tls, data)
        else:
            self._put_off_handshake(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        core = self.core
        core.begin()
        self.transport = None
        tls = self.tls
        if tls is not None and not self.closing and not tls.established:
            tls.abandon()
        self.closing = True
        core.lose(self)

    def let_go(self) -> None:
        """Ends what hung on the connection."""
        self._disarm()
        self._leave_key()
        self.listener.leave(self, self.address)
        connection = self.connection
        tls = self.tls
        if tls is not None and not tls.established and connection is not None:
            connection.handshake_ended(tls)
        self.connection = None
        if connection is not None:
            connection.lost()
        self.outbox = []
        self.outbox_bytes = 0
        self._held = None
        self.tls = None
        self.websocket = None
        self.release_waiters()
        self._patience = None

    def pause_writing(self) -> None:
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = False
        self.core.begin()
        if self.outbox:
            self._mark()
        else:
            self.relieved()

    # -- TLS and WebSocket on the way in -----------------------------------------------------------

    def _shake_hands(self, tls: TlsSession, data: bytes) -> None:
        if tls.key_source is not None:
            data = tls.gather(data)
            if not data or self._waits_for_key(tls, data):
                return
        started = time.perf_counter()
        chunks = tls.receive(data)
        if tls.closed and tls.key_source is not None and self._waits_for_key(tls, b""):
            self.core.spent_on_handshake(time.perf_counter() - started)
            return
        self._write_through(tls.pending_output())
        if tls.established:
            self.core.counters.handshakes += 1
            if tls.resumed:
                self.core.counters.handshakes_resumed += 1
            self.arm_deadline(self.listener.connect_timeout)
            self.core.spent_on_handshake(time.perf_counter() - started)
            self._receive_chunks(tls, chunks)
            return
        self.core.spent_on_handshake(time.perf_counter() - started)
        if tls.closed:
            self.close_now()

    def _waits_for_key(self, tls: TlsSession, data: bytes) -> bool:
        """Whether the handshake has to wait for a pre-shared key; `data` is kept then."""
        stop_waiting = tls.wait_for_key(self.key_came)
        if stop_waiting is None:
            return False
        self._stop_waiting = stop_waiting
        self._held = [data]
        self._queued = True
        self.pause_reading()
        return True

    def key_came(self) -> None:
        """The key that the handshake waited for is at hand, or will not be."""
        self._stop_waiting = None
        core = self.core
        core.begin()
        if core.may_handshake():
            self.go_on_handshake()
        else:
            core.queue_handshake(self)

    def _leave_key(self) -> None:
        stop_waiting = self._stop_waiting
        if stop_waiting is not None:
            self._stop_waiting = None
            stop_waiting()

    def _put_off_handshake(self, data: bytes) -> None:
        if self._held is None:
            self._held = []
        self._held.append(data)
        if not self._queued:
            self._queued = True
            self.pause_reading()
            self.core.queue_handshake(self)

    def go_on_handshake(self) -> None:
        """Takes up a handshake that had to wait for its turn."""
        self._queued = False
        held = b"".join(self._held or [])
        self._held = None
        tls = self.tls
        if self.transport is None or self.closing or tls is None:
            return
        self._shake_hands(tls, held)
        connection = self.connection
        if connection is not None and connection.wants_input and not self._queued:
            self.resume_reading()

    def _receive_records(self, tls: TlsSession, data: bytes) -> None:
        self._receive_chunks(tls, tls.receive(data))
        self._write_through(tls.pending_output())

    def _receive_chunks(self, tls: TlsSession, chunks: list[bytes]) -> None:
        connection = self.connection
        assert connection is not None
        if self.websocket is not None:
            for chunk in chunks:
                self._receive_websocket(chunk)
        elif chunks:
            connection.receive_all(chunks)
        if tls.closed and not self.closing:
            self.close_now()

    def _receive_websocket(self, data: bytes) -> None:
        websocket = self.websocket
        connection = self.connection
        assert websocket is not None
        if connection is None:
            return
        chunks = websocket.receive(data)
        output = websocket.pending_output()
        if output and (websocket.closed or not self.congested):
            # A peer that pings and does not read gets no pongs: they would wait for it without limit.
            self._encrypt_through(output)
        if chunks:
            connection.receive_all(chunks)
        if websocket.failure is not None:
            connection.websocket_failed(websocket.failure)
        if websocket.closed and not self.closing:
            self.close_now()

    def go_on(self) -> None:
        """Takes up the input that an earlier tick had no time for."""
        connection = self.connection
        if connection is not None and not self.closing:
            connection.go_on()

    # -- reading, paused and resumed ---------------------------------------------------------------

    def pause_reading(self) -> None:
        """Stops taking input from the socket."""
        if self.reading and self.transport is not None:
            self.reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Takes input from the socket again."""
        if not self.reading and self.transport is not None and not self.closing:
            self.reading = True
            self.transport.resume_reading()

    # -- the outbox --------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Appends to the outbox; it leaves with the tick's flush."""
        self.outbox.append(data)
        self.outbox_bytes += len(data)
        if not self.dirty:
            self.dirty = True
            self.core.mark(self)

    def send_publish(self, head: bytes, packet_id: bytes, tail: bytes) -> None:
        """Appends a PUBLISH in the three pieces that subscribers share or not."""
        outbox = self.outbox
        outbox.append(head)
        outbox.append(packet_id)
        outbox.append(tail)
        self.outbox_bytes += len(head) + len(tail) + 2
        if not self.dirty:
            self.dirty = True
            self.core.mark(self)

    @property
    def is_overfull(self) -> bool:
        """Whether more waits than deliveries alone can make: answers that the client asks for and does not
        read.
        """
        listener = self.listener
        waiting = self.outbox_bytes + PIECE * len(self.outbox)
        return waiting > 2 * max(listener.outbox_bytes, 2 * BACKLOG) + listener.packet_size

    def _mark(self) -> None:
        if not self.dirty:
            self.dirty = True
            self.core.mark(self)

    def flush(self) -> None:
        """Writes the outbox, unless the transport has enough."""
        self.dirty = False
        if self.congested or self.transport is None or not self.outbox:
            return
        self._write_outbox()
        if not self.congested:
            self.relieved()

    def _write_outbox(self) -> None:
        outbox = self.outbox
        size = self.outbox_bytes
        self.outbox = []
        self.outbox_bytes = 0
        self.core.counters.bytes_sent += size
        transport = self.transport
        count = len(outbox)
        if not self.layered:
            if count == 1:
                transport.write(outbox[0])
            elif size > LARGE * count:
                transport.writelines(outbox)
            else:
                transport.write(b"".join(outbox))
            return
        websocket = self.websocket
        tls = self.tls
        if websocket is not None:
            data = websocket.send(b"".join(outbox) if count > 1 else outbox[0])
            transport.write(data if tls is None else tls.send(data))
            return
        assert tls is not None
        if count == 1:
            transport.write(tls.send(outbox[0]))
        else:
            transport.write(tls.send(b"".join(outbox)))

    def drop_last(self, data: bytes) -> None:
        """Takes back what was appended last: the outbox is at its limit."""
        outbox = self.outbox
        if outbox and outbox[-1] is data:
            outbox.pop()
            self.outbox_bytes -= len(data)

    def _write_through(self, data: bytes) -> None:
        if data and self.transport is not None:
            self.core.counters.bytes_sent += len(data)
            self.transport.write(data)

    def _encrypt_through(self, data: bytes) -> None:
        tls = self.tls
        self._write_through(data if tls is None else tls.send(data))

    # -- slow readers ------------------------------------------------------------------------------

    def crowded(self, publisher: Link | None) -> bool:
        """Called when the outbox has passed `BACKLOG`: writes early, or holds `publisher` back.

        Returns whether a QoS 0 message must be dropped, because the outbox is at its limit.
        """
        if not self.congested and self.transport is not None:
            self._write_outbox()
            if not self.congested:
                return False
        if publisher is not None:
            self.hold_back(publisher)
        return self.outbox_bytes > self.listener.outbox_bytes

    def hold_back(self, publisher: Link) -> None:
        """Stops reading from `publisher` until this link is relieved or its time is up."""
        connection = publisher.connection
        if publisher is self or connection is None or self.slow or not connection.hold():
            return
        self.core.counters.publishers_delayed += 1
        if self._waiters is None:
            self._waiters = []
            if self._patience is None:
                self._patience = _Patience(self)
            self.core.wheel.schedule(self._patience, self.core.now + PATIENCE)
        self._waiters.append(publisher)
        self.holds_back = True

    def patience_ended(self) -> None:
        """This link has held back publishers for long enough: from now on it is the one that loses."""
        if self._waiters:
            self.slow = True
            self.release_waiters()
            self.holds_back = True

    def relieved(self) -> None:
        """The outbox has been written and the transport has room."""
        connection = self.connection
        if connection is not None:
            if connection.has_backlog:
                if self._relieving:
                    return  # what is written here asks for it again
                self._relieving = True
                connection.write_backlog()
                self._relieving = False
                if self.outbox_bytes > 0:
                    return
            if connection.is_crowded:
                return
        self.slow = False
        self.holds_back = False
        if self._waiters:
            self.release_waiters()

    def release_waiters(self) -> None:
        """Lets those go on that this link held back."""
        if self._patience is not None:
            self._patience.cancel()
        waiters = self._waiters
        if waiters:
            self._waiters = None
            for link in waiters:
                connection = link.connection
                if connection is not None:
                    connection.unhold()

    # -- the end -----------------------------------------------------------------------------------

    def arm_deadline(self, seconds: float) -> None:
        """Gives the connection this long to get further; 0: as long as it likes."""
        deadline = self._deadline
        if seconds <= 0:
            self._disarm()
            return
        if deadline is None:
            deadline = _Deadline(self)
            self._deadline = deadline
        self.core.wheel.schedule(deadline, self.core.now + seconds)

    def _disarm(self) -> None:
        deadline = self._deadline
        if deadline is not None:
            deadline.cancel()
            deadline.link = None
            self._deadline = None

    def deadline_passed(self) -> None:
        """The connection did not get as far as it should have in its time."""
        if self.transport is None:
            return
        if self.closing:
            self.transport.abort()
            return
        connection = self.connection
        tls = self.tls
        in_handshake = tls is not None and not tls.established
        if tls is not None and in_handshake:
            tls.abandon(TIMED_OUT)
        if connection is not None and not in_handshake:
            connection.deadline_passed()
        if not self.closing:
            self.close_now()

    def close_now(self) -> None:
        """Writes what is in the outbox, says goodbye in TLS and WebSocket, and closes."""
        if self.closing or self.transport is None:
            return
        self.closing = True
        if self.outbox:
            self._write_outbox()
        if self.websocket is not None:
            self._encrypt_through(self.websocket.close())
        tls = self.tls
        if tls is not None and tls.established:
            self._write_through(tls.close())
        self.arm_deadline(CLOSING)
        self.transport.close()

    def abort(self) -> None:
        """Drops the connection at once."""
        self.closing = True
        if self.transport is not None:
            self.transport.abort()
