"""`lockwire cert issue`, `sign`, `renew`, `rekey`: certificates of this authority."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lockwire.cli.answers import Answer, answer_of
from lockwire.cli.cert import app
from lockwire.cli.failures import CommandError
from lockwire.cli.file_options import bad_input, check_free
from lockwire.cli.kit import Kit, file_name, kit_files, write_kit, written
from lockwire.cli.kit import check_free as check_folder
from lockwire.cli.options import DataOption, locate
from lockwire.cli.reach import ask
from lockwire.pki.authority.certificates import pem
from lockwire.pki.authority.profiles import PROFILES
from lockwire.pki.certificate import common_name_of
from lockwire.pki.files import write_public
from lockwire.pki.names import check_name
from lockwire.pki.toolkit.content import read_content

ProfileOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"What it is for: {'; '.join(f'{one.name}, {one.purpose}' for one in PROFILES.values())}.",
    ),
]
SanOption = Annotated[
    list[str] | None,
    typer.Option(
        "--san",
        metavar="NAME",
        show_default=False,
        help="An alternative name: host, address, URI or e-mail address. May be given several times.",
    ),
]
DaysOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        show_default=False,
        help="How long it is valid. Default: the profile's 825, for operators 397.",
    ),
]
KeyTypeOption = Annotated[
    str | None,
    typer.Option(
        "--key-type",
        metavar="KIND",
        show_default=False,
        help="p-256, p-384, ed25519, rsa-2048, rsa-3072, rsa-4096. Default: as the authority's.",
    ),
]
ChainOption = Annotated[
    str | None,
    typer.Option(
        "--chain",
        metavar="NAME",
        show_default=False,
        help="What issues it: main, rsa or next. Default: rsa for RSA keys where there is an RSA chain.",
    ),
]
OutFolderOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", show_default=False, help="Where the files go. Default: ./NAME."),
]
CrlUrlOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        show_default=False,
        help="Where its revocation list is. Default: what the broker's settings say.",
    ),
]
OcspUrlOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        show_default=False,
        help="Where its OCSP responder is. Default: what the broker's settings say.",
    ),
]
ReferenceArgument = Annotated[
    str,
    typer.Argument(metavar="NAME|SERIAL|FILE", help="A name, a serial number, or the certificate's file."),
]


@app.command(epilog="Example: lockwire cert issue gate --profile server --san gate.local --san 192.0.2.9")
def issue(
    name: Annotated[str, typer.Argument(help="The common name: a client's user name, a server's host name.")],
    profile: ProfileOption = "client",
    san: SanOption = None,
    days: DaysOption = None,
    key_type: KeyTypeOption = None,
    csr: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="The device's signing request: its key stays there."
        ),
    ] = None,
    chain: ChainOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="The name may have a certificate already.")
    ] = False,
    crl_url: CrlUrlOption = None,
    ocsp_url: OcspUrlOption = None,
    out: OutFolderOption = None,
    data: DataOption = None,
) -> None:
    """Issue a certificate with a new key: ca.pem, NAME.pem (with its chain) and NAME.key."""
    check_name(name)
    folder = Path(name) if out is None else out
    files = kit_files(name, with_key=csr is None)
    check_folder(folder, files)
    answer = answer_of(
        ask(
            locate(data),
            "cert.issue",
            name=name,
            profile=profile,
            san=san or [],
            days=days,
            key=key_type,
            csr=None if csr is None else read_request(csr)[0],
            chain=chain,
            replace=replace,
            crl_url=crl_url,
            ocsp_url=ocsp_url,
        )
    )
    _write_kit(folder, answer, files)


@app.command(epilog="Example: lockwire cert sign valve.csr --profile client")
def sign(
    csr: Annotated[Path, typer.Argument(metavar="CSR", help="A signing request (PKCS#10), PEM or DER.")],
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", show_default=False, help="The common name, instead of the one asked for."
        ),
    ] = None,
    profile: ProfileOption = "client",
    san: SanOption = None,
    days: DaysOption = None,
    drop: Annotated[
        bool,
        typer.Option("--drop", help="Leave out alternative names that are not allowed, instead of refusing."),
    ] = False,
    chain: ChainOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="The name may have a certificate already.")
    ] = False,
    crl_url: CrlUrlOption = None,
    ocsp_url: OcspUrlOption = None,
    out: OutFolderOption = None,
    data: DataOption = None,
) -> None:
    """Sign a device's request: the key stays on the device. Writes ca.pem and NAME.pem."""
    request, asked = read_request(csr)
    wanted = name or asked
    if wanted is None:
        raise CommandError(f"{csr} has no common name, or more than one", "Give the name with --name.")
    check_name(wanted)
    folder = Path(wanted) if out is None else out
    files = kit_files(wanted, with_key=False)
    check_folder(folder, files)
    answer = answer_of(
        ask(
            locate(data),
            "cert.issue",
            name=wanted,
            profile=profile,
            san=san or [],
            days=days,
            csr=request,
            drop=drop,
            chain=chain,
            replace=replace,
            crl_url=crl_url,
            ocsp_url=ocsp_url,
        )
    )
    _write_kit(folder, answer, files)


@app.command(epilog="Example: lockwire cert renew pump-7 --out kits/pump-7/pump-7.pem --force")
def renew(
    reference: ReferenceArgument,
    days: DaysOption = None,
    chain: ChainOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", show_default=False, help="Default: ./NAME.pem.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
    data: DataOption = None,
) -> None:
    """Issue a certificate anew with the same key and names: only the certificate changes on the device."""
    meant = _meant(reference)
    if out is not None:
        check_free(out, force)
    answer = answer_of(ask(locate(data), "cert.renew", **meant, days=days, chain=chain))
    name = file_name(answer.text("name"))
    file = Path(f"{name}.pem") if out is None else out
    if out is None and file.exists() and not force:
        # It is issued, so it must not get lost: beside the one that is there.
        file = file.with_name(f"{name}-{answer.text('serial')[:8]}.pem")
    write_public(file, answer.text("chain").encode("ascii"))
    print(f"Wrote {file}. The certificate is valid until {answer.text('until')}; the key stays the same.")


@app.command(epilog="Example: lockwire cert rekey pump-7 --out kits/pump-7-new")
def rekey(
    reference: ReferenceArgument,
    key_type: KeyTypeOption = None,
    csr: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="The device's signing request with its new key."
        ),
    ] = None,
    days: DaysOption = None,
    chain: ChainOption = None,
    out: OutFolderOption = None,
    data: DataOption = None,
) -> None:
    """Issue a certificate with the same names and another key. The earlier one stays valid until its date."""
    meant = _meant(reference)
    request = None if csr is None else read_request(csr)[0]
    name = file_name(_name_in(meant, data))
    files = kit_files(name, with_key=csr is None)
    if out is not None:
        folder = out
    else:
        folder = Path(reference if "certificate" not in meant else Path(reference).stem)
    check_folder(folder, files)
    answer = answer_of(
        ask(locate(data), "cert.rekey", **meant, key=key_type, csr=request, days=days, chain=chain)
    )
    _write_kit(folder, answer, files)


def read_request(file: Path) -> tuple[str, str | None]:
    """The one signing request in a file, as PEM, and its common name. Raises CommandError."""
    with bad_input():
        requests = read_content(file).requests
    if len(requests) != 1:
        raise CommandError(f"{file} holds {len(requests)} signing requests", "Give a file with one.")
    pem_text = requests[0].public_bytes(serialization.Encoding.PEM).decode("ascii")
    return pem_text, common_name_of(requests[0].subject)


def _meant(reference: str) -> dict[str, object]:
    """The arguments by which an operation finds a certificate."""
    file = Path(reference)
    if not file.is_file():
        return {"reference": reference}
    with bad_input():
        certificates = read_content(file).certificates
    if not certificates:
        raise CommandError(f"{file} holds no certificate", "Give the certificate's file, or its name.")
    return {"certificate": pem(certificates[0]).decode("ascii")}


def _name_in(meant: dict[str, object], data: Path | None) -> str:
    """The common name of a certificate that `_meant` found, "" without one."""
    if "certificate" not in meant:
        return answer_of(ask(locate(data), "cert.show", **meant)).text("name")
    certificate = x509.load_pem_x509_certificate(str(meant["certificate"]).encode("ascii"))
    return common_name_of(certificate.subject) or ""


def _write_kit(folder: Path, answer: Answer, files: list[str]) -> None:
    kit = Kit(file_name(answer.text("name")), answer.text("chain"), answer.text("key"), answer.text("ca"))
    write_kit(folder, kit)
    print(f"{written(folder, files)} The certificate is valid until {answer.text('until')}.")
    if answer.texts("dropped"):
        print(f"Note: left out {', '.join(answer.texts('dropped'))}.")
    if answer.number("cut"):
        print(f"Note: that is {answer.number('cut')} days less than asked for, as the authority ends then.")
