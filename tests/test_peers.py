"""Tests that need the programs of others are left out, with a reason, only where those are missing."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest
from tests.conftest import pytest_configure, pytest_runtest_setup

@pytest.mark.peer("sh")
def test_with_a_peer_that_is_there(): pass

@pytest.mark.peer("sh", "no-such-program")
def test_with_a_peer_that_is_missing(): pass
"""


@pytest.mark.parametrize(("ci", "outcome"), [("", "skipped"), ("true", "errors")])
def test_a_missing_peer_is_named(
    ci: str, outcome: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest("from tests.conftest import pytest_configure, pytest_runtest_setup  # noqa: F401")
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_inprocess("-rsE", "-p", "no:asyncio")
    result.assert_outcomes(passed=1, **{outcome: 1})
    assert "no-such-program not installed; `make peers` says how" in result.stdout.str()
