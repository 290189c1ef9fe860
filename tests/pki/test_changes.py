"""Several files changed together, through crashes at every step."""

from __future__ import annotations

import stat
from functools import partial
from pathlib import Path

import pytest

from lockwire.pki.authority.changes import Changes, complete
from tests.support.crash import killed_at


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(folder.iterdir())}


OLD = {"a": "1", "gone": "x", "kept": "k"}
NEW = {"a": "2", "b": "3", "kept": "k", "moved": "x"}


def fill(folder: Path) -> None:
    folder.mkdir()
    for name, text in OLD.items():
        (folder / name).write_text(text)


def change(folder: Path) -> None:
    changes = Changes(folder)
    changes.write_public("a", b"2")
    changes.write_private("b", b"3")
    changes.rename("gone", "moved")
    changes.remove("never-there")
    changes.commit()


def test_all_of_it_happens(tmp_path: Path) -> None:
    fill(tmp_path / "folder")
    change(tmp_path / "folder")
    assert content(tmp_path / "folder") == NEW
    assert stat.S_IMODE((tmp_path / "folder" / "b").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "folder" / "a").stat().st_mode) == 0o644


def test_a_crash_at_any_step_leaves_all_or_nothing(tmp_path: Path) -> None:
    step, seen = 1, []
    while True:
        folder = tmp_path / str(step)
        fill(folder)
        died = killed_at(step, partial(change, folder))
        complete(folder)
        found = content(folder)
        assert found in (OLD, NEW)
        seen.append(found == NEW)
        if not died:
            break
        step += 1
    assert step > 15
    assert seen == sorted(seen)
    assert not seen[0]
    assert seen[-1]


def test_a_crash_while_a_change_is_completed_is_completed_next_time(tmp_path: Path) -> None:
    committing = 1
    while not committed(tmp_path / f"try-{committing}", committing):
        committing += 1
    step, died = 1, True
    while died:
        folder = tmp_path / str(step)
        assert committed(folder, committing)
        died = killed_at(step, partial(complete, folder))
        complete(folder)
        assert content(folder) == NEW
        step += 1
    assert step > 5


def committed(folder: Path, step: int) -> bool:
    """Whether a change that is killed at this step was made, but for moving the files."""
    fill(folder)
    killed_at(step, partial(change, folder))
    return (folder / "change").is_dir()


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "folder")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", refuse)
    with pytest.raises(OSError, match="No space"):
        change(tmp_path / "folder")
    assert content(tmp_path / "folder") == OLD
