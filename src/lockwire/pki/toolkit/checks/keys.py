"""Keys, signatures, versions, serial numbers: does the key fit, and is what is used good enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import SignatureAlgorithmOID

from lockwire.pki.paths import is_self_signed
from lockwire.pki.reading import has_explicit_curve, is_authority, public_key_of, serial_of
from lockwire.pki.toolkit.checks.finding import Finding, note, risk, wrong
from lockwire.pki.toolkit.checks.question import Question
from lockwire.pki.wording import key_size, key_text, signature_text

_RSA_BITS: Final = 2048
_CURVE_BITS: Final = 224
_USUAL_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_WEAK_SIGNATURES: Final = (
    SignatureAlgorithmOID.RSA_WITH_MD5,
    SignatureAlgorithmOID.RSA_WITH_SHA1,
    SignatureAlgorithmOID.ECDSA_WITH_SHA1,
    SignatureAlgorithmOID.DSA_WITH_SHA1,
)


def check_key(question: Question) -> Iterator[Finding]:
    """Whether the private key belongs to the certificate, and who can read it."""
    item, about = question.key, str(question.key_file or question.content.path)
    if item is None:
        return
    if item.key is not None and item.key.public_key() != public_key_of(question.leaf):
        yield wrong(
            "key-mismatch",
            about,
            f"is not the key of {question.name(question.leaf)}",
            "Find the key that was made with the request, or make a new key and a new certificate.",
        )
    if item.encryption and question.content.form != "PKCS#12":
        yield note(
            "key-encrypted",
            about,
            f"is encrypted ({item.encryption}): whoever uses it needs its password",
            "Decrypt it for a program that cannot ask: lockwire cert convert FILE --to pkcs8 --out NEW.",
        )
    file = question.key_file
    if not item.encryption and file is not None and file.is_file() and file.stat().st_mode & 0o077:
        yield risk(
            "key-readable",
            about,
            f"can be read by others on this machine (mode {file.stat().st_mode & 0o777:04o})",
            "Run chmod 600 on it, and if they may have read it, replace the key.",
        )


def check_strength(question: Question) -> Iterator[Finding]:
    """Keys and signatures on the path; a root's own signature counts for nothing and is not judged."""
    for certificate in question.path.certificates:
        about = question.name(certificate)
        yield from _check_public_key(certificate, about)
        if certificate.signature_algorithm_oid in _WEAK_SIGNATURES and not is_self_signed(certificate):
            yield wrong(
                "weak-signature",
                about,
                f"is signed by {signature_text(certificate)}, which can be forged and which OpenSSL 3 "
                f"refuses",
                "Issue it again with SHA-256.",
            )


def _check_public_key(certificate: x509.Certificate, about: str) -> Iterator[Finding]:
    key = public_key_of(certificate)
    if key is None:
        yield wrong(
            "unknown-key", about, "has a key of a kind that TLS does not use", "Use a P-256 or RSA key."
        )
        return
    kind, bits = key_size(key)
    if kind == "RSA" and bits < _RSA_BITS:
        yield wrong(
            "weak-key",
            about,
            f"has an RSA key of {bits} bits, which OpenSSL's security level 2 refuses",
            f"Use {_RSA_BITS} bits, or a P-256 key.",
        )
    elif kind == "DSA" or (kind == "EC" and bits < _CURVE_BITS):
        yield wrong("weak-key", about, f"has a {key_text(certificate)} key", "Use a P-256 or RSA-2048 key.")
    elif has_explicit_curve(certificate):
        yield wrong(
            "explicit-curve",
            about,
            f"has a {key_text(certificate)} key that describes its curve instead of naming it, which OpenSSL "
            "refuses",
            "Make a new key with openssl ecparam -param_enc named_curve, or openssl genpkey.",
        )
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _USUAL_CURVES:
        yield risk(
            "rare-curve",
            about,
            f"has a key on the curve {key.curve.name}, which few clients know",
            "Use P-256.",
        )
    elif kind in ("Ed25519", "Ed448"):
        yield risk(
            "edwards-key",
            about,
            f"has an {kind} key: mbed TLS 2.28 and BearSSL, and so most small devices, cannot read it",
            "Use P-256 where devices connect.",
        )


def check_version(question: Question) -> Iterator[Finding]:
    """X.509 version 1 has no extensions: no alternative names, no usages, no CA flag."""
    for certificate in question.path.certificates:
        if certificate.version is not x509.Version.v1:
            continue
        lacks = "which has no alternative names and no usages"
        if is_authority(certificate):
            lacks = (
                "which has no CA flag: Python 3.13 and others that follow RFC 5280 strictly refuse it as a CA"
            )
        yield risk(
            "version-1",
            question.name(certificate),
            f"is of X.509 version 1, {lacks}",
            "Issue it with extensions: openssl x509 -req makes version 1 unless it has -extfile or "
            "-copy_extensions.",
        )


def check_serial(question: Question) -> Iterator[Finding]:
    """A positive number of 20 octets at most (RFC 5280 section 4.1.2.2)."""
    for certificate in question.path.certificates:
        serial = serial_of(certificate)
        if not 0 < serial < 1 << 159:
            yield risk(
                "serial",
                question.name(certificate),
                "has a serial number that is not positive and of 20 bytes at most: strict clients refuse it",
                "Issue it with a random number of 16 bytes.",
            )
