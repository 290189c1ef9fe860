"""`lockwire access learn`: permissions learned from what clients do."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lockwire.cli import access
from lockwire.cli.failures import CommandError
from lockwire.cli.options import DataOption, group, locate
from lockwire.cli.reach import ask
from lockwire.cli.rules import rule_text

app = group("Learned permissions: what clients do is recorded, and the narrowest rules for it are proposed.")
access.app.add_typer(app, name="learn", epilog="Example: lockwire access learn start")

KeepOption = Annotated[
    list[int] | None,
    typer.Option("--keep", metavar="ID", help="A rule that stays; may be repeated.", show_default=False),
]
NarrowOption = Annotated[
    bool,
    typer.Option("--narrow", help="Subscriptions with wildcards become what came: they are refused then."),
]


@app.command(epilog="Example: lockwire access learn start --fresh")
def start(
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what was seen before.")] = False,
    data: DataOption = None,
) -> None:
    """Begin to record what clients publish, subscribe to and receive; it goes on through restarts."""
    answer = _asked(data, "learn.start", fresh=fresh)
    print(f"Learning. {_seen(answer)} Let it run until every client did what it ever does, then:")
    print("  lockwire access learn show")


@app.command(epilog="Example: lockwire access learn stop")
def stop(data: DataOption = None) -> None:
    """End the recording. What was seen stays, for show and apply."""
    print(f"No longer learning. {_seen(_asked(data, 'learn.stop'))}")


@app.command(epilog="Example: lockwire access learn show --keep 2")
def show(
    keep: KeepOption = None,
    narrow: NarrowOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    data: DataOption = None,
) -> None:
    """Show the rules that allow what was seen and no more, and what would change by them. Changes nothing."""
    answer = _asked(data, "learn.show", keep=keep or [], narrow=narrow)
    if as_json:
        del answer["texts"]
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _print_proposal(answer)


@app.command(epilog="Example: lockwire access learn apply --yes")
def apply(
    keep: KeepOption = None,
    narrow: NarrowOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    data: DataOption = None,
) -> None:
    """Show the proposal, ask, and put its rules in the place of the broader ones, all at once."""
    answer = _asked(data, "learn.show", keep=keep or [], narrow=narrow)
    _print_proposal(answer)
    if not answer["rules"] and not answer["replaced"]:
        return
    if not yes and not _confirmed():
        print("Nothing was changed.")
        return
    done = _asked(data, "learn.apply", **answer["texts"])
    print(f"Added {done['added']} rules, removed {done['removed']}. They count now.")


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise CommandError("nobody is there to confirm it", "Look at the proposal, then say --yes")
    return typer.confirm("Put these rules in force?")


def _asked(data: Path | None, operation: str, **arguments: object) -> dict[str, Any]:
    answer = ask(locate(data), operation, **arguments)
    assert isinstance(answer, dict)
    return answer


def _seen(answer: Mapping[str, Any]) -> str:
    if answer["seconds"] is None:
        return "Nothing was recorded yet."
    seconds, count = answer["seconds"], answer["identities"]
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            time = f"{seconds / length:.1f} {unit}"
            break
    else:
        time = f"{seconds:.0f} seconds"
    return f"In {time} {count} {'identity was' if count == 1 else 'identities were'} seen."


def _print_proposal(answer: Mapping[str, Any]) -> None:
    print(_seen(answer))
    if not answer["identities"]:
        return
    _print_rules("These rules allow what was seen, and no more:", answer["rules"])
    _print_rules("They take the place of:", answer["replaced"])
    if not answer["rules"] and not answer["replaced"]:
        print("The rules that are there are as narrow as what was seen.")
    if answer["denied_count"]:
        print(f"Of what was seen, they would refuse {answer['denied_count']}:")
        for fact in answer["denied"]:
            print(f"  {fact['who']} {fact['action']} {fact['topic']}")
    else:
        print("Of what was seen, they would refuse nothing.")
    if answer["unseen_count"]:
        names = ", ".join(answer["unseen"])
        more = answer["unseen_count"] - len(answer["unseen"])
        print(f"Not seen, and with fewer rights then: {names}{f' and {more} more' if more else ''}.")
    for each in answer["wider"]:
        received = ", ".join(each["received"])
        print(f"{each['who']} subscribed to {each['topics']} and received only {received} (see --narrow).")


def _print_rules(title: str, rules: list[dict[str, Any]]) -> None:
    if rules:
        print(title)
    for rule in rules:
        number = f"rule {rule['id']}: " if "id" in rule else ""
        print(f"  {number}{rule_text(rule)}")
