"""What a client may do with a topic, as bits: six for PUBLISH, one for receiving, three for SUBSCRIBE."""

from __future__ import annotations

from typing import Final

NOTHING: Final = 0
EVERY_PUBLISH: Final = 0b111111
RECEIVE: Final = 1 << 6
SUBSCRIBE: Final = 0b111 << 7
EVERYTHING: Final = EVERY_PUBLISH | RECEIVE | SUBSCRIBE


def publish_bit(qos: int, retain: bool) -> int:
    """The bit that stands for a PUBLISH with this QoS (0, 1, 2), with or without RETAIN."""
    return 1 << (qos + 3 if retain else qos)


def subscribe_bit(qos: int) -> int:
    """The bit that stands for a SUBSCRIBE with this QoS."""
    return 1 << (qos + 7)


def subscription_bits(qos: int) -> int:
    """What a SUBSCRIBE needs of every topic: to receive it, and to subscribe with `qos` or a lower one."""
    return RECEIVE | SUBSCRIBE & ((1 << (qos + 8)) - 1)


def is_refused(granted: int) -> bool:
    """Whether what is left of `subscription_bits` is too little for a subscription."""
    return not granted & RECEIVE or not granted & SUBSCRIBE


def highest_qos(granted: int) -> int:
    """The highest QoS of the SUBSCRIBE bits; -1: there is none."""
    return (granted >> 7 & 0b111).bit_length() - 1
