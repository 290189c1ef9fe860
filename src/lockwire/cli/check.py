"""`lockwire check`: a configuration and everything it names, tested without starting a broker."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from lockwire.cli.failures import FAILED
from lockwire.cli.options import DataOption, locate
from lockwire.cli.tls_names import check_tls_names
from lockwire.cli.up import configuration_of
from lockwire.config import Settings, load
from lockwire.data import ENVIRONMENT_VARIABLE, DataFolder
from lockwire.pki.toolkit.check import Finding, Weight

_WORDS: Final = {Weight.WRONG: "wrong", Weight.RISK: "risk", Weight.NOTE: "note"}


def check(
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The configuration. Default: lockwire.toml in the data folder, if any."
        ),
    ] = None,
    data: DataOption = None,
) -> None:
    """Test a configuration, and the files, keys and addresses it names, without starting a broker.

    Nothing is written. A file that is given alone is tested as `lockwire broker --config` uses it; with a
    data folder, as `lockwire up` does.
    Exit status 1: something keeps the broker from starting or clients from connecting; 2: the configuration
    cannot be read or contradicts itself.
    """
    from lockwire.rehearsal import rehearse

    folder = _folder_of(config, data)
    file = config if folder is None else configuration_of(folder, config)
    base = None if folder is None else Settings.for_up(folder.path)
    if file is not None:
        settings = load(file, base, check_tls_names)
    else:
        assert base is not None
        settings = base
    findings = rehearse(settings, folder)
    _print(file, folder, findings)
    if any(finding.weight is Weight.WRONG for finding in findings):
        raise typer.Exit(FAILED)


def _folder_of(config: Path | None, data: Path | None) -> DataFolder | None:
    """The data folder that is meant: a configuration alone needs none."""
    if config is not None and data is None and ENVIRONMENT_VARIABLE not in os.environ:
        return None
    return locate(data)


def _print(file: Path | None, folder: DataFolder | None, findings: list[Finding]) -> None:
    with_folder = f", data folder {folder.path}" if folder is not None else ""
    now = datetime.datetime.now(datetime.UTC)
    print(f"{file or 'no configuration'}{with_folder}, on {now:%Y-%m-%d %H:%M} UTC:")
    for finding in findings:
        sentence = f"{finding.about}: {finding.text}."
        print(f"{_WORDS[finding.weight]:<6} {sentence} {finding.remedy}".rstrip())
    count = sum(finding.weight is Weight.WRONG for finding in findings)
    if count:
        print(f"{count} {'thing is' if count == 1 else 'things are'} wrong.")
    else:
        print("Nothing is wrong.")
