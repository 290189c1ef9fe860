"""`lockwire access import-mosquitto`: users, rules and keys from Mosquitto's files."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from lockwire.cli.access import app
from lockwire.cli.options import DataOption, locate
from lockwire.cli.reach import ask
from lockwire.cli.rules import print_notes, rule_text


@app.command(
    "import-mosquitto",
    epilog="Example: lockwire access import-mosquitto --passwords passwd --acl aclfile --dry-run",
)
def import_mosquitto(
    passwords: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What mosquitto_passwd wrote (password_file).", show_default=False),
    ] = None,
    acl: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The access control list (acl_file).", show_default=False),
    ] = None,
    psk: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Pre-shared keys (psk_file).", show_default=False)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Take over Mosquitto's users, permissions and pre-shared keys: all, or none where something is wrong.

    Passwords stay as they are. The rule that everyone may use every topic goes where an access list comes.
    """
    arguments: dict[str, object] = {}
    for what, file in (("passwords", passwords), ("acl", acl), ("psk", psk)):
        if file is not None:
            arguments[f"{what}_file"] = str(file)
            arguments[what] = base64.b64encode(file.read_bytes()).decode()
    answer = ask(locate(data), "access.import-mosquitto", dry_run=dry_run, **arguments)
    assert isinstance(answer, dict)
    _print_counts(answer, "Would take" if dry_run else "Took")
    for rule in answer["removed"]:
        print(f"{'Would remove' if dry_run else 'Removed'} {rule_text(rule)}")
    for rule in answer["rules"]:
        print(f"  {rule_text(rule)}")
    for line in answer["left_out"]:
        print(f"Left out: {line}")
    print_notes(answer)
    if dry_run:
        print("Nothing was changed.")


def _print_counts(answer: dict[str, Any], verb: str) -> None:
    kinds = {"users": "user", "rules": "rule", "keys": "pre-shared key"}
    print(f"{verb} {', '.join(_counted(len(answer[name]), what) for name, what in kinds.items())}.")
    rules_there = answer["rules_there"]
    there = [", ".join(answer["there"])] if answer["there"] else []
    there += [_counted(rules_there, "rule")] if rules_there else []
    if there:
        print(f"There already: {' and '.join(there)}.")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
