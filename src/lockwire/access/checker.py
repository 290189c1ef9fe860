"""Checks passwords without holding up the event loop, and without telling who exists."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from lockwire.access.authenticator import Decision, accepted, refused
from lockwire.access.database import AccessDatabase
from lockwire.access.errors import PasswordHashError
from lockwire.access.identity import PASSWORD, Identity
from lockwire.access.passwords import hash_chosen, hash_generated, is_slow, verify
from lockwire.access.throttle import Throttle, origin_of
from lockwire.access.users import User
from lockwire.mqtt import reasons

WORKERS: Final = 2  # 19 MiB each while they work
PENDING: Final = 1_024  # checks waiting for a worker; more are answered "server busy"
REMEMBERED: Final = 10_000  # verified passwords
REMEMBERED_SECONDS: Final = 300.0


class PasswordChecker:
    """Decides about user names and passwords.

    argon2id runs in two threads, `done` is then called from the event loop. What was verified is remembered
    for five minutes as a keyed hash of user, stored hash and password, so that a reconnecting fleet need not
    wait and a changed password counts at once. Where any user has an argon2id hash, every refusal costs one,
    whether the user exists or not.

    After ten different failures from one address within a minute (IPv6: one /64), its logins by password are
    refused unread for a minute, then two, up to 16, with 0x9F "Connection rate exceeded".
    """

    def __init__(
        self,
        users: AccessDatabase,
        throttle: Throttle | None = None,
        clock: Callable[[], float] = time.monotonic,
        pending: int = PENDING,
    ) -> None:
        self.users = users
        self.throttle = Throttle(clock) if throttle is None else throttle
        self.pending = 0
        self._maximum_pending = pending
        self._clock = clock
        self._key = os.urandom(32)
        self._verified: OrderedDict[bytes, float] = OrderedDict()
        self._slow_decoy = hash_chosen(os.urandom(16))
        self._fast_decoy = hash_generated(os.urandom(16))
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="lockwire-password")

    def check(self, peer: str, username: str, password: bytes, done: Callable[[Decision], None]) -> None:
        """Decides about one login; calls `done` exactly once, maybe later from the running event loop."""
        origin = origin_of(peer)
        seconds = self.throttle.blocked(origin)
        if seconds > 0:
            done(blocked(origin, seconds))
            return
        user = self.users.get(username)
        attempt = self._attempt(username, "" if user is None else user.password, password)
        if self.throttle.failed_before(origin, attempt):
            done(_wrong(username))
        elif user is not None and self._is_verified(user, attempt, password):
            done(_right(user))
        elif not self.users.has_slow:
            if user is None:
                verify(self._fast_decoy, password)
            self.throttle.failed(origin, attempt)
            done(_wrong(username))
        elif self.pending >= self._maximum_pending:
            done(refused(reasons.SERVER_BUSY, f"{self.pending} passwords are waiting to be checked"))
        else:
            self._submit(_Check(origin, username, user, attempt, done), password)

    def close(self) -> None:
        """Ends the threads; checks that have not begun are dropped, their `done` is never called."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _attempt(self, username: str, stored: str, password: bytes) -> bytes:
        """What was tried, so that nothing can be read from it; the stored hash makes an old result void."""
        fields = (username.encode(), stored.encode(), password)
        return hmac.digest(self._key, b"".join(len(one).to_bytes(4, "big") + one for one in fields), "sha256")

    def _is_verified(self, user: User, attempt: bytes, password: bytes) -> bool:
        if not is_slow(user.password):
            return verify(user.password, password)
        until = self._verified.get(attempt)
        return until is not None and until > self._clock()

    def _submit(self, check: _Check, password: bytes) -> None:
        loop = asyncio.get_running_loop()
        slow = check.user is not None and is_slow(check.user.password)
        stored = check.user.password if check.user is not None and slow else self._slow_decoy
        self.pending += 1

        def hand_over(future: Future[bool]) -> None:
            # a closed loop: the broker has gone, and with it whoever waited
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._finish, check, future)

        self._pool.submit(verify, stored, password).add_done_callback(hand_over)

    def _finish(self, check: _Check, future: Future[bool]) -> None:
        self.pending -= 1
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            check.done(refused(reasons.SERVER_UNAVAILABLE, f"the password could not be checked: {error!r}"))
            if not isinstance(error, PasswordHashError):
                raise error
            return
        now = self.users.get(check.username)
        unchanged = check.user is not None and now is not None and now.password == check.user.password
        if not (future.result() and unchanged and now is not None):
            self.throttle.failed(check.origin, check.attempt)
            check.done(_wrong(check.username))
            return
        self._verified[check.attempt] = self._clock() + REMEMBERED_SECONDS
        self._verified.move_to_end(check.attempt)
        if len(self._verified) > REMEMBERED:
            self._verified.popitem(last=False)
        check.done(_right(now))


class _Check:
    """A check that is under way; the password is not kept here."""

    __slots__ = ("attempt", "done", "origin", "user", "username")

    def __init__(
        self, origin: str, username: str, user: User | None, attempt: bytes, done: Callable[[Decision], None]
    ) -> None:
        self.origin = origin
        self.username = username
        self.user = user
        self.attempt = attempt
        self.done = done


def blocked(origin: str, seconds: float) -> Decision:
    """The refusal of an origin with too many failures."""
    return refused(
        reasons.CONNECTION_RATE_EXCEEDED,
        f"too many failed logins from {origin}, refused for {seconds:.0f} s more",
    )


def _right(user: User) -> Decision:
    return accepted(Identity(user.name, PASSWORD, user.administrator), "user name and password")


def _wrong(username: str) -> Decision:
    return refused(reasons.BAD_USER_NAME_OR_PASSWORD, f"unknown user or wrong password for {username!r}")
