"""`lockwire user`: people who connect with a password."""

from __future__ import annotations

from typing import Annotated

import typer

from lockwire.cli.options import DataOption, group, locate
from lockwire.cli.reach import ask

app = group("Users: names and passwords.")


@app.command(epilog="Example: lockwire user passwd admin")
def passwd(
    name: Annotated[str, typer.Argument(help="The user, such as admin.")],
    data: DataOption = None,
) -> None:
    """Give a user a new generated password, and print it this once. The old one ends at once."""
    password = ask(locate(data), "user.passwd", name=name)
    print(f"User {name}, password {password}")
    print("It is shown only now.")
