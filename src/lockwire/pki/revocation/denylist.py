"""Which certificates are revoked, by their keys: asked at each CONNECT, so one look into a set."""

from __future__ import annotations

from collections.abc import Iterable


class DenyList:
    """Certificates that nobody may connect with, from several sources that change on their own.

    A source is `authority` for the data folder's own, or the path of a file of revocation lists. The keys are
    those of `certificate.certificate_key`. An empty list is false.
    """

    def __init__(self) -> None:
        self._sources: dict[str, frozenset[str]] = {}
        self._keys: frozenset[str] = frozenset()

    def replace(self, source: str, keys: Iterable[str]) -> frozenset[str]:
        """Takes `keys` for all that one source denies; none: the source is forgotten.

        Returns those that nobody denied before: the certificates whose sessions end now.
        """
        before = self._keys
        mine = frozenset(keys)
        if mine:
            self._sources[source] = mine
        else:
            self._sources.pop(source, None)
        self._keys = frozenset().union(*self._sources.values())
        return mine - before

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that deny something."""
        return tuple(self._sources)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)
