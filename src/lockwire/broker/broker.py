"""The broker: its parts put together from the settings, its listeners opened, reloaded and closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from lockwire.access.authenticator import Authenticator
from lockwire.access.authorizer import Authorizer
from lockwire.access.identity import PSK
from lockwire.access.observer import Observer
from lockwire.broker.connecting import REVOKED
from lockwire.broker.connection import Connection
from lockwire.broker.core import Core
from lockwire.broker.hub import Hub
from lockwire.broker.link import Link
from lockwire.broker.listener import Listener
from lockwire.broker.opening import ListenError, context_for, open_socket
from lockwire.broker.refusals import Refusals
from lockwire.broker.registry import Registry
from lockwire.broker.systopics import SysTopics
from lockwire.config import ListenerSettings, Settings
from lockwire.mqtt import reasons
from lockwire.store.interface import Recovered, Store
from lockwire.tls.context import ServerContext
from lockwire.tls.psk import PskLookup
from lockwire.version import VERSION

__all__ = ["Broker", "ListenError"]

GOODBYE: Final = 2.0
"""Seconds that clients get to take their last bytes when the broker stops."""

AuthenticatorFactory = Callable[[ListenerSettings], Authenticator]


class _Door:
    """A listener that is open: what its connections see, and the server that accepts them."""

    def __init__(self, settings: ListenerSettings, listener: Listener) -> None:
        self.settings = settings
        self.listener = listener
        self.server: asyncio.AbstractServer | None = None
        self.endpoint = settings.endpoint
        self.port = settings.port


class Broker:
    """One MQTT broker on the running event loop.

    Args:
        settings: everything that can be set.
        store: what survives; `MemoryStore` keeps it as long as the process lives.
        authenticators: makes the authenticator of a listener.
        authorizer: what identities may do. After a change of its rules call `rules_changed`.
        log: where refusals and listeners are written.
        psk_key: the pre-shared key of an identity, for listeners that name no file of them.

    Raises from `start` and `reload`: ListenError where an address cannot be had; TlsFileError and
    TlsPolicyError where a listener's TLS cannot be set up. A reload that raises has changed nothing.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        authenticators: AuthenticatorFactory,
        authorizer: Authorizer,
        log: FilteringBoundLogger,
        psk_key: PskLookup | None = None,
    ) -> None:
        self.settings = settings
        self._psk_key = psk_key
        self._store = store
        self._authenticators = authenticators
        self._log = log
        self.refusals = Refusals(self._write_refusal)
        limits = settings.limits
        self.core = Core(asyncio.get_running_loop(), store, limits.handshake_time_per_tick)
        self.hub = Hub(self.core, authorizer, self.refusals, limits.retained_messages, limits.retained_bytes)
        self.registry = Registry(self.hub, store)
        self.hub.registry = self.registry
        self._doors: dict[str, _Door] = {}
        self._closing_doors: list[_Door] = []
        self._started_at: float = time.time()
        self._sys = SysTopics(self.hub, self.registry)
        self._housekeeper: asyncio.TimerHandle | None = None

    def _write_refusal(self, event: str, fields: dict[str, object]) -> None:
        self._log.warning(event, **fields)

    # -- start, reload, stop -----------------------------------------------------------------------

    async def start(self) -> None:
        """Reads the store and opens every listener; returns when they accept connections."""
        recovered: asyncio.Future[Recovered] = asyncio.get_running_loop().create_future()
        self._store.recover(recovered.set_result)
        self._apply_limits(self.settings)
        self.core.start()
        self.registry.restore(await recovered)
        try:
            for settings in self.settings.listeners:
                self._doors[settings.name] = await self._open(settings)
        except BaseException:
            await self.stop()
            raise
        self._sys.start(self.settings.sys.interval)
        self._keep_house()

    async def reload(self, settings: Settings) -> None:
        """Applies new settings and reads certificates again; no connection is dropped.

        A listener that is gone stops accepting and keeps its connections; one whose address or transport
        changed is closed and opened anew; every other gets its new policy for the connections that follow.
        """
        prepared: dict[str, Listener] = {}
        for wanted in settings.listeners:
            current = self._doors.get(wanted.name)
            if current is not None and _same_place(current.settings, wanted):
                prepared[wanted.name] = self._prepare(wanted, current.listener)
        closing = [door for name, door in self._doors.items() if name not in prepared]
        fresh: list[_Door] = []
        waiting: list[_Door] = []
        try:
            for wanted in settings.listeners:
                if wanted.name in prepared:
                    continue
                made = _Door(wanted, self._prepare(wanted, None))
                if any(_in_the_way(door, wanted) for door in closing):
                    waiting.append(made)
                else:
                    await self._listen(made)
                    fresh.append(made)
            await self._exchange(closing, waiting)
        except BaseException:
            for door in fresh:
                await self._close_door(door)
            raise
        for door in closing:
            del self._doors[door.settings.name]
        for wanted in settings.listeners:
            change = prepared.get(wanted.name)
            if change is not None:
                door = self._doors[wanted.name]
                door.listener.adopt(change)
                door.settings = wanted
        for door in (*fresh, *waiting):
            self._doors[door.settings.name] = door
        self.settings = settings
        self._apply_limits(settings)
        self._sys.start(settings.sys.interval)

    async def _exchange(self, closing: list[_Door], waiting: list[_Door]) -> None:
        """Closes listeners and opens those that need their places; all of it, or it is as before."""
        for door in closing:
            await self._close_door(door)
        opened: list[_Door] = []
        try:
            for door in waiting:
                await self._listen(door)
                opened.append(door)
        except BaseException:
            for door in opened:
                await self._close_door(door)
            for door in closing:
                await self._listen(door, door.port)
            raise

    async def stop(self, reason: int = reasons.SERVER_SHUTTING_DOWN) -> None:
        """Stops accepting, tells MQTT 5 clients why, writes what is in the outboxes and closes everything."""
        self._sys.stop()
        if self._housekeeper is not None:
            self._housekeeper.cancel()
        for door in self._doors.values():
            await self._close_door(door)
        doors = [*self._doors.values(), *self._closing_doors]
        links = [link for door in doors for link in door.listener.links]
        for link in links:
            connection = link.connection
            if connection is not None:
                connection.will = None if reason == reasons.SERVER_SHUTTING_DOWN else connection.will
                connection.end(reason, "the broker is stopping")
        deadline = self.core.loop.time() + GOODBYE
        while any(door.listener.links for door in doors) and self.core.loop.time() < deadline:
            await asyncio.sleep(0.02)
        for door in doors:
            for link in list(door.listener.links):
                link.abort()
        await asyncio.sleep(0)
        self.core.stop()
        self._store.close()

    # -- listeners ---------------------------------------------------------------------------------

    def _prepare(self, settings: ListenerSettings, current: Listener | None) -> Listener:
        """The listener that `settings` describe; its TLS context is the current one where nothing speaks
        against.
        """
        listener = Listener(settings.name, settings.transport)
        limits = settings.limits
        if settings.encrypted:
            context = context_for(settings, None if current is None else current.context, self._psk_key)
            listener.context = context
            listener.handshake_timeout = context.policy.handshake_timeout
        if settings.has_websocket:
            listener.has_websocket = True
            listener.websocket_path = settings.websocket.path
            listener.websocket_origins = list(settings.websocket.origins)
        listener.authenticator = self._authenticators(settings)
        listener.connect_timeout = limits.connect_timeout
        listener.connect_bytes = limits.connect_bytes
        listener.connections = limits.connections
        listener.connections_per_address = limits.connections_per_address
        listener.connection_rate = limits.connection_rate
        listener.packet_size = limits.packet_size
        listener.receive_maximum = limits.receive_maximum
        listener.inflight_v3 = limits.inflight_v3
        listener.maximum_qos = limits.maximum_qos
        listener.retain_available = limits.retain_available
        listener.topic_alias_maximum = limits.topic_alias_maximum
        longest = int(limits.keep_alive_maximum)
        listener.keep_alive_maximum = longest if longest < 65_535 else 0
        listener.session_expiry_maximum = int(limits.session_expiry_maximum)
        listener.outbox_bytes = limits.outbox_bytes
        return listener

    async def _open(self, settings: ListenerSettings) -> _Door:
        door = _Door(settings, self._prepare(settings, None))
        await self._listen(door)
        return door

    async def _listen(self, door: _Door, port: int | None = None) -> None:
        """Has a door accept connections; again, at the port it had, where it was closed for another one."""
        settings = door.settings if port is None else door.settings.model_copy(update={"port": port})
        listener = door.listener
        hub = self.hub

        def accept() -> Link:
            return Connection(hub, listener).link

        sock, door.endpoint, door.port = open_socket(settings)
        listener.accepting = True
        if door in self._closing_doors:
            self._closing_doors.remove(door)
        loop: Any = self.core.loop
        if settings.transport == "unix":
            door.server = await loop.create_unix_server(accept, sock=sock)
        else:
            door.server = await loop.create_server(accept, sock=sock, backlog=4096)
        self._log.info("listening", listener=settings.name, endpoint=door.endpoint)

    async def _close_door(self, door: _Door) -> None:
        door.listener.accepting = False
        if door.server is not None:
            door.server.close()
            door.server = None
            if door.settings.transport == "unix" and door.settings.path is not None:
                door.settings.path.unlink(missing_ok=True)
        if door.listener.links:
            self._closing_doors.append(door)

    def endpoints(self) -> list[tuple[str, str, int]]:
        """Name, address for people and port of every open listener."""
        return [(name, door.endpoint, door.port) for name, door in self._doors.items()]

    # -- limits, rules, upkeep ---------------------------------------------------------------------

    def _apply_limits(self, settings: Settings) -> None:
        limits = settings.limits
        hub = self.hub
        hub.queue_messages = limits.queue_messages
        hub.queue_bytes = limits.queue_bytes
        hub.sessions = limits.sessions
        hub.subscriptions = limits.subscriptions
        hub.subscriptions_per_client = limits.subscriptions_per_client
        hub.topic_levels = limits.topic_levels
        hub.connections = limits.connections
        hub.unauthenticated_connections = limits.unauthenticated_connections
        hub.memory_bytes = limits.memory_bytes
        hub.retained.maximum = limits.retained_messages
        hub.retained.maximum_bytes = limits.retained_bytes
        hub.router.maximum_references = limits.route_cache_references
        self.core.handshake_budget = limits.handshake_time_per_tick

    def deny(self, source: str, keys: Collection[str]) -> int:
        """Makes `keys` what `source` has revoked, and ends the connections made with them; gives how many.

        source: "authority", or the name of a file with revocation lists.
        keys: of certificates, as `lockwire.pki.certificate.certificate_key` makes them.
        """
        added = self.hub.deny_list.replace(source, keys)
        return self.end_certificates(added) if added else 0

    def contexts(self) -> dict[str, ServerContext]:
        """The TLS of every open listener that has it, by the listener's name."""
        found = {name: door.listener.context for name, door in self._doors.items()}
        return {name: context for name, context in found.items() if context is not None}

    def observe(self, observer: Observer | None) -> None:
        """Has somebody watch what clients do from now on, or nobody."""
        self.hub.observe(observer)

    def rules_changed(self) -> None:
        """Makes every decision about permissions be made anew."""
        self.hub.rules_changed()

    # -- rights that end ---------------------------------------------------------------------------

    def end_identity(self, name: str, realm: str, detail: str, *, sessions: bool = True) -> int:
        """Ends the connections and sessions of an identity that is no more; gives how many connections.

        sessions: False where the identity goes on and only has to prove itself anew.
        MQTT 5 clients get DISCONNECT 0x87.
        """
        ended = 0
        if realm == PSK:
            self._forget_psk(name)
        for connection in self._connections():
            identity = connection.identity
            if identity.rests_on(name, realm):
                connection.evict(reasons.NOT_AUTHORIZED, detail)
                ended += 1
            elif connection.connecting is not None:
                connection.connecting.identity_ended(name, realm)
        for session in list(self.registry.sessions.values()) if sessions else ():
            if session.identity.rests_on(name, realm):
                self.registry.end(session)
        self.core.begin()
        return ended

    def end_certificates(self, keys: Collection[str]) -> int:
        """Ends the connections that were made with these certificates; gives how many. Sessions stay."""
        ended = 0
        for connection in self._connections():
            if connection.identity.certificate in keys:
                connection.evict(reasons.NOT_AUTHORIZED, REVOKED)
                ended += 1
        return ended

    def _forget_psk(self, identity: str) -> None:
        """Clients that have shown the key and not sent CONNECT yet get nothing for it."""
        for door in (*self._doors.values(), *self._closing_doors):
            for link in door.listener.links:
                if link.tls is not None:
                    link.tls.forget_psk(identity)

    def _connections(self) -> list[Connection]:
        doors = [*self._doors.values(), *self._closing_doors]
        links = [link for door in doors for link in door.listener.links]
        return [link.connection for link in links if link.connection is not None]

    def _keep_house(self) -> None:
        self.refusals.summarise()
        self._closing_doors = [door for door in self._closing_doors if door.listener.links]
        self._housekeeper = self.core.loop.call_later(10.0, self._keep_house)

    # -- status ------------------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        """What the broker can say about itself, for `lockwire status` and the metrics."""
        doors = [*self._doors.values(), *self._closing_doors]
        connections = sum(len(door.listener.links) for door in doors)
        return {
            "version": VERSION,
            "started_at": self._started_at,
            "uptime_seconds": round(time.time() - self._started_at, 1),
            "connections": connections,
            "connections_unauthenticated": self.hub.unauthenticated,
            "sessions": len(self.registry.sessions),
            "subscriptions": self.hub.router.subscriptions,
            "shared_subscriptions": self.hub.router.shared_subscriptions,
            "retained_messages": len(self.hub.retained),
            "retained_bytes": self.hub.retained.bytes,
            "queued_bytes": self.hub.queued_bytes,
            "routes": len(self.hub.router.routes),
            "listeners": [
                {
                    "name": door.settings.name,
                    "endpoint": door.endpoint,
                    "transport": door.settings.transport,
                    "port": door.port,
                    "encrypted": door.settings.encrypted,
                    "client_certificates": door.settings.client_certificates,
                    "authentication": list(door.settings.authentication),
                    "accepting": door.listener.accepting,
                    **_tls_report(door.listener),
                    "exposed": _exposed(door.listener),
                    "connections": len(door.listener.links),
                }
                for door in doors
            ],
            "counters": self.core.counters.snapshot(),
            "refusals": dict(self.refusals.total),
        }


def _exposed(listener: Listener) -> dict[str, object] | None:
    """What an onlooker could have read on a listener without TLS; None where TLS is on."""
    return None if listener.exposure is None else listener.exposure.report()


def _tls_report(listener: Listener) -> dict[str, object]:
    """What must be known of a listener's TLS; when certificates and lists end is Unix time."""
    context = listener.context
    if context is None:
        return {}
    return {
        "tls_weaknesses": list(context.policy.weaknesses),
        "tls_problems": list(context.problems),
        "certificate_ends": context.certificate_ends,
        "crl_ends": context.crl_ends,
    }


def _place(settings: ListenerSettings) -> tuple[object, ...]:
    """Where a listener's socket is."""
    return settings.address if settings.transport != "unix" else "", settings.port, settings.path


def _in_the_way(door: _Door, wanted: ListenerSettings) -> bool:
    """Whether a listener may have to be closed before another one can be opened."""
    if wanted.transport == "unix":
        return door.settings.path == wanted.path
    return wanted.port != 0 and door.port == wanted.port


def _same_place(current: ListenerSettings, wanted: ListenerSettings) -> bool:
    """Whether two settings of a listener share its socket."""
    return current.transport == wanted.transport and _place(current) == _place(wanted)
