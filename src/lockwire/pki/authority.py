"""The certificate authority in a folder: a root that devices install, an intermediate that issues.

ca/ca.pem            the root alone: what devices install. An intermediate may be replaced, the root stays
ca/root.pem, .key    the trust anchor; once the intermediate is made, the key may be kept elsewhere
ca/intermediate.pem, .key    signs every certificate; sent along in every chain
ca/clients.pem       root and intermediate: what the broker checks client certificates with, so that a device
                     that sends its own certificate without the intermediate gets in as well
ca/issued.jsonl      the ledger
"""

from __future__ import annotations

import datetime
import ipaddress
import secrets
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lockwire.pki import profiles
from lockwire.pki.certificate import is_address
from lockwire.pki.errors import (
    AuthorityExistsError,
    ExpiredError,
    InvalidNameError,
    MismatchError,
    NameTakenError,
)
from lockwire.pki.files import make_private_folder, sync_folder, write_private, write_public
from lockwire.pki.issuer import Issuer
from lockwire.pki.ledger import Entry, Ledger, Revocation
from lockwire.pki.names import MAXIMUM_CHARACTERS, check_name
from lockwire.pki.pem import private_key_pem, read_certificate, read_private_key
from lockwire.pki.profiles import Profile

ROOT_DAYS: Final = 20 * 365 + 5
INTERMEDIATE_DAYS: Final = 10 * 365 + 2
BACKDATED: Final = datetime.timedelta(days=1)
"""How far notBefore lies in the past: a clock set to local time is up to 14 hours behind UTC."""

_RESTORE: Final = (
    "Restore the folder from a backup; a new authority would lock out every device that has the old one."
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A new certificate with its key.

    certificate: the leaf.
    chain: PEM, the leaf and then the intermediate, as a server or a device presents it.
    key: PEM, PKCS#8, not encrypted: for a 0600 file.
    """

    certificate: x509.Certificate
    chain: bytes
    key: bytes


class Authority:
    """An opened authority: for one process, the one that owns the data folder, and any of its threads."""

    def __init__(
        self,
        folder: Path,
        root: x509.Certificate,
        intermediate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        ledger: Ledger,
    ) -> None:
        self.folder = folder
        self.root = root
        self.intermediate = intermediate
        self.ledger = ledger
        self._key = key
        self._issuing = threading.RLock()

    @property
    def device_ca(self) -> Path:
        """The file that devices install: the root alone."""
        return self.folder / "ca.pem"

    @property
    def client_ca(self) -> Path:
        """The file that the broker verifies client certificates with: root and intermediate."""
        return self.folder / "clients.pem"

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """Every CA certificate whose key is at hand, the one that issues now first.

        Each signs a revocation list and OCSP answers of its own; others appear with an alternate chain and
        during a rollover, so ask each time.
        """
        return (Issuer(self.intermediate, self._key, (self.intermediate,)),)

    def issuer_of(self, record: Entry | Revocation) -> Issuer | None:
        """The issuer of a certificate in the ledger, None where it is gone.

        An entry of an earlier version names none: then there was only one.
        """
        if not record.authority:
            return self.issuers[0]
        return next((one for one in self.issuers if one.identifier == record.authority), None)

    @classmethod
    def create(cls, folder: Path, now: datetime.datetime | None = None) -> Authority:
        """Makes a new authority in `folder`, which must not exist or be empty.

        It is built beside its place and renamed into it, so that there is a whole authority or none.
        Raises AuthorityExistsError; OSError where the disk refuses.
        """
        now = now or datetime.datetime.now(datetime.UTC)
        if folder.exists() and any(folder.iterdir()):
            raise AuthorityExistsError(
                "There are files of an authority here already",
                "Use it as it is, or give another data folder.",
                folder,
            )
        make_private_folder(folder.parent)
        building = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
        make_private_folder(building)
        try:
            authority = cls._build(building, now)
            building.replace(folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        sync_folder(folder.parent)
        authority.folder = folder
        authority.ledger.path = folder / "issued.jsonl"
        return authority

    @classmethod
    def _build(cls, folder: Path, now: datetime.datetime) -> Authority:
        tag = secrets.token_hex(3).upper()
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = _authority_certificate(f"Lockwire root {tag}", root_key, None, root_key, ROOT_DAYS, now)
        key = ec.generate_private_key(ec.SECP256R1())
        intermediate = _authority_certificate(
            f"Lockwire intermediate {tag}", key, root, root_key, INTERMEDIATE_DAYS, now
        )
        write_private(folder / "root.key", private_key_pem(root_key))
        write_private(folder / "intermediate.key", private_key_pem(key))
        write_public(folder / "root.pem", _pem(root))
        write_public(folder / "intermediate.pem", _pem(intermediate))
        write_public(folder / "ca.pem", _pem(root))
        write_public(folder / "clients.pem", _pem(root) + _pem(intermediate))
        ledger = Ledger(folder / "issued.jsonl")
        ledger.record("root", root, now)
        ledger.record("intermediate", intermediate, now)
        return cls(folder, root, intermediate, key, ledger)

    @classmethod
    def open(cls, folder: Path, now: datetime.datetime | None = None) -> Authority:
        """Opens the authority in `folder` and checks that its files are there and belong together.

        The root's key may be elsewhere. Raises MissingFileError, MalformedFileError, UnsafeKeyError,
        MismatchError or ExpiredError, each with the file and what to do.
        """
        now = now or datetime.datetime.now(datetime.UTC)
        root = read_certificate(folder / "root.pem", _RESTORE)
        intermediate = read_certificate(folder / "intermediate.pem", _RESTORE)
        key = read_private_key(folder / "intermediate.key", _RESTORE)
        _check_issued_by(intermediate, root, folder)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != intermediate.public_key():
            raise MismatchError(
                "This key does not belong to intermediate.pem", _RESTORE, folder / "intermediate.key"
            )
        for name, certificate in (("root.pem", root), ("intermediate.pem", intermediate)):
            _check_valid(folder / name, certificate, now)
        for name in ("ca.pem", "clients.pem"):
            if root != read_certificate(folder / name, "Copy root.pem over it."):
                raise MismatchError(
                    "The first certificate is not the one in root.pem", _RESTORE, folder / name
                )
        return cls(folder, root, intermediate, key, Ledger(folder / "issued.jsonl"))

    def issue_server(
        self, names: Sequence[str], addresses: Sequence[str], now: datetime.datetime | None = None
    ) -> Issued:
        """Issues a certificate for a server.

        names: DNS names. addresses: IP addresses; the first that is not a loopback address becomes the common
        name, else the first name that is not localhost. Each address stands in the alternative name as an IP
        address and as a DNS name too: mbed TLS 2.28 and BearSSL compare only DNS names and the common name.
        Raises InvalidNameError where there is nothing to certify; OSError where the ledger cannot be written.
        """
        if not names and not addresses:
            raise InvalidNameError("A server's certificate needs a name or an address", "Give at least one.")
        parsed = [ipaddress.ip_address(address) for address in dict.fromkeys(addresses)]
        dns_names = dict.fromkeys([*names, *(str(address) for address in parsed)])
        alternative: list[x509.GeneralName] = [x509.DNSName(name) for name in dns_names]
        alternative.extend(x509.IPAddress(address) for address in parsed)
        subject = server_common_name(names, [str(address) for address in parsed])
        with self._issuing:
            return self._issue(profiles.SERVER, subject, alternative, now)

    def issue_client(self, name: str, replace: bool = False, now: datetime.datetime | None = None) -> Issued:
        """Issues a certificate for a device called `name`, which is its common name and MQTT user name.

        replace: the name may have a certificate already; the new one stands beside it.
        Raises InvalidNameError, NameTakenError; OSError where the ledger cannot be written.
        """
        check_name(name)
        with self._issuing:
            earlier = self.ledger.latest(profiles.CLIENT.name, name)
            if earlier is not None and not replace:
                raise NameTakenError(
                    f"{name!r} got a certificate on {earlier.time:%Y-%m-%d} (serial {earlier.serial})",
                    "Use the files written then, choose another name, or issue another one (--replace).",
                    self.ledger.path,
                )
            return self._issue(profiles.CLIENT, name, [], now)

    def _issue(
        self,
        profile: Profile,
        subject: str,
        alternative: list[x509.GeneralName],
        now: datetime.datetime | None,
    ) -> Issued:
        now = now or datetime.datetime.now(datetime.UTC)
        _check_valid(self.folder / "intermediate.pem", self.intermediate, now)
        key = ec.generate_private_key(ec.SECP256R1())
        not_before = max(now - BACKDATED, self.intermediate.not_valid_before_utc).replace(microsecond=0)
        # notAfter is part of the validity (RFC 5280 section 4.1.2.5), hence the second.
        last = not_before + datetime.timedelta(days=profile.days, seconds=-1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(self.intermediate.subject)
            .public_key(key.public_key())
            .serial_number(self._unused_serial())
            .not_valid_before(not_before)
            .not_valid_after(min(last, self.intermediate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(profiles.key_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage(profile.extended_key_usage), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_authority_key_identifier(self.intermediate), critical=False)
        )
        if alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        self.ledger.record_all([(profile.name, certificate)], now, self.issuers[0].identifier)
        return Issued(certificate, _pem(certificate) + _pem(self.intermediate), private_key_pem(key))

    def _unused_serial(self) -> int:
        while True:
            serial = random_serial()
            if self.ledger.by_serial(serial) is None:
                return serial


def server_common_name(names: Sequence[str], addresses: Sequence[str]) -> str:
    """The common name of a server's certificate: what devices use to reach it, as `issue_server` says."""
    for address in addresses:
        if not ipaddress.ip_address(address).is_loopback:
            return address
    usable = [name for name in names if len(name) <= MAXIMUM_CHARACTERS and not is_address(name)]
    return next((name for name in usable if name != "localhost"), "localhost")


def random_serial() -> int:
    """A serial number of 127 random bits, positive and within the 20 octets of RFC 5280 section 4.1.2.2."""
    return secrets.randbits(127) or 1


def _authority_certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    days: int,
    now: datetime.datetime,
) -> x509.Certificate:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lockwire"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    not_before = (now - BACKDATED).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(random_serial())
        .not_valid_before(not_before)
        .not_valid_after(not_before + datetime.timedelta(days=days))
        .add_extension(
            x509.BasicConstraints(ca=True, path_length=None if issuer is None else 0), critical=True
        )
        .add_extension(profiles.authority_key_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is not None:
        builder = builder.add_extension(_authority_key_identifier(issuer), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _check_issued_by(intermediate: x509.Certificate, root: x509.Certificate, folder: Path) -> None:
    try:
        intermediate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise MismatchError(
            "This certificate was not issued by root.pem", _RESTORE, folder / "intermediate.pem"
        ) from error


def _check_valid(file: Path, certificate: x509.Certificate, now: datetime.datetime) -> None:
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


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
