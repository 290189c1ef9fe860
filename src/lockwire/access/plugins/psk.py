"""Pre-shared keys from a plug-in, for handshakes that cannot wait for it."""

from __future__ import annotations

from typing import Final

from lockwire.access.plugins.cache import Cache
from lockwire.access.plugins.calls import Calls, Failure
from lockwire.access.plugins.protocol import Plugin

LEAST_SECONDS: Final = 10.0
"""A key is kept at least so long: otherwise nobody's second attempt would find it."""
KEYS: Final = 10_000


class PluginKeys:
    """Looks keys up for handshakes, on the event loop.

    OpenSSL wants a key at once. An identity whose key is not at hand is refused, its key is asked for
    meanwhile, and the device's next attempt finds it. Unknown identities are asked for again each time.

    plugin, calls, seconds: as for PluginAuthenticator.
    """

    def __init__(self, plugin: Plugin, calls: Calls, seconds: float) -> None:
        self._plugin = plugin
        self._calls = calls
        self._seconds = max(seconds, LEAST_SECONDS)
        self._keys: Cache[str, bytes] = Cache(KEYS)
        self._asked: set[str] = set()

    def __call__(self, identity: str) -> bytes | None:
        """The key of an identity that is at hand, None where there is none yet."""
        key = self._keys.get(identity)
        if key is None and identity not in self._asked:
            self._asked.add(identity)
            self._calls.ask(lambda: self._plugin.psk_key(identity), lambda key: self._answered(identity, key))
        return key

    def _answered(self, identity: str, key: bytes | Failure | None) -> None:
        self._asked.discard(identity)
        if isinstance(key, bytes) and key:
            self._keys.put(identity, key, self._seconds)
        elif key is not None and not isinstance(key, Failure):
            self._calls.log.error("plug-in gave no proper key", plugin=self._calls.name)
