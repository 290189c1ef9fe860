"""Failed logins, counted per origin, with a back-off that grows."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

LIMIT: Final = 10  # different failures
WINDOW: Final = 60.0  # seconds
FIRST_BLOCK: Final = 60.0  # seconds, doubled each time
LONGEST_BLOCK: Final = 960.0  # seconds
TABLE: Final = 10_000  # origins


class _Origin:
    __slots__ = ("blocked_until", "failures", "last", "strikes")

    def __init__(self) -> None:
        self.failures: dict[bytes, float] = {}
        self.blocked_until = 0.0
        self.strikes = 0
        self.last = 0.0


class Throttle:
    """Ten different failures within a minute block an origin for a minute, the next ten for two, up to 16.

    The same failure again counts once: a device with an old password repeats itself and must not lock out
    the others behind its gateway, while someone who guesses never says the same twice. Strikes are forgotten
    after twice the longest block. The table holds 10,000 origins; the longest without a failure leaves.

    clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, table: int = TABLE) -> None:
        self._clock = clock
        self._table = table
        self._origins: OrderedDict[str, _Origin] = OrderedDict()

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

    def failed(self, origin: str, attempt: bytes) -> None:
        """Counts a failure. attempt: what was tried, as a keyed hash; never the secret itself."""
        now = self._clock()
        found = self._origins.pop(origin, None)
        if found is None or now - max(found.last, found.blocked_until) > 2 * LONGEST_BLOCK:
            found = _Origin()
        self._origins[origin] = found
        if len(self._origins) > self._table:
            self._origins.popitem(last=False)
        found.last = now
        found.failures = {one: when for one, when in found.failures.items() if when > now - WINDOW}
        found.failures[attempt] = now
        if len(found.failures) >= LIMIT:
            found.blocked_until = now + min(FIRST_BLOCK * 2**found.strikes, LONGEST_BLOCK)
            found.strikes = min(found.strikes + 1, 10)
            found.failures = {}


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
