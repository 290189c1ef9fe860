"""`--log-format` and `--log-level`, which overrule the configuration."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lockwire.config import LogSettings, Settings


class LogFormat(StrEnum):
    """As in table `[log]`."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """As in table `[log]`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


LogFormatOption = Annotated[
    LogFormat | None, typer.Option("--log-format", show_default=False, help="Lines for people, or JSON.")
]
LogLevelOption = Annotated[
    LogLevel | None,
    typer.Option("--log-level", show_default=False, help="The least important lines written."),
]


def with_log(settings: Settings, log_format: LogFormat | None, level: LogLevel | None) -> Settings:
    """The settings with what the command line says of the log."""
    given = {"format": log_format, "level": level}
    said = {name: value.value for name, value in given.items() if value is not None}
    log = LogSettings.model_validate({**settings.log.model_dump(), **said})
    return settings.model_copy(update={"log": log})
