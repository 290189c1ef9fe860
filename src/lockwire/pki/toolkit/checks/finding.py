"""What a check finds: how bad it is, what it is about, what to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Weight(enum.IntEnum):
    """How bad a finding is; the heaviest first."""

    WRONG = 0
    """Connections will fail, or must not be trusted."""
    RISK = 1
    """Some clients will fail, or it will go wrong later."""
    NOTE = 2
    """Nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    code: the same for the same cause, for programs, such as "expired".
    about: what it is about, such as "certificate 1 (pump-7)".
    text: what was found, without a full stop. remedy: what to do, a sentence.
    """

    weight: Weight
    code: str
    about: str
    text: str
    remedy: str


def wrong(code: str, about: str, text: str, remedy: str) -> Finding:
    """A finding that makes connections fail."""
    return Finding(Weight.WRONG, code, about, text, remedy)


def risk(code: str, about: str, text: str, remedy: str) -> Finding:
    """A finding that makes some fail, or will."""
    return Finding(Weight.RISK, code, about, text, remedy)


def note(code: str, about: str, text: str, remedy: str) -> Finding:
    """A finding to know."""
    return Finding(Weight.NOTE, code, about, text, remedy)
