"""The broker under test, and clients for it.

LOCKWIRE_TEST_BROKER=HOST:PORT points the suite at a broker that is already running instead.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import packets
from tests.support.broker import Broker
from tests.support.wire import Address, Wire

_serial = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "statement(*numbers): the normative statements the test shows")


@pytest.fixture(scope="session")
def broker_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Where the broker under test listens for plain MQTT; one broker serves all the modules."""
    elsewhere = os.environ.get("LOCKWIRE_TEST_BROKER")
    if elsewhere:
        host, _, port = elsewhere.rpartition(":")
        yield host, int(port)
        return
    with closing(Broker(tmp_path_factory.mktemp("conformance"))) as broker:
        yield broker.address


@contextmanager
def closing(broker: Broker) -> Iterator[Broker]:
    """Stops the broker at the end, and asserts that it lived until then and logged no traceback."""
    try:
        yield broker
        assert broker.process.poll() is None, f"the broker died:\n{broker.log[-4000:]}"
    finally:
        status = broker.stop()
    assert status == 0
    assert "Traceback" not in broker.log, broker.log[-4000:]


@pytest.fixture
def own_broker() -> None:
    """Skips a test that needs a broker of its own configuration, where the suite is pointed elsewhere."""
    if os.environ.get("LOCKWIRE_TEST_BROKER"):
        pytest.skip("needs a broker with a configuration of its own")


class Clients:
    """Makes clients of the broker under test, each with a client identifier of its own; closes them all."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._wires: list[Wire] = []

    def name(self) -> str:
        """A client identifier nobody has used: letters and digits, at most 23."""
        return f"c{os.getpid()}n{next(_serial)}"

    async def open(self, version: int = 5) -> Wire:
        """A network connection on which nothing has been sent."""
        wire = await Wire.open(self.address, version)
        self._wires.append(wire)
        return wire

    async def __call__(self, client_id: str | None = None, version: int = 5, **options: Any) -> Wire:
        """A connected client; the options are those of Wire.connect."""
        wire = await self.open(version)
        await wire.connect(self.name() if client_id is None else client_id, **options)
        return wire

    async def resume(self, client_id: str, version: int = 5, expiry: int = 300, **options: Any) -> Wire:
        """A connected client that takes up the session of `client_id` and leaves it to be taken up again."""
        if version == 5:
            options["values"] = [(packets.SESSION_EXPIRY_INTERVAL, expiry), *options.get("values", ())]
        return await self(client_id, version, clean=False, **options)

    def close(self) -> None:
        """Close every connection."""
        for wire in self._wires:
            wire.abort()


@pytest.fixture
async def connect(broker_address: Address) -> AsyncIterator[Clients]:
    """Makes clients: `await connect()` is a new MQTT 5 client with a clean session."""
    clients = Clients(broker_address)
    yield clients
    clients.close()


@pytest.fixture
def topic() -> str:
    """A topic nobody else uses."""
    return f"t{os.getpid()}/{next(_serial)}"
