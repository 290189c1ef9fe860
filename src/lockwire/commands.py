"""What the control socket carries: the running broker's side of the commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from lockwire.access.errors import UserError
from lockwire.control import Arguments, ControlError, ControlServer
from lockwire.household import Household
from lockwire.pki.errors import InvalidNameError, NameTakenError, PkiError

Result = TypeVar("Result")


class Commands:
    """The commands of one broker with a data folder.

    Args:
        household: the folder's content, changed in a thread.
        status: gives what `lockwire status` shows.
        reload: does what `lockwire reload` asks, and gives what it changed; raises ControlError.
        changing: held by whoever changes the folder's content or reads it anew; `reload` takes it itself.
        log: where changes are noted.
    """

    def __init__(
        self,
        household: Household,
        status: Callable[[], object],
        reload: Callable[[], Awaitable[object]],
        changing: asyncio.Lock,
        log: FilteringBoundLogger,
    ) -> None:
        self._household = household
        self._status = status
        self._reload = reload
        self._log = log
        self._changing = changing

    def register(self, control: ControlServer) -> None:
        """Makes a control server answer all of them."""
        control.register("status", self.status)
        control.register("reload", self.reload)
        control.register("device.add", self.add_device)
        control.register("user.passwd", self.new_password)

    async def status(self, arguments: Arguments) -> object:
        """`lockwire status`: what the broker says of itself."""
        return self._status()

    async def reload(self, arguments: Arguments) -> object:
        """`lockwire reload`: configuration, certificates, users and rules are read again."""
        return await self._reload()

    async def add_device(self, arguments: Arguments) -> object:
        """`lockwire device add`: name (text), replace (true or false); gives ca, chain, key and until."""
        name, replace = _text(arguments, "name"), arguments.get("replace") is True
        credentials = await self.change(lambda: self._household.add_device(name, replace))
        self._log.info("device added", name=name, until=credentials.until)
        return credentials.to_answer()

    async def new_password(self, arguments: Arguments) -> object:
        """`lockwire user passwd`: name (text); gives the password."""
        name = _text(arguments, "name")
        password = await self.change(lambda: self._household.new_password(name))
        self._log.info("password changed", user=name)
        return password

    async def change(self, work: Callable[[], Result]) -> Result:
        """Runs a change of the data folder in a thread, after those before it. Raises ControlError."""
        async with self._changing:
            try:
                return await asyncio.to_thread(work)
            except (InvalidNameError, NameTakenError) as error:
                raise ControlError(error.problem, error.remedy, bad_input=True) from error
            except PkiError as error:
                raise ControlError(str(error)) from error
            except UserError as error:
                raise ControlError(str(error), bad_input=True) from error


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise ControlError(f"the argument {name!r} is missing or not text", bad_input=True)
    return value
