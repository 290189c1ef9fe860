"""The versions a test runs in: behaviour that the standards share is shown for each of them by one test."""

from __future__ import annotations

import pytest

every_version = pytest.mark.parametrize("version", [3, 4, 5])
"""MQTT 3.1 (protocol level 3), 3.1.1 (4) and 5.0 (5)."""

oasis_versions = pytest.mark.parametrize("version", [4, 5])
"""The two OASIS standards."""
