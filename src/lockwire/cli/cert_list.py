"""`lockwire cert list`, `show`, `expiring`: what this authority issued."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from lockwire.cli.answers import Answer, answer_of, answers_of
from lockwire.cli.cert import app
from lockwire.cli.file_options import JsonOption, print_json
from lockwire.cli.options import DataOption, locate
from lockwire.cli.reach import ask
from lockwire.cli.table import print_table
from lockwire.pki.authority.profiles import PROFILES
from lockwire.pki.toolkit.content import parse_content
from lockwire.pki.toolkit.inspect import inspect

_COLUMNS: Final = ("name", "profile", "until", "days", "state", "serial", "by")


@app.command("list", epilog="Example: lockwire cert list --profile client")
def list_(
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Only those of this profile.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also what is replaced or ended, and the authority's own.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List what was issued: for whom, until when, whether it is still valid, who asked for it."""
    found = answers_of(ask(locate(data), "cert.list"))
    shown = [
        one
        for one in found
        if (profile is None or one.text("profile") == profile)
        and (every or (one.text("state") in ("valid", "revoked") and one.text("profile") in PROFILES))
    ]
    _print(shown, as_json)


@app.command(epilog="Example: lockwire cert expiring --days 60")
def expiring(
    days: Annotated[int, typer.Option(metavar="N", min=0, help="How soon is soon.")] = 30,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List what ends soon and was not followed by another one, the authority's own certificates included."""
    found = answers_of(ask(locate(data), "cert.list"))
    soon = [
        one for one in _latest(found) if one.text("state") != "revoked" and one.number("days_left") < days
    ]
    soon.sort(key=lambda one: one.text("until"))
    if not soon and not as_json:
        print(f"Nothing ends within {days} days.")
    else:
        _print(soon, as_json)


@app.command(epilog="Example: lockwire cert show pump-7")
def show(
    reference: Annotated[str, typer.Argument(metavar="NAME|SERIAL", help="A name or a serial number.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show one certificate: what the ledger says of it, and what is in it."""
    answer = answer_of(ask(locate(data), "cert.show", reference=reference))
    if as_json:
        print_json(answer.values)
        return
    by = f" by {answer.text('by')}" if answer.text("by") else ""
    print(f"{answer.text('name')} ({answer.text('profile')}): {answer.text('state')}")
    print(f"   {'issued':<12} {_minute(answer.text('issued'))}{by}")
    if answer.text("state") == "revoked":
        revoked_by = f" by {answer.text('revoked_by')}" if answer.text("revoked_by") else ""
        print(f"   {'revoked':<12} {_minute(answer.text('revoked'))}{revoked_by}: {answer.text('reason')}")
    certificate = answer.text("certificate")
    if not certificate:
        print(f"   {'serial':<12} {answer.text('serial')}")
        print(f"   {'until':<12} {answer.text('until')[:10]}")
        return
    content = parse_content(certificate.encode("ascii"), Path("ledger"))
    for report in inspect(content, datetime.datetime.now(datetime.UTC)):
        for label, text in report.lines:
            print(f"   {label:<12} {text}")


def _latest(found: Iterable[Answer]) -> list[Answer]:
    """The last certificate of each name and profile."""
    latest: dict[tuple[str, str], Answer] = {}
    for one in found:
        latest[one.text("profile"), one.text("name")] = one
    return list(latest.values())


def _print(found: list[Answer], as_json: bool) -> None:
    if as_json:
        print_json([one.values for one in found])
        return
    print_table(_COLUMNS, [_row(one) for one in found])


def _row(one: Answer) -> list[str]:
    state = one.text("state")
    if state == "revoked":
        state = f"revoked ({one.text('reason')})"
    return [
        one.text("name"),
        one.text("profile"),
        one.text("until")[:10],
        str(one.number("days_left")),
        state,
        one.text("serial"),
        one.text("by"),
    ]


def _minute(time: str) -> str:
    return f"{datetime.datetime.fromisoformat(time):%Y-%m-%d %H:%M} UTC"
