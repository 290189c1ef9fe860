"""Operations of `lockwire psk`."""

from __future__ import annotations

import binascii
import secrets
from typing import Final

from lockwire.access.errors import UserError
from lockwire.access.identity import PSK
from lockwire.control import Arguments
from lockwire.household import Household
from lockwire.operations.arguments import optional_text, text
from lockwire.operations.outcome import AccessChanged, Operation, Outcome, UserGone
from lockwire.operations.users import removal_answer

KEY_BYTES: Final = 32
"""Bytes of a generated key: what the smallest devices take (ESP32)."""


def add(household: Household, arguments: Arguments) -> Outcome:
    """Adds a pre-shared key: identity, key (hexadecimal; None: generated); gives the key where it was."""
    identity, given = text(arguments, "identity"), optional_text(arguments, "key")
    if given is None:
        key = secrets.token_bytes(KEY_BYTES)
    else:
        try:
            key = binascii.unhexlify(given.strip())
        except (ValueError, binascii.Error):
            raise UserError(f"The key of {identity!r} is not hexadecimal: pairs of 0-9 and a-f.") from None
    household.access.add_psk(identity, key)
    answer = {"key": key.hex() if given is None else None}
    return Outcome(answer, log="pre-shared key added", fields=(("identity", identity),))


def list_keys(household: Household, arguments: Arguments) -> Outcome:
    """Gives the identities, with how long their keys are, in bytes."""
    access = household.access
    keys = [(identity, access.psk_key(identity) or b"") for identity in access.psk_identities]
    return Outcome([{"identity": identity, "bytes": len(key)} for identity, key in keys])


def delete(household: Household, arguments: Arguments) -> Outcome:
    """Deletes a pre-shared key, and ends its connections and sessions: identity; gives what went with it."""
    identity = text(arguments, "identity")
    others = household.holders(identity, but="pre-shared key")
    removal = household.access.delete_psk(identity, keep_rights=bool(others))
    effects = (UserGone(identity, PSK, f"the pre-shared key of {identity!r} was deleted"), AccessChanged())
    return Outcome(
        removal_answer(removal, others),
        effects,
        log="pre-shared key deleted",
        fields=(("identity", identity),),
    )


OPERATIONS: Final[dict[str, Operation]] = {"psk.add": add, "psk.list": list_keys, "psk.delete": delete}
