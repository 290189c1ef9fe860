"""Tables on the terminal: for reading and for grep, never folded or cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows under the names of their columns; columns that are empty everywhere are left out."""
    lines = [list(row) for row in rows]
    used = [number for number in range(len(columns)) if any(line[number] for line in lines)]
    shown = [[columns[number] for number in used], *([line[number] for number in used] for line in lines)]
    widths = [max(len(line[place]) for line in shown) for place in range(len(used))]
    for line in shown:
        print("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
