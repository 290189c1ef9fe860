"""Key usage, extended key usage and the extensions that strict clients want (RFC 5280 section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from lockwire.pki.paths import is_self_signed
from lockwire.pki.reading import extension_of, is_authority, public_key_of
from lockwire.pki.toolkit.checks.finding import Finding, risk, wrong
from lockwire.pki.toolkit.checks.question import Question
from lockwire.pki.wording import purposes

_KNOWN: Final = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
    x509.NameConstraints,
    x509.PolicyConstraints,
    x509.CertificatePolicies,
    x509.InhibitAnyPolicy,
)
_PURPOSE: Final = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth"),
}


def check_usage(question: Question) -> Iterator[Finding]:
    """Whether the leaf may be used as it is."""
    leaf, about = question.leaf, question.name(question.leaf)
    if question.use == "authority":
        if not is_authority(leaf):
            yield wrong(
                "not-a-ca",
                about,
                "is no CA (its basic constraints do not say CA:TRUE), so nothing it signed is accepted",
                "Take the CA's own certificate.",
            )
        return
    if is_authority(leaf) and leaf.version is not x509.Version.v1:
        yield risk(
            "leaf-is-ca",
            about,
            f"is a CA certificate used by a {question.use}: whoever has its key can issue certificates",
            "Issue one for this use, with CA:FALSE.",
        )
    yield from _check_extended(question)
    usage = extension_of(leaf, x509.KeyUsage)
    if usage is None:
        return
    if not usage.digital_signature:
        yield wrong(
            "no-digital-signature",
            about,
            "lacks digitalSignature in its key usage, which every TLS 1.3 and ECDHE handshake needs",
            "Issue it with keyUsage=critical,digitalSignature (an RSA server: keyEncipherment as well).",
        )
    if question.use == "server" and isinstance(public_key_of(leaf), rsa.RSAPublicKey):
        yield from _check_encipherment(question, usage)


def _check_encipherment(question: Question, usage: x509.KeyUsage) -> Iterator[Finding]:
    if usage.key_encipherment:
        return
    suites = question.family.cipher_suites if question.family else None
    static_only = suites is not None and all(suite.startswith("TLS_RSA_WITH_") for suite in suites)
    weigh = wrong if static_only else risk
    who = question.family.title if question.family and static_only else "NetControl and other old devices"
    yield weigh(
        "no-key-encipherment",
        question.name(question.leaf),
        f"is an RSA server's without keyEncipherment in its key usage: cipher suites with static RSA fail, "
        f"the only "
        f"ones of {who}",
        "Issue it with keyUsage=critical,digitalSignature,keyEncipherment.",
    )


def _check_extended(question: Question) -> Iterator[Finding]:
    extended = extension_of(question.leaf, x509.ExtendedKeyUsage)
    if extended is None:
        return
    needed, name = _PURPOSE[question.use]
    if needed not in extended and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in extended:
        yield wrong(
            "extended-key-usage",
            question.name(question.leaf),
            f"is for {', '.join(purposes(extended))}, not for a TLS {question.use}",
            f"Issue it with extendedKeyUsage={name}, or without any.",
        )


def check_extensions(question: Question) -> Iterator[Finding]:
    """Extensions that cannot be read, that nobody knows, or that strict clients miss."""
    for certificate in question.path.certificates:
        about = question.name(certificate)
        try:
            extensions = list(certificate.extensions)
        except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
            yield wrong(
                "extensions", about, f"has extensions that cannot be read ({error})", "Issue it again."
            )
            continue
        unknown = [each for each in extensions if each.critical and not isinstance(each.value, _KNOWN)]
        if unknown:
            yield wrong(
                "critical-extension",
                about,
                f"has the critical extension {unknown[0].oid.dotted_string}, which clients do not know and "
                f"so refuse",
                "Issue it without, or not as critical.",
            )
        missing = _missing(certificate) if extensions else []
        if missing:
            yield risk(
                "strict",
                about,
                f"lacks {' and '.join(missing)}: Python 3.13 and others that follow RFC 5280 strictly "
                f"refuse it",
                "Issue it again with them.",
            )


def _missing(certificate: x509.Certificate) -> list[str]:
    """What OpenSSL's X509_V_FLAG_X509_STRICT asks for."""
    missing = []
    if is_authority(certificate):
        if not any(one.critical for one in certificate.extensions if one.oid == x509.BasicConstraints.oid):
            missing.append("criticality of its basic constraints")
        if extension_of(certificate, x509.KeyUsage) is None:
            missing.append("a key usage")
        if extension_of(certificate, x509.SubjectKeyIdentifier) is None:
            missing.append("a subject key identifier")
    if not is_self_signed(certificate) and extension_of(certificate, x509.AuthorityKeyIdentifier) is None:
        missing.append("an authority key identifier")
    return missing
