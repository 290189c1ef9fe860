"""An authority that was made elsewhere, by hand or by scripts, judged and taken over.

What was issued by it stays valid, and devices keep the root that they have. The root issues a new
intermediate, or devices' certificates itself where it allows none; an intermediate that comes with its root's
certificate goes on as it is.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from lockwire.pki.authority import branches
from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.branches import Branch, assemble, path_length, with_intermediate, write_branch
from lockwire.pki.authority.certificates import authority_name
from lockwire.pki.authority.changes import Changes
from lockwire.pki.authority.founding import (
    RSA_DEVICE_CA,
    install,
    keep_root_keys,
    write_bundles,
    write_root_keys,
)
from lockwire.pki.authority.issuer import SigningKey, is_issued_by, key_identifier
from lockwire.pki.authority.ledger import Ledger, NewEntry
from lockwire.pki.certificate import common_name_of, describe_key
from lockwire.pki.errors import ImportRefusedError
from lockwire.pki.keys import check_public_key, kind_of

AnyExtension = TypeVar("AnyExtension", bound=x509.ExtensionType)

IMPORTED: Final = "imported"
"""The profile, in the ledger, of CA certificates that came from elsewhere."""
_BRANCH_FILES: Final = ("root.pem", "root.key", "intermediate.pem", "intermediate.key", "cross.pem")
SOON: Final = datetime.timedelta(days=3 * 365)
_OLD_HASHES: Final = ("md2", "md4", "md5", "sha1")
_USABLE: Final = frozenset(
    {
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
)


@dataclass(frozen=True, slots=True)
class Import:
    """An authority that can be taken over.

    root: what devices have. intermediate: what issues already, None where the root's key was given.
    key: the private key of the intermediate if there is one, else the root's.
    warnings: what is weak or old in it, a sentence each.
    """

    root: x509.Certificate
    intermediate: x509.Certificate | None
    key: SigningKey = field(repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def issues_itself(self) -> bool:
        """Whether the root has to sign devices' certificates, as it allows no intermediate."""
        return self.intermediate is None and path_length(self.root) == 0


@dataclass(frozen=True, slots=True)
class KeptKey:
    """What becomes of an imported root's key. That of a root which issues itself is always kept, as it is.

    kept: whether it is kept at all. passphrase: encrypts it. folder: instead of the authority's.
    """

    kept: bool = True
    passphrase: bytes | None = field(default=None, repr=False)
    folder: Path | None = None


def assess(certificates: Sequence[x509.Certificate], key: object, now: datetime.datetime) -> Import:
    """What there is to take over in certificates and a key. Raises ImportRefusedError, WeakKeyError.

    certificates: the root, or an intermediate and its root; others are not looked at.
    """
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)):
        kind = describe_key(key).removesuffix("PrivateKey")
        raise ImportRefusedError(
            f"The key is {kind}, which signs nothing that TLS clients verify",
            "Make a new authority with lockwire ca init.",
        )
    own = [one for one in certificates if one.public_key() == key.public_key()]
    if not own:
        raise ImportRefusedError(
            "No certificate was given that belongs to the key",
            "Give the CA's certificate and the CA's key, not a server's or a device's.",
        )
    found = own[0]
    roots = [one for one in own if one.subject == one.issuer]
    if roots:
        found = roots[0]
        _check_self_signature(found)
        _refuse_unusable(found, now)
        return Import(found, None, key, tuple(_warnings(found, now)))
    root = next((one for one in certificates if one.subject == one.issuer and is_issued_by(found, one)), None)
    if root is None:
        raise ImportRefusedError(
            f"{_called(found)} is an intermediate: {_called_issuer(found)} issued it",
            "Give that root's certificate as well; its key is not needed.",
        )
    for one in (found, root):
        _refuse_unusable(one, now)
    return Import(root, found, key, (*_warnings(root, now), *_warnings(found, now)))


def branch_of(taken: Import, now: datetime.datetime) -> Branch:
    """The branch that goes on from an import: with a new intermediate where the root allows one."""
    if taken.intermediate is not None:
        return assemble(branches.PRIMARY, taken.root, taken.intermediate, None, taken.key)
    if taken.issues_itself:
        return assemble(branches.PRIMARY, taken.root, None, None, taken.key)
    name = authority_name(f"Lockwire intermediate {secrets.token_hex(3).upper()}")
    # Of the root's kind: who verifies the one verifies the other.
    kind = kind_of(taken.key.public_key())
    return with_intermediate(branches.PRIMARY, taken.root, taken.key, name, kind, now)


def found(folder: Path, taken: Import, keys: KeptKey, now: datetime.datetime, by: str) -> None:
    """Makes an import the authority of an empty folder. Raises AuthorityExistsError, OSError."""
    made = {branches.PRIMARY: branch_of(taken, now)}
    entries = _entries(taken, made[branches.PRIMARY])
    install(folder, made, _root_keys(taken, keys), now, keys.passphrase, keys.folder, by, entries)


def replace_with(authority: Authority, taken: Import, keys: KeptKey, now: datetime.datetime, by: str) -> None:
    """Makes an import the authority in the place of another.

    What that one issued and is still valid stands in the ledger as revoked from then on. Raises OSError.
    """
    ended = authority.endings(authority.issuers, now, by)
    made = {branches.PRIMARY: branch_of(taken, now)}
    root_keys = _root_keys(taken, keys)
    changes = Changes(authority.folder)
    for file in authority.folder.iterdir():
        if file.suffix in (".pem", ".key") and file.name.endswith(_BRANCH_FILES):
            changes.remove(file.name)
    changes.remove(RSA_DEVICE_CA)
    write_branch(changes, made[branches.PRIMARY])
    write_bundles(changes, made)
    if keys.folder is None:
        keep_root_keys(changes, made, root_keys, keys.passphrase)
    else:
        write_root_keys(keys.folder, root_keys, keys.passphrase)
    authority.ledger.record_all(_entries(taken, made[branches.PRIMARY]), now, by)
    authority.adopt(changes, now)
    authority.ledger.revoke(ended)


def was_imported(ledger: Ledger, root: x509.Certificate) -> bool:
    """Whether a root came from elsewhere, so that the ledger does not know all that it issued."""
    entry = ledger.by_serial(root.serial_number)
    return entry is not None and entry.profile == IMPORTED


def _entries(taken: Import, branch: Branch) -> list[NewEntry]:
    identifier = key_identifier(taken.root).hex()
    entries = [NewEntry(IMPORTED, taken.root, identifier)]
    if branch.intermediate is not None:
        profile = IMPORTED if taken.intermediate is not None else "intermediate"
        entries.append(NewEntry(profile, branch.intermediate, identifier))
    return entries


def _root_keys(taken: Import, keys: KeptKey) -> dict[str, SigningKey]:
    return {branches.PRIMARY: taken.key} if keys.kept and taken.intermediate is None else {}


def _check_self_signature(root: x509.Certificate) -> None:
    try:
        is_genuine = is_issued_by(root, root)
    except UnsupportedAlgorithm:
        return  # older than MD5; nobody checks a trust anchor's own signature
    if not is_genuine:
        raise ImportRefusedError(
            f"{_called(root)} is not signed by its own key: the file was changed, or belongs to another root",
            "Give the certificate that devices have.",
        )


def _refuse_unusable(one: x509.Certificate, now: datetime.datetime) -> None:
    problem = _problem(one, now)
    if problem:
        raise ImportRefusedError(
            f"{_called(one)} {problem}",
            "Devices would refuse what it issues: make a new authority with lockwire ca init.",
        )
    check_public_key(one.public_key(), f"The key of {_called(one)}")


def _problem(one: x509.Certificate, now: datetime.datetime) -> str:
    if not list(one.subject):
        return "has no subject"
    if now > one.not_valid_after_utc:
        return f"ended on {one.not_valid_after_utc:%Y-%m-%d}"
    if now < one.not_valid_before_utc:
        return f"begins on {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC only"
    try:
        extensions = one.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        return f"has extensions that cannot be read ({error})"
    constraints = _extension(extensions, x509.BasicConstraints)
    if constraints is not None and not constraints.ca:
        return "is not a CA certificate (basicConstraints CA:FALSE)"
    usage = _extension(extensions, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        return "may not sign certificates (keyUsage without keyCertSign)"
    purposes = _extension(extensions, x509.ExtendedKeyUsage)
    if purposes is not None and not _USABLE & set(purposes):
        return "is for other purposes than TLS (extendedKeyUsage)"
    return ""


def _warnings(one: x509.Certificate, now: datetime.datetime) -> Iterator[str]:
    called, is_root = _called(one), one.subject == one.issuer
    algorithm = _hash_name(one)
    if algorithm in _OLD_HASHES:
        yield (
            f"{called} is signed with {algorithm.upper()}: "
            + ("harmless in a root, but some scanners object." if is_root else "TLS clients refuse it.")
        )
    if one.version is x509.Version.v1:
        yield (
            f"{called} is X.509 version 1, without extensions: as a trust anchor it works with OpenSSL "
            "and mbed TLS; strict verifiers (Go, Java) may refuse it."
        )
    elif _extension(one.extensions, x509.BasicConstraints) is None:
        yield f"{called} does not say that it is a CA (no basicConstraints); strict verifiers may refuse it."
    else:
        for missing, name in (
            (x509.SubjectKeyIdentifier, "subjectKeyIdentifier"),
            (x509.KeyUsage, "keyUsage"),
        ):
            if _extension(one.extensions, missing) is None:
                yield f"{called} has no {name}, which RFC 5280 asks for; openssl verify -x509_strict objects."
    usage = _extension(one.extensions, x509.KeyUsage)
    if usage is not None and not usage.crl_sign and path_length(one) == 0:
        yield f"{called} may not sign revocation lists (keyUsage without cRLSign)."
    if one.not_valid_after_utc - now < SOON:
        yield (
            f"{called} ends on {one.not_valid_after_utc:%Y-%m-%d}, and all that it issued with it: plan "
            "lockwire ca rollover."
        )


def _hash_name(one: x509.Certificate) -> str:
    try:
        algorithm = one.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "md2"
    return "" if algorithm is None else algorithm.name


def _extension(extensions: x509.Extensions, kind: type[AnyExtension]) -> AnyExtension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _called(one: x509.Certificate) -> str:
    return repr(common_name_of(one.subject) or one.subject.rfc4514_string())


def _called_issuer(one: x509.Certificate) -> str:
    return repr(common_name_of(one.issuer) or one.issuer.rfc4514_string())
