"""Where the keys for tokens come from: a secret in a file, a JWK set in a file, a JWK set from a URL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jwt import InvalidKeyError
from jwt.algorithms import HMACAlgorithm
from structlog.typing import FilteringBoundLogger

from lockwire.access.errors import KeySetError, TokenError
from lockwire.access.methods.naming import shown
from lockwire.access.tokens.fetching import fetch
from lockwire.access.tokens.jwks import MAXIMUM_BYTES, KeySet, TokenKey, parse_jwks
from lockwire.config.access import TokenSettings
from lockwire.config.addresses import is_loopback

LOOK_INTERVAL: Final = 1.0
"""Seconds between two looks whether a file has changed."""
FETCH_INTERVAL: Final = 5.0
"""Least seconds between two requests to a URL, whatever tokens name."""
RETRY_INTERVAL: Final = 30.0
"""Seconds between two requests to a URL that fails, while its former keys are used."""
STALE: Final = 6 * 3600.0
"""Seconds that keys are used after they were last read from a URL."""
DEADLINE: Final = 15.0
"""Seconds for one request, from beginning to end."""
REQUESTS: Final = 4
"""Requests to a URL that may hang at once, each in its thread."""
WAITING: Final = 1_024
"""Tokens that wait for keys; more are refused."""

Found = Callable[[tuple[TokenKey, ...] | TokenError], None]

_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}  # RFC 7518 section 3.2
_MAXIMUM_SECRET: Final = 4_096


class KeySource:
    """Finds the keys that a token may have been signed with."""

    def reload(self) -> None:
        """Reads the keys again; where that takes time, begins to in the running event loop.

        Raises KeySetError where a file cannot be used, and then goes on with what it read before.
        """

    def find(self, identifier: str | None, algorithm: str, done: Found) -> None:
        """Finds keys by a token's "kid" (None without one) and "alg"; calls `done` exactly once."""
        raise NotImplementedError

    def close(self) -> None:
        """Stops; what is asked may never be answered."""


def key_source(settings: TokenSettings, log: FilteringBoundLogger) -> KeySource:
    """The source that the table `[token]` names. Raises KeySetError where it cannot be used."""
    if settings.secret_file is not None:
        return Secret(settings.secret_file, tuple(settings.algorithms))
    if "://" in settings.jwks:
        return UrlKeys(settings.jwks, settings.jwks_ca, settings.jwks_cache, log)
    return FileKeys(Path(settings.jwks), log)


class Secret(KeySource):
    """The one secret of the HS algorithms, from a file that nobody else can read.

    A line feed at the end of the file does not belong to the secret.
    """

    def __init__(self, path: Path, algorithms: tuple[str, ...]) -> None:
        self._path = path
        self._algorithms = algorithms
        self._keys: tuple[TokenKey, ...] = ()
        self.reload()

    def reload(self) -> None:
        path, algorithms = self._path, self._algorithms
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                secret = file.read(_MAXIMUM_SECRET + 3).removesuffix(b"\n").removesuffix(b"\r")
        except OSError as error:
            raise KeySetError(
                f"{path}: {error.strerror}; expected the secret of the HS algorithms"
            ) from error
        if mode & 0o077:
            raise KeySetError(
                f"{path}: others on this machine can read it (mode {mode & 0o777:04o}); chmod 600"
            )
        least = max(_SECRET_BYTES[algorithm] for algorithm in algorithms)
        if not least <= len(secret) <= _MAXIMUM_SECRET:
            raise KeySetError(
                f"{path}: a secret of {len(secret)} bytes; expected {least} to {_MAXIMUM_SECRET} for "
                f"{', '.join(algorithms)} (RFC 7518 section 3.2)"
            )
        try:
            HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
        except InvalidKeyError as error:
            raise KeySetError(
                f"{path}: a public key or a certificate; expected a secret of random bytes"
            ) from error
        self._keys = (TokenKey("", algorithms, secret),)

    def find(self, identifier: str | None, algorithm: str, done: Found) -> None:
        done(self._keys)


class FileKeys(KeySource):
    """A JWK set in a file, read again when the file changes.

    Raises KeySetError where it cannot be used at first; a broken file later is logged and the former keys
    stay in use.
    """

    def __init__(
        self, path: Path, log: FilteringBoundLogger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._log = log
        self._clock = clock
        self._looked_at = 0.0
        self._seen: tuple[int, ...] = ()
        self._keys = KeySet(())
        self.reload()

    def reload(self) -> None:
        self._looked_at = self._clock()
        self._seen = self._signature()
        keys = self._read()
        if keys != self._keys:
            _log_keys(self._log, str(self._path), keys)
        self._keys = keys

    def find(self, identifier: str | None, algorithm: str, done: Found) -> None:
        if self._clock() - self._looked_at >= LOOK_INTERVAL:
            self._look()
        keys = self._keys.select(identifier, algorithm)
        done(keys or _not_found(identifier, algorithm, str(self._path)))

    def _look(self) -> None:
        self._looked_at = self._clock()
        if self._signature() == self._seen:
            return
        try:
            self.reload()
        except KeySetError as error:
            self._log.error("token keys cannot be read, the former ones stay in use", error=str(error))

    def _signature(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> KeySet:
        try:
            with self._path.open("rb") as file:
                data = file.read(MAXIMUM_BYTES + 1)
        except OSError as error:
            raise KeySetError(f"{self._path}: {error.strerror}; expected a JWK set") from error
        if len(data) > MAXIMUM_BYTES:
            raise KeySetError(f"{self._path}: more than {MAXIMUM_BYTES} bytes; expected a JWK set")
        return parse_jwks(data, str(self._path))


class UrlKeys(KeySource):
    """A JWK set from a URL, read in a thread and kept.

    After `cache` seconds it is read again, while the keys stay in use; a token that names a key which is not
    there has it read at once, every five seconds at most. Where it cannot be read, the former keys are used
    for six hours more, and the log says so each time.

    Raises KeySetError for a URL that is neither https nor http on loopback.
    """

    def __init__(
        self,
        url: str,
        ca: Path | None,
        cache: float,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
        deadline: float = DEADLINE,
    ) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if "@" in parts.netloc:
            raise KeySetError(f"[token] jwks: expected https://{host}/path without user and password")
        if parts.scheme not in ("https", "http") or not host:
            raise KeySetError(f"[token] jwks: {url!r}; expected https://host/path")
        if parts.scheme == "http" and not is_loopback(host):
            raise KeySetError(
                f"[token] jwks: anybody on the way can forge {url!r}; expected https (http on loopback)"
            )
        self._url = url
        self._ca = ca
        self._cache = cache
        self._log = log
        self._clock = clock
        self._deadline = deadline
        self._keys: KeySet | None = None
        self._read_at = 0.0
        self._tried_at = -FETCH_INTERVAL
        self._failure = ""
        self.requests = 0
        """Requests whose threads have not ended yet."""
        self._request = 0
        self._timer: asyncio.Handle | None = None
        self._waiting: list[tuple[str | None, str, Found]] = []

    def reload(self) -> None:
        self._begin()

    def find(self, identifier: str | None, algorithm: str, done: Found) -> None:
        now = self._clock()
        keys = self._usable(now)
        found = () if keys is None else keys.select(identifier, algorithm)
        if found:
            if now - self._read_at >= self._cache and now - self._tried_at >= self._interval():
                self._begin()
            done(found)
        elif len(self._waiting) >= WAITING:
            done(TokenError(f"{WAITING} tokens wait for the keys of {self._url}", unavailable=True))
        elif self._timer is not None or now - self._tried_at >= FETCH_INTERVAL:
            self._waiting.append((identifier, algorithm, done))
            self._begin()
        else:
            done(self._missing(keys, identifier, algorithm))

    def close(self) -> None:
        self._waiting.clear()
        self._end()

    def _interval(self) -> float:
        return RETRY_INTERVAL if self._failure else FETCH_INTERVAL

    def _usable(self, now: float) -> KeySet | None:
        return self._keys if now - self._read_at < STALE else None

    def _missing(self, keys: KeySet | None, identifier: str | None, algorithm: str) -> TokenError:
        if keys is not None:
            return _not_found(identifier, algorithm, self._url)
        return TokenError(f"there are no keys to check it with: {self._failure}", unavailable=True)

    def _begin(self) -> None:
        """Asks the URL, unless that is under way."""
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        self._tried_at = self._clock()
        self._request += 1
        request = self._request
        if self.requests >= REQUESTS:
            hung = KeySetError(f"{self._url}: {self.requests} requests to it still hang")
            self._timer = loop.call_soon(self._answered, request, hung)
            return
        late = KeySetError(f"{self._url}: no answer within {self._deadline:g} s")
        self._timer = loop.call_later(self._deadline, self._answered, request, late)

        def work() -> None:
            answer: KeySet | Exception
            try:
                answer = parse_jwks(fetch(self._url, self._ca), self._url)
            except Exception as error:  # the thread's outermost edge: it is logged
                answer = error
            # a closed loop: the broker has gone
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._finished, request, answer)

        self.requests += 1
        # not of a pool: one that hangs must not hold up the broker's end
        threading.Thread(target=work, name="lockwire-token-keys", daemon=True).start()

    def _end(self) -> None:
        self._request += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _finished(self, request: int, answer: KeySet | Exception) -> None:
        self.requests -= 1
        self._answered(request, answer)

    def _answered(self, request: int, answer: KeySet | Exception) -> None:
        if request != self._request:
            return
        self._end()
        now = self._clock()
        if isinstance(answer, KeySet):
            if answer != self._keys or self._failure:
                _log_keys(self._log, self._url, answer)
            self._keys, self._read_at, self._failure = answer, now, ""
        else:
            self._failure = str(answer) if isinstance(answer, KeySetError) else f"{self._url}: {answer!r}"
            self._complain(now)
        keys = self._usable(now)
        waiting, self._waiting = self._waiting, []
        for identifier, algorithm, done in waiting:
            found = () if keys is None else keys.select(identifier, algorithm)
            done(found or self._missing(keys, identifier, algorithm))

    def _complain(self, now: float) -> None:
        if self._usable(now) is None:
            self._log.error("token keys cannot be read, no token is accepted", error=self._failure)
            return
        self._log.error(
            "token keys cannot be read, the former ones stay in use",
            error=self._failure,
            read_seconds_ago=round(now - self._read_at),
            used_seconds_more=round(self._read_at + STALE - now),
        )


def _not_found(identifier: str | None, algorithm: str, where: str) -> TokenError:
    named = "names no key (kid)" if identifier is None else f"names the key (kid) {shown(identifier)}"
    return TokenError(f"it {named}, and {where} has none for {algorithm} of that name")


def _log_keys(log: FilteringBoundLogger, where: str, keys: KeySet) -> None:
    log.info("token keys read", source=where, keys=[key.identifier for key in keys.keys])
    for reason in keys.skipped:
        log.warning("token key not used", source=where, reason=reason)
