"""Regular expressions as rules have them, parsed into a tree: the part of PCRE's syntax that is regular.

They are about bytes, as in RabbitMQ: a topic is its UTF-8. `.` is any byte and `$` the very end (PCRE leaves
line feeds out of the one and passes one before the other). What goes beyond regular languages (look-around,
back-references, possessive repetition) is refused with its position.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from lockwire.access.errors import RuleError

LONGEST: Final = 2048
"""Characters of an expression."""
LARGEST: Final = 2000
"""Bytes and choices of an expression, its repetitions written out."""
MOST_REPEATED: Final = 1000
DEEPEST: Final = 50

ALL: Final = (1 << 256) - 1
_DIGITS: Final = frozenset("0123456789")


class RegexpError(RuleError):
    """An expression that is wrong, too large, or more than regular; position: the character, from 0."""

    def __init__(self, pattern: str, position: int, problem: str, expected: str) -> None:
        super().__init__(f"regular expression {pattern!r}, character {position + 1}: {problem}", expected)
        self.position = position


@dataclass(frozen=True, slots=True)
class Bytes:
    """One byte out of a set: bit b stands for byte b."""

    members: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other; none: the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """From `least` to `most` times; None: without limit."""

    part: Node
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Start:
    """The beginning of the text."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of the text."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a placeholder stands for, letter by letter. fold: in upper and lower case."""

    name: str
    fold: bool = False


Node = Bytes | Sequence | Choice | Repeat | Start | End | Value


def byte_set(members: Collection[int]) -> int:
    """The bits of these bytes."""
    found = 0
    for member in members:
        found |= 1 << member
    return found


_DIGIT: Final = byte_set(range(0x30, 0x3A))
_UPPER: Final = byte_set(range(0x41, 0x5B))
_LOWER: Final = byte_set(range(0x61, 0x7B))
_WORD: Final = _DIGIT | _UPPER | _LOWER | 1 << 0x5F
_SPACE: Final = byte_set(b" \t\n\v\f\r")
_CLASSES: Final = {
    "d": _DIGIT,
    "D": ALL & ~_DIGIT,
    "w": _WORD,
    "W": ALL & ~_WORD,
    "s": _SPACE,
    "S": ALL & ~_SPACE,
}
_NAMED: Final = {
    "alnum": _DIGIT | _UPPER | _LOWER,
    "alpha": _UPPER | _LOWER,
    "digit": _DIGIT,
    "lower": _LOWER,
    "space": _SPACE,
    "upper": _UPPER,
    "word": _WORD,
    "xdigit": _DIGIT | byte_set(b"abcdefABCDEF"),
}
_CONTROLS: Final = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "e": 27, "a": 7}
_GROUPS: Final = {
    "=": "look-ahead",
    "!": "look-ahead",
    "<=": "look-behind",
    "<!": "look-behind",
    ">": "an atomic group",
    "(": "a condition",
    "#": "a comment",
    "P=": "a back-reference",
    "P>": "recursion",
    "R": "recursion",
    "&": "recursion",
}


def parse(pattern: str, placeholders: Collection[str] = ()) -> Node:
    """The tree of an expression; `{name}` is a Value where `placeholders` has the name.

    Raises RegexpError.
    """
    if len(pattern) > LONGEST:
        raise RegexpError(f"{pattern[:40]}...", LONGEST, "it is too long", f"{LONGEST} characters at most")
    for position, character in enumerate(pattern):
        if 0xD800 <= ord(character) <= 0xDFFF:
            raise RegexpError("?", position, "a byte that is no text", "text in UTF-8")
    tree = _Parser(pattern, placeholders).parse()
    if size(tree) > LARGEST:
        raise RegexpError(
            pattern, 0, "it is too large, with its repetitions written out", f"{LARGEST} bytes at most"
        )
    return tree


def size(node: Node) -> int:
    """How many bytes and choices an expression has, its repetitions written out."""
    if isinstance(node, Sequence):
        return sum(map(size, node.parts))
    if isinstance(node, Choice):
        return len(node.branches) + sum(map(size, node.branches))
    if isinstance(node, Repeat):
        times = node.least + 1 if node.most is None else max(1, node.most)
        return times * (1 + size(node.part))
    return 1


class _Parser:
    """Recursive descent over the characters."""

    def __init__(self, pattern: str, placeholders: Collection[str]) -> None:
        self.pattern = pattern
        self.placeholders = placeholders
        self.position = 0
        self.depth = 0
        self.fold = False

    def parse(self) -> Node:
        if self.pattern.startswith("(?i)"):
            self.fold = True
            self.position = 4
        tree = self.choice()
        if self.position < len(self.pattern):
            raise self.error("')' without '('", "as many of the one as of the other")
        return tree

    def choice(self) -> Node:
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.position < len(self.pattern) and self.pattern[self.position] not in "|)":
            place = self.pattern[self.position] in "^$"
            parts.append(self.repeated(self.atom(), place))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self, part: Node, place: bool) -> Node:
        at = self.position
        limits = self.quantifier()
        if limits is None:
            return part
        if place:
            raise self.error("nothing to repeat: '^' and '$' are places", "something before it", at)
        if self.take("+"):
            raise self.error("possessive repetition", "the same without the second '+'", self.position - 1)
        self.take("?")  # whether it is greedy makes no difference to what matches
        again = self.position
        if self.quantifier() is not None:
            raise self.error("a repetition of a repetition", "a group around the first: (...)", again)
        return Repeat(part, *limits)

    def quantifier(self) -> tuple[int, int | None] | None:
        if self.take("*"):
            return 0, None
        if self.take("+"):
            return 1, None
        if self.take("?"):
            return 0, 1
        return self.counted() if self.peek() == "{" else None

    def counted(self) -> tuple[int, int | None] | None:
        """`{2}`, `{2,}` or `{2,5}`; any other `{` is itself."""
        at = self.position
        closing = self.pattern.find("}", at)
        least, comma, most = self.pattern[at + 1 : max(closing, at + 1)].partition(",")
        if closing < 0 or not least or not _DIGITS.issuperset(least + most):
            return None
        low = int(least[:9])
        high = int(most[:9]) if most else None if comma else low
        if max(low, high or 0) > MOST_REPEATED:
            raise self.error("too many repetitions", f"{MOST_REPEATED} at most")
        if high is not None and high < low:
            raise self.error("the limits of a repetition are the wrong way round", "{least,most}")
        self.position = closing + 1
        return low, high

    def atom(self) -> Node:
        at = self.position
        character = self.pattern[at]
        self.position += 1
        if character == "(":
            return self.group(at)
        if character == "[":
            return Bytes(self.folded(self.bracketed(at)))
        if character == ".":
            return Bytes(ALL)
        if character == "^":
            return Start()
        if character == "$":
            return End()
        if character == "\\":
            return self.escape(at)
        if character in "*+?":
            raise self.error(f"nothing to repeat before {character!r}", "something before it, or \\ ", at)
        if character == "{":
            for name in self.placeholders:
                if self.pattern.startswith(name + "}", self.position):
                    self.position += len(name) + 1
                    return Value(name, self.fold)
            self.position = at
            if self.counted() is not None:
                raise self.error("nothing to repeat before '{'", "something before it, or \\{", at)
            self.position = at + 1
        return self.literal(character)

    def literal(self, character: str) -> Node:
        parts = tuple(Bytes(self.folded(1 << byte)) for byte in character.encode())
        return parts[0] if len(parts) == 1 else Sequence(parts)

    def folded(self, members: int) -> int:
        if not self.fold:
            return members
        return members | (members & _UPPER) << 32 | (members & _LOWER) >> 32

    def group(self, at: int) -> Node:
        if self.take("?"):
            self.group_kind(at)
        elif self.peek() == "*":
            raise self.error("a verb of PCRE, (*...)", "the expression without it", at)
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error("groups within groups, too deep", f"{DEEPEST} levels at most", at)
        inside = self.choice()
        self.depth -= 1
        if not self.take(")"):
            raise self.error("'(' without ')'", "as many of the one as of the other", at)
        return inside

    def group_kind(self, at: int) -> None:
        """Passes `?:` and the name of a group; refuses all that is more."""
        if self.take(":"):
            return
        for start, name in sorted(_GROUPS.items(), key=lambda item: -len(item[0])):
            if self.pattern.startswith(start, self.position):
                raise self.error(f"{name}, (?{start}...)", "an expression without it: it is not regular", at)
        if self.take("P<") or self.take("<") or self.take("'"):
            end = min(
                (found for mark in ">'" if (found := self.pattern.find(mark, self.position)) >= 0),
                default=-1,
            )
            if self.pattern[self.position : max(end, self.position)].isidentifier():
                self.position = end + 1
                return
        raise self.error("an unknown kind of group", "(...) or (?:...); (?i) at the very beginning", at)

    def escape(self, at: int) -> Node:
        character = self.escaped(at)
        if character == "A":
            return Start()
        if character in ("z", "Z"):
            return End()
        if not character.isascii():
            return self.literal(character)
        return Bytes(self.folded(self.escaped_set(character, at)))

    def escaped(self, at: int) -> str:
        if self.position >= len(self.pattern):
            raise self.error("'\\' at the end", "\\\\ for the character itself", at)
        self.position += 1
        return self.pattern[self.position - 1]

    def escaped_set(self, character: str, at: int) -> int:
        """The bytes that an escape stands for, inside brackets and outside."""
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _CONTROLS:
            return 1 << _CONTROLS[character]
        if character == "x":
            return 1 << self.hexadecimal(at)
        if character in _DIGITS:
            raise self.error("a back-reference", "an expression without it: it is not regular", at)
        if character in "bB":
            raise self.error("a word boundary", "an expression without it", at)
        if character.isalnum():
            raise self.error(f"an unknown escape, \\{character}", "the character without \\", at)
        return 1 << ord(character)

    def hexadecimal(self, at: int) -> int:
        if self.take("{"):
            end = self.pattern.find("}", self.position)
            digits = self.pattern[self.position : max(end, self.position)]
            self.position = end + 1
        else:
            digits = self.pattern[self.position : self.position + 2]
            self.position += 2
        try:
            value = int(digits, 16) if digits.isalnum() else 256
        except ValueError:
            value = 256
        if value > 255:
            raise self.error("\\x without the number of a byte", "\\x and two hexadecimal digits", at)
        return value

    def bracketed(self, at: int) -> int:
        """The bytes of a class, [...]."""
        inverted = self.take("^")
        members = 0
        first = True
        while first or not self.take("]"):
            first = False
            if self.position >= len(self.pattern):
                raise self.error("'[' without ']'", "']' at its end, or \\[", at)
            members |= self.member()
        return ALL & ~members if inverted else members

    def member(self) -> int:
        """One character of a class, a range, or a named class."""
        at = self.position
        if self.take("[:"):
            name, closing, _ = self.pattern[self.position :].partition(":]")
            if not closing or name not in _NAMED:
                raise self.error("an unknown class, [:...:]", ", ".join(sorted(_NAMED)), at)
            self.position += len(name) + 2
            return _NAMED[name]
        low = self.one()
        after = self.pattern[self.position : self.position + 2]
        if len(after) < 2 or after[0] != "-" or after[1] == "]":
            return low
        self.position += 1
        high = self.one()
        if low & (low - 1) or high & (high - 1) or high < low:
            raise self.error("a range that is none", "two characters, the lower one first, or \\-", at)
        return (high << 1) - low

    def one(self) -> int:
        at = self.position
        character = self.pattern[at]
        self.position += 1
        if character == "\\":
            character = self.escaped(at)
            if character == "b":
                return 1 << 8
            if character.isascii():
                return self.escaped_set(character, at)
        if not character.isascii():
            raise self.error(
                f"{character!r} in [...]: expressions are about bytes, and it has several",
                "alternatives, as in (ä|ö)",
                at,
            )
        return 1 << ord(character)

    def peek(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def take(self, text: str) -> bool:
        if self.pattern.startswith(text, self.position):
            self.position += len(text)
            return True
        return False

    def error(self, problem: str, expected: str, position: int | None = None) -> RegexpError:
        at = self.position if position is None else position
        return RegexpError(self.pattern, at, problem, expected)
