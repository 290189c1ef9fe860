"""Checks passwords without holding up the event loop, and without telling who exists."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from lockwire.access.authenticator import Decision, accepted, refused
from lockwire.access.errors import PasswordHashError
from lockwire.access.identity import PASSWORD, Identity
from lockwire.access.methods.accounts import Account, Accounts
from lockwire.access.methods.passwords import hash_chosen, hash_generated, is_slow, needs_rehash, verify
from lockwire.access.methods.throttle import LoginThrottle, Wait, origin_of
from lockwire.mqtt import reasons

WORKERS: Final = 2  # 19 MiB each while they work
NICENESS: Final = 10
"""Of the threads that hash: the event loop goes first where cores are few."""
PENDING: Final = 1_024  # checks waiting for a worker; more are answered "server busy"
REHASH_BELOW: Final = 16  # with more of them waiting, a hash stays as it is until another login
REMEMBERED: Final = 10_000  # verified passwords
REMEMBERED_SECONDS: Final = 300.0


class PasswordChecker:
    """Decides about user names and passwords.

    Chosen passwords are hashed in two threads, `done` is then called from the event loop. What was verified
    is remembered for five minutes as a keyed hash of user, stored hash and password, so that a reconnecting
    fleet need not wait and a changed password counts at once. Where any user has a chosen password, every
    refusal costs one argon2id, whether the user exists or not.

    Too many failures from one address, or for one user from many, and logins are refused unread with 0x9F
    "Connection rate exceeded" (see `throttle`). A generated password is accepted even then: nobody guesses
    those, and a device must not suffer for its neighbours.

    users: who there is. throttle: shared with other methods. pending: checks that may wait.
    rehash: called from the event loop with user name, stored hash and a better hash of the same password,
        after a login whose stored hash is cheaper to try out than ours; None: hashes stay as they are. Where
        the stored hash has changed meanwhile, it must leave it alone.
    """

    def __init__(
        self,
        users: Accounts,
        throttle: LoginThrottle | None = None,
        clock: Callable[[], float] = time.monotonic,
        pending: int = PENDING,
        rehash: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self.users = users
        self.throttle = LoginThrottle(clock) if throttle is None else throttle
        self.pending = 0
        self._rehash = rehash
        self._maximum_pending = pending
        self._clock = clock
        self._verified: OrderedDict[bytes, float] = OrderedDict()
        self._slow_decoy = hash_chosen(os.urandom(16))
        self._fast_decoy = hash_generated(os.urandom(16))
        self._pool = ThreadPoolExecutor(
            WORKERS, thread_name_prefix="lockwire-password", initializer=_step_back
        )

    def knows(self, username: str) -> bool:
        """Whether there is such a user. Never for an answer to a client."""
        return self.users.get(username) is not None

    def check(self, peer: str, username: str, password: bytes, done: Callable[[Decision], None]) -> None:
        """Decides about one login; calls `done` exactly once, maybe later from the running event loop."""
        origin = origin_of(peer)
        user = self.users.get(username)
        generated = user is not None and not is_slow(user.password)
        if user is not None and generated and verify(user.password, password):
            done(_right(user))
            return
        wait = self.throttle.wait(origin, username)
        if wait is not None:
            done(blocked(wait))
            return
        attempt = self._attempt(username, user, password)
        if self.throttle.addresses.failed_before(origin, attempt):
            done(_wrong(username))
        elif user is not None and self._verified.get(attempt, 0.0) > self._clock():
            self.throttle.succeeded(origin, username)
            done(_right(user))
        elif not self.users.has_slow:
            if user is None:
                verify(self._fast_decoy, password)
            self.throttle.failed(origin, attempt, username)
            done(_wrong(username))
        elif self.pending >= self._maximum_pending:
            done(refused(reasons.SERVER_BUSY, f"{self.pending} passwords are waiting to be checked"))
        else:
            self._submit(_Check(origin, username, user, attempt, done), password)

    def counts(self) -> dict[str, int]:
        """Counters, by name, for status and metrics."""
        return self.throttle.counts()

    def close(self) -> None:
        """Ends the threads; checks that have not begun are dropped, their `done` is never called."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _attempt(self, username: str, user: Account | None, password: bytes) -> bytes:
        """The stored hash is part of it, so that a change of password makes an old result void."""
        stored = "" if user is None else user.password
        return self.throttle.attempt(username.encode(), stored.encode(), password)

    def _submit(self, check: _Check, password: bytes) -> None:
        slow = check.user is not None and is_slow(check.user.password)
        stored = check.user.password if check.user is not None and slow else self._slow_decoy
        self._in_thread(
            lambda: _judge(stored, self._slow_decoy, password),
            lambda future: self._finish(check, password, future),
        )

    def _in_thread(self, work: Callable[[], object], then: Callable[[Future[object]], None]) -> None:
        """Works in a thread, then goes on in the event loop."""
        loop = asyncio.get_running_loop()
        self.pending += 1

        def finished(future: Future[object]) -> None:
            self.pending -= 1
            if not future.cancelled():
                then(future)

        def hand_over(future: Future[object]) -> None:
            # a closed loop: the broker has gone, and with it whoever waited
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(finished, future)

        self._pool.submit(work).add_done_callback(hand_over)

    def _finish(self, check: _Check, password: bytes, future: Future[object]) -> None:
        error = future.exception()
        if error is not None:
            check.done(refused(reasons.SERVER_UNAVAILABLE, f"the password could not be checked: {error!r}"))
            if not isinstance(error, PasswordHashError):
                raise error
            return
        now = self.users.get(check.username)
        right = check.user is not None and future.result() is True
        if right and now is not None and check.user is not None and now.password != check.user.password:
            # Another hash of the same password maybe: that of a login at the same time, hashed anew.
            check.user = now
            check.attempt = self._attempt(check.username, now, password)
            self._submit(check, password)
        elif right and now is not None:
            self._accept(check, now, password)
        else:
            self.throttle.failed(check.origin, check.attempt, check.username)
            check.done(_wrong(check.username))

    def _accept(self, check: _Check, user: Account, password: bytes) -> None:
        self._verified[check.attempt] = self._clock() + REMEMBERED_SECONDS
        self._verified.move_to_end(check.attempt)
        if len(self._verified) > REMEMBERED:
            self._verified.popitem(last=False)
        self.throttle.succeeded(check.origin, check.username)
        if self._rehash is not None and needs_rehash(user.password) and self.pending < REHASH_BELOW:
            self._in_thread(
                lambda: hash_chosen(password),
                lambda future: self._hand_on(check.username, user.password, future),
            )
        check.done(_right(user))

    def _hand_on(self, username: str, old: str, future: Future[object]) -> None:
        if self._rehash is not None:
            self._rehash(username, old, str(future.result()))


class _Check:
    """A check that is under way; the password is not kept here."""

    __slots__ = ("attempt", "done", "origin", "user", "username")

    def __init__(
        self,
        origin: str,
        username: str,
        user: Account | None,
        attempt: bytes,
        done: Callable[[Decision], None],
    ) -> None:
        self.origin = origin
        self.username = username
        self.user = user
        self.attempt = attempt
        self.done = done


def blocked(wait: Wait) -> Decision:
    """The refusal of a login that is not looked at."""
    return refused(
        reasons.CONNECTION_RATE_EXCEEDED,
        f"too many failed logins, refused for {wait.seconds:.0f} s more: {wait.what}",
    )


def _judge(stored: str, decoy: str, password: bytes) -> bool:
    """A wrong password costs at least one argon2id of ours, whatever the hash is."""
    if verify(stored, password):
        return True
    if needs_rehash(stored):
        verify(decoy, password)
    return False


def _right(user: Account) -> Decision:
    return accepted(Identity(user.name, PASSWORD, user.administrator), "user name and password")


def _wrong(username: str) -> Decision:
    return refused(
        reasons.BAD_USER_NAME_OR_PASSWORD,
        f"unknown user or wrong password for {username!r}; lockwire user list shows who there is, "
        "lockwire user passwd gives a new password",
    )


def _step_back() -> None:
    """Makes the calling thread nicer than the event loop's: on Linux niceness is a thread's own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
