"""What this host is called and how it is reached, and whether a server's certificate still says so.

Nothing here needs a network: names come from the system, addresses from the interfaces.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import ipaddress
import re
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from lockwire.pki.certificate import alternative_names, common_name_of, days_left
from lockwire.pki.errors import PkiError

RENEW_DAYS: Final = 30
RESOLVER_SECONDS: Final = 1.0

_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_IFA_F_TEMPORARY: Final = 0x01
_IFA_F_DADFAILED: Final = 0x08
_IFA_F_TENTATIVE: Final = 0x40
_UNSTABLE: Final = _IFA_F_TEMPORARY | _IFA_F_DADFAILED | _IFA_F_TENTATIVE
_IFF_UP: Final = 0x1


def host_names() -> list[str]:
    """localhost, the host's name, its fully qualified one where the system knows it, and its .local name."""
    own = socket.gethostname()
    short = own.split(".")[0]
    candidates = ["localhost", own, _qualified(own), f"{short}.local"]
    return [name for name in dict.fromkeys(candidates) if _is_dns_name(name)]


def host_addresses() -> list[str]:
    """Every address of this host's interfaces that others can keep using, the one of the default route first.

    Without link-local addresses (they need a scope, which no certificate can hold) and without IPv6 privacy
    addresses, which change daily. Loopback comes last. Raises PkiError where the system does not say.
    """
    unstable = _unstable_addresses()
    found = [address for address in dict.fromkeys(_interface_addresses()) if address not in unstable]
    routed = [address for address in _default_route_addresses() if address in found]
    ordered = sorted(found, key=lambda address: (address.is_loopback, address.version))
    return [str(address) for address in dict.fromkeys([*routed, *ordered])]


def server_certificate_needs_renewal(
    certificate: x509.Certificate,
    names: Sequence[str],
    addresses: Sequence[str],
    issuer: x509.Certificate | None = None,
    now: datetime.datetime | None = None,
) -> str | None:
    """Why a server's certificate should be issued anew, None where it need not be.

    names, addresses: what the host has now; the certificate must have them all. One that it has in addition
    does no harm, unless it is the address that devices are given (the common name).
    issuer: the certificate that issues now.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    left = days_left(certificate, now)
    if left < RENEW_DAYS:
        return (
            f"it ends in {left} days"
            if left >= 0
            else f"it ended on {certificate.not_valid_after_utc:%Y-%m-%d}"
        )
    if certificate.not_valid_before_utc > now:
        return f"it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    if issuer is not None and not _is_issued_by(certificate, issuer):
        return "another authority issued it"
    certified_names, certified_addresses = alternative_names(certificate)
    missing = [address for address in addresses if address not in certified_addresses]
    missing += [name for name in [*names, *addresses] if name not in certified_names and name not in missing]
    if missing:
        return f"it lacks {', '.join(missing)}"
    primary = common_name_of(certificate.subject)
    if primary in certified_addresses and primary not in addresses:
        return f"the host no longer has the address {primary}"
    return None


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _qualified(name: str) -> str:
    """The canonical name that the system's resolver has, or `name`: a resolver without a network may hang."""
    result = [name]

    def ask() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found = socket.getaddrinfo(name, None, flags=socket.AI_CANONNAME)
            result.append(found[0][3] or name)

    thread = threading.Thread(target=ask, daemon=True, name="lockwire-host-name")
    thread.start()
    thread.join(RESOLVER_SECONDS)
    return result[-1]


def _is_dns_name(name: str) -> bool:
    return 0 < len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))


class _SocketAddress(ctypes.Structure):
    _fields_ = [("family", ctypes.c_uint16), ("data", ctypes.c_uint8 * 26)]


class _InterfaceAddress(ctypes.Structure):
    pass


_InterfaceAddress._fields_ = [
    ("next", ctypes.POINTER(_InterfaceAddress)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.POINTER(_SocketAddress)),
]


def _interface_addresses() -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """What getifaddrs(3) lists, of interfaces that are up."""
    library = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_InterfaceAddress)()
    if library.getifaddrs(ctypes.byref(first)) != 0:
        raise PkiError(
            "The system does not list this host's addresses (getifaddrs failed)", "Name them instead."
        )
    try:
        node = first
        while node:
            entry = node.contents
            if entry.address and entry.flags & _IFF_UP:
                address = _parse(entry.address.contents)
                if address is not None and not address.is_link_local and not address.is_unspecified:
                    yield address
            node = entry.next
    finally:
        library.freeifaddrs(first)


def _parse(address: _SocketAddress) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    # BSD and macOS put a length byte before a one-byte family.
    family = address.family if sys.platform == "linux" else address.family >> 8
    if family == socket.AF_INET:
        return ipaddress.IPv4Address(bytes(address.data[2:6]))
    if family == socket.AF_INET6:
        return ipaddress.IPv6Address(bytes(address.data[6:22]))
    return None


def _unstable_addresses() -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """IPv6 addresses that are temporary (RFC 8981) or not usable yet; empty where Linux does not say."""
    unstable: set[ipaddress.IPv4Address | ipaddress.IPv6Address] = set()
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return unstable
    for line in lines:
        fields = line.split()
        if len(fields) >= 5 and int(fields[4], 16) & _UNSTABLE:
            unstable.add(ipaddress.IPv6Address(int(fields[0], 16)))
    return unstable


def _default_route_addresses() -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The address that this host would send from: connecting a UDP socket chooses it and sends nothing."""
    for family, documentation in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((documentation, 9))
            yield ipaddress.ip_address(probe.getsockname()[0])
