"""Learning in the running broker: who watches it, and when what was seen is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from lockwire.access.errors import AccessError
from lockwire.access.learning.memory import Learning
from lockwire.access.observer import Observer
from lockwire.household import Household

SAVE_INTERVAL: Final = 30.0
"""Seconds between two looks for something new: what a crash costs of the record at most."""


class Learner:
    """Has the broker tell `household.learning` what clients do, as long as it learns.

    observe: gives the broker its observer, None for nobody. log: where trouble with the file is noted.
    """

    def __init__(
        self, household: Household, observe: Callable[[Observer | None], None], log: FilteringBoundLogger
    ) -> None:
        self._household = household
        self._observe = observe
        self._log = log
        self._saving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Goes on with what was going on when the broker stopped. A damaged record is left alone and said."""
        try:
            learning = self._household.learning
        except (AccessError, OSError) as error:
            self._log.error("what was learned cannot be read, nothing is learned", error=str(error))
            return
        if learning.running:
            self._begin(learning)

    def settle(self) -> None:
        """Learning has begun or ended, by a command."""
        learning = self._household.learning
        self._end()
        if learning.running:
            self._begin(learning)

    async def stop(self) -> None:
        """The broker stops: what was seen is written."""
        if self._saving is not None:
            self._end()
            await self._save(self._household.learning)

    def _begin(self, learning: Learning) -> None:
        self._observe(learning.recorder)
        self._saving = asyncio.get_running_loop().create_task(self._keep_saving(learning))
        self._log.info("learning what clients do", identities=len(learning.recorder))

    def _end(self) -> None:
        self._observe(None)
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None

    async def _keep_saving(self, learning: Learning) -> None:
        while True:
            await asyncio.sleep(SAVE_INTERVAL)
            await self._save(learning)

    async def _save(self, learning: Learning) -> None:
        try:
            await asyncio.to_thread(learning.save)
        except OSError as error:
            self._log.error("what was learned cannot be written", error=str(error))
