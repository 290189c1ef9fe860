"""The files of a device in a folder: all of them are written, or none."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lockwire.cli.failures import CommandError
from lockwire.pki.errors import InvalidNameError
from lockwire.pki.files import make_private_folder, sync_folder, write_private, write_public
from lockwire.pki.names import check_name

_MANY: Final = 20


@dataclass(frozen=True, slots=True)
class Kit:
    """What a device gets. chain: its certificate and what it presents behind it.

    key: empty where the device keeps its own. ca: what it checks the broker with; empty for none.
    """

    name: str
    chain: str
    key: str = field(default="", repr=False)
    ca: str = ""

    @property
    def files(self) -> Mapping[str, tuple[str, bool]]:
        """Each file's name, its content and whether it is for its owner only; the key first."""
        found = {f"{self.name}.key": (self.key, True), f"{self.name}.pem": (self.chain, False)}
        found["ca.pem"] = (self.ca, False)
        return {name: one for name, one in found.items() if one[0]}


def kit_files(name: str, with_key: bool = True) -> list[str]:
    """The names of a kit's files, as they are printed."""
    return ["ca.pem", f"{name}.pem", *([f"{name}.key"] if with_key else [])]


def file_name(common_name: str) -> str:
    """What files of a certificate are called: as it, unless another CA gave it a name that no file has."""
    try:
        check_name(common_name)
    except InvalidNameError:
        return f"device-{re.sub(r'[^A-Za-z0-9._-]', '_', common_name)[:64]}"
    return common_name


def check_free(folder: Path, files: list[str]) -> None:
    """Before anything is issued: the files can be written, and none of them is there. Raises CommandError."""
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is not a folder", "Give another one with --out")
    for file in files:
        if (folder / file).exists():
            raise CommandError(f"{folder / file} exists already", "Give another folder with --out")
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise CommandError(f"{parent} cannot be written", "Give another folder with --out")


def write_kit(folder: Path, kit: Kit) -> None:
    """All the files or none: a new folder appears with everything in it. Raises OSError."""
    if folder.exists():
        try:
            _write(folder, kit)
        except BaseException:
            for file in kit.files:
                (folder / file).unlink(missing_ok=True)
            raise
    else:
        with_new_folder(folder, [("", kit)])


def with_new_folder(folder: Path, kits: list[tuple[str, Kit]]) -> None:
    """Makes a folder that appears with everything in it: kits, each in a folder of its own below.

    Many are synced together: three files for each of a thousand devices would take a disk a minute.
    """
    target = folder.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    make_private_folder(building)
    try:
        together = len(kits) >= _MANY and hasattr(os, "sync")
        for below, kit in kits:
            make_private_folder(building / below)
            (_write_unsynced if together else _write)(building / below, kit)
        if together:
            os.sync()
        building.replace(folder)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def written(folder: Path, files: list[str]) -> str:
    """The files' names in one sentence, quoted for a shell."""
    names = [shlex.quote(os.fspath(folder / file)) for file in files]
    return f"Wrote {', '.join(names[:-1])} and {names[-1]}." if len(names) > 1 else f"Wrote {names[0]}."


def _write_unsynced(folder: Path, kit: Kit) -> None:
    for file, (content, private) in kit.files.items():
        mode = 0o600 if private else 0o644
        descriptor = os.open(folder / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(descriptor, mode)
            opened.write(content.encode("ascii"))


def _write(folder: Path, kit: Kit) -> None:
    for file, (content, private) in kit.files.items():
        save = write_private if private else write_public
        save(folder / file, content.encode("ascii"))
