"""The page of documentation that is made from the model."""

from __future__ import annotations

from pathlib import Path

from lockwire.config import (
    load,
)
from lockwire.config.documentation import EXAMPLE, markdown
from lockwire.config.keys import tables
from tests.config.files import Write

ROOT = Path(__file__).parents[2]


class TestDocumentation:
    def test_is_what_the_model_says(self) -> None:
        written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
        assert written == markdown(), "docs/configuration.md is out of date: run make docs"

    def test_describes_every_setting(self) -> None:
        page = markdown()
        for model in tables().values():
            for name, field in model.model_fields.items():
                assert field.description, f"{model.__name__}.{name} has no description"
                assert f"`{name}`" in page or f".{name}]" in page

    def test_has_an_example_that_loads(self, write: Write, tmp_path: Path) -> None:
        assert EXAMPLE in markdown()
        settings = load(write(EXAMPLE))
        assert [item.name for item in settings.listeners] == ["devices", "browsers", "old-devices", "local"]
        assert settings.listeners[0].limits.connections_per_address == 200
        assert settings.listeners[2].tls.maximum_record_size == 4096
        assert settings.listeners[3].path == tmp_path / "mqtt.sock"
        assert settings.warnings() == []
