"""The control packets of MQTT 3.1, 3.1.1 and 5.0 as plain classes (MQTT 5 chapter 3).

Plain native classes, not dataclasses: creating one costs 29 ns compiled against 164 (DESIGN.md, rule 7).
A version is the protocol level of CONNECT: 3 (MQIsdp), 4 (3.1.1) or 5. No packet refers to anything that
could refer back to it, so none is tracked by the cycle collector (`acyclic`).
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

CONNECT: Final = 1
CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
PUBREC: Final = 5
PUBREL: Final = 6
PUBCOMP: Final = 7
SUBSCRIBE: Final = 8
SUBACK: Final = 9
UNSUBSCRIBE: Final = 10
UNSUBACK: Final = 11
PINGREQ: Final = 12
PINGRESP: Final = 13
DISCONNECT: Final = 14
AUTH: Final = 15

TYPE_NAMES: Final[list[str]] = [
    "RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
    "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
]  # fmt: skip


@mypyc_attr(acyclic=True)
class Properties:
    """The properties of any packet but PUBLISH (MQTT 5 section 2.2.2); None or -1 where absent."""

    def __init__(self) -> None:
        self.payload_format_indicator: int = -1
        self.message_expiry_interval: int = -1
        self.content_type: str | None = None
        self.response_topic: str | None = None
        self.correlation_data: bytes | None = None
        self.subscription_identifiers: list[int] = []
        self.session_expiry_interval: int = -1
        self.assigned_client_identifier: str | None = None
        self.server_keep_alive: int = -1
        self.authentication_method: str | None = None
        self.authentication_data: bytes | None = None
        self.request_problem_information: int = -1
        self.will_delay_interval: int = -1
        self.request_response_information: int = -1
        self.response_information: str | None = None
        self.server_reference: str | None = None
        self.reason_string: str | None = None
        self.receive_maximum: int = -1
        self.topic_alias_maximum: int = -1
        self.topic_alias: int = -1
        self.maximum_qos: int = -1
        self.retain_available: int = -1
        self.user_properties: list[tuple[str, str]] = []
        self.maximum_packet_size: int = -1
        self.wildcard_subscription_available: int = -1
        self.subscription_identifier_available: int = -1
        self.shared_subscription_available: int = -1


@mypyc_attr(acyclic=True)
@mypyc_attr(acyclic=True)
class Packet:
    """Any control packet. `type` is its control packet type (MQTT 5 section 2.1.2)."""

    def __init__(self, type: int) -> None:
        self.type = type


@mypyc_attr(acyclic=True)
class Will:
    """The Will Message of a CONNECT (MQTT 5 section 3.1.3). `properties` are encoded as in PUBLISH."""

    def __init__(self, topic: bytes, payload: bytes, qos: int, retain: bool) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties: bytes = b""
        self.message_expiry_interval: int = -1
        self.delay_interval: int = 0


class Connect(Packet):
    """CONNECT (MQTT 5 section 3.1). `version` is 3, 4 or 5."""

    def __init__(self) -> None:
        super().__init__(CONNECT)
        self.version: int = 4
        self.clean_start: bool = True
        self.keep_alive: int = 0
        self.client_id: str = ""
        self.username: str | None = None
        self.password: bytes | None = None
        self.will: Will | None = None
        self.properties: Properties = Properties()
        self.is_bridge: bool = False


class Connack(Packet):
    """CONNACK (MQTT 5 section 3.2). For MQTT 3 `reason` is the return code."""

    def __init__(self, session_present: bool, reason: int, properties: Properties) -> None:
        super().__init__(CONNACK)
        self.session_present = session_present
        self.reason = reason
        self.properties = properties


@mypyc_attr(acyclic=True, free_list_len=1)
@mypyc_attr(acyclic=True)
class Publish(Packet):
    """PUBLISH (MQTT 5 section 3.3).

    `frame` is the whole packet as it came, `body` the offset of its payload: the payload is sliced only when
    somebody asks. `properties` are the encoded properties a server forwards (payload format indicator,
    content type, response topic, correlation data, user properties, in the order they came) without their
    length; topic alias (0: none), message expiry interval (-1: none) and subscription identifiers are taken
    out.

    `topic_start` is the offset of the topic's 2-byte length in `frame`. `plain` says that `frame` holds
    nothing that concerns this connection alone: MQTT 3, or MQTT 5 with an empty property section; DUP 0 and a
    remaining length of minimal size. A plain frame of QoS 0 may be sent as it is to subscribers of the same
    wire form (its RETAIN flag is still the sender's).
    """

    def __init__(
        self,
        frame: bytes,
        flags: int,
        topic: bytes,
        packet_id: int,
        body: int,
        topic_start: int = 0,
        plain: bool = False,
    ) -> None:
        super().__init__(PUBLISH)
        self.frame = frame
        self.flags = flags
        self.topic = topic
        self.packet_id = packet_id
        self.body = body
        self.topic_start = topic_start
        self.plain = plain
        self.properties: bytes = b""
        self.message_expiry_interval: int = -1
        self.topic_alias: int = 0
        self.subscription_identifiers: list[int] | None = None

    @property
    def qos(self) -> int:
        return (self.flags >> 1) & 3

    @property
    def retain(self) -> bool:
        return self.flags & 1 != 0

    @property
    def dup(self) -> bool:
        return self.flags & 8 != 0

    @property
    def payload(self) -> bytes:
        return self.frame[self.body :]


@mypyc_attr(acyclic=True, free_list_len=1)
@mypyc_attr(acyclic=True)
class Ack(Packet):
    """PUBACK, PUBREC, PUBREL or PUBCOMP (MQTT 5 sections 3.4 to 3.7); `properties` None: there are none."""

    def __init__(self, type: int, packet_id: int, reason: int, properties: Properties | None) -> None:
        super().__init__(type)
        self.packet_id = packet_id
        self.reason = reason
        self.properties = properties


class SubscriptionRequest:
    """One topic filter of a SUBSCRIBE with its options (MQTT 5 section 3.8.3.1)."""

    def __init__(
        self, topic_filter: str, qos: int, no_local: bool, retain_as_published: bool, retain_handling: int
    ) -> None:
        self.topic_filter = topic_filter
        self.qos = qos
        self.no_local = no_local
        self.retain_as_published = retain_as_published
        self.retain_handling = retain_handling


class Subscribe(Packet):
    """SUBSCRIBE (MQTT 5 section 3.8). `subscription_identifier` 0: none."""

    def __init__(
        self,
        packet_id: int,
        requests: list[SubscriptionRequest],
        subscription_identifier: int,
        properties: Properties | None,
    ) -> None:
        super().__init__(SUBSCRIBE)
        self.packet_id = packet_id
        self.requests = requests
        self.subscription_identifier = subscription_identifier
        self.properties = properties


class Suback(Packet):
    """SUBACK (MQTT 5 section 3.9): one reason code a topic filter."""

    def __init__(self, packet_id: int, reasons: list[int], properties: Properties | None) -> None:
        super().__init__(SUBACK)
        self.packet_id = packet_id
        self.reasons = reasons
        self.properties = properties


class Unsubscribe(Packet):
    """UNSUBSCRIBE (MQTT 5 section 3.10)."""

    def __init__(self, packet_id: int, topic_filters: list[str], properties: Properties | None) -> None:
        super().__init__(UNSUBSCRIBE)
        self.packet_id = packet_id
        self.topic_filters = topic_filters
        self.properties = properties


class Unsuback(Packet):
    """UNSUBACK (MQTT 5 section 3.11): one reason code a topic filter, none in MQTT 3."""

    def __init__(self, packet_id: int, reasons: list[int], properties: Properties | None) -> None:
        super().__init__(UNSUBACK)
        self.packet_id = packet_id
        self.reasons = reasons
        self.properties = properties


class Pingreq(Packet):
    """PINGREQ (MQTT 5 section 3.12)."""

    def __init__(self) -> None:
        super().__init__(PINGREQ)


class Pingresp(Packet):
    """PINGRESP (MQTT 5 section 3.13)."""

    def __init__(self) -> None:
        super().__init__(PINGRESP)


class Disconnect(Packet):
    """DISCONNECT (MQTT 5 section 3.14)."""

    def __init__(self, reason: int, properties: Properties | None) -> None:
        super().__init__(DISCONNECT)
        self.reason = reason
        self.properties = properties


class Auth(Packet):
    """AUTH (MQTT 5 section 3.15)."""

    def __init__(self, reason: int, properties: Properties | None) -> None:
        super().__init__(AUTH)
        self.reason = reason
        self.properties = properties
