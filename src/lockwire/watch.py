"""Looks after the files that a running broker works with, and after what ends by itself.

Once a second it asks whether certificates, keys, CAs, revocation lists, pre-shared keys and token keys have
changed, and takes what is new into use; the files may be replaced in any way, links turned as Kubernetes and
certbot do included. A new file that cannot be used leaves the old content in use and is a problem until it is
repaired. So is a revocation list or a certificate of ours that has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import is_
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from lockwire.access.errors import AccessError
from lockwire.access.identity import PSK
from lockwire.access.tokens.verifier import TokenVerifier
from lockwire.broker.broker import Broker
from lockwire.config import Settings
from lockwire.tls.context import ServerContext
from lockwire.tls.errors import TlsFileError
from lockwire.tls.psk import KeyFile

INTERVAL: Final = 1.0
"""Seconds between two looks. A change is taken once it has rested that long, so within two of them."""

Signature = tuple[tuple[int, ...] | None, ...]


@dataclass(slots=True)
class _Source:
    """Files that are used together. taken: how they were when they were last read; seen: at the last look."""

    paths: tuple[Path, ...]
    owner: object
    taken: Signature | None = None
    seen: Signature | None = None
    failed: int = 0
    problem: str = ""


@dataclass(slots=True)
class _Known:
    """What was last said and done about one listener."""

    problems: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()
    psk: dict[str, bytes] = field(default_factory=dict, repr=False)


class FileWatch:
    """Keeps a running broker's TLS and token keys in step with their files.

    broker: whose listeners it looks after. settings, tokens: give what is in force now.
    changing: held while something is taken into use, so that nobody else changes anything meanwhile.
    """

    def __init__(
        self,
        broker: Broker,
        settings: Callable[[], Settings],
        tokens: Callable[[], TokenVerifier | None],
        changing: asyncio.Lock,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._broker = broker
        self._settings = settings
        self._tokens = tokens
        self._changing = changing
        self._log = log
        self._sources: dict[str, _Source] = {}
        self._known: dict[str, _Known] = {}
        self._denied: dict[str, list[frozenset[str]]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Says what is weak or wrong now, and looks every second from then on."""
        self.settle()
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Looks no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def problems(self) -> list[str]:
        """Everything of ours that is not in order, a sentence or two each."""
        return [source.problem for source in self._sources.values() if source.problem] + [
            f"{_listeners(names)}: {text}" for text, names in self._by_text(lambda known: known.problems)
        ]

    def warnings(self) -> list[str]:
        """The listeners whose TLS is weaker than it would have to be."""
        return [
            f"{_listeners(names)}: legacy TLS, as configured: {text}"
            for text, names in self._by_text(lambda known: known.weaknesses)
        ]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except Exception:
                # Nobody waits for this task: it is the outermost edge, and the next look comes.
                self._log.exception("looking after files failed")

    # -- files

    async def look(self) -> None:
        """One look: files that changed and rest are read, and what ends by itself is noticed."""
        self._gather()
        for name, source in list(self._sources.items()):
            signature = await asyncio.to_thread(_signature, source.paths)
            if signature == source.taken:
                source.seen = signature
            elif signature != source.seen:
                source.seen = signature
                source.failed = 0
            else:
                async with self._changing:
                    await self._take(name, source, signature)
        self.settle()

    def _gather(self) -> None:
        """Brings the sources in step with the listeners and the settings."""
        wanted = {
            name: _Source(paths_of(context), context) for name, context in self._broker.contexts().items()
        }
        tokens = self._tokens()
        token_files = token_paths(self._settings())
        if tokens is not None and token_files:
            wanted["[token]"] = _Source(token_files, tokens)
        for name, source in wanted.items():
            current = self._sources.get(name)
            if current is not None and current.owner is source.owner and current.paths == source.paths:
                wanted[name] = current
        self._sources = wanted

    async def _take(self, name: str, source: _Source, signature: Signature) -> None:
        try:
            changed = await self._read(source.owner)
        except (TlsFileError, AccessError, OSError) as error:
            source.failed += 1
            if source.failed > 1:  # the first time it may be half written, or its partner not there yet
                source.taken = signature
                self._complain(name, source, str(error))
            return
        source.taken = signature
        source.failed = 0
        if source.problem:
            source.problem = ""
            self._log.info("a file is in order again", **_of(name))
        if changed:
            self._log.info("changed files are in use", **_of(name))

    async def _read(self, owner: object) -> bool:
        """Reads one source's files and takes them into use; gives whether they changed."""
        if isinstance(owner, TokenVerifier):
            owner.reload()
            return False
        assert isinstance(owner, ServerContext)
        material = await asyncio.to_thread(owner.prepare)
        return owner.adopt(material)

    def _complain(self, name: str, source: _Source, text: str) -> None:
        problem = f"{text}. What was read before stays in use."
        if source.problem != problem:
            source.problem = problem
            self._log.error(
                "a changed file cannot be used, the former content stays in use", **_of(name), error=text
            )

    # -- what follows

    def settle(self) -> None:
        """Draws the consequences of what is in use now: revocations, keys that are gone, problems.

        To be called after each reload too; cheap where nothing has changed.
        """
        contexts = self._broker.contexts()
        now = self._clock()
        for name, context in contexts.items():
            known = self._known.setdefault(name, _Known())
            context.judge(now)
            self._report(name, known, context)
            self._end_lost_keys(known, context)
        for name in self._known.keys() - contexts.keys():
            del self._known[name]
        self._deny(contexts.values())

    def _report(self, name: str, known: _Known, context: ServerContext) -> None:
        weaknesses = context.policy.weaknesses
        if weaknesses != known.weaknesses:
            known.weaknesses = weaknesses
            if weaknesses:
                self._log.warning("legacy TLS", **_of(name), weaknesses=", ".join(weaknesses))
        problems = context.problems
        if problems is known.problems:
            return
        for problem in problems:
            if problem not in known.problems:
                self._log.error("TLS is not in order", **_of(name), problem=problem)
        if known.problems and not problems:
            self._log.info("TLS is in order again", **_of(name))
        known.problems = problems

    def _end_lost_keys(self, known: _Known, context: ServerContext) -> None:
        """Ends the connections whose pre-shared key is gone or another one now."""
        lookup = context.psk.lookup if context.psk is not None else None
        keys = lookup.keys if isinstance(lookup, KeyFile) else {}
        before = known.psk
        if keys is before:
            return
        known.psk = keys
        for identity, key in before.items():
            if keys.get(identity) != key:
                gone = identity not in keys
                detail = "the pre-shared key is gone" if gone else "the pre-shared key is another one now"
                self._broker.end_identity(identity, PSK, detail, sessions=gone)

    def _deny(self, contexts: Iterable[ServerContext]) -> None:
        """Has the deny-list know what the revocation lists revoke."""
        denied: dict[str, list[frozenset[str]]] = {}
        for context in contexts:
            if context.files is not None and context.files.crl is not None:
                denied.setdefault(str(context.files.crl), []).append(context.denied)
        for path, lists in denied.items():
            before = self._denied.get(path, [])
            if len(before) == len(lists) and all(map(is_, before, lists)):
                continue  # the very same: long ones are not compared every second
            keys = frozenset().union(*lists)
            ended = self._broker.deny(path, keys)
            self._log.info("revocation lists read", file=path, certificates=len(keys), ended=ended)
        for path in self._denied.keys() - denied.keys():
            self._broker.deny(path, ())
        self._denied = denied

    def _by_text(self, pick: Callable[[_Known], tuple[str, ...]]) -> list[tuple[str, list[str]]]:
        """Texts about listeners, each with all those that it is true of."""
        found: dict[str, list[str]] = {}
        for name, known in self._known.items():
            for text in pick(known):
                found.setdefault(text, []).append(name)
        return list(found.items())


def paths_of(context: ServerContext) -> tuple[Path, ...]:
    """The files of a listener's TLS."""
    if context.files is not None:
        return context.files.paths()
    lookup = context.psk.lookup if context.psk is not None else None
    return (lookup.path,) if isinstance(lookup, KeyFile) else ()


def token_paths(settings: Settings) -> tuple[Path, ...]:
    """The files of the keys for tokens."""
    token = settings.token
    if token.secret_file is not None:
        return (token.secret_file,)
    return (Path(token.jwks),) if token.jwks and "://" not in token.jwks else ()


def _signature(paths: tuple[Path, ...]) -> Signature:
    """What tells a file from another one in its place; None for one that cannot be seen."""
    found: list[tuple[int, ...] | None] = []
    for path in paths:
        entry = None
        with contextlib.suppress(OSError):
            status = os.stat(path)
            entry = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev)
        found.append(entry)
    return tuple(found)


def _of(name: str) -> dict[str, str]:
    return {"section": name} if name.startswith("[") else {"listener": name}


def _listeners(names: list[str]) -> str:
    return f"listener{'s' if len(names) > 1 else ''} {', '.join(names)}"
