"""Failed logins per origin."""

from __future__ import annotations

import tracemalloc

import pytest

from lockwire.access.methods.throttle import LoginThrottle, Throttle, UserThrottle, Wait, origin_of


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
        fail(throttle, 1, origin)
    fail(throttle, 1, "a", first=10)
    fail(throttle, 1, "d")
    assert len(throttle) == 3
    assert throttle.failed_before("a", (0).to_bytes(4, "big"))
    assert not throttle.failed_before("b", (0).to_bytes(4, "big"))
    assert throttle.failed_before("c", (0).to_bytes(4, "big"))


def test_a_block_is_not_pushed_out_of_the_table_by_failures_of_others(clock: Clock) -> None:
    throttle, users = Throttle(clock, table=30), UserThrottle(clock, table=30)
    fail(throttle, 10)
    guess_from_many(users)
    for number in range(1000):
        fail(throttle, 1, f"192.0.2.7 as user {number}")
        guess(users, 1, "192.0.2.7", f"user {number}")
    assert (len(throttle), len(users)) == (30, 30)
    assert throttle.blocked("192.0.2.7") == 60
    assert users.blocked("jo", "192.0.2.7") == 60
    clock.now += 60
    for number in range(1000):
        fail(throttle, 1, f"192.0.2.7 as user {number}")
    fail(throttle, 9)
    assert throttle.blocked("192.0.2.7") == 0


def test_where_all_are_blocked_the_table_is_bounded_all_the_same(clock: Clock) -> None:
    throttle = Throttle(clock, table=30)
    for number in range(100):
        fail(throttle, 10, f"origin {number}")
    assert len(throttle) == 30
    assert throttle.blocked("origin 99") == 60


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


# --- per user, from many addresses


@pytest.fixture
def users(clock: Clock) -> UserThrottle:
    return UserThrottle(clock)


def guess(users: UserThrottle, times: int, origin: str, username: str = "jo", first: int = 0) -> None:
    for number in range(first, first + times):
        users.failed(username, origin, f"{origin} {number}".encode())


def guess_from_many(users: UserThrottle, username: str = "jo", first: int = 0) -> None:
    for address in range(4):
        guess(users, 5, f"203.0.113.{address}", username, first)


def test_guesses_from_many_addresses_block_a_user_for_strangers(users: UserThrottle, clock: Clock) -> None:
    guess_from_many(users)
    assert users.blocked("jo", "203.0.113.0") == 60
    assert users.blocked("jo", "192.0.2.1") == 60
    assert users.blocked("ann", "203.0.113.0") == 0
    assert users.blocks == 1
    clock.now += 60
    assert users.blocked("jo", "203.0.113.0") == 0
    guess_from_many(users, first=10)
    assert users.blocked("jo", "203.0.113.0") == 120


def test_one_address_alone_never_blocks_a_user_elsewhere(users: UserThrottle, clock: Clock) -> None:
    guess(users, 1000, "203.0.113.1")
    assert users.blocked("jo", "192.0.2.1") == 0
    for address in range(2, 4):
        guess(users, 1000, f"203.0.113.{address}")
    assert users.blocked("jo", "192.0.2.1") == 0


def test_a_user_is_never_locked_out_of_the_places_he_has_logged_in_from(users: UserThrottle) -> None:
    users.succeeded("jo", "192.0.2.1")
    guess_from_many(users)
    assert users.blocked("jo", "192.0.2.1") == 0
    assert users.blocked("jo", "192.0.2.2") == 60
    guess(users, 100, "192.0.2.1")
    assert users.blocked("jo", "192.0.2.1") == 0


def test_a_place_is_forgotten_after_thirty_days_or_sixteen_others(users: UserThrottle, clock: Clock) -> None:
    users.succeeded("jo", "192.0.2.1")
    clock.now += 30 * 86_400
    guess_from_many(users)
    assert users.blocked("jo", "192.0.2.1") == 60
    clock.now += 60
    for address in range(17):
        users.succeeded("jo", f"198.51.100.{address}")
    guess_from_many(users, first=10)
    assert users.blocked("jo", "198.51.100.0") == 120
    assert users.blocked("jo", "198.51.100.1") == 0


def test_a_fleet_with_one_old_password_counts_once(users: UserThrottle) -> None:
    for address in range(250):
        users.failed("fleet", f"192.0.2.{address}", b"the same")
    assert users.blocked("fleet", "198.51.100.1") == 0


def test_guesses_spread_over_more_than_ten_minutes_do_not_block(users: UserThrottle, clock: Clock) -> None:
    for number in range(100):
        users.failed("jo", f"203.0.113.{number}", number.to_bytes(4, "big"))
        clock.now += 32
    assert users.blocked("jo", "192.0.2.1") == 0


def test_both_tables_of_users_are_bounded(clock: Clock) -> None:
    users = UserThrottle(clock, table=3)
    for number in range(10):
        guess_from_many(users, f"user {number}")
        users.succeeded(f"friend {number}", "192.0.2.1")
    assert len(users) == 3
    assert users.blocked("user 0", "192.0.2.9") == 0
    assert users.blocked("user 9", "192.0.2.9") == 60
    guess_from_many(users, "friend 0")
    assert users.blocked("friend 0", "192.0.2.1") == 60


# --- both together


def test_each_block_is_told_once_when_it_begins_and_counted(clock: Clock) -> None:
    told: list[Wait] = []
    logins = LoginThrottle(clock, told.append)
    for number in range(50):
        logins.failed("192.0.2.7", logins.attempt(b"jo", str(number).encode()), "jo")
        if number == 9:
            assert told == [Wait(60.0, "192.0.2.7")]
            clock.now += 60
        if logins.wait("192.0.2.7", "jo") is not None:
            break
    assert told == [Wait(60.0, "192.0.2.7"), Wait(120.0, "192.0.2.7")]
    for number in range(15):
        where = f"203.0.113.{number // 5}"
        logins.failed(where, logins.attempt(b"jo", where.encode(), str(number).encode()), "jo")
    assert told[2:] == [Wait(60.0, "addresses that 'jo' has not logged in from before")]
    assert logins.wait("198.51.100.1", "jo") == told[2]
    assert logins.wait("198.51.100.1", "ann") is None
    assert logins.wait("198.51.100.1") is None
    assert logins.counts() == {
        "logins_turned_away": 2,
        "login_addresses_blocked": 2,
        "login_users_blocked": 1,
    }


def test_what_was_tried_cannot_be_read_and_differs_between_brokers(clock: Clock) -> None:
    one, other = LoginThrottle(clock), LoginThrottle(clock)
    assert one.attempt(b"jo", b"word") == one.attempt(b"jo", b"word")
    assert one.attempt(b"jo", b"word") != one.attempt(b"jow", b"ord")
    assert one.attempt(b"jo", b"word") != other.attempt(b"jo", b"word")


def test_names_of_any_length_take_little_room(users: UserThrottle, clock: Clock) -> None:
    long = "n" * 60_000
    tracemalloc.start()
    try:
        for number in range(100):
            users.failed(f"{long}{number}", "192.0.2.7", b"guess")
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 1_000_000
    guess_from_many(users, long)
    assert users.blocked(long, "192.0.2.1") == 60
    assert users.blocked(f"{long}x", "192.0.2.1") == 0
