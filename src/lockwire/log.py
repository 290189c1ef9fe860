"""The log: one line an event, on standard error or in a file, as text for people or JSON for programs.

Text is `2026-11-20T21:24:05.123456Z warning  handshake failed peer=192.0.2.7:50123 reason="no certificate"`.
What comes from clients cannot break a line: values are quoted and escaped where needed.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from lockwire.config import LogSettings

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(settings: LogSettings) -> None:
    """Applies level, format and file to every logger, those already given out included.

    Called again on a reload, which also opens the file anew after a log rotation.

    Raises:
        OSError: the file cannot be opened; the log stays as it was.
    """
    stream = sys.stderr if settings.file is None else _open(settings.file)
    renderer = _render_json if settings.format == "json" else _render_text
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )


def get_log() -> FilteringBoundLogger:
    """The log: `get_log().info("client connected", client="sensor1")`."""
    log: FilteringBoundLogger = structlog.get_logger()
    return log


def _open(path: Path) -> TextIO:
    # Line-buffered, and never closed: a logger given out before the reload may still be writing.
    return path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    ordered = {key: event.pop(key) for key in ("time", "level", "event") if key in event}
    return json.dumps({**ordered, **event}, default=str)


def _render_text(_: WrappedLogger, __: str, event: EventDict) -> str:
    name = str(event.pop("event", ""))
    if not name.isprintable():
        name = json.dumps(name)
    line = f"{event.pop('time')} {event.pop('level'):<8} {name}"
    return " ".join([line, *(f"{key}={_value(value)}" for key, value in event.items())])


def _value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    text = str(value)
    if text and text.isprintable() and not any(character in ' "=\\' for character in text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
