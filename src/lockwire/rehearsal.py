"""A start without starting: everything that a configuration names is opened and judged, nothing is written.

`rehearse` gives what would keep the broker from starting or clients from connecting, what will go wrong
later, and what an operator should know.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from lockwire.access.database.database import AccessDatabase
from lockwire.access.errors import AccessError
from lockwire.access.plugins.loading import load_plugin
from lockwire.access.tokens.keysources import key_source
from lockwire.broker.opening import ListenError, context_for, open_socket
from lockwire.config import ListenerSettings, Settings
from lockwire.data import DataFolder, DataFolderError
from lockwire.families import FAMILIES
from lockwire.log import get_log
from lockwire.pki.authority.authority import Authority
from lockwire.pki.certificate import common_name_of
from lockwire.pki.errors import PkiError
from lockwire.pki.toolkit.check import Finding, Weight, ask, check
from lockwire.pki.toolkit.checks.finding import note, risk, wrong
from lockwire.pki.toolkit.content import read_content
from lockwire.tls.context import ServerContext
from lockwire.tls.errors import TlsFileError, TlsPolicyError
from lockwire.tls.psk import SHORT_KEY, KeyFile

SOON_CERTIFICATE: Final = datetime.timedelta(days=30)
SOON_LIST: Final = datetime.timedelta(days=2)
"""How long before something ends it is a finding."""


def rehearse(
    settings: Settings, folder: DataFolder | None, now: datetime.datetime | None = None
) -> list[Finding]:
    """What is wrong with these settings and everything they name, the heaviest first.

    folder: the data folder that `lockwire up` would use, made or not; None: `lockwire broker` without one.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    found = [*_folder(folder, now)] if folder is not None else []
    for listener in settings.listeners:
        where = f"listener {listener.name}"
        if listener.encrypted:
            found += _tls(listener, where, folder, now)
        if folder is None:
            found += _needs_folder(listener, where)
        found += _place(listener, where)
    found += _methods(settings)
    found += _services(settings)
    found += [risk("exposed", "configuration", text.rstrip("."), "") for text in settings.warnings()]
    return sorted(found, key=lambda finding: finding.weight)


# -- the data folder


def _folder(folder: DataFolder, now: datetime.datetime) -> Iterator[Finding]:
    if not folder.initialised:
        try:
            if folder.path.exists():
                folder.check_ours()
        except DataFolderError as error:
            yield wrong("folder", f"data folder {folder.path}", error.message, f"{error.remedy}.")
            return
        yield note(
            "new-folder",
            f"data folder {folder.path}",
            "holds nothing yet",
            "lockwire up makes authority, certificate and administrator in it.",
        )
        return
    yield from _authority(folder, now)
    yield from _access(folder)


def _authority(folder: DataFolder, now: datetime.datetime) -> Iterator[Finding]:
    if (folder.ca / "change").exists():
        yield note("unfinished", str(folder.ca), "a change was cut short", "The next start completes it.")
        return
    try:
        authority = Authority.look(folder.ca, now)
    except (PkiError, OSError) as error:
        yield _of_error("authority", "authority", error)
        return
    for certificate in (authority.root, authority.intermediate):
        yield from _ends_soon(certificate, "authority", now, "Change it in time with lockwire ca rollover.")


def _access(folder: DataFolder) -> Iterator[Finding]:
    """The access database, read from a copy: opening it may bring the file up to date."""
    path = folder.access_database
    if not path.exists():
        if not folder.old_users.exists():
            yield wrong("access", str(path), "is missing", "Put back a backup; lockwire up makes a new one.")
        return
    try:
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch, path.name)
            with (
                contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
                contextlib.closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            copy.chmod(path.stat().st_mode & 0o777)
            AccessDatabase(copy).close()
    except sqlite3.Error as error:
        yield wrong("access", str(path), f"cannot be read: {error}", "Put back a backup.")
    except (AccessError, OSError) as error:
        yield wrong("access", "access database", str(error).replace(str(copy), str(path)).rstrip("."), "")


# -- listeners


def _tls(
    listener: ListenerSettings, where: str, folder: DataFolder | None, now: datetime.datetime
) -> Iterator[Finding]:
    if folder is not None and _made_at_first_start(listener, folder):
        yield note("new-certificate", where, "its certificate is made at the first start", "")
        return
    try:
        context = context_for(listener, None)
    except (TlsPolicyError, TlsFileError) as error:
        yield _of_error("tls", where, error)
        return
    yield note("tls", where, _summary(listener, context), "")
    for problem in context.problems:
        yield wrong("out-of-order", where, problem.rstrip("."), "")
    if context.policy.weaknesses:
        weak = ", ".join(context.policy.weaknesses)
        yield risk("legacy", where, f"legacy TLS, as configured: {weak}", "Keep such clients apart.")
    yield from _own_certificates(listener, where, folder, now)
    yield from _trusted(context, where, now)
    yield from _keys(context, where)


def _needs_folder(listener: ListenerSettings, where: str) -> Iterator[Finding]:
    methods = {"password", "scram"} & set(listener.authentication)
    if listener.uses_psk and listener.psk.file is None and listener.authentication == ["psk"]:
        methods.add("psk")
    for method in sorted(methods):
        yield wrong(
            "no-folder",
            where,
            f"asks for {method}, and there is no data folder with such secrets",
            "Name one that lockwire up has filled with --data.",
        )


def _made_at_first_start(listener: ListenerSettings, folder: DataFolder) -> bool:
    certificate = listener.tls.certificate
    return certificate == folder.server_certificate and not certificate.exists()


def _summary(listener: ListenerSettings, context: ServerContext) -> str:
    low, high = (
        str(version.name).removeprefix("TLSv").replace("_", ".") for version in context.policy.versions
    )
    text = f"{listener.endpoint}, TLS {low}" + (f" to {high}" if high != low else "")
    if listener.tls.policy:
        text += f", policy {listener.tls.policy}"
    if context.certificate_ends is not None:
        until = datetime.datetime.fromtimestamp(context.certificate_ends, datetime.UTC)
        text += f", certificate until {until:%Y-%m-%d}"
    if context.crl_ends is not None:
        until = datetime.datetime.fromtimestamp(context.crl_ends, datetime.UTC)
        text += f", revocation lists until {until:%Y-%m-%d %H:%M} UTC"
    return text


def _own_certificates(
    listener: ListenerSettings, where: str, folder: DataFolder | None, now: datetime.datetime
) -> Iterator[Finding]:
    """The server's certificates as `lockwire cert check` judges them, for the family of the policy."""
    family = FAMILIES.get(listener.tls.policy.lower())
    for path in (listener.tls.certificate, listener.tls.alternate_certificate):
        if path is None or listener.uses_psk:
            continue
        content = read_content(path)
        for finding in check(ask(content, now, use="server", family=family)):
            if finding.weight is Weight.NOTE or finding.code == "expired":  # ServerContext.problems says so
                continue
            if finding.code == "expires-soon" and folder is not None and path.parent == folder.server:
                continue  # it is issued anew by itself
            about = f"{where}, {path}, {finding.about}"
            yield Finding(finding.weight, finding.code, about, finding.text, finding.remedy)


def _trusted(context: ServerContext, where: str, now: datetime.datetime) -> Iterator[Finding]:
    """The CAs of client certificates, and their lists."""
    for ca in context.cas:
        yield from _ends_soon(ca, f"{where}, client_ca", now, "Certificates that it issued end with it.")
    if context.crl_ends is not None:
        left = datetime.datetime.fromtimestamp(context.crl_ends, datetime.UTC) - now
        if datetime.timedelta() < left < SOON_LIST:
            hours = left.total_seconds() / 3600
            yield risk(
                "crl-ends-soon",
                where,
                f"a revocation list ends in {hours:.0f} hours",
                "Get the next one from the CA; then clients are refused or served on, as crl_failure says.",
            )


def _keys(context: ServerContext, where: str) -> Iterator[Finding]:
    secrets = [pair.key for pair in context.files.pairs()] if context.files is not None else []
    lookup = context.psk.lookup if context.psk is not None else None
    if isinstance(lookup, KeyFile):
        secrets.append(lookup.path)
        for identity, key in lookup.keys.items():
            if len(key) < SHORT_KEY:
                yield risk(
                    "short-key",
                    f"{where}, {lookup.path}",
                    f"the key of {identity!r} has {len(key)} bytes: one recorded handshake gives it away",
                    f"Give it {SHORT_KEY} bytes or more.",
                )
    for path in secrets:
        with contextlib.suppress(OSError):
            if os.name == "posix" and path.stat().st_mode & 0o007:
                yield risk("open-key", f"{where}, {path}", "anybody on this machine can read it", "chmod 600")


def _place(listener: ListenerSettings, where: str) -> Iterator[Finding]:
    """Whether the address can be had; it is let go of at once."""
    if listener.transport == "unix":
        assert listener.path is not None
        if not os.access(listener.path.parent, os.W_OK):
            yield wrong(
                "place", where, f"no socket can be made in {listener.path.parent}", "Make that folder."
            )
        return
    try:
        sock, _, _ = open_socket(listener)
        sock.close()
    except ListenError as error:
        text, _, remedy = str(error).removeprefix(f"listener {listener.name} ").partition("; ")
        yield risk("place", where, text, f"Is it the running broker's? Else {remedy}.")


# -- what several listeners share


def _methods(settings: Settings) -> Iterator[Finding]:
    """Keys for tokens and the plug-in; nothing is fetched, and nobody is asked."""
    if any("token" in listener.authentication for listener in settings.listeners):
        try:
            key_source(settings.token, get_log()).close()
        except (AccessError, OSError) as error:
            yield _of_error("tokens", "[token]", error)
    if settings.plugin.name:
        try:
            load_plugin(settings.plugin.name, settings.plugin.options, settings.plugin.folder)
        except AccessError as error:
            yield _of_error("plugin", "[plugin]", error)


def _services(settings: Settings) -> Iterator[Finding]:
    services = [("[metrics]", settings.metrics.enabled, settings.metrics.address, settings.metrics.port)]
    authority = settings.authority
    services.append(("[authority]", authority.serve, authority.address, authority.port))
    for where, enabled, address, port in services:
        if enabled:
            yield from _place(ListenerSettings(transport="tcp", address=address, port=port), where)


def _ends_soon(
    certificate: x509.Certificate, where: str, now: datetime.datetime, remedy: str
) -> Iterator[Finding]:
    left = certificate.not_valid_after_utc - now
    name = common_name_of(certificate.subject) or certificate.subject.rfc4514_string()
    if left <= datetime.timedelta():
        yield wrong("expired", where, f"the certificate of {name} has expired", "Replace it.")
    elif left < SOON_CERTIFICATE:
        yield risk("ends-soon", where, f"the certificate of {name} ends in {left.days} days", remedy)


def _of_error(code: str, where: str, error: Exception) -> Finding:
    return wrong(code, where, str(error).rstrip("."), "")
