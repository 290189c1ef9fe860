"""A PostgreSQL server of the test's own: in a temporary folder, on a Unix socket, as an unprivileged user."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from sqlalchemy.engine import URL

from tests.support.peers import peer_path

OWNER = "owner"
PASSWORD = "pass'word%/@"
"""Of the owner, with what URLs and shells take for something else."""
UNPRIVILEGED = "nobody"
"""Who runs the server where the tests run as root, which PostgreSQL refuses."""


class PostgreSql:
    """A database server; `start` and `stop` as often as a test wants, its data stays."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lockwire-pg-"))
        self._process: subprocess.Popen[str] | None = None
        secret = self.folder / "owner-password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(self.folder, UNPRIVILEGED)
            shutil.chown(secret, UNPRIVILEGED)
        command = [peer_path("initdb"), "-D", "data", "-U", OWNER, "--pwfile", secret.name]
        done = self._run([*command, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"])
        output, _ = done.communicate()
        assert done.returncode == 0, output

    @property
    def url(self) -> str:
        """Where it is, as SQLAlchemy writes it, with the password."""
        url = URL.create("postgresql+psycopg", OWNER, PASSWORD, None, None, "postgres")
        return url.update_query_dict({"host": str(self.folder)}).render_as_string(hide_password=False)

    def start(self) -> None:
        """Starts it, and waits until it accepts connections."""
        settings = [f"unix_socket_directories={self.folder}", "listen_addresses=", "fsync=off"]
        options = [word for setting in settings for word in ("-c", setting)]
        self._process = self._run([peer_path("postgres"), "-D", "data", *options])
        for line in _lines(self._process):
            if "ready to accept connections" in line:
                return
        raise AssertionError(f"PostgreSQL ended with {self._process.wait()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it; connections that are open break."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.communicate(timeout=30)
            self._process = None

    def remove(self) -> None:
        """Ends it, and its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def _run(self, command: list[str]) -> subprocess.Popen[str]:
        as_root = os.geteuid() == 0
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=UNPRIVILEGED if as_root else None,
            extra_groups=[] if as_root else None,
        )


def _lines(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout
