"""Brokers to be mistreated; the longest delay of each one's event loop goes into the report."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.arena import Arena, ServerFiles

StartArena = Callable[..., Arena]

_delays: list[tuple[str, float]] = []


@pytest.fixture(scope="session")
def server_files(tmp_path_factory: pytest.TempPathFactory) -> ServerFiles:
    """A server certificate for every broker here."""
    return ServerFiles.make(tmp_path_factory.mktemp("server"))


@pytest.fixture
def start(
    tmp_path: Path,
    server_files: ServerFiles,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> Iterator[StartArena]:
    """Starts a broker: `start(limits=..., plain=..., timeout=...)`."""
    arenas: list[Arena] = []

    def start_arena(limits: str = "", plain: str = "", timeout: float = 10) -> Arena:
        arenas.append(
            Arena(tmp_path, server_files, inspect.cleandoc(limits), inspect.cleandoc(plain), timeout)
        )
        return arenas[-1]

    yield start_arena
    for arena in arenas:
        if not arena.broker.alive:
            assert arena.broker.stop() == 0, f"the broker died:\n{arena.broker.log[-6000:]}"
            continue
        delay = arena.broker.metric("loop_delay_max_ms")
        record_property("loop_delay_max_ms", delay)
        _delays.append((request.node.name, delay))
        assert arena.broker.stop() == 0


@pytest.fixture
def arena(start: StartArena) -> Arena:
    """A broker with the default limits."""
    return start()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With -v: how long the event loop stood still in each test."""
    if _delays and terminalreporter.config.get_verbosity() >= 0:
        terminalreporter.section("event loop delay")
        for name, delay in sorted(_delays, key=lambda each: -each[1]):
            terminalreporter.line(f"{delay:9.1f} ms  {name}")
