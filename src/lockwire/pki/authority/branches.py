"""A root and what issues under it, as an authority has one or several of: its files, read and written.

PREFIXroot.pem, .key            the trust anchor; its key may be elsewhere, or encrypted
PREFIXintermediate.pem, .key    what issues; missing where the root allows no intermediate and issues itself
PREFIXcross.pem                 the root's name and key signed by another root, for who knows only that one
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lockwire.pki.authority.certificates import (
    authority_name,
    intermediate_certificate,
    pem,
    root_certificate,
)
from lockwire.pki.authority.changes import Changes
from lockwire.pki.authority.issuer import Issuer, SigningKey, is_issued_by
from lockwire.pki.errors import ExpiredError, MalformedFileError, MismatchError, MissingFileError
from lockwire.pki.keys import KeyKind, generate_key, is_encrypted, key_pem, load_key
from lockwire.pki.pem import read_certificate, read_file, read_private_key
from lockwire.pki.reading import extension_of

PRIMARY: Final = ""
RSA: Final = "rsa-"
NEXT: Final = "next-"
PREVIOUS: Final = "previous-"

RESTORE: Final = (
    "Restore the folder from a backup; a new authority would lock out every device that has the old one."
)


@dataclass(frozen=True, slots=True)
class Branch:
    """A root and its issuer.

    prefix: of its files' names. intermediate: None where the root issues itself.
    cross: the root signed by another one, None without.
    """

    prefix: str
    root: x509.Certificate
    intermediate: x509.Certificate | None
    cross: x509.Certificate | None
    issuer: Issuer

    @property
    def issuer_file(self) -> str:
        """The name of the issuing certificate's file."""
        return f"{self.prefix}{'root' if self.intermediate is None else 'intermediate'}.pem"

    @property
    def certificates(self) -> list[x509.Certificate]:
        """Root and intermediate: what verifies a certificate from here, with or without its chain."""
        return [self.root] if self.intermediate is None else [self.root, self.intermediate]


@dataclass(frozen=True, slots=True)
class RootKey:
    """Where a root's private key comes from for one operation.

    pem: the content of a file that the user named; None for the one in the authority's folder.
    passphrase: None where there is none.
    """

    pem: bytes | None = field(default=None, repr=False)
    passphrase: bytes | None = field(default=None, repr=False)


def make_branch(
    prefix: str, kind: KeyKind, label: str, tag: str, now: datetime.datetime
) -> tuple[Branch, SigningKey]:
    """A new root and a new intermediate under it, in memory, and the root's key.

    label: the kind in the names, such as "RSA "; tag: tells this authority's names from others'.
    """
    root_key = generate_key(kind)
    root = root_certificate(authority_name(f"Lockwire {label}root {tag}"), root_key, now)
    name = authority_name(f"Lockwire {label}intermediate {tag}")
    return with_intermediate(prefix, root, root_key, name, kind, now), root_key


def with_intermediate(
    prefix: str,
    root: x509.Certificate,
    root_key: SigningKey,
    name: x509.Name,
    kind: KeyKind,
    now: datetime.datetime,
) -> Branch:
    """A branch of a root that is there: a new intermediate under it."""
    key = generate_key(kind)
    intermediate = intermediate_certificate(name, key.public_key(), root, root_key, now)
    return assemble(prefix, root, intermediate, None, key)


def assemble(
    prefix: str,
    root: x509.Certificate,
    intermediate: x509.Certificate | None,
    cross: x509.Certificate | None,
    key: SigningKey,
) -> Branch:
    """A branch from its parts; `key` is the intermediate's, or the root's where there is none."""
    chain = tuple(one for one in (intermediate, cross) if one is not None)
    return Branch(prefix, root, intermediate, cross, Issuer(intermediate or root, key, chain, root))


def with_cross(branch: Branch, cross: x509.Certificate | None) -> Branch:
    """The branch with another cross-certificate, or none."""
    return assemble(branch.prefix, branch.root, branch.intermediate, cross, branch.issuer.key)


def write_branch(changes: Changes, branch: Branch) -> None:
    """Writes a branch without its root's key."""
    prefix = branch.prefix
    changes.write_public(f"{prefix}root.pem", pem(branch.root))
    if branch.intermediate is not None:
        changes.write_public(f"{prefix}intermediate.pem", pem(branch.intermediate))
        changes.write_private(f"{prefix}intermediate.key", key_pem(branch.issuer.key))
    else:
        changes.write_private(f"{prefix}root.key", key_pem(branch.issuer.key))
    write_cross(changes, branch)


def write_cross(changes: Changes, branch: Branch) -> None:
    """Writes a branch's cross-certificate, or removes an earlier one."""
    if branch.cross is None:
        changes.remove(f"{branch.prefix}cross.pem")
    else:
        changes.write_public(f"{branch.prefix}cross.pem", pem(branch.cross))


def read_branch(folder: Path, prefix: str) -> Branch:
    """Reads a branch and checks that its files belong together.

    Raises MissingFileError, MalformedFileError, UnsafeKeyError or MismatchError.
    """
    root_file = folder / f"{prefix}root.pem"
    file = folder / f"{prefix}intermediate.pem"
    root = read_certificate(root_file, RESTORE)
    # A root with path length 0 has no intermediate, as there can be none.
    intermediate = None if path_length(root) == 0 else read_certificate(file, RESTORE)
    key_file = folder / f"{prefix}{'root' if intermediate is None else 'intermediate'}.key"
    key = signing_key(read_private_key(key_file, RESTORE), key_file)
    if intermediate is not None and not is_issued_by(intermediate, root):
        raise MismatchError(f"This certificate was not issued by {root_file.name}", RESTORE, file)
    if key.public_key() != (intermediate or root).public_key():
        owner = file if intermediate is not None else root_file
        raise MismatchError(f"This key does not belong to {owner.name}", RESTORE, key_file)
    cross_file = folder / f"{prefix}cross.pem"
    cross = read_certificate(cross_file, RESTORE) if cross_file.exists() else None
    return assemble(prefix, root, intermediate, cross, key)


def root_key(folder: Path, branch: Branch, source: RootKey) -> SigningKey:
    """The private key of a branch's root, for one operation.

    Raises MissingFileError where it is kept elsewhere and was not given, PasswordError, MalformedFileError,
    MismatchError.
    """
    file = folder / f"{branch.prefix}root.key"
    if source.pem is not None:
        file = Path("the root's key that was given")
        data = source.pem
    elif file.exists():
        data = read_file(file, RESTORE)
    else:
        raise MissingFileError(
            "The root's key is needed for this and is kept elsewhere", "Name its file with --root-key.", file
        )
    key = signing_key(load_key(data, source.passphrase, file), file)
    if key.public_key() != branch.root.public_key():
        raise MismatchError(
            f"This key does not belong to {branch.prefix}root.pem", "Give the root's own key.", file
        )
    return key


def root_key_place(folder: Path, prefix: str) -> str:
    """Where the root's key is: "here", "here, encrypted" or "elsewhere"."""
    file = folder / f"{prefix}root.key"
    if not file.exists():
        return "elsewhere"
    return "here, encrypted" if is_encrypted(read_file(file, RESTORE), file) else "here"


def path_length(certificate: x509.Certificate) -> int | None:
    """The path length constraint (RFC 5280 section 4.2.1.9), None without one."""
    constraints = extension_of(certificate, x509.BasicConstraints)
    return None if constraints is None else constraints.path_length


def signing_key(key: object, file: Path) -> SigningKey:
    """The key where it is of a kind that issues. Raises MalformedFileError."""
    if isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)):
        return key
    raise MalformedFileError("This key is of a kind that issues no certificates for TLS", RESTORE, file)


def check_branch_valid(folder: Path, branch: Branch, now: datetime.datetime) -> None:
    """Raises ExpiredError where a branch's root or intermediate is not valid now."""
    check_valid(folder / f"{branch.prefix}root.pem", branch.root, now)
    if branch.intermediate is not None:
        check_valid(folder / branch.issuer_file, branch.intermediate, now)


def check_valid(file: Path, certificate: x509.Certificate, now: datetime.datetime) -> None:
    """Raises ExpiredError where a CA certificate is not valid now."""
    if now < certificate.not_valid_before_utc:
        raise ExpiredError(
            f"This certificate begins on {certificate.not_valid_before_utc:%Y-%m-%d}, it is {now:%Y-%m-%d}",
            "Set this machine's clock.",
            file,
        )
    if now > certificate.not_valid_after_utc:
        raise ExpiredError(
            f"This certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}",
            "Check this machine's clock; if it is right, make a new authority and give it to every device.",
            file,
        )
