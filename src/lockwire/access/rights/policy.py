"""All that decides what clients may do, as one value: `AccessAuthorizer.set_policy` puts it in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lockwire.access.rights.rules import Rule

TOPIC_EXCHANGE: Final = "amq.topic"
"""RabbitMQ's exchange behind MQTT: permissions on other exchanges say nothing about MQTT topics."""


@dataclass(frozen=True, slots=True)
class ResourcePermission:
    """RabbitMQ's `set_permissions`: three regular expressions, found anywhere in a resource's name.

    For MQTT the resources are the exchange "amq.topic" and the queues "mqtt-subscription-{client_id}qos0" and
    "...qos1". Publishing needs `write` on the exchange; a subscription `configure`, `write` and `read` on the
    queue of its QoS (2 counts as 1) and `read` on the exchange. "" matches nothing that has a name.
    """

    configure: str
    write: str
    read: str


@dataclass(frozen=True, slots=True)
class TopicPermission:
    """RabbitMQ's `set_topic_permissions`: regular expressions found anywhere in the routing key.

    exchange: only "amq.topic" concerns MQTT. write, read: matched with the topic, `/` written as `.`; may
        hold `{username}`, `{client_id}` and `{vhost}`. "" matches no topic.
    """

    exchange: str
    write: str
    read: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What clients may do.

    rules: in any order: it does not matter.
    groups: the groups of a name. tags: the tags of a user, who logs in by password or SCRAM.
    resources, topic_permissions: RabbitMQ's permissions by user name; who has one gets nothing from
        rules that allow "everyone" something, only from those that name the user, a group or a tag.
    filtered: as Mosquitto does it: every SUBSCRIBE is granted and its messages are filtered; a user's rules
        come first, then those for "pattern".
    """

    rules: tuple[Rule, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resources: Mapping[str, ResourcePermission] = field(default_factory=dict)
    topic_permissions: Mapping[str, tuple[TopicPermission, ...]] = field(default_factory=dict)
    filtered: bool = False
