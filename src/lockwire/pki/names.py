"""Names that fit wherever they are used: common name, MQTT user name, part of a topic, file name."""

from __future__ import annotations

import unicodedata
from typing import Final

from lockwire.pki.errors import InvalidNameError

MAXIMUM_CHARACTERS: Final = 64  # ub-common-name, RFC 5280 appendix A.1
MAXIMUM_BYTES: Final = 240  # a file name has 255, of which ".pem" and a temporary suffix take some
RESERVED: Final = frozenset({"ca", "anonymous"})  # ca.pem lies beside NAME.pem; a client nobody asked
_REMEDY: Final = "Choose a name of letters, digits, '-', '_' and '.', such as pump-7"


def check_name(name: str) -> None:
    """Raises InvalidNameError where a device or a user cannot be called `name`."""
    problem = _problem(name)
    if problem:
        raise InvalidNameError(f"The name {name!r} {problem}", _REMEDY + ".")


def _problem(name: str) -> str:
    if not name:
        return "is empty"
    if len(name) > MAXIMUM_CHARACTERS:
        return f"has {len(name)} characters, a common name has {MAXIMUM_CHARACTERS} at most"
    for character in name:
        if character in "/+#\\":
            return f"contains {character!r}"
        if unicodedata.category(character)[0] == "C" or unicodedata.category(character) in ("Zl", "Zp"):
            return f"contains the invisible character U+{ord(character):04X}"
    if len(name.encode()) > MAXIMUM_BYTES:
        return f"is longer than {MAXIMUM_BYTES} bytes in UTF-8"
    if name != name.strip() or name[0] in ".-":
        return "begins with a dot, a dash or a space, or ends with a space"
    if unicodedata.normalize("NFC", name) != name:
        return "is not in Unicode normal form C"
    if name.casefold() in RESERVED:
        return "is reserved"
    return ""
