"""Time, issuers and the order of the chain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from cryptography import x509

from lockwire.pki.paths import Path, identifies, is_self_signed
from lockwire.pki.reading import extension_of, is_authority
from lockwire.pki.toolkit.checks.finding import Finding, note, risk, wrong
from lockwire.pki.toolkit.checks.question import Question, short_name
from lockwire.pki.toolkit.inspect import authority_addresses
from lockwire.pki.wording import days, name_text, printable

SOON_DAYS: Final = 30


def check_times(question: Question) -> Iterator[Finding]:
    """Whether everything on the path is valid, and stays so as long as the leaf does."""
    path = question.path.certificates
    for certificate in path:
        yield from _check_time(question, certificate)
    for below, above in itertools.pairwise(path):
        if below.not_valid_after_utc > above.not_valid_after_utc and above.not_valid_after_utc > question.at:
            yield risk(
                "outlives-issuer",
                question.name(below),
                f"ends on {below.not_valid_after_utc:%Y-%m-%d}, after its issuer {short_name(above)}, which "
                f"ends on "
                f"{above.not_valid_after_utc:%Y-%m-%d}",
                "It stops working with its issuer: renew the issuer before then.",
            )


def _check_time(question: Question, certificate: x509.Certificate) -> Iterator[Finding]:
    at, about = question.at, question.name(certificate)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    is_leaf = certificate == question.leaf
    if at > end:
        yield wrong(
            "expired" if is_leaf else "issuer-expired",
            about,
            f"ended on {end:%Y-%m-%d}, {days(at - end)} before {at:%Y-%m-%d}",
            "Renew it."
            if is_leaf
            else "Everything below it ends with it: a new CA is needed, on every device.",
        )
    elif at < begin:
        yield wrong(
            "not-yet-valid",
            about,
            f"begins on {begin:%Y-%m-%d %H:%M} UTC, {days(begin - at)} after {at:%Y-%m-%d %H:%M}",
            "Check the clock of whoever made it and of whoever reads it; issue it with notBefore in the "
            "past.",
        )
    elif (end - at).days < SOON_DAYS:
        yield risk("expires-soon", about, f"ends on {end:%Y-%m-%d}, in {days(end - at)}", "Renew it now.")


def check_path(question: Question) -> Iterator[Finding]:
    """Whether the path reaches a CA that is trusted, and each issuer may issue (RFC 5280 section 6.1)."""
    path = question.path
    if path.end == "another key":
        yield _regenerated(question, path)
    elif path.end == "missing":
        yield _missing(question, path)
    elif path.end == "self-signed" and question.anchors is not None:
        yield _untrusted(question, path)
    elif question.anchors is None and question.use != "authority":
        yield note(
            "not-compared",
            question.name(path.top),
            "was not compared with a CA that clients trust",
            "Give that CA with --ca FILE.",
        )
    if question.anchors is not None:
        yield from _check_anchors(question, path)
    for height, (below, above) in enumerate(itertools.pairwise(path.certificates)):
        yield from _check_issuer(question, below, above, height)


def _regenerated(question: Question, path: Path) -> Finding:
    return wrong(
        "issuer-regenerated",
        question.name(path.top),
        f"names {name_text(path.top.issuer)} as its issuer, but the key of that CA certificate did not sign "
        f"it: "
        "a CA was made again under the same name",
        "Use the CA certificate from the time when it was issued, or have it issued again by the present CA.",
    )


def _missing(question: Question, path: Path) -> Finding:
    top = path.top
    addresses = authority_addresses(top)
    where = (
        f"fetch it from {printable(addresses[0])}"
        if addresses
        else "ask whoever issued it for that certificate"
    )
    place = "the file" if question.anchors is None else "the file or among the trusted CAs"
    if is_authority(top) and question.anchors is None and question.use != "authority":
        return note(
            "not-compared",
            question.name(top),
            f"was issued by {name_text(top.issuer)}, which is not in the file",
            "Give that CA with --ca FILE.",
        )
    weigh = wrong if question.anchors is not None else note
    return weigh(
        "issuer-missing",
        question.name(top),
        f"was issued by {name_text(top.issuer)}, which is not in {place}",
        f"Put the issuer's certificate behind it, or among the trusted CAs: {where}.",
    )


def _untrusted(question: Question, path: Path) -> Finding:
    what = "is self-signed" if path.top == question.leaf else "is a root"
    return wrong(
        "untrusted",
        question.name(path.top),
        f"{what} and not among the certificates in {question.anchor_file}",
        "Trust this certificate, or use one that a trusted CA issued.",
    )


def _check_anchors(question: Question, path: Path) -> Iterator[Finding]:
    anchors = question.anchors or ()
    about = str(question.anchor_file)
    if not any(is_authority(each) or is_self_signed(each) for each in anchors):
        yield wrong(
            "not-a-ca", about, "holds no CA certificate", "Give the root CA's certificate, not a server's."
        )
    elif path.end == "anchor" and not is_self_signed(path.top):
        yield risk(
            "anchor-not-root",
            question.name(path.top),
            "is trusted without being a root: OpenSSL's clients (Mosquitto, Node-RED, Python before 3.13) "
            "go on to "
            f"look for {name_text(path.top.issuer)}",
            "Install the root; an intermediate changes more often.",
        )


def _check_issuer(
    question: Question, below: x509.Certificate, above: x509.Certificate, height: int
) -> Iterator[Finding]:
    about = question.name(above)
    constraints = extension_of(above, x509.BasicConstraints)
    usage = extension_of(above, x509.KeyUsage)
    if not is_authority(above):
        yield wrong(
            "issuer-no-ca",
            about,
            f"issued {short_name(below)} but is no CA (its basic constraints do not say CA:TRUE)",
            "Make the CA's certificate with basicConstraints=critical,CA:TRUE.",
        )
    elif usage is not None and not usage.key_cert_sign:
        yield wrong(
            "issuer-key-usage",
            about,
            "issued a certificate without keyCertSign in its key usage",
            "Make the CA's certificate with keyUsage=critical,keyCertSign,cRLSign.",
        )
    if constraints is not None and constraints.path_length is not None and height > constraints.path_length:
        yield wrong(
            "path-too-long",
            about,
            f"allows {constraints.path_length} CAs below it, and there are {height}",
            "Issue from a CA higher up, or make this one with a larger path length.",
        )
    if not identifies(below, above):
        yield wrong(
            "key-identifier",
            question.name(below),
            f"identifies another issuer, by its key identifier or serial number, than this certificate of "
            f"{short_name(above)}",
            "Use the CA certificate of that time, or issue it again: OpenSSL does not accept this issuer.",
        )


def check_order(question: Question) -> Iterator[Finding]:
    """Leaf first, then each one's issuer, without the root (RFC 5246 section 7.4.2)."""
    certificates = question.content.certificates
    if question.use == "authority":
        return
    path = [each for each in question.path.certificates if each in certificates]
    about = str(question.content.path)
    if certificates[0] != question.leaf:
        yield wrong(
            "leaf-not-first",
            about,
            f"begins with {short_name(certificates[0])}; {question.name(question.leaf)} should be first",
            "Put it in order: lockwire cert convert FILE --to chain.",
        )
    elif [each for each in dict.fromkeys(certificates) if each in path] != path:
        yield risk(
            "order",
            about,
            "has its certificates in another order than from the leaf upwards: BearSSL follows the order "
            "strictly",
            "Put it in order: lockwire cert convert FILE --to chain.",
        )
    if len(set(certificates)) < len(certificates):
        yield risk("twice", about, "holds the same certificate twice", "Remove one of them.")
    strangers = [each for each in dict.fromkeys(certificates) if each not in path]
    if strangers:
        yield risk(
            "stranger",
            question.name(strangers[0]),
            "has nothing to do with the others"
            + (f", as {len(strangers) - 1} more" if strangers[1:] else ""),
            "Remove it: it is sent in every handshake.",
        )
    if len(path) > 1 and is_self_signed(path[-1]):
        yield note(
            "root-sent",
            question.name(path[-1]),
            "is a root, which clients need not be sent: they have it or do not trust it",
            "Leave it out to make handshakes shorter: lockwire cert convert FILE --to chain.",
        )
