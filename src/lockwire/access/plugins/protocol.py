"""What a plug-in is: a class with four asynchronous methods, made once with its options.

    class Porter(Plugin):
        def __init__(self, options: Options) -> None:
            self.word = options.text("word")

        async def authenticate(self, credentials: Credentials) -> Answer:
            if credentials.username and credentials.password == self.word.encode():
                return Accepted(credentials.username)
            return Refused("not the word")

It is registered under the entry point group `lockwire.authenticator` and named in `[plugin]`. Its methods run
on the broker's event loop: whatever waits must be awaited, or all clients wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from lockwire.access.authenticator import Credentials
from lockwire.access.plugins.options import Options

if TYPE_CHECKING:
    from lockwire.access.identity import Identity
    from lockwire.access.rights.rules import Rule

__all__ = ["Accepted", "Action", "Answer", "Credentials", "Options", "Plugin", "Refused", "Unknown"]

GROUP: Final = "lockwire.authenticator"
"""The entry point group that plug-ins are registered under."""

Action = Literal["publish", "subscribe"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The client is somebody.

    name: who; the rules of `user:NAME` and the placeholder {username} are about this name. It is not empty,
        prints, and is not "anonymous".
    groups: groups of the client beside those that the access database has for the name.
    rules: rules of this client alone, as `lockwire.access.rights.rules.Rule`.
    expires: when the connection has to end, a time of `time.time()`; 0.0: never.
    """

    name: str
    groups: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = field(default=())
    expires: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """The client is not who it says it is. detail: why, for the broker's log only; no secret."""

    detail: str = "refused by the plug-in"


@dataclass(frozen=True, slots=True)
class Unknown:
    """The plug-in knows nothing of who the client says it is: the listener's other methods may judge."""

    detail: str = "not known to the plug-in"


Answer = Accepted | Refused | Unknown


class Plugin:
    """The base of plug-ins, which refuses everything: override what you decide about.

    An exception refuses what was asked; the first of its kind is logged with its traceback. So does the time
    of `[plugin] timeout` when it is over: the method is then cancelled, as `asyncio.CancelledError`.
    """

    def __init__(self, options: Options) -> None:
        """options: the table `[plugin.options]`; raise what `options.wrong` makes for one that is no good."""

    async def authenticate(self, credentials: Credentials) -> Answer:
        """Who a client is, for listeners that have `plugin` among their methods."""
        return Refused()

    async def authorize(
        self, identity: Identity, client_id: str, action: Action, topic: str, qos: int, retain: bool
    ) -> bool:
        """Whether a client may publish to a topic, or subscribe to a topic filter.

        It is asked where `[plugin] authorize` is true and no rule of Lockwire's own decides. A subscription
        that is allowed stands: messages are not asked about once more when they are delivered.
        """
        return False

    async def psk_key(self, identity: str) -> bytes | None:
        """The pre-shared key of a PSK identity (RFC 4279), None where there is none."""
        return None

    async def close(self) -> None:
        """The broker stops, or has another plug-in now: connections and threads end. Has 5 seconds."""
