"""A client for tests that says exactly what it is told and shows exactly what comes back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from types import TracebackType

from tests.support import packets
from tests.support.packets import NAMES, Packet, Properties, Will

DEADLINE = 5.0
"""Seconds within which an answer has to be there; only a failing test waits that long."""

Address = tuple[str, int]


class ClosedError(AssertionError):
    """The server closed the connection where a packet was expected."""


class Wire:
    """One connection. Answers are read one by one with a deadline; nothing is sent unless asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: int) -> None:
        self.reader = reader
        self.writer = writer
        self.version = version
        self.connack = Packet(packets.CONNACK, 0, 0)
        self.client_id = ""
        self._next_id = 0
        self._early: list[Packet] = []

    @classmethod
    async def open(cls, address: Address, version: int = 5, tls: ssl.SSLContext | None = None) -> Wire:
        """Open the network connection and send nothing yet."""
        reader, writer = await asyncio.open_connection(*address, ssl=tls)
        return cls(reader, writer, version)

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def abort(self) -> None:
        """End the connection at once, without DISCONNECT."""
        self.writer.transport.abort()

    async def send(self, *data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(b"".join(data))
        try:
            await self.writer.drain()
        except ConnectionError:
            return  # the answer, or the close, is still there to be read

    async def read(self, deadline: float = DEADLINE) -> Packet:
        """The next packet; ClosedError when the server closes instead."""
        if self._early:
            return self._early.pop(0)
        async with asyncio.timeout(deadline):
            try:
                head = (await self.reader.readexactly(1))[0]
                length = shift = 0
                while True:
                    digit = (await self.reader.readexactly(1))[0]
                    length |= (digit & 0x7F) << shift
                    shift += 7
                    if not digit & 0x80:
                        break
                body = await self.reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise ClosedError("the server closed the connection") from error
        return packets.parse(head, body, self.version)

    async def read_or_close(self, deadline: float = DEADLINE) -> Packet | None:
        """The next packet, None when the server closes instead."""
        try:
            return await self.read(deadline)
        except ClosedError:
            return None

    async def expect(self, kind: int, deadline: float = DEADLINE) -> Packet:
        """The next packet, which has to be of this type."""
        received = await self.read(deadline)
        assert received.type == kind, f"expected {NAMES[kind]}, got {received}"
        return received

    async def until_closed(self, deadline: float = DEADLINE) -> list[Packet]:
        """The packets the server still sends until it closes the connection, which it has to do."""
        received = []
        while True:
            try:
                received.append(await self.read(deadline))
            except ClosedError:
                return received

    async def expect_closed(self, deadline: float = DEADLINE) -> Packet | None:
        """The server closes, in MQTT 5 perhaps after a DISCONNECT, which is returned; nothing else comes."""
        received = await self.until_closed(deadline)
        assert len(received) <= 1, f"expected the close, got {received}"
        if received:
            assert self.version == 5, f"expected the close, got {received}"
            assert received[0].type == packets.DISCONNECT, f"expected the close, got {received}"
        return received[0] if received else None

    async def expect_refused(self, deadline: float = DEADLINE) -> Packet | None:
        """The server closes, perhaps after a refusing CONNACK, which is returned; nothing else comes."""
        received = await self.until_closed(deadline)
        assert len(received) <= 1, f"expected a refusal, got {received}"
        if received:
            assert received[0].type == packets.CONNACK, f"expected a refusal, got {received}"
            assert received[0].reason != 0, "the CONNECT was accepted"
            assert not received[0].session_present, "Session Present in a refusal (MQTT5-3.2.2-6)"
        return received[0] if received else None

    async def ping(self) -> None:
        """PINGREQ, and the next packet is its PINGRESP: whatever was sent before has been handled."""
        assert not self._early, f"came before: {self._early}"
        await self.send(packets.PING)
        await self.expect(packets.PINGRESP)

    async def expect_nothing(self) -> None:
        """Nothing has come from the server: the answer to a PINGREQ overtakes no packet sent before it."""
        await self.ping()

    def packet_id(self) -> int:
        """A packet identifier this client has not used yet."""
        self._next_id += 1
        return self._next_id

    async def connect(
        self,
        client_id: str | bytes,
        clean: bool = True,
        keep_alive: int = 60,
        will: Will | None = None,
        username: str | None = None,
        password: bytes | None = None,
        values: Properties = (),
    ) -> Packet:
        """CONNECT and its CONNACK, which has to accept; also kept in `connack`."""
        sent = packets.connect(
            client_id, self.version, clean, keep_alive, will, username, password, values
        )  # fmt: skip
        await self.send(sent)
        self.connack = await self.expect(packets.CONNACK)
        assert self.connack.reason == 0, f"refused: {self.connack}"
        self.client_id = client_id if isinstance(client_id, str) else client_id.decode()
        return self.connack

    async def subscribe(
        self, *filters: str, qos: int = 0, options: int = 0, values: Properties = ()
    ) -> Packet:
        """SUBSCRIBE and its SUBACK, which has to grant every filter its QoS.

        Matching messages may come before the SUBACK (MQTT 5 section 3.8.4); they are read after it.
        """
        packet_id = self.packet_id()
        pairs = [(name, qos | options) for name in filters]
        await self.send(packets.subscribe(packet_id, pairs, self.version, values))
        early = []
        while (suback := await self.read()).type == packets.PUBLISH:
            early.append(suback)
        self._early = early
        assert suback.type == packets.SUBACK, f"expected SUBACK, got {suback}"
        assert suback.packet_id == packet_id
        assert suback.reasons == [qos] * len(filters)
        return suback

    async def unsubscribe(self, *filters: str) -> Packet:
        """UNSUBSCRIBE and its UNSUBACK."""
        packet_id = self.packet_id()
        await self.send(packets.unsubscribe(packet_id, filters, self.version))
        unsuback = await self.expect(packets.UNSUBACK)
        assert unsuback.packet_id == packet_id
        return unsuback

    async def publish(
        self,
        topic: str,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        values: Properties = (),
    ) -> Packet | None:
        """PUBLISH and the whole exchange of its QoS; returns the PUBACK or PUBREC.

        At QoS 0 a PINGREQ follows, so that in every case the server has handled the message on return.
        """
        packet_id = self.packet_id() if qos else 0
        await self.send(
            packets.publish(topic, payload, qos, packet_id, retain, version=self.version, values=values)
        )
        if qos == 0:
            await self.ping()
            return None
        answer = await self.expect(packets.PUBACK if qos == 1 else packets.PUBREC)
        assert answer.packet_id == packet_id
        assert answer.reason < 0x80, f"refused: {answer}"
        if qos == 2:
            await self.send(packets.acknowledgement(packets.PUBREL, packet_id))
            assert (await self.expect(packets.PUBCOMP)).packet_id == packet_id
        return answer

    async def receive(self, topic: str | None = None, payload: bytes | None = None) -> Packet:
        """The next packet, a PUBLISH, acknowledged all the way as its QoS asks."""
        message = await self.expect(packets.PUBLISH)
        assert topic is None or message.topic == topic
        assert payload is None or message.payload == payload
        if message.qos == 1:
            await self.acknowledge(packets.PUBACK, message.packet_id)
        elif message.qos == 2:
            await self.acknowledge(packets.PUBREC, message.packet_id)
            assert (await self.expect(packets.PUBREL)).packet_id == message.packet_id
            await self.acknowledge(packets.PUBCOMP, message.packet_id)
        return message

    async def payloads(self, count: int) -> list[bytes]:
        """The payloads of the next `count` messages, each acknowledged."""
        return [(await self.receive()).payload for _ in range(count)]

    async def acknowledge(self, kind: int, packet_id: int, reason: int = 0) -> None:
        """PUBACK, PUBREC, PUBREL or PUBCOMP."""
        await self.send(packets.acknowledgement(kind, packet_id, reason))

    async def disconnect(self, reason: int = 0, values: Properties = ()) -> None:
        """DISCONNECT; the server closes, and that it has done so is waited for."""
        await self.send(packets.disconnect(reason, values))
        left = [each for each in await self.until_closed() if each.type != packets.PUBLISH]
        assert not left, f"after DISCONNECT came {left}"


def topics(messages: Sequence[Packet]) -> list[str]:
    """The topics of messages, in order."""
    return [message.topic for message in messages]
