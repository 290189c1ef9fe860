"""Operations of `lockwire ca`: the authority shown, handed out, added to, replaced.

A root's key comes from root_key (PEM) where it is not in the folder, and passphrase opens it. "keep" stands
for what becomes of a new root's key: new_passphrase (encrypts it), key_folder (where it goes instead).
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lockwire.control import Arguments
from lockwire.household import Household
from lockwire.operations.arguments import flag, optional_text, text, texts
from lockwire.operations.outcome import Operation, Outcome, TrustChanged
from lockwire.pki.authority import branches, importing, rollover
from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.branches import Branch, RootKey, root_key_place
from lockwire.pki.authority.certificates import pem
from lockwire.pki.authority.importing import Import, KeptKey
from lockwire.pki.authority.requests import key_kind_named
from lockwire.pki.authority.rsa_chain import add_rsa_chain
from lockwire.pki.certificate import common_name_of, days_left, describe_key
from lockwire.pki.errors import RequestError
from lockwire.pki.keys import KeyKind
from lockwire.pki.toolkit.content import parse_content, private_key_of

NAMES: Final = {
    branches.PRIMARY: "main",
    branches.RSA: "rsa",
    branches.NEXT: "next",
    branches.PREVIOUS: "previous",
}
"""What commands call the branches."""

_NAMED: Final = 10
"""Certificates that an answer names one by one; the rest are counted."""


def show(household: Household, arguments: Arguments) -> Outcome:
    """What the authority is made of: chains, rollover, counts, URLs."""
    authority = household.authority
    now = datetime.datetime.now(datetime.UTC)
    current = authority.ledger.current(now)
    return Outcome(
        {
            "folder": str(authority.folder),
            "chains": [_describe(authority, branch, now) for branch in authority.branches.values()],
            "rollover": rollover.phase(authority),
            "issued": len(authority.ledger),
            "valid_clients": len(current),
            "revoked": len(authority.ledger.revoked()),
            "crl_url": authority.points.crl_url,
            "ocsp_url": authority.points.ocsp_url,
        }
    )


def export(household: Household, arguments: Arguments) -> Outcome:
    """The authority's certificates as PEM: chain ("main" without). Gives ca, chain (what issues, then the
    root) and name."""
    authority = household.authority
    wanted = optional_text(arguments, "chain") or "main"
    found = [one for prefix, one in authority.branches.items() if NAMES[prefix] == wanted]
    if not found:
        known = ", ".join(NAMES[prefix] for prefix in authority.branches)
        raise RequestError(f"This authority has no chain {wanted!r}", f"It has {known}.")
    branch = found[0]
    file = authority.rsa_device_ca if branch.prefix == branches.RSA else authority.device_ca
    return Outcome(
        {
            "name": wanted,
            "ca": file.read_text(encoding="ascii"),
            "chain": pem(*reversed(branch.certificates)).decode("ascii"),
        }
    )


def add_rsa(household: Household, arguments: Arguments) -> Outcome:
    """Adds an RSA chain: key (kind), root_key, passphrase, keep. Gives what `show` says, and warnings."""
    kind = key_kind_named(optional_text(arguments, "key") or KeyKind.RSA_2048.value)
    warnings = add_rsa_chain(
        household.authority,
        kind,
        _root_key(arguments),
        datetime.datetime.now(datetime.UTC),
        _new_passphrase(arguments),
        _key_folder(arguments),
        _by(arguments),
    )
    return _changed(household, arguments, warnings, "RSA chain added")


def take_over(household: Household, arguments: Arguments) -> Outcome:
    """Puts an authority made elsewhere in the place of this one: certificates (list of PEM), key (PEM),
    keep, kept, force. Gives what `show` says, and warnings."""
    now = datetime.datetime.now(datetime.UTC)
    authority = household.authority
    taken = read_import(arguments, now)
    lost = authority.ledger.current(now)
    if lost and not flag(arguments, "force"):
        names = ", ".join(entry.name for entry in lost[:5]) + (" and others" if len(lost) > 5 else "")
        raise RequestError(
            f"Clients have certificates of the authority that is here ({len(lost)}): {names}",
            "Import into a new data folder, or drop them with --force.",
        )
    importing.replace_with(authority, taken, read_kept(arguments), now, _by(arguments))
    return _changed(household, arguments, taken.warnings, "authority imported")


def start(household: Household, arguments: Arguments) -> Outcome:
    """Begins a change of authorities: key (kind), root_key, passphrase, keep. Gives what `show` says, and
    warnings."""
    authority = household.authority
    wanted = optional_text(arguments, "key")
    started = rollover.start(
        authority,
        key_kind_named(wanted) if wanted else KeyKind.P256,
        _root_key(arguments),
        datetime.datetime.now(datetime.UTC),
        _new_passphrase(arguments),
        _key_folder(arguments),
        _by(arguments),
    )
    return _changed(household, arguments, started.warnings, "rollover started")


def status(household: Household, arguments: Arguments) -> Outcome:
    """Where a change of authorities is: phase, and the clients whose certificates end with the old one."""
    authority = household.authority
    now = datetime.datetime.now(datetime.UTC)
    phase = rollover.phase(authority)
    left = [] if phase == "none" else list(rollover.left_behind(authority, now))
    return Outcome({"phase": phase, "left": [{"name": one.name, "serial": one.serial} for one in left]})


def switch(household: Household, arguments: Arguments) -> Outcome:
    """Makes the next authority the one that issues. Gives what `show` says."""
    rollover.switch(household.authority, datetime.datetime.now(datetime.UTC))
    return _changed(household, arguments, (), "rollover switched")


def finish(household: Household, arguments: Arguments) -> Outcome:
    """Drops the previous authority: force. Gives what `show` says, and the clients whose certificates end."""
    now = datetime.datetime.now(datetime.UTC)
    lost = rollover.finish(household.authority, now, flag(arguments, "force"), _by(arguments))
    warnings = [
        f"The certificate of {entry.name} (serial {entry.serial}) counts no more." for entry in lost[:_NAMED]
    ]
    if len(lost) > _NAMED:
        warnings.append(f"Nor do those of {len(lost) - _NAMED} others: lockwire cert list --all shows them.")
    return _changed(household, arguments, warnings, "rollover finished")


def read_import(arguments: Arguments, now: datetime.datetime) -> Import:
    """The authority in arguments: certificates, key. Raises ImportRefusedError, WeakKeyError."""
    certificates = [
        x509.load_pem_x509_certificate(one.encode("ascii")) for one in texts(arguments, "certificates")
    ]
    name = Path("the key")
    (item,) = parse_content(text(arguments, "key").encode("ascii"), name).keys
    return importing.assess(certificates, private_key_of(item, name), now)


def read_kept(arguments: Arguments) -> KeptKey:
    """What is to become of an imported root's key: kept, new_passphrase, key_folder."""
    return KeptKey(flag(arguments, "kept"), _new_passphrase(arguments), _key_folder(arguments))


def _changed(
    household: Household, arguments: Arguments, warnings: tuple[str, ...] | list[str], log: str
) -> Outcome:
    """The server's certificates follow the authority, and the listeners follow both."""
    if household.data.server_certificate.exists():
        household.ensure_server_certificate()
    shown = show(household, arguments).answer
    answer = {**(shown if isinstance(shown, dict) else {}), "warnings": list(warnings)}
    return Outcome(answer, (TrustChanged(),), log, (("by", _by(arguments)),))


def _describe(authority: Authority, branch: Branch, now: datetime.datetime) -> dict[str, object]:
    return {
        "name": NAMES[branch.prefix],
        "root_key": root_key_place(authority.folder, branch.prefix),
        "imported": importing.was_imported(authority.ledger, branch.root),
        "crossed": branch.cross is not None,
        "root": _certificate(branch.root, now),
        "intermediate": None if branch.intermediate is None else _certificate(branch.intermediate, now),
    }


def _certificate(one: x509.Certificate, now: datetime.datetime) -> dict[str, object]:
    return {
        "name": common_name_of(one.subject) or one.subject.rfc4514_string(),
        "key": describe_key(one.public_key()),
        "until": f"{one.not_valid_after_utc:%Y-%m-%d}",
        "days_left": days_left(one, now),
        "serial": f"{one.serial_number:x}",
        "sha256": one.fingerprint(hashes.SHA256()).hex(":").upper(),
    }


def _root_key(arguments: Arguments) -> RootKey:
    given, passphrase = optional_text(arguments, "root_key"), optional_text(arguments, "passphrase")
    return RootKey(
        None if given is None else given.encode(), None if passphrase is None else passphrase.encode()
    )


def _new_passphrase(arguments: Arguments) -> bytes | None:
    given = optional_text(arguments, "new_passphrase")
    return None if given is None else given.encode()


def _key_folder(arguments: Arguments) -> Path | None:
    given = optional_text(arguments, "key_folder")
    return None if given is None else Path(given)


def _by(arguments: Arguments) -> str:
    return optional_text(arguments, "by") or ""


OPERATIONS: Final[dict[str, Operation]] = {
    "ca.show": show,
    "ca.export": export,
    "ca.rsa": add_rsa,
    "ca.import": take_over,
    "ca.rollover.start": start,
    "ca.rollover.status": status,
    "ca.rollover.switch": switch,
    "ca.rollover.finish": finish,
}
