"""What the control socket carries: the running broker's side of the commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from lockwire.control import Arguments, ControlServer
from lockwire.household import Household
from lockwire.operations.outcome import Outcome
from lockwire.operations.table import OPERATIONS, perform


class Commands:
    """The commands of one broker with a data folder.

    Args:
        household: the folder's content, changed in a thread.
        apply: does to the running broker what an operation's effects say.
        status: gives what `lockwire status` shows.
        reload: does what `lockwire reload` asks, and gives what it changed; raises ControlError.
        changing: held by whoever changes the folder's content or reads it anew; `reload` takes it itself.
        log: where changes are noted.
    """

    def __init__(
        self,
        household: Household,
        apply: Callable[[Outcome], Awaitable[None]],
        status: Callable[[], object],
        reload: Callable[[], Awaitable[object]],
        changing: asyncio.Lock,
        log: FilteringBoundLogger,
    ) -> None:
        self._household = household
        self._apply = apply
        self._status = status
        self._reload = reload
        self._changing = changing
        self._log = log

    def register(self, control: ControlServer) -> None:
        """Makes a control server answer all of them."""
        control.register("status", self.status)
        control.register("reload", self.reload)
        for name in OPERATIONS:
            control.register(name, _Handler(self, name))

    async def status(self, arguments: Arguments) -> object:
        """`lockwire status`: what the broker says of itself."""
        return self._status()

    async def reload(self, arguments: Arguments) -> object:
        """`lockwire reload`: configuration, certificates, users and rules are read again."""
        return await self._reload()

    async def operate(self, name: str, arguments: Arguments) -> object:
        """An operation on the data folder, in a thread, after those before it. Raises ControlError."""
        async with self._changing:
            outcome = await asyncio.to_thread(perform, self._household, name, arguments)
            if outcome.log:
                self._log.info(outcome.log, **dict(outcome.fields))
            await self._apply(outcome)
        return outcome.answer


class _Handler:
    """Answers one command by an operation."""

    def __init__(self, commands: Commands, name: str) -> None:
        self._commands = commands
        self._name = name

    async def __call__(self, arguments: Arguments) -> object:
        return await self._commands.operate(self._name, arguments)
