"""`lockwire device`: what devices need to connect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lockwire.cli.kit import Kit, check_free, kit_files, write_kit, written
from lockwire.cli.options import DataOption, group, locate
from lockwire.cli.reach import ask
from lockwire.household import Credentials
from lockwire.pki.names import check_name

app = group("Devices: the certificates by which they connect.")


@app.command(epilog="Example: lockwire device add pump-7 --out kits/pump-7")
def add(
    name: Annotated[str, typer.Argument(help="The device's name: its common name and MQTT user name.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", show_default=False, help="Where its files go. Default: ./NAME."),
    ] = None,
    replace: Annotated[
        bool, typer.Option(help="Issue a new certificate for a device that has one already.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Issue a client certificate and write ca.pem, NAME.pem (with its chain) and NAME.key."""
    check_name(name)
    folder = Path(name) if out is None else out
    check_free(folder, kit_files(name))
    credentials = Credentials.from_answer(ask(locate(data), "device.add", name=name, replace=replace))
    answer = credentials.to_answer()
    write_kit(folder, Kit(name, answer["chain"], answer["key"], answer["ca"]))
    print(f"{written(folder, kit_files(name))} The certificate is valid until {credentials.until}.")
