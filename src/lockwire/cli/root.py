"""The command `lockwire` itself, with its groups."""

from __future__ import annotations

import platform
import ssl
from typing import Annotated

import typer

from lockwire import is_compiled
from lockwire.cli import (
    access,
    access_learn,
    access_mosquitto,
    access_rabbitmq,
    broker,
    ca,
    ca_rollover,
    cert,
    cert_bulk,
    cert_chain,
    cert_check,
    cert_convert,
    cert_files,
    cert_issue,
    cert_list,
    cert_revoke,
    check,
    device,
    psk,
    status,
    up,
    user,
)
from lockwire.cli.options import CONTEXT, DataOption
from lockwire.version import VERSION

# Modules that add commands to a group are imported for that alone.
__all__ = [
    "access_learn",
    "access_mosquitto",
    "access_rabbitmq",
    "app",
    "ca_rollover",
    "cert_bulk",
    "cert_chain",
    "cert_check",
    "cert_convert",
    "cert_files",
    "cert_issue",
    "cert_list",
    "cert_revoke",
]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    context_settings=CONTEXT,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(epilog="Example: lockwire up --data /var/lib/lockwire")(up.up)
app.command(epilog="Example: lockwire broker -p 1884")(broker.broker)
app.command(epilog="Example: lockwire check --config lockwire.toml")(check.check)
app.add_typer(device.app, name="device", epilog="Example: lockwire device add pump-7 --out kits/pump-7")
app.add_typer(ca.app, name="ca", epilog="Example: lockwire ca show")
app.add_typer(cert.app, name="cert", epilog="Example: lockwire cert inspect server.pem")
app.command(epilog="Example: lockwire status --json")(status.status)
app.command(epilog="Example: lockwire reload --data /var/lib/lockwire")(status.reload)
app.add_typer(user.app, name="user", epilog="Example: lockwire user passwd admin")
app.add_typer(access.app, name="access", epilog="Example: lockwire access rules")
app.add_typer(psk.app, name="psk", epilog="Example: lockwire psk add meter-3")


def _print_version(value: bool) -> None:
    if value:
        how = "compiled" if is_compiled() else "interpreted"
        print(f"lockwire {VERSION} ({how}), Python {platform.python_version()}, {ssl.OPENSSL_VERSION}")
        raise typer.Exit


@app.callback(epilog="Example: lockwire up")
def root(
    data: DataOption = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print versions, and whether the hot modules are compiled.",
        ),
    ] = False,
) -> None:
    """MQTT over TLS made practical: a broker, its certificate authority, identities and permissions."""
