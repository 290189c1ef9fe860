"""The certificate authority in a folder: a root that devices install, an intermediate that issues.

ca/ca.pem            what devices install: the root alone, and during a rollover the other root behind it
ca/ca-rsa.pem        the same for devices that verify RSA only, where there is an RSA chain
ca/clients.pem       every root and intermediate: what the broker checks client certificates with, so that a
                     device that sends its own certificate without the intermediate gets in as well
ca/issued.jsonl      the ledger
ca/points.json       the URLs of revocation lists and OCSP that are written into certificates
ca/root.pem, ...     the branches: see `branches`
"""

from __future__ import annotations

import datetime
import ipaddress
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from lockwire.pki.authority import branches, profiles
from lockwire.pki.authority.alternatives import alternative_values, alternatives_of, with_addresses_as_names
from lockwire.pki.authority.branches import Branch, read_branch
from lockwire.pki.authority.certificates import end_entity_certificate, pem, random_serial
from lockwire.pki.authority.changes import Changes, complete
from lockwire.pki.authority.founding import CLIENT_CA, DEVICE_CA, LEDGER, RSA_DEVICE_CA, NewAuthority, found
from lockwire.pki.authority.issuer import Issuer, SigningKey, is_issued_by
from lockwire.pki.authority.ledger import Entry, Ledger, NewEntry, Revocation
from lockwire.pki.authority.points import RevocationPoints
from lockwire.pki.authority.profiles import Profile
from lockwire.pki.authority.requests import Request, make_request, subject_of
from lockwire.pki.certificate import common_name_of, is_address
from lockwire.pki.errors import InvalidNameError, MismatchError, NameTakenError, PkiError, RequestError
from lockwire.pki.keys import KeyKind, PublicKey, check_public_key, generate_key, key_pem, leaf_kind
from lockwire.pki.names import MAXIMUM_CHARACTERS
from lockwire.pki.pem import read_certificate

THE_SERVER: Final = ""
"""The owner of a server's names, in the place of a client's common name, which is never empty."""
_OTHERS: Final = (branches.NEXT, branches.PREVIOUS, branches.RSA)
_COPY: Final = "Copy root.pem over it."


@dataclass(frozen=True, slots=True)
class Issued:
    """A new certificate with its key.

    certificate: the leaf.
    chain: PEM, the leaf and then what stands between it and the root, as a server or a device presents it.
    key: PEM, PKCS#8, not encrypted: for a 0600 file. Empty where the device keeps its own.
    """

    certificate: x509.Certificate
    chain: bytes
    key: bytes = field(repr=False)


class Authority:
    """An opened authority: for one process, the one that owns the data folder, and any of its threads."""

    def __init__(
        self, folder: Path, found_branches: Mapping[str, Branch], ledger: Ledger, points: RevocationPoints
    ) -> None:
        self.folder = folder
        self.ledger = ledger
        self.points = points
        self._branches = found_branches
        self._issuing = threading.RLock()

    # -- what it has

    @property
    def device_ca(self) -> Path:
        """The file that devices install."""
        return self.folder / DEVICE_CA

    @property
    def rsa_device_ca(self) -> Path:
        """The file that devices install which verify RSA only; there where there is an RSA chain."""
        return self.folder / RSA_DEVICE_CA

    @property
    def client_ca(self) -> Path:
        """The file that the broker verifies client certificates with: every root and intermediate."""
        return self.folder / CLIENT_CA

    @property
    def branches(self) -> Mapping[str, Branch]:
        """Its branches by their files' prefix: `branches.PRIMARY`, and what else there is now."""
        return self._branches

    @property
    def primary(self) -> Branch:
        """The root that devices install, and what issues where nothing else is asked for."""
        return self._branches[branches.PRIMARY]

    @property
    def root(self) -> x509.Certificate:
        return self.primary.root

    @property
    def intermediate(self) -> x509.Certificate:
        """The certificate that issues: the intermediate, or the root where that allows none."""
        return self.primary.issuer.certificate

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """Every CA certificate whose key is at hand, the one that issues now first.

        Each signs a revocation list and OCSP answers of its own; others appear with an RSA chain and
        during a rollover, so ask each time.
        """
        return tuple(branch.issuer for branch in self._branches.values())

    def issuer_of(self, record: Entry | Revocation) -> Issuer | None:
        """The issuer of a certificate in the ledger, None where it is gone."""
        if record.authority:
            return next((one for one in self.issuers if one.identifier == record.authority), None)
        entry = record if isinstance(record, Entry) else self.ledger.by_serial(int(record.serial, 16))
        name = entry.issuer if entry is not None else ""
        return next((one for one in self.issuers if one.common_name == name), None)

    def endings(self, issuers: Sequence[Issuer], now: datetime.datetime, by: str) -> list[Revocation]:
        """The revocations of everything valid that these issuers issued, for when they go.

        They are not written here: `ledger.revoke` does that, once the issuers are gone.
        """
        gone = {issuer.identifier for issuer in issuers}
        found = []
        for entry in self.ledger.entries():
            issuer = self.issuer_of(entry)
            if entry.profile not in profiles.PROFILES or issuer is None or issuer.identifier not in gone:
                continue
            if entry.not_after >= now and not self.ledger.is_revoked(entry.serial):
                reason, identifier = x509.ReasonFlags.cessation_of_operation, issuer.identifier
                found.append(
                    Revocation(now, entry.serial, reason, by, identifier, entry.name, entry.not_after)
                )
        return found

    # -- making and opening

    @classmethod
    def create(
        cls,
        folder: Path,
        now: datetime.datetime | None = None,
        wanted: NewAuthority | None = None,
        by: str = "",
    ) -> Authority:
        """Makes a new authority in `folder`, which must not exist or be empty.

        It is built beside its place and renamed into it, so that there is a whole authority or none.
        Raises AuthorityExistsError; OSError where the disk refuses.
        """
        now = now or datetime.datetime.now(datetime.UTC)
        found(folder, wanted or NewAuthority(), now, by)
        return cls.open(folder, now)

    @classmethod
    def open(cls, folder: Path, now: datetime.datetime | None = None) -> Authority:
        """Opens the authority in `folder` and checks that its files are there and belong together.

        A change that a crash interrupted is completed first. The roots' keys may be elsewhere. Raises
        MissingFileError, MalformedFileError, UnsafeKeyError, MismatchError or ExpiredError, each with the
        file and what to do; OSError.
        """
        if folder.is_dir():
            complete(folder)
        return cls.look(folder, now)

    @classmethod
    def look(cls, folder: Path, now: datetime.datetime | None = None) -> Authority:
        """As `open`, for who does not hold the data folder's lock: changes nothing, and may not issue."""
        now = now or datetime.datetime.now(datetime.UTC)
        found_branches = _read_branches(folder, now)
        return cls(folder, found_branches, Ledger(folder / LEDGER), RevocationPoints.read(folder))

    def adopt(self, changes: Changes, now: datetime.datetime) -> None:
        """Makes a change of the authority's files, and goes on with what is there then.

        Raises as `open`; OSError. A failure leaves everything as it was.
        """
        with self._issuing:
            changes.commit()
            self._branches = _read_branches(self.folder, now)

    def publish_at(self, points: RevocationPoints) -> None:
        """Writes these URLs into certificates from now on, also after the next start. Raises OSError."""
        if points != self.points:
            points.write(self.folder)
            self.points = points

    # -- issuing

    def issue_server(
        self,
        names: Sequence[str],
        addresses: Sequence[str],
        now: datetime.datetime | None = None,
        branch: str | None = None,
    ) -> Issued:
        """Issues a certificate for a server.

        names: DNS names. addresses: IP addresses; the first that is not a loopback address becomes the common
        name, else the first name that is not localhost. Each address stands in the alternative name as an IP
        address and as a DNS name too: mbed TLS 2.28 and BearSSL compare only DNS names and the common name.
        branch: as `issue`. Raises InvalidNameError where there is nothing to certify; OSError.
        """
        if not names and not addresses:
            raise InvalidNameError("A server's certificate needs a name or an address", "Give at least one.")
        parsed = [ipaddress.ip_address(address) for address in dict.fromkeys(addresses)]
        alternative = with_addresses_as_names(
            [*(x509.DNSName(name) for name in names), *(x509.IPAddress(address) for address in parsed)]
        )
        subject = server_common_name(names, [str(address) for address in parsed])
        request = Request(subject, profiles.SERVER, alternative)
        return self.issue([request], branch=branch, now=now, by="lockwire")[0]

    def issue_client(
        self, name: str, replace: bool = False, now: datetime.datetime | None = None, by: str = ""
    ) -> Issued:
        """Issues a certificate for a device called `name`, which is its common name and MQTT user name.

        replace: the name may have a certificate already; the new one stands beside it.
        Raises InvalidNameError, NameTakenError; OSError where the ledger cannot be written.
        """
        return self.issue([make_request(name, profiles.CLIENT)], replace=replace, now=now, by=by)[0]

    def issue(
        self,
        requests: Sequence[Request],
        *,
        replace: bool = False,
        branch: str | None = None,
        points: RevocationPoints | None = None,
        now: datetime.datetime | None = None,
        by: str = "",
    ) -> list[Issued]:
        """Issues certificates: all of them, or none where one cannot be.

        replace: names may have certificates already. branch: the prefix of the branch that issues; without it
        the RSA one for RSA keys where there is one, else the primary. points: instead of the authority's own.
        by: who asks, for the ledger.

        Raises InvalidNameError, NameTakenError, WeakKeyError, RequestError, ExpiredError; OSError where the
        ledger cannot be written.
        """
        now = now or datetime.datetime.now(datetime.UTC)
        self.check(requests, replace, now)
        chosen = [self._branch_for(request, branch) for request in requests]
        keys = [_key_for(request, one.issuer) for request, one in zip(requests, chosen, strict=True)]
        with self._issuing:
            self.check(requests, replace, now)  # making RSA keys takes long enough for others to come between
            issued = []
            for request, one, key in zip(requests, chosen, keys, strict=True):
                branches.check_branch_valid(self.folder, one, now)
                certificate = self._sign(request, one.issuer, key, points or self.points, now)
                issued.append(_issued(certificate, one, request.profile, key))
            entries = [
                NewEntry(request.profile.name, new.certificate, one.issuer.identifier)
                for request, one, new in zip(requests, chosen, issued, strict=True)
            ]
            self.ledger.record_all(entries, now, by)
            return issued

    def renew(
        self,
        certificate: x509.Certificate,
        profile: Profile,
        days: int | None = None,
        branch: str | None = None,
        now: datetime.datetime | None = None,
        by: str = "",
    ) -> Issued:
        """Issues a certificate anew: the same key, subject and alternative names, a new validity.

        The earlier one stays valid until its date. Raises RequestError where this authority did not issue it,
        or it is revoked; WeakKeyError, ExpiredError, OSError.
        """
        revocation = self.ledger.revocation(certificate.serial_number)
        if revocation is not None:
            raise RequestError(
                f"This certificate was revoked on {revocation.time:%Y-%m-%d} ({revocation.reason.value})",
                "Issue another one with a new key.",
            )
        if not self.has_issued(certificate):
            raise RequestError(
                "This certificate does not come from this authority", "Make a signing request for it instead."
            )
        key = check_public_key(certificate.public_key(), "The key of this certificate")
        name = common_name_of(certificate.subject) or ""
        alternative = alternatives_of(certificate)
        request = Request(name, profile, alternative, key, days, certificate.subject)
        return self.issue([request], replace=True, branch=branch, now=now, by=by)[0]

    def has_issued(self, certificate: x509.Certificate) -> bool:
        """Whether one of its CA certificates signed this one, whether the ledger knows it or not."""
        trusted = [one for branch in self._branches.values() for one in branch.certificates]
        return any(is_issued_by(certificate, one) for one in trusted)

    def check(
        self, requests: Sequence[Request], replace: bool = False, now: datetime.datetime | None = None
    ) -> None:
        """Raises what `issue` would for names that cannot be had, and issues nothing.

        InvalidNameError, NameTakenError.
        """
        found = self.first_problem(requests, replace, now)
        if found is not None:
            raise found[1]

    def first_problem(
        self, requests: Sequence[Request], replace: bool = False, now: datetime.datetime | None = None
    ) -> tuple[int, PkiError] | None:
        """The first request whose name cannot be had: its place, and what `check` raises for it."""
        owners = self.owners(now or datetime.datetime.now(datetime.UTC))
        seen: set[str] = set()
        for place, request in enumerate(requests):
            if not request.profile.is_client:
                continue
            try:
                self._check_free(request, replace)
                if request.name in seen:
                    raise NameTakenError(f"{request.name!r} is asked for twice", "Ask for each name once.")
                _check_not_anothers(request, owners)
            except (NameTakenError, InvalidNameError) as error:
                return place, error
            seen.add(request.name)
        return None

    def owners(self, now: datetime.datetime) -> dict[str, set[str]]:
        """Whose names (in lower case) are in valid certificates: `THE_SERVER`, or a client's common name."""
        owners: dict[str, set[str]] = {}
        for entry in self.ledger.entries():
            profile = profiles.PROFILES.get(entry.profile)
            if profile is None or entry.not_after < now or self.ledger.is_revoked(entry.serial):
                continue
            owner = THE_SERVER if profile is profiles.SERVER else entry.name
            for name in (entry.name, *entry.alternative_names):
                owners.setdefault(name.lower(), set()).add(owner)
        return owners

    def _check_free(self, request: Request, replace: bool) -> None:
        earlier = [entry for entry in self.ledger.named(request.name) if _is_client(entry)]
        if earlier and not replace:
            raise NameTakenError(
                f"{request.name!r} got a certificate on {earlier[-1].time:%Y-%m-%d} "
                f"(serial {earlier[-1].serial})",
                "Use the files written then, choose another name, or issue another one (--replace).",
                self.ledger.path,
            )

    def _branch_for(self, request: Request, wanted: str | None) -> Branch:
        if wanted is None:
            is_rsa = isinstance(request.key, rsa.RSAPublicKey) or (
                isinstance(request.key, KeyKind) and request.key.is_rsa
            )
            wanted = branches.RSA if is_rsa and branches.RSA in self._branches else branches.PRIMARY
        try:
            return self._branches[wanted]
        except KeyError:
            raise RequestError(
                f"This authority has no {wanted.rstrip('-')} chain", "See lockwire ca show."
            ) from None

    def _sign(
        self,
        request: Request,
        issuer: Issuer,
        key: SigningKey | PublicKey,
        points: RevocationPoints,
        now: datetime.datetime,
    ) -> x509.Certificate:
        return end_entity_certificate(
            issuer,
            request.profile,
            request.subject or subject_of(request.name),
            key.public_key() if isinstance(key, SigningKey) else key,
            request.alternative,
            request.days or request.profile.days,
            self._unused_serial(),
            points,
            now,
        )

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


def chain_of(certificate: x509.Certificate, branch: Branch, profile: Profile) -> bytes:
    """PEM of a certificate and what it presents behind it.

    A server sends the cross-certificate too, for clients that know only the other root; the broker knows all.
    """
    if profile.is_server:
        return pem(certificate, *branch.issuer.chain)
    return pem(certificate) if branch.intermediate is None else pem(certificate, branch.intermediate)


def _issued(
    certificate: x509.Certificate, branch: Branch, profile: Profile, key: SigningKey | PublicKey
) -> Issued:
    own = key_pem(key) if isinstance(key, SigningKey) else b""
    return Issued(certificate, chain_of(certificate, branch, profile), own)


def _key_for(request: Request, issuer: Issuer) -> SigningKey | PublicKey:
    """The device's own key, or a new one."""
    if request.key is None:
        return generate_key(leaf_kind(issuer.key))
    return generate_key(request.key) if isinstance(request.key, KeyKind) else request.key


def _check_not_anothers(request: Request, owners: Mapping[str, set[str]]) -> None:
    """A client whose certificate names another would pass for it where only names are compared."""
    if request.profile.is_server:
        return
    for value in (request.name, *alternative_values(request.alternative)):
        # Host names are compared without regard to case (RFC 4343).
        found = owners.get(value.lower(), set())
        others = {owner for owner in found if owner.lower() != request.name.lower()}
        if others:
            owner = min(others)
            whose = "a server" if owner == THE_SERVER else repr(owner)
            raise InvalidNameError(
                f"{value!r} is a name of {whose}, and a client that has it could pass for that",
                "Choose another name.",
            )


def _is_client(entry: Entry) -> bool:
    profile = profiles.PROFILES.get(entry.profile)
    return profile is not None and profile.is_client


def _read_branches(folder: Path, now: datetime.datetime) -> dict[str, Branch]:
    primary = read_branch(folder, branches.PRIMARY)
    branches.check_branch_valid(folder, primary, now)
    found_branches = {branches.PRIMARY: primary}
    for prefix in _OTHERS:
        if (folder / f"{prefix}root.pem").exists():
            found_branches[prefix] = read_branch(folder, prefix)
    for name in (DEVICE_CA, CLIENT_CA):
        if primary.root != read_certificate(folder / name, _COPY):
            raise MismatchError(
                "The first certificate is not the one in root.pem", branches.RESTORE, folder / name
            )
    return found_branches
