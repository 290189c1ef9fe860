"""`lockwire status` and `lockwire reload`: the running broker asked, and told."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lockwire.cli.options import DataOption, locate
from lockwire.control import ControlClient


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print everything, as JSON.")] = False,
    data: DataOption = None,
) -> None:
    """Show what the running broker listens on, who is connected and what it counted."""
    folder = locate(data)
    folder.require()
    answer = ControlClient(folder).call("status")
    if as_json:
        print(json.dumps(answer, indent=2))
    elif isinstance(answer, dict):
        _print(answer)


def reload(data: DataOption = None) -> None:
    """Have the running broker read configuration, certificates, users and rules again; all stay connected."""
    folder = locate(data)
    folder.require()
    answer = ControlClient(folder).call("reload")
    print("Reloaded.")
    if isinstance(answer, dict):
        if answer.get("server_certificate"):
            print(f"The server's certificate was issued anew: {answer['server_certificate']}.")
        for warning in answer.get("warnings") or []:
            print(f"Warning: {warning}")


def _print(status: dict[str, object]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    tables = {name: value for name, value in status.items() if isinstance(value, (dict, list))}
    for name, value in status.items():
        if name not in tables:
            console.print(f"{name.replace('_', ' '):<24} {_shown(value)}", markup=False)
    for name, value in tables.items():
        rows = value if isinstance(value, list) else [value]
        if not rows or not all(isinstance(row, dict) for row in rows):
            continue
        console.print()
        if isinstance(value, list):
            table = Table(title=name.replace("_", " "), title_justify="left", box=None, pad_edge=False)
            for column in rows[0]:
                table.add_column(str(column).replace("_", " "))
            for row in rows:
                table.add_row(*(_shown(cell) for cell in row.values()))
            console.print(table)
        else:
            console.print(name.replace("_", " "), markup=False)
            for key, cell in rows[0].items():
                if cell:
                    console.print(f"  {str(key).replace('_', ' '):<22} {_shown(cell)}", markup=False)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
