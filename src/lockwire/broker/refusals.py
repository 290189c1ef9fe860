"""A record for everything that was refused: who, where, what and why (DESIGN.md section 4).

Bounded in memory and in log volume: the latest records stay readable, and a peer that is refused again and
again costs one line for the first few and a summarising one a while later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

REMEMBERED: Final = 1000
"""Records kept."""
BURST: Final = 5
"""Lines that one source gets in a `WINDOW` before they are only counted."""
WINDOW: Final = 60.0
SOURCES: Final = 4096
LONGEST: Final = 2048
"""Characters kept of what a peer says of itself, which may be 64 KiB."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal. `kind` is connection, handshake, connect, publish, subscribe or protocol."""

    time: float
    kind: str
    listener: str
    peer: str
    client_id: str
    identity: str
    reason: str
    detail: str
    offered: dict[str, str]


@dataclass(slots=True)
class _Source:
    since: float
    lines: int = 0
    suppressed: int = 0


class Refusals:
    """The latest refusals, and their lines in the log. `write` takes an event and its fields."""

    def __init__(self, write: Callable[[str, dict[str, object]], None]) -> None:
        self._write = write
        self.latest: deque[Refusal] = deque(maxlen=REMEMBERED)
        self.total: dict[str, int] = {}
        self._sources: dict[tuple[str, str], _Source] = {}

    def record(
        self,
        kind: str,
        listener: str,
        peer: str,
        client_id: str,
        identity: str,
        reason: str,
        detail: str,
        offered: dict[str, str] | None = None,
    ) -> None:
        """Keeps a refusal and writes its line, unless its source has had enough of them.

        `offered` is what the peer said of itself: server name, TLS versions, cipher suites.
        """
        now = time.time()
        said = {name: _clip(text) for name, text in offered.items()} if offered else {}
        refusal = Refusal(
            now, kind, listener, peer, _clip(client_id), _clip(identity), reason, _clip(detail), said
        )
        self.latest.append(refusal)
        self.total[kind] = self.total.get(kind, 0) + 1
        source = self._source((kind, peer.rpartition(":")[0]), now)
        if source.lines >= BURST:
            source.suppressed += 1
            return
        source.lines += 1
        known = ("listener", "peer", "client_id", "identity", "reason", "detail")
        fields = {name: getattr(refusal, name) for name in known if getattr(refusal, name)}
        fields.update(refusal.offered)
        self._write(f"{kind} refused", fields)

    def _source(self, key: tuple[str, str], now: float) -> _Source:
        source = self._sources.get(key)
        if source is not None and now - source.since > WINDOW:
            self._summarise(key, source)
            source = None
        if source is None:
            if len(self._sources) >= SOURCES:
                oldest = next(iter(self._sources))
                self._summarise(oldest, self._sources.pop(oldest))
            source = _Source(now)
            self._sources[key] = source
        return source

    def _summarise(self, key: tuple[str, str], source: _Source) -> None:
        if source.suppressed:
            self._write(
                f"{key[0]} refused, more of the same",
                {"address": key[1], "count": source.suppressed, "seconds": round(time.time() - source.since)},
            )

    def summarise(self) -> None:
        """Writes the summarising lines that are due; called now and then."""
        now = time.time()
        for key in [key for key, source in self._sources.items() if now - source.since > WINDOW]:
            self._summarise(key, self._sources.pop(key))


def _clip(text: str) -> str:
    """A text of a peer at a length that can be kept and logged."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
