"""The mark that ties a test to the normative statements it shows."""

from __future__ import annotations

import pytest

from tests.conformance.statements import STATEMENTS


def statement(*numbers: str) -> pytest.MarkDecorator:
    """Mark a test as showing these statements, `MQTT311-…` or `MQTT5-…`; an unknown number is an error."""
    unknown = [number for number in numbers if number not in STATEMENTS]
    if unknown:
        raise ValueError(f"no such normative statement: {', '.join(unknown)}")
    return pytest.mark.statement(*numbers)
