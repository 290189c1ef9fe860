"""What goes wrong with users, rules, names, tokens and SCRAM."""

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


class NamingError(AccessError):
    """A certificate or a token that gives no name by which a client could be known; the message says why."""


class TokenError(AccessError):
    """A token that is not accepted. The message never holds the token.

    forged: its signature is not that of a key that the broker knows, or it is no token at all.
    unavailable: it could not be judged, since the keys cannot be read.
    """

    def __init__(self, detail: str, *, forged: bool = False, unavailable: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.forged = forged
        self.unavailable = unavailable


class KeySetError(AccessError):
    """Keys for tokens that cannot be read; the message says where, what is wrong and what to do."""
