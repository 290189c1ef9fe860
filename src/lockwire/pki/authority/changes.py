"""Several files of one folder changed together: after a crash there are all of the new ones or none.

They are written into a hidden folder beside them, which is renamed to `change`: from then on the change is
made, and whoever opens the folder next moves what is left of it into place.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from lockwire.pki.files import make_private_folder, sync_folder, write_private, write_public

_COMMITTED: Final = "change"
_BUILDING: Final = ".change."
_REMOVED: Final = ".removed.json"


class Changes:
    """What is to change in a folder; nothing does before `commit`.

    folder: the caller is the only one that changes it (it holds the data folder's lock).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._public: dict[str, bytes] = {}
        self._private: dict[str, bytes] = {}
        self._removed: set[str] = set()

    def write_public(self, name: str, data: bytes) -> None:
        """A file that everyone can read (0644)."""
        self._removed.discard(name)
        self._public[name] = data

    def write_private(self, name: str, data: bytes) -> None:
        """A file that only its owner can read (0600)."""
        self._removed.discard(name)
        self._private[name] = data

    def remove(self, name: str) -> None:
        """A file that goes, if it is there."""
        self._public.pop(name, None)
        self._private.pop(name, None)
        self._removed.add(name)

    def rename(self, old: str, new: str) -> None:
        """A file that keeps its content and mode under another name. Raises OSError where it is not there."""
        path = self._folder / old
        write = self.write_private if path.stat().st_mode & 0o077 == 0 else self.write_public
        write(new, path.read_bytes())
        if old not in self._public and old not in self._private:
            self.remove(old)

    def commit(self) -> None:
        """Makes the change. Raises OSError; then nothing has changed, or the next opening completes it."""
        building = self._folder / f"{_BUILDING}{secrets.token_hex(6)}"
        make_private_folder(building)
        try:
            for name, data in self._public.items():
                write_public(building / name, data)
            for name, data in self._private.items():
                write_private(building / name, data)
            write_private(building / _REMOVED, json.dumps(sorted(self._removed)).encode())
            os.rename(building, self._folder / _COMMITTED)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        sync_folder(self._folder)
        complete(self._folder)


def complete(folder: Path) -> None:
    """Completes a change that a crash interrupted, and removes what one left that was not made.

    Raises OSError. The caller holds the data folder's lock.
    """
    for left in folder.glob(f"{_BUILDING}*"):
        shutil.rmtree(left)
    change = folder / _COMMITTED
    if not change.is_dir():
        return
    removed = change / _REMOVED
    if removed.exists():
        for file in sorted(change.iterdir()):
            if file != removed:
                os.replace(file, folder / file.name)
        for name in json.loads(removed.read_bytes()):
            (folder / name).unlink(missing_ok=True)
        sync_folder(folder)
        removed.unlink()
    change.rmdir()
    sync_folder(folder)
