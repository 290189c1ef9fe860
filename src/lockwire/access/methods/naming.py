"""Which name a client has by its certificate, and which client identifiers go with a name.

A name is what rules, logs and the registry call a client. Any text that MQTT can carry as a user name
(section 3.1.3.5) and a person can read will do: letters of every script, spaces inside, `/`, `+` and `#` too
(rules whose placeholder such a name would fill do not apply to it). Refused are names that are empty, longer
than 65,535 bytes, begin with `$`, begin or end with a space, hold characters that do not print, NUL among
them, or are "anonymous".
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography import x509

from lockwire.access.errors import NamingError
from lockwire.access.identity import ANONYMOUS_NAME
from lockwire.pki.certificate import certificate_key, common_name_of

MAXIMUM_BYTES: Final = 65_535
"""Of a UTF-8 string in MQTT (MQTT 5 section 1.5.4)."""

FREE: Final = "free"
SAME: Final = "same"
PREFIXED: Final = "prefixed"
SEPARATORS: Final = "-:._/"

_SHOWN: Final = 64
_FIELDS: Final = {
    "cn": "common name",
    "subject": "subject",
    "san-dns": "DNS name",
    "san-email": "email address",
    "san-uri": "URI",
    "san-ip": "IP address",
}
SOURCES: Final = tuple(_FIELDS)
"""What `username_from` may say."""

# `cryptography` would write what a peer's certificate provokes to standard error, past the log.
warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)

_AnyName = TypeVar("_AnyName", x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier, x509.IPAddress)


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """What a verified client certificate says of its holder.

    key: as `lockwire.pki.certificate.certificate_key` makes it, "" where it cannot be read.
    common_name: the subject's, "" where there is none, more than one, or one that cannot be a name.
    username: the part that was asked for, "" where there is none to use; then `problem` says why.
    expired: it is no longer valid, which TLS does not look at when a session is resumed.
    """

    key: str = ""
    common_name: str = ""
    username: str = ""
    problem: str = ""
    expired: bool = False


def names_in(der: bytes, username_from: str, now: float | None = None) -> CertificateNames:
    """Reads a client certificate; never raises for what stands in it.

    der: the certificate. username_from: one of SOURCES. now: a time of `time.time()` at which it must not
    have expired; None: that is not looked at.
    """
    key = ""
    try:
        key = certificate_key(der)
        certificate = x509.load_der_x509_certificate(der)
        common = common_name_of(certificate.subject) or ""
        end = certificate.not_valid_after_utc
    except (ValueError, x509.InvalidVersion) as error:
        return CertificateNames(key, problem=f"the client certificate cannot be read: {shown(str(error))}")
    if now is not None and now > end.timestamp():
        problem = f"the client certificate expired on {end:%Y-%m-%d}; issue the device a new one"
        return CertificateNames(key, problem=problem, expired=True)
    if problem_with(common):
        common = ""
    try:
        return CertificateNames(key, common, _username(certificate, username_from))
    except NamingError as error:
        return CertificateNames(key, common, problem=str(error))


def problem_with(name: str) -> str:
    """Why a client cannot be called this, "" where it can."""
    if not name:
        return "is empty"
    if len(name.encode(errors="surrogatepass")) > MAXIMUM_BYTES:
        return f"is longer than {MAXIMUM_BYTES} bytes"
    if not name.isprintable():
        return "has characters that do not print"
    if name != name.strip():
        return "begins or ends with a space"
    if name.startswith("$"):
        return "begins with $, as only the broker's own topics do"
    if name.casefold() == ANONYMOUS_NAME:
        return "is what clients without a name are called"
    return ""


def client_id_problem(client_id: str, name: str, binding: str) -> str:
    """Why a client of this name cannot have this client identifier, "" where it can.

    binding: "free", "same" or "prefixed".
    """
    if binding == FREE or client_id == name:
        return ""
    if binding == PREFIXED and client_id.startswith(name) and client_id[len(name)] in SEPARATORS:
        return ""
    wanted = f"{shown(name)}"
    if binding == PREFIXED:
        wanted += f", alone or followed by one of {' '.join(SEPARATORS)} and more"
    return (
        f"the client identifier {shown(client_id)} with the user name {shown(name)}; this listener wants "
        f"{wanted}: set it in the client, or listener.identity.client_id to "
        + ('"prefixed" or "free"' if binding == SAME else '"free"')
    )


def assigned_client_id(client_id: str, name: str, binding: str) -> str:
    """What a client of this name gets whose client identifier the broker chooses.

    client_id: what it would get where any will do.
    """
    if binding == SAME:
        return name
    return f"{name}-{client_id}" if binding == PREFIXED else client_id


def _username(certificate: x509.Certificate, username_from: str) -> str:
    what = _FIELDS[username_from]
    if username_from == "cn":
        name = _common_name(certificate.subject)
    elif username_from == "subject":
        name = _subject(certificate.subject)
    else:
        name = _alternative_name(certificate, username_from)
    problem = problem_with(name)
    if problem:
        raise NamingError(
            f"the {what} of the client certificate, {shown(name)}, {problem}; issue one with another name"
        )
    return name


def _common_name(subject: x509.Name) -> str:
    name = common_name_of(subject)
    if name is None:
        raise NamingError(
            "the client certificate has no common name, or more than one; issue one with the client's name "
            "as its only common name, or set listener.identity.username_from to another part"
        )
    return name


def _subject(subject: x509.Name) -> str:
    for attribute in subject:
        if isinstance(attribute.value, str) and not attribute.value.isprintable():
            raise NamingError(
                "the subject of the client certificate has characters that do not print; issue another"
            )
    return subject.rfc4514_string()


def _alternative_name(certificate: x509.Certificate, username_from: str) -> str:
    """The first name of this kind in the subject alternative name (RFC 5280 section 4.2.1.6)."""
    what = _FIELDS[username_from]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if username_from == "san-dns":
            name = _first(names, x509.DNSName).lower()  # RFC 4343: DNS knows no case
        elif username_from == "san-email":
            name = _first(names, x509.RFC822Name)
        elif username_from == "san-uri":
            name = _first(names, x509.UniformResourceIdentifier)
        else:
            name = _first(names, x509.IPAddress)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise NamingError(
            f"the subject alternative name of the client certificate cannot be read: {shown(str(error))}"
        ) from error
    except (x509.ExtensionNotFound, LookupError):
        raise NamingError(
            f"the client certificate has no {what} in its subject alternative name, which is the user name "
            f"here; issue one that has, or set listener.identity.username_from to another part"
        ) from None
    if "*" in name and username_from == "san-dns":
        raise NamingError(f"the {what} {shown(name)} of the client certificate is a pattern and no name")
    return name


def _first(names: x509.SubjectAlternativeName, kind: type[_AnyName]) -> str:
    return str(names.get_values_for_type(kind)[0])


def shown(text: str) -> str:
    """What a peer sent, for a line of the log, which it can neither break nor fill."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}..."
