"""What every command understands: `--data`, before the command's name or behind it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from lockwire.data import DEFAULT_FOLDER, ENVIRONMENT_VARIABLE, DataFolder

_GIVEN: Final = "lockwire.data"


def _remember(context: typer.Context, value: Path | None) -> Path | None:
    """Keeps a `--data` for the commands inside, which take it where they have none of their own."""
    if value is not None:
        context.meta[_GIVEN] = value
    return context.meta.get(_GIVEN)


DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        callback=_remember,
        show_default=False,
        help=f"The data folder. Default: {ENVIRONMENT_VARIABLE}, else ./{DEFAULT_FOLDER}.",
    ),
]


def group(help_text: str) -> typer.Typer:
    """A group of commands, with `--data` of its own."""
    app = typer.Typer(help=help_text, no_args_is_help=True, context_settings=CONTEXT)

    @app.callback()
    def remember(data: DataOption = None) -> None:
        pass

    remember.__doc__ = help_text
    return app


CONTEXT: Final = {"help_option_names": ["-h", "--help"]}


def locate(data: Path | None) -> DataFolder:
    """The data folder that a command means, from its `--data`."""
    return DataFolder.locate(data)


def command_line(*words: str, data: Path | None = None) -> str:
    """A `lockwire` command as the user can copy it into a shell: how this process was started, quoted.

    data: the `--data` that this command was given; LOCKWIRE_DATA may not be set where the other one runs.
    """
    given = data if data is not None else os.environ.get(ENVIRONMENT_VARIABLE)
    folder = [] if given is None else ["--data", os.fspath(given)]
    return shlex.join([*_program(), *words, *folder])


def _program() -> list[str]:
    script = Path(sys.argv[0])
    if script.name != "lockwire":
        return [sys.executable, "-m", "lockwire.cli"]
    found = shutil.which("lockwire")
    return ["lockwire"] if found and Path(found).resolve() == script.resolve() else [os.fspath(script)]
