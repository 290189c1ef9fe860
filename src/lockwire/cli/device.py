"""`lockwire device`: what devices need to connect."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from lockwire.cli.failures import CommandError
from lockwire.cli.options import DataOption, group, locate
from lockwire.cli.reach import ask
from lockwire.household import Credentials
from lockwire.pki.files import make_private_folder, write_private, write_public
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
    _check_free(folder, name)
    credentials = Credentials.from_answer(ask(locate(data), "device.add", name=name, replace=replace))
    _write(folder, name, credentials)
    files = [shlex.quote(os.fspath(folder / file)) for file in _files(name)]
    print(
        f"Wrote {', '.join(files[:-1])} and {files[-1]}. The certificate is valid until {credentials.until}."
    )


def _files(name: str) -> tuple[str, str, str]:
    return "ca.pem", f"{name}.pem", f"{name}.key"


def _check_free(folder: Path, name: str) -> None:
    """Before anything is issued: the files can be written, and none of them is there."""
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is not a folder", "Give another one with --out")
    for file in _files(name):
        if (folder / file).exists():
            raise CommandError(f"{folder / file} exists already", "Give another folder with --out")
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise CommandError(f"{parent} cannot be written", "Give another folder with --out")


def _write(folder: Path, name: str, credentials: Credentials) -> None:
    """All the files or none: a new folder appears with everything in it."""
    new = not folder.exists()
    target = folder.absolute()
    if new:
        target.parent.mkdir(parents=True, exist_ok=True)
        target = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
        make_private_folder(target)
    ca, certificate, key = (target / file for file in _files(name))
    try:
        write_private(key, credentials.key)
        write_public(certificate, credentials.chain)
        write_public(ca, credentials.ca)
        if new:
            target.replace(folder)
    except BaseException:
        for file in (ca, certificate, key):
            file.unlink(missing_ok=True)
        if new:
            shutil.rmtree(target, ignore_errors=True)
        raise
