"""`lockwire cert revoke` and `unrevoke`: certificates that nobody may connect with any more."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.cli.cert import app
from lockwire.cli.failures import FAILED, CommandError
from lockwire.cli.file_options import bad_input
from lockwire.cli.options import DataOption, locate
from lockwire.cli.reach import ask
from lockwire.cli.table import print_table
from lockwire.pki.toolkit.content import read_content


class Reason(StrEnum):
    """Why a certificate is revoked, as RFC 5280 section 5.3.1 calls it."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    CERTIFICATE_HOLD = "certificateHold"


@app.command(epilog="Example: lockwire cert revoke pump-7 --reason keyCompromise")
def revoke(
    reference: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME-or-SERIAL",
            show_default=False,
            help="A name, for all its certificates, or a serial number.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="The certificate in this file instead: for one that an imported CA issued before.",
        ),
    ] = None,
    reason: Annotated[
        Reason, typer.Option(help="Why, as revocation lists say it; certificateHold can be taken back.")
    ] = Reason.UNSPECIFIED,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data: DataOption = None,
) -> None:
    """Revoke certificates: who is connected with one is disconnected, and nobody gets in with it again."""
    folder = locate(data)
    if (reference is None) == (file is None):
        raise CommandError("It takes a name or a serial number, or --file FILE", "Give one of them")
    if file is not None:
        wanted: dict[str, object] = {"certificate": _certificate(file)}
    else:
        wanted = {"reference": reference}
    found = _list(ask(folder, "cert.revocable", **wanted))
    open_ones = [one for one in found if one["revoked"] is None or one["revoked"] == "certificateHold"]
    for one in found:
        if one not in open_ones:
            print(f"{one['serial']} of {one['name']} is revoked already ({one['revoked']}).")
    if not open_ones:
        return
    print_table(
        ("serial", "name", "profile", "until"),
        [(one["serial"], one["name"], one["profile"], one["until"]) for one in open_ones],
    )
    if not yes:
        _confirm(len(open_ones), reason)
    if file is None:
        wanted = {"serials": [one["serial"] for one in open_ones]}
    answer = _dict(ask(folder, "cert.revoke", **wanted, reason=reason.value))
    print(f"Revoked: {_count(len(answer['revoked']))}.")
    _tell(answer)


@app.command(epilog="Example: lockwire cert unrevoke pump-7")
def unrevoke(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="NAME-or-SERIAL", help="A name, for all its certificates, or a serial number."
        ),
    ],
    data: DataOption = None,
) -> None:
    """Take back what was revoked with --reason certificateHold."""
    answer = _dict(ask(locate(data), "cert.unrevoke", reference=reference))
    print(f"Valid again: {_count(len(answer['restored']))}.")
    _tell(answer)


def _confirm(count: int, reason: Reason) -> None:
    if not sys.stdin.isatty():
        raise CommandError("Nobody is here to confirm this", "Add --yes")
    lasts = "until lockwire cert unrevoke" if reason is Reason.CERTIFICATE_HOLD else "for good"
    if not typer.confirm(f"Revoke {_count(count)} {lasts}?"):
        raise CommandError("Nothing was revoked", "", FAILED)


def _tell(answer: dict[str, Any]) -> None:
    if answer["problem"]:
        raise CommandError(
            f"The revocation lists could not be written: {answer['problem']}",
            "This broker refuses the certificates all the same; others see no change. Run lockwire reload "
            "once the cause is gone.",
            FAILED,
        )
    if answer.get("server_problem"):
        raise CommandError(
            f"The server's certificate could not be issued anew: {answer['server_problem']}",
            "Run lockwire reload once the cause is gone.",
            FAILED,
        )


def _certificate(file: Path) -> str:
    """The first certificate of a file, in PEM."""
    with bad_input():
        certificates = read_content(file).certificates
    if not certificates:
        raise CommandError(f"{file}: there is no certificate in this file", "Give another one")
    return certificates[0].public_bytes(Encoding.PEM).decode("ascii")


def _dict(answer: object) -> dict[str, Any]:
    if isinstance(answer, dict):
        return answer
    raise CommandError("the broker's answer is not understood", "Are broker and command the same version?")


def _list(answer: object) -> list[dict[str, Any]]:
    if isinstance(answer, list):
        return answer
    raise CommandError("the broker's answer is not understood", "Are broker and command the same version?")


def _count(count: int) -> str:
    return "1 certificate" if count == 1 else f"{count} certificates"
