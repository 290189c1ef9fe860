"""The broker that the clients of a module talk to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import CHANNELS, Channel, Site

_serial = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here runs once, not compiled and interpreted."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A broker with a listener of every kind; the module's tests share it."""
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    assert site.broker.alive, f"the broker died:\n{site.broker.log[-6000:]}"
    site.broker.stop()


@pytest.fixture(params=CHANNELS)
def channel(site: Site, request: pytest.FixtureRequest) -> Channel:
    """Each way to connect in turn."""
    return site.channel(request.param)


@pytest.fixture
def unique() -> str:
    """A name nobody else uses, for topics and client identifiers."""
    return f"x{next(_serial)}"
