"""Operations of `lockwire user`."""

from __future__ import annotations

from typing import Final

from lockwire.control import Arguments
from lockwire.household import Household
from lockwire.operations.arguments import text
from lockwire.operations.outcome import Operation, Outcome


def passwd(household: Household, arguments: Arguments) -> Outcome:
    """Gives a user a new generated password: name (text); gives the password."""
    name = text(arguments, "name")
    return Outcome(household.new_password(name), log="password changed", fields=(("user", name),))


OPERATIONS: Final[dict[str, Operation]] = {"user.passwd": passwd}
