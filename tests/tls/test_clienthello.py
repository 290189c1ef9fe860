"""The ClientHello reader: real ones, cut anywhere, and garbage."""

from __future__ import annotations

import random

import pytest

from lockwire.tls import clienthello, groups, suites
from lockwire.tls.clienthello import ClientHelloError, parse_client_hello
from lockwire.tls.session import Session
from tests.tls.certificates import TestPki
from tests.tls.conftest import MakeContext
from tests.tls.peers import TLS12, Client, client_context


def extension(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def hello_bytes(*extensions: bytes, suites: str = "c02b", version: str = "0303") -> bytes:
    """A ClientHello in one record."""
    listed = bytes.fromhex(suites)
    body = (
        bytes.fromhex(version) + bytes(32) + b"\x00" + len(listed).to_bytes(2, "big") + listed + b"\x01\x00"
    )
    if extensions:
        joined = b"".join(extensions)
        body += len(joined).to_bytes(2, "big") + joined
    return record(b"\x01" + len(body).to_bytes(3, "big") + body)


def record(fragment: bytes) -> bytes:
    return b"\x16\x03\x01" + len(fragment).to_bytes(2, "big") + fragment


def server_name(name: bytes) -> bytes:
    entry = b"\x00" + len(name).to_bytes(2, "big") + name
    return extension(0, len(entry).to_bytes(2, "big") + entry)


def test_what_openssl_offers(pki: TestPki) -> None:
    hello = parse_client_hello(Client(client_context(pki.root_pem)).exchange())
    assert hello is not None
    assert hello.legacy_version == 0x0303
    assert hello.versions == [0x0304, 0x0303]
    assert hello.server_name == "localhost"
    assert hello.alpn == ["mqtt"]
    assert hello.maximum_fragment_length == 0
    assert {groups.name_of(code) for code in hello.groups} >= {"x25519", "secp256r1"}
    assert 0x0403 in hello.signature_algorithms  # ecdsa_secp256r1_sha256
    names = [suites.name_of(code) for code in hello.cipher_suites]
    assert names[0] == "TLS_AES_256_GCM_SHA384"
    assert not any(name.startswith("0x") for name in names)


def test_tls12_client_without_supported_versions(pki: TestPki) -> None:
    hello = parse_client_hello(Client(client_context(pki.root_pem, TLS12)).exchange())
    assert hello is not None
    assert hello.versions == [0x0303]


def test_no_extensions_at_all() -> None:
    hello = parse_client_hello(hello_bytes(version="0301", suites="002f0035"))
    assert hello is not None
    assert hello.versions == [0x0301]
    assert hello.cipher_suites == [0x002F, 0x0035]
    assert hello.server_name is None
    assert hello.groups == []
    assert hello.alpn == []


def test_grease_is_left_out() -> None:
    """[RFC 8701 section 2]"""
    hello = parse_client_hello(
        hello_bytes(
            extension(0x0A0A, b""),
            extension(10, bytes.fromhex("0006 3a3a 001d 0017")),
            extension(13, bytes.fromhex("0004 dada 0403")),
            extension(16, bytes.fromhex("0008 02 8a8a 04 6d717474")),
            extension(43, bytes.fromhex("06 fafa 0304 0303")),
            suites="1a1a 1301 c02b 0a1a",
        )
    )
    assert hello is not None
    assert hello.cipher_suites == [0x1301, 0xC02B, 0x0A1A]
    assert hello.groups == [29, 23]
    assert hello.signature_algorithms == [0x0403]
    assert hello.alpn == ["mqtt"]
    assert hello.versions == [0x0304, 0x0303]


def test_maximum_fragment_length() -> None:
    """[RFC 6066 section 4]"""
    hello = parse_client_hello(hello_bytes(extension(1, b"\x02")))
    assert hello is not None
    assert hello.maximum_fragment_length == 1024


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"192.168.1.20", "192.168.1.20"),
        (b"fe80::1", "fe80::1"),
        (b"br\xc3\xb6ker", "br\\xc3\\xb6ker"),
        (b"", ""),
        (b"x" * 300, "x" * 255),
    ],
)
def test_any_server_name_is_recorded(sent: bytes, kept: str) -> None:
    hello = parse_client_hello(hello_bytes(server_name(sent)))
    assert hello is not None
    assert hello.server_name == kept


def test_an_ip_literal_as_server_name_is_answered(server_context: MakeContext, pki: TestPki) -> None:
    """RFC 6066 section 3 forbids it; devices send it: they get a ServerHello, not an alert."""
    data = Client(client_context(pki.root_pem)).exchange().replace(b"localhost", b"127.0.0.1")
    session = Session(server_context())
    session.receive(data)
    assert session.failure is None
    assert session.pending_output()[:1] == b"\x16"


def test_split_over_records_and_cut_anywhere(pki: TestPki) -> None:
    whole = Client(client_context(pki.root_pem)).exchange()
    message = whole[5:]
    for size in (1, 3, 100, len(message)):
        data = b"".join(record(message[at : at + size]) for at in range(0, len(message), size))
        for end in range(0, len(data), 7 if size == 1 else 1):
            assert parse_client_hello(data[:end]) is None
        hello = parse_client_hello(data + b"what follows")
        assert hello is not None
        assert hello.server_name == "localhost"


@pytest.mark.parametrize(
    "data",
    [
        b"\x10\x11\x00\x04MQTT",
        b"\x16\x02\x00\x00\x05",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        record(b"\x02\x00\x00\x01\x00"),
        record(b"\x01\x00\x00\x01\x00"),
        record(b"\x01\xff\xff\xff" + bytes(100)),
        hello_bytes(extension(0xFFFF, b"abc")[:-1]),
        hello_bytes(b"")[:-2] + b"\xff\xff",
        record(b"\x01\x00\x00\x05hello") + b"\x17",
    ],
)
def test_what_is_no_client_hello(data: bytes) -> None:
    with pytest.raises(ClientHelloError):
        parse_client_hello(data)


def test_size_is_bounded() -> None:
    claim = b"\x01" + clienthello.MAXIMUM_SIZE.to_bytes(3, "big") + bytes(100)
    with pytest.raises(ClientHelloError, match="at most 65536"):
        parse_client_hello(record(claim))


def test_mutations_raise_nothing_else(pki: TestPki, server_context: MakeContext) -> None:
    """10,000 damaged ClientHellos through the reader, some of them through a whole session."""
    source = random.Random(8883)
    context = server_context()
    originals = [
        Client(client_context(pki.root_pem)).exchange(),
        hello_bytes(server_name(b"device"), extension(16, bytes.fromhex("0005 04 6d717474"))),
        source.randbytes(300),
    ]
    for turn in range(10_000):
        data = bytearray(source.choice(originals))
        for _ in range(source.randrange(1, 6)):
            data[source.randrange(len(data))] = source.choice((0, 1, 0x16, 0xFF, source.randrange(256)))
        cut = bytes(data[: source.randrange(len(data) + 1)] if turn % 3 == 0 else data)
        try:
            hello = parse_client_hello(cut)
        except ClientHelloError:
            hello = None
        if hello is not None:
            assert len(hello.cipher_suites) * 2 <= len(cut)
            assert max(hello.versions) <= 0xFFFF
            assert hello.groups is not None
            assert hello.signature_algorithms is not None
        if turn % 20 == 0:
            session = Session(context)
            session.receive(cut)
            session.abandon()
            assert session.failure is not None
            assert session.failure.summary()
    assert context.incoming.pending == 0
    assert context.outgoing.pending == 0
