"""What the access database holds, in memory: read by the event loop without locks, replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lockwire.access.database.users import User
from lockwire.access.methods.passwords import is_slow
from lockwire.access.rights.policy import Policy, ResourcePermission, TopicPermission
from lockwire.access.rights.rules import Rule


@dataclass
class Contents:
    """Everything by its name. A change is made to a copy, which then takes the place of the one before.

    decoy_key: what SCRAM invents salts from for users that do not exist.
    memberships: the groups of a name, which may be a user's, a device's or any other identity's.
    rules: by the number that commands call them by.
    psk: pre-shared keys by their identities.
    """

    decoy_key: bytes = field(default=b"", repr=False)
    users: dict[str, User] = field(default_factory=dict)
    memberships: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rules: dict[int, Rule] = field(default_factory=dict)
    resources: dict[str, ResourcePermission] = field(default_factory=dict)
    topic_permissions: dict[str, tuple[TopicPermission, ...]] = field(default_factory=dict)
    psk: dict[str, bytes] = field(default_factory=dict, repr=False)

    def copy(self) -> Contents:
        """One that can be changed while this one is read."""
        return Contents(
            self.decoy_key,
            dict(self.users),
            dict(self.memberships),
            dict(self.rules),
            dict(self.resources),
            dict(self.topic_permissions),
            dict(self.psk),
        )

    @cached_property
    def has_slow(self) -> bool:
        """Some password takes milliseconds to check, so that a wrong one takes its time whoever it is for."""
        return any(is_slow(user.password) for user in self.users.values())

    @cached_property
    def policy(self) -> Policy:
        """What the rules and permissions come to, for the authorizer."""
        return Policy(
            rules=tuple(self.rules.values()),
            groups=self.memberships,
            tags={user.name: user.tags for user in self.users.values() if user.tags},
            resources=self.resources,
            topic_permissions=self.topic_permissions,
        )

    @property
    def administrators(self) -> list[str]:
        """The users who manage the broker."""
        return [user.name for user in self.users.values() if user.administrator]

    def settle(self) -> Contents:
        """Works out what takes time with many users, so that the event loop need not."""
        _ = self.has_slow, self.policy
        return self


def members_by_group(memberships: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The names in each group, both sorted."""
    found: dict[str, list[str]] = {}
    for name, groups in memberships.items():
        for group in groups:
            found.setdefault(group, []).append(name)
    return {group: sorted(found[group]) for group in sorted(found)}
