"""The table `[plugin.options]`, read so that every error names the plug-in and the option."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lockwire.access.plugins.errors import PluginError

Value = str | int | float | bool


class Options:
    """What a plug-in is told: each getter takes an option by its name; one that nobody takes is a mistake.

    plugin: the plug-in's name. values: the table. folder: relative file names are relative to it.
    """

    def __init__(self, plugin: str, values: Mapping[str, Value], folder: Path = Path()) -> None:
        self.plugin = plugin
        self._folder = folder
        self._values = values
        self._taken: set[str] = set()

    def __repr__(self) -> str:
        return f"Options({self.plugin!r}, {sorted(self._values)})"  # values may be secret

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str | None = None) -> str:
        """An option that is text. Raises PluginError where it is something else, or missing."""
        value = self._take(name, default, "text")
        if not isinstance(value, str):
            raise self.wrong(name, f"it is {value!r}, expected text")
        return value

    def integer(self, name: str, default: int | None = None, least: int = 0, most: int = 2**31 - 1) -> int:
        """An option that is a whole number from `least` to `most`. Raises PluginError."""
        value = self._take(name, default, "a whole number")
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(name, f"it is {value!r}, expected a whole number from {least} to {most}")
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        """An option that is true or false. Raises PluginError."""
        value = self._take(name, default, "true or false")
        if not isinstance(value, bool):
            raise self.wrong(name, f"it is {value!r}, expected true or false")
        return value

    def file(self, name: str) -> Path | None:
        """An option that names a file that is there, None where it is absent. Raises PluginError."""
        if name not in self._values:
            return None
        path = self._folder / self.text(name)
        if not path.is_file():
            raise self.wrong(name, f"there is no file {str(path)!r}")
        return path

    def secret_file(self, name: str) -> str | None:
        """The text in a file that an option names, without white space around; None where it is absent.

        Raises PluginError where it cannot be read, is empty, or others on this machine can read it.
        """
        path = self.file(name)
        if path is None:
            return None
        try:
            mode = path.stat().st_mode & 0o777
            if mode & 0o077:
                raise self.wrong(name, f"others on this machine can read {path} (mode {mode:04o}): chmod 600")
            secret = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise self.wrong(name, f"{path} cannot be read: {error}") from error
        if not secret:
            raise self.wrong(name, f"{path} is empty")
        return secret

    def wrong(self, name: str, problem: str) -> PluginError:
        """The error for an option that is no good; say what was expected."""
        return PluginError(self.plugin, problem, name)

    def finish(self) -> None:
        """Raises PluginError where an option is there that no getter took."""
        left = sorted(set(self._values) - self._taken)
        if left:
            known = ", ".join(sorted(self._taken)) or "none"
            raise self.wrong(left[0], f"it is not known, expected some of: {known}")

    def _take(self, name: str, default: Value | None, expected: str) -> Value:
        self._taken.add(name)
        value = self._values.get(name, default)
        if value is None:
            raise self.wrong(name, f"it is missing, expected {expected}")
        return value
