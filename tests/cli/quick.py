"""Commands run inside the test's own process: as `lockwire` runs them, but for the time of its start."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from unittest import mock

from lockwire.cli import main
from tests.cli.lockwire import environment


def quickly(*arguments: str | Path, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Runs one command to its end, by a running broker or without one; gives its exit status and output."""
    words = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", ["lockwire", *words]),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        mock.patch.dict("os.environ", environment(), clear=True),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def done(*arguments: str | Path, cwd: Path, stdin: bytes = b"") -> str:
    """Runs one command, which has to succeed; gives what it printed."""
    ended = quickly(*arguments, cwd=cwd, stdin=stdin)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def refused(*arguments: str | Path, cwd: Path, stdin: bytes = b"") -> str:
    """Runs one command, which has to refuse its input with status 2; gives what it said."""
    ended = quickly(*arguments, cwd=cwd, stdin=stdin)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert ended.stdout == ""
    return ended.stderr
