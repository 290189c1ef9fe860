"""`lockwire psk`: pre-shared keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lockwire.cli.options import DataOption, group, locate
from lockwire.cli.reach import ask
from lockwire.cli.secret_input import read_secret
from lockwire.cli.table import print_table
from lockwire.cli.user import removed_text

app = group("Pre-shared keys, for devices that cannot do certificates.")

IdentityArgument = Annotated[
    str,
    typer.Argument(metavar="IDENTITY", help="What the device calls itself (RFC 4279).", show_default=False),
]


@app.command(epilog="Example: lockwire psk add meter-3")
def add(
    identity: IdentityArgument,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Take the key, in hexadecimal, from a file; -: standard input.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
) -> None:
    """Add a pre-shared key. It is generated and printed this once, unless one is given.

    The broker needs the key itself, not a hash of it, and keeps it in the data folder.
    """
    key = None if key_file is None else read_secret(key_file, "the key in hexadecimal")
    answer = ask(locate(data), "psk.add", identity=identity, key=key)
    assert isinstance(answer, dict)
    if answer["key"] is None:
        print(f"Added PSK identity {identity}.")
    else:
        print(f"Added PSK identity {identity}, key {answer['key']}\nIt is shown only now.")


@app.command("list", epilog="Example: lockwire psk list")
def list_keys(data: DataOption = None) -> None:
    """List the identities that have a pre-shared key."""
    keys = ask(locate(data), "psk.list")
    assert isinstance(keys, list)
    print_table(("identity", "key"), [(key["identity"], f"{key['bytes']} bytes") for key in keys])


@app.command(epilog="Example: lockwire psk delete meter-3")
def delete(identity: IdentityArgument, data: DataOption = None) -> None:
    """Delete a pre-shared key with the rules of its identity; its connections and sessions end at once."""
    answer = ask(locate(data), "psk.delete", identity=identity)
    assert isinstance(answer, dict)
    print(f"Deleted PSK identity {identity}{removed_text(answer)}.")
