"""The data folder: where everything that a broker keeps lies, who may write it, and how it is written.

The running broker is the only writer. It holds `lock`; a command that finds the broker down takes the lock
for the time of its change, and one that finds it running asks through the control socket.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
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
        self.access: Final = self.path / "access"
        self.devices: Final = self.path / "devices"
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
        """Makes the folder (0700) and the folders in it; reuses what is there.

        Raises:
            DataFolderError: it cannot be made, is another user's, or holds files that are not Lockwire's.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_ours()
            self.path.chmod(0o700)
            for folder in (self.ca, self.server, self.access, self.devices):
                folder.mkdir(mode=0o700, exist_ok=True)
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

    def _check_ours(self) -> None:
        status = self.path.stat()
        if sys.platform != "win32" and status.st_uid != os.geteuid():
            raise DataFolderError(
                f"{self.path} belongs to user {status.st_uid}",
                "Run as that user, or choose another folder with --data",
            )
        if not self.lock_file.exists() and not self.initialised:
            # Tightening the mode of a folder that is someone's home or /tmp would harm what else is there.
            strangers = sorted(entry.name for entry in self.path.iterdir() if entry != self.configuration)
            if strangers:
                raise DataFolderError(
                    f"{self.path} is not empty and not a Lockwire data folder (it holds {strangers[0]})",
                    "Choose an empty or a new folder with --data",
                )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder's lock, with our process id in it, until the block ends or the process dies.

        Raises:
            LockedError: another process holds it.
        """
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


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Writes a file so that a reader, or a power cut, meets the old content or the new, never a part.

    Args:
        path: the file; its folder exists.
        content: all of it.
        mode: permissions, in force before the first byte is there.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def make_private_folder(path: Path) -> None:
    """Makes a folder 0700 in a place that others may write, or accepts it if it is ours alone.

    Raises:
        DataFolderError: what is there is a link, another user's, or open to others.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    status = path.lstat()
    ours = sys.platform == "win32" or status.st_uid == os.geteuid()
    if not stat.S_ISDIR(status.st_mode) or not ours or status.st_mode & 0o077:
        raise DataFolderError(
            f"{path} is not a private folder of ours",
            "Remove it, or set XDG_RUNTIME_DIR to a folder of yours",
        )


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
