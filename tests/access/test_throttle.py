"""Failed logins per origin."""

from __future__ import annotations

import pytest

from lockwire.access.throttle import Throttle, origin_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


def fail(throttle: Throttle, times: int, origin: str = "192.0.2.7", first: int = 0) -> None:
    for number in range(first, first + times):
        throttle.failed(origin, number.to_bytes(4, "big"))


def test_the_tenth_failure_within_a_minute_blocks_for_a_minute(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, 9)
    assert throttle.blocked("192.0.2.7") == 0
    fail(throttle, 1, first=9)
    assert throttle.blocked("192.0.2.7") == 60
    assert throttle.blocked("192.0.2.8") == 0
    clock.now += 59
    assert throttle.blocked("192.0.2.7") == 1
    clock.now += 1
    assert throttle.blocked("192.0.2.7") == 0


def test_each_further_block_is_twice_as_long_up_to_sixteen_minutes(throttle: Throttle, clock: Clock) -> None:
    lengths = []
    for turn in range(7):
        fail(throttle, 10, first=turn * 10)
        lengths.append(throttle.blocked("192.0.2.7"))
        clock.now += lengths[-1]
    assert lengths == [60, 120, 240, 480, 960, 960, 960]


def test_an_origin_that_behaves_is_forgiven(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, 10)
    clock.now += 60 + 2 * 960 + 1
    fail(throttle, 10)
    assert throttle.blocked("192.0.2.7") == 60


def test_failures_older_than_a_minute_do_not_count(throttle: Throttle, clock: Clock) -> None:
    for number in range(30):
        fail(throttle, 1, first=number)
        clock.now += 7
    assert throttle.blocked("192.0.2.7") == 0


def test_a_device_that_repeats_one_wrong_password_never_blocks_its_address(throttle: Throttle) -> None:
    for _ in range(1000):
        throttle.failed("192.0.2.7", b"the same")
    assert throttle.blocked("192.0.2.7") == 0
    assert throttle.failed_before("192.0.2.7", b"the same")
    assert not throttle.failed_before("192.0.2.7", b"another")
    assert not throttle.failed_before("192.0.2.8", b"the same")


def test_a_failure_is_remembered_for_a_minute(throttle: Throttle, clock: Clock) -> None:
    throttle.failed("192.0.2.7", b"the same")
    clock.now += 60
    assert not throttle.failed_before("192.0.2.7", b"the same")


def test_the_table_is_bounded_and_the_oldest_leaves(clock: Clock) -> None:
    throttle = Throttle(clock, table=3)
    for origin in ("a", "b", "c"):
        fail(throttle, 10, origin)
    fail(throttle, 1, "a", first=10)
    fail(throttle, 1, "d")
    assert len(throttle) == 3
    assert throttle.blocked("a") > 0
    assert throttle.blocked("b") == 0
    assert throttle.blocked("c") > 0


@pytest.mark.parametrize(
    ("peer", "origin"),
    [
        ("192.0.2.7:50123", "192.0.2.7"),
        ("[2001:db8:1:2:3:4:5:6]:50123", "2001:db8:1:2::/64"),
        ("[::ffff:192.0.2.7]:50123", "192.0.2.7"),
        ("[fe80::1%eth0]:50123", "fe80::/64"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_failures_count_under_an_ipv4_address_or_a_64_of_ipv6(peer: str, origin: str) -> None:
    assert origin_of(peer) == origin
