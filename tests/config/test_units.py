"""Bytes and durations with units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockwire.config.units import format_bytes, format_duration, parse_bytes, parse_duration


class TestUnits:
    @given(st.integers(min_value=0, max_value=1 << 45))
    def test_bytes_are_read_as_they_are_written(self, count: int) -> None:
        assert parse_bytes(format_bytes(count)) == count

    @given(st.integers(min_value=0, max_value=1 << 32))
    def test_durations_are_read_as_they_are_written(self, seconds: int) -> None:
        assert parse_duration(format_duration(seconds)) == seconds

    @pytest.mark.parametrize("text", ["", "5", "KiB", "-1 KiB", "5 kib", "0.3 B", "5  KiB", "1e3 B", "٣ KiB"])
    def test_bytes_need_a_whole_number_and_a_known_unit(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not"):
            parse_bytes(text)

    def test_half_a_mebibyte_is_a_whole_number_of_bytes(self) -> None:
        assert parse_bytes("0.5 MiB") == 512 * 1024
