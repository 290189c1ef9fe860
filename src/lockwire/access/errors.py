"""What goes wrong with the files of users and rules, and with SCRAM."""

from __future__ import annotations

from pathlib import Path


class AccessError(Exception):
    """The base of them all."""


class AccessFileError(AccessError):
    """A file of users or rules that does not say what it should; it is never overwritten.

    file, line: where (line 0: the file as a whole). expected: what should stand there.
    """

    def __init__(self, file: Path, line: int, problem: str, expected: str) -> None:
        where = f"{file}:{line}" if line else str(file)
        super().__init__(f"{where}: {problem}; expected {expected}")
        self.file = file
        self.line = line
        self.problem = problem
        self.expected = expected


class RuleError(AccessError):
    """A rule, or a permission, that cannot be one.

    problem: what is wrong. expected: what should stand there.
    """

    def __init__(self, problem: str, expected: str) -> None:
        super().__init__(f"{problem}; expected {expected}")
        self.problem = problem
        self.expected = expected


class UserError(AccessError):
    """A user that cannot be added or changed as asked; the message says why and what to do."""


class PasswordHashError(AccessError):
    """A stored password hash of a form that Lockwire does not know."""


class ScramError(AccessError):
    """A SCRAM exchange that failed.

    reason: a server-error-value of RFC 5802 section 7, such as "invalid-proof".
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
