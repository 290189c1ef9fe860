"""What a packet says, to compare packets by: classes of the package are plain and have no equality."""

from __future__ import annotations

from lockwire.mqtt.packets import (
    Connect,
    Packet,
    Properties,
    Publish,
    Subscribe,
    SubscriptionRequest,
    Will,
)

_PUBLISH_FIELDS = [
    "type", "flags", "topic", "packet_id", "payload", "properties", "message_expiry_interval", "topic_alias",
    "subscription_identifiers",
]  # fmt: skip


def meaning(value: object) -> object:
    """The public fields, packets inside packets included, without those that only say where they lie."""
    if isinstance(value, Publish):
        return {name: getattr(value, name) for name in _PUBLISH_FIELDS}
    if isinstance(value, list):
        return [meaning(item) for item in value]
    if isinstance(value, Packet | Properties | Will | SubscriptionRequest):
        names = [name for name in dir(value) if not name.startswith("_")]
        return {"class": type(value).__name__, **{name: meaning(getattr(value, name)) for name in names}}
    return value


def properties(**fields: object) -> Properties:
    """Properties with these fields."""
    result = Properties()
    _fill(result, fields)
    return result


def connect(version: int, client_id: str, **fields: object) -> Connect:
    """A CONNECT with these fields."""
    result = Connect()
    result.version = version
    result.client_id = client_id
    _fill(result, fields)
    return result


def will(topic: bytes, payload: bytes, qos: int = 0, retain: bool = False, **fields: object) -> Will:
    """A Will with these fields."""
    result = Will(topic, payload, qos, retain)
    _fill(result, fields)
    return result


def subscribe(
    packet_id: int, *requests: SubscriptionRequest, identifier: int = 0, **fields: object
) -> Subscribe:
    """A SUBSCRIBE; `fields` are its properties, None where there are none because it is of MQTT 3."""
    found = fields.pop("properties", None)
    assert found is None or isinstance(found, Properties)
    return Subscribe(packet_id, list(requests), identifier, found)


def request(
    topic_filter: str, qos: int = 0, no_local: bool = False, as_published: bool = False, handling: int = 0
) -> SubscriptionRequest:
    """One topic filter with its options."""
    return SubscriptionRequest(topic_filter, qos, no_local, as_published, handling)


def publish(topic: bytes, payload: bytes, flags: int = 0, packet_id: int = 0, **fields: object) -> Publish:
    """A PUBLISH whose `frame` is its payload only."""
    result = Publish(payload, flags, topic, packet_id, 0)
    _fill(result, fields)
    return result


def _fill(target: object, fields: dict[str, object]) -> None:
    for name, value in fields.items():
        assert hasattr(target, name), name
        setattr(target, name, value)
