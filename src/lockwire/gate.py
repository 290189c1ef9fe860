"""Who may come in and what they may do, for the running broker: its methods, its rules and its plug-in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from lockwire.access.authenticator import Authenticator
from lockwire.access.authorizer import AccessAuthorizer, Authorizer
from lockwire.access.database.database import AccessDatabase
from lockwire.access.errors import AccessError
from lockwire.access.methods.chain import ChainAuthenticator
from lockwire.access.methods.checker import PasswordChecker
from lockwire.access.methods.throttle import LoginThrottle, Wait
from lockwire.access.plugins.authorizer import PluginAuthorizer
from lockwire.access.plugins.host import PluginHost
from lockwire.access.rights.policy import Policy
from lockwire.access.rights.rules import ANONYMOUS, DEFAULT_RULES, EVERYONE, RECEIVE, RIGHTS, SUBSCRIBE, Rule
from lockwire.access.tokens.keysources import key_source
from lockwire.access.tokens.verifier import TokenVerifier
from lockwire.config import ListenerSettings, Settings
from lockwire.household import Household
from lockwire.tls.psk import SlowLookup


@dataclass(frozen=True, slots=True)
class Methods:
    """What other settings bring for authentication; in use once `Gate.adopt` has taken it."""

    tokens: TokenVerifier | None
    plugin: PluginHost | None


class PskKeys(SlowLookup):
    """The pre-shared keys of listeners without a file: the data folder's, else the plug-in's."""

    def __init__(self, household: Household | None, plugin: Callable[[], PluginHost | None]) -> None:
        self._household = household
        self._plugin = plugin

    @property
    def waits(self) -> bool:
        return self._plugin() is not None

    def __call__(self, identity: str) -> bytes | None:
        key = None if self._household is None else self._household.access.psk_key(identity)
        plugin = self._plugin()
        return plugin.keys(identity) if key is None and plugin is not None else key

    def fetch(self, identity: str, done: Callable[[], None]) -> Callable[[], None] | None:
        plugin = self._plugin()
        return None if plugin is None else plugin.keys.fetch(identity, done)


class Gate:
    """The access side of one broker.

    Args:
        settings: token and plug-in are made by them.
        household: whose users and rules count; None: there are no users, and the rules of a new folder.
        changing: held by whoever changes the folder's content.
        log: where blocked logins, better hashes and the plug-in's troubles are noted.

    Raises AccessError (a plug-in, a token's keys), OSError.
    """

    def __init__(
        self,
        settings: Settings,
        household: Household | None,
        changing: asyncio.Lock,
        log: FilteringBoundLogger,
    ) -> None:
        self._household = household
        self._changing = changing
        self._log = log
        users = AccessDatabase(None) if household is None else household.access
        self._passwords = PasswordChecker(
            users,
            LoginThrottle(report=self._login_blocked),
            rehash=None if household is None else self._rehash,
        )
        self._settings = settings
        self._methods = Methods(self._token_verifier(settings, None), self._plugin_host(settings))
        self.psk_key = PskKeys(household, lambda: self._methods.plugin)
        self._rules = AccessAuthorizer(self.policy(settings))
        self._guard: PluginAuthorizer | None = None
        plugin = self._methods.plugin
        if plugin is not None and settings.plugin.authorize:
            self._guard = plugin.authorizer(self._rules)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def authorizer(self) -> Authorizer:
        """What decides about topics, for as long as the broker runs."""
        return self._guard or self._rules

    @property
    def tokens(self) -> TokenVerifier | None:
        """The judge of tokens, None where no listener takes any."""
        return self._methods.tokens

    def authenticator(self, listener: ListenerSettings) -> Authenticator:
        """The methods of one listener, in their order."""
        plugin = self._methods.plugin
        return ChainAuthenticator(
            listener.authentication,
            self._passwords,
            needs_all=listener.authentication_needs == "all",
            username_from=listener.identity.username_from,
            client_id=listener.identity.client_id,
            tokens=self._methods.tokens,
            plugin=None if plugin is None else plugin.authenticator,
        )

    def counts(self) -> dict[str, int]:
        """What was counted of logins and of the plug-in, for the status."""
        plugin = self._methods.plugin
        return self._passwords.counts() | ({} if plugin is None else plugin.counts())

    async def close(self) -> None:
        """Lets go of threads and of the plug-in."""
        if self._methods.plugin is not None:
            await self._methods.plugin.close()
        if self._methods.tokens is not None:
            self._methods.tokens.close()
        self._passwords.close()

    # -- rules

    def policy(self, settings: Settings) -> Policy:
        """The access database's; without a data folder that of a new one, and the same for anonymous."""
        configured: tuple[Rule, ...] = ()
        if settings.sys.readers == "everyone":
            configured = tuple(Rule(who, (SUBSCRIBE, RECEIVE), "$SYS/#") for who in (EVERYONE, ANONYMOUS))
        if self._household is None:
            return Policy((*DEFAULT_RULES, Rule(ANONYMOUS, RIGHTS, "#"), *configured))
        self._household.configured_rules = configured
        self._household.plugin_decides = bool(settings.plugin.name) and settings.plugin.authorize
        return self._household.policy()

    def enforce(self, settings: Settings) -> bool:
        """Puts rules and permissions in force; whether any is another one than before."""
        policy = self.policy(settings)
        if policy == self._rules.policy:
            return False
        self._rules.set_policy(policy)
        return True

    # -- other settings

    def prepare(self, settings: Settings) -> Methods:
        """What settings bring; the plug-in is made anew, since it may read files of its own.

        Raises AccessError, OSError; then nothing has changed.
        """
        return Methods(self._token_verifier(settings, self._methods.tokens), self._plugin_host(settings))

    def exchange(self, methods: Methods) -> Methods:
        """Has authenticators that are made from now on use other methods; gives those before."""
        former, self._methods = self._methods, methods
        return former

    async def settle(self, settings: Settings, former: Methods) -> None:
        """The other settings are in force: what only those before needed is let go."""
        self._settings = settings
        plugin = self._methods.plugin
        if self._guard is not None and plugin is not None and settings.plugin.authorize:
            plugin.serve(self._guard)
        elif self._guard is not None:
            self._guard.rest()
        elif plugin is not None and settings.plugin.authorize:
            self._log.warning("plugin.authorize counts from the next start on")
        await self.discard(former)

    async def discard(self, methods: Methods) -> None:
        """Lets go of methods that are not, or no longer, in use."""
        if methods.plugin is not None and methods.plugin is not self._methods.plugin:
            await methods.plugin.close()

    def _plugin_host(self, settings: Settings) -> PluginHost | None:
        plugin = settings.plugin
        if not plugin.name:
            return None
        return PluginHost(plugin.name, plugin.options, plugin.timeout, plugin.cache, self._log, plugin.folder)

    def _token_verifier(self, settings: Settings, current: TokenVerifier | None) -> TokenVerifier | None:
        """Where nothing changed it is the one that is there, with its keys read anew."""
        if not any("token" in listener.authentication for listener in settings.listeners):
            return None
        if current is not None and settings.token == self._settings.token:
            current.reload()
            return current
        return TokenVerifier(settings.token, key_source(settings.token, self._log))

    # -- passwords

    def _login_blocked(self, wait: Wait) -> None:
        self._log.warning("logins blocked", source=wait.what, seconds=round(wait.seconds))

    def _rehash(self, username: str, old: str, new: str) -> None:
        """Keeps a better hash of a user's password, after the changes that are under way."""
        task = asyncio.get_running_loop().create_task(self._keep_hash(username, old, new))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_hash(self, username: str, old: str, new: str) -> None:
        assert self._household is not None
        try:
            async with self._changing:
                if await asyncio.to_thread(self._household.access.rehash, username, old, new):
                    self._log.info("password hashed anew", user=username)
        except (AccessError, OSError) as error:
            self._log.warning(
                "a better hash of a password could not be kept", user=username, error=str(error)
            )
