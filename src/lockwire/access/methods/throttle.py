"""Failed logins, counted per address and per user, with a back-off that grows.

Whoever guesses from one address is stopped by its address. Whoever guesses one user's password from many is
stopped by the user's name, everywhere but at the addresses from which that user has logged in before: nobody
can lock a user out of the places that he works from (docs/identities.md says what is left).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from lockwire.access.methods.naming import shown

LIMIT: Final = 10  # different failures
WINDOW: Final = 60.0  # seconds
FIRST_BLOCK: Final = 60.0  # seconds, doubled each time
LONGEST_BLOCK: Final = 960.0  # seconds
TABLE: Final = 10_000  # origins, and users

USER_LIMIT: Final = 20  # different failures for one user, from anywhere
USER_WINDOW: Final = 600.0  # seconds
USER_SHARE: Final = 5  # of them count from one address: it takes four addresses or more
FAMILIAR: Final = 16  # addresses of a user that are remembered
FAMILIAR_SECONDS: Final = 30 * 86_400.0


_LOOKS: Final = 64  # blocked entries that are passed over at once
_LONGEST_KEY: Final = 64  # characters of a user name that is kept as it is


class _Entry:
    __slots__ = ("blocked_until", "last", "strikes")

    def __init__(self) -> None:
        self.blocked_until = 0.0
        self.strikes = 0
        self.last = 0.0


class _Origin(_Entry):
    __slots__ = ("failures",)

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[bytes, float] = {}


_AnyEntry = TypeVar("_AnyEntry", bound=_Entry)


def _make_room(entries: OrderedDict[str, _AnyEntry], most: int, now: float) -> None:
    """Drops the entry without a failure for the longest where there are `most`, for the one that comes.

    Otherwise anybody could end a block by failing under other names. One that is blocked goes to the end of
    the row, where nobody looks at it for a while; it leaves where many blocked ones stand side by side.
    """
    if len(entries) < most:
        return
    for _ in range(min(most, _LOOKS)):
        key, entry = next(iter(entries.items()))
        if entry.blocked_until <= now:
            break
        entries.move_to_end(key)
    entries.popitem(last=False)


class Throttle:
    """Ten different failures within a minute block an origin for a minute, the next ten for two, up to 16.

    The same failure again counts once: a device with an old password repeats itself and must not lock out
    the others behind its gateway, while someone who guesses never says the same twice. Strikes are forgotten
    after twice the longest block. The table holds 10,000 origins; the longest without a failure leaves, those
    that are blocked last.

    clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, table: int = TABLE) -> None:
        self._clock = clock
        self._table = table
        self._origins: OrderedDict[str, _Origin] = OrderedDict()
        self.blocks = 0
        """How often an origin was blocked."""

    def __len__(self) -> int:
        return len(self._origins)

    def blocked(self, origin: str) -> float:
        """Seconds for which an origin is still refused, 0 where it is not."""
        found = self._origins.get(origin)
        return 0.0 if found is None else max(0.0, found.blocked_until - self._clock())

    def failed_before(self, origin: str, attempt: bytes) -> bool:
        """Whether just this attempt failed from this origin within the last minute."""
        found = self._origins.get(origin)
        if found is None:
            return False
        when = found.failures.get(attempt)
        return when is not None and when > self._clock() - WINDOW

    def failed(self, origin: str, attempt: bytes) -> float:
        """Counts a failure; gives the seconds of the block that it begins, 0 where it begins none.

        attempt: what was tried, as a keyed hash; never the secret itself.
        """
        now = self._clock()
        found = self._origins.pop(origin, None)
        if found is None or now - max(found.last, found.blocked_until) > 2 * LONGEST_BLOCK:
            found = _Origin()
        _make_room(self._origins, self._table, now)
        self._origins[origin] = found
        found.last = now
        found.failures = {one: when for one, when in found.failures.items() if when > now - WINDOW}
        found.failures[attempt] = now
        if len(found.failures) >= LIMIT:
            found.blocked_until = now + min(FIRST_BLOCK * 2**found.strikes, LONGEST_BLOCK)
            found.strikes = min(found.strikes + 1, 10)
            found.failures = {}
            self.blocks += 1
            return found.blocked_until - now
        return 0.0


class _User(_Entry):
    __slots__ = ("failures",)

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[bytes, tuple[str, float]] = {}


class UserThrottle:
    """Twenty different failures for one user name within ten minutes block it for strangers, as above.

    One address adds five of them at most, so that it takes four addresses or more: one alone is stopped by
    `Throttle`. Addresses from which the user logged in during the last 30 days (16 of them, since the
    broker's start) are no strangers: they are not blocked, and their failures do not count here. Names that
    nobody has are counted like the others, which tells nobody who exists.

    clock: seconds, monotonic. table: user names whose failures, and others whose addresses are remembered.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, table: int = TABLE) -> None:
        self._clock = clock
        self._table = table
        self._users: OrderedDict[str, _User] = OrderedDict()
        self._familiar: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()
        self.blocks = 0
        """How often a user name was blocked for strangers."""

    def __len__(self) -> int:
        return len(self._users)

    def blocked(self, username: str, origin: str) -> float:
        """Seconds for which this user is still refused at this origin, 0 where he is not."""
        found = self._users.get(_key(username))
        if found is None or self._is_familiar(username, origin):
            return 0.0
        return max(0.0, found.blocked_until - self._clock())

    def failed(self, username: str, origin: str, attempt: bytes) -> float:
        """Counts a failure; gives the seconds of the block that it begins, 0 where it begins none.

        attempt: what was tried, as a keyed hash; never the secret itself.
        """
        if self._is_familiar(username, origin):
            return 0.0
        now = self._clock()
        key = _key(username)
        found = self._users.pop(key, None)
        if found is None or now - max(found.last, found.blocked_until) > 2 * LONGEST_BLOCK:
            found = _User()
        _make_room(self._users, self._table, now)
        self._users[key] = found
        found.last = now
        recent = {one: seen for one, seen in found.failures.items() if seen[1] > now - USER_WINDOW}
        found.failures = recent
        if attempt in recent or sum(where == origin for where, _ in recent.values()) < USER_SHARE:
            recent[attempt] = (origin, now)
        if len(recent) >= USER_LIMIT:
            found.blocked_until = now + min(FIRST_BLOCK * 2**found.strikes, LONGEST_BLOCK)
            found.strikes = min(found.strikes + 1, 10)
            found.failures = {}
            self.blocks += 1
            return found.blocked_until - now
        return 0.0

    def succeeded(self, username: str, origin: str) -> None:
        """Remembers that this user is at home at this origin."""
        origins = self._familiar.pop(username, None)
        if origins is None:
            origins = OrderedDict()
        self._familiar[username] = origins
        if len(self._familiar) > self._table:
            self._familiar.popitem(last=False)
        origins.pop(origin, None)
        origins[origin] = self._clock()
        if len(origins) > FAMILIAR:
            origins.popitem(last=False)

    def _is_familiar(self, username: str, origin: str) -> bool:
        origins = self._familiar.get(username)
        when = None if origins is None else origins.get(origin)
        return when is not None and when > self._clock() - FAMILIAR_SECONDS


@dataclass(frozen=True, slots=True)
class Wait:
    """Logins that are not looked at. seconds: for how long. what: whose, for people."""

    seconds: float
    what: str


class LoginThrottle:
    """Failed logins of all listeners and methods, per address and per user.

    clock: seconds, monotonic. report: told of every block that begins.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        report: Callable[[Wait], None] | None = None,
    ) -> None:
        self.addresses = Throttle(clock)
        self.users = UserThrottle(clock)
        self.turned_away = 0
        """Logins that were not looked at."""
        self._report = report
        self._key = os.urandom(32)

    def attempt(self, *tried: bytes) -> bytes:
        """What was tried, so that nothing can be read from it."""
        return hmac.digest(self._key, b"".join(len(one).to_bytes(4, "big") + one for one in tried), "sha256")

    def wait(self, origin: str, username: str | None = None) -> Wait | None:
        """Whether a login must not be looked at now; one that must not is counted."""
        seconds = self.addresses.blocked(origin)
        what = origin
        if seconds <= 0 and username is not None:
            seconds = self.users.blocked(username, origin)
            what = _strangers(username)
        if seconds <= 0:
            return None
        self.turned_away += 1
        return Wait(seconds, what)

    def failed(
        self, origin: str, attempt: bytes, username: str | None = None, counted: str | None = None
    ) -> None:
        """Counts a failure for the address, and for the user where one is claimed.

        counted: what it is counted under instead of the address.
        """
        counted = origin if counted is None else counted
        self._tell(counted, self.addresses.failed(counted, attempt))
        if username is not None:
            self._tell(_strangers(username), self.users.failed(username, origin, attempt))

    def succeeded(self, origin: str, username: str) -> None:
        """Remembers where a user with a chosen password is at home."""
        self.users.succeeded(username, origin)

    def counts(self) -> dict[str, int]:
        """Counters, by name, for status and metrics."""
        return {
            "logins_turned_away": self.turned_away,
            "login_addresses_blocked": self.addresses.blocks,
            "login_users_blocked": self.users.blocks,
        }

    def _tell(self, what: str, seconds: float) -> None:
        if seconds > 0 and self._report is not None:
            self._report(Wait(seconds, what))


def _key(username: str) -> str:
    """What a user's failures are kept under: names that nobody has may have 65,535 bytes."""
    if len(username) <= _LONGEST_KEY:
        return username
    return "longer " + hashlib.sha256(username.encode()).hexdigest()


def _strangers(username: str) -> str:
    return f"addresses that {shown(username)} has not logged in from before"


def origin_of(peer: str) -> str:
    """What failures of a peer are counted under: its IPv4 address, or the /64 of its IPv6 address.

    peer: as in Credentials, "192.0.2.7:50123", "[2001:db8::7]:50123", or anything without an address.
    """
    host = peer.rpartition(":")[0].strip("[]") or peer
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address.ipv4_mapped)
    return str(address)
