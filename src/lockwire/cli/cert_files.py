"""`lockwire cert inspect`: commands for any file with certificates or keys, ours or not."""

from __future__ import annotations

import datetime

from lockwire.cli.cert import app
from lockwire.cli.file_options import (
    FileArgument,
    JsonOption,
    PasswordFileOption,
    asking,
    bad_input,
    print_json,
)
from lockwire.pki.toolkit.content import Content, read_content
from lockwire.pki.toolkit.inspect import Report
from lockwire.pki.toolkit.inspect import inspect as reports_of


@app.command(epilog="Example: lockwire cert inspect server.crt")
def inspect(
    file: FileArgument,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a file holds, by its content: certificates, keys, requests, revocation lists."""
    with bad_input():
        content = read_content(file, asking(password_file))
    reports = reports_of(content, datetime.datetime.now(datetime.UTC))
    if as_json:
        print_json(_data(content, reports))
    else:
        _print(content, reports)


def _data(content: Content, reports: list[Report]) -> dict[str, object]:
    return {
        "file": str(content.path),
        "form": content.form,
        "size": content.size,
        "notes": list(content.notes),
        "items": [report.data for report in reports],
    }


def _print(content: Content, reports: list[Report]) -> None:
    count = f"{len(reports)} things" if len(reports) > 1 else "1 thing" if reports else "nothing"
    print(f"{content.path}: {content.form}, {content.size} bytes, {count} in it")
    for number, (item, report) in enumerate(zip(content.items, reports, strict=True), 1):
        where = f" (line {item.line})" if item.line else ""
        print(f"\n{number}. {report.title}{where}")
        for label, text in report.lines:
            print(f"   {label:<12} {text}")
    for note in content.notes:
        print(f"\nLeft out, {note}.")
