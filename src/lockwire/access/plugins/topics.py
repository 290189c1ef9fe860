"""Topic filters with placeholders, as databases and plug-ins give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from lockwire.access.plugins.protocol import Action
from lockwire.access.rights.rules import covers
from lockwire.mqtt.errors import MqttError
from lockwire.mqtt.topics import matches, parse_shared, validate_topic_filter

_FORBIDDEN: Final = frozenset("/+#\0")
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")


def topic_is_covered(pattern: str, topic: str, action: Action, values: Mapping[str, str]) -> bool:
    """Whether a pattern allows an action: publishing to a topic, or subscribing to a topic filter.

    pattern: a topic filter with placeholders such as {username}; where a value is empty or holds one of
        `/ + #`, or the result is no topic filter, it allows nothing.
    topic: of the PUBLISH, or the filter of the SUBSCRIBE, shared ones with `$share/name/`.
    """
    for name in _PLACEHOLDER.findall(pattern):
        value = values.get(name, "")
        if not value or not _FORBIDDEN.isdisjoint(value):
            return False
    # All at once: a user may be called {client_id}.
    pattern = _PLACEHOLDER.sub(lambda found: values[found[1]], pattern)
    try:
        validate_topic_filter(pattern)
    except MqttError:
        return False
    if action == "publish":
        return matches(pattern, topic)
    shared = parse_shared(topic)
    return covers(pattern, topic if shared is None else shared[1])
