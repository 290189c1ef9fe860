"""Operations of `lockwire user`, but for its rules, which are `permissions`'."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lockwire.access.database.database import Removal
from lockwire.access.database.userfile import parse_users, users_text
from lockwire.access.database.users import IMPERSONATOR, User, make_user
from lockwire.access.errors import UserError
from lockwire.access.identity import PASSWORD
from lockwire.access.methods.passwords import generate_password, is_slow, needs_rehash
from lockwire.access.rights.rules import rule_fields
from lockwire.control import Arguments
from lockwire.household import Household
from lockwire.operations.arguments import flag, optional_flag, optional_text, text, texts
from lockwire.operations.outcome import AccessChanged, Effect, Operation, Outcome, UserGone

SHORT: Final = 8
"""Characters below which a chosen password is called short."""


def add(household: Household, arguments: Arguments) -> Outcome:
    """Adds a user: name, password (None: generated), tags, groups, scram (None: for generated ones).

    Gives the password where it was generated, and notes.
    """
    name = text(arguments, "name")
    tags, groups = texts(arguments, "tags"), texts(arguments, "groups")
    chosen = optional_text(arguments, "password")
    password, user = _with_password(arguments, name, tuple(tags))
    household.access.add(user, groups)
    notes = [*_notes_on_name(household, name), *_notes_on_tags(user), *_notes_on_password(chosen)]
    return Outcome(
        {"password": None if chosen is not None else password, "notes": notes},
        (AccessChanged(),) if tags or groups else (),
        log="user added",
        fields=(("user", name), ("tags", ", ".join(user.tags) or "none")),
    )


def passwd(household: Household, arguments: Arguments) -> Outcome:
    """Gives a user a new password: name, password (None: generated), scram; answers as `add`."""
    name = text(arguments, "name")
    chosen = optional_text(arguments, "password")
    before = household.access.known(name)
    password, user = _with_password(arguments, name, before.tags)
    household.access.replace(user)
    notes = _notes_on_password(chosen)
    if before.scram is not None and user.scram is None:
        notes.append("It no longer works with SCRAM-SHA-256: --scram stores a verifier for that.")
    answer = {"password": None if chosen is not None else password, "notes": notes}
    return Outcome(answer, log="password changed", fields=(("user", name),))


def list_users(household: Household, arguments: Arguments) -> Outcome:
    """Gives all users, without anything secret."""
    users = sorted(household.access, key=lambda user: user.name)
    return Outcome([_shown(household, user) for user in users])


def show(household: Household, arguments: Arguments) -> Outcome:
    """Gives what is known of a name, which may be a device's or a pre-shared key's: name."""
    name = text(arguments, "name")
    access = household.access
    user = access.get(name)
    holders = household.holders(name)
    if not holders and not access.groups_of(name):
        raise UserError(f"There is no user {name!r}, nor a device or a pre-shared key of that name.")
    shown = (
        {"name": name, "groups": list(access.groups_of(name))} if user is None else _shown(household, user)
    )
    audiences = {"everyone", f"user:{name}", *(f"group:{group}" for group in access.groups_of(name))}
    audiences.update(f"tag:{tag}" for tag in (() if user is None else user.tags))
    rules = [
        {"id": number, **rule_fields(rule)} for number, rule in access.rules.items() if rule.who in audiences
    ]
    return Outcome({**shown, "known_as": holders, "rules": rules})


def tag(household: Household, arguments: Arguments) -> Outcome:
    """Gives a user these tags and no others: name, tags, force."""
    name = text(arguments, "name")
    user = household.access.set_tags(name, texts(arguments, "tags"), flag(arguments, "force"))
    return Outcome(
        {"tags": list(user.tags), "notes": _notes_on_tags(user)},
        (AccessChanged(),),
        log="tags changed",
        fields=(("user", name), ("tags", ", ".join(user.tags) or "none")),
    )


def group(household: Household, arguments: Arguments) -> Outcome:
    """Puts a name into groups and takes it out of others: name, add, remove; gives its groups."""
    name = text(arguments, "name")
    groups = household.access.change_groups(name, texts(arguments, "add"), texts(arguments, "remove"))
    return Outcome(
        {"groups": list(groups), "notes": notes_on_unknown(household, name)},
        (AccessChanged(),),
        log="groups changed",
        fields=(("name", name), ("groups", ", ".join(groups) or "none")),
    )


def delete(household: Household, arguments: Arguments) -> Outcome:
    """Deletes a user, and ends its connections and sessions: name, force; gives what went with it."""
    name = text(arguments, "name")
    others = household.holders(name, but="user")
    removal = household.access.delete(name, force=flag(arguments, "force"), keep_rights=bool(others))
    effects: tuple[Effect, ...] = (
        UserGone(name, PASSWORD, f"the user {name!r} was deleted"),
        AccessChanged(),
    )
    return Outcome(removal_answer(removal, others), effects, log="user deleted", fields=(("user", name),))


def export_users(household: Household, arguments: Arguments) -> Outcome:
    """Gives all users as the text of a file: with_hashes."""
    users = sorted(household.access, key=lambda user: user.name)
    rows = [(user, household.access.groups_of(user.name)) for user in users]
    return Outcome(users_text(rows, flag(arguments, "with_hashes")))


def import_users(household: Household, arguments: Arguments) -> Outcome:
    """Adds and changes users as a file says: file (its name), text, force; gives how many of each."""
    access = household.access

    def there(name: str) -> tuple[User, tuple[str, ...]] | None:
        user = access.get(name)
        return None if user is None else (user, access.groups_of(name))

    rows = parse_users(Path(text(arguments, "file")), text(arguments, "text").encode(), there)
    added = sum(access.get(user.name) is None for user, _ in rows)
    access.put(rows, flag(arguments, "force"))
    counts = {"added": added, "changed": len(rows) - added}
    return Outcome(counts, (AccessChanged(),), log="users imported", fields=tuple(counts.items()))


def removal_answer(removal: Removal, others: list[str]) -> dict[str, object]:
    """What a command says of what went with a name, or stayed for others."""
    return {
        "rules": removal.rules,
        "memberships": removal.memberships,
        "permissions": removal.permissions,
        "kept_for": others,
    }


def notes_on_unknown(household: Household, name: str) -> list[str]:
    """A hint where a name may be mistyped."""
    if household.holders(name):
        return []
    return [
        f"Nobody is called {name!r} yet: no user, no device, no pre-shared key. It counts once somebody is."
    ]


def _with_password(arguments: Arguments, name: str, tags: tuple[str, ...]) -> tuple[str, User]:
    chosen = optional_text(arguments, "password")
    scram = optional_flag(arguments, "scram")
    password = generate_password() if chosen is None else chosen
    with_scram = chosen is None if scram is None else scram
    return password, make_user(name, password, generated=chosen is None, tags=tags, with_scram=with_scram)


def _shown(household: Household, user: User) -> dict[str, object]:
    return {
        "name": user.name,
        "tags": list(user.tags),
        "groups": list(household.access.groups_of(user.name)),
        "password": _kind(user.password),
        "scram": user.scram is not None,
    }


def _kind(stored: str) -> str:
    if not is_slow(stored):
        return "generated"
    return "chosen, older hash" if needs_rehash(stored) else "chosen"


def _notes_on_name(household: Household, name: str) -> list[str]:
    notes = []
    if any(character in name for character in "/+#"):
        notes.append(f"Rules with {{username}} do not apply to {name!r}, which holds one of / + #.")
    others = household.holders(name, but="user")
    rules = [number for number, rule in household.access.rules.items() if rule.who == f"user:{name}"]
    if rules and not others:
        numbers = ", ".join(map(str, rules))
        notes.append(f"Rules made for this name before apply to it: {numbers}.")
    notes += [f"There is {other} of that name as well: rules do not tell them apart." for other in others]
    return notes


def _notes_on_tags(user: User) -> list[str]:
    return [f"The tag {IMPERSONATOR} is kept, and has no effect."] if IMPERSONATOR in user.tags else []


def _notes_on_password(chosen: str | None) -> list[str]:
    if chosen is None or len(chosen) >= SHORT:
        return []
    return [f"The password has fewer than {SHORT} characters: it is easily guessed."]


OPERATIONS: Final[dict[str, Operation]] = {
    "user.add": add,
    "user.passwd": passwd,
    "user.list": list_users,
    "user.show": show,
    "user.tag": tag,
    "user.group": group,
    "user.delete": delete,
    "user.export": export_users,
    "user.import": import_users,
}
