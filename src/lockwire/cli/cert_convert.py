"""`lockwire cert convert`: certificates and keys in the form that a device or a program takes."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from lockwire.cli.cert import app
from lockwire.cli.failures import CommandError
from lockwire.cli.file_options import (
    FileArgument,
    ForceOption,
    PasswordFileOption,
    asking,
    bad_input,
    check_free,
    read_password,
    write,
)
from lockwire.pki.toolkit.content import read_content
from lockwire.pki.toolkit.convert import Converted, Target, Wish
from lockwire.pki.toolkit.convert import convert as convert_content


@app.command(epilog="Example: lockwire cert convert ca.pem --to der --out ca.der")
def convert(
    file: FileArgument,
    to: Annotated[str, typer.Option(metavar="FORM", help=f"One of {', '.join(get_args(Target))}.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="The new file. Without it, text without a key is printed.",
        ),
    ] = None,
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--with", metavar="FILE", show_default=False, help="More that belongs to it: key, issuers."
        ),
    ] = None,
    item: Annotated[
        int | None,
        typer.Option(
            metavar="N", show_default=False, help="Only this thing of FILE, as inspect counts them."
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            metavar="NAME", show_default=False, help="The variable's name, or the alias in PKCS#12."
        ),
    ] = "",
    password_file: PasswordFileOption = None,
    new_password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Encrypt keys with the first line of this file."
        ),
    ] = None,
    der: Annotated[
        bool, typer.Option("--der", help="With pkcs1, pkcs8 and sec1: as DER instead of PEM.")
    ] = False,
    force: ForceOption = False,
) -> None:
    """Write certificates and keys in another form; a file with a private key is for its owner only (0600)."""
    if to not in get_args(Target):
        raise CommandError(f"--to {to}: no such form", f"Use one of {', '.join(get_args(Target))}.")
    if out is not None:
        check_free(out, force)
    target = cast("Target", to)
    password = None if new_password_file is None else read_password(new_password_file)
    with bad_input():
        ask = asking(password_file)
        content = read_content(file, ask)
        more = [read_content(other, ask) for other in others or ()]
        has_key = any(each.keys for each in (content, *more))
        if target == "p12" and password is None and has_key:
            password = _new_password()
        result = convert_content(content, Wish(target, more, item, password, der, name))
    if out is None:
        _print(result)
    else:
        write(out, result.data, result.private)
        mode = ", readable by its owner only" if result.private else ""
        print(f"Wrote {out}: {result.what} ({len(result.data)} bytes{mode}).")


def _new_password() -> bytes | None:
    """A new password from the terminal, None where there is no terminal."""
    if not sys.stdin.isatty():
        return None
    first = getpass.getpass("New password: ")
    if not first:
        raise CommandError("The new password is empty")
    if getpass.getpass("Again: ") != first:
        raise CommandError("The two passwords differ")
    return first.encode()


def _print(result: Converted) -> None:
    if result.private:
        raise CommandError("A private key is not printed", "Give a file for it with --out.")
    if not result.text:
        raise CommandError("This form is binary and is not printed", "Give a file for it with --out.")
    print(result.data.decode(), end="")
