"""Operations of `lockwire cert`: certificates issued, signed, renewed, listed.

A certificate that is wanted is described by: name, profile, san (list of texts), days, csr (PEM), key (the
kind of a key to make). All of them know `by`, who asks for it, for the ledger.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lockwire.control import Arguments, ControlError
from lockwire.household import Household
from lockwire.operations.arguments import flag, integer, optional_text, text, texts
from lockwire.operations.outcome import Operation, Outcome
from lockwire.pki.authority import branches, bulk
from lockwire.pki.authority.alternatives import alternative_text, alternatives_of
from lockwire.pki.authority.authority import Authority, Issued
from lockwire.pki.authority.bulk import Row
from lockwire.pki.authority.ledger import Entry
from lockwire.pki.authority.points import RevocationPoints
from lockwire.pki.authority.profiles import CLIENT, PROFILES, Profile
from lockwire.pki.authority.requests import (
    Request,
    key_kind_named,
    make_request,
    profile_named,
    profile_of,
    read_signing_request,
    request_for,
)
from lockwire.pki.certificate import common_name_of
from lockwire.pki.errors import PkiError, RequestError, UnknownCertificateError
from lockwire.pki.keys import KeyKind, kind_of

CHAINS: Final[Mapping[str, str]] = {"main": branches.PRIMARY, "rsa": branches.RSA, "next": branches.NEXT}
"""The branches by the names that commands have for them."""


def issue(household: Household, arguments: Arguments) -> Outcome:
    """Issues one certificate with a new key, or for a signing request.

    Further arguments: drop (alternative names that are not allowed are left out), replace, chain, crl_url,
    ocsp_url. Gives serial, name, until, chain, key ("" for a signing request), ca, cut (days that are missing
    because the issuer ends before), dropped (alternative names that were asked for and left out).
    """
    authority = household.authority
    request = _request(authority, arguments)
    issued = authority.issue(
        [request],
        replace=flag(arguments, "replace"),
        branch=_branch(arguments),
        points=_points(authority, arguments),
        by=_by(arguments),
    )[0]
    return _outcome(authority, issued, request, "certificate issued", _dropped(arguments, request))


def renew(household: Household, arguments: Arguments) -> Outcome:
    """Issues a certificate anew with the same key: reference (name or serial) or certificate (PEM); days,
    chain. Gives what `issue` gives."""
    authority = household.authority
    certificate, profile = _meant(authority, arguments)
    issued = authority.renew(certificate, profile, _days(arguments), _branch(arguments), by=_by(arguments))
    return _outcome(authority, issued, None, "certificate renewed")


def rekey(household: Household, arguments: Arguments) -> Outcome:
    """Issues a certificate anew with another key: reference or certificate; key or csr, days, chain.

    Name and alternative names stay, whatever a signing request says; without key and csr the kind of key
    does. Gives what `issue` gives.
    """
    authority = household.authority
    certificate, profile = _meant(authority, arguments)
    if not authority.has_issued(certificate):
        raise RequestError("This certificate does not come from this authority", "Issue a new one.")
    csr, kind = optional_text(arguments, "csr"), optional_text(arguments, "key")
    key = read_signing_request(csr.encode("ascii")).key if csr else None
    if key is not None and key == certificate.public_key():
        raise RequestError("The signing request has the key of the old certificate", "Make a new key.")
    request = Request(
        common_name_of(certificate.subject) or "",
        profile,
        alternatives_of(certificate),
        key or (key_kind_named(kind) if kind else _like(certificate.public_key())),
        _days(arguments),
        certificate.subject,
    )
    issued = authority.issue([request], replace=True, branch=_branch(arguments), by=_by(arguments))[0]
    return _outcome(authority, issued, request, "certificate issued with a new key")


def check_rows(household: Household, arguments: Arguments) -> Outcome:
    """Whether certificates could be issued: rows, replace. Gives None, or place, column, problem and remedy
    of the first that could not."""
    authority = household.authority
    owners = authority.owners(datetime.datetime.now(datetime.UTC))
    requests = []
    for place, row in enumerate(_rows(arguments)):
        try:
            requests.append(_row_request(row, owners))
        except PkiError as error:
            return _refusal(place, "csr" if row.csr else "name", error)
    found = authority.first_problem(requests, flag(arguments, "replace"))
    if found is None:
        return Outcome()
    return _refusal(found[0], "name", found[1])


def issue_rows(household: Household, arguments: Arguments) -> Outcome:
    """Issues many certificates, all or none: rows, replace, chain. Gives chain, key and ca of each."""
    authority = household.authority
    owners = authority.owners(datetime.datetime.now(datetime.UTC))
    requests = [_row_request(row, owners) for row in _rows(arguments)]
    issued = authority.issue(
        requests, replace=flag(arguments, "replace"), branch=_branch(arguments), by=_by(arguments)
    )
    return Outcome(
        {
            "certificates": [
                {
                    "chain": one.chain.decode("ascii"),
                    "key": one.key.decode("ascii"),
                    "ca": _device_ca(authority, one.certificate),
                }
                for one in issued
            ]
        },
        log="certificates issued",
        fields=(("count", len(issued)), ("by", _by(arguments))),
    )


def list_all(household: Household, arguments: Arguments) -> Outcome:
    """Everything in the ledger, oldest first: a list of what `describe` says."""
    authority = household.authority
    now = datetime.datetime.now(datetime.UTC)
    current = {entry.serial for entry in authority.ledger.current(now)}
    return Outcome(
        [describe(authority, entry, entry.serial in current, now) for entry in authority.ledger.entries()]
    )


def show(household: Household, arguments: Arguments) -> Outcome:
    """One certificate: reference. Gives what `describe` says, and certificate (PEM, "" without a copy)."""
    authority = household.authority
    now = datetime.datetime.now(datetime.UTC)
    entry = authority.ledger.find(text(arguments, "reference"))
    current = entry in authority.ledger.current(now)
    certificate = authority.ledger.certificate(int(entry.serial, 16))
    pem = "" if certificate is None else _pem(certificate)
    return Outcome(describe(authority, entry, current, now) | {"certificate": pem})


def describe(authority: Authority, entry: Entry, current: bool, now: datetime.datetime) -> dict[str, object]:
    """An entry of the ledger for an answer; state: valid, replaced, ended, revoked."""
    revocation = authority.ledger.revocation(int(entry.serial, 16))
    is_client = entry.profile in PROFILES and PROFILES[entry.profile].is_client
    state = (
        "revoked"
        if revocation is not None
        else "ended"
        if entry.not_after < now
        else "replaced"
        if is_client and not current
        else "valid"
    )
    return {
        "serial": entry.serial,
        "name": entry.name,
        "profile": entry.profile,
        "alternative_names": list(entry.alternative_names),
        "issuer": entry.issuer,
        "issued": entry.time.isoformat(),
        "by": entry.by,
        "until": entry.not_after.isoformat(),
        "days_left": (entry.not_after - now).days,
        "sha256": entry.sha256,
        "state": state,
        "revoked": None if revocation is None else revocation.time.isoformat(),
        "reason": None if revocation is None else revocation.reason.value,
        "revoked_by": None if revocation is None else revocation.by,
    }


def _request(authority: Authority, arguments: Arguments) -> Request:
    profile = profile_named(optional_text(arguments, "profile") or CLIENT.name)
    csr, kind = optional_text(arguments, "csr"), optional_text(arguments, "key")
    names, days = texts(arguments, "san"), _days(arguments)
    if not csr:
        return make_request(
            text(arguments, "name"), profile, names, key_kind_named(kind) if kind else None, days
        )
    asked = read_signing_request(csr.encode("ascii"))
    name = optional_text(arguments, "name") or asked.name
    owners = authority.owners(datetime.datetime.now(datetime.UTC))
    return request_for(
        asked, profile, name, names, days, flag(arguments, "drop"), _others(owners, name or "")
    )


def _row_request(row: Row, owners: Mapping[str, set[str]]) -> Request:
    return bulk.request_of(row, _others(owners, row.name) if row.csr else ())


def _others(owners: Mapping[str, set[str]], name: str) -> frozenset[str]:
    """The names, in lower case, that belong to others than `name`."""
    own = name.lower()
    return frozenset(value for value, who in owners.items() if any(one.lower() != own for one in who))


def _rows(arguments: Arguments) -> list[Row]:
    rows = arguments.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ControlError("the argument 'rows' is missing or no list of objects", bad_input=True)
    return [
        Row(
            integer(row, "line", 0),
            text(row, "name"),
            text(row, "profile"),
            tuple(texts(row, "san")),
            _days(row),
            text(row, "csr"),
        )
        for row in rows
    ]


def _meant(authority: Authority, arguments: Arguments) -> tuple[x509.Certificate, Profile]:
    """The certificate that is to be followed by another one, and its profile."""
    given = optional_text(arguments, "certificate")
    if given:
        certificate = x509.load_pem_x509_certificate(given.encode("ascii"))
        entry = authority.ledger.by_serial(certificate.serial_number)
    else:
        entry = authority.ledger.find(text(arguments, "reference"))
        kept = authority.ledger.certificate(int(entry.serial, 16))
        if kept is None:
            raise UnknownCertificateError(
                "The ledger has no copy of this certificate, as an earlier version issued it",
                "Give the certificate's file instead of its name.",
                authority.ledger.path,
            )
        certificate = kept
    profile = PROFILES.get(entry.profile) if entry is not None else profile_of(certificate)
    if profile is None:
        raise RequestError("This is a certificate of the authority itself", "See lockwire ca rollover.")
    return certificate, profile


def _dropped(arguments: Arguments, request: Request) -> tuple[str, ...]:
    csr = optional_text(arguments, "csr")
    if not csr:
        return ()
    asked = read_signing_request(csr.encode("ascii")).alternative
    return tuple(alternative_text(one) for one in asked if one not in request.alternative)


def _like(key: object) -> KeyKind | None:
    if isinstance(key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey, ed25519.Ed25519PublicKey)):
        return kind_of(key)
    return None


def _outcome(
    authority: Authority, issued: Issued, request: Request | None, log: str, dropped: tuple[str, ...] = ()
) -> Outcome:
    certificate = issued.certificate
    name = common_name_of(certificate.subject) or ""
    until = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    length = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    wanted = None if request is None else request.days or request.profile.days
    answer = {
        "serial": f"{certificate.serial_number:x}",
        "name": name,
        "until": until,
        "chain": issued.chain.decode("ascii"),
        "key": issued.key.decode("ascii"),
        "ca": _device_ca(authority, certificate),
        "dropped": list(dropped),
        "cut": 0 if wanted is None else max(0, wanted - round(length / datetime.timedelta(days=1))),
    }
    fields = (("name", name), ("serial", answer["serial"]), ("until", until))
    return Outcome(answer, log=log, fields=fields)


def _device_ca(authority: Authority, certificate: x509.Certificate) -> str:
    """What the owner of a certificate checks the broker with: who has an RSA chain's may not know ECDSA."""
    rsa = authority.branches.get(branches.RSA)
    is_rsa = rsa is not None and certificate.issuer == rsa.issuer.certificate.subject
    return (authority.rsa_device_ca if is_rsa else authority.device_ca).read_text(encoding="ascii")


def _refusal(place: int, column: str, error: PkiError) -> Outcome:
    return Outcome({"place": place, "column": column, "problem": error.problem, "remedy": error.remedy})


def _branch(arguments: Arguments) -> str | None:
    chain = optional_text(arguments, "chain")
    if chain is None:
        return None
    if chain not in CHAINS:
        raise RequestError(f"There is no chain {chain!r}", f"Take one of {', '.join(CHAINS)}.")
    return CHAINS[chain]


def _points(authority: Authority, arguments: Arguments) -> RevocationPoints:
    crl, ocsp = optional_text(arguments, "crl_url"), optional_text(arguments, "ocsp_url")
    return RevocationPoints(
        authority.points.crl_url if crl is None else crl, authority.points.ocsp_url if ocsp is None else ocsp
    )


def _days(arguments: Arguments) -> int | None:
    return None if arguments.get("days") is None else integer(arguments, "days", 0)


def _by(arguments: Arguments) -> str:
    return optional_text(arguments, "by") or ""


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


OPERATIONS: Final[dict[str, Operation]] = {
    "cert.issue": issue,
    "cert.renew": renew,
    "cert.rekey": rekey,
    "cert.check_rows": check_rows,
    "cert.issue_rows": issue_rows,
    "cert.list": list_all,
    "cert.show": show,
}
