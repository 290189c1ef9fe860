"""`lockwire up`: from an empty folder to a broker with TLS, an authority and an administrator."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from lockwire import is_compiled
from lockwire.access.rights.rules import ALLOW, EVERYONE, RIGHTS
from lockwire.cli.failures import FAILED, CommandError
from lockwire.cli.listening import listeners_of, print_listeners
from lockwire.cli.logging_options import LogFormatOption, LogLevelOption, with_log
from lockwire.cli.options import DataOption, command_line, locate
from lockwire.cli.tls_names import check_tls_names
from lockwire.config import Settings, load
from lockwire.data import DataFolder
from lockwire.household import ADMINISTRATOR, Household
from lockwire.pki.certificate import alternative_names, common_name_of
from lockwire.version import VERSION

TLS_PORT: Final = 8883
WSS_PORT: Final = 9883


def up(
    data: DataOption = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The configuration. Default: lockwire.toml in the data folder, if any."
        ),
    ] = None,
    tls_port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=65535, help=f"Port for MQTT over TLS; 0: a free one. Default: {TLS_PORT}."
        ),
    ] = None,
    wss_port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=65535, help=f"Port for MQTT over WebSocket over TLS. Default: {WSS_PORT}."
        ),
    ] = None,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Start the broker with TLS, and first make what it needs: authority, certificate, administrator."""
    from lockwire.app import run, uses_own_certificate

    folder = locate(data)
    read = _reader(folder, config, tls_port, wss_port)

    def reread() -> Settings:
        return with_log(read(), log_format, log_level)

    settings = reread()
    folder.create()
    with folder.lock():
        print(f"Lockwire {VERSION} ({'compiled' if is_compiled() else 'interpreted'}), data in {folder.path}")
        made = "an administrator" if folder.initialised else "a certificate authority and an administrator"
        household, password = Household.prepare(folder)
        if password is not None:
            print(f"\nMade {made}:")
            print(f"  user {ADMINISTRATOR}, password {password}")
            print(
                "  It is shown only now;",
                command_line("user", "passwd", ADMINISTRATOR, data=data),
                "makes a new one.\n",
            )
        if uses_own_certificate(settings, folder):
            reason = household.ensure_server_certificate()
            if reason is not None:
                print(f"Issued the server's certificate: {reason}.", flush=True)

        def greet(status: dict[str, object]) -> None:
            print_listeners(status)
            _print_files(household, configuration_of(folder, config))
            _print_access(household, data)
            if uses_own_certificate(settings, folder):
                _print_first_client(household, status, data)
            print("\nCtrl-C stops the broker.", flush=True)

        run(settings, greet, household=household, load=reread)


def configuration_of(folder: DataFolder, given: Path | None) -> Path | None:
    """The configuration that counts: the one given, else the data folder's, None where there is none."""
    try:
        if given is None and folder.configuration.exists():
            return folder.configuration
    except PermissionError as error:
        raise CommandError(
            f"{folder.path} cannot be read: {error.strerror}",
            "Run as the user that it belongs to, or choose another folder with --data",
            FAILED,
        ) from error
    return given


def _reader(
    folder: DataFolder, config: Path | None, tls_port: int | None, wss_port: int | None
) -> Callable[[], Settings]:
    ports = TLS_PORT if tls_port is None else tls_port, WSS_PORT if wss_port is None else wss_port

    def read() -> Settings:
        base = Settings.for_up(folder.path, *ports)
        file = configuration_of(folder, config)
        if file is None:
            return base
        settings = load(file, base, check_tls_names)
        given = "--tls-port" if tls_port is not None else "--wss-port" if wss_port is not None else None
        if given and [item.name for item in settings.listeners] != [item.name for item in base.listeners]:
            raise CommandError(f"{given} has no effect: {file} defines the listeners", "Write the port there")
        return settings

    return read


def _print_files(household: Household, config: Path | None) -> None:
    data = household.data
    print(f"Configuration:       {config or f'none ({data.configuration} is read if it exists)'}")
    print(f"Root certificate:    {household.authority.device_ca}")
    print(f"  SHA-256            {household.fingerprint()}")
    if data.server_certificate.exists():
        certificate = household.server_certificate()
        names, addresses = alternative_names(certificate)
        until = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        print(f"Server certificate:  {data.server_certificate}, until {until}")
        print(f"  for                {', '.join([*_ordered(addresses), *sorted(names - addresses)])}")


def _print_access(household: Household, given: Path | None) -> None:
    """Where users and rules are; and the rule of a new folder that allows every topic, while it stands."""
    print(f"Users and rules:     {household.data.access_database}")
    if household.taken_over:
        print("  Took over the users and rules of users.json and rules.json, which are *.imported now.")
    number = _rule_for_everything(household)
    if number is None:
        print(f"  Who may do what: {command_line('access', 'rules', data=given)}")
    else:
        learn = command_line("access", "learn", "start", data=given)
        print(f"  Every client may use every topic (rule {number}). To find narrower rules: {learn}")


def _rule_for_everything(household: Household) -> int | None:
    """The number of the rule that allows everyone every topic, None where there is none."""
    for number, rule in household.access.rules.items():
        if (rule.who, rule.topics, rule.effect, rule.may) == (EVERYONE, "#", ALLOW, RIGHTS):
            return number
    return None


def _ordered(addresses: Iterable[str]) -> list[str]:
    """Those that others can use first, IPv4 before IPv6."""
    parsed = sorted(map(ipaddress.ip_address, addresses), key=lambda item: (item.is_loopback, item.version))
    return [str(address) for address in parsed]


def _print_first_client(household: Household, status: dict[str, object], data: Path | None) -> None:
    """Commands for a new device that the rules allow, where a TLS listener takes certificates."""
    listener = next((item for item in listeners_of(status) if _takes_devices(item)), None)
    if listener is None:
        return
    number = 1
    while household.has_device(f"sensor{number}"):
        number += 1
    name = f"sensor{number}"
    host = str(listener["endpoint"]).partition(" ")[2].rpartition(":")[0].strip("[]")
    if host in ("::", "0.0.0.0"):  # noqa: S104
        host = common_name_of(household.server_certificate().subject) or "localhost"
    words = ["mosquitto_sub", "-h", host, "-p", str(listener["port"]), "--cafile", f"{name}/ca.pem"]
    words += ["--cert", f"{name}/{name}.pem", "--key", f"{name}/{name}.key"]
    topics = "#"
    print(f"\nConnect a {'first' if number == 1 else 'new'} client:")
    print(f"  {command_line('device', 'add', name, data=data)}")
    if _rule_for_everything(household) is None:
        topics = f"hello/{name}"
        print(f"  {command_line('user', 'allow', name, 'all', topics, data=data)}")
    print(f"  {shlex.join([*words, '-t', topics, '-v'])}")


def _takes_devices(listener: dict[str, object]) -> bool:
    methods = listener.get("authentication")
    return listener.get("transport") == "tls" and isinstance(methods, list) and "certificate" in methods
