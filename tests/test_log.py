"""The log, as its lines are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from lockwire.config import LogSettings
from lockwire.log import configure, get_log


@pytest.fixture(autouse=True)
def restore_structlog() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_text_line_has_time_level_event_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings())
    get_log().warning("login refused", client="sensor1", peer="[::1]:50123", tries=3, resumed=True, sni=None)
    line = capsys.readouterr().err
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z warning  login refused "
        r"client=sensor1 peer=\[::1\]:50123 tries=3 resumed=true sni=none\n",
        line,
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("two words", '"two words"'),
        ('a"b', r'"a\"b"'),
        ("a=b", '"a=b"'),
        ("", '""'),
        ("ünï", "ünï"),
        ("line\nforged level=error", r'"line\nforged level=error"'),
        ("\x1b[2J", r'"\u001b[2J"'),
        ("\u2028", r'"\u2028"'),
        ("\x9b", r'"\u009b"'),
        (b"\x00\xff", "\"b'\\\\x00\\\\xff'\""),
    ],
)
def test_values_cannot_break_a_line(capsys: pytest.CaptureFixture[str], value: object, written: str) -> None:
    configure(LogSettings())
    get_log().info("event", value=value)
    assert capsys.readouterr().err.partition("value=")[2] == written + "\n"


def test_json_has_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(format="json"))
    get_log().info("listening", path=Path("/run/mqtt.sock"), port=8883)
    get_log().info("stopped")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert list(first) == ["time", "level", "event", "path", "port"]
    assert (first["level"], first["event"], first["path"], first["port"]) == (
        "info",
        "listening",
        "/run/mqtt.sock",
        8883,
    )
    assert second["event"] == "stopped"


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings())
    try:
        raise ZeroDivisionError("by\nzero")
    except ZeroDivisionError:
        get_log().exception("command failed")
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    assert "Traceback" in output


def test_a_new_level_and_file_reach_loggers_given_out_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(LogSettings())
    log = get_log()
    log.debug("unseen")
    configure(LogSettings(level="debug", file=tmp_path / "lockwire.log"))
    log.debug("seen")
    assert (tmp_path / "lockwire.log").read_text().endswith("debug    seen\n")
    assert capsys.readouterr().err == ""


def test_a_file_that_cannot_be_opened_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(LogSettings())
    with pytest.raises(IsADirectoryError):
        configure(LogSettings(file=tmp_path))
    get_log().info("still here")
    assert "still here" in capsys.readouterr().err
