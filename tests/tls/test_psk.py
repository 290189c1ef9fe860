"""Pre-shared keys: who gets in, who is told what, and that nobody gets in under another's name."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from lockwire.tls import libssl
from lockwire.tls.alerts import name_of
from lockwire.tls.clienthello import ClientHelloError
from lockwire.tls.context import ServerContext
from lockwire.tls.errors import TlsFileError, TlsPolicyError
from lockwire.tls.loading import Pair, ServerFiles
from lockwire.tls.policy import TlsPolicy
from lockwire.tls.psk import KeyFile, PreSharedKeys, identity_in
from lockwire.tls.session import Session
from tests.support.peers import peer_path
from tests.tls.certificates import TestPki
from tests.tls.peers import TLS12
from tests.tls.test_openssl import Listener, OpensslClient, listening, s_client

pytestmark = pytest.mark.peer("openssl")

KEYS = {"dev1": bytes(range(16)), "dev2": bytes(range(32)), "größe": b"\x07" * 16}


def psk_context(keys: dict[str, bytes] | None = None, hint: str = "", **fields: object) -> ServerContext:
    lookup = (KEYS if keys is None else keys).get
    return ServerContext(TlsPolicy(psk=True, **fields), None, PreSharedKeys(lookup, hint))  # type: ignore[arg-type]


async def attempt(
    context: ServerContext, pki: TestPki, identity: str | bytes, key: bytes, *options: str
) -> tuple[Session, bytes]:
    """One `openssl s_client -psk`; gives our session and what it printed."""
    name = identity if isinstance(identity, str) else identity.decode("utf-8", "surrogateescape")
    async with listening(context) as listener:
        arguments = ("-psk", key.hex(), "-psk_identity", name, "-tls1_2", *options)
        async with s_client(listener, pki, *arguments) as client:
            if not await comes_in(client):
                await listener.ended()
            printed = await client.hang_up()
            await listener.ended()
    return listener.sessions[-1], printed


async def comes_in(client: OpensslClient) -> bool:
    """Whether an echo comes back."""
    client.write(b"hello\n")
    assert client.process.stdout is not None
    while b"hello" not in client.printed:
        more = await client.process.stdout.read(4096)
        if not more:
            return False
        client.printed += more
    return True


@pytest.mark.parametrize("identity", sorted(KEYS))
async def test_the_identity_is_that_of_the_key(pki: TestPki, identity: str) -> None:
    session, printed = await attempt(psk_context(), pki, identity, KEYS[identity])
    assert session.psk_identity == identity
    assert session.failure is None
    assert session.peer_certificate is None
    assert b"Cipher    : ECDHE-PSK-CHACHA20-POLY1305" in printed


async def test_the_hint_is_sent(pki: TestPki) -> None:
    _, printed = await attempt(psk_context(hint="plant 7"), pki, "dev1", KEYS["dev1"])
    assert b"PSK identity hint: plant 7" in printed


@pytest.mark.parametrize(
    "suite",
    ["ECDHE-PSK-AES128-CBC-SHA256", "PSK-AES128-GCM-SHA256", "PSK-AES128-CCM8", "PSK-AES128-CBC-SHA256",
     "PSK-AES128-CBC-SHA", "PSK-AES256-CBC-SHA"],
)  # fmt: skip
async def test_suites_of_devices(pki: TestPki, suite: str) -> None:
    session, _ = await attempt(psk_context(), pki, "dev1", KEYS["dev1"], "-cipher", f"{suite}:@SECLEVEL=0")
    assert session.psk_identity == "dev1"
    assert session.cipher_suite == suite


BAD = pytest.mark.parametrize(
    "identity",
    ["nobody", b"dev1\xff", "x" * 129, "x" * 200, "", "\\xff"],
    ids=["unknown", "not UTF-8", "129 bytes", "200 bytes", "empty", "backslash"],
)


@BAD
async def test_an_unknown_identity_learns_no_more_than_one_with_a_wrong_key(
    pki: TestPki, identity: str | bytes
) -> None:
    wrong, told_wrong = await attempt(psk_context(), pki, "dev1", b"\xee" * 16)
    unknown, told_unknown = await attempt(psk_context(), pki, identity, b"\xee" * 16)
    assert (wrong.psk_identity, unknown.psk_identity) == (None, None)
    assert wrong.failure is not None
    assert unknown.failure is not None
    assert name_of(wrong.failure.alert_sent) == "bad_record_mac"
    if (
        sys.version_info < (3, 13) or identity != b"dev1\xff"
    ):  # 3.13 refuses what is not UTF-8 before we see it
        assert alert_in(told_wrong) == alert_in(told_unknown) == "bad record mac"
    assert (wrong.failure.cause, unknown.failure.cause) == ("psk_wrong_key", "psk_unknown")
    assert "wrong pre-shared key for the identity 'dev1'" in wrong.failure.summary()
    assert "there is no pre-shared key" in unknown.failure.summary()


def alert_in(printed: bytes) -> str:
    found = re.search(rb"alert ([a-z ]+)", printed)
    assert found, printed
    return found[1].decode().strip()


async def test_the_backslashes_of_a_byte_that_is_no_utf8_are_no_way_in(pki: TestPki) -> None:
    """An identity is compared as it came, not as it is shown."""
    keys = {"dev\\xff": b"\x01" * 16}
    session, _ = await attempt(psk_context(keys), pki, b"dev\xff", b"\x01" * 16)
    assert session.psk_identity is None
    session, _ = await attempt(psk_context(keys), pki, "dev\\xff", b"\x01" * 16)
    assert session.psk_identity == "dev\\xff"


async def test_an_identity_beyond_what_openssl_takes(pki: TestPki) -> None:
    session, _ = await attempt(psk_context(), pki, "x" * 255, b"\xee" * 16)
    assert session.failure is not None
    assert session.psk_identity is None


async def test_a_zero_byte_ends_an_identity_whose_key_must_still_be_known() -> None:
    """[RFC 4279 section 5.1] forbids NUL; OpenSSL reads up to it. mbed TLS sends what it is given."""
    tls = pytest.importorskip("mbedtls.tls", reason="python-mbedtls is not installed")
    context = psk_context()
    for identity, key, expected in (("dev1\0", KEYS["dev1"], "dev1"), ("dev1\0dev2", KEYS["dev2"], None)):
        configuration = tls.TLSConfiguration(
            pre_shared_key=(identity, key),
            validate_certificates=False,
            ciphers=["TLS-PSK-WITH-AES-128-GCM-SHA256"],
        )
        client = tls.ClientContext(configuration).wrap_buffers("localhost")
        session = Session(context)
        drive(client, session)
        assert session.psk_identity == expected
        assert session.established is (expected is not None)


def drive(client: object, session: Session) -> None:
    """Brings python-mbedtls's buffers and a session together until neither goes on."""
    import mbedtls.tls as tls

    peer: object = client
    for _ in range(20):
        try:
            peer.do_handshake()  # type: ignore[attr-defined]
            finished = True
        except (tls.WantReadError, tls.WantWriteError):
            finished = False
        except Exception:
            return
        sent = peer.peek_outgoing(65536)  # type: ignore[attr-defined]
        peer.consume_outgoing(len(sent))  # type: ignore[attr-defined]
        session.receive(sent)
        answer = session.pending_output()
        if answer:
            peer.receive_from_network(answer)  # type: ignore[attr-defined]
        if session.closed or (finished and session.established):
            return


class TestNobodyGetsInUnderAnothersName:
    """A certificate beside the keys, or a resumed session, would let one in under another's name."""

    async def test_there_is_no_tls_1_3_in_which_a_certificate_could_stand_in(self, pki: TestPki) -> None:
        async with listening(psk_context()) as listener:
            options = ("-psk", "ee" * 16, "-psk_identity", "dev1", "-tls1_3")
            async with s_client(listener, pki, *options) as client:
                await client.read_until(b"alert protocol version")
            await listener.ended()
        assert listener.sessions[0].failure is not None
        assert listener.sessions[0].failure.cause == "protocol_version"
        assert listener.sessions[0].psk_identity is None

    async def test_there_is_no_certificate_for_a_client_without_a_key(self, pki: TestPki) -> None:
        async with listening(psk_context()) as listener:
            async with s_client(listener, pki) as client:
                await client.read_until(b"alert handshake failure")
            await listener.ended()
        failure = listener.sessions[0].failure
        assert failure is not None
        assert failure.cause == "no_shared_cipher"
        assert "pre-shared keys" in failure.summary()

    def test_a_listener_has_no_certificate_beside_its_keys(self, pki: TestPki) -> None:
        files = ServerFiles(Pair(pki.server_pem, pki.server_key))
        with pytest.raises(TlsPolicyError, match="either pre-shared keys or a certificate"):
            ServerContext(TlsPolicy(psk=True), files, PreSharedKeys(KEYS.get))
        with pytest.raises(TlsPolicyError, match="either pre-shared keys or a certificate"):
            ServerContext(TlsPolicy(), files, PreSharedKeys(KEYS.get))

    @pytest.mark.parametrize("options", [(), ("-no_ticket",)], ids=["ticket", "session ID"])
    async def test_a_client_gets_nothing_to_resume(
        self, pki: TestPki, tmp_path: Path, options: tuple[str, ...]
    ) -> None:
        kept = tmp_path / "session"
        session, printed = await attempt(
            psk_context(), pki, "dev1", KEYS["dev1"], "-sess_out", str(kept), *options
        )
        assert session.established
        assert b"TLS session ticket" not in printed
        assert not kept.exists()  # s_client writes sessions that can be resumed, and no others

    async def test_a_session_resumed_all_the_same_is_refused(
        self, pki: TestPki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on a Python whose session cache cannot be turned off."""
        monkeypatch.setattr(libssl, "disable_session_cache", lambda context: None)
        kept = str(tmp_path / "session")
        context = psk_context()
        async with listening(context) as listener:
            arguments = ("-psk", KEYS["dev1"].hex(), "-psk_identity", "dev1", "-tls1_2", "-no_ticket")
            async with s_client(listener, pki, *arguments, "-sess_out", kept) as client:
                await client.echo(b"hello\n")
                await client.hang_up()
            listener.done.clear()
            async with s_client(listener, pki, *arguments, "-sess_in", kept):
                await listener.ended()
        second = listener.sessions[1]
        assert second.failure is not None
        assert second.failure.cause == "psk_not_shown"
        assert second.psk_identity is None
        assert not second.established

    async def test_handshakes_side_by_side_keep_their_identities_apart(self, pki: TestPki) -> None:
        context = psk_context()
        async with listening(context) as listener:
            first = ("-psk", KEYS["dev1"].hex(), "-psk_identity", "dev1", "-tls1_2")
            second = ("-psk", KEYS["dev2"].hex(), "-psk_identity", "dev2", "-tls1_2")
            async with s_client(listener, pki, *first) as one, s_client(listener, pki, *second) as two:
                await one.echo(b"from one\n")
                await two.echo(b"from two\n")
                known = {session.psk_identity for session in listener.sessions}
        assert known == {"dev1", "dev2"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"minimum_version": "1.3"}, "safe with TLS 1.2 only"),
        ({"client_certificates": "optional"}, "beside pre-shared keys"),
        ({"cipher_suites": ("ECDHE-RSA-AES128-GCM-SHA256",)}, "which has pre-shared keys"),
        ({"cipher_suites": ("TLS_RSA_PSK_WITH_AES_128_CBC_SHA",)}, "which has pre-shared keys"),
        ({"cipher_suites": ("DHE-PSK-AES128-CBC-SHA256",)}, "which has pre-shared keys"),
    ],
)
def test_a_policy_that_cannot_be(fields: dict[str, object], words: str) -> None:
    with pytest.raises(TlsPolicyError, match=words):
        TlsPolicy(psk=True, **fields)  # type: ignore[arg-type]


def test_the_highest_version_is_1_2_whatever_is_written() -> None:
    assert TlsPolicy(psk=True, maximum_version="1.3").versions == (TLS12, TLS12)


def key_exchange(identity: bytes, rest: bytes = b"", length: int | None = None) -> bytes:
    """A ClientKeyExchange message."""
    size = len(identity) if length is None else length
    body = size.to_bytes(2, "big") + identity + rest
    return b"\x10" + len(body).to_bytes(3, "big") + body


def in_records(message: bytes, size: int = 16384) -> bytes:
    """A handshake message in records of so many bytes."""
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x03" + len(part).to_bytes(2, "big") + part for part in parts)


CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"
FINISH = CHANGE_CIPHER_SPEC + b"\x16\x03\x03\x00\x28" + bytes(40)


class TestIdentityInClear:
    """What is read of a ClientKeyExchange before OpenSSL gets it."""

    @pytest.mark.parametrize("record", [1, 3, 7, 16384])
    @pytest.mark.parametrize("rest", [b"", b"\x41" + bytes(65)], ids=["PSK", "ECDHE_PSK"])
    def test_is_there_once_the_flight_is_complete(self, record: int, rest: bytes) -> None:
        data = in_records(key_exchange("größe".encode(), rest), record) + FINISH
        for end in range(len(data)):
            assert identity_in(data[:end]) is None
        assert identity_in(data) == "größe"
        assert identity_in(data + b"more") == "größe"

    def test_ends_at_a_zero_byte_as_for_openssl(self) -> None:
        assert identity_in(in_records(key_exchange(b"dev1\0rest")) + FINISH) == "dev1"

    @pytest.mark.parametrize(
        "data",
        [
            b"\x15\x03\x03\x00\x02\x01\x00",
            CHANGE_CIPHER_SPEC,
            in_records(b"\x14\x00\x00\x04abcd"),
            in_records(key_exchange(b"dev1")) + b"\x15\x03\x03\x00\x02\x01\x00",
            in_records(key_exchange(b"dev1", bytes(600))),
            in_records(key_exchange(b"dev1", length=5)),
            in_records(key_exchange(b"")),
            in_records(b"\x10\x00\x00\x00"),
            in_records(b"\x10\x00\x00\x01\x00"),
            in_records(key_exchange(b"dev1\xff")),
            in_records(key_exchange(b"x" * 129)),
            b"\x16\x03\x03\x00\x00",
            b"GET / HTTP/1.1",
        ],
    )
    def test_is_not_there(self, data: bytes) -> None:
        with pytest.raises(ClientHelloError):
            identity_in(data)

    def test_is_not_looked_for_where_all_keys_are_at_hand(self, tmp_path: Path) -> None:
        file = tmp_path / "psk"
        file.write_text("dev1:00112233445566778899aabbccddeeff\n")
        assert Session(psk_context()).key_source is None
        context = ServerContext(TlsPolicy(psk=True), None, PreSharedKeys(KeyFile(file)))
        assert Session(context).key_source is None


class TestKeyFile:
    def test_mosquittos_format(self, tmp_path: Path) -> None:
        file = tmp_path / "psk"
        file.write_text("# devices of hall 3\n\ndev1:0001FF\nplant:7:00ff\n")
        keys = KeyFile(file)
        assert keys("dev1") == bytes.fromhex("0001ff")
        assert keys("plant:7") == bytes.fromhex("00ff")
        assert keys("dev2") is None

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("dev1", "no colon"),
            (":0011", "no identity"),
            ("dev1:", "the key has 0 bytes"),
            ("dev1:001", "not hexadecimal"),
            ("dev1:c0ffeez0", "not hexadecimal"),
            (f"dev1:{'00' * 65}", "the key has 65 bytes"),
            (f"{'x' * 129}:00ff", "longer than 128 bytes"),
            ("de\x00v:00ff", "zero character"),
            ("good:c0ffee", "a second time"),
        ],
    )
    def test_a_bad_line_is_named_and_its_key_is_not(self, tmp_path: Path, line: str, words: str) -> None:
        file = tmp_path / "psk"
        file.write_text(f"# keys\ngood:c0ffee\n{line}\n")
        with pytest.raises(TlsFileError, match=words) as caught:
            KeyFile(file)
        assert str(caught.value).startswith(f"{file}: line 3")
        assert "c0ffee" not in str(caught.value)

    def test_a_file_that_is_not_text(self, tmp_path: Path) -> None:
        file = tmp_path / "psk"
        file.write_bytes(b"dev1:00\xff")
        with pytest.raises(TlsFileError, match=r"not UTF-8 \(byte 7\)"):
            KeyFile(file)

    def test_a_reload_takes_new_keys_and_keeps_the_old_ones_where_it_fails(self, tmp_path: Path) -> None:
        file = tmp_path / "psk"
        file.write_text("a:01\nb:02\nc:03\n")
        context = ServerContext(TlsPolicy(psk=True), None, PreSharedKeys(KeyFile(file)))
        file.write_text("a:01\nb:FF\nd:04\n")
        assert context.reload()
        file.write_text("broken")
        with pytest.raises(TlsFileError):
            context.reload()
        assert context.psk is not None
        assert context.psk.lookup("d") == b"\x04"
        file.write_text("a:01\nb:FF\nd:04\n")
        assert not context.reload()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="set_psk_server_callback is there")
def test_a_python_that_cannot_do_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libssl, "_VERIFIED_PYTHONS", ())
    with pytest.raises(TlsPolicyError, match="pre-shared keys is beyond this Python's ssl module"):
        psk_context()


@pytest.mark.peer("mosquitto_pub")
@pytest.mark.parametrize(("key", "identity"), [(KEYS["dev1"], "dev1"), (b"\xee" * 16, None)])
async def test_mosquittos_client(key: bytes, identity: str | None) -> None:
    async with listening(psk_context()) as listener:
        process = await asyncio.create_subprocess_exec(
            peer_path("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(listener.port),
            "--psk", key.hex(), "--psk-identity", "dev1", "-t", "x", "-m", "y", "-q", "1",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await first_session(listener, identity)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        await listener.ended()
    assert listener.sessions[0].psk_identity == identity


async def first_session(listener: Listener, identity: str | None) -> None:
    """Waits until the first client is in, or out."""
    async with asyncio.timeout(20):
        while not listener.sessions or not (
            listener.sessions[0].established or listener.sessions[0].failure is not None
        ):
            await asyncio.sleep(0.01)
