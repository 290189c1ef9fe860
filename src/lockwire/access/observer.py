"""The seam between the broker and whoever watches what clients do."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from lockwire.access.identity import Identity


@mypyc_attr(allow_interpreted_subclasses=True)
class Observer:
    """Is told what clients do and are allowed to do. The base class ignores it.

    Each fact comes once a connection or route, and again after a change of rules; never for `$SYS` topics
    that the broker itself publishes. Methods are called on the event loop: they are quick and never raise.
    """

    def published(self, identity: Identity, client_id: str, topic: bytes, qos: int, retain: bool) -> None:
        """A client published to a topic with this QoS and RETAIN."""

    def subscribed(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> None:
        """A client subscribed, with the QoS that was granted; the filter as sent, `$share/` included."""

    def received(self, identity: Identity, client_id: str, topic: bytes) -> None:
        """A message of a topic went, or is about to go, to a client's session."""
