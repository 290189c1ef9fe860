"""SCRAM-SHA-256 as enhanced authentication (MQTT 5 section 4.12); scramp is the client's side of it."""

from __future__ import annotations

import pytest
from scramp import ScramClient  # type: ignore[import-untyped]

from tests.e2e.site import Site
from tests.support import packets
from tests.support.packets import AUTHENTICATION_DATA, AUTHENTICATION_METHOD, Packet
from tests.support.wire import Wire

METHOD = "SCRAM-SHA-256"
CONTINUE = 0x18
RE_AUTHENTICATE = 0x19


async def open_wire(site: Site, name: str) -> Wire:
    """A connection through this listener, without a certificate."""
    channel = site.channel(name)
    return await Wire.open((channel.host, channel.port), 5, channel.context())


def method(message: str) -> list[tuple[int, packets.Value]]:
    """The properties that carry a message of the exchange."""
    return [(AUTHENTICATION_METHOD, METHOD), (AUTHENTICATION_DATA, message.encode())]


def message_in(packet: Packet) -> str:
    """The server's message of the exchange."""
    assert packet.get(AUTHENTICATION_METHOD) == METHOD
    data = packet.get(AUTHENTICATION_DATA)
    assert isinstance(data, bytes)
    return data.decode()


async def authenticate(wire: Wire, scram: ScramClient) -> Packet:
    """The exchange of a CONNECT; gives the CONNACK."""
    await wire.send(packets.connect("scram", values=method(scram.get_client_first())))
    challenge = await wire.expect(packets.AUTH)
    assert challenge.reason == CONTINUE
    scram.set_server_first(message_in(challenge))
    await wire.send(packets.auth(CONTINUE, method(scram.get_client_final())))
    return await wire.expect(packets.CONNACK)


@pytest.mark.parametrize("name", ["tls", "plain"])
async def test_a_client_proves_that_it_knows_the_password(site: Site, name: str) -> None:
    wire = await open_wire(site, name)
    scram = ScramClient([METHOD], "admin", site.password)
    connack = await authenticate(wire, scram)
    assert connack.reason == 0
    scram.set_server_final(message_in(connack))  # raises where the broker does not know it
    await wire.subscribe("$SYS/broker/version")
    assert (await wire.receive()).payload.startswith(b"lockwire")
    await wire.disconnect()


async def test_a_client_proves_it_again(site: Site) -> None:
    wire = await open_wire(site, "tls")
    assert (await authenticate(wire, ScramClient([METHOD], "admin", site.password))).reason == 0
    scram = ScramClient([METHOD], "admin", site.password)
    await wire.send(packets.auth(RE_AUTHENTICATE, method(scram.get_client_first())))
    scram.set_server_first(message_in(await wire.expect(packets.AUTH)))
    await wire.send(packets.auth(CONTINUE, method(scram.get_client_final())))
    done = await wire.expect(packets.AUTH)
    assert done.reason == 0
    scram.set_server_final(message_in(done))
    await wire.disconnect()


async def test_a_failed_proof_ends_the_connection(site: Site) -> None:
    wire = await open_wire(site, "tls")
    assert (await authenticate(wire, ScramClient([METHOD], "admin", site.password))).reason == 0
    scram = ScramClient([METHOD], "admin", "wrong")
    await wire.send(packets.auth(RE_AUTHENTICATE, method(scram.get_client_first())))
    scram.set_server_first(message_in(await wire.expect(packets.AUTH)))
    await wire.send(packets.auth(CONTINUE, method(scram.get_client_final())))
    goodbye = await wire.expect_closed()
    assert goodbye is not None
    assert goodbye.reason == 0x87


@pytest.mark.parametrize(("user", "password"), [("admin", "wrong"), ("nobody", "whatever")])
async def test_wrong_password_and_unknown_user_look_the_same(site: Site, user: str, password: str) -> None:
    wire = await open_wire(site, "tls")
    connack = await authenticate(wire, ScramClient([METHOD], user, password))
    assert connack.reason in (0x86, 0x87)
    assert connack.get(AUTHENTICATION_DATA) is None
    await wire.expect_closed()


async def test_a_listener_without_scram_refuses_the_method(site: Site) -> None:
    wire = await open_wire(site, "tls13")
    first = ScramClient([METHOD], "admin", site.password).get_client_first()
    await wire.send(packets.connect("scram", values=method(first)))
    assert (await wire.expect(packets.CONNACK)).reason == 0x8C
