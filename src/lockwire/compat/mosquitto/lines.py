"""The lines of one of Mosquitto's files, and everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lockwire.access.errors import AccessError

SHOWN = 20
"""Problems that one error lists; it says how many more there are."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line (0: with the file). expected: what should stand there, or be done."""

    file: str
    line: int
    problem: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.problem}; {self.expected}"


class MosquittoFileError(AccessError):
    """Files that cannot be taken over as they are; nothing was changed. problems: all of them, in order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        shown = [str(problem) for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            shown.append(f"and {len(self.problems) - SHOWN} more like these")
        super().__init__("\n".join(shown))


class Source:
    """A file's text and what is wrong with it.

    name: as the user gave it. data: its content; what is not UTF-8 is a problem, and read as far as it is.
    """

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self._data = data

    def lines(self) -> Iterator[tuple[int, str]]:
        """Number and text of each line that is neither empty nor a remark; white space at its end is gone."""
        for number, raw in enumerate(self._data.split(b"\n"), 1):
            try:
                text = raw.decode("utf-8").rstrip()
            except UnicodeDecodeError as error:
                self.wrong(number, f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8")
                continue
            if number == 1:
                text = text.removeprefix("\ufeff")
            if "\0" in text:
                self.wrong(number, "a zero character", "a text file")
            elif text and not text.startswith("#"):
                yield number, text

    def wrong(self, line: int, problem: str, expected: str) -> None:
        """Notes a problem."""
        self.problems.append(Problem(self.name, line, problem, expected))
