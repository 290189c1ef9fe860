"""`lockwire status` and `lockwire reload`: the running broker asked, and told."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lockwire.cli.listening import flags_of, listeners_of
from lockwire.cli.options import DataOption, locate
from lockwire.cli.reach import call

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS: Final = ("name", "endpoint", "connections", "authentication")
_SECTIONS: Final = ("counters", "refusals")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print everything, as JSON.")] = False,
    data: DataOption = None,
) -> None:
    """Show what the running broker listens on, who is connected and what it counted."""
    answer = call(locate(data), "status")
    if as_json:
        print(json.dumps(answer, indent=2))
    elif isinstance(answer, dict):
        _print(answer)


def reload(data: DataOption = None) -> None:
    """Have the running broker read configuration, certificates, users and rules again; all stay connected."""
    answer = call(locate(data), "reload")
    print("Reloaded.")
    if isinstance(answer, dict):
        if answer.get("server_certificate"):
            print(f"The server's certificate was issued anew: {answer['server_certificate']}.")
        for warning in answer.get("warnings") or []:
            print(f"Warning: {warning}")


def _print(status: dict[str, object]) -> None:
    from rich.console import Console

    # Wider than any terminal: lines are for reading and for grep, and are never folded or cut.
    console = Console(highlight=False, soft_wrap=True, width=200)
    for name, value in status.items():
        if not isinstance(value, (dict, list)):
            console.print(f"{_words(name):<28}{_shown(name, value)}", markup=False)
    listeners = listeners_of(status)
    if listeners:
        _print_listeners(console, listeners)
    problems = status.get("problems")
    if isinstance(problems, list) and problems:
        console.print("\nproblems", style="bold red")
        for problem in dict.fromkeys(map(str, problems)):  # a file that several listeners have is said once
            console.print(f"  {problem}", markup=False)
    for listener in listeners:
        exposed = listener.get("exposed")
        if isinstance(exposed, dict):
            _print_exposed(console, str(listener.get("name")), exposed)
    for section in _SECTIONS:
        values = status.get(section)
        if isinstance(values, dict) and any(values.values()):
            console.print(f"\n{_words(section)}", style="bold")
            for name, value in values.items():
                if value:
                    console.print(f"  {_words(name):<26}{_shown(name, value)}", markup=False)


def _print_listeners(console: Console, listeners: list[dict[str, object]]) -> None:
    rows = [["listener", *map(_words, _COLUMNS[1:])]]
    for listener in listeners:
        cells = [_shown(column, listener.get(column, "")) for column in _COLUMNS]
        rows.append([*cells[:-1], cells[-1] + flags_of(listener)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    console.print()
    for number, row in enumerate(rows):
        line = "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        console.print(line, style=None if number else "bold", markup=False)


def _print_exposed(console: Console, name: str, exposed: dict[str, object]) -> None:
    """What an onlooker could have read, where anything went by."""
    kinds = {kind: seen for kind, seen in exposed.items() if isinstance(seen, dict) and seen.get("count")}
    if not kinds:
        return
    console.print(f"\nreadable by anybody on the way to {name}", style="bold red")
    console.print(f"  {'passwords':<26}{'yes' if exposed.get('passwords') else 'none so far'}", markup=False)
    for kind, seen in kinds.items():
        samples = seen.get("masked")
        shown = ", ".join(map(str, samples)) if isinstance(samples, list) else ""
        console.print(f"  {_words(kind):<26}{seen['count']:,}, such as {shown}", markup=False)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if name == "started_at" and isinstance(value, (int, float)):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and name != "pid" else str(value)
