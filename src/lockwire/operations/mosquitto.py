"""The operation of `lockwire access import-mosquitto`: Mosquitto's files taken into the access database."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Final

from lockwire.access.database.users import User
from lockwire.access.rights.rules import ALLOW, ANONYMOUS, DEFAULT_RULES, EVERYONE, Rule, rule_fields
from lockwire.compat.mosquitto.acl import read_acl
from lockwire.compat.mosquitto.lines import MosquittoFileError, Source
from lockwire.compat.mosquitto.passwords import PasswordLine, read_passwords
from lockwire.compat.mosquitto.psk import PskLine, read_psk
from lockwire.compat.mosquitto.rules import Native, native_rules
from lockwire.control import Arguments, ControlError
from lockwire.household import Household
from lockwire.operations.arguments import flag, optional_text
from lockwire.operations.outcome import AccessChanged, Operation, Outcome

_WHAT: Final = ("passwords", "acl", "psk")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What would be done. there: names and identities that are there just so; rules: those that are not."""

    users: list[PasswordLine]
    keys: list[PskLine]
    there: list[str]
    native: Native
    rules: list[Rule]
    removed: dict[int, Rule]


def import_files(household: Household, arguments: Arguments) -> Outcome:
    """Takes files in, all of them or nothing: for each of passwords, acl and psk its name and its content in
    base64 (passwords_file, passwords, ...); dry_run. Gives what was, or would be, taken.
    """
    sources = {what: source for what in _WHAT if (source := _source(arguments, what)) is not None}
    if not sources:
        raise ControlError(
            "there is no file to import", "Name one with --passwords, --acl or --psk", bad_input=True
        )
    plan = _plan(household, sources)
    problems = [problem for source in sources.values() for problem in source.problems]
    if problems:
        raise MosquittoFileError(problems)
    answer = _answer(household, plan, sources)
    if flag(arguments, "dry_run"):
        return Outcome(answer)
    household.access.merge(
        [User(line.name, line.password) for line in plan.users],
        plan.rules,
        [(line.identity, line.key) for line in plan.keys],
        plan.removed,
    )
    counts = (("users", len(plan.users)), ("keys", len(plan.keys)), ("rules", len(plan.rules)))
    return Outcome(answer, (AccessChanged(),), log="Mosquitto's files imported", fields=counts)


def _source(arguments: Arguments, what: str) -> Source | None:
    name, written = optional_text(arguments, f"{what}_file"), optional_text(arguments, what)
    if name is None or written is None:
        return None
    try:
        return Source(name, base64.b64decode(written, validate=True))
    except (ValueError, binascii.Error):
        raise ControlError(f"the argument {what!r} is no base64", bad_input=True) from None


def _plan(household: Household, sources: dict[str, Source]) -> _Plan:
    users: list[PasswordLine] = []
    keys: list[PskLine] = []
    there: list[str] = []
    native = Native((), (), ())
    removed: dict[int, Rule] = {}
    if "passwords" in sources:
        for user in read_passwords(sources["passwords"]):
            _sort_user(household, sources["passwords"], user, users, there)
    if "psk" in sources:
        for key in read_psk(sources["psk"]):
            _sort_key(household, sources["psk"], key, keys, there)
    if "acl" in sources:
        source = sources["acl"]
        native = native_rules(source, read_acl(source))
        # Beside it, a list of what is allowed would say nothing.
        removed = {n: rule for n, rule in household.access.rules.items() if _is_default(rule)}
    known = set(household.access.rules.values())
    return _Plan(users, keys, there, native, [rule for rule in native.rules if rule not in known], removed)


def _sort_user(
    household: Household, source: Source, line: PasswordLine, new: list[PasswordLine], there: list[str]
) -> None:
    user = household.access.get(line.name)
    if user is None:
        new.append(line)
    elif user.password == line.password:
        there.append(line.name)
    else:
        source.wrong(
            line.line,
            f"there is a user {line.name!r} already, with another password",
            f"take the line out, or remove the user: lockwire user delete {line.name}",
        )


def _sort_key(
    household: Household, source: Source, line: PskLine, new: list[PskLine], there: list[str]
) -> None:
    key = household.access.psk_key(line.identity)
    if key is None:
        new.append(line)
    elif key == line.key:
        there.append(line.identity)
    else:
        source.wrong(
            line.line,
            f"the PSK identity {line.identity!r} has another key already",
            f"take the line out, or remove the key: lockwire psk delete {line.identity}",
        )


def _is_default(rule: Rule) -> bool:
    return replace(rule, note="") == replace(DEFAULT_RULES[0], note="")


def _answer(household: Household, plan: _Plan, sources: dict[str, Source]) -> dict[str, object]:
    left_out = []
    if "acl" in sources:
        name = sources["acl"].name
        left_out = [f"{name}:{line}: {why}" for line, why in plan.native.left_out]
    return {
        "users": [line.name for line in plan.users],
        "keys": [line.identity for line in plan.keys],
        "there": plan.there,
        "rules": [rule_fields(rule) for rule in plan.rules],
        "rules_there": len(plan.native.rules) - len(plan.rules),
        "removed": [rule_fields(rule) for rule in plan.removed.values()],
        "left_out": left_out,
        "notes": [*plan.native.notes, *_notes(household, plan, "acl" in sources)],
    }


def _notes(household: Household, plan: _Plan, with_acl: bool) -> list[str]:
    notes = []
    if plan.removed:
        notes.append(
            "Until now everyone could use every topic. Devices, and users who are not in the list, "
            "administrators too, may now do what other rules say: lockwire access allow gives them topics."
        )
    others = [
        number
        for number, rule in household.access.rules.items()
        if rule.who in (EVERYONE, ANONYMOUS)
        and rule.effect == ALLOW
        and number not in plan.removed
        and rule not in plan.native.rules
    ]
    if with_acl and others:
        numbers = ", ".join(map(str, others))
        notes.append(f"These rules allow clients more beside the list: {numbers} (lockwire access rules).")
    devices = [line.name for line in plan.users if household.has_device(line.name)]
    if devices:
        notes.append(f"Devices of the same name get the rules of these users: {', '.join(devices)}.")
    return notes


OPERATIONS: Final[dict[str, Operation]] = {"access.import-mosquitto": import_files}
