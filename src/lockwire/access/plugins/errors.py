"""What goes wrong when a plug-in is loaded."""

from __future__ import annotations

from lockwire.access.errors import AccessError


class PluginError(AccessError):
    """A plug-in that cannot be used.

    plugin: its name. option: the option of `[plugin.options]` at fault, "" where it is none of them.
    """

    def __init__(self, plugin: str, problem: str, option: str = "") -> None:
        where = (
            f"[plugin.options] {option} of the plug-in {plugin!r}" if option else f"the plug-in {plugin!r}"
        )
        super().__init__(f"{where}: {problem}")
        self.plugin = plugin
        self.option = option
        self.problem = problem
