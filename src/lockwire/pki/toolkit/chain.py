"""The chain that a server presents, explained: what each certificate is, and which one to install."""

from __future__ import annotations

import contextlib
import datetime
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import certifi
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from lockwire.pki.errors import UnreachableError
from lockwire.pki.paths import Path, find_path, is_self_signed, paths
from lockwire.pki.reading import extension_of, is_authority, public_key_of
from lockwire.pki.toolkit import armour
from lockwire.pki.toolkit.checks.question import short_name
from lockwire.pki.toolkit.fetching import fetch_certificates
from lockwire.pki.toolkit.inspect import authority_addresses
from lockwire.pki.wording import hexadecimal, name_text

MAXIMUM_FETCHES: Final = 5
FETCH_SECONDS: Final = 10.0

Fetch = Callable[[str, float], list[x509.Certificate]]


@dataclass(frozen=True, slots=True)
class Link:
    """One certificate of a chain. source: where it is from. meaning: what it is, a sentence."""

    certificate: x509.Certificate
    source: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What to install on devices.

    certificate: the root, None where it could not be found. text: why, and what to do; sentences.
    """

    certificate: x509.Certificate | None
    text: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A chain with what was found for it.

    links: those sent, in their order, then those found elsewhere, upwards. advice: what to install.
    notes: what went wrong while looking, a sentence each.
    """

    links: tuple[Link, ...]
    advice: Advice
    notes: tuple[str, ...]


@cache
def public_roots() -> tuple[x509.Certificate, ...]:
    """The roots that browsers trust, from certifi; without those, if any, that cannot be read."""
    found = []
    for block in armour.blocks(certifi.contents()):
        with contextlib.suppress(ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # a root's serial number is 0
            found.append(x509.load_der_x509_certificate(block.der))
    return tuple(found)


def explain_chain(
    presented: Sequence[x509.Certificate],
    now: datetime.datetime,
    trusted: Sequence[x509.Certificate] = (),
    public: Sequence[x509.Certificate] | None = None,
    fetch: Fetch | None = fetch_certificates,
) -> Explained:
    """Explains a chain of at least one certificate.

    trusted: more roots to look among. public: the public ones, certifi's by default.
    fetch: how a missing issuer is fetched; None: not at all.
    """
    roots = public_roots() if public is None else public
    search = _Search(presented, trusted, roots, fetch)
    best = search.best(now)
    explained = tuple(_links(presented, search, best))
    return Explained(explained, _advise(presented, search, best, now), tuple(search.notes))


class _Search:
    """All the certificates at hand, and where each is from."""

    def __init__(
        self,
        presented: Sequence[x509.Certificate],
        trusted: Sequence[x509.Certificate],
        public: Sequence[x509.Certificate],
        fetch: Fetch | None,
    ) -> None:
        self.leaf = presented[0]
        self.notes: list[str] = []
        self.source: dict[x509.Certificate, str] = dict.fromkeys(public, "the public roots (certifi)")
        self.source.update(dict.fromkeys(trusted, "the CAs given"))
        self.anchors = list(self.source)
        self.source.update(dict.fromkeys(presented, "sent"))
        self._fetch = fetch
        self._deadline = time.monotonic() + FETCH_SECONDS

    def best(self, now: datetime.datetime) -> Path:
        """The best path up, with missing issuers fetched."""
        fetched: set[str] = set()
        for _ in range(MAXIMUM_FETCHES):
            found = self._choose(now)
            if found.end in ("anchor", "self-signed") or not self._fetch_issuer(found.top, fetched):
                break
        return self._choose(now)

    def roots_like(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        """Self-signed certificates with the name and the key of this one, which another root signed."""
        return [
            each
            for each in self.source
            if each.subject == certificate.subject
            and each != certificate
            and public_key_of(each) == public_key_of(certificate)
            and is_self_signed(each)
        ]

    def _choose(self, now: datetime.datetime) -> Path:
        """A path to a trusted root that is valid, the shortest; else whatever comes closest to that."""
        pool = list(self.source)
        whole = [
            path for path in paths(self.leaf, pool, self.anchors) if path.end in ("anchor", "self-signed")
        ]
        if not whole:
            return find_path(self.leaf, pool, self.anchors, now)
        return min(
            whole,
            key=lambda path: (
                not is_self_signed(path.top),
                path.top.not_valid_after_utc < now,
                path.misfits(),
                len(path.outside(now)),
                path.end != "anchor",
                len(path.certificates),
            ),
        )

    def _fetch_issuer(self, top: x509.Certificate, fetched: set[str]) -> bool:
        """Adds the issuer of a certificate to what is at hand; whether there is something new."""
        for address in authority_addresses(top):
            if self._fetch is None or address in fetched or not address.startswith("http://"):
                continue
            fetched.add(address)
            try:
                found = self._fetch(address, max(0.1, self._deadline - time.monotonic()))
            except UnreachableError as error:
                self.notes.append(str(error))
                continue
            new = [each for each in found if each not in self.source]
            self.source.update(dict.fromkeys(new, address))
            if new:
                return True
        return False


def _links(presented: Sequence[x509.Certificate], search: _Search, best: Path) -> Iterator[Link]:
    for certificate in dict.fromkeys(presented):
        yield Link(certificate, "sent", _meaning(certificate, presented, search, best))
    for certificate in best.certificates:
        if certificate not in presented:
            yield Link(
                certificate, search.source[certificate], _meaning(certificate, presented, search, best)
            )


def _meaning(
    certificate: x509.Certificate, presented: Sequence[x509.Certificate], search: _Search, best: Path
) -> str:
    if certificate == presented[0]:
        if is_self_signed(certificate):
            return "The server's own certificate, self-signed: there is no CA above it."
        return "The server's own certificate. Each renewal changes it: do not install it."
    if is_self_signed(certificate) and (certificate in best.certificates or is_authority(certificate)):
        sent = " It need not be sent." if certificate in presented else ""
        return f"A root: it stays for many years.{sent}"
    if twins := search.roots_like(certificate):
        return (
            f"The root {short_name(twins[0])} in another form: signed by {name_text(certificate.issuer)}, "
            f"for clients "
            "that have only that one. (Cross-signed.)"
        )
    if not is_authority(certificate):
        return "No CA certificate, and not the server's own: it has nothing to do here."
    if certificate not in best.certificates:
        return "A CA certificate that is not on the way to the root."
    return "An intermediate. Its CA replaces it whenever it likes: do not install it."


def _advise(
    presented: Sequence[x509.Certificate], search: _Search, best: Path, now: datetime.datetime
) -> Advice:
    top = best.top
    if best.end in ("anchor", "self-signed") and is_self_signed(top):
        source = search.source[top]
        where = "The server sends it." if source == "sent" else f"It is from {source}."
        if top == presented[0]:
            text = (
                f"Install {short_name(top)}, the server's own certificate, which is self-signed. Every "
                f"renewal has to "
                "reach every device: better make a CA and have it issue the server's certificate."
            )
        else:
            text = f"Install the root {short_name(top)}. {where}"
        if top.not_valid_after_utc < now:
            text += (
                f" It ended on {top.not_valid_after_utc:%Y-%m-%d}: clients that look at the time refuse it."
            )
        if source != "sent" and source not in ("the public roots (certifi)", "the CAs given"):
            text += " It came over plain http: compare its fingerprint with one from the CA's own pages."
        return Advice(top, text)
    return Advice(None, _ask_for(best))


def _ask_for(best: Path) -> str:
    """What to say where the root was not found."""
    top = best.top
    wanted = name_text(top.issuer)
    if best.end == "another key":
        return (
            f"The root was not found: a certificate of the name {wanted} is there, but its key did not sign "
            f"{short_name(top)}. The CA was made again under the same name; ask for the older certificate."
        )
    text = (
        f"The root was not found: {short_name(top)} was issued by {wanted}, which is neither sent nor among "
        f"the "
        "public roots. Ask whoever runs the server for the certificate of that name"
    )
    identifier = _issuer_identifier(top)
    text += f" (its key id is {identifier})." if identifier else "."
    if is_authority(top):
        text += (
            f" Until then {short_name(top)} works on devices with mbed TLS or BearSSL, for as long as the "
            f"CA keeps it."
        )
    return text


def _issuer_identifier(certificate: x509.Certificate) -> str:
    named = extension_of(certificate, x509.AuthorityKeyIdentifier)
    return "" if named is None or named.key_identifier is None else hexadecimal(named.key_identifier)
