"""`lockwire broker`: exactly the listeners of a configuration file, or plain MQTT on loopback for trying."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from lockwire.cli.failures import BAD_CONFIGURATION, CommandError, explain
from lockwire.cli.listening import print_listeners
from lockwire.cli.logging_options import LogFormatOption, LogLevelOption, with_log
from lockwire.cli.options import DataOption, locate
from lockwire.cli.tls_names import check_tls_names
from lockwire.config import Settings, SettingsError, load
from lockwire.tls.errors import TlsFileError, TlsPolicyError


def broker(
    context: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", "-p", metavar="N", min=0, max=65535, help="Port of plain MQTT. Default: 1883."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The configuration, as lockwire.toml.")
    ] = None,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = None,
    data: DataOption = None,
) -> None:
    """Serve plain MQTT on loopback to anybody, for trying; or exactly what a configuration says.

    With --data the folder's users, rules and control socket are used; without it no folder is, whatever
    LOCKWIRE_DATA says.
    Exit status 3: the configuration cannot be used.
    """
    from lockwire.app import run
    from lockwire.household import Household

    if config is not None and port is not None:
        raise CommandError("--port and --config exclude each other", "Write the port into the configuration")
    try:
        read = _reader(port, config)

        def reread() -> Settings:
            return with_log(read(), log_format, log_level)

        settings = reread()
        with contextlib.ExitStack() as stack:
            household = None
            if data is not None:
                folder = locate(data)
                folder.require()
                stack.enter_context(folder.lock())
                household = Household.open(folder)
            else:
                _check_needs_no_folder(settings)
            run(settings, lambda status: _greet(config, status), household=household, load=reread)
    except (SettingsError, TlsPolicyError, TlsFileError) as error:
        failure = explain(error)
        assert failure is not None
        raise CommandError(failure.message, failure.remedy, BAD_CONFIGURATION) from error


def _reader(port: int | None, config: Path | None) -> Callable[[], Settings]:
    if config is None:
        return lambda: Settings.for_trying(1883 if port is None else port)
    return lambda: load(config, check=check_tls_names)


def _check_needs_no_folder(settings: Settings) -> None:
    for listener in settings.listeners:
        for method in ("password", "scram"):
            if method in listener.authentication:
                raise CommandError(
                    f"listener {listener.name} asks for {method}, and there is no folder with users",
                    "Name one that lockwire up has filled with --data",
                    BAD_CONFIGURATION,
                )


def _greet(config: Path | None, status: dict[str, object]) -> None:
    print_listeners(status)
    if config is None:
        print("No configuration: plain MQTT for programs of this machine, no passwords, nothing encrypted.")
        print("For trying and benchmarks. For a broker with TLS and identities: lockwire up", flush=True)
