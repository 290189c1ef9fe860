"""One plug-in that is in use, and everything between it and the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from lockwire.access.authorizer import AccessAuthorizer
from lockwire.access.plugins.authenticator import PluginAuthenticator
from lockwire.access.plugins.authorizer import PluginAuthorizer
from lockwire.access.plugins.calls import CLOSE_TIMEOUT, Calls
from lockwire.access.plugins.loading import load_plugin
from lockwire.access.plugins.options import Value
from lockwire.access.plugins.psk import PluginKeys


class PluginHost:
    """A plug-in, loaded.

    name, options, folder: of `[plugin]`. timeout: seconds for one answer. cache: seconds that one is used
    again.

    Raises PluginError where it cannot be loaded.
    """

    def __init__(
        self,
        name: str,
        options: Mapping[str, Value],
        timeout: float,
        cache: float,
        log: FilteringBoundLogger,
        folder: Path = Path(),
    ) -> None:
        self.plugin = load_plugin(name, options, folder)
        self._log = log
        self._calls = Calls(name, timeout, log)
        self._cache = cache
        self.authenticator = PluginAuthenticator(self.plugin, self._calls, cache)
        self.keys = PluginKeys(self.plugin, self._calls, cache)

    def authorizer(self, rules: AccessAuthorizer) -> PluginAuthorizer:
        """The authorizer that asks the plug-in where no rule decides."""
        return PluginAuthorizer(rules, self.plugin, self._calls, self._cache)

    def serve(self, authorizer: PluginAuthorizer) -> None:
        """Takes the place of another host's plug-in in its authorizer."""
        authorizer.use(self.plugin, self._calls, self._cache)

    def counts(self) -> dict[str, int]:
        """Counters, by name, for status and metrics."""
        return self._calls.counts()

    async def close(self) -> None:
        """Answers what is open with a refusal, and ends the plug-in."""
        self._calls.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.plugin.close()
        except (Exception, SystemExit) as error:
            # Somebody else's code; the broker goes on stopping.
            self._log.error("plug-in could not be closed", plugin=self._calls.name, error=repr(error))
