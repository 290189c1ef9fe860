"""The data folder: where everything that a broker keeps lies, who may write it, and how it is written.

The running broker is the only writer. It holds `lock`; a command that finds the broker down takes the lock
for the time of its change, and one that finds it running asks through the control socket.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

DEFAULT_FOLDER: Final = Path("lockwire-data")
ENVIRONMENT_VARIABLE: Final = "LOCKWIRE_DATA"


class DataFolderError(Exception):
    """The data folder cannot be used as asked.

    Attributes:
        message: what is wrong, with the path.
        remedy: what to do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}. {remedy}")
        self.message = message
        self.remedy = remedy


class LockedError(DataFolderError):
    """Another process holds the folder's lock.

    Attributes:
        pid: that process, or None where it has not written it yet.
    """

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"{path} is in use by {holder}",
            f"Stop it first (kill {pid})" if pid is not None else "Try again in a moment",
        )
        self.pid = pid


class DataFolder:
    """The paths of one data folder, and what may be done with it.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path.absolute()
        self.ca: Final = self.path / "ca"
        self.server: Final = self.path / "server"
        self.server_certificate: Final = self.server / "server.pem"
        self.learning: Final = self.path / "access" / "learning.json"
        self.access_database: Final = self.path / "access" / "access.db"
        self.old_users: Final = self.path / "access" / "users.json"
        self.old_rules: Final = self.path / "access" / "rules.json"
        self.configuration: Final = self.path / "lockwire.toml"
        self.control_socket: Final = self.path / "control.sock"
        self.control_record: Final = self.path / "control.path"
        self.lock_file: Final = self.path / "lock"

    @classmethod
    def locate(cls, given: Path | None) -> DataFolder:
        """The folder that a command means: `--data`, else LOCKWIRE_DATA, else ./lockwire-data."""
        if given is not None:
            return cls(given)
        return cls(Path(os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER))

    @property
    def initialised(self) -> bool:
        """Whether a certificate authority was made here: the mark of a folder that `lockwire up` filled."""
        return (self.ca / "root.pem").exists()

    def create(self) -> None:
        """Makes the folder, 0700, or takes the one that is there.

        Raises:
            DataFolderError: it cannot be made, is another user's, or holds files that are not Lockwire's.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.check_ours()
            self.path.chmod(0o700)
        except OSError as error:
            raise DataFolderError(
                f"{self.path} cannot be made or opened: {error.strerror}", "Choose another folder with --data"
            ) from error

    def require(self) -> None:
        """Asserts that `lockwire up` was here before.

        Raises:
            DataFolderError: nothing is there, or it cannot be read.
        """
        try:
            there = self.initialised
        except OSError as error:
            raise DataFolderError(
                f"{self.path} cannot be read: {error.strerror}", "Run this as the user that runs the broker"
            ) from error
        if not there:
            raise DataFolderError(
                f"{self.path} holds no Lockwire data",
                f"Run lockwire up first, or name the broker's folder with --data or {ENVIRONMENT_VARIABLE}",
            )

    def _check_owner(self) -> None:
        status = self.path.stat()
        if sys.platform != "win32" and status.st_uid != os.geteuid():
            raise DataFolderError(
                f"{self.path} belongs to user {status.st_uid}",
                "Run as that user, or choose another folder with --data",
            )

    def check_ours(self) -> None:
        """Asserts that a folder that is there may be used.

        Raises:
            DataFolderError: it is another user's, or holds files that are not Lockwire's. OSError.
        """
        self._check_owner()
        if not self.initialised:
            # Tightening the mode of a folder that is someone's home or /tmp would harm what else is there.
            strangers = sorted(entry.name for entry in self.path.iterdir() if not _is_ours(entry.name))
            # With a configuration in it, and closed to others by whoever made it, it is meant for us.
            meant = self.configuration.exists()
            if strangers and not (meant and self.path.stat().st_mode & 0o077 == 0):
                close = f"Close it to others if it is to be one (chmod 700 {self.path}), or choose another"
                raise DataFolderError(
                    f"{self.path} is not empty and not a Lockwire data folder (it holds {strangers[0]})",
                    f"{close if meant else 'Choose an empty or a new folder'} with --data",
                )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder's lock, with our process id in it, until the block ends or the process dies.

        Raises:
            LockedError: another process holds it.
            DataFolderError: the folder is another user's, who could not read what we write.
        """
        self._check_owner()
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if sys.platform != "win32":
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise LockedError(self.path, self.lock_holder()) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            try:
                yield
            finally:
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def lock_holder(self) -> int | None:
        """The process id in the lock file; None if there is none."""
        try:
            return int(self.lock_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def _is_ours(name: str) -> bool:
    """Whether a first start that was cut short may have left this, or the user put it there for us."""
    return name.lstrip(".").partition(".")[0] in ("access", "ca", "control", "lock", "lockwire", "server")
