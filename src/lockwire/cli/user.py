"""`lockwire user`: people and programs that connect with a password."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lockwire.access.database.users import TAGS
from lockwire.cli.failures import CommandError
from lockwire.cli.options import DataOption, group, locate
from lockwire.cli.reach import ask
from lockwire.cli.rules import (
    NoteOption,
    QosOption,
    RegexpOption,
    RetainOption,
    RightsArgument,
    TopicArgument,
    add_rule,
    print_notes,
    print_rules,
)
from lockwire.cli.secret_input import chosen_password
from lockwire.cli.table import print_table
from lockwire.pki.files import write_private

app = group("Users: names, passwords, tags, groups and rules.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The user name.", show_default=False)]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Take the password from the one line of a file; -: standard input.",
        show_default=False,
    ),
]
PromptOption = Annotated[bool, typer.Option("--prompt", help="Ask for the password on the terminal.")]
ScramOption = Annotated[
    bool | None,
    typer.Option(
        "--scram/--no-scram",
        help="Store a verifier for SCRAM-SHA-256. Default: for generated passwords only, since it makes "
        "guessing a chosen one cheaper.",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Even where no administrator is left.")]

_IN_USE: Final = ("rules", "memberships", "permissions")


@app.command(epilog="Example: lockwire user add jo --prompt --tag monitoring --group operators")
def add(
    name: NameArgument,
    password_file: PasswordFileOption = None,
    prompt: PromptOption = False,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help=f"{', '.join(TAGS)}; may be repeated.", show_default=False),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="GROUP", help="A group; may be repeated.", show_default=False),
    ] = None,
    scram: ScramOption = None,
    data: DataOption = None,
) -> None:
    """Add a user. The password is generated and printed this once, unless one is given."""
    password = chosen_password(name, password_file, prompt)
    answer = _asked(
        data, "user.add", name=name, password=password, tags=tags or [], groups=groups or [], scram=scram
    )
    _print_password(name, answer, "Added user")


@app.command("list", epilog="Example: lockwire user list")
def list_users(
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
    data: DataOption = None,
) -> None:
    """List the users with their tags and groups."""
    users = ask(locate(data), "user.list")
    assert isinstance(users, list)
    if as_json:
        print(json.dumps(users, indent=2, ensure_ascii=False))
        return
    rows = [
        (
            user["name"],
            ", ".join(user["tags"]),
            ", ".join(user["groups"]),
            user["password"],
            "SCRAM" if user["scram"] else "",
        )
        for user in users
    ]
    print_table(("user", "tags", "groups", "password", "also"), rows)


@app.command(epilog="Example: lockwire user show jo")
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A user, a device or a PSK identity.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    data: DataOption = None,
) -> None:
    """Show what is known of a name, and the rules that apply to it."""
    answer = _asked(data, "user.show", name=name)
    if as_json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    print(f"{'name':<12}{answer['name']}")
    print(f"{'known as':<12}{', '.join(answer['known_as']) or 'nobody yet'}")
    for field in ("tags", "groups"):
        if field in answer:
            print(f"{field:<12}{', '.join(answer[field]) or 'none'}")
    if "password" in answer:
        print(f"{'password':<12}{answer['password']}{', SCRAM-SHA-256 too' if answer['scram'] else ''}")
    print()
    print_rules(answer["rules"])


@app.command(epilog="Example: lockwire user passwd admin")
def passwd(
    name: NameArgument,
    password_file: PasswordFileOption = None,
    prompt: PromptOption = False,
    scram: ScramOption = None,
    data: DataOption = None,
) -> None:
    """Give a user a new password, generated and printed this once unless one is given. The old one ends."""
    password = chosen_password(name, password_file, prompt)
    _print_password(name, _asked(data, "user.passwd", name=name, password=password, scram=scram), "User")


@app.command(epilog="Example: lockwire user tag jo monitoring management")
def tag(
    name: NameArgument,
    tags: Annotated[
        list[str] | None,
        typer.Argument(metavar="TAG", help=f"{', '.join(TAGS)}.", show_default=False),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take all tags away.")] = False,
    force: ForceOption = False,
    data: DataOption = None,
) -> None:
    """Give a user these tags, and take all others away."""
    if bool(tags) == none:
        raise CommandError(
            "neither tags nor --none" if not none else "both tags and --none", "Say one of them"
        )
    answer = _asked(data, "user.tag", name=name, tags=tags or [], force=force)
    print(f"User {name}, tags: {', '.join(answer['tags']) or 'none'}")
    print_notes(answer)


@app.command("group", epilog="Example: lockwire user group pump-7 --add pumps --remove spare")
def change_groups(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A user, a device or a PSK identity.", show_default=False)
    ],
    add: Annotated[
        list[str] | None,
        typer.Option(
            "--add", metavar="GROUP", help="Put it into this group; may be repeated.", show_default=False
        ),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(
            "--remove",
            metavar="GROUP",
            help="Take it out of this group; may be repeated.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
) -> None:
    """Put a user, a device or a PSK identity into groups, or take it out."""
    if not add and not remove:
        raise CommandError("neither --add nor --remove", "Say what to change")
    answer = _asked(data, "user.group", name=name, add=add or [], remove=remove or [])
    print(f"{name}, groups: {', '.join(answer['groups']) or 'none'}")
    print_notes(answer)


@app.command(epilog="Example: lockwire user delete jo")
def delete(name: NameArgument, force: ForceOption = False, data: DataOption = None) -> None:
    """Delete a user with its rules; its connections and sessions end at once."""
    answer = _asked(data, "user.delete", name=name, force=force)
    print(f"Deleted user {name}{removed_text(answer)}.")


@app.command(epilog="Example: lockwire user allow pump-7 publish pump/7/#")
def allow(
    name: NameArgument,
    rights: RightsArgument,
    topic: TopicArgument,
    qos: QosOption = None,
    retain: RetainOption = None,
    note: NoteOption = None,
    regexp: RegexpOption = False,
    data: DataOption = None,
) -> None:
    """Allow a user, a device or a PSK identity something; it counts at once."""
    add_rule(
        locate(data), "allow", f"user:{name}", rights, topic, qos=qos, retain=retain, note=note, regexp=regexp
    )


@app.command(epilog="Example: lockwire user deny pump-7 publish 'valve/+/set'")
def deny(
    name: NameArgument,
    rights: RightsArgument,
    topic: TopicArgument,
    qos: QosOption = None,
    retain: RetainOption = None,
    note: NoteOption = None,
    regexp: RegexpOption = False,
    data: DataOption = None,
) -> None:
    """Forbid a user, a device or a PSK identity something, whatever allows it; it counts at once."""
    add_rule(
        locate(data), "deny", f"user:{name}", rights, topic, qos=qos, retain=retain, note=note, regexp=regexp
    )


@app.command("export", epilog="Example: lockwire user export --with-hashes users.json")
def export_users(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Where to. Default: standard output.", show_default=False),
    ] = None,
    with_hashes: Annotated[
        bool, typer.Option("--with-hashes", help="With the hashes that passwords are checked with.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Write the users with their tags and groups as JSON."""
    write_export(file, ask(locate(data), "user.export", with_hashes=with_hashes))


@app.command("import", epilog="Example: lockwire user import users.json")
def import_users(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What lockwire user export wrote.", show_default=False)
    ],
    force: ForceOption = False,
    data: DataOption = None,
) -> None:
    """Add and change users as a file says: all of them, or none where something is wrong."""
    answer = _asked(data, "user.import", file=str(file), text=read_import(file), force=force)
    print(f"Added {answer['added']} users, changed {answer['changed']}.")


def removed_text(answer: dict[str, Any]) -> str:
    """What went with a name: `, with 2 rules`."""
    if answer["kept_for"]:
        return f"; its rules and groups stay, since there is {' and '.join(answer['kept_for'])} of that name"
    parts = [
        f"{answer[field]} {field if answer[field] > 1 else field[:-1]}" for field in _IN_USE if answer[field]
    ]
    return f", with {', '.join(parts)}" if parts else ""


def write_export(file: Path | None, text: object) -> None:
    """Writes what was exported into a file for its owner only, or on standard output."""
    if file is None:
        print(str(text), end="")
    else:
        write_private(file, str(text).encode())
        print(f"Wrote {file}.")


def read_import(file: Path) -> str:
    """A file's text. Raises CommandError where it is none; OSError."""
    data = file.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CommandError(f"{file}:{line}: a byte that is not UTF-8", "Write it as JSON in UTF-8") from None


def _asked(data: Path | None, operation: str, **arguments: object) -> dict[str, Any]:
    answer = ask(locate(data), operation, **arguments)
    assert isinstance(answer, dict)
    return answer


def _print_password(name: str, answer: dict[str, Any], what: str) -> None:
    if answer["password"] is None:
        print(f"{what} {name}.")
    else:
        print(f"{what} {name}, password {answer['password']}\nIt is shown only now.")
    print_notes(answer)
