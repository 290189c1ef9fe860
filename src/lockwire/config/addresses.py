"""IP addresses as listeners use them."""

from __future__ import annotations

import ipaddress
import socket

ANY_IPV6 = "::"
ANY_IPV4 = "0.0.0.0"  # noqa: S104  the name of "every address", used only where it was asked for
LOOPBACK_NAMES = ("localhost", "ip6-localhost")


def ipv6_available() -> bool:
    """Whether this machine can open IPv6 sockets (it cannot where the kernel has IPv6 switched off)."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def any_address() -> str:
    """Every address of this machine: IPv6 and IPv4 in one socket, or IPv4 alone where IPv6 is off."""
    return ANY_IPV6 if ipv6_available() else ANY_IPV4


def is_loopback(address: str) -> bool:
    """Whether only programs of this machine can reach the address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address in LOOPBACK_NAMES


def overlap(first: str, second: str) -> bool:
    """Whether two sockets on these addresses would want the same port."""
    if first == second or ANY_IPV6 in (first, second):
        return True
    if ANY_IPV4 in (first, second):
        return ":" not in first + second
    return False
