"""Where keys for tokens come from: files that change, servers that fail, keys that are replaced."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from structlog.testing import capture_logs

from lockwire.access.errors import KeySetError, TokenError
from lockwire.access.tokens import keysources
from lockwire.access.tokens.jwks import MAXIMUM_BYTES, TokenKey, parse_jwks
from lockwire.access.tokens.keysources import FileKeys, KeySource, UrlKeys, key_source
from lockwire.config.access import TokenSettings
from tests.support.keyserver import KeyServer

LOG = structlog.get_logger()
KEY = ec.generate_private_key(ec.SECP256R1())


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def jwk(kid: str, **fields: object) -> dict[str, object]:
    return {**ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": kid, **fields}


def jwks(*identifiers: str) -> bytes:
    return json.dumps({"keys": [jwk(kid) for kid in identifiers]}).encode()


Answer = tuple[TokenKey, ...] | TokenError


def at_once(source: KeySource, kid: str | None) -> Answer | None:
    """The answer where it comes before `find` returns."""
    answers: list[Answer] = []
    source.find(kid, "ES256", answers.append)
    return answers[0] if answers else None


async def ask(source: KeySource, kid: str | None) -> Answer:
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    source.find(kid, "ES256", future.set_result)
    return await asyncio.wait_for(future, 10)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def identifiers(answer: Answer | None) -> list[str]:
    assert isinstance(answer, tuple), answer
    return [key.identifier for key in answer]


def detail(answer: Answer | None) -> str:
    assert isinstance(answer, TokenError), answer
    return answer.detail


# --- JWK sets


def test_keys_that_cannot_verify_are_skipped_with_a_reason() -> None:
    weak = RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 1024).public_key(), as_dict=True)
    entries: list[object] = [
        jwk("good"),
        jwk("encrypts", use="enc"),
        jwk("signs", key_ops=["sign"]),
        jwk("confused", alg="HS256"),
        jwk("damaged", x="AA"),
        {**weak, "kid": "weak"},
        {"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "RSA", "e": "AQAB"},
        7,
    ]
    found = parse_jwks(json.dumps({"keys": entries}).encode(), "x")
    assert [key.identifier for key in found.keys] == ["good"]
    assert len(found.skipped) == len(entries) - 1
    assert "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ" not in str(found)
    assert "1024 bits" in str(found.skipped)


def test_a_private_key_in_a_set_serves_as_its_public_half() -> None:
    private = {**ECAlgorithm.to_jwk(KEY, as_dict=True), "kid": "a"}
    (key,) = parse_jwks(json.dumps(private).encode(), "x").keys
    assert key.key == KEY.public_key()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [1]}',
        b"<html>",
        b"\xff",
        b"[" * 90_000,
    ],
)
def test_what_is_no_key_set_is_an_error_that_says_where(data: bytes) -> None:
    with pytest.raises(KeySetError, match=r"keys\.json.*expected"):
        parse_jwks(data, "keys.json")


def test_a_token_without_a_key_identifier_is_tried_with_a_few_keys_only() -> None:
    found = parse_jwks(jwks(*(str(number) for number in range(50))), "x")
    assert len(found.select(None, "ES256")) == 8
    assert len(found.select("7", "ES256")) == 1
    assert found.select("7", "ES384") == ()


# --- files


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks("old"))
    return file


def put(file: Path, data: bytes) -> None:
    """As a careful program replaces a file."""
    beside = file.with_suffix(".new")
    beside.write_bytes(data)
    os.replace(beside, file)


def test_a_file_that_changes_is_read_again(file: Path, clock: Clock) -> None:
    source = FileKeys(file, LOG, clock)
    assert identifiers(at_once(source, "old")) == ["old"]
    put(file, jwks("new"))
    assert "names the key (kid) 'new'" in detail(at_once(source, "new"))
    clock.now += 1
    assert identifiers(at_once(source, "new")) == ["new"]
    assert "names the key (kid) 'old'" in detail(at_once(source, "old"))


def test_a_broken_file_leaves_the_former_keys_in_use_and_is_reported_once(file: Path, clock: Clock) -> None:
    source = FileKeys(file, LOG, clock)
    with capture_logs() as logs:
        put(file, b"{")
        for _ in range(3):
            clock.now += 1
            assert identifiers(at_once(source, "old")) == ["old"]
        file.unlink()
        clock.now += 1
        assert identifiers(at_once(source, "old")) == ["old"]
    assert [entry["log_level"] for entry in logs] == ["error", "error"]
    assert str(file) in logs[0]["error"]
    with pytest.raises(KeySetError, match="No such file"):
        source.reload()
    put(file, jwks("new"))
    source.reload()
    assert identifiers(at_once(source, "new")) == ["new"]


def test_a_file_that_is_no_key_set_is_refused_at_the_start(tmp_path: Path) -> None:
    settings = TokenSettings(jwks=str(tmp_path / "nothing.json"))
    with pytest.raises(KeySetError, match=r"nothing\.json: No such file"):
        key_source(settings, LOG)


# --- URLs


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer(jwks("old")) as server:
        yield server


def from_url(server: KeyServer, clock: Clock, **options: Any) -> UrlKeys:
    return UrlKeys(server.url, None, 600, LOG, clock, **options)


async def test_keys_are_read_once_and_kept(server: KeyServer, clock: Clock) -> None:
    source = from_url(server, clock)
    assert at_once(source, "old") is None
    assert at_once(source, None) is None
    assert identifiers(await ask(source, "old")) == ["old"]
    clock.now += 599
    assert identifiers(at_once(source, "old")) == ["old"]
    assert identifiers(at_once(source, None)) == ["old"]
    assert server.requests == 1


async def test_old_keys_are_read_again_while_they_are_used(server: KeyServer, clock: Clock) -> None:
    source = from_url(server, clock)
    await ask(source, "old")
    server.body = jwks("new")
    clock.now += 600
    assert identifiers(at_once(source, "old")) == ["old"]
    await until(lambda: isinstance(at_once(source, "old"), TokenError))
    assert identifiers(at_once(source, "new")) == ["new"]
    assert server.requests == 2


async def test_a_key_that_is_not_there_has_them_read_every_five_seconds_at_most(
    server: KeyServer, clock: Clock
) -> None:
    source = from_url(server, clock)
    await ask(source, "old")
    server.body = jwks("old", "new")
    for number in range(100):
        assert "has none for ES256" in detail(at_once(source, f"forged {number}"))
    assert server.requests == 1
    clock.now += 5
    assert identifiers(await ask(source, "new")) == ["new"]
    assert "has none for ES256" in detail(at_once(source, "forged"))
    assert server.requests == 2


async def test_many_that_wait_are_answered_by_one_request(
    server: KeyServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keysources, "WAITING", 50)
    server.held.clear()
    source = from_url(server, clock)
    waiting = [asyncio.ensure_future(ask(source, "old")) for _ in range(50)]
    await asyncio.sleep(0)
    answer = at_once(source, "old")
    assert isinstance(answer, TokenError)
    assert answer.unavailable
    server.held.set()
    assert [identifiers(answer) for answer in await asyncio.gather(*waiting)] == [["old"]] * 50
    assert server.requests == 1


async def test_a_server_that_fails_leaves_the_keys_in_use_for_six_hours_and_the_log_says_so(
    server: KeyServer, clock: Clock
) -> None:
    source = from_url(server, clock)
    await ask(source, "old")
    server.status = 503
    with capture_logs() as logs:
        clock.now += 3 * 3600 - 1
        assert identifiers(at_once(source, "old")) == ["old"]
        await until(lambda: len(logs) == 1)
        clock.now += 3 * 3600 - 1
        assert identifiers(at_once(source, "old")) == ["old"]
        await until(lambda: len(logs) == 2)
        assert identifiers(at_once(source, "old")) == ["old"]
    assert [entry["log_level"] for entry in logs] == ["error", "error"]
    assert "answered 503" in logs[1]["error"]
    assert (logs[1]["read_seconds_ago"], logs[1]["used_seconds_more"]) == (21_598, 2)
    clock.now += 5
    answer = await ask(source, "old")
    assert isinstance(answer, TokenError)
    assert answer.unavailable
    assert "answered 503" in answer.detail
    server.status = 200
    clock.now += 5
    assert identifiers(await ask(source, "old")) == ["old"]


async def test_a_failing_server_is_asked_every_thirty_seconds_at_most_while_keys_are_used(
    server: KeyServer, clock: Clock
) -> None:
    source = from_url(server, clock)
    await ask(source, "old")
    server.status = 503
    clock.now += 600
    with capture_logs() as logs:
        at_once(source, "old")
        await until(lambda: logs)
        clock.now += 29
        at_once(source, "old")
        assert server.requests == 2
        clock.now += 1
        at_once(source, "old")
        await until(lambda: len(logs) == 2)


@pytest.mark.parametrize(
    ("status", "headers", "body", "problem"),
    [
        (302, {"Location": "http://169.254.169.254/"}, b"", "answered 302 to 'http://169.254.169.254/'"),
        (404, {}, b"", "answered 404"),
        (200, {}, b"<html>", "no JSON"),
        (200, {}, b"x" * (MAXIMUM_BYTES + 1), f"more than {MAXIMUM_BYTES} bytes"),
        (200, {"X": "x" * 70_000}, jwks("old"), "header line"),
    ],
)
async def test_an_answer_that_is_no_key_set_is_none(
    server: KeyServer, clock: Clock, status: int, headers: dict[str, str], body: bytes, problem: str
) -> None:
    server.status, server.headers, server.body = status, headers, body
    answer = await ask(from_url(server, clock), "old")
    assert isinstance(answer, TokenError)
    assert answer.unavailable
    assert problem in answer.detail
    assert len(answer.detail) < 1000


async def test_a_server_that_keeps_requests_hanging_is_not_asked_without_limit(
    server: KeyServer, clock: Clock
) -> None:
    """Each token with a key that is not there would leave a thread behind."""
    server.held.clear()
    source = from_url(server, clock, deadline=0.01)
    for number in range(10):
        answer = await ask(source, f"forged {number}")
        assert isinstance(answer, TokenError)
        assert answer.unavailable
        clock.now += 60
    assert server.requests <= keysources.REQUESTS
    assert "requests to it still hang" in detail(answer)
    server.held.set()
    await until(lambda: source.requests == 0)
    clock.now += 60
    assert identifiers(await ask(from_url(server, clock), "old")) == ["old"]


@pytest.mark.parametrize("url", ["https://kim:secret@login.example/keys", "http://kim:secret@192.0.2.7/keys"])
def test_a_password_in_a_url_is_refused_and_not_shown(url: str, clock: Clock) -> None:
    with pytest.raises(KeySetError, match="without user and password") as caught:
        UrlKeys(url, None, 600, LOG, clock)
    assert "secret" not in str(caught.value)


async def test_nobody_there_is_said(clock: Clock) -> None:
    with KeyServer(b"") as gone:
        pass
    assert "Connection refused" in detail(await ask(from_url(gone, clock), "old"))


async def test_a_server_that_does_not_answer_holds_up_nobody_for_long(
    server: KeyServer, clock: Clock
) -> None:
    server.held.clear()
    source = from_url(server, clock, deadline=0.05)
    assert "no answer within 0.05 s" in detail(await ask(source, "old"))
    server.held.set()
    clock.now += 5
    assert identifiers(await ask(source, "old")) == ["old"]


async def test_a_closed_source_answers_nobody(server: KeyServer, clock: Clock) -> None:
    server.held.clear()
    source = from_url(server, clock)
    assert at_once(source, "old") is None
    source.close()
    server.held.set()
    await until(lambda: server.requests == 1)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://issuer.example/jwks", "anybody on the way can forge"),
        ("http://192.0.2.1/jwks", "anybody on the way can forge"),
        ("http://127.0.0.1.example/jwks", "anybody on the way can forge"),
        ("http://127.0.0.1@issuer.example/jwks", "without user and password"),
        ("https://user:word@issuer.example/jwks", "without user and password"),
        ("file:///etc/passwd", "expected https"),
        ("https:///jwks", "expected https"),
    ],
)
def test_keys_come_by_https_or_from_this_machine(url: str, problem: str) -> None:
    with pytest.raises(KeySetError, match=problem):
        key_source(TokenSettings(jwks=url), LOG)


async def test_https_is_checked_with_the_ca_that_is_named(tmp_path: Path, clock: Clock) -> None:
    certificate, key = own_certificate(tmp_path)
    with KeyServer(jwks("old"), certificate, key) as server:
        trusting = UrlKeys(server.url, certificate, 600, LOG, clock)
        assert identifiers(await ask(trusting, "old")) == ["old"]
        wary = UrlKeys(server.url, None, 600, LOG, clock)
        assert "its certificate is not trusted" in detail(await ask(wary, "old"))


def own_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, KEY.public_key(), 1, now, now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(KEY, hashes.SHA256())
    )
    files = folder / "issuer.pem", folder / "issuer.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
