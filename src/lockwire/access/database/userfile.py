"""Users as a file: what `lockwire user export` writes and `lockwire user import` reads.

    {"users": [
      {"name": "jo", "tags": ["monitoring"], "groups": ["hall"], "password": "$argon2id$...", "scram": "..."}
    ]}

`password` and `scram` are there with `--with-hashes`. What a record leaves out stays as it is where the user
is there already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from lockwire.access.database.records import Record, document_text, parse_document
from lockwire.access.database.users import User, check_name, parse_verifier, sorted_tags, verifier_text
from lockwire.access.errors import AccessError, AccessFileError
from lockwire.access.methods.passwords import check_stored
from lockwire.access.methods.scram import ScramVerifier

_FIELDS: Final = ("name", "tags", "groups", "password", "scram")

Membership = tuple[User, tuple[str, ...]]
"""A user and all its groups."""


def users_text(users: Iterable[Membership], with_hashes: bool) -> str:
    """Users as JSON, one to a line. with_hashes: with what their passwords are checked with."""
    return document_text("users", (_fields(user, groups, with_hashes) for user, groups in users))


def parse_users(path: Path, data: bytes, there: Callable[[str], Membership | None]) -> list[Membership]:
    """The users in a file that was read from `path`.

    there: a user as it is now. Raises AccessFileError with file, line and what was expected.
    """
    document = parse_document(path, data, "users")
    for name in document.fields:
        raise AccessFileError(path, 0, f"{name!r} is not known here", "only users")
    found: dict[str, Membership] = {}
    for record in document.records:
        name = record.text("name")
        if name in found:
            raise record.error(f"the user {name!r} stands there twice", "each name once")
        try:
            found[name] = _membership(record, name, there(name))
        except AccessFileError:
            raise
        except (AccessError, ValueError) as error:
            raise record.error(str(error).rstrip("."), "a user as lockwire user export writes it") from error
    return list(found.values())


def _membership(record: Record, name: str, there: Membership | None) -> Membership:
    record.only(*_FIELDS)
    check_name(name)
    now, groups = there or (None, ())
    tags = () if now is None else now.tags
    if "tags" in record.fields:
        tags = sorted_tags(record.texts("tags"))
    if "groups" in record.fields:
        groups = record.texts("groups")
    for group in groups:
        check_name(group, "group name")
    if "password" not in record.fields and now is not None:
        password, scram = now.password, now.scram
    else:
        password, scram = record.text("password"), None
        check_stored(password)
        if now is not None and now.password == password:
            scram = now.scram
    return User(name, password, tags, _verifier(record, scram)), groups


def _verifier(record: Record, default: ScramVerifier | None) -> ScramVerifier | None:
    if record.fields.get("scram") is None:
        return default
    return parse_verifier(record.text("scram"))


def _fields(user: User, groups: tuple[str, ...], with_hashes: bool) -> dict[str, object]:
    fields: dict[str, object] = {"name": user.name, "tags": list(user.tags), "groups": list(groups)}
    if with_hashes:
        fields["password"] = user.password
        if user.scram is not None:
            fields["scram"] = verifier_text(user.scram)
    return fields
