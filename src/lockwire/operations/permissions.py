"""Operations of `lockwire access`, and of the rules of `lockwire user`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from lockwire.access.database.users import TAGS
from lockwire.access.errors import RuleError
from lockwire.access.identity import (
    ANONYMOUS_IDENTITY,
    ANONYMOUS_NAME,
    CERTIFICATE,
    PASSWORD,
    PSK,
    Identity,
)
from lockwire.access.rights.explain import explain
from lockwire.access.rights.rules import (
    ALLOW,
    ANY_RETAIN,
    DENY,
    EVERY_QOS,
    GROUP,
    RECEIVE,
    RIGHTS,
    SUBSCRIBE,
    TAG,
    USER,
    Rule,
    parse_rules,
    rule_fields,
    rules_text,
)
from lockwire.control import Arguments, ControlError
from lockwire.household import Household
from lockwire.mqtt.errors import MqttError
from lockwire.mqtt.topics import validate_topic_filter, validate_topic_name
from lockwire.operations.arguments import flag, integer, integers, optional_text, text, texts
from lockwire.operations.outcome import AccessChanged, Operation, Outcome
from lockwire.operations.users import notes_on_unknown

ALL: Final = "all"


def rules(household: Household, arguments: Arguments) -> Outcome:
    """Gives the rules with their numbers: who (None: everybody's)."""
    who = optional_text(arguments, "who")
    return Outcome(_shown({n: rule for n, rule in household.access.rules.items() if who in (None, rule.who)}))


def allow(household: Household, arguments: Arguments) -> Outcome:
    """Adds a rule that allows: who, rights, topics or regexp, qos, retain, note; gives it, and notes."""
    return _add(household, arguments, ALLOW)


def deny(household: Household, arguments: Arguments) -> Outcome:
    """Adds a rule that refuses; as `allow`."""
    return _add(household, arguments, DENY)


def remove(household: Household, arguments: Arguments) -> Outcome:
    """Removes rules: ids (their numbers); gives what they said."""
    ids = integers(arguments, "ids")
    removed = household.access.remove_rules(ids)
    return Outcome(
        _shown(dict(zip(dict.fromkeys(ids), removed, strict=True))),
        (AccessChanged(),),
        log="rules removed",
        fields=(("rules", ", ".join(map(str, ids))),),
    )


def export_rules(household: Household, arguments: Arguments) -> Outcome:
    """Gives all rules as the text of a file."""
    return Outcome(rules_text(household.access.rules.values()))


def import_rules(household: Household, arguments: Arguments) -> Outcome:
    """Adds the rules of a file: file (its name), text, replace (instead of all others); gives how many."""
    found = parse_rules(Path(text(arguments, "file")), text(arguments, "text").encode())
    before = len(household.access.rules)
    if flag(arguments, "replace"):
        household.access.replace_rules(found)
        counts = {"added": len(household.access.rules), "removed": before}
    else:
        household.access.add_rules(found)
        counts = {"added": len(household.access.rules) - before, "removed": 0}
    return Outcome(counts, (AccessChanged(),), log="rules imported", fields=tuple(counts.items()))


def groups(household: Household, arguments: Arguments) -> Outcome:
    """Gives the groups: who is in them, and how many rules they have."""
    members = household.access.groups
    all_rules = [rule.who for rule in household.access.rules.values()]
    named = {who.removeprefix(GROUP) for who in all_rules if who.startswith(GROUP)}
    return Outcome(
        [
            {"group": group, "members": members.get(group, []), "rules": all_rules.count(GROUP + group)}
            for group in sorted(named | set(members))
        ]
    )


def _add(household: Household, arguments: Arguments, effect: str) -> Outcome:
    qos = integers(arguments, "qos") or list(EVERY_QOS)
    rule = Rule(
        who=text(arguments, "who"),
        may=(),
        topics=optional_text(arguments, "topics") or "",
        note=optional_text(arguments, "note") or "",
        effect=effect,
        qos=tuple(sorted(set(qos))),
        retain=optional_text(arguments, "retain") or ANY_RETAIN,
        regexp=optional_text(arguments, "regexp") or "",
    )
    rule = replace(rule, may=_rights(texts(arguments, "rights"), rule))
    before = len(household.access.rules)
    try:
        number = household.access.add_rules([rule])[0]
    except RuleError as error:
        raise ControlError(error.problem, f"Expected: {error.expected}", bad_input=True) from error
    is_new = len(household.access.rules) > before
    return Outcome(
        {"rule": _shown({number: rule})[0], "new": is_new, "notes": _notes(household, rule)},
        (AccessChanged(),),
        log=f"rule added: {effect}",
        fields=(("rule", number), ("who", rule.who), ("topics", rule.topics or rule.regexp)),
    )


def _rights(words: list[str], rule: Rule) -> tuple[str, ...]:
    """What words like "all" stand for: without receiving a subscription is of no use."""
    wanted = set(RIGHTS) if ALL in words else set(words)
    unknown = sorted(wanted - set(RIGHTS))
    if unknown:
        raise ControlError(
            f"There is no right {unknown[0]!r}", f"Say {', '.join(RIGHTS)} or all", bad_input=True
        )
    conditional = rule.qos != EVERY_QOS or rule.retain != ANY_RETAIN
    if SUBSCRIBE in wanted and not (rule.effect == DENY and conditional):
        wanted.add(RECEIVE)
    return tuple(right for right in RIGHTS if right in wanted)


def _notes(household: Household, rule: Rule) -> list[str]:
    if rule.who.startswith(USER):
        return notes_on_unknown(household, rule.who.removeprefix(USER))
    if rule.who.startswith(GROUP) and rule.who.removeprefix(GROUP) not in household.access.groups:
        return [f"Nobody is in the group {rule.who.removeprefix(GROUP)!r} yet."]
    if rule.who.startswith(TAG) and rule.who.removeprefix(TAG) not in TAGS:
        return [f"There is no tag {rule.who.removeprefix(TAG)!r}; there are: {', '.join(TAGS)}."]
    return []


def check(household: Household, arguments: Arguments) -> Outcome:
    """Says whether a client may do something: user, action, topic, client_id, qos, retain, cn, device.

    client_id: None: the user's name. cn: the common name of its certificate. device: it is known by that.
    Gives allowed, the number of the rule that decided, and an explanation.
    """
    name, action, topic = (text(arguments, field) for field in ("user", "action", "topic"))
    _check_action(action, topic)
    identity = _identity(household, name, optional_text(arguments, "cn") or "", flag(arguments, "device"))
    client_id = optional_text(arguments, "client_id") or name
    found = explain(
        household.policy(),
        identity,
        client_id,
        action,
        topic,
        integer(arguments, "qos", 0),
        flag(arguments, "retain"),
    )
    numbers = [number for number, rule in household.access.rules.items() if rule == found.rule]
    notes = [] if name == ANONYMOUS_NAME else notes_on_unknown(household, name)
    if found.rule is None and not found.allowed and household.plugin_decides:
        notes.append(
            "No rule decides it, so the broker asks the plug-in ([plugin] authorize), which may allow it."
        )
    answer = {"allowed": found.allowed, "rule": numbers[0] if numbers else None, "text": found.text}
    return Outcome({**answer, "known_by": identity.method, "notes": notes})


def _identity(household: Household, name: str, common_name: str, device: bool) -> Identity:
    """Who a client of this name would be: a user, where there is one, before a device."""
    if name == ANONYMOUS_NAME:
        return ANONYMOUS_IDENTITY
    user = household.access.get(name)
    if device or (user is None and household.has_device(name)):
        return Identity(name, CERTIFICATE, common_name=common_name or name)
    if user is None and household.access.psk_key(name) is not None:
        return Identity(name, PSK)
    return Identity(name, PASSWORD, user is not None and user.administrator, common_name)


def _check_action(action: str, topic: str) -> None:
    if action not in RIGHTS:
        raise ControlError(f"There is no right {action!r}", f"Say {', '.join(RIGHTS)}", bad_input=True)
    try:
        if action == SUBSCRIBE:
            validate_topic_filter(topic)
        else:
            validate_topic_name(topic.encode(errors="surrogatepass"))
    except MqttError as error:
        remedy = "Name one topic; filters with + and # are for subscribe" if action != SUBSCRIBE else ""
        raise ControlError(
            f"{topic!r} is no {'filter' if action == SUBSCRIBE else 'topic'}: {error.detail}",
            remedy,
            bad_input=True,
        ) from error


def _shown(numbered: Mapping[int, Rule]) -> list[dict[str, object]]:
    return [{"id": number, **rule_fields(rule)} for number, rule in numbered.items()]


OPERATIONS: Final[dict[str, Operation]] = {
    "access.rules": rules,
    "access.allow": allow,
    "access.deny": deny,
    "access.remove": remove,
    "access.export": export_rules,
    "access.import": import_rules,
    "access.groups": groups,
    "access.check": check,
}
