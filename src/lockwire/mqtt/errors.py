"""What the decoder raises, each with the reason code that answers it (MQTT 5 section 4.13)."""

from __future__ import annotations

from lockwire.mqtt import reasons


class MqttError(Exception):
    """A packet that ends its connection. `reason` is the MQTT 5 reason code that says why."""

    def __init__(self, reason: int, detail: str) -> None:
        super().__init__(f"{reasons.name_of(reason)}: {detail}")
        self.reason = reason
        self.detail = detail


class MalformedPacketError(MqttError):
    """A control packet that cannot be parsed according to the specification (MQTT 5 section 1.2)."""

    def __init__(self, detail: str) -> None:
        super().__init__(reasons.MALFORMED_PACKET, detail)


class ProtocolError(MqttError):
    """A packet that parses but that the protocol does not allow (MQTT 5 section 1.2)."""

    def __init__(self, detail: str, reason: int = reasons.PROTOCOL_ERROR) -> None:
        super().__init__(reason, detail)
