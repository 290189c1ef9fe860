"""A broker that was started once, for the tests that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.lockwire import Running, up


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`lockwire up` with its data in `data`; whoever uses it adds only names of its own."""
    with up(tmp_path_factory.mktemp("up")) as broker:
        yield broker
        assert broker.process.poll() is None, broker.log
        assert "Traceback" not in broker.log
