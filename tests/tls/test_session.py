"""One TLS connection over memory, against Python's own client."""

from __future__ import annotations

import os
import ssl

import pytest

from lockwire.tls.session import Session
from tests.tls.certificates import TestPki
from tests.tls.conftest import MakeContext
from tests.tls.peers import TLS12, TLS13, Client, client_context, records, shake_hands

BOTH = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])


@BOTH
def test_full_handshake_tells_both_ends_the_same(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion
) -> None:
    client = Client(client_context(pki.root_pem, version))
    session = shake_hands(server_context(), client)

    assert session.established
    assert client.established
    assert not session.closed
    assert session.failure is None
    assert session.version == client.tls.version()
    assert session.cipher_suite == (client.tls.cipher() or ["none"])[0]
    assert session.alpn == client.tls.selected_alpn_protocol() == "mqtt"
    assert session.server_name == "localhost"
    assert session.peer_certificate is None
    assert not session.resumed


@BOTH
@pytest.mark.parametrize("mode", ["optional", "required"])
def test_mutual_handshake_shows_the_device(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion, mode: str
) -> None:
    client = Client(client_context(pki.root_pem, version, pki.device))
    session = shake_hands(server_context(client_certificates=mode), client)

    assert session.established
    assert client.error is None
    assert session.peer_certificate == pki.device.der


@BOTH
def test_optional_certificate_may_be_missing(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion
) -> None:
    session = shake_hands(
        server_context(client_certificates="optional"), Client(client_context(pki.root_pem, version))
    )
    assert session.established
    assert session.peer_certificate is None


@BOTH
@pytest.mark.parametrize("mode", ["none", "required"])
def test_resumption_keeps_the_device_known(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion, mode: str
) -> None:
    """Also with the context that takes over after the handshake, which has no certificate of its own."""
    context = server_context(client_certificates=mode)
    config = client_context(pki.root_pem, version, pki.device)
    first = Client(config)
    shake_hands(context, first)

    second = Client(config, session=first.tls.session)
    session = shake_hands(context, second)

    assert session.resumed
    assert second.tls.session_reused
    assert session.peer_certificate == (pki.device.der if mode == "required" else None)

    third = Client(config, session=second.tls.session)
    assert shake_hands(context, third).resumed


@BOTH
def test_without_session_tickets_nothing_resumes_by_ticket(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion
) -> None:
    context = server_context(session_tickets=False)
    config = client_context(pki.root_pem, version)
    first = Client(config)
    shake_hands(context, first)
    assert first.tls.session is None or not first.tls.session.has_ticket


@BOTH
@pytest.mark.parametrize("mode", ["none", "required"])
@pytest.mark.parametrize("size", [1, 100, 16_384, 16_385, 100_000, 1_000_000])
def test_payloads_pass_whole_both_ways(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion, mode: str, size: int
) -> None:
    client = Client(client_context(pki.root_pem, version, pki.device))
    session = shake_hands(server_context(client_certificates=mode), client)
    payload = os.urandom(size)

    chunks = session.receive(client.send(payload))
    assert b"".join(chunks) == payload
    assert max(map(len, chunks)) <= 16_384

    client.exchange(session.send(payload))
    assert b"".join(client.received) == payload
    assert session.pending_output() == b""


def test_records_split_anywhere_arrive_whole(server_context: MakeContext, pki: TestPki) -> None:
    client = Client(client_context(pki.root_pem))
    session = shake_hands(server_context(), client)
    payload = os.urandom(40_000)
    sent = client.send(payload)
    for step in (1, 5, 1460, 16_384):
        pieces = (sent[at : at + step] for at in range(0, len(sent), step))
        assert b"".join(chunk for piece in pieces for chunk in session.receive(piece)) == payload
        sent = client.send(payload)


@BOTH
@pytest.mark.parametrize("mode", ["none", "required"])
def test_handshake_delivered_byte_by_byte(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion, mode: str
) -> None:
    client = Client(client_context(pki.root_pem, version, pki.device))
    session = Session(server_context(client_certificates=mode))
    to_server = client.exchange()
    while to_server:
        for at in range(len(to_server)):
            assert session.receive(to_server[at : at + 1]) == []
        to_server = client.exchange(session.pending_output())
    assert session.established
    assert session.server_name == "localhost"


@BOTH
def test_data_in_the_same_segment_as_finished(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion
) -> None:
    """A client may write CONNECT right behind its Finished (in TLS 1.2: once it has ours)."""
    client = Client(client_context(pki.root_pem, version))
    session = Session(server_context())
    session.receive(client.exchange())
    finished = client.exchange(session.pending_output())
    if version == TLS12:
        session.receive(finished)
        finished = client.exchange(session.pending_output())
    assert session.receive(finished + client.send(b"CONNECT")) == [b"CONNECT"]


def test_sessions_of_one_context_do_not_mix(server_context: MakeContext, pki: TestPki) -> None:
    """They share their BIOs: twenty at once, every step of each between those of the others."""
    context = server_context(client_certificates="required")
    config = client_context(pki.root_pem, None, pki.device)
    clients = [Client(config) for _ in range(20)]
    sessions = [Session(context) for _ in clients]
    garbage = Session(context)
    to_server = [client.exchange() for client in clients]
    while any(to_server):
        for index, session in enumerate(sessions):
            half = len(to_server[index]) // 2
            session.receive(to_server[index][:half])
            garbage.receive(b"\x16\x03\x01\x00\x05hello")
            session.receive(to_server[index][half:])
        to_server = [
            client.exchange(session.pending_output())
            for client, session in zip(clients, sessions, strict=True)
        ]
    assert garbage.failure is not None
    for index, (client, session) in enumerate(zip(clients, sessions, strict=True)):
        assert session.established
        assert session.receive(client.send(b"%d" % index)) == [b"%d" % index]


@BOTH
def test_close_sends_close_notify(server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion) -> None:
    client = Client(client_context(pki.root_pem, version))
    session = shake_hands(server_context(), client)
    client.exchange(session.send(b"bye") + session.close())
    assert client.received == [b"bye"]
    assert client.tls.read(1) == b""  # close_notify, not a cut
    assert session.closed
    assert session.send(b"more") == b""


@BOTH
def test_close_notify_of_the_peer_closes(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion
) -> None:
    client = Client(client_context(pki.root_pem, version))
    session = shake_hands(server_context(), client)
    last = client.send(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    assert session.receive(last + client.exchange()) == [b"last"]
    assert session.closed
    assert session.failure is None
    assert session.close() != b""


@BOTH
def test_damaged_record_ends_the_connection_with_an_alert(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion
) -> None:
    client = Client(client_context(pki.root_pem, version))
    session = shake_hands(server_context(), client)
    good, bad = client.send(b"good"), bytearray(client.send(b"bad"))
    bad[-1] ^= 1
    assert session.receive(good + bytes(bad)) == [b"good"]
    assert session.closed
    assert session.failure is not None
    assert session.failure.stage == "established"
    client.exchange(session.pending_output())
    assert client.error is not None
    assert "BAD_RECORD_MAC" in str(client.error)
    assert session.receive(b"more") == []
    assert session.send(b"more") == b""
    assert session.close() == b""
    assert session.version == ""
    assert session.cipher_suite == ""
    assert session.alpn is None


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(("mqtt",), "mqtt"), (("h2", "mqtt"), "mqtt"), (("http/1.1",), None), ((), None)],
)
def test_alpn_chooses_mqtt_and_never_refuses(
    server_context: MakeContext, pki: TestPki, offered: tuple[str, ...], chosen: str | None
) -> None:
    client = Client(client_context(pki.root_pem, alpn=offered))
    session = shake_hands(server_context(), client)
    assert session.established
    assert session.alpn == client.tls.selected_alpn_protocol() == chosen


@BOTH
def test_small_records_for_small_devices(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion
) -> None:
    client = Client(client_context(pki.root_pem, version))
    session = shake_hands(server_context(maximum_record_size=1024), client)
    output = session.send(b"x" * 10_000)
    sizes = [length for _, length in records(output)]
    assert len(sizes) == 10
    assert max(sizes) <= 1024 + 256
    client.exchange(output)
    assert b"".join(client.received) == b"x" * 10_000


def test_one_ticket_is_sent_in_tls13(server_context: MakeContext, pki: TestPki) -> None:
    """A device pays for each ticket in bytes, and with a client certificate we pay 0.1 ms."""
    client = Client(client_context(pki.root_pem, TLS13))
    session = Session(server_context())
    session.receive(client.exchange())
    session.receive(client.exchange(session.pending_output()))
    assert session.established
    assert len(records(session.pending_output())) == 1


def test_nothing_is_left_in_the_shared_buffers(server_context: MakeContext, pki: TestPki) -> None:
    context = server_context(client_certificates="required")
    refused = Client(client_context(pki.root_pem, TLS13))  # its Certificate and Finished come in one flight
    session = shake_hands(context, refused)
    assert session.failure is not None
    assert context.incoming.pending == 0
    assert context.outgoing.pending == 0
