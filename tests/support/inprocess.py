"""A broker in the test's own process, for what a subprocess cannot do: stores and rules of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from lockwire.access.authenticator import Authenticator, Credentials, Decision, accepted
from lockwire.access.authorizer import EVERY_PUBLISH, NO_PUBLISH, Authorizer
from lockwire.access.identity import Identity
from lockwire.broker.broker import Broker
from lockwire.config import ListenerSettings, Settings
from lockwire.store.interface import Store
from lockwire.store.memory import MemoryStore
from lockwire.tls.psk import PskLookup
from tests.support.wire import Wire


class ByUserName(Authenticator):
    """Believes every user name; who sends none is "anonymous"."""

    def authenticate(self, credentials: Credentials, done: Callable[[Decision], None]) -> None:
        done(accepted(Identity(credentials.username or "anonymous", "password"), "as it says"))


class Everything(Authorizer):
    """Allows everything outside `$`."""

    def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
        return NO_PUBLISH if topic.startswith(b"$") else EVERY_PUBLISH

    def granted_qos(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> int:
        return qos

    def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
        return True


class Served:
    """A running broker and clients for it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.port = broker.endpoints()[0][2]
        self._wires: list[Wire] = []

    async def open(self, version: int = 5) -> Wire:
        """A network connection on which nothing has been sent."""
        wire = await Wire.open(("127.0.0.1", self.port), version)
        self._wires.append(wire)
        return wire

    async def client(self, client_id: str, version: int = 5, **options: object) -> Wire:
        """A connected client; the options are those of Wire.connect."""
        wire = await self.open(version)
        await wire.connect(client_id, **options)  # type: ignore[arg-type]
        return wire

    def abort_all(self) -> None:
        """Cuts every client's connection."""
        for wire in self._wires:
            wire.abort()


@asynccontextmanager
async def serving(
    store: Store | None = None,
    authenticator: Authenticator | None = None,
    authorizer: Authorizer | None = None,
    settings: Settings | None = None,
    psk_key: PskLookup | None = None,
) -> AsyncIterator[Served]:
    """A broker on a free port of loopback, until the block ends."""
    if settings is None:
        listener = ListenerSettings(
            transport="tcp", address="127.0.0.1", port=0, name="plain", authentication=["anonymous"]
        )
        settings = Settings(listeners=[listener])
    broker = Broker(
        settings,
        store=store or MemoryStore(),
        authenticators=lambda _: authenticator or ByUserName(),
        authorizer=authorizer or Everything(),
        log=structlog.get_logger(),
        psk_key=psk_key,
    )
    await broker.start()
    served = Served(broker)
    try:
        yield served
    finally:
        served.abort_all()
        await broker.stop()
