"""Subject alternative names (RFC 5280 section 4.2.1.6): read from a command, checked, and written as text."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from cryptography import x509

from lockwire.pki.errors import InvalidNameError
from lockwire.pki.reading import extension_of

_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_MAILBOX: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_KINDS: Final = {"dns": "DNS", "ip": "IP", "uri": "URI", "email": "email"}
_REMEDY: Final = (
    "Write a host name, an address, a URI or an e-mail address, or DNS:, IP:, URI: or email: before."
)


def parse_alternative(text: str) -> x509.GeneralName:
    """One alternative name as a command takes it, with or without its kind before it (`DNS:plant.local`).

    Names in other alphabets become their ASCII form. Raises InvalidNameError.
    """
    prefix, colon, rest = text.partition(":")
    kind = prefix.lower() if colon and prefix.lower() in _KINDS else _guess(text)
    value = rest if colon and prefix.lower() in _KINDS else text
    try:
        if kind == "ip":
            return x509.IPAddress(ipaddress.ip_address(value))
        if kind == "uri":
            return _checked(x509.UniformResourceIdentifier(value), text)
        if kind == "email":
            mailbox, at, host = value.rpartition("@")
            return _checked(x509.RFC822Name(mailbox + at + _ascii(host)), text)
        return _checked(x509.DNSName(_ascii(value)), text)
    except ValueError as error:
        raise InvalidNameError(f"{text!r} is no alternative name", _REMEDY) from error


def alternative_problem(name: x509.GeneralName) -> str:
    """What is wrong with an alternative name, "" where it is one that Lockwire issues."""
    if isinstance(name, x509.DNSName):
        return "" if _is_host(name.value) else "is no host name"
    if isinstance(name, x509.UniformResourceIdentifier):
        return "" if _SCHEME.fullmatch(name.value) else "is no absolute URI"
    if isinstance(name, x509.RFC822Name):
        mailbox, _, host = name.value.rpartition("@")
        return "" if _MAILBOX.fullmatch(mailbox) and _is_host(host) else "is no e-mail address"
    if isinstance(name, x509.IPAddress):
        # A network, as name constraints have them, names nobody.
        is_one = isinstance(name.value, (ipaddress.IPv4Address, ipaddress.IPv6Address))
        return "" if is_one else "is a network"
    return "is of a kind that is not issued"


def alternative_text(name: x509.GeneralName) -> str:
    """An alternative name with its kind, as `parse_alternative` reads it: `DNS:plant.local`."""
    for kind, known in (
        ("DNS", x509.DNSName),
        ("IP", x509.IPAddress),
        ("URI", x509.UniformResourceIdentifier),
        ("email", x509.RFC822Name),
    ):
        if isinstance(name, known):
            return f"{kind}:{name.value}"
    return f"{type(name).__name__}:{_inside(name)!r}"


def alternative_values(names: Iterable[x509.GeneralName]) -> tuple[str, ...]:
    """Alternative names without their kinds, sorted, each once: what two certificates are compared by."""
    return tuple(sorted({str(_inside(name)) for name in names}))


def alternatives_of(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    """The alternative names of a certificate, none where it has none or they cannot be read."""
    return tuple(extension_of(certificate, x509.SubjectAlternativeName) or ())


def with_addresses_as_names(names: Iterable[x509.GeneralName]) -> tuple[x509.GeneralName, ...]:
    """Each once, DNS names first, each address also as one: mbed TLS and BearSSL read no others."""
    given = list(dict.fromkeys(names))
    as_names = [x509.DNSName(str(name.value)) for name in given if isinstance(name, x509.IPAddress)]
    own = [name for name in given if isinstance(name, x509.DNSName)]
    others = [name for name in given if not isinstance(name, x509.DNSName)]
    return (*dict.fromkeys([*own, *as_names]), *others)


def _guess(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        return "ip"
    if "@" in text and ":" not in text:
        return "email"
    return "uri" if _SCHEME.fullmatch(text) else "dns"


def _ascii(host: str) -> str:
    """A host name in its ASCII form (RFC 5891). Raises ValueError."""
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        return True
    labels = text.removeprefix("*.").split(".")
    return len(text) <= 253 and all(map(_LABEL.fullmatch, labels))


def _checked(name: x509.GeneralName, text: str) -> x509.GeneralName:
    problem = alternative_problem(name)
    if problem:
        raise InvalidNameError(f"{text!r} {problem}", _REMEDY)
    return name


def _inside(name: x509.GeneralName) -> object:
    return name.value
