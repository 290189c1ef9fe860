"""Pre-shared keys from a plug-in, for handshakes that want them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from lockwire.access.plugins.cache import Cache
from lockwire.access.plugins.calls import Calls, Failure
from lockwire.access.plugins.protocol import Plugin

LEAST_SECONDS: Final = 10.0
"""A key is kept at least so long: the handshake that waited for it takes it from here in its turn."""
KEYS: Final = 10_000


class PluginKeys:
    """Looks keys up for handshakes, on the event loop.

    OpenSSL wants a key at once: a handshake waits for `fetch` first and then finds it at hand. What the
    plug-in does not know is asked for again each time.

    plugin, calls, seconds: as for PluginAuthenticator.
    """

    def __init__(self, plugin: Plugin, calls: Calls, seconds: float) -> None:
        self._plugin = plugin
        self._calls = calls
        self._seconds = max(seconds, LEAST_SECONDS)
        self._keys: Cache[str, bytes] = Cache(KEYS)
        self._waiting: dict[str, set[Callable[[], None]]] = {}

    def __call__(self, identity: str) -> bytes | None:
        """The key of an identity that is at hand, None where there is none."""
        return self._keys.get(identity)

    def fetch(self, identity: str, done: Callable[[], None]) -> Callable[[], None]:
        """Asks the plug-in, once for all who ask meanwhile; gives what calls `done` off.

        `done` is called once and later, whether or not there is a key then.
        """
        waiting = self._waiting.get(identity)
        if waiting is None:
            waiting = self._waiting[identity] = set()
            self._calls.ask(lambda: self._plugin.psk_key(identity), lambda key: self._answered(identity, key))
        waiting.add(done)
        return partial(waiting.discard, done)

    def _answered(self, identity: str, key: bytes | Failure | None) -> None:
        if isinstance(key, bytes) and key:
            self._keys.put(identity, key, self._seconds)
        elif key is None:
            self._keys.discard(identity)
        elif not isinstance(key, Failure):
            self._calls.log.error("plug-in gave no proper key", plugin=self._calls.name)
        loop = asyncio.get_running_loop()
        for done in self._waiting.pop(identity):
            loop.call_soon(done)
