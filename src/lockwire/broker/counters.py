"""What the broker counts: plain integers, read by whoever asks (`$SYS`, metrics, `lockwire status`)."""

from __future__ import annotations


class Counters:
    """Totals since the start. One instance a broker; the hot path adds to attributes, nothing else."""

    def __init__(self) -> None:
        self.connections_opened: int = 0
        self.connections_refused: int = 0
        self.connections_delayed: int = 0
        self.handshakes: int = 0
        self.handshakes_resumed: int = 0
        self.handshakes_failed: int = 0
        self.handshakes_queued: int = 0
        self.logins: int = 0
        self.logins_refused: int = 0
        self.takeovers: int = 0
        self.keep_alive_timeouts: int = 0
        self.identities_expired: int = 0
        self.protocol_errors: int = 0
        self.bytes_received: int = 0
        self.bytes_sent: int = 0
        self.packets_received: int = 0
        self.publish_received_qos0: int = 0
        self.publish_received_qos1: int = 0
        self.publish_received_qos2: int = 0
        self.publish_sent_qos0: int = 0
        self.publish_sent_qos1: int = 0
        self.publish_sent_qos2: int = 0
        self.dropped_outbox_full: int = 0
        self.dropped_queue_full: int = 0
        self.dropped_expired: int = 0
        self.dropped_too_large: int = 0
        self.dropped_not_authorized: int = 0
        self.dropped_retained_full: int = 0
        self.publish_refused: int = 0
        self.subscribe_refused: int = 0
        self.publishers_delayed: int = 0
        self.routes_built: int = 0
        self.routes_evicted: int = 0
        self.commits: int = 0
        self.commits_refused: int = 0
        self.operations_committed: int = 0
        self.loop_delay_max_ms: float = 0.0

    def snapshot(self) -> dict[str, float]:
        """Every counter by its name."""
        return {
            "connections_opened": self.connections_opened,
            "connections_refused": self.connections_refused,
            "connections_delayed": self.connections_delayed,
            "handshakes": self.handshakes,
            "handshakes_resumed": self.handshakes_resumed,
            "handshakes_failed": self.handshakes_failed,
            "handshakes_queued": self.handshakes_queued,
            "logins": self.logins,
            "logins_refused": self.logins_refused,
            "takeovers": self.takeovers,
            "keep_alive_timeouts": self.keep_alive_timeouts,
            "identities_expired": self.identities_expired,
            "protocol_errors": self.protocol_errors,
            "bytes_received": self.bytes_received,
            "bytes_sent": self.bytes_sent,
            "packets_received": self.packets_received,
            "publish_received_qos0": self.publish_received_qos0,
            "publish_received_qos1": self.publish_received_qos1,
            "publish_received_qos2": self.publish_received_qos2,
            "publish_sent_qos0": self.publish_sent_qos0,
            "publish_sent_qos1": self.publish_sent_qos1,
            "publish_sent_qos2": self.publish_sent_qos2,
            "dropped_outbox_full": self.dropped_outbox_full,
            "dropped_queue_full": self.dropped_queue_full,
            "dropped_expired": self.dropped_expired,
            "dropped_too_large": self.dropped_too_large,
            "dropped_not_authorized": self.dropped_not_authorized,
            "dropped_retained_full": self.dropped_retained_full,
            "publish_refused": self.publish_refused,
            "subscribe_refused": self.subscribe_refused,
            "publishers_delayed": self.publishers_delayed,
            "routes_built": self.routes_built,
            "routes_evicted": self.routes_evicted,
            "commits": self.commits,
            "commits_refused": self.commits_refused,
            "operations_committed": self.operations_committed,
            "loop_delay_max_ms": self.loop_delay_max_ms,
        }
