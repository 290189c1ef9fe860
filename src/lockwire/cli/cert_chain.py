"""`lockwire cert chain`: what a broker presents, and which certificate devices should install."""

from __future__ import annotations

import datetime
import secrets
import shutil
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.cli.cert import app
from lockwire.cli.failures import CommandError
from lockwire.cli.file_options import ForceOption, JsonOption, bad_input, check_free, print_json
from lockwire.pki.files import write_public
from lockwire.pki.toolkit.chain import Explained, explain_chain
from lockwire.pki.toolkit.check import Finding, Weight, ask, check
from lockwire.pki.toolkit.content import Content, parse_content, read_content
from lockwire.pki.toolkit.fetching import fetch_certificates as fetch
from lockwire.pki.toolkit.inspect import certificate_report
from lockwire.pki.toolkit.presented import SECONDS, Presented, fetch_presented

PORT: Final = 8883
_SHOWN: Final = ("subject", "issuer", "valid", "key", "names", "SHA-256")


@app.command(epilog="Example: lockwire cert chain broker.example:8883 --out broker-ca")
def chain(
    server: Annotated[
        str, typer.Argument(metavar="HOST[:PORT]", help=f"The broker. Port {PORT} where none is given.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="Save what to install as ca.pem and ca.der there, and what was sent as chain.pem.",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Roots to look among, besides the public ones."
        ),
    ] = None,
    sni: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Ask the server for this name.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How long to wait for it.")
    ] = SECONDS,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch no missing issuers over http.")] = False,
    as_json: JsonOption = False,
    force: ForceOption = False,
) -> None:
    """Show the chain that a broker presents, each certificate explained, and say which one to install."""
    host, port = parse_server(server)
    if out is not None:
        _check_folder(out, force)
    now = datetime.datetime.now(datetime.UTC)
    with bad_input():
        trusted = [] if ca is None else read_content(ca).certificates
        presented = fetch_presented(host, port, sni, timeout)
        content = parse_content(b"".join(presented.certificates), Path(f"{host}:{port}"))
    explained = explain_chain(content.certificates, now, trusted, fetch=None if offline else fetch)
    findings = _findings(content, explained, sni or host, now)
    if as_json:
        print_json(_data(host, port, presented, explained, findings, now))
    else:
        _print(host, port, presented, explained, findings, now)
    if out is not None:
        written = _save(out, content.certificates, explained.advice.certificate)
        if not as_json:
            print(f"\nWrote {', '.join(map(str, written))}.")


def parse_server(text: str) -> tuple[str, int]:
    """HOST, HOST:PORT or [IPv6]:PORT, with or without mqtts:// before it. Raises CommandError."""
    bare = text.partition("://")[2] or text
    bare = bare.partition("/")[0]
    if bare.startswith("["):
        host, _, rest = bare[1:].partition("]")
        port = rest.removeprefix(":")
    elif bare.count(":") > 1:
        host, port = bare, ""
    else:
        host, _, port = bare.partition(":")
    if not host or not (port or str(PORT)).isdecimal() or not 0 < int(port or PORT) < 65536:
        raise CommandError(f"{text!r} is no server", "Write it as HOST, HOST:PORT or [IPv6]:PORT.")
    return host, int(port or PORT)


def _findings(content: Content, explained: Explained, host: str, now: datetime.datetime) -> list[Finding]:
    """What `cert check` says of the chain, with the root as the CA that clients trust."""
    root = explained.advice.certificate
    anchors = None if root is None else parse_content(root.public_bytes(Encoding.DER), Path("the root"))
    return check(ask(content, now, use="server", anchors=anchors, host=host))


def _print(
    host: str,
    port: int,
    presented: Presented,
    explained: Explained,
    findings: list[Finding],
    now: datetime.datetime,
) -> None:
    count = len(presented.certificates)
    how = f"{presented.version}, {presented.cipher_suite}" if not presented.complaint else presented.version
    print(f"{host}:{port} sends {count} certificate{'' if count == 1 else 's'} ({how})")
    if presented.complaint:
        print(f"It then ended the handshake ({presented.complaint.replace('_', ' ').lower()}).")
    for number, link in enumerate(explained.links, 1):
        print(f"\n{number}. {link.meaning}")
        if link.source != "sent":
            print(f"   {'from':<12} {link.source}; the server does not send it")
        for label, text in certificate_report(link.certificate, now).lines:
            if label in _SHOWN:
                print(f"   {label:<12} {text}")
    print(f"\n{explained.advice.text}")
    for note in explained.notes:
        print(f"Not found: {note}")
    heavy = [finding for finding in findings if finding.weight is not Weight.NOTE]
    for finding in heavy:
        print(f"{finding.weight.name.lower():<6} {finding.about}: {finding.text}. {finding.remedy}")


def _data(
    host: str,
    port: int,
    presented: Presented,
    explained: Explained,
    findings: list[Finding],
    now: datetime.datetime,
) -> dict[str, object]:
    install = explained.advice.certificate
    return {
        "host": host,
        "port": port,
        "version": presented.version,
        "cipher_suite": presented.cipher_suite,
        "complaint": presented.complaint or None,
        "certificates": [
            {
                "source": link.source,
                "meaning": link.meaning,
                **certificate_report(link.certificate, now).data,
                "pem": link.certificate.public_bytes(Encoding.PEM).decode(),
            }
            for link in explained.links
        ],
        "install": None if install is None else certificate_report(install, now).data["sha256"],
        "advice": explained.advice.text,
        "notes": list(explained.notes),
        "findings": [
            {
                "weight": finding.weight.name.lower(),
                "code": finding.code,
                "about": finding.about,
                "text": finding.text,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }


def _check_folder(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is not a folder", "Give another one with --out.")
    if folder.is_dir():
        for name in ("ca.pem", "ca.der", "chain.pem"):
            check_free(folder / name, force)
    elif not folder.absolute().parent.is_dir():
        raise CommandError(
            f"{folder.absolute().parent} does not exist", "Make that folder, or give another one."
        )


def _save(folder: Path, sent: list[x509.Certificate], install: x509.Certificate | None) -> list[Path]:
    """A new folder appears with everything in it; in one that is there each file appears whole."""
    files = {"chain.pem": b"".join(each.public_bytes(Encoding.PEM) for each in sent)}
    if install is not None:
        files["ca.pem"] = install.public_bytes(Encoding.PEM)
        files["ca.der"] = install.public_bytes(Encoding.DER)
    if folder.is_dir():
        for name, data in files.items():
            write_public(folder / name, data)
    else:
        building = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
        building.mkdir()
        try:
            for name, data in files.items():
                write_public(building / name, data)
            building.replace(folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    return [folder / name for name in files]
