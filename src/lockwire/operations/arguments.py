"""Arguments of operations, read with errors that name them."""

from __future__ import annotations

from lockwire.control import Arguments, ControlError


def text(arguments: Arguments, name: str) -> str:
    """An argument that is text. Raises ControlError."""
    value = arguments.get(name)
    if not isinstance(value, str):
        raise _wrong(name, "text")
    return value


def optional_text(arguments: Arguments, name: str) -> str | None:
    """An argument that is text, None where it is absent. Raises ControlError."""
    return None if arguments.get(name) is None else text(arguments, name)


def flag(arguments: Arguments, name: str) -> bool:
    """An argument that is true or false, false where it is absent. Raises ControlError."""
    value = arguments.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong(name, "true or false")
    return value


def optional_flag(arguments: Arguments, name: str) -> bool | None:
    """An argument that is true or false, None where it is absent. Raises ControlError."""
    return None if arguments.get(name) is None else flag(arguments, name)


def integers(arguments: Arguments, name: str) -> list[int]:
    """An argument that is a list of whole numbers, empty where it is absent. Raises ControlError."""
    value = arguments.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise _wrong(name, "a list of whole numbers")
    return [int(item) for item in value]


def integer(arguments: Arguments, name: str, default: int) -> int:
    """An argument that is a whole number, `default` where it is absent. Raises ControlError."""
    value = arguments.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, "a whole number")
    return value


def texts(arguments: Arguments, name: str) -> list[str]:
    """An argument that is a list of texts, empty where it is absent. Raises ControlError."""
    value = arguments.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, "a list of texts")
    return [str(item) for item in value]


def _wrong(name: str, expected: str) -> ControlError:
    return ControlError(f"the argument {name!r} is missing or not {expected}", bad_input=True)
