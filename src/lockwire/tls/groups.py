"""The key exchange groups (RFC 8446 section 4.2.7): code point, IANA name, OpenSSL's name, other names."""

from __future__ import annotations

from typing import NamedTuple


class Group(NamedTuple):
    """One group: `code` as on the wire, IANA's name, OpenSSL's name, further usual names."""

    code: int
    iana: str
    openssl: str
    aliases: tuple[str, ...] = ()


GROUPS: tuple[Group, ...] = (
    Group(23, "secp256r1", "prime256v1", ("P-256",)),
    Group(24, "secp384r1", "secp384r1", ("P-384",)),
    Group(25, "secp521r1", "secp521r1", ("P-521",)),
    Group(29, "x25519", "X25519"),
    Group(30, "x448", "X448"),
    Group(256, "ffdhe2048", "ffdhe2048"),
    Group(257, "ffdhe3072", "ffdhe3072"),
    Group(258, "ffdhe4096", "ffdhe4096"),
    Group(4588, "X25519MLKEM768", "X25519MLKEM768"),
)

BY_CODE: dict[int, Group] = {group.code: group for group in GROUPS}
BY_NAME: dict[str, Group] = {
    name.lower(): group for group in GROUPS for name in (group.iana, group.openssl, *group.aliases)
}


def name_of(code: int) -> str:
    """The IANA name of a group's code point, or `0x1234` for one that is not in the table."""
    group = BY_CODE.get(code)
    return group.iana if group is not None else f"0x{code:04X}"
