"""A handshake waits for a pre-shared key that its source has to fetch, and nobody learns more by it."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from lockwire.access.authenticator import Authenticator, Credentials, Decision, accepted
from lockwire.access.identity import Identity
from lockwire.access.plugins.calls import Calls
from lockwire.access.plugins.host import PluginHost
from lockwire.access.plugins.options import Options
from lockwire.access.plugins.protocol import Plugin
from lockwire.access.plugins.psk import PluginKeys
from lockwire.config import ListenerSettings, Settings
from lockwire.config.settings import TlsSettings
from lockwire.gate import PskKeys
from tests.broker.test_commit import until
from tests.broker.test_cycles import left_behind
from tests.support.inprocess import Served, serving
from tests.support.peers import peer_path

KEY = bytes(range(16))
WRONG = b"\xee" * 16
REFUSED = "bad record mac"


class Late(Plugin):
    """Gives its answer when the test does."""

    def __init__(self) -> None:
        super().__init__(Options("late", {}))
        self.asked: list[str] = []
        self._open: list[asyncio.Future[bytes | None]] = []

    async def psk_key(self, identity: str) -> bytes | None:
        self.asked.append(identity)
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._open.append(answer)
        return await answer

    async def has_been_asked(self) -> None:
        """Waits until a question is open."""
        await until(lambda: self._open)

    def answer(self, answer: bytes | Exception | None) -> None:
        """Answers all that is open."""
        for one in self._open:
            if isinstance(answer, Exception):
                one.set_exception(answer)
            elif not one.done():
                one.set_result(answer)
        self._open = []


class ByKey(Authenticator):
    """Believes the handshake; keeps whom it has seen."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []

    def authenticate(self, credentials: Credentials, done: Callable[[Decision], None]) -> None:
        self.seen.append(credentials.psk_identity)
        done(accepted(Identity(credentials.psk_identity or "", "psk"), "its key"))


class Door:
    """A broker whose keys come from a plug-in."""

    def __init__(self, served: Served, plugin: Late, keys: PluginKeys, seen: list[str | None]) -> None:
        self.served = served
        self.plugin = plugin
        self.keys = keys
        self.seen = seen

    @property
    def links(self) -> int:
        """The connections that are open."""
        return sum(len(door.listener.links) for door in self.served.broker._doors.values())

    @property
    def bytes_received(self) -> int:
        """Of all clients."""
        return self.served.broker.core.counters.bytes_received

    def refusals(self) -> list[str]:
        """Why handshakes were refused."""
        return [refusal.detail for refusal in self.served.broker.hub.refusals.latest]


@asynccontextmanager
async def open_door(timeout: float = 20.0, handshake_timeout: float = 10.0) -> AsyncIterator[Door]:
    plugin = Late()
    keys = PluginKeys(plugin, Calls("late", timeout, structlog.get_logger()), 60.0)
    host = cast(PluginHost, SimpleNamespace(keys=keys))
    listener = ListenerSettings(
        name="keys",
        transport="tls",
        address="127.0.0.1",
        port=0,
        authentication=["psk"],
        tls=TlsSettings(handshake_timeout=handshake_timeout),
    )
    settings = Settings(listeners=[listener])
    authenticator = ByKey()
    async with serving(
        authenticator=authenticator, settings=settings, psk_key=PskKeys(None, lambda: host)
    ) as served:
        yield Door(served, plugin, keys, authenticator.seen)


@asynccontextmanager
async def running(name: str, *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        peer_path(name), *arguments, stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def s_client(door: Door, identity: str, key: bytes, *options: str) -> Any:
    words = ("-connect", f"127.0.0.1:{door.served.port}", "-psk", key.hex(), "-psk_identity", identity)
    return running("openssl", "s_client", *words, "-tls1_2", *options)


async def outcome(process: Process) -> str:
    """How an `openssl s_client` ended: its cipher suite, the alert that it got, or "closed"."""
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(20):
        printed, _ = await process.communicate()
    alert = re.search(rb"alert ([a-z ]+)", printed)
    cipher = re.search(rb"Cipher is ([A-Z0-9-]+)", printed)
    if alert:
        return alert[1].decode().strip()
    return cipher[1].decode() if cipher and process.returncode == 0 else "closed"


async def attempt(door: Door, key: bytes, answer: bytes | Exception | None, identity: str = "dev1") -> str:
    """One handshake for which the plug-in is asked once, and is not over before that answers."""
    asked = len(door.plugin.asked)
    async with s_client(door, identity, key) as process:
        await door.plugin.has_been_asked()
        assert door.plugin.asked[asked:] == [identity]
        assert process.returncode is None
        door.plugin.answer(answer)
        return await outcome(process)


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("suite", ["ECDHE-PSK-AES128-CBC-SHA256", "PSK-AES128-GCM-SHA256"])
async def test_the_first_attempt_gets_in(suite: str) -> None:
    async with open_door() as door:
        for asked in (True, False):
            async with s_client(door, "dev1", KEY, "-cipher", suite) as process:
                if asked:
                    await door.plugin.has_been_asked()
                    door.plugin.answer(KEY)
                assert await outcome(process) == suite
        assert door.plugin.asked == ["dev1"], "the second finds it at hand"


@pytest.mark.peer("openssl")
async def test_a_wrong_key_and_an_unknown_identity_look_the_same() -> None:
    """Both wait for the plug-in, also where the key that is wrong could have been compared at once."""
    async with open_door() as door:
        assert await attempt(door, WRONG, KEY) == REFUSED
        assert door.keys("dev1") == KEY
        assert await attempt(door, WRONG, KEY) == REFUSED
        assert await attempt(door, WRONG, None, "dev2") == REFUSED
        assert await attempt(door, WRONG, None, "dev2") == REFUSED
        details = door.refusals()
        assert sum("wrong pre-shared key for the identity 'dev1'" in detail for detail in details) == 2
        assert sum("no pre-shared key for the identity 'dev2'" in detail for detail in details) == 2


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(
    "answer", [RuntimeError("no database"), "text", b"", WRONG], ids=["raises", "text", "empty", "wrong"]
)
async def test_a_bad_answer_refuses_as_a_wrong_key_does(answer: Any) -> None:
    async with open_door() as door:
        assert await attempt(door, KEY, answer) == REFUSED


@pytest.mark.peer("openssl")
async def test_no_answer_refuses_when_the_plugins_time_is_over() -> None:
    async with open_door(timeout=0.1) as door, s_client(door, "dev1", KEY) as process:
        assert await outcome(process) == REFUSED


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("at_hand", [True, False])
async def test_waiting_ends_with_the_time_for_the_handshake(at_hand: bool) -> None:
    async with open_door(handshake_timeout=0.4) as door:
        if at_hand:
            assert await attempt(door, KEY, KEY) != REFUSED
            await until(lambda: not door.links)
        async with s_client(door, "dev1", WRONG) as process:
            assert await outcome(process) == "closed"
        await until(lambda: not door.links)
        assert door.keys._waiting == {"dev1": set()}, "nobody is kept by a question"
        door.plugin.answer(KEY)
        await until(lambda: not door.keys._waiting)


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("budget", [0.005, 0.000001], ids=["at once", "one step a tick"])
async def test_many_who_wait_for_one_key_ask_once(budget: float) -> None:
    async with open_door() as door:
        door.served.broker.core.handshake_budget = budget

        async def one() -> str:
            async with s_client(door, "dev1", KEY) as process:
                return await outcome(process)

        tasks = [asyncio.ensure_future(one()) for _ in range(5)]
        await until(lambda: len(door.keys._waiting.get("dev1", ())) == 5)
        door.plugin.answer(KEY)
        assert REFUSED not in await asyncio.gather(*tasks)
        assert door.plugin.asked == ["dev1"]


@pytest.mark.peer("mosquitto_pub")
async def test_mosquittos_client_publishes_at_its_first_attempt() -> None:
    async with open_door() as door:
        words = ("-h", "127.0.0.1", "-p", str(door.served.port), "-t", "x", "-m", "y", "-q", "1")
        async with running("mosquitto_pub", *words, "--psk", KEY.hex(), "--psk-identity", "dev1") as process:
            await door.plugin.has_been_asked()
            door.plugin.answer(KEY)
            async with asyncio.timeout(20):
                assert await process.wait() == 0
        assert door.seen == ["dev1"]


class Device:
    """mbed TLS, its bytes sent in pieces; it sends its whole flight, Finished included, at once otherwise."""

    def __init__(self, client: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._client = client
        self._reader = reader
        self._writer = writer
        self.sent = 0
        self.finishing = False
        self.before = b""
        """What it sends before its ClientKeyExchange."""
        self.may_finish = asyncio.Event()
        """Unset, the last byte of Finished waits."""
        self.may_finish.set()

    @classmethod
    async def connect(cls, door: Door, identity: str = "dev1", key: bytes = KEY) -> Device:
        tls = pytest.importorskip("mbedtls.tls", reason="python-mbedtls is not installed")
        configuration = tls.TLSConfiguration(
            pre_shared_key=(identity, key),
            validate_certificates=False,
            ciphers=["TLS-PSK-WITH-AES-128-GCM-SHA256"],
        )
        client = tls.ClientContext(configuration).wrap_buffers("localhost")
        return cls(client, *await asyncio.open_connection("127.0.0.1", door.served.port))

    async def shake_hands(self, piece: int = 65536) -> bool:
        """Goes through the handshake; whether the server let it in."""
        from mbedtls import tls
        from mbedtls.exceptions import TLSError

        flight = b""
        async with asyncio.timeout(20):
            while self._client._handshake_state is not tls.HandshakeStep.HANDSHAKE_OVER:
                blocked = False
                try:
                    self._client.do_handshake()
                except tls.WantWriteError:
                    pass
                except tls.WantReadError:
                    blocked = True
                except TLSError:
                    return False
                sent = self._client.peek_outgoing(65536)
                self._client.consume_outgoing(len(sent))
                flight += sent
                if blocked:
                    if flight[5:6] == b"\x10":
                        await self._send(self.before + flight[:-1], piece)
                        self.finishing = True
                        await self.may_finish.wait()
                        flight = flight[-1:]
                    await self._send(flight, piece)
                    flight = b""
                    data = await self._reader.read(65536)
                    if not data:
                        return False
                    self._client.receive_from_network(data)
        return True

    async def _send(self, flight: bytes, piece: int) -> None:
        self.sent += len(flight)
        for position in range(0, len(flight), piece):
            self._writer.write(flight[position : position + piece])
            for _ in range(3 if piece < 100 else 0):
                await asyncio.sleep(0)  # the broker, in this loop, reads each by itself

    def abort(self) -> None:
        self._writer.transport.abort()


@pytest.mark.parametrize("piece", [65536, 20, 1])
@pytest.mark.parametrize("key", [KEY, WRONG], ids=["right", "wrong"])
async def test_mbed_tls_in_pieces(piece: int, key: bytes) -> None:
    async with open_door() as door:
        device = await Device.connect(door, "dev1\0" if piece == 20 else "dev1", key)
        shaking = asyncio.ensure_future(device.shake_hands(piece))
        await door.plugin.has_been_asked()
        door.plugin.answer(KEY)
        assert await shaking is (key is KEY)
        assert door.plugin.asked == ["dev1"]
        device.abort()


async def test_nobody_is_asked_before_the_client_has_finished() -> None:
    """Who sends Finished late cannot tell a key that was at hand from one that was asked for meanwhile."""
    async with open_door() as door:
        device = await Device.connect(door)
        device.may_finish.clear()
        shaking = asyncio.ensure_future(device.shake_hands())
        await until(lambda: device.finishing and door.bytes_received == device.sent)
        assert not door.plugin.asked
        device.may_finish.set()
        await door.plugin.has_been_asked()
        door.plugin.answer(KEY)
        assert await shaking
        device.abort()


async def test_what_cannot_be_read_is_refused_as_an_unknown_identity() -> None:
    """OpenSSL reads it all the same, and the answer waits as long."""
    async with open_door() as door:
        device = await Device.connect(door)
        device.before = b"\x15\x03\x03\x00\x02\x01\x70"  # a warning, unrecognized_name
        shaking = asyncio.ensure_future(device.shake_hands())
        await door.plugin.has_been_asked()
        assert not shaking.done()
        door.plugin.answer(KEY)
        assert not await shaking
        device.abort()
        assert door.keys("dev1") == KEY


async def test_clients_that_leave_meanwhile_leave_nothing_behind() -> None:
    async with open_door() as door:

        async def live(served: Served) -> None:
            for leaves in (True, False):
                device = await Device.connect(door)
                shaking = asyncio.ensure_future(device.shake_hands())
                await door.plugin.has_been_asked()
                if leaves:
                    device.abort()
                door.plugin.answer(None)
                with suppress(OSError):
                    assert not await shaking
                await until(lambda: not door.links)
                device.abort()

        await live(door.served)
        assert not await left_behind(door.served, live)
        assert not door.keys._waiting


async def test_the_broker_stops_while_a_handshake_waits() -> None:
    async with open_door() as door:
        device = await Device.connect(door)
        shaking = asyncio.ensure_future(device.shake_hands())
        await door.plugin.has_been_asked()
    assert not await shaking
    device.abort()
    door.plugin.answer(KEY)
    await until(lambda: not door.keys._waiting)
