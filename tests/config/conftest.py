"""A folder for configuration files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a lockwire.toml beside the certificates that it may name."""
    for name in ("server.pem", "server.key", "ca.pem", "crl.pem"):
        (tmp_path / name).touch()

    def write_file(text: str) -> Path:
        path = tmp_path / "lockwire.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file
