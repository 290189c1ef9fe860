"""How a command gets done: by the running broker, or here under the folder's lock where none runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lockwire.cli.failures import FAILED, CommandError
from lockwire.control import ControlClient, NotRunningError
from lockwire.data import DataFolder, DataFolderError, LockedError
from lockwire.household import Household

Answer = TypeVar("Answer")


def call(data: DataFolder, command: str) -> object:
    """Asks the running broker; there has to be one.

    Raises:
        DataFolderError: the folder was never used.
        ControlError: the broker refused, or none runs.
        CommandError: a process holds the folder but does not answer.
    """
    data.require()
    try:
        return ControlClient(data).call(command)
    except NotRunningError:
        try:
            with data.lock():
                pass
        except LockedError as error:
            raise _unreachable(error) from error
        except DataFolderError:
            pass
        raise


def ask(
    data: DataFolder,
    command: str,
    arguments: dict[str, object],
    understand: Callable[[object], Answer],
    do_it: Callable[[Household], Answer],
) -> Answer:
    """Has a command done.

    command, arguments: for the running broker; `understand` makes its answer ours.
    do_it: the same thing where no broker runs.

    Raises as `call`, and what `do_it` raises.
    """
    data.require()
    try:
        return understand(ControlClient(data).call(command, **arguments))
    except NotRunningError:
        pass
    try:
        with data.lock():
            return do_it(Household.open(data))
    except LockedError as error:
        raise _unreachable(error) from error


def _unreachable(error: LockedError) -> CommandError:
    return CommandError(
        f"{error.message}, which does not answer on its control socket",
        f"If it is just starting or stopping, try again. {error.remedy}",
        FAILED,
    )
