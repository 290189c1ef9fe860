"""Operations of `lockwire cert revoke` and `unrevoke`."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lockwire.control import Arguments, ControlError
from lockwire.household import Household
from lockwire.operations.arguments import optional_text, text, texts
from lockwire.operations.outcome import CertificatesRevoked, Effect, Operation, Outcome, TrustChanged
from lockwire.pki.authority.ledger import Entry, Ledger, Revocation
from lockwire.pki.authority.profiles import PROFILES, SERVER
from lockwire.pki.certificate import common_name_of
from lockwire.pki.errors import PkiError, RequestError, UnknownCertificateError
from lockwire.pki.revocation.publishing import keys_of_revocations, revocation_of, write_crls

REASONS: Final = (
    x509.ReasonFlags.unspecified,
    x509.ReasonFlags.key_compromise,
    x509.ReasonFlags.affiliation_changed,
    x509.ReasonFlags.superseded,
    x509.ReasonFlags.cessation_of_operation,
    x509.ReasonFlags.privilege_withdrawn,
    x509.ReasonFlags.certificate_hold,
)
"""The reasons of RFC 5280 section 5.3.1 that an end entity's certificate can have."""

_LONGEST_NAME_LIKE_SERIAL: Final = 8
"""Hexadecimal digits: a shorter serial number may as well be a name, which then counts."""


def find(household: Household, arguments: Arguments) -> Outcome:
    """What a command means: reference (a serial number, or a name for all of it), or certificate (PEM).

    Gives a list of serial, name, profile ("" where the ledger does not know it), until, revoked (the reason,
    null where it is not). Those of a name that have ended are left out. Raises what `revoke` would.
    """
    authority = household.authority
    now = datetime.datetime.now(datetime.UTC)
    given = optional_text(arguments, "certificate")
    found: Sequence[Entry | x509.Certificate]
    if given is None:
        found = _meant(authority.ledger, text(arguments, "reference"), now)
    else:
        found = [_known(authority.ledger, _parsed(given))]
    for one in found:
        revocation_of(authority, one, x509.ReasonFlags.unspecified, "", now)
    return Outcome([_described(authority.ledger, one) for one in found])


def revoke(household: Household, arguments: Arguments) -> Outcome:
    """Revokes certificates: serials (a list), or certificate (PEM); reason, by.

    Gives revoked and already, lists of serial numbers; problem: why the revocation lists could not be
    written, "" where they were; server_problem: the same of the server's certificate, where that was one of
    them. Nothing is revoked where one of the serials cannot be.
    """
    authority = household.authority
    reason = _reason(optional_text(arguments, "reason") or x509.ReasonFlags.unspecified.value)
    by = optional_text(arguments, "by") or ""
    now = datetime.datetime.now(datetime.UTC)
    wanted = [revocation_of(authority, one, reason, by, now) for one in _asked(authority.ledger, arguments)]
    new = [one for one in wanted if _changes(authority.ledger, one)]
    if new:
        authority.ledger.revoke(new)
    effects: list[Effect] = [CertificatesRevoked(keys_of_revocations(authority, new))]
    server_problem = ""
    if any(_is_server(authority.ledger, one) for one in new) and household.data.server_certificate.exists():
        server_problem = _renew_server(household)
        effects.append(TrustChanged())
    answer = {
        "revoked": [one.serial for one in new],
        "already": [one.serial for one in wanted if one not in new],
        "problem": _publish(household),
        "server_problem": server_problem,
    }
    fields = (
        ("names", ", ".join(dict.fromkeys(one.name for one in new))),
        ("serials", ", ".join(one.serial for one in new)),
        ("reason", reason.value),
        ("by", by),
    )
    return Outcome(answer, tuple(effects), "certificates revoked" if new else "", fields)


def unrevoke(household: Household, arguments: Arguments) -> Outcome:
    """Takes back what was revoked with reason certificateHold: reference, by.

    Gives restored, a list of serial numbers, and problem as `revoke` does.
    """
    authority = household.authority
    reference, by = text(arguments, "reference"), optional_text(arguments, "by") or ""
    now = datetime.datetime.now(datetime.UTC)
    entries = _meant(authority.ledger, reference, now)
    held = [
        one
        for one in entries
        if _reason_now(authority.ledger, one.serial) is x509.ReasonFlags.certificate_hold
    ]
    if not held:
        raise RequestError(
            f"Nothing of {reference!r} is on hold",
            "Only a certificate revoked with --reason certificateHold comes back; issue another one.",
        )
    taken_back = [revocation_of(authority, one, x509.ReasonFlags.remove_from_crl, by, now) for one in held]
    authority.ledger.revoke(taken_back)
    answer = {"restored": [one.serial for one in taken_back], "problem": _publish(household)}
    fields = (("serials", ", ".join(one.serial for one in taken_back)), ("by", by))
    return Outcome(answer, (CertificatesRevoked(frozenset()),), "hold of certificates ended", fields)


def _asked(ledger: Ledger, arguments: Arguments) -> Sequence[Entry | x509.Certificate]:
    given = optional_text(arguments, "certificate")
    if given is not None:
        return [_known(ledger, _parsed(given))]
    entries = []
    for serial in dict.fromkeys(texts(arguments, "serials")):
        entry = _by_serial(ledger, serial)
        if entry is None:
            raise UnknownCertificateError(
                f"No certificate has the serial number {serial}", "See lockwire cert list."
            )
        entries.append(entry)
    if not entries:
        raise ControlError("the argument 'serials' is missing or empty", bad_input=True)
    return entries


def _meant(ledger: Ledger, reference: str, now: datetime.datetime) -> list[Entry]:
    """The certificate with a serial number, or those of a name that have not ended."""
    entry = _by_serial(ledger, reference)
    named = ledger.named(reference)
    if entry is not None and (len(entry.serial) > _LONGEST_NAME_LIKE_SERIAL or not named):
        return [entry]
    if not named:
        raise UnknownCertificateError(
            f"No certificate was issued for {reference!r}, and none has this serial number",
            _near(ledger, reference),
        )
    lasting = [one for one in named if one.not_after >= now]
    if not lasting:
        raise RequestError(
            f"The last certificate of {reference!r} ended on {named[-1].not_after:%Y-%m-%d}",
            "Nobody can connect with it any more.",
        )
    return lasting


def _known(ledger: Ledger, certificate: x509.Certificate) -> Entry | x509.Certificate:
    """A certificate as the ledger has it, itself where the ledger does not know it."""
    entry = ledger.by_serial(certificate.serial_number)
    same = entry is not None and entry.sha256 == certificate.fingerprint(hashes.SHA256()).hex()
    return entry if entry is not None and same else certificate


def _by_serial(ledger: Ledger, text: str) -> Entry | None:
    """A serial number as people copy it: hexadecimal, in either case, with colons, zeros or 0x in front."""
    digits = text.replace(":", "").removeprefix("0x").removeprefix("0X")
    try:
        return ledger.by_serial(int(digits, 16))
    except ValueError:
        return None


def _near(ledger: Ledger, reference: str) -> str:
    names = {one.name for one in ledger.entries() if one.profile in PROFILES}
    near = difflib.get_close_matches(reference, names, n=5)
    return f"Did you mean {' or '.join(near)}?" if near else "lockwire cert list shows what was issued."


def _described(ledger: Ledger, one: Entry | x509.Certificate) -> dict[str, str | None]:
    if isinstance(one, Entry):
        serial, name, profile, until = one.serial, one.name, one.profile, one.not_after
    else:
        serial, name, profile = f"{one.serial_number:x}", common_name_of(one.subject) or "", ""
        until = one.not_valid_after_utc
    reason = _reason_now(ledger, serial)
    return {
        "serial": serial,
        "name": name,
        "profile": profile,
        "until": f"{until:%Y-%m-%d}",
        "revoked": None if reason is None else reason.value,
    }


def _reason_now(ledger: Ledger, serial: str) -> x509.ReasonFlags | None:
    revocation = ledger.revocation(int(serial, 16))
    return None if revocation is None else revocation.reason


def _changes(ledger: Ledger, one: Revocation) -> bool:
    """Whether a revocation says something new: a hold may become final, nothing else changes."""
    before = _reason_now(ledger, one.serial)
    return before is None or (before is x509.ReasonFlags.certificate_hold and one.reason is not before)


def _is_server(ledger: Ledger, one: Revocation) -> bool:
    entry = ledger.by_serial(int(one.serial, 16))
    return entry is not None and entry.profile == SERVER.name


def _publish(household: Household) -> str:
    """Writes the lists. The revocation stands whether this succeeds or not, so its failure is no error."""
    try:
        write_crls(household.authority)
    except OSError as error:
        return str(error)
    return ""


def _renew_server(household: Household) -> str:
    """Gives the server another certificate; what was revoked is denied whether this succeeds or not."""
    try:
        household.ensure_server_certificate()
    except (PkiError, OSError) as error:
        return str(error)
    return ""


def _reason(name: str) -> x509.ReasonFlags:
    found = next((one for one in REASONS if one.value == name), None)
    if found is None:
        known = ", ".join(one.value for one in REASONS)
        raise RequestError(f"{name!r} is no reason for a revocation", f"Take one of {known}.")
    return found


def _parsed(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode("ascii"))
    except ValueError as error:
        raise ControlError("the argument 'certificate' is no certificate in PEM", bad_input=True) from error


OPERATIONS: Final[dict[str, Operation]] = {
    "cert.revocable": find,
    "cert.revoke": revoke,
    "cert.unrevoke": unrevoke,
}
