"""`lockwire cert check`: whether a certificate file will work, and for which device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, cast, get_args

import typer

from lockwire.cli.cert import app
from lockwire.cli.cert_chain import parse_server
from lockwire.cli.failures import FAILED, CommandError
from lockwire.cli.file_options import (
    FileArgument,
    JsonOption,
    PasswordFileOption,
    asking,
    bad_input,
    parse_time,
    print_json,
)
from lockwire.families import FAMILIES, Family, UnknownFamilyError, find_family
from lockwire.pki.toolkit.check import Finding, Question, Use, Weight, ask
from lockwire.pki.toolkit.check import check as run_checks
from lockwire.pki.toolkit.content import Content, private_key_of, read_content

_REQUEST_SUFFIXES: Final = (".csr", ".req")
_WORDS: Final = {Weight.WRONG: "wrong", Weight.RISK: "risk", Weight.NOTE: "note"}


@app.command(epilog="Example: lockwire cert check server.pem --ca ca.pem --host plant.local")
def check(
    file: FileArgument,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Its private key, where that is another file."),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="The CA that clients trust.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", show_default=False, help="The host name or address that clients connect to."
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="FAMILY", show_default=False, help=f"The device: {', '.join(FAMILIES)}."
        ),
    ] = None,
    csr: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="The request it was made from. Default: FILE.csr beside it.",
        ),
    ] = None,
    use: Annotated[
        str | None,
        typer.Option(
            metavar="server|client|authority", show_default=False, help="What it is for. Default: as it says."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", show_default=False, help="Check for this time, such as 2030-01-31."),
    ] = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a certificate file and what to do; exit status 1 where something is."""
    when = parse_time(at)
    with bad_input():
        password = asking(password_file)
        content = read_content(file, password)
        question = ask(
            content,
            when,
            use=_use(use),
            key=None if key is None else _opened(read_content(key, password)),
            anchors=None if ca is None else read_content(ca),
            request=_request(file, csr),
            host=None if host is None else parse_server(host)[0],
            family=None if family is None else _family(family),
        )
    findings = run_checks(question)
    if as_json:
        print_json(_check_data(question, findings))
    else:
        _print_findings(question, findings)
    if any(finding.weight is Weight.WRONG for finding in findings):
        raise typer.Exit(FAILED)


def _use(text: str | None) -> Use | None:
    if text is None or text in get_args(Use):
        return cast("Use | None", text)
    raise CommandError(f"--use {text}: none of {', '.join(get_args(Use))}")


def _family(name: str) -> Family:
    try:
        return find_family(name)
    except UnknownFamilyError as error:
        raise CommandError(f"--for: {error}") from error


def _opened(key: Content) -> Content:
    """A key that has to be compared must be open: an error now is clearer than a comparison left out."""
    for item in key.keys:
        private_key_of(item, key.path)
    return key


def _request(file: Path, given: Path | None) -> Content | None:
    """The request given, else one of the same name beside the certificate."""
    if given is not None:
        return read_content(given)
    for suffix in _REQUEST_SUFFIXES:
        beside = file.with_suffix(suffix)
        if beside != file and beside.is_file():
            found = read_content(beside)
            return found if found.requests else None
    return None


def _check_data(question: Question, findings: list[Finding]) -> dict[str, object]:
    return {
        "file": str(question.content.path),
        "use": question.use,
        "family": None if question.family is None else question.family.name,
        "host": question.host,
        "at": question.at.isoformat(),
        "wrong": any(finding.weight is Weight.WRONG for finding in findings),
        "findings": [
            {
                "weight": _WORDS[finding.weight],
                "code": finding.code,
                "about": finding.about,
                "text": finding.text,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }


def _print_findings(question: Question, findings: list[Finding]) -> None:
    target = "" if question.family is None else f", for {question.family.title}"
    print(
        f"{question.content.path}, as {_PHRASES[question.use]}{target}, on {question.at:%Y-%m-%d %H:%M} UTC:"
    )
    for finding in findings:
        print(f"{_WORDS[finding.weight]:<6} {finding.about}: {finding.text}. {finding.remedy}")
    count = sum(finding.weight is Weight.WRONG for finding in findings)
    if count:
        print(f"{count} {'thing is' if count == 1 else 'things are'} wrong.")
    else:
        print("Nothing is wrong.")


_PHRASES: Final[dict[Use, str]] = {
    "server": "a server's certificate",
    "client": "a client's certificate",
    "authority": "a CA certificate",
}
