"""The narrowest readable rules for what was seen, and what would change by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lockwire.access.authorizer import REFUSED, AccessAuthorizer
from lockwire.access.identity import Identity
from lockwire.access.learning.recorder import Record
from lockwire.access.learning.shapes import readable
from lockwire.access.rights.placeholders import Template, has_placeholder, values_of
from lockwire.access.rights.policy import Policy
from lockwire.access.rights.rules import (
    ALLOW,
    ANONYMOUS,
    ANY_RETAIN,
    EVERYONE,
    GROUP,
    NEVER_RETAIN,
    PUBLISH,
    RECEIVE,
    RIGHTS,
    SUBSCRIBE,
    USER,
    Rule,
    covers,
)

VARIES: Final = 8
"""So many different levels in one place are rules of their own; more become `+`."""
NOTE: Final = "learned"

_RETAINED: Final = 0b111000
_READ: Final = (SUBSCRIBE, RECEIVE)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was seen: who did what with which topic, or topic filter."""

    who: str
    action: str
    topic: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What learning comes to.

    rules: to be added. replaced: the broader ones, by their numbers, whose place they take. denied: what was
    seen and would be refused. unseen: names that did nothing and would lose what `replaced` allows them.
    wider: subscriptions of which only a part came: who, filter, and what was received.
    """

    rules: tuple[Rule, ...]
    replaced: Mapping[int, Rule]
    denied: tuple[Fact, ...]
    unseen: tuple[str, ...]
    wider: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Grant:
    """One permission that somebody needs."""

    topics: str
    may: tuple[str, ...]
    retain: str = ANY_RETAIN


def propose(
    records: Sequence[Record],
    rules: Mapping[int, Rule],
    policy: Policy,
    *,
    names: Iterable[str] = (),
    keep: Iterable[int] = (),
    narrow: bool = False,
) -> Proposal:
    """The rules for these records.

    rules: those of the access database by number; policy: all that counts. names: of users, devices and
    pre-shared keys. keep: rules that stay. narrow: subscriptions with wildcards become what was received.
    """
    needed: dict[str, dict[_Grant, None]] = {}
    wider: list[tuple[str, str, tuple[str, ...]]] = []
    for record in records:
        grants, part = _grants(record, narrow)
        needed.setdefault(record.who, {}).update(dict.fromkeys(grants))
        wider.extend((record.who, topics, received) for topics, received in part)
    # whoever has permissions of RabbitMQ's kind gets nothing from rules for everyone
    apart = {*policy.resources, *policy.topic_permissions}
    known = {replace(rule, note=NOTE): rule for rule in rules.values()}
    proposed = [known.get(rule, rule) for rule in _tidy(_assign(needed, policy, apart), apart)]
    replaced = _replaced(rules, needed, policy, frozenset(proposed), frozenset(keep))
    there = frozenset(rules.values())
    new = tuple(rule for rule in proposed if rule not in there)
    gone = frozenset(replaced.values())
    left = [rule for rule in policy.rules if rule not in gone]
    after = AccessAuthorizer(replace(policy, rules=(*left, *proposed)))
    everyone = any(rule.who == EVERYONE for rule in replaced.values())
    seen = {record.identity.name for record in records}
    return Proposal(
        new,
        replaced,
        tuple(fact for record in records for fact in _denied(record, after)),
        tuple(sorted(set(names) - seen)) if everyone else (),
        tuple(sorted(wider)),
    )


# -- what somebody needs


def _grants(record: Record, narrow: bool) -> tuple[list[_Grant], list[tuple[str, tuple[str, ...]]]]:
    """The permissions for a record, and the subscriptions of which only a part came."""
    found = []
    for topics, bits in readable(record.published, VARIES).items():
        retain = ANY_RETAIN if bits & _RETAINED else NEVER_RETAIN
        found.append(_Grant(topics, (PUBLISH,), retain))
    received = readable(record.received, VARIES)
    left = set(received)
    part = []
    for topics in readable(record.subscribed, VARIES):
        came = tuple(sorted(each for each in received if covers(topics, each)))
        left.difference_update(came)
        only = bool(came) and topics not in came and ("+" in topics or "#" in topics)
        if only:
            part.append((topics, came))
        found.extend(_Grant(each, _READ) for each in (came if only and narrow else (topics,)))
    # of subscriptions that were made before
    found.extend(_Grant(topics, _READ) for topics in left)
    return found, part


# -- who gets it


def _assign(needed: Mapping[str, Iterable[_Grant]], policy: Policy, apart: set[str]) -> list[Rule]:
    users: dict[_Grant, set[str]] = {}
    found: list[Rule] = []
    for who, grants in needed.items():
        for grant in grants:
            if who.startswith(USER):
                users.setdefault(grant, set()).add(who.removeprefix(USER))
            else:
                found.append(_rule(who, grant))
    everybody = {who.removeprefix(USER) for who in needed if who.startswith(USER)}
    members = _members(policy, everybody)
    for grant, names in users.items():
        found.extend(_rule(who, grant) for who in _audiences(grant, names, everybody, members, apart))
    return found


def _members(policy: Policy, everybody: set[str]) -> dict[str, set[str]]:
    """The groups, with those of their members that were seen."""
    groups: dict[str, set[str]] = {}
    for name in everybody:
        for group in policy.groups.get(name, ()):
            groups.setdefault(group, set()).add(name)
    return groups


def _audiences(
    grant: _Grant,
    names: set[str],
    everybody: set[str],
    members: Mapping[str, set[str]],
    apart: set[str],
) -> list[str]:
    """Whom a permission that several need is given to: everyone, groups all of whom need it, or each."""
    common = names - apart
    own = has_placeholder(grant.topics)
    if len(common) > 1 and (own or (len(common) > 2 and common == everybody - apart)):
        return [EVERYONE, *(USER + name for name in names & apart)]
    left = set(names)
    found = []
    for group in sorted(members, key=lambda each: (-len(members[each]), each)):
        if len(members[group] & left) > 1 and members[group] <= names:
            found.append(GROUP + group)
            left -= members[group]
    return [*found, *(USER + name for name in left)]


def _rule(who: str, grant: _Grant) -> Rule:
    return Rule(who, grant.may, grant.topics, NOTE, retain=grant.retain)


# -- as few rules as say the same


def _tidy(rules: Iterable[Rule], apart: set[str]) -> list[Rule]:
    """Joins rules for the same topics, leaves out those that others say, sorts them."""
    joined: dict[str, dict[str, Rule]] = {}
    for rule in rules:
        same = joined.setdefault(rule.who, {})
        other = same.get(rule.topics)
        same[rule.topics] = rule if other is None else _joined(rule, other)
    everyone = list(joined.get(EVERYONE, {}).values())
    kept = []
    for who, same in joined.items():
        above = everyone if who.startswith(USER) and who.removeprefix(USER) not in apart else []
        for rule in same.values():
            others = (other for other in (*above, *same.values()) if other is not rule)
            if not any(_says(other, rule) for other in others):
                kept.append(rule)
    return sorted(kept, key=lambda rule: (_rank(rule.who), rule.who, rule.topics))


def _joined(one: Rule, other: Rule) -> Rule:
    may = tuple(right for right in RIGHTS if right in one.may or right in other.may)
    retains = {rule.retain for rule in (one, other) if PUBLISH in rule.may}
    return replace(one, may=may, retain=retains.pop() if len(retains) == 1 else ANY_RETAIN)


def _says(wider: Rule, rule: Rule) -> bool:
    """Whether one rule allows all that another one does, to the same clients."""
    if not set(rule.may) <= set(wider.may) or not covers(wider.topics, rule.topics):
        return False
    return PUBLISH not in rule.may or wider.retain in (ANY_RETAIN, rule.retain)


def _rank(who: str) -> int:
    return next(n for n, start in enumerate((EVERYONE, GROUP, ANONYMOUS, USER)) if who.startswith(start))


# -- what goes for it


def _replaced(
    rules: Mapping[int, Rule],
    needed: Mapping[str, object],
    policy: Policy,
    proposed: frozenset[Rule],
    keep: frozenset[int],
) -> dict[int, Rule]:
    """The rules that allow more to those who were seen than they need."""
    users = [who.removeprefix(USER) for who in needed if who.startswith(USER)]
    concerned = {*needed, *(GROUP + group for name in users for group in policy.groups.get(name, ()))}
    if users:
        concerned.add(EVERYONE)
    return {
        number: rule
        for number, rule in rules.items()
        if rule.who in concerned
        and rule.effect == ALLOW
        and number not in keep
        and rule not in proposed
        and not rule.topics.startswith("$")
    }


# -- the proof


def _denied(record: Record, after: AccessAuthorizer) -> list[Fact]:
    """What was seen of an identity and the rules would refuse. Each shape is tried with one topic."""
    identity = record.identity
    if not identity.name:
        return []  # many share the record: nobody's names can be tried
    found = []
    for topics, bits in sorted(record.published.items()):
        topic = _sample(topics, identity, record.client_id)
        mask = after.publish_mask(identity, record.client_id, topic.encode())
        if bits & ~mask:
            found.append(Fact(record.who, PUBLISH, topics))
    for topics, bits in sorted(record.subscribed.items()):
        topic_filter = _expanded(topics, identity, record.client_id)
        qos = bits.bit_length() - 1
        if after.granted_qos(identity, record.client_id, topic_filter, qos) == REFUSED:
            found.append(Fact(record.who, SUBSCRIBE, topics))
    for topics in sorted(record.received):
        topic = _sample(topics, identity, record.client_id)
        if not after.may_receive(identity, record.client_id, topic.encode()):
            found.append(Fact(record.who, RECEIVE, topics))
    return found


def _expanded(topics: str, identity: Identity, client_id: str) -> str:
    text = Template(topics).expand(values_of(identity, client_id).of)
    return topics if text is None else text


def _sample(topics: str, identity: Identity, client_id: str) -> str:
    """A topic of a shape."""
    levels = _expanded(topics, identity, client_id).split("/")
    return "/".join("x" if level in ("+", "#") else level for level in levels)
