"""A `lockwire` command in this process, which is faster than one of its own."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from lockwire.cli import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def run(*words: str | Path, cwd: Path) -> Done:
    """Runs one command to its end; nobody sits at its terminal."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "stdin", io.StringIO()),
        mock.patch.object(sys, "argv", ["lockwire", *map(str, words)]),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
    return Done(status, out.getvalue(), err.getvalue())


def done(*words: str | Path, cwd: Path) -> str:
    """Runs one command, which has to succeed; gives what it printed."""
    ended = run(*words, cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
