"""Many certificates from one table: a CSV file (RFC 4180), a line for each, read and checked whole.

    name,profile,san,days,csr
    pump-7,client,,,
    gate,server,gate.local 192.0.2.9,397,
    valve,client,,,csr/valve.csr

Only `name` must be there. `san` holds several names with spaces, | or ; between them; `csr` a file, seen from
the folder of the table. Spreadsheets that write ; between columns are understood.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization

from lockwire.pki.authority.profiles import CLIENT
from lockwire.pki.authority.requests import (
    Request,
    make_request,
    profile_named,
    read_signing_request,
    request_for,
)
from lockwire.pki.errors import MalformedFileError, MissingFileError, PkiError, RequestError
from lockwire.pki.toolkit.content import read_content

COLUMNS: Final = ("name", "profile", "san", "days", "csr")
MAXIMUM_ROWS: Final = 100_000
_LONGEST_DAYS: Final = 9
_BETWEEN: Final = re.compile(r"[\s|;]+")


@dataclass(frozen=True, slots=True)
class Row:
    """One certificate that is wanted, as its line says.

    csr: PEM, empty where a key is to be made.
    """

    line: int
    name: str
    profile: str
    alternative: tuple[str, ...]
    days: int | None
    csr: str


def read_table(file: Path) -> list[Row]:
    """Every row of a table, each checked as far as it can be without the authority.

    Raises MalformedFileError with the line and the column of the first that is wrong; MissingFileError.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise MissingFileError(
            f"This file cannot be read ({error.strerror})", "Check its name and its rights.", file
        ) from error
    except UnicodeDecodeError as error:
        raise MalformedFileError("This file is not in UTF-8", "Save it as CSV in UTF-8.", file) from error
    lines = _lines(text, file)
    header_line, header = next(lines, (1, []))
    columns = _columns(header, file, header_line)
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for line, cells in lines:
        row = _row(cells, columns, file, line)
        with _at(file, line, "name"):
            if row.name in seen:
                raise RequestError(f"{row.name!r} stands in line {seen[row.name]} too", "Give it once.")
        seen[row.name] = line
        rows.append(row)
        if len(rows) > MAXIMUM_ROWS:
            raise MalformedFileError(f"There are more than {MAXIMUM_ROWS} rows", "Split the table.", file)
    if not rows:
        raise MalformedFileError("There is no row below the line that names the columns", "Add some.", file)
    return rows


def request_of(row: Row, taken: Iterable[str] = ()) -> Request:
    """What a row asks for. Raises InvalidNameError, RequestError, WeakKeyError, MalformedFileError.

    taken: names of others, in lower case, which a signing request may not ask for.
    """
    profile = profile_named(row.profile)
    if not row.csr:
        return make_request(row.name, profile, row.alternative, days=row.days)
    asked = read_signing_request(row.csr.encode("ascii"))
    return request_for(asked, profile, row.name, row.alternative, row.days, taken=frozenset(taken))


def wrong(file: Path, line: int, column: str, problem: str, remedy: str) -> MalformedFileError:
    """The error for one value of a table."""
    return MalformedFileError(f"column {column}: {problem}", remedy, file, line)


def _lines(text: str, file: Path) -> Iterator[tuple[int, list[str]]]:
    """Each line that is not empty, with its number, which for quoted line ends is the last one."""
    first = text.partition("\n")[0]
    delimiter = ";" if ";" in first and "," not in first else ","
    # Not splitlines: it would end a row at characters that end none in CSV.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise MalformedFileError(
                f"This line is no CSV ({error})",
                'Put values with commas, quotes or line ends between ", and write "" for a quote in them.',
                file,
                reader.line_num,
            ) from error
        if any(map(str.strip, cells)):
            yield reader.line_num, cells


def _columns(header: list[str], file: Path, line: int) -> list[str]:
    columns = [cell.strip().lower() for cell in header]
    if "name" not in columns or not set(columns) <= set(COLUMNS) or len(set(columns)) < len(columns):
        raise MalformedFileError(
            f"The first line should name the columns; it is {','.join(header)!r}",
            f"There must be name; {', '.join(COLUMNS[1:])} may be there.",
            file,
            line,
        )
    return columns


def _row(cells: list[str], columns: list[str], file: Path, line: int) -> Row:
    if len(cells) > len(columns):
        raise wrong(
            file,
            line,
            columns[-1],
            f"there are {len(cells)} values for {len(columns)} columns",
            'Put values with commas between ".',
        )
    values = dict.fromkeys(COLUMNS, "") | dict(zip(columns, map(str.strip, cells), strict=False))
    with _at(file, line, "days"):
        if values["days"] and not (values["days"].isdecimal() and len(values["days"]) <= _LONGEST_DAYS):
            raise RequestError(f"{values['days']!r} is no whole number", "Write it as 397.")
    with _at(file, line, "csr"):
        request = _signing_request(file.parent / values["csr"]) if values["csr"] else ""
    row = Row(
        line,
        values["name"],
        values["profile"].lower() or CLIENT.name,
        tuple(filter(None, _BETWEEN.split(values["san"]))),
        int(values["days"]) if values["days"] else None,
        request,
    )
    _check(row, file)
    return row


def _check(row: Row, file: Path) -> None:
    """Column by column, so that the error names the one that is wrong."""
    with _at(file, row.line, "profile"):
        profile = profile_named(row.profile)
    with _at(file, row.line, "name"):
        make_request(row.name, CLIENT)
    with _at(file, row.line, "days"):
        make_request(row.name, CLIENT, days=row.days)
    with _at(file, row.line, "san"):
        make_request(row.name, profile, row.alternative)
    with _at(file, row.line, "csr"):
        request_of(row)


def _signing_request(path: Path) -> str:
    requests = read_content(path).requests
    if len(requests) != 1:
        raise RequestError(f"{path} holds {len(requests)} signing requests", "Name a file with one.")
    return requests[0].public_bytes(serialization.Encoding.PEM).decode("ascii")


@contextlib.contextmanager
def _at(file: Path, line: int, column: str) -> Iterator[None]:
    try:
        yield
    except PkiError as error:
        where = "" if error.file is None else f"{error.file}: "
        raise wrong(file, line, column, f"{where}{error.problem}", error.remedy) from error
