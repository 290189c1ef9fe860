"""How a command gets done: by the running broker, or here under the folder's lock where none runs."""

from __future__ import annotations

import getpass
import os
import sys

from lockwire.cli.failures import FAILED, CommandError
from lockwire.control import ControlClient, NotRunningError
from lockwire.data import DataFolder, DataFolderError, LockedError
from lockwire.household import Household
from lockwire.operations.table import perform


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


def ask(data: DataFolder, operation: str, **arguments: object) -> object:
    """Has an operation done, by the running broker or here; gives its answer.

    Operations that keep a record get `by`, who runs this command.
    Raises as `call`; OSError where the disk refuses.
    """
    data.require()
    arguments = {"by": local_user(), **arguments}
    try:
        return ControlClient(data).call(operation, **arguments)
    except NotRunningError:
        pass
    try:
        with data.lock():
            return perform(Household.open(data), operation, arguments).answer
    except LockedError as error:
        raise _unreachable(error) from error


def local_user() -> str:
    """Who runs this process, for the authority's ledger: the user's name, and who became it with sudo."""
    uid = os.getuid() if sys.platform != "win32" else None
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    known = name if uid is None else f"{name} (uid {uid})" if name else f"uid {uid}"
    invoker = os.environ.get("SUDO_USER")
    return f"{known}, by sudo from {invoker}" if uid == 0 and invoker else known


def _unreachable(error: LockedError) -> CommandError:
    return CommandError(
        f"{error.message}, which does not answer on its control socket",
        f"If it is just starting or stopping, try again. {error.remedy}",
        FAILED,
    )
