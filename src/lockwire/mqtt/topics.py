"""Topic Names and Topic Filters: what is valid and what matches (MQTT 5 section 4.7, 3.1.1 section 4.7)."""

from __future__ import annotations

from typing import Final

from lockwire.mqtt import reasons
from lockwire.mqtt.errors import MalformedPacketError, ProtocolError

SHARE_PREFIX: Final = "$share/"


def utf8_string(data: bytes) -> str:
    """The text of a UTF-8 encoded string (MQTT 5 section 1.5.4).

    Raises MalformedPacketError where it is not well-formed, surrogates included [MQTT5-1.5.4-1], or holds
    U+0000 [MQTT5-1.5.4-2]. A leading U+FEFF is kept [MQTT5-1.5.4-3].
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedPacketError(f"a string is not well-formed UTF-8: {error.reason}") from None
    if "\0" in text:
        raise MalformedPacketError("a string holds U+0000")
    return text


def validate_topic_name(topic: bytes) -> str:
    """The text of a Topic Name as it came in a PUBLISH or a Will.

    Raises MalformedPacketError for bad UTF-8 or U+0000, ProtocolError with TOPIC_NAME_INVALID where it is
    empty [MQTT5-4.7.3-1] or has wildcards [MQTT5-3.3.2-2].
    """
    text = utf8_string(topic)
    if not text:
        raise ProtocolError("the topic name is empty", reasons.TOPIC_NAME_INVALID)
    if has_wildcard(text):
        raise ProtocolError("the topic name has wildcard characters", reasons.TOPIC_NAME_INVALID)
    return text


def validate_topic_filter(topic_filter: str) -> None:
    """Refuse a Topic Filter that is not valid, shared ones included (MQTT 5 sections 4.7.1 and 4.8.2).

    Raises ProtocolError with TOPIC_FILTER_INVALID.
    """
    if not topic_filter:
        raise _invalid("it is empty")  # [MQTT5-4.7.3-1]
    if topic_filter.startswith(SHARE_PREFIX):
        name, slash, rest = topic_filter[len(SHARE_PREFIX) :].partition("/")
        if not name:
            raise _invalid("the share name is empty")  # [MQTT5-4.8.2-1]
        if has_wildcard(name):
            raise _invalid("the share name has wildcard characters")  # [MQTT5-4.8.2-2]
        if not slash or not rest:
            raise _invalid("no topic filter follows the share name")
        topic_filter = rest
    if not has_wildcard(topic_filter):
        return
    levels = topic_filter.split("/")
    last = len(levels) - 1
    for number, level in enumerate(levels):
        if "#" in level and (level != "#" or number != last):
            raise _invalid("'#' must be the last level, alone")  # [MQTT5-4.7.1-1]
        if "+" in level and level != "+":
            raise _invalid("'+' must stand alone in its level")  # [MQTT5-4.7.1-2]


def _invalid(detail: str) -> ProtocolError:
    return ProtocolError(f"the topic filter is not valid: {detail}", reasons.TOPIC_FILTER_INVALID)


def parse_shared(topic_filter: str) -> tuple[str, str] | None:
    """Share name and Topic Filter of a valid shared subscription, None for others (MQTT 5 section 4.8.2)."""
    if not topic_filter.startswith(SHARE_PREFIX):
        return None
    name, _, rest = topic_filter[len(SHARE_PREFIX) :].partition("/")
    return name, rest


def has_wildcard(topic: str) -> bool:
    """Whether '+' or '#' occurs."""
    return "+" in topic or "#" in topic


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a valid Topic Filter, not a shared one, matches a Topic Name (MQTT 5 section 4.7).

    The obvious way, level by level. A leading wildcard does not match a topic that begins with '$'
    [MQTT5-4.7.2-1]; "a/#" matches "a" too (section 4.7.1.2).
    """
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    levels = topic.split("/")
    filter_levels = topic_filter.split("/")
    for number, level in enumerate(filter_levels):
        if level == "#":
            return True
        if number >= len(levels) or (level != "+" and level != levels[number]):
            return False
    return len(filter_levels) == len(levels)
