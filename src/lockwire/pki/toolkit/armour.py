"""PEM (RFC 7468) as it is found in the field: with text around it, in a program's source, from Windows."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

BEGIN: Final = "-----BEGIN "
_BEGIN_LINE: Final = re.compile(r"-----BEGIN ([A-Z0-9 .#]+?)-----")
_HEADER: Final = re.compile(r"([A-Za-z-]+): *(.*)")
_IN_SOURCE: Final = re.compile(r"""["'(]\s*-----BEGIN """)
_QUOTED: Final = re.compile(r"""["'](.*)["']""")
_BASE64_LINE: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")


class ArmourError(ValueError):
    """A block that is no PEM; `line` is where."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True, slots=True)
class Block:
    """One block: the label, the line of its BEGIN, its headers (RFC 1421), the bytes inside."""

    label: str
    line: int
    headers: dict[str, str]
    der: bytes

    @property
    def pem(self) -> str:
        """The block as PEM again, tidy."""
        headers = "".join(f"{name}: {value}\n" for name, value in self.headers.items())
        body = base64.encodebytes(self.der).decode()
        return (
            f"-----BEGIN {self.label}-----\n{headers}{headers and chr(10)}{body}-----END {self.label}-----\n"
        )


def as_text(data: bytes) -> str | None:
    """The file as text, None where it is binary. UTF-16 as Windows writes it is read as well."""
    try:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16")
        if b"\0" in data.rstrip(b"\0"):
            return None
        return data.rstrip(b"\0").decode("utf-8-sig")
    except UnicodeDecodeError:
        # Comments in another encoding do not matter to the blocks between them.
        return data.decode("latin-1") if BEGIN.encode() in data else None


def is_source(text: str) -> bool:
    """Whether the blocks are strings in the source of a program."""
    return _IN_SOURCE.search(text) is not None


def bare_base64(text: str) -> bytes | None:
    """What base64 without BEGIN and END lines stands for, None where it is something else."""
    compact = "".join(text.split())
    if len(compact) < 64 or not _BASE64_LINE.fullmatch(compact):
        return None
    try:
        return base64.b64decode(compact, validate=True)
    except binascii.Error:
        return None


def blocks(text: str) -> Iterator[Block]:
    """Every block in turn. Raises ArmourError at the first that is broken."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        begin = _BEGIN_LINE.search(lines[number])
        number += 1
        if begin is None:
            if BEGIN in lines[number - 1]:
                raise ArmourError("This line should read -----BEGIN NAME-----; it is damaged", number)
            continue
        end = _end_of(lines, number, begin[1])
        inside = [_bare(line) for line in lines[number:end]]
        yield _block(begin[1], number, inside)
        number = end + 1


def _end_of(lines: list[str], start: int, label: str) -> int:
    for number in range(start, len(lines)):
        if f"-----END {label}-----" in lines[number]:
            return number
        if BEGIN in lines[number]:
            break
    raise ArmourError(
        f"The block {label} that begins here has no line -----END {label}-----; it is cut off", start
    )


def _bare(line: str) -> str:
    """A line without what a string in C, Python or JavaScript puts around it."""
    quoted = _QUOTED.search(line)
    return (line if quoted is None else quoted[1]).replace("\\n", "").replace("\\r", "").strip(" \t\\")


def _block(label: str, line: int, inside: list[str]) -> Block:
    headers: dict[str, str] = {}
    body: list[str] = []
    for offset, text in enumerate(inside, 1):
        header = _HEADER.fullmatch(text)
        if header and not body:
            headers[header[1]] = header[2]
        elif not _BASE64_LINE.fullmatch(text):
            raise ArmourError(f"This line in the block {label} is no base64", line + offset)
        else:
            body.append(text)
    try:
        der = base64.b64decode("".join(body), validate=True)
    except binascii.Error as error:
        raise ArmourError(
            f"The block {label} that begins here is no base64; a part of it is missing", line
        ) from error
    if not der:
        raise ArmourError(f"The block {label} that begins here is empty", line)
    return Block(label, line, headers, der)
