"""What the CAs above allow: purposes and names (RFC 5280 sections 4.2.1.10 and 4.2.1.12)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from lockwire.pki.reading import extension_of
from lockwire.pki.toolkit.checks.finding import Finding, wrong
from lockwire.pki.toolkit.checks.question import Question
from lockwire.pki.wording import names_of, purposes

_PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


def check_constraints(question: Question) -> Iterator[Finding]:
    """Every CA on the path, as it limits what is below it."""
    if question.use == "authority":
        return
    for issuer in question.path.certificates[1:]:
        yield from _check_purpose(question, issuer)
        constraints = extension_of(issuer, x509.NameConstraints)
        if constraints is not None:
            yield from _check_names(question, issuer, constraints)


def _check_purpose(question: Question, issuer: x509.Certificate) -> Iterator[Finding]:
    """The standard gives an extended key usage in a CA no meaning; OpenSSL, Windows and others do."""
    extended = extension_of(issuer, x509.ExtendedKeyUsage)
    needed = {_PURPOSES[question.use], ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if extended is not None and not needed & set(extended):
        yield wrong(
            "issuer-purpose",
            question.name(issuer),
            f"is a CA for {', '.join(purposes(extended))}, not for a TLS {question.use}",
            "Issue from a CA without an extended key usage, or with this one.",
        )


def _check_names(
    question: Question, issuer: x509.Certificate, constraints: x509.NameConstraints
) -> Iterator[Finding]:
    names = extension_of(question.leaf, x509.SubjectAlternativeName)
    refused = [
        name
        for name in names or ()
        if _is_in(name, constraints.excluded_subtrees or ())
        or not _is_permitted(name, constraints.permitted_subtrees or ())
    ]
    if refused:
        yield wrong(
            "name-constraints",
            question.name(question.leaf),
            f"is for {', '.join(names_of(x509.SubjectAlternativeName(refused)))}, which "
            f"{question.name(issuer)} may not issue (name constraints)",
            "Issue it without these names, or from another CA.",
        )


def _is_permitted(name: x509.GeneralName, subtrees: Iterable[x509.GeneralName]) -> bool:
    """What is permitted of a kind limits names of that kind only; others than hosts are not judged."""
    if not isinstance(name, (x509.DNSName, x509.IPAddress)):
        return True
    same = [subtree for subtree in subtrees if type(subtree) is type(name)]
    return not same or _is_in(name, same)


def _is_in(name: x509.GeneralName, subtrees: Iterable[x509.GeneralName]) -> bool:
    """Whether a DNS name or an address is within one of these."""
    return any(_covers(subtree, name) for subtree in subtrees)


def _covers(subtree: x509.GeneralName, name: x509.GeneralName) -> bool:
    if isinstance(name, x509.DNSName) and isinstance(subtree, x509.DNSName):
        host, domain = name.value.lower(), subtree.value.lower()
        return not domain or host == domain or host.endswith("." + domain.removeprefix("."))
    if isinstance(name, x509.IPAddress) and isinstance(subtree, x509.IPAddress):
        network, address = subtree.value, name.value
        return (
            isinstance(network, (ipaddress.IPv4Network, ipaddress.IPv6Network))
            and isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address))
            and address in network
        )
    return False
