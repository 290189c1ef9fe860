"""Answers of operations, read field by field: a broker of another version may answer something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from lockwire.control import ControlError


@dataclass(frozen=True, slots=True)
class Answer:
    """One object of an answer. Every reading raises ControlError where the field is something else."""

    values: dict[str, Any]

    def text(self, name: str) -> str:
        value = self.values.get(name)
        return value if isinstance(value, str) else _not_understood()

    def optional_text(self, name: str) -> str:
        """As `text`, "" where there is none."""
        return "" if self.values.get(name) is None else self.text(name)

    def number(self, name: str) -> int:
        value = self.values.get(name)
        return value if isinstance(value, int) else _not_understood()

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        return value if isinstance(value, bool) else _not_understood()

    def texts(self, name: str) -> list[str]:
        value = self.values.get(name)
        return [str(one) for one in value] if isinstance(value, list) else _not_understood()

    def object(self, name: str) -> Answer:
        return answer_of(self.values.get(name))

    def optional(self, name: str) -> Answer | None:
        """As `object`, None where there is none."""
        return None if self.values.get(name) is None else self.object(name)

    def objects(self, name: str) -> list[Answer]:
        return answers_of(self.values.get(name))


def answer_of(value: object) -> Answer:
    """An answer that is an object. Raises ControlError."""
    return Answer(value) if isinstance(value, dict) else _not_understood()


def answers_of(value: object) -> list[Answer]:
    """An answer that is a list of objects. Raises ControlError."""
    return [answer_of(one) for one in value] if isinstance(value, list) else _not_understood()


def _not_understood() -> NoReturn:
    raise ControlError("the broker's answer is not understood", "Are broker and command the same version?")
