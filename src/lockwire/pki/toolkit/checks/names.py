"""Names: whether clients find the host they connect to, as each kind of client looks for it."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator

from cryptography import x509

from lockwire.families import NameField
from lockwire.pki.certificate import is_address
from lockwire.pki.reading import common_names_of, extension_of, hosts_of, public_key_of
from lockwire.pki.toolkit.checks.finding import Finding, note, risk, wrong
from lockwire.pki.toolkit.checks.question import Question
from lockwire.pki.wording import names_of, printable

_ADDRESS_REMEDY = (
    "Issue it with the address in the alternative name both as an IP address and as a DNS name "
    "(subjectAltName=IP:{0},DNS:{0})."
)


def check_names(question: Question) -> Iterator[Finding]:
    """The host asked for, else whatever addresses and names the certificate has (RFC 6125, RFC 9525)."""
    if question.use != "server":
        return
    if question.host is not None and is_address(question.host):
        yield from _check_address(question, str(ipaddress.ip_address(question.host)), asked=True)
    elif question.host is not None:
        yield from _check_host(question, question.host)
    else:
        yield from _check_addresses(question)
    yield from _check_alternative(question)
    yield from _check_form(question)


def check_request(question: Question) -> Iterator[Finding]:
    """Whether the names asked for came through the signing: `openssl x509 -req` drops them."""
    if question.request is None:
        return
    about = question.name(question.leaf)
    if public_key_of(question.request) != public_key_of(question.leaf):
        yield wrong(
            "request-key", about, "has another key than the request", "Give the request it was made from."
        )
        return
    asked = extension_of(question.request, x509.SubjectAlternativeName)
    granted = extension_of(question.leaf, x509.SubjectAlternativeName)
    lost = set(names_of(asked) if asked else []) - set(names_of(granted) if granted else [])
    if lost:
        yield wrong(
            "names-lost",
            about,
            f"lacks names that the request asked for: {', '.join(sorted(lost))}",
            "Sign the request again with them: openssl x509 -req drops them unless it has -copy_extensions "
            "copyall or -extfile; lockwire cert sign keeps them.",
        )


def name_fields(certificate: x509.Certificate, host: str) -> set[NameField]:
    """Where in a certificate a host stands. The common name counts only where there are no DNS names."""
    names, addresses = hosts_of(certificate)
    found: set[NameField] = set()
    if is_address(host):
        address = str(ipaddress.ip_address(host))
        if address in addresses:
            found.add("iPAddress")
        if address in names:
            found.add("dNSName")
    elif any(matches(name, host) for name in names):
        found.add("dNSName")
    if not names and any(matches(name, host) for name in common_names_of(certificate)):
        found.add("commonName")
    return found


def matches(pattern: str, host: str) -> bool:
    """Whether a DNS name stands for a host; a `*` is one whole first label (RFC 6125 section 6.4.3).

    A dot at the end of the host is left out; one in a certificate makes a name that nobody finds.
    """
    pattern, host = _folded(pattern), _folded(host.removesuffix("."))
    if pattern == host:
        return True
    first, dot, rest = pattern.partition(".")
    if first != "*" or not dot or rest.count(".") < 1 or is_address(host):
        return False
    return host.partition(".")[2] == rest and bool(host.partition(".")[0])


def _folded(name: str) -> str:
    plain = name.lower()
    if plain.isascii():
        return plain
    try:
        return plain.encode("idna").decode()
    except UnicodeError:
        return plain


def _addresses(certificate: x509.Certificate) -> list[str]:
    names, addresses = hosts_of(certificate)
    others = [*names, *common_names_of(certificate)]
    candidates = [*addresses, *(name for name in others if is_address(name))]
    return sorted({str(ipaddress.ip_address(each)) for each in candidates})


def _check_addresses(question: Question) -> Iterator[Finding]:
    """Every address in the certificate, one finding a cause."""
    found: dict[str, list[Finding]] = {}
    for address in _addresses(question.leaf):
        for finding in _check_address(question, address, asked=False):
            found.setdefault(finding.code, []).append(finding)
    for first, *others in found.values():
        more = f"; so have {len(others)} more of its addresses" if others else ""
        yield dataclasses.replace(first, text=first.text + more)


def _check_host(question: Question, host: str) -> Iterator[Finding]:
    about, fields = question.name(question.leaf), name_fields(question.leaf, host)
    if not fields:
        yield wrong(
            "name",
            about,
            f"is not for {printable(host)}; it is for {_all_names(question.leaf)}",
            f"Connect by one of its names, or issue it with DNS:{printable(host)} in the alternative name.",
        )
        return
    if host.endswith("."):
        yield risk(
            "host-dot",
            about,
            f"is for {printable(host.rstrip('.'))}, and Python, Mosquitto and others with OpenSSL do not "
            f"find it when they connect to {printable(host)}",
            "Connect without the dot at the end.",
        )
    if fields == {"commonName"}:
        yield risk(
            "common-name-only",
            about,
            f"has {printable(host)} in the common name only: programs in Go and browsers do not look there",
            f"Issue it with subjectAltName=DNS:{printable(host)}.",
        )


def _check_address(question: Question, address: str, asked: bool) -> Iterator[Finding]:
    """An address has to stand where the client looks: OpenSSL at iPAddress, small libraries at dNSName."""
    about, fields = question.name(question.leaf), name_fields(question.leaf, address)
    remedy = _ADDRESS_REMEDY.format(address)
    family = question.family
    _, addresses = hosts_of(question.leaf)
    if not fields and asked:
        yield wrong("name", about, f"is not for {address}; it is for {_all_names(question.leaf)}", remedy)
    elif family is not None and family.address_fields is not None:
        # mbed TLS and BearSSL read the common name only where there is no alternative name at all.
        usable = fields - {"commonName"} if addresses else fields
        if not usable & set(family.address_fields):
            where = " or ".join(family.address_fields)
            yield wrong(
                "address-field", about, f"has {address} where {family.title} does not look ({where})", remedy
            )
    elif "dNSName" not in fields and (addresses or "commonName" not in fields):
        yield risk(
            "address-not-as-name",
            about,
            f"has {address} as an IP address only: mbed TLS 2.28 and BearSSL (ESP32, ESP8266, Arduino, "
            f"NetControl) "
            "look for it among the DNS names",
            remedy,
        )
    elif "iPAddress" not in fields:
        yield risk(
            "address-not-as-address",
            about,
            f"has {address} as a name only: Python, Node-RED and others look for an IP address",
            remedy,
        )


def _check_alternative(question: Question) -> Iterator[Finding]:
    leaf = question.leaf
    if extension_of(leaf, x509.SubjectAlternativeName) is None and question.host is None:
        yield risk(
            "no-alternative-name",
            question.name(leaf),
            "has no alternative name: clients find a host in the common name at best, and many do not look "
            "there",
            "Issue it with subjectAltName; openssl x509 -req drops it unless it has -copy_extensions "
            "copyall.",
        )


def _check_form(question: Question) -> Iterator[Finding]:
    """Names that are no host names: a URL, a port, a wildcard in the wrong place."""
    names, _ = hosts_of(question.leaf)
    for name in sorted(names):
        address = is_address(name)
        if not address and ("/" in name or ":" in name or name.endswith(".")):
            yield wrong(
                "name-form",
                question.name(question.leaf),
                f"has the DNS name {printable(name)!r}, which is no host name",
                "Use the bare name, without scheme and port, and without a dot at its end.",
            )
        elif "*" in name and not (name.startswith("*.") and name.count("*") == 1 and name.count(".") > 1):
            yield note(
                "wildcard",
                question.name(question.leaf),
                f"has the name {printable(name)!r}: a * stands only for the whole first part of a longer "
                f"name",
                "Use a name such as *.plant.local, or list the names.",
            )


def _all_names(certificate: x509.Certificate) -> str:
    names = extension_of(certificate, x509.SubjectAlternativeName)
    shown = names_of(names) if names else []
    if not shown:
        shown = [f"{printable(name)} (common name)" for name in common_names_of(certificate)]
    return (
        ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "") or "no name at all"
    )
