"""MQTT 5: the AUTH exchange, with SCRAM-SHA-256 (RFC 5802, RFC 7677) as the method."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator

import pytest

from lockwire.data import DataFolder
from lockwire.household import Household
from tests.conformance.conftest import Clients, closing
from tests.conformance.marks import statement
from tests.support import packets
from tests.support.broker import Broker, free_port
from tests.support.packets import AUTH, CONNACK, Packet, Properties
from tests.support.wire import Address, Wire

METHOD = "SCRAM-SHA-256"
CONTINUE = 0x18
RE_AUTHENTICATE = 0x19

pytestmark = pytest.mark.usefixtures("own_broker")


class Scram:
    """The client's side of one exchange, after RFC 5802 section 3."""

    def __init__(self, username: str, password: str) -> None:
        self.password = password
        self.bare = f"n={username},r=fyko+d2lbbFgONRv9qkxdawL"
        self.server_signature = b""

    @property
    def first(self) -> bytes:
        """The client-first-message."""
        return f"n,,{self.bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        """The client-final-message, which answers the server-first-message."""
        text = challenge.decode()
        fields = dict(part.split("=", 1) for part in text.split(","))
        salt, iterations = base64.b64decode(fields["s"]), int(fields["i"])
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = f"c=biws,r={fields['r']}"
        signed = f"{self.bare},{text},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self.server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final: object) -> None:
        """The server has to show that it knows the password too."""
        assert isinstance(server_final, bytes)
        assert server_final == b"v=" + base64.b64encode(self.server_signature)


@pytest.fixture(scope="module")
def household(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Address, str]]:
    """A broker that asks for SCRAM: its address and the administrator's password."""
    data = DataFolder(tmp_path_factory.mktemp("data") / "lockwire-data")
    data.create()
    _, password = Household.prepare(data)
    assert password is not None
    port = free_port()
    configuration = f'[[listener]]\ntransport = "tcp"\nport = {port}\nauthentication = ["scram"]\n'
    with closing(Broker(tmp_path_factory.mktemp("scram"), configuration, port, data.path)) as broker:
        yield broker.address, password


@pytest.fixture
async def clients(household: tuple[Address, str]) -> AsyncIterator[Clients]:
    made = Clients(household[0])
    yield made
    made.close()


def _values(data: bytes, method: str = METHOD) -> Properties:
    return [(packets.AUTHENTICATION_METHOD, method), (packets.AUTHENTICATION_DATA, data)]


async def _challenged(wire: Wire, scram: Scram, values: Properties = ()) -> Packet:
    """Sends CONNECT with the client-first-message; the server's AUTH that answers it."""
    await wire.send(packets.connect("scram client", values=[*_values(scram.first), *values]))
    challenge = await wire.expect(AUTH)
    assert challenge.reason == CONTINUE
    assert challenge.get(packets.AUTHENTICATION_METHOD) == METHOD
    return challenge


def _data(packet: Packet) -> bytes:
    data = packet.get(packets.AUTHENTICATION_DATA)
    assert isinstance(data, bytes)
    return data


async def _authenticated(wire: Wire, password: str, values: Properties = ()) -> Packet:
    """The whole exchange; the CONNACK."""
    scram = Scram("admin", password)
    challenge = await _challenged(wire, scram, values)
    await wire.send(packets.auth(CONTINUE, _values(scram.final(_data(challenge)))))
    connack = await wire.expect(CONNACK)
    assert connack.reason == 0
    assert connack.get(packets.AUTHENTICATION_METHOD) == METHOD
    scram.check(connack.get(packets.AUTHENTICATION_DATA))
    return connack


@statement("MQTT5-4.12.0-2", "MQTT5-4.12.0-3", "MQTT5-4.12.0-5", "MQTT5-3.15.2-1", "MQTT5-3.2.0-1")
async def test_the_exchange_ends_in_connack(clients: Clients, household: tuple[Address, str]) -> None:
    wire = await clients.open()
    await _authenticated(wire, household[1])
    await wire.ping()


@statement("MQTT5-4.12.0-4", "MQTT5-3.1.4-2", "MQTT5-3.2.2-7", "MQTT5-4.13.2-1", "MQTT5-3.14.0-1")
@pytest.mark.parametrize("username", ["admin", "nobody"])
async def test_a_wrong_password_is_refused(clients: Clients, username: str) -> None:
    """At the end of the exchange, whether or not there is such a user."""
    wire = await clients.open()
    scram = Scram(username, "wrong")
    challenge = await _challenged(wire, scram)
    await wire.send(packets.auth(CONTINUE, _values(scram.final(_data(challenge)))))
    refusal = await wire.expect_refused()
    assert refusal is None or refusal.reason in (0x86, 0x87)


@statement("MQTT5-4.12.0-4", "MQTT5-4.12.0-3", "MQTT5-4.12.0-5", "MQTT5-3.14.0-1")
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(packets.auth(RE_AUTHENTICATE, _values(b"x")), id="re-authenticate"),
        pytest.param(packets.auth(0x00, _values(b"x")), id="success"),
        pytest.param(packets.auth(CONTINUE, _values(b"x", "PLAIN")), id="another method"),
        pytest.param(packets.auth(CONTINUE, [(packets.AUTHENTICATION_DATA, b"x")]), id="no method"),
        pytest.param(packets.auth(CONTINUE, _values(b"nonsense")), id="nonsense"),
        pytest.param(b"\xf1" + packets.auth(CONTINUE, _values(b"x"))[1:], id="reserved flags"),
    ],
)
async def test_a_wrong_answer_is_refused(clients: Clients, answer: bytes) -> None:
    wire = await clients.open()
    await _challenged(wire, Scram("admin", "whatever"))
    await wire.send(answer)
    refusal = await wire.expect_refused()
    assert refusal is None or refusal.reason >= 0x80


@statement("MQTT5-3.1.2-30", "MQTT5-3.1.4-6", "MQTT5-3.14.0-1", "MQTT5-3.2.0-1")
@pytest.mark.parametrize("early", ["PINGREQ", "PUBLISH"])
async def test_other_packets_during_the_exchange_are_refused(clients: Clients, early: str) -> None:
    wire = await clients.open()
    await _challenged(wire, Scram("admin", "whatever"))
    await wire.send(packets.PING if early == "PINGREQ" else packets.publish("a", b""))
    refusal = await wire.expect_refused()
    assert refusal is None or refusal.reason in (0x81, 0x82)


@statement("MQTT5-4.12.0-1", "MQTT5-4.12.0-6", "MQTT5-3.1.4-2")
async def test_without_the_method_there_is_no_way_in(clients: Clients) -> None:
    wire = await clients.open()
    await wire.send(packets.connect("c", username="admin", password=b"wrong"))
    refusal = await wire.expect_refused()
    assert refusal is None or refusal.get(packets.AUTHENTICATION_METHOD) is None


@statement("MQTT5-3.15.2-2", "MQTT5-3.15.2-3", "MQTT5-3.1.2-24", "MQTT5-3.1.2-29")
async def test_auth_to_a_small_client_fits(clients: Clients, household: tuple[Address, str]) -> None:
    """The challenge needs what it needs; there is no Reason String or User Property on top."""
    wire = await clients.open()
    values = [(packets.MAXIMUM_PACKET_SIZE, 200), (packets.REQUEST_PROBLEM_INFORMATION, 0)]
    scram = Scram("admin", household[1])
    challenge = await _challenged(wire, scram, values)
    assert challenge.size <= 200
    assert challenge.get(packets.REASON_STRING) is None
    assert challenge.all(packets.USER_PROPERTY) == []
    await wire.send(packets.auth(CONTINUE, _values(scram.final(_data(challenge)))))
    connack = await wire.expect(CONNACK)
    assert connack.reason == 0
    assert connack.size <= 200


@statement("MQTT5-4.12.1-1", "MQTT5-4.12.0-2", "MQTT5-4.12.0-5", "MQTT5-3.15.2-1")
async def test_a_client_authenticates_again(
    clients: Clients, household: tuple[Address, str], topic: str
) -> None:
    """Twice, while messages go on in between."""
    wire = await clients.open()
    await _authenticated(wire, household[1])
    for _ in range(2):
        scram = Scram("admin", household[1])
        await wire.send(packets.auth(RE_AUTHENTICATE, _values(scram.first)))
        challenge = await wire.expect(AUTH)
        assert (challenge.reason, challenge.get(packets.AUTHENTICATION_METHOD)) == (CONTINUE, METHOD)
        await wire.publish(topic, b"meanwhile", qos=1)
        await wire.send(packets.auth(CONTINUE, _values(scram.final(_data(challenge)))))
        success = await wire.expect(AUTH)
        assert (success.reason, success.get(packets.AUTHENTICATION_METHOD)) == (0, METHOD)
        scram.check(success.get(packets.AUTHENTICATION_DATA))
        await wire.ping()


@statement("MQTT5-4.12.1-2", "MQTT5-4.13.2-1", "MQTT5-3.14.4-2")
async def test_failing_to_authenticate_again_closes_the_connection(
    clients: Clients, household: tuple[Address, str]
) -> None:
    wire = await clients.open()
    await _authenticated(wire, household[1])
    scram = Scram("admin", "wrong")
    await wire.send(packets.auth(RE_AUTHENTICATE, _values(scram.first)))
    challenge = await wire.expect(AUTH)
    await wire.send(packets.auth(CONTINUE, _values(scram.final(_data(challenge)))))
    said = await wire.expect_closed()
    assert said is None or said.reason in (0x86, 0x87)


@statement("MQTT5-4.12.1-1", "MQTT5-4.12.1-2", "MQTT5-4.12.0-5")
async def test_authenticating_again_by_another_method_closes_the_connection(
    clients: Clients, household: tuple[Address, str]
) -> None:
    wire = await clients.open()
    await _authenticated(wire, household[1])
    await wire.send(packets.auth(RE_AUTHENTICATE, _values(b"x", "PLAIN")))
    said = await wire.expect_closed()
    assert said is None or said.reason in (0x82, 0x8C)
