"""What one device family cannot do, from the table of families."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.families import Family, FileForm, KeyLimit
from lockwire.pki.reading import public_key_of
from lockwire.pki.toolkit.checks.finding import Finding, note, risk, wrong
from lockwire.pki.toolkit.checks.question import Question
from lockwire.pki.wording import key_size, key_text

_CONVERT = {
    "PEM": "Convert it: lockwire cert convert FILE --to pem --out NEW.",
    "DER": "Convert it: lockwire cert convert FILE --to der --out NEW.",
    "header": "Make a header of it: lockwire cert convert FILE --to progmem --out NEW.h (or --to c-array).",
}


def check_family(question: Question) -> Iterator[Finding]:
    """Everything that depends on `--for`; nothing where no family was named."""
    family = question.family
    if family is None:
        return
    if question.use == "client" and family.client_certificates is False:
        yield wrong(
            "no-client-certificates",
            family.name,
            f"cannot present a client certificate ({family.title})",
            "Let it prove who it is by a password, on a listener that asks for no certificate.",
        )
        return
    yield from _check_keys(question, family)
    if question.use != "server" or family.role == "broker":
        yield from _check_files(question, family)
    if question.use == "server":
        yield from _check_chain_size(question, family)
    if question.use == "client" and family.sends_chain is False and len(question.path.certificates) > 2:
        yield risk(
            "chain-not-sent",
            family.name,
            "sends its own certificate without the intermediate",
            "Put the intermediate among the CAs that the broker trusts.",
        )


def _check_keys(question: Question, family: Family) -> Iterator[Finding]:
    leaf, *issuers = question.path.certificates
    limits = {"server": family.server_keys, "client": family.client_keys, "authority": family.authority_keys}
    yield from _check_one_key(question, family, leaf, limits[question.use])
    if question.use == "client":
        return  # the device does not verify its own certificate
    for issuer in issuers:
        yield from _check_one_key(question, family, issuer, family.authority_keys)


def _check_one_key(
    question: Question, family: Family, certificate: x509.Certificate, limits: tuple[KeyLimit, ...] | None
) -> Iterator[Finding]:
    if limits is None:
        return
    key = public_key_of(certificate)
    if key is None:
        return  # said by the check on strength
    kind, bits = key_size(key)
    if not any(limit.takes(kind, bits) for limit in limits):
        yield wrong(
            "family-key",
            question.name(certificate),
            f"has a {key_text(certificate)} key, which {family.name} cannot use",
            f"Use {_describe(limits)}.",
        )
        return
    recommended = next((limit.recommended for limit in limits if limit.kind == kind), None)
    if recommended is not None and bits > recommended:
        seconds = f", up to {family.handshake_seconds:g} s" if family.handshake_seconds else ""
        yield note(
            "slow-key",
            question.name(certificate),
            f"has a {key_text(certificate)} key, with which a handshake of {family.name} takes long{seconds}",
            f"Its maker recommends {recommended} bits; brokers refuse less than 2048, so allow it the time.",
        )


def _describe(limits: tuple[KeyLimit, ...]) -> str:
    words = []
    for limit in limits:
        least = f" of {limit.minimum} bits" if limit.minimum else ""
        most = f" to {limit.maximum}" if limit.maximum and limit.maximum != limit.minimum else ""
        words.append(f"{limit.kind}{least}{most}{' or more' if least and not most else ''}")
    return " or ".join(words)


def _check_files(question: Question, family: Family) -> Iterator[Finding]:
    """Files that are stored on the device itself."""
    content = question.content
    yield from _check_form(str(content.path), content.form, family, family.certificate_forms)
    yield from _check_size(str(content.path), content.size, family)
    if question.key_file is not None and question.key_file != content.path and question.key_file.is_file():
        yield from _check_size(str(question.key_file), question.key_file.stat().st_size, family)
    if question.key is not None and question.key.encryption and family.key_passwords is False:
        yield wrong(
            "key-password",
            str(question.key_file or content.path),
            f"is encrypted, and {family.name} cannot ask for a password",
            "Decrypt it: lockwire cert convert FILE --to pkcs8 --out NEW.",
        )


def _check_form(
    about: str, form: str, family: Family, forms: tuple[FileForm, ...] | None
) -> Iterator[Finding]:
    if forms is not None and form not in forms:
        yield wrong(
            "file-form",
            about,
            f"is {form}, and {family.name} takes {' or '.join(forms)}",
            _CONVERT[forms[0]],
        )


def _check_size(about: str, size: int, family: Family) -> Iterator[Finding]:
    limit = family.file_size if family.file_size is not None else family.store_size
    if limit is not None and size > limit:
        yield wrong(
            "file-size",
            about,
            f"has {size} bytes, and {family.name} takes {limit}",
            "Leave out comments and the certificates that need not be there: "
            "lockwire cert convert FILE --to single --out NEW.",
        )


def _check_chain_size(question: Question, family: Family) -> Iterator[Finding]:
    size = sum(len(each.public_bytes(Encoding.DER)) for each in question.content.certificates)
    if family.chain_size is not None and size > family.chain_size:
        yield risk(
            "chain-size",
            str(question.content.path),
            f"is a chain of {size} bytes, much for the memory of {family.name} (better under "
            f"{family.chain_size})",
            "Leave out the root, use P-256 keys, and keep the names short.",
        )
