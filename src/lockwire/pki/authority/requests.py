"""What is asked of the authority: a certificate for a name, or for a signing request (PKCS#10, RFC 2986)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lockwire.pki.authority.alternatives import (
    alternative_problem,
    alternative_text,
    alternatives_of,
    parse_alternative,
    with_addresses_as_names,
)
from lockwire.pki.authority.profiles import BRIDGE, CLIENT, PROFILES, SERVER, Profile
from lockwire.pki.certificate import common_name_of
from lockwire.pki.errors import InvalidNameError, MalformedFileError, RequestError
from lockwire.pki.keys import KeyKind, PublicKey, check_public_key
from lockwire.pki.names import check_name
from lockwire.pki.reading import extension_of

MAXIMUM_DAYS: Final = 7305
MAXIMUM_ALTERNATIVES: Final = 100


@dataclass(frozen=True, slots=True)
class Request:
    """A certificate that is wanted.

    name: its common name, and the MQTT user name of a client.
    alternative: its alternative names, complete.
    key: the device's own public key; the kind of one to make; None for the kind that fits the issuer.
    days: from notBefore to notAfter; None for the profile's.
    subject: the whole subject where it is more than the common name.
    """

    name: str
    profile: Profile
    alternative: tuple[x509.GeneralName, ...] = ()
    key: PublicKey | KeyKind | None = None
    days: int | None = None
    subject: x509.Name | None = None


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """What a device asks for itself: its common name, its alternative names, its public key."""

    name: str | None
    alternative: tuple[x509.GeneralName, ...]
    key: PublicKey


def profile_named(name: str) -> Profile:
    """The profile of this name. Raises RequestError."""
    try:
        return PROFILES[name]
    except KeyError:
        raise RequestError(f"There is no profile {name!r}", f"Take one of {', '.join(PROFILES)}.") from None


def key_kind_named(name: str) -> KeyKind:
    """The kind of key of this name. Raises RequestError."""
    try:
        return KeyKind(name.lower())
    except ValueError:
        kinds = ", ".join(kind.value for kind in KeyKind)
        raise RequestError(f"There is no kind of key {name!r}", f"Take one of {kinds}.") from None


def make_request(
    name: str,
    profile: Profile,
    alternative: Sequence[str] = (),
    key: PublicKey | KeyKind | None = None,
    days: int | None = None,
) -> Request:
    """A request from what a command says. A server without alternative names gets its name as one.

    alternative: as `parse_alternative` reads them. Raises InvalidNameError, RequestError.
    """
    check_name(name)
    check_days(days)
    names = [parse_alternative(text) for text in alternative]
    if profile.is_server and not names:
        try:
            names.append(parse_alternative(name))
        except InvalidNameError as error:
            raise InvalidNameError(
                f"{name!r} is no host name, and others find a server by one", "Give its names with --san."
            ) from error
    return Request(name, profile, _complete(names, profile), key, days)


def read_signing_request(data: bytes, file: Path | None = None) -> SigningRequest:
    """A signing request in PEM or DER whose signature proves that the sender has the key.

    Raises MalformedFileError where it is none, RequestError where the signature is wrong, WeakKeyError.
    """
    try:
        is_pem = b"-----BEGIN " in data
        request = x509.load_pem_x509_csr(data) if is_pem else x509.load_der_x509_csr(data)
        valid, key = request.is_signature_valid, request.public_key()
        name, alternative = common_name_of(request.subject), _asked_names(request)
    except (
        ValueError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise MalformedFileError(
            "There is no signing request (CSR) that can be read in this file",
            "Make one as with openssl req -new -key KEY -subj /CN=NAME.",
            file,
        ) from error
    if not valid:
        raise RequestError(
            "This signing request is not signed by the key in it",
            "Make it anew on the device: it was changed on its way, or put together wrongly.",
            file,
        )
    return SigningRequest(name, alternative, check_public_key(key, "The key of this signing request", file))


def request_for(
    asked: SigningRequest,
    profile: Profile,
    name: str | None = None,
    alternative: Sequence[str] = (),
    days: int | None = None,
    drop: bool = False,
    taken: Collection[str] = (),
    file: Path | None = None,
) -> Request:
    """The request of a device that keeps its key. Nothing else of it counts: the profile decides the rest.

    name: instead of the one asked for. alternative: further ones, as the operator gives them.
    drop: leaves out alternative names that are not allowed instead of refusing the whole.
    taken: names that belong to others, in lower case. Raises InvalidNameError, RequestError.
    """
    subject = name or asked.name
    if subject is None:
        raise RequestError(
            "This signing request has no common name, or more than one", "Give the name with --name.", file
        )
    check_name(subject)
    check_days(days)
    refused = [
        f"{alternative_text(one)} ({problem})"
        for one in asked.alternative
        if (problem := _not_allowed(one, profile, taken))
    ]
    if refused and not drop:
        raise RequestError(
            f"These alternative names are not allowed for the profile {profile.name}: {', '.join(refused)}",
            "Ask for others in the request, or sign it without them (--drop).",
            file,
        )
    kept = [one for one in asked.alternative if not _not_allowed(one, profile, taken)]
    names = [*kept, *(parse_alternative(text) for text in alternative)]
    if profile.is_server and not names:
        names.append(parse_alternative(subject))
    return Request(subject, profile, _complete(names, profile), asked.key, days)


def profile_of(certificate: x509.Certificate) -> Profile:
    """The profile that a certificate of another origin amounts to, by its extended key usage."""
    usage = extension_of(certificate, x509.ExtendedKeyUsage)
    if usage is None:
        return SERVER if alternatives_of(certificate) else CLIENT
    if ExtendedKeyUsageOID.SERVER_AUTH not in usage:
        return CLIENT
    return BRIDGE if ExtendedKeyUsageOID.CLIENT_AUTH in usage else SERVER


def subject_of(name: str) -> x509.Name:
    """The subject of a certificate: the common name alone."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def check_days(days: int | None) -> None:
    """Raises RequestError for a validity that no certificate has."""
    if days is not None and not 1 <= days <= MAXIMUM_DAYS:
        raise RequestError(f"A certificate cannot be valid for {days} days", f"Take 1 to {MAXIMUM_DAYS}.")


def _complete(names: Sequence[x509.GeneralName], profile: Profile) -> tuple[x509.GeneralName, ...]:
    unique = with_addresses_as_names(names) if profile.is_server else tuple(dict.fromkeys(names))
    if len(unique) > MAXIMUM_ALTERNATIVES:
        raise RequestError(
            f"{len(unique)} alternative names are more than small devices can read",
            f"Give {MAXIMUM_ALTERNATIVES} at most.",
        )
    return unique


def _not_allowed(name: x509.GeneralName, profile: Profile, taken: Collection[str]) -> str:
    problem = alternative_problem(name)
    if problem:
        return problem
    if isinstance(name, x509.DNSName) and name.value.startswith("*"):
        return "a wildcard is given with --san only"
    return "" if profile.is_server or str(name.value).lower() not in taken else "it is the name of another"


def _asked_names(request: x509.CertificateSigningRequest) -> tuple[x509.GeneralName, ...]:
    try:
        return tuple(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return ()
