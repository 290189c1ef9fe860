"""Marks of the whole suite.

peer(name, ...)   the test talks to these programs; without one it is skipped with the reason, an error in CI
slow              takes long and runs once, not compiled and interpreted
e2e               whole programs against each other; runs once as well
"""

from __future__ import annotations

import os

import pytest

from tests.support.peers import find_peer

MARKS = {
    "peer(*names)": "the programs of others that the test needs: mosquitto_pub, mqtt.js, openssl, ...",
    "slow": "takes long; runs once, not compiled and interpreted",
    "e2e": "whole programs against each other; runs once, not compiled and interpreted",
}


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known."""
    for mark, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{mark}: {meaning}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a test whose peer is missing; where everything must be tested, fail it."""
    names = [name for mark in item.iter_markers("peer") for name in mark.args]
    missing = [name for name in names if find_peer(name) is None]
    if not missing:
        return
    reason = f"{', '.join(missing)} not installed; `make peers` says how"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
