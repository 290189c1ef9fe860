"""Every operation by its name, as the control socket and the commands call it."""

from __future__ import annotations

from typing import Final

from lockwire.access.errors import AccessError
from lockwire.control import Arguments, ControlError
from lockwire.household import Household
from lockwire.operations import (
    authority,
    certificates,
    devices,
    learning,
    mosquitto,
    permissions,
    psk,
    rabbitmq,
    revocation,
    users,
)
from lockwire.operations.outcome import Operation, Outcome
from lockwire.pki.errors import BAD_INPUT, PkiError

OPERATIONS: Final[dict[str, Operation]] = {
    **authority.OPERATIONS,
    **certificates.OPERATIONS,
    **devices.OPERATIONS,
    **learning.OPERATIONS,
    **mosquitto.OPERATIONS,
    **permissions.OPERATIONS,
    **psk.OPERATIONS,
    **rabbitmq.OPERATIONS,
    **revocation.OPERATIONS,
    **users.OPERATIONS,
}


def perform(household: Household, name: str, arguments: Arguments) -> Outcome:
    """Does an operation. Raises ControlError with what was wrong and what to do; OSError."""
    try:
        return OPERATIONS[name](household, arguments)
    except BAD_INPUT as error:
        raise ControlError(error.problem, error.remedy, bad_input=True) from error
    except PkiError as error:
        raise ControlError(str(error)) from error
    except AccessError as error:
        raise ControlError(str(error), bad_input=True) from error
