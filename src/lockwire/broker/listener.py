"""One listener as its connections see it: its policy, its limits and who is connected through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lockwire.access.authenticator import Authenticator
from lockwire.broker.exposure import Exposure
from lockwire.tls.context import ServerContext

if TYPE_CHECKING:
    from lockwire.broker.link import Link


LONGEST_WAIT: Final = 10.0
"""Seconds that a connection waits for its turn where too many come."""


class Listener:
    """What a listener's connections need to know, copied out of the settings: the hot path reads plain
    attributes.

    Sizes are bytes, times seconds. `context` is None without TLS. A reload puts another `context` in its
    place;
    connections that are up keep theirs.
    """

    def __init__(self, name: str, transport: str) -> None:
        self.name = name
        self.transport = transport
        self.context: ServerContext | None = None
        self.authenticator: Authenticator = Authenticator()
        self.has_websocket: bool = False
        self.websocket_path: str = ""
        self.websocket_origins: list[str] = []
        self.handshake_timeout: float = 10.0
        self.connect_timeout: float = 10.0
        self.connect_bytes: int = 65536
        self.connections: int = 0
        self.connections_per_address: int = 0
        self.connection_rate: int = 0
        self.packet_size: int = 1024 * 1024
        self.receive_maximum: int = 1000
        self.inflight_v3: int = 100
        self.topic_alias_maximum: int = 10
        self.keep_alive_maximum: int = 0
        self.session_expiry_maximum: int = 0xFFFFFFFF
        self.outbox_bytes: int = 16 * 1024 * 1024
        self.maximum_qos: int = 2
        self.retain_available: bool = True
        self.accepting: bool = True
        self.exposure: Exposure | None = None if transport in ("tls", "wss", "unix") else Exposure()
        self.links: set[Link] = set()
        self.addresses: dict[str, int] = {}
        self._next_slot: float = 0.0

    def adopt(self, change: Listener) -> None:
        """Takes over the policy and the limits of `change`, for the connections that follow."""
        self.context = change.context
        self.authenticator = change.authenticator
        self.websocket_path = change.websocket_path
        self.websocket_origins = change.websocket_origins
        self.handshake_timeout = change.handshake_timeout
        self.connect_timeout = change.connect_timeout
        self.connect_bytes = change.connect_bytes
        self.connections = change.connections
        self.connections_per_address = change.connections_per_address
        self.connection_rate = change.connection_rate
        self.packet_size = change.packet_size
        self.receive_maximum = change.receive_maximum
        self.inflight_v3 = change.inflight_v3
        self.topic_alias_maximum = change.topic_alias_maximum
        self.keep_alive_maximum = change.keep_alive_maximum
        self.session_expiry_maximum = change.session_expiry_maximum
        self.outbox_bytes = change.outbox_bytes
        self.maximum_qos = change.maximum_qos
        self.retain_available = change.retain_available

    def admit(self, address: str) -> str:
        """Why a connection from `address` is refused; empty: it is not."""
        if not self.accepting:
            return "this listener is closing"
        if self.connections and len(self.links) >= self.connections:
            return "too many connections on this listener"
        most = self.connections_per_address
        if address and most and self.addresses.get(address, 0) >= most:
            return "too many connections from this address"
        return ""

    def wait_for(self, now: float) -> float:
        """Seconds that a connection accepted at `now` waits, so that no more than the rate are taken up.

        A second's worth may come at once. -1: so many wait that this one would not get its turn in time.
        """
        if not self.connection_rate:
            return 0.0
        slot = max(self._next_slot, now - 1.0) + 1.0 / self.connection_rate
        if slot - now > LONGEST_WAIT:
            return -1.0
        self._next_slot = slot
        return max(0.0, slot - now)

    def enter(self, link: Link, address: str) -> None:
        """Counts a connection in."""
        self.links.add(link)
        if address:
            self.addresses[address] = self.addresses.get(address, 0) + 1

    def leave(self, link: Link, address: str) -> None:
        """Counts a connection out."""
        self.links.discard(link)
        if address:
            left = self.addresses.get(address, 1) - 1
            if left > 0:
                self.addresses[address] = left
            else:
                self.addresses.pop(address, None)
