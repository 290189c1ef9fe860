"""Rules in number for a fleet's users: each has some of its own, allowing and denying, about real topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.fleet import USERNAME, Setting
from bench.generator import Result
from lockwire.access.rights.rules import RIGHTS, Rule, write_rules


def rules_of(user: int, pairs: int) -> Iterator[Rule]:
    """Ten rules: what a pair of the load generator needs, and nine of the kinds that people have."""
    who = "user:" + USERNAME.replace("%u", str(user))
    yield Rule(who, RIGHTS, f"load/device{user % pairs:04d}/state")
    for number in range(3):
        yield Rule(who, RIGHTS, f"site{number}/{{username}}/#")
        yield Rule(who, ("subscribe", "receive"), f"command/+/group{user % 10}/{number}")
        yield Rule(who, ("publish",), f"site{number}/+/setpoint/{user}", effect="deny", qos=(0, 1))


def put_in_force(setting: Setting, options: Mapping[str, object]) -> Result:
    """Puts rules for all users in the place of those that there are, in the running broker."""
    path = setting.folder / "rules.json"
    pairs = int(str(options["pairs"]))
    rules = [rule for user in range(setting.fleet.users) for rule in rules_of(user, pairs)]
    write_rules(path, rules)
    return {"rules": len(rules), "import_seconds": setting.run("access", "import", "--replace", str(path))}
