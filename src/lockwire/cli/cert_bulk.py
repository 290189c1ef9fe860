"""`lockwire cert bulk`: many certificates from one table."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from lockwire.cli.answers import Answer, answer_of
from lockwire.cli.cert import app
from lockwire.cli.cert_issue import ChainOption
from lockwire.cli.failures import CommandError
from lockwire.cli.file_options import bad_input
from lockwire.cli.kit import Kit, check_free, with_new_folder
from lockwire.cli.options import DataOption, locate
from lockwire.cli.reach import ask
from lockwire.data import DataFolder
from lockwire.pki.authority.bulk import Row, read_table, wrong

BATCH: Final = 25
"""Rows of one request: the bar moves, others wait little, and a slow machine's RSA keys are made in time."""


@app.command(epilog="Example: lockwire cert bulk devices.csv --out kits")
def bulk(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A table (CSV). Columns: name, and profile, san, days, csr where wanted."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="A new folder; each name gets a folder of its own in it."),
    ],
    chain: ChainOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="The names may have certificates already.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Issue a certificate for every row of a table: for all of them, or for none where a row is wrong."""
    with bad_input():
        rows = read_table(file)
    if out.exists():
        raise CommandError(f"{out} exists already", "Give a new folder with --out.")
    check_free(out, [])
    folder = locate(data)
    with _progress(len(rows)) as advance:
        for start, batch in _batches(rows):
            answer = ask(folder, "cert.check_rows", rows=[_argument(row) for row in batch], replace=replace)
            if answer is not None:
                _refuse(file, rows, start, answer_of(answer))
        kits = []
        for _, batch in _batches(rows):
            kits.extend(_issue(folder, batch, chain, replace))
            advance(len(batch))
    with_new_folder(out, [(kit.name, kit) for kit in kits])
    print(f"Wrote {len(kits)} certificates, each in its folder in {out}.")


def _issue(folder: DataFolder, batch: list[Row], chain: str | None, replace: bool) -> list[Kit]:
    rows = [_argument(row) for row in batch]
    answer = answer_of(ask(folder, "cert.issue_rows", rows=rows, chain=chain, replace=replace))
    return [
        Kit(row.name, one.text("chain"), one.text("key"), one.text("ca"))
        for row, one in zip(batch, answer.objects("certificates"), strict=True)
    ]


def _refuse(file: Path, rows: list[Row], start: int, answer: Answer) -> None:
    row = rows[start + answer.number("place")]
    with bad_input():
        raise wrong(file, row.line, answer.text("column"), answer.text("problem"), answer.text("remedy"))


def _batches(rows: list[Row]) -> Iterator[tuple[int, list[Row]]]:
    for start in range(0, len(rows), BATCH):
        yield start, rows[start : start + BATCH]


def _argument(row: Row) -> dict[str, object]:
    return {
        "line": row.line,
        "name": row.name,
        "profile": row.profile,
        "san": list(row.alternative),
        "days": row.days,
        "csr": row.csr,
    }


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere; gives what moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("Issuing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("Issuing", total=total)
        yield lambda count: progress.advance(task, count)
