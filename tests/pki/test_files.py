"""Files are whole or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lockwire.pki.files import append_line, make_private_folder, write_private, write_public


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_private_and_public_files_have_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    for umask in (0o000, 0o077, 0o777):
        before = os.umask(umask)
        try:
            write_private(tmp_path / "key", b"secret")
            write_public(tmp_path / "certificate", b"public")
        finally:
            os.umask(before)
        assert mode(tmp_path / "key") == 0o600
        assert mode(tmp_path / "certificate") == 0o644


def test_a_file_is_replaced_whole_and_readers_of_the_old_one_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, b"old" * 1000)
    with path.open("rb") as reader:
        write_private(path, b"new")
        assert reader.read() == b"old" * 1000
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "target").mkdir()
    (folder / "target" / "inside").touch()
    with pytest.raises(OSError, match="target"):
        write_private(folder / "target", b"data")
    assert [entry.name for entry in folder.iterdir()] == ["target"]


def test_a_folder_is_taken_from_others(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_private_folder(folder)
    assert mode(folder) == 0o700
    folder.chmod(0o755)
    make_private_folder(folder)
    assert mode(folder) == 0o700


def test_lines_are_appended_to_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    append_line(path, b"one")
    append_line(path, b"two")
    assert path.read_bytes() == b"one\ntwo\n"
    assert mode(path) == 0o600
