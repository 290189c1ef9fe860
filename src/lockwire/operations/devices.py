"""Operations of `lockwire device`."""

from __future__ import annotations

from typing import Final

from lockwire.control import Arguments
from lockwire.household import Household
from lockwire.operations.arguments import flag, optional_text, text
from lockwire.operations.outcome import Operation, Outcome


def add(household: Household, arguments: Arguments) -> Outcome:
    """Issues a client certificate: name (text), replace (flag); gives ca, chain, key and until."""
    name = text(arguments, "name")
    by = optional_text(arguments, "by") or ""
    credentials = household.add_device(name, flag(arguments, "replace"), by)
    return Outcome(
        credentials.to_answer(), log="device added", fields=(("name", name), ("until", credentials.until))
    )


OPERATIONS: Final[dict[str, Operation]] = {"device.add": add}
