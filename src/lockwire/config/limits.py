"""Every limit of the broker: what is bounded, by how much, and what happens at the limit."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from lockwire.config.units import ByteCount, Duration

MAXIMUM_PACKET_SIZE: Final = 268_435_460  # MQTT5-1.5.5: the largest Remaining Length, and its fixed header
NEVER_EXPIRES: Final = 4_294_967_295.0  # MQTT5-3.1.2.11.2: a session expiry interval that means "never"


class Section(BaseModel):
    """A table of `lockwire.toml`: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ListenerLimitSettings(Section):
    """Limits that each listener may override; what a listener leaves out comes from `[limits]`."""

    connections: int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        description="Connections at the same time: under `[limits]` of the whole broker, under a listener "
        "of that listener. One more is closed as soon as it is accepted.",
    )
    connections_per_address: int = Field(
        default=20_000,
        ge=1,
        le=10_000_000,
        description="Connections at the same time from one IP address on one listener. One more is closed "
        "as soon as it is accepted. Devices behind one router share an address.",
    )
    connection_rate: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="New connections that one listener takes up in a second; a second's worth may come at "
        "once. The rest are accepted and wait, unread, for their turn.",
    )
    connect_timeout: Duration = Field(
        default=10.0,
        ge=0.1,
        le=3600,
        description="Time from a finished TCP (and TLS) handshake to a complete CONNECT and its "
        "authentication; then the connection is closed.",
    )
    connect_bytes: ByteCount = Field(
        default=65_536,
        ge=256,
        le=MAXIMUM_PACKET_SIZE,
        description="What a client may send before it is authenticated; more closes the connection.",
    )
    packet_size: ByteCount = Field(
        default=4 * 1024 * 1024,
        ge=256,
        le=MAXIMUM_PACKET_SIZE,
        description="Largest MQTT packet accepted from a client (MQTT 5: Maximum Packet Size of CONNACK). A "
        "larger one closes the connection with reason 0x95.",
    )
    receive_maximum: int = Field(
        default=1024,
        ge=1,
        le=65_535,
        description="QoS 1 and 2 messages of a client that are not finished: QoS 2 ones not yet released, "
        "and those that wait to be kept (MQTT 5: Receive Maximum of CONNACK). One more closes an MQTT 5 "
        "connection with reason 0x93; an MQTT 3 connection is not read while so many wait to be kept.",
    )
    inflight_v3: int = Field(
        default=64,
        ge=1,
        le=65_535,
        description="QoS 1 and 2 messages sent to an MQTT 3.1 or 3.1.1 client and not yet acknowledged; the "
        "rest wait in its queue. An MQTT 5 client says its own number (Receive Maximum).",
    )
    outbox_bytes: ByteCount = Field(
        default=8 * 1024 * 1024,
        ge=4096,
        le=4 * 1024**3,
        description="Bytes waiting to be written to one connection. Above it QoS 0 messages to this client "
        "are dropped and counted, and QoS 1 and 2 messages stay in its queue.",
    )
    maximum_qos: int = Field(
        default=2,
        ge=0,
        le=2,
        description="Highest QoS of what clients publish and subscribe to (MQTT 5: Maximum QoS of CONNACK). "
        "A PUBLISH above it closes the connection with reason 0x9B; a subscription is granted this one.",
    )
    retain_available: bool = Field(
        default=True,
        description="Whether clients may publish retained messages (MQTT 5: Retain Available of CONNACK). "
        "Where not, a PUBLISH with RETAIN closes the connection with reason 0x9A.",
    )
    topic_alias_maximum: int = Field(
        default=64,
        ge=0,
        le=65_535,
        description="Topic aliases per connection and direction (MQTT 5: Topic Alias Maximum); 0 turns "
        "them off.",
    )
    keep_alive_maximum: Duration = Field(
        default=65_535.0,
        ge=1,
        le=65_535,
        description="Longest keep alive. An MQTT 5 client that asks for more, or for none, is told this one "
        "(Server Keep Alive) where it is below 65,535 s.",
    )
    session_expiry_maximum: Duration = Field(
        default=NEVER_EXPIRES,
        ge=0,
        le=NEVER_EXPIRES,
        description="Longest life of a session without a connection. A client that asks for more is given "
        "this (MQTT 5: Session Expiry Interval of CONNACK); MQTT 3 sessions with Clean Session 0 live as "
        "long. 4,294,967,295 s means without end.",
    )


class LimitSettings(ListenerLimitSettings):
    """Table `[limits]`: the defaults of every listener, and the limits of the whole broker."""

    unauthenticated_connections: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Connections at the same time that are not authenticated yet, on all listeners together. "
        "One more is closed as soon as it is accepted.",
    )
    handshake_time_per_tick: Duration = Field(
        default=0.005,
        ge=0.001,
        le=1,
        description="Time spent on TLS handshakes in one turn of the event loop; the rest wait for the next "
        "turn, so that other clients' messages go on.",
    )
    sessions: int = Field(
        default=200_000,
        ge=1,
        le=100_000_000,
        description="Sessions, connected or not. A client that would need one more is refused with "
        "reason 0x97.",
    )
    queue_messages: int = Field(
        default=10_000,
        ge=1,
        le=100_000_000,
        description="QoS 1 and 2 messages waiting for one client. A message more is dropped and counted.",
    )
    queue_bytes: ByteCount = Field(
        default=16 * 1024 * 1024,
        ge=4096,
        le=1024**4,
        description="Bytes of the messages waiting for one client, unacknowledged ones included. A message "
        "beyond it is dropped and counted.",
    )
    retained_messages: int = Field(
        default=1_000_000,
        ge=0,
        le=1_000_000_000,
        description="Retained messages. One for a new topic beyond it is delivered but not retained "
        "(MQTT 5: reason 0x97, and at QoS 2 it is not delivered either).",
    )
    retained_bytes: ByteCount = Field(
        default=512 * 1024 * 1024,
        ge=0,
        le=1024**4,
        description="Bytes of all retained messages together; beyond it as with `retained_messages`.",
    )
    subscriptions: int = Field(
        default=10_000_000,
        ge=1,
        le=1_000_000_000,
        description="Subscriptions of all sessions together. One more is refused in SUBACK with reason 0x97 "
        "(MQTT 3: 0x80).",
    )
    subscriptions_per_client: int = Field(
        default=10_000,
        ge=1,
        le=10_000_000,
        description="Subscriptions of one session. One more is refused in SUBACK with reason 0x97 "
        "(MQTT 3: 0x80).",
    )
    topic_levels: int = Field(
        default=128,
        ge=1,
        le=65_535,
        description="Levels in a topic name or topic filter (a/b/c has three). A longer name closes the "
        "connection with reason 0x90; a longer filter is refused in SUBACK with reason 0x8F (MQTT 3: 0x80).",
    )
    route_cache_references: int = Field(
        default=2_000_000,
        ge=1000,
        le=1_000_000_000,
        description="References from topics to subscribers that the routing cache keeps; beyond it the "
        "oldest topics are forgotten and computed anew when next used.",
    )
    memory_bytes: ByteCount = Field(
        default=1024**3,
        ge=16 * 1024**2,
        le=1024**4,
        description="Bytes of the messages that wait in the queues of all clients together. Beyond it a "
        "QoS 1 or 2 message for a client that does not keep up is dropped and counted.",
    )
