"""Files that change under a running broker, and what ends by itself while it runs."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import ssl
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from structlog.testing import capture_logs

from lockwire import watch as watch_module
from lockwire.access.database.database import AccessDatabase
from lockwire.access.methods.chain import ChainAuthenticator
from lockwire.access.methods.checker import PasswordChecker
from lockwire.access.tokens.keysources import key_source
from lockwire.access.tokens.verifier import TokenVerifier
from lockwire.broker.broker import Broker
from lockwire.config import ListenerSettings, Settings, TlsSettings
from lockwire.config.access import PskSettings, TokenSettings
from lockwire.store.memory import MemoryStore
from lockwire.watch import FileWatch
from tests.support import packets
from tests.support.inprocess import Everything
from tests.support.peers import peer_path
from tests.support.wire import Wire
from tests.tls.certificates import Pair, TestPki, make, make_crl
from tests.tls.peers import client_context


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> TestPki:
    return TestPki(tmp_path_factory.mktemp("pki"))


class Place:
    """A folder with the files of a listener, and the listener's settings."""

    def __init__(self, folder: Path, pki: TestPki) -> None:
        self.folder = folder
        self.pki = pki
        self.certificate, self.key = pki.server.write(folder, "server")
        self.client_ca = Path(shutil.copy(pki.ca_pem, folder / "client-ca.pem"))
        self.crl = folder / "crl.pem"
        self.crl.write_bytes(make_crl(pki.issuing))

    def settings(self, **tls: object) -> Settings:
        files = TlsSettings(
            certificate=self.certificate,
            key=self.key,
            client_ca=self.client_ca,
            crl=self.crl,
            **tls,  # type: ignore[arg-type]
        )
        listener = ListenerSettings(
            name="devices", transport="tls", address="127.0.0.1", port=0, tls=files,
            client_certificates="required", authentication=["certificate"],
        )  # fmt: skip
        return Settings(listeners=[listener])

    def renew(self, name: str = "renewed") -> Pair:
        return make(name, self.pki.issuing, chain=(self.pki.issuing.certificate,))

    def replace(self, path: Path, content: bytes) -> None:
        """As careful programs do it: written beside, then put in the place."""
        beside = path.with_suffix(".new")
        beside.write_bytes(content)
        beside.replace(path)


@pytest.fixture
def place(tmp_path: Path, pki: TestPki) -> Place:
    return Place(tmp_path, pki)


class Running:
    """A broker and its watch, whose looks the test decides on."""

    def __init__(self, settings: Settings, tokens: TokenVerifier | None = None) -> None:
        passwords = PasswordChecker(AccessDatabase(None))
        self.settings = settings
        self.later = 0.0
        self.broker = Broker(
            settings,
            store=MemoryStore(),
            authenticators=lambda listener: ChainAuthenticator(
                listener.authentication, passwords, tokens=tokens
            ),
            authorizer=Everything(),
            log=structlog.get_logger(),
        )
        self.watch = FileWatch(
            self.broker,
            lambda: self.settings,
            lambda: tokens,
            asyncio.Lock(),
            structlog.get_logger(),
            lambda: time.time() + self.later,
        )

    @property
    def port(self) -> int:
        return self.broker.endpoints()[0][2]

    async def look(self, times: int = 2) -> None:
        """As many looks as it takes until a change is in use."""
        for _ in range(times):
            await self.watch.look()

    async def client(self, place: Place, device: Pair | None = None) -> Wire:
        tls = client_context(place.pki.root_pem, None, device or place.pki.device)
        tls.check_hostname = False
        wire = await Wire.open(("127.0.0.1", self.port), 5, tls)
        await wire.connect("device-1")
        return wire


@asynccontextmanager
async def running(settings: Settings, tokens: TokenVerifier | None = None) -> AsyncIterator[Running]:
    found = Running(settings, tokens)
    await found.broker.start()
    found.watch.settle()
    try:
        await found.look()
        yield found
    finally:
        await found.broker.stop()


async def served(running: Running, place: Place) -> str:
    """The name in the certificate that the listener presents."""
    wire = await running.client(place)
    tls: ssl.SSLObject = wire.writer.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True)
    assert der is not None
    await wire.disconnect()
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


async def test_a_renewed_certificate_is_presented(place: Place) -> None:
    async with running(place.settings()) as broker:
        place.renew().write(place.folder, "server")
        await broker.look()
        assert await served(broker, place) == "CN=renewed"
        assert broker.watch.problems() == []


async def test_a_change_is_taken_only_once_it_rests(place: Place) -> None:
    async with running(place.settings()) as broker:
        place.renew().write(place.folder, "server")
        await broker.look(1)
        assert await served(broker, place) == "CN=server"


async def test_certificate_and_key_that_come_one_after_the_other(place: Place) -> None:
    """Between the two nothing fits; that passes without a word."""
    renewed = place.renew()
    certificate, key = renewed.write(place.folder, "beside")
    async with running(place.settings()) as broker:
        with capture_logs() as logs:
            certificate.replace(place.certificate)
            await broker.look(2)
            assert await served(broker, place) == "CN=server"
            key.replace(place.key)
            await broker.look(2)
            assert await served(broker, place) == "CN=renewed"
        assert not [entry for entry in logs if entry["log_level"] == "error"]


async def test_links_turned_as_kubernetes_does(place: Place) -> None:
    """The files are links into `..data`, which is a link to a folder; only that one is turned."""
    for number in ("1", "2"):
        (place.folder / number).mkdir()
    place.certificate.rename(place.folder / "1" / "server.pem")
    place.key.rename(place.folder / "1" / "server.key")
    place.renew().write(place.folder / "2", "server")
    data = place.folder / "..data"
    data.symlink_to("1")
    place.certificate.symlink_to("..data/server.pem")
    place.key.symlink_to("..data/server.key")
    async with running(place.settings()) as broker:
        assert await served(broker, place) == "CN=server"
        (place.folder / "turned").symlink_to("2")
        (place.folder / "turned").replace(data)
        await broker.look()
        assert await served(broker, place) == "CN=renewed"


@pytest.mark.parametrize("name", ["server.pem", "server.key", "client-ca.pem", "crl.pem"])
async def test_a_broken_file_is_a_problem_until_it_is_repaired(place: Place, name: str) -> None:
    path = place.folder / name
    good = path.read_bytes()
    async with running(place.settings()) as broker:
        with capture_logs() as logs:
            path.write_bytes(good[: len(good) * 2 // 3])
            await broker.look(8)
            assert await served(broker, place) == "CN=server"
            assert len(broker.watch.problems()) == 1
            assert str(path) in broker.watch.problems()[0]
            assert "What was read before stays in use" in broker.watch.problems()[0]
            place.replace(path, good)
            await broker.look()
            assert broker.watch.problems() == []
        errors = [entry for entry in logs if entry["log_level"] == "error"]
        assert len(errors) == 1, "said once, however often it is looked at"
        assert errors[0]["listener"] == "devices"
        assert [entry["event"] for entry in logs].count("a file is in order again") == 1


async def test_a_missing_file_leaves_the_old_content_in_use(place: Place) -> None:
    async with running(place.settings()) as broker:
        place.key.unlink()
        await broker.look(4)
        assert await served(broker, place) == "CN=server"
        assert "cannot be read: No such file" in broker.watch.problems()[0]


async def test_a_new_client_ca_counts_for_those_that_come(place: Place) -> None:
    other = make("Other CA", ca=True)
    newcomer = make("newcomer", other)
    async with running(place.settings()) as broker:
        place.replace(place.crl, make_crl(place.pki.issuing) + make_crl(other))
        place.replace(place.client_ca, place.pki.bundle("both.pem", place.pki.issuing, other).read_bytes())
        await broker.look()
        wire = await broker.client(place, newcomer)
        await wire.disconnect()


async def test_a_revocation_ends_the_connection_that_is_up(place: Place) -> None:
    async with running(place.settings()) as broker:
        wire = await broker.client(place)
        place.replace(place.crl, make_crl(place.pki.issuing, (place.pki.device,)))
        await broker.look()
        left = await wire.expect_closed()
        assert left is not None
        assert left.reason == 0x87
        with pytest.raises((ssl.SSLError, AssertionError, ConnectionError)):
            await broker.client(place)


async def test_a_list_that_ended_is_served_on_and_what_it_revoked_stays_out(
    place: Place,
) -> None:
    other = make("device-2", place.pki.issuing)
    place.crl.write_bytes(make_crl(place.pki.issuing, (other,), days=(-1, 1)))
    async with running(place.settings(crl_failure="serve")) as broker:
        assert broker.watch.problems() == []
        broker.later = 90_000.0
        with capture_logs() as logs:
            for _ in range(3):
                broker.watch.settle()
        assert [entry["event"] for entry in logs] == ["TLS is not in order"]
        assert "has expired" in broker.watch.problems()[0]
        assert "clients are served on" in broker.watch.problems()[0]
        wire = await broker.client(place)
        await wire.disconnect()
        with pytest.raises(AssertionError, match="refused"):
            await broker.client(place, other)


async def test_a_list_that_ended_refuses_everybody_and_says_whose_fault_it_is(place: Place) -> None:
    place.crl.write_bytes(make_crl(place.pki.issuing, days=(-20, -10)))
    with capture_logs() as logs:
        async with running(place.settings()) as broker:
            assert "are refused" in broker.watch.problems()[0]
            assert broker.watch.problems()[0].startswith(
                "listener devices: The revocation list of Test Issuing"
            )
            with pytest.raises((ssl.SSLError, AssertionError, ConnectionError)):
                await broker.client(place)
            place.replace(place.crl, make_crl(place.pki.issuing))
            await broker.look()
            assert broker.watch.problems() == []
            wire = await broker.client(place)
            await wire.disconnect()
    events = [entry["event"] for entry in logs]
    assert "TLS is not in order" in events
    assert "TLS is in order again" in events


async def test_a_legacy_policy_is_said_at_the_start(place: Place) -> None:
    with capture_logs() as logs:
        async with running(place.settings(cipher_suites=["ECDHE-ECDSA-AES128-SHA"])) as broker:
            assert broker.watch.warnings() == [
                "listener devices: legacy TLS, as configured: cipher suites with CBC"
            ]
    assert [entry["weaknesses"] for entry in logs if entry["event"] == "legacy TLS"] == [
        "cipher suites with CBC"
    ]


class TestPreSharedKeys:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "psk"
        path.write_text("dev1:0011\ndev2:0022\n")
        return path

    def settings(self, file: Path) -> Settings:
        listener = ListenerSettings(
            name="keys", transport="tls", address="127.0.0.1", port=0, authentication=["psk"],
            psk=PskSettings(file=file),
        )  # fmt: skip
        return Settings(listeners=[listener])

    @asynccontextmanager
    async def client(self, port: int, identity: str, key: str) -> AsyncIterator[asyncio.StreamReader]:
        """An MQTT 5 client through `openssl s_client`: what the broker says, behind the CONNACK."""
        process = await asyncio.create_subprocess_exec(
            peer_path("openssl"), "s_client", "-quiet", "-connect", f"127.0.0.1:{port}", "-tls1_2",
            "-psk", key, "-psk_identity", identity, stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
        )  # fmt: skip
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(packets.connect(identity, 5, values=[(0x11, 300)]))
            async with asyncio.timeout(10):
                head = await process.stdout.readexactly(2)
                connack = await process.stdout.readexactly(head[1])
            assert (head[0], connack[1]) == (0x20, 0)
            yield process.stdout
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @pytest.mark.peer("openssl")
    @pytest.mark.parametrize("line", ["", "dev1:ffff\n"], ids=["gone", "another one"])
    async def test_a_key_that_is_no_more_ends_the_connection(self, file: Path, line: str) -> None:
        async with (
            running(self.settings(file)) as broker,
            self.client(broker.port, "dev1", "0011") as one,
            self.client(broker.port, "dev2", "0022") as two,
        ):
            file.write_text(f"{line}dev2:0022\n")
            await broker.look()
            async with asyncio.timeout(10):
                said = await one.read()
            assert said[0] == 0xE0
            assert said[2] == 0x87
            assert not two.at_eof()
            assert len(broker.broker.registry.sessions) == (1 if not line else 2)

    @pytest.mark.peer("openssl")
    async def test_a_new_key_is_known(self, file: Path) -> None:
        async with running(self.settings(file)) as broker:
            file.write_text("dev3:0033\n")
            await broker.look()
            async with self.client(broker.port, "dev3", "0033"):
                pass

    async def test_a_broken_line_leaves_the_old_keys_in_use(self, file: Path) -> None:
        async with running(self.settings(file)) as broker:
            file.write_text("dev1:0011\ndev2:zz\n")
            await broker.look(3)
            assert "line 2 ('dev2'): the key is not hexadecimal" in broker.watch.problems()[0]


async def test_keys_for_tokens(place: Place) -> None:
    jwks = place.folder / "keys.json"
    key = {"kty": "EC", "crv": "P-256", "kid": "1", "x": "", "y": ""}
    numbers = make("key").certificate.public_key().public_numbers()  # type: ignore[union-attr]
    for name in ("x", "y"):
        value: int = getattr(numbers, name)
        key[name] = base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()
    jwks.write_text(json.dumps({"keys": [key]}))
    token = TokenSettings(jwks=str(jwks))
    tokens = TokenVerifier(token, key_source(token, structlog.get_logger()))
    settings = place.settings().model_copy(update={"token": token})
    async with running(settings, tokens) as broker:
        jwks.write_text("{")
        await broker.look(3)
        assert str(jwks) in broker.watch.problems()[0]
        jwks.write_text(json.dumps({"keys": [key]}))
        await broker.look()
        assert broker.watch.problems() == []


async def test_it_looks_by_itself(place: Place) -> None:
    async with running(place.settings()) as broker:
        looks = asyncio.Event()
        real = broker.watch.look

        async def look() -> None:
            await real()
            looks.set()

        broker.watch.look = look  # type: ignore[method-assign]
        broker.watch.start()
        async with asyncio.timeout(10):
            await looks.wait()
        broker.watch.stop()


def test_times_alone_tell_a_change(place: Place) -> None:
    before = watch_module._signature((place.key, place.folder / "none"))
    os.utime(place.key, ns=(1, 1))
    after = watch_module._signature((place.key, place.folder / "none"))
    assert before != after
    assert after[1] is None
