"""paho-mqtt as a client that tests can wait for: every call returns when the broker has answered."""

from __future__ import annotations

import os
import queue
import socket
import threading
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.e2e.site import Channel

DEADLINE = 10.0
"""Seconds for an answer; only a failing test waits that long."""

VERSIONS = {
    "3.1": MQTTProtocolVersion.MQTTv31,
    "3.1.1": MQTTProtocolVersion.MQTTv311,
    "5": MQTTProtocolVersion.MQTTv5,
}


def properties_of(kind: int, **values: Any) -> Any:
    """MQTT 5 properties for a packet of this type, by their names without spaces."""
    properties = Properties(kind)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


class PahoClient:
    """A client on one channel.

    Args:
        version: "3.1", "3.1.1" or "5".
        clean: whether the session starts anew and, before MQTT 5, ends with the connection.
        expiry: Session Expiry Interval in seconds (MQTT 5).
    """

    def __init__(
        self, channel: Channel, client_id: str, version: str = "5", clean: bool = True, expiry: int = 0
    ) -> None:
        self._channel = channel
        self._five = version == "5"
        self._clean = clean
        self._expiry = expiry
        self._messages: queue.SimpleQueue[paho.MQTTMessage] = queue.SimpleQueue()
        self._connected: queue.SimpleQueue[tuple[int, bool, Any]] = queue.SimpleQueue()
        self._subscribed: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        self.gone = threading.Event()
        self.gone_reason = 0
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if self._five else clean,
            protocol=VERSIONS[version],
            transport=channel.transport,
            reconnect_on_failure=False,
        )
        context = channel.context()
        if context is not None:
            self.paho.tls_set_context(context)
        if channel.username is not None:
            self.paho.username_pw_set(channel.username, channel.password)
        self.paho.on_connect = self._on_connect
        self.paho.on_subscribe = self._on_subscribe
        self.paho.on_message = self._on_message
        self.paho.on_disconnect = self._on_disconnect

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._connected.put((reason.value, flags.session_present, properties))

    def _on_subscribe(self, client: Any, data: Any, mid: int, reasons: Any, properties: Any) -> None:
        self._subscribed.put([reason.value for reason in reasons])

    def _on_message(self, client: Any, data: Any, message: paho.MQTTMessage) -> None:
        self._messages.put(message)

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.gone_reason = reason.value
        self.gone.set()

    def __enter__(self) -> PahoClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    def connect(self, properties: Any = None) -> PahoClient:
        """Connect, which has to succeed."""
        reason = self.try_connect(properties)
        assert reason == 0, f"refused with {reason:#x}"
        return self

    def try_connect(self, properties: Any = None) -> int:
        """Connect; gives the reason code of the CONNACK. Raises OSError where there is none."""
        arguments: dict[str, Any] = {}
        if self._five:
            if self._expiry:
                properties = properties or properties_of(PacketTypes.CONNECT)
                properties.SessionExpiryInterval = self._expiry
            arguments = {"clean_start": self._clean, "properties": properties}
        self.paho.connect(self._channel.host, self._channel.port, keepalive=60, **arguments)
        self.paho.loop_start()
        reason, self.session_present, self.connack = self._connected.get(timeout=DEADLINE)
        return reason

    def subscribe(self, topic: str, qos: int = 0, **arguments: Any) -> list[int]:
        """Subscribe, with `options` in place of `qos`; gives the reason codes of the SUBACK."""
        if "options" not in arguments:
            arguments["qos"] = qos
        self.paho.subscribe(topic, **arguments)
        return self._subscribed.get(timeout=DEADLINE)

    def publish(
        self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, **arguments: Any
    ) -> None:
        """Publish, and wait for the end of the exchange that the QoS asks for."""
        self.paho.publish(topic, payload, qos, retain, **arguments).wait_for_publish(DEADLINE)

    def receive(self) -> paho.MQTTMessage:
        """The next message."""
        return self._messages.get(timeout=DEADLINE)

    def drop(self) -> None:
        """Lose the connection without DISCONNECT."""
        wrapped = self.paho.socket()
        assert wrapped is not None
        with socket.socket(fileno=os.dup(wrapped.fileno())) as plain:
            plain.shutdown(socket.SHUT_RDWR)
        assert self.gone.wait(DEADLINE)
        self.paho.loop_stop()

    def disconnect(self) -> None:
        """DISCONNECT and wait for the end of the client's thread."""
        self.paho.disconnect()
        self.paho.loop_stop()
