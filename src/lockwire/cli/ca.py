"""`lockwire ca`: the certificate authority itself."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from lockwire.cli.answers import Answer, answer_of
from lockwire.cli.failures import BAD_INPUT, CommandError
from lockwire.cli.file_options import JsonOption, print_json
from lockwire.cli.options import DataOption, command_line, group, locate
from lockwire.cli.passphrase import (
    AskedOnce,
    EncryptRootOption,
    PassphraseFileOption,
    RootKeyOption,
    RootKeyOutOption,
    known_passphrase,
    new_passphrase,
    read_root_key,
)
from lockwire.cli.reach import ask, local_user
from lockwire.data import DataFolder
from lockwire.household import Household
from lockwire.operations import authority as operations
from lockwire.pki.authority import importing
from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.certificates import pem
from lockwire.pki.authority.founding import NewAuthority
from lockwire.pki.authority.requests import key_kind_named
from lockwire.pki.errors import PkiError
from lockwire.pki.files import write_public
from lockwire.pki.keys import KeyKind, key_pem
from lockwire.pki.toolkit.content import Content, private_key_of, read_content

app = group("The certificate authority: made, imported, shown, replaced.")

RSA_KINDS = "rsa-2048, rsa-3072 or rsa-4096"
KeyOption = Annotated[
    str,
    typer.Option(
        "--key", metavar="KIND", help=f"Keys of root and intermediate: p-256, p-384, ed25519, {RSA_KINDS}."
    ),
]


@app.command(epilog="Example: lockwire ca init --encrypt-root --alternate rsa-2048")
def init(
    key: KeyOption = KeyKind.P256.value,
    alternate: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            show_default=False,
            help=f"A second chain for devices that cannot do ECDSA: {RSA_KINDS}.",
        ),
    ] = None,
    encrypt_root: EncryptRootOption = False,
    passphrase_file: PassphraseFileOption = None,
    root_key_out: RootKeyOutOption = None,
    data: DataOption = None,
) -> None:
    """Make a certificate authority in a new data folder. `lockwire up` does it too, with what is usual."""
    with _refused():
        kind, rsa = key_kind_named(key), None if alternate is None else _rsa_kind(alternate)
    folder = locate(data)
    _check_new(folder, "Show it with lockwire ca show, or give another folder with --data.")
    passphrase = new_passphrase(passphrase_file, encrypt_root or passphrase_file is not None)
    wanted = NewAuthority(kind, rsa, None if passphrase is None else passphrase.encode(), root_key_out)
    _found(folder, lambda ca: Authority.create(ca, wanted=wanted, by=local_user()))
    print(f"Made a certificate authority in {folder.ca}.\n")
    _print_authority(answer_of(ask(folder, "ca.show")))
    if root_key_out is not None:
        print(f"The root's key is in {root_key_out}. Keep it in a safe place; a rollover needs it.")


@app.command("import", epilog="Example: lockwire ca import ca.crt ca.key --encrypt-root")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="The CA's certificate and its private key, in any form, in one file or several. For an "
            "intermediate: its root's certificate too.",
        ),
    ],
    passphrase_file: PassphraseFileOption = None,
    encrypt_root: EncryptRootOption = False,
    root_key_out: RootKeyOutOption = None,
    no_root_key: Annotated[
        bool, typer.Option("--no-root-key", help="Do not keep the root's key: it stays where it is.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of the authority that is here.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Even if clients have certificates of the one that is here.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Take over a CA that was made elsewhere, so that devices that have it keep working.

    A key that is encrypted is kept encrypted with the same passphrase, as PKCS#8 with AES-256.
    """
    folder = locate(data)
    if not replace:
        _check_new(folder, "Put this one in its place with --replace, or give another folder with --data.")
    asked = AskedOnce(passphrase_file)
    with _refused():
        certificates, private = _read_import([read_content(one, asked) for one in files])
    passphrase = asked.answer or new_passphrase(passphrase_file, encrypt_root)
    arguments: dict[str, object] = {
        "certificates": [pem(one).decode("ascii") for one in certificates],
        "key": key_pem(private).decode("ascii"),
        "kept": not no_root_key,
        "new_passphrase": passphrase,
        "key_folder": None if root_key_out is None else os.fspath(root_key_out.absolute()),
    }
    if replace and folder.initialised:
        answer = answer_of(ask(folder, "ca.import", force=force, **arguments))
        warnings = answer.texts("warnings")
    else:
        warnings = _import_into_new(folder, arguments)
        answer = answer_of(ask(folder, "ca.show"))
    print(f"Took over the authority in {folder.ca}.\n")
    _print_authority(answer)
    _print_warnings(warnings)


@app.command(epilog="Example: lockwire ca show --json")
def show(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show what the authority is made of, where the root's key is, and how long it is valid."""
    answer = answer_of(ask(locate(data), "ca.show"))
    if as_json:
        print_json(answer.values)
    else:
        _print_authority(answer)


@app.command(epilog="Example: lockwire ca export --out ca.der --form der")
def export(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Where it goes. Default: standard output."),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            metavar="FORM",
            help="pem: what devices install; der: the root alone, binary; chain: the intermediate and the "
            "root, PEM.",
        ),
    ] = "pem",
    chain: Annotated[
        str, typer.Option(metavar="NAME", help="Of which chain: main, rsa, next or previous.")
    ] = "main",
    data: DataOption = None,
) -> None:
    """Write the certificates that devices install; none of them is secret."""
    if form not in ("pem", "der", "chain"):
        raise CommandError(f"There is no form {form!r}", "Take pem, der or chain.")
    answer = answer_of(ask(locate(data), "ca.export", chain=chain))
    text = answer.text("chain" if form == "chain" else "ca")
    content = text.encode("ascii")
    if form == "der":
        content = x509.load_pem_x509_certificate(content).public_bytes(serialization.Encoding.DER)
    if out is not None:
        write_public(out, content)
        print(f"Wrote {out}.")
    elif form == "der":
        typer.get_binary_stream("stdout").write(content)
    else:
        print(text, end="")


@app.command(epilog="Example: lockwire ca rsa --key rsa-2048")
def rsa(
    key: Annotated[
        str, typer.Option(metavar="KIND", help=f"Keys of the second root and intermediate: {RSA_KINDS}.")
    ] = KeyKind.RSA_2048.value,
    root_key: RootKeyOption = None,
    encrypt_root: EncryptRootOption = False,
    passphrase_file: PassphraseFileOption = None,
    root_key_out: RootKeyOutOption = None,
    data: DataOption = None,
) -> None:
    """Add an RSA chain for devices that cannot do ECDSA, and a second certificate of the server for them."""
    folder = locate(data)
    with _refused():
        kind = _rsa_kind(key)
        keys = root_key_arguments(folder, root_key, encrypt_root, passphrase_file, root_key_out)
    answer = answer_of(ask(folder, "ca.rsa", key=kind.value, **keys))
    _print_authority(answer)
    _print_warnings(answer.texts("warnings"))
    print(f"Devices that verify RSA only install {folder.ca / 'ca-rsa.pem'}.")
    print(f"{command_line('reload', data=data)} has a running broker present the RSA certificate as well.")


def root_key_arguments(
    folder: DataFolder,
    root_key: Path | None,
    encrypt_root: bool,
    passphrase_file: Path | None,
    root_key_out: Path | None,
) -> dict[str, object]:
    """The arguments of an operation that uses the root's key and makes a new one: asks for what it needs."""
    opened, passphrase = None, None
    if root_key is not None:
        opened = read_root_key(root_key, passphrase_file)
    else:
        chains = answer_of(ask(folder, "ca.show")).objects("chains")
        if chains[0].text("root_key") == "here, encrypted":
            passphrase = known_passphrase(passphrase_file, "the root's key")
    # A root's key that is encrypted is followed by one with the same passphrase.
    same = passphrase if opened is None else opened.passphrase
    chosen = same or new_passphrase(passphrase_file, encrypt_root)
    return {
        "root_key": None if opened is None else opened.pem,
        "passphrase": passphrase,
        "new_passphrase": chosen,
        "key_folder": None if root_key_out is None else os.fspath(root_key_out.absolute()),
    }


def print_changed(answer: Answer) -> None:
    """The authority after a change, and what an operator should know of it."""
    _print_authority(answer)
    _print_warnings(answer.texts("warnings"))


def _found(folder: DataFolder, make: Callable[[Path], object]) -> None:
    folder.create()
    with folder.lock():
        Household.found(folder, make)


def _check_new(folder: DataFolder, remedy: str) -> None:
    if folder.initialised:
        raise CommandError(f"{folder.path} has an authority already", remedy)


def _import_into_new(folder: DataFolder, arguments: dict[str, object]) -> list[str]:
    now = datetime.datetime.now(datetime.UTC)
    with _refused():
        taken = operations.read_import(arguments, now)
    kept = operations.read_kept(arguments)
    _found(folder, lambda ca: importing.found(ca, taken, kept, now, local_user()))
    return list(taken.warnings)


def _read_import(contents: list[Content]) -> tuple[list[x509.Certificate], PrivateKeyTypes]:
    certificates = [one for content in contents for one in content.certificates]
    keys = [(item, content.path) for content in contents for item in content.keys]
    if len(keys) != 1:
        raise CommandError(
            f"There are {len(keys)} private keys in these files", "Give the CA's certificate and its one key."
        )
    item, path = keys[0]
    return certificates, private_key_of(item, path)


def _rsa_kind(text: str) -> KeyKind:
    kind = key_kind_named(KeyKind.RSA_2048.value if text == "rsa" else text)
    if not kind.is_rsa:
        raise CommandError(f"{text} is no RSA key", f"Take {RSA_KINDS}.")
    return kind


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    """What is wrong with files and words that the user gave is bad input."""
    try:
        yield
    except PkiError as error:
        raise CommandError(str(error), "", BAD_INPUT) from error


def _print_authority(answer: Answer) -> None:
    for number, chain in enumerate(answer.objects("chains")):
        root, intermediate = chain.object("root"), chain.optional("intermediate")
        notes = [f"key {chain.text('root_key')}"]
        notes += ["imported"] if chain.flag("imported") else []
        if number:
            print()
        print(_TITLES[chain.text("name")])
        print(f"  root          {_described(root)}; {', '.join(notes)}")
        print(f"    SHA-256     {root.text('sha256')}")
        issues = "none: the root issues itself" if intermediate is None else _described(intermediate)
        print(f"  intermediate  {issues}")
    print()
    phase = answer.text("rollover")
    if phase != "none":
        print(f"Rollover: {phase}.")
    print(
        f"Certificates issued: {answer.number('issued')}, revoked: {answer.number('revoked')}; "
        f"clients with a valid one: {answer.number('valid_clients')}."
    )


_TITLES = {
    "main": "Issues, and devices trust it (ca.pem):",
    "rsa": "For devices that verify RSA only (ca-rsa.pem):",
    "next": "Next: trusted, will issue after the switch:",
    "previous": "Previous: trusted until the rollover is finished:",
}


def _described(one: Answer) -> str:
    until = f"until {one.text('until')} ({one.number('days_left')} days)"
    return f"{one.text('name')}, {one.text('key')}, {until}"


def _print_warnings(warnings: list[str]) -> None:
    for warning in warnings:
        print(f"Note: {warning}")
