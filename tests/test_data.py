"""The data folder: who may write it, and how."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lockwire.data import DataFolder, DataFolderError, LockedError

HOLD_LOCK = """
import sys
from pathlib import Path
from lockwire.data import DataFolder
with DataFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestLocate:
    def test_given_wins_over_environment_over_default(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("LOCKWIRE_DATA", raising=False)
        assert DataFolder.locate(None).path == tmp_path / "lockwire-data"
        monkeypatch.setenv("LOCKWIRE_DATA", "/var/lib/lockwire")
        assert DataFolder.locate(None).path == Path("/var/lib/lockwire")
        assert DataFolder.locate(Path("here")).path == tmp_path / "here"


class TestCreate:
    def test_makes_a_private_folder(self, tmp_path: Path) -> None:
        DataFolder(tmp_path / "a" / "b").create()
        assert mode(tmp_path / "a" / "b") == 0o700

    @pytest.mark.parametrize("left", ["lock", "ca", ".ca.0123456789ab", "control.sock", "access"])
    def test_takes_up_what_a_start_that_was_cut_short_left(self, tmp_path: Path, left: str) -> None:
        (tmp_path / left).mkdir()
        DataFolder(tmp_path).create()
        assert mode(tmp_path) == 0o700

    def test_an_empty_folder_that_others_may_read_is_closed_to_them(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        DataFolder(tmp_path).create()
        assert mode(tmp_path) == 0o700

    def test_a_configuration_may_be_there_before_the_first_start(self, tmp_path: Path) -> None:
        (tmp_path / "lockwire.toml").touch()
        DataFolder(tmp_path).create()
        assert mode(tmp_path) == 0o700

    def test_a_folder_with_other_things_in_it_is_left_alone(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        (tmp_path / "letters").touch()
        with pytest.raises(DataFolderError, match="not empty and not a Lockwire data folder"):
            DataFolder(tmp_path).create()
        assert mode(tmp_path) == 0o755
        assert [entry.name for entry in tmp_path.iterdir()] == ["letters"]

    def test_beside_a_configuration_others_are_for_whoever_closes_the_folder(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        for name in ("lockwire.toml", "words.json"):
            (tmp_path / name).touch()
        with pytest.raises(DataFolderError, match=rf"it holds words.json.*chmod 700 {tmp_path}"):
            DataFolder(tmp_path).create()
        tmp_path.chmod(0o700)
        DataFolder(tmp_path).create()

    def test_a_file_in_its_place_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "data").touch()
        with pytest.raises(DataFolderError, match=r"/data cannot be made or opened: File exists.*--data"):
            DataFolder(tmp_path / "data").create()

    def test_require_tells_how_to_begin(self, tmp_path: Path) -> None:
        with pytest.raises(DataFolderError, match=r"holds no Lockwire data\. Run lockwire up first"):
            DataFolder(tmp_path).require()


class TestOwner:
    @pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
    def test_nobody_writes_into_the_folder_of_another_user_who_could_not_read_it(
        self, tmp_path: Path
    ) -> None:
        data = DataFolder(tmp_path / "data")
        data.create()
        os.chown(data.path, 65534, 65534)
        with pytest.raises(DataFolderError, match="belongs to user 65534"):
            data.create()
        with pytest.raises(DataFolderError, match="belongs to user 65534"), data.lock():
            pass
        assert list(data.path.iterdir()) == []


class TestLock:
    def test_is_held_against_other_processes_and_names_its_holder(self, tmp_path: Path) -> None:
        data = DataFolder(tmp_path)
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_LOCK, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdin is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(LockedError, match=f"in use by process {holder.pid}") as caught, data.lock():
                pass
            assert caught.value.pid == holder.pid
            holder.stdin.close()
            assert holder.wait() == 0
        with data.lock():
            assert data.lock_holder() == os.getpid()
        assert data.lock_holder() is None

    def test_is_free_again_after_kill_9(self, tmp_path: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_LOCK, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            holder.kill()
            holder.wait()
        with DataFolder(tmp_path).lock():
            assert mode(tmp_path / "lock") == 0o600
