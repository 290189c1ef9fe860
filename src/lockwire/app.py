"""Puts the parts together: a broker with its store, authentication, rules, control socket and metrics.

`run` is the life of the process, from settings to the signal that ends it; `serve` the same inside a running
event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Final

from lockwire import is_compiled
from lockwire.access.errors import AccessError
from lockwire.broker.broker import Broker, ListenError
from lockwire.collector import Collector
from lockwire.commands import Commands
from lockwire.config import Settings, SettingsError
from lockwire.control import ControlError, ControlServer
from lockwire.data import DataFolder
from lockwire.gate import Gate
from lockwire.household import Household
from lockwire.learner import Learner
from lockwire.log import configure, get_log
from lockwire.metrics import MetricsServer
from lockwire.mqtt import reasons
from lockwire.operations.outcome import (
    AccessChanged,
    CertificatesRevoked,
    LearningChanged,
    Outcome,
    UserGone,
)
from lockwire.pki.authority.points import RevocationPoints
from lockwire.pki.errors import PkiError
from lockwire.pki.revocation.publishing import revoked_keys
from lockwire.responder import Responder
from lockwire.store.memory import MemoryStore
from lockwire.tls.errors import TlsFileError, TlsPolicyError
from lockwire.version import VERSION
from lockwire.watch import FileWatch

STOP_TIMEOUT: Final = 5.0
"""Seconds that a clean stop may take."""
ADDRESS_INTERVAL: Final = 300.0
"""Seconds between two looks at the host's names and addresses."""

Status = dict[str, object]

_RELOAD_ERRORS: Final = (
    ListenError,
    SettingsError,
    TlsPolicyError,
    TlsFileError,
    PkiError,
    AccessError,
    OSError,
)


def run(
    settings: Settings,
    on_ready: Callable[[Status], None],
    *,
    household: Household | None = None,
    load: Callable[[], Settings] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, on uvloop where it is installed.

    Args:
        settings: what to serve.
        on_ready: called with the status once every listener accepts connections.
        household: the data folder's content, its lock held by the caller; None: no folder is used.
        load: reads the settings anew, for SIGHUP and `lockwire reload`.

    Raises:
        TlsPolicyError, TlsFileError: the TLS settings cannot be used.
        AccessError: users or rules cannot be read.
        ListenError, OSError: an address cannot be listened on.
    """
    configure(settings.log)
    raise_file_limit()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, on_ready, household=household, load=load))


async def serve(
    settings: Settings,
    on_ready: Callable[[Status], None],
    *,
    household: Household | None = None,
    load: Callable[[], Settings] | None = None,
) -> None:
    """As `run`, in the running event loop of the main thread."""
    application = Application(settings, household, load)
    with application.signals():
        await application.start()
        try:
            on_ready(application.status())
            await application.stopping.wait()
        finally:
            await application.stop()


class Application:
    """One broker and everything around it; `start`, then `stopping` says when to `stop`."""

    def __init__(
        self, settings: Settings, household: Household | None, load: Callable[[], Settings] | None
    ) -> None:
        self.settings = settings
        self.stopping = asyncio.Event()
        self._household = household
        self._load = load
        self._log = get_log()
        self._changing = asyncio.Lock()
        self._gate = Gate(settings, household, self._changing, self._log)
        self._broker = Broker(
            settings,
            store=MemoryStore(),
            authenticators=self._gate.authenticator,
            authorizer=self._gate.authorizer,
            log=self._log,
            psk_key=self._gate.psk_key,
        )
        self._listening = False
        self._collector = Collector(lambda: self._broker.core.counters.packets_received)
        self._metrics: MetricsServer | None = None
        self._control: ControlServer | None = None
        self._responder = (
            None if household is None else Responder(household.authority, self._changing, self._log)
        )
        self._files = FileWatch(
            self._broker, lambda: self.settings, lambda: self._gate.tokens, self._changing, self._log
        )
        self._learner = None if household is None else Learner(household, self._broker.observe, self._log)
        self._watch: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # -- start and stop

    async def start(self) -> None:
        """Listens, on everything or, where that fails, on nothing. Raises as `run` says."""
        try:
            await self._deny_revoked()  # before the first client
            if self._learner is not None:
                self._learner.start()
            await self._broker.start()
            self._listening = True
            self._files.start()
            if self._gate.tokens is not None:
                self._gate.tokens.reload()
            self._metrics = await self._start_metrics(self.settings)
            if self._responder is not None:
                await self._publish_points(self.settings)
                await self._responder.start(self.settings.authority)
            if self._household is not None:
                if sys.platform != "win32":
                    self._control = ControlServer(self._household.data, self._log.warning)
                    Commands(
                        self._household, self.apply, self.status, self.reload, self._changing, self._log
                    ).register(self._control)
                    await self._control.start()
                self._watch = asyncio.create_task(self._watch_addresses())
        except BaseException:
            await self.stop()
            raise
        for warning in self.settings.warnings():
            self._log.warning("unsafe listener", warning=warning)
        self._collector.start()

    async def stop(self) -> None:
        """Ends everything within `STOP_TIMEOUT`; clients are told (MQTT 5: DISCONNECT 0x8B)."""
        self._collector.stop()
        self._files.stop()
        if self._watch is not None:
            self._watch.cancel()
        if self._control is not None:
            await self._control.stop()
        if self._metrics is not None:
            await self._metrics.stop()
        if self._responder is not None:
            await self._responder.stop()
        if self._listening:
            self._listening = False
            try:
                async with asyncio.timeout(STOP_TIMEOUT):
                    await self._broker.stop(reasons.SERVER_SHUTTING_DOWN)
            except TimeoutError:
                self._log.warning("clients did not leave in time", seconds=STOP_TIMEOUT)
            self._log.info("stopped")
        if self._learner is not None:
            await self._learner.stop()
        await self._gate.close()

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop, a second SIGINT at once; SIGHUP reloads."""
        if sys.platform == "win32":
            yield
            return
        loop = asyncio.get_running_loop()
        handled = {
            signal.SIGTERM: self._terminate,
            signal.SIGINT: self._interrupt,
            signal.SIGHUP: self._hang_up,
        }
        for number, handler in handled.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    def _terminate(self) -> None:
        self._log.info("stopping")
        self.stopping.set()

    def _interrupt(self) -> None:
        if self.stopping.is_set():
            sys.stdout.flush()
            os._exit(128 + signal.SIGINT)
        self._terminate()

    def _hang_up(self) -> None:
        task = asyncio.get_running_loop().create_task(self._reload_for_signal())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- parts

    async def _start_metrics(self, settings: Settings) -> MetricsServer | None:
        if not settings.metrics.enabled:
            return None
        server = MetricsServer(settings.metrics.address, settings.metrics.port, self.status)
        port = await server.start()
        self._log.info("metrics", address=settings.metrics.address, port=port)
        return server

    def status(self) -> Status:
        """The broker's status, and what is known of the process."""
        own: Status = {
            "version": VERSION,
            "compiled": is_compiled(),
            "pid": os.getpid(),
        }
        if self._household is not None:
            own["data"] = str(self._household.data.path)
        status = own | self._broker.status()
        problems = self._files.problems()
        if self._responder is not None:
            status["revocation"] = self._responder.status()
            problems += self._responder.problems()
        status["problems"] = problems
        counters = status["counters"]
        if isinstance(counters, dict):
            counters.update(self._gate.counts())
        return status

    # -- what operations mean for the running broker

    async def apply(self, outcome: Outcome) -> None:
        """Does what an operation's effects say; the changing lock is held."""
        for effect in outcome.effects:
            if isinstance(effect, AccessChanged):
                self._enforce()
            elif isinstance(effect, UserGone):
                self._broker.end_identity(effect.name, effect.realm, effect.detail)
            elif isinstance(effect, CertificatesRevoked):
                await self._tell_revoked()
            elif isinstance(effect, LearningChanged):
                if self._learner is not None:
                    self._learner.settle()
            else:
                await self._trust_anew()
                await self._tell_revoked()

    async def _trust_anew(self) -> None:
        """Has the listeners load their files again.

        Where some listener's cannot be used, the others' are taken one by one a moment later: see FileWatch.
        """
        try:
            await self._broker.reload(self.settings)
        except _RELOAD_ERRORS as error:
            self._log.error("not all listeners can load their files again", error=str(error))

    def _enforce(self) -> None:
        """Puts rules and permissions in force for everybody who is connected."""
        if self._gate.enforce(self.settings):
            self._broker.rules_changed()

    # -- revocation

    async def _deny_revoked(self) -> None:
        """Refuses what the authority revoked, and ends connections that rest on it."""
        if self._household is not None:
            keys = await asyncio.to_thread(revoked_keys, self._household.authority)
            self._broker.deny("authority", keys)

    async def _tell_revoked(self) -> None:
        """Does what another ledger or another authority means for clients, and for who asks about them."""
        await self._deny_revoked()
        if self._responder is not None:
            await self._responder.refresh()

    async def _publish_points(self, settings: Settings) -> None:
        """Has certificates say from now on where their revocation is published. Raises OSError."""
        if self._household is not None:
            points = RevocationPoints(settings.authority.crl_url, settings.authority.ocsp_url)
            await asyncio.to_thread(self._household.authority.publish_at, points)

    # -- reload

    async def reload(self) -> Status:
        """Reads configuration, certificates, keys, users and rules again; drops no connection.

        Gives what an operator should know of it.

        Raises:
            ControlError: something cannot be used; everything goes on as it was.
        """
        async with self._changing:
            try:
                return await self._reload()
            except _RELOAD_ERRORS as error:
                # Whatever was applied before the failure goes back.
                with contextlib.suppress(OSError):
                    configure(self.settings.log)
                self._log.error("reload failed, everything stays as it was", error=str(error))
                raise ControlError(
                    f"nothing was changed: {error}",
                    "Correct it, and run lockwire reload again",
                    bad_input=isinstance(error, (SettingsError, TlsPolicyError, TlsFileError)),
                ) from error

    async def _reload(self) -> Status:
        settings = self.settings if self._load is None else await asyncio.to_thread(self._load)
        if self._household is None:
            return await self._reload_with(settings, {})
        access = self._household.access
        reread = await asyncio.to_thread(access.read_again)
        try:
            certificate = await self._ensure_server_certificate(settings)
            report = await self._reload_with(settings, {"server_certificate": certificate})
        except BaseException:
            if reread is not None:
                reread.close()
            raise
        for name, realm in access.adopt(reread):
            self._broker.end_identity(name, realm, f"{name!r} is no longer in the access database")
        self._enforce()
        return report

    async def _reload_with(self, settings: Settings, report: Status) -> Status:
        """Puts other settings in force, all of them or none."""
        configure(settings.log)
        methods = self._gate.prepare(settings)
        former = self._gate.exchange(methods)
        metrics = self._metrics
        try:
            if settings.metrics != self.settings.metrics:
                metrics = await self._start_metrics(settings)
            await self._reload_network(settings)
        except BaseException:
            self._gate.exchange(former)
            await self._gate.discard(methods)
            if metrics is not None and metrics is not self._metrics:
                await metrics.stop()
            raise
        if self._metrics is not None and self._metrics is not metrics:
            await self._metrics.stop()
        self._metrics = metrics
        self.settings = settings
        await self._gate.settle(settings, former)
        self._enforce()  # settings bring rules too
        self._files.settle()
        report["warnings"] = [*settings.warnings(), *self._files.warnings(), *self._files.problems()]
        self._log.info("reloaded")
        return report

    async def _reload_network(self, settings: Settings) -> None:
        """Has broker and responder take other settings, both or neither."""
        if self._responder is None:
            await self._broker.reload(settings)
            return
        prepared = await self._responder.prepare(settings.authority)
        try:
            await self._publish_points(settings)
            await self._broker.reload(settings)
        except BaseException:
            await prepared.discard()
            with contextlib.suppress(OSError):
                await self._publish_points(self.settings)
            raise
        await self._responder.adopt(prepared)

    async def _reload_for_signal(self) -> None:
        try:
            await self.reload()
        except ControlError:
            pass  # it is in the log
        except Exception:
            # Nobody waits for the answer to a signal: this is the outermost edge.
            self._log.exception("reload failed")

    # -- the server's certificate

    async def _watch_addresses(self) -> None:
        while True:
            await asyncio.sleep(ADDRESS_INTERVAL)
            async with self._changing:
                try:
                    if await self._ensure_server_certificate(self.settings):
                        await self._broker.reload(self.settings)
                except _RELOAD_ERRORS as error:
                    self._log.error("the server certificate could not be issued anew", error=str(error))

    async def _ensure_server_certificate(self, settings: Settings) -> str | None:
        """Issues it anew where that is needed and a listener presents it; gives why."""
        household = self._household
        if household is None or not uses_own_certificate(settings, household.data):
            return None
        reason = await asyncio.to_thread(household.ensure_server_certificate)
        if reason is not None:
            self._log.warning("server certificate issued anew", reason=reason)
        return reason


def uses_own_certificate(settings: Settings, data: DataFolder) -> bool:
    """Whether a listener presents the certificate that the data folder's authority issued."""
    return any(
        listener.encrypted and listener.tls.certificate == data.server_certificate
        for listener in settings.listeners
    )


def raise_file_limit() -> None:
    """Lets this process open as many files, and so connections, as the system allows it."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
