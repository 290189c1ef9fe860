"""Changes of an access database, each reported once it is done, by a process that is to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from lockwire.access.database.database import AccessDatabase
from lockwire.access.database.users import User
from lockwire.access.rights.policy import ResourcePermission, TopicPermission
from lockwire.access.rights.rules import Rule

_HASH = "$sha256$AAAAAAAAAAAAAAAAAAAAAA==$47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def change(database: AccessDatabase, number: int) -> None:
    """The change of this number: users come with groups, rules and permissions, and go with all of them."""
    round_, step = divmod(number, 4)
    name = f"user{round_}"
    if step == 0:
        database.add(User(name, _HASH, ("monitoring", "management")), [f"group{n}" for n in range(5)])
    elif step == 1:
        database.add_rules(Rule(f"user:{name}", ("publish",), f"{name}/{n}") for n in range(20))
    elif step == 2:
        resource = ResourcePermission("a", "b", "c")
        database.set_permissions(name, resource, [TopicPermission(f"x{n}", "r", "w") for n in range(5)])
    elif round_ % 3:
        database.delete(name)
    else:
        database.add_psk(name, bytes(32))


def shown(database: AccessDatabase) -> object:
    """Everything in a database that its changes make."""
    policy = database.policy()
    keys = [(identity, database.psk_key(identity)) for identity in database.psk_identities]
    return sorted(database, key=lambda user: user.name), dict(database.rules), policy, keys


if __name__ == "__main__":
    opened = AccessDatabase(Path(sys.argv[1]))
    following = int(sys.argv[2])
    while True:
        change(opened, following)
        print(following, flush=True)
        following += 1
