"""Why a client may or may not do something, in plain words: what `lockwire access check` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lockwire.access import identity as identities
from lockwire.access.authorizer import AccessAuthorizer, Inquiry
from lockwire.access.identity import Identity
from lockwire.access.rights.policy import Policy
from lockwire.access.rights.rules import PATTERN, PUBLISH, SUBSCRIBE, TAG, Rule, describe_rule
from lockwire.mqtt.topics import parse_shared

_VERBS: Final = {"publish": "publish to", "subscribe": "subscribe to", "receive": "receive messages of"}

ORDER: Final = (
    "Order of evaluation: all rules that concern the client are looked at, in no order; one that denies "
    "beats every one that allows; what none allows is refused."
)
FILTERED_ORDER: Final = (
    "Order of evaluation (a Mosquitto ACL): first the lines of the user, deny before the others; then the "
    "patterns, deny before the others; what none allows is refused. Every SUBSCRIBE is granted, and messages "
    "that may not be received are left out."
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision about one action.

    rule: the one that made it; None: no rule allows it. text: several lines for people.
    """

    allowed: bool
    rule: Rule | None
    text: str


def explain(
    policy: Policy,
    identity: Identity,
    client_id: str,
    action: str,
    topic: str,
    qos: int = 0,
    retain: bool = False,
) -> Explanation:
    """Says whether a client may do something, and why.

    action: "publish", "subscribe" or "receive". topic: a valid topic name; for "subscribe" a topic filter,
        which may be a shared one. qos, retain: of the PUBLISH or the SUBSCRIBE.

    Raises RuleError where the policy holds a rule that cannot be used.
    """
    inquiry = AccessAuthorizer(policy).inquire(identity, client_id, action, topic, qos, retain)
    lines = [_verdict(identity, client_id, action, topic, qos, retain, inquiry)]
    lines += _reasons(policy, identity, client_id, action, topic, qos, inquiry)
    lines.append(_concerned(policy, identity))
    lines.append(FILTERED_ORDER if policy.filtered else ORDER)
    return Explanation(inquiry.allowed, inquiry.rule, "\n".join(lines))


def _verdict(
    identity: Identity,
    client_id: str,
    action: str,
    topic: str,
    qos: int,
    retain: bool,
    inquiry: Inquiry,
) -> str:
    name = "The anonymous client" if identity.method == identities.ANONYMOUS else repr(identity.name)
    who = f"{name} with client id {client_id!r}"
    condition = ""
    if action == PUBLISH:
        condition = f" with QoS {qos}" + (" and RETAIN" if retain else "")
    elif action == SUBSCRIBE:
        condition = f" with QoS {inquiry.qos if inquiry.allowed else qos}"
    return f"{'Allowed' if inquiry.allowed else 'Refused'}: {who} may {'' if inquiry.allowed else 'not '}" + (
        f"{_VERBS[action]} {topic!r}{condition}."
    )


def _reasons(
    policy: Policy, identity: Identity, client_id: str, action: str, topic: str, qos: int, inquiry: Inquiry
) -> list[str]:
    lines: list[str] = []
    if inquiry.rule is not None:
        does = "allows" if inquiry.rule.effect == "allow" else "denies"
        lines.append(f"The rule that {does} it: {describe_rule(inquiry.rule)}")
        if inquiry.rule.note:
            lines.append(f"Its note: {inquiry.rule.note}")
    if action == SUBSCRIBE:
        lines += _about_subscription(policy, topic, qos, inquiry)
    elif action == PUBLISH and topic.startswith("$"):
        lines.append("Nobody publishes to topics that begin with $: they are the broker's own.")
    elif inquiry.rule is None:
        lines.append("No rule that concerns this client allows it.")
    if not inquiry.allowed and inquiry.rule is None:
        lines += _unusable(policy, identity, client_id)
    return lines


def _about_subscription(policy: Policy, topic_filter: str, qos: int, inquiry: Inquiry) -> list[str]:
    if policy.filtered:
        return ["Messages are filtered when they are delivered: check receive for a topic."]
    shared = parse_shared(topic_filter)
    inner = topic_filter if shared is None else shared[1]
    if inquiry.exhausted:
        return ["The filter and the rules together take too much work to compare, so it is refused."]
    if inquiry.allowed:
        if inquiry.qos < qos:
            lower = f"QoS {qos} was asked for, and QoS {inquiry.qos} is the highest that is allowed"
            return [f"{lower} for {inquiry.witness!r}."]
        return []
    if inquiry.witness is None or inquiry.witness == inner:
        return [] if inquiry.rule is not None else ["No rule that concerns this client allows it."]
    what = "it is denied" if inquiry.rule is not None else "no rule allows it"
    return [
        f"The filter also matches {inquiry.witness!r}, and {what}. A subscription needs the rights subscribe "
        "and receive for every topic that its filter can match."
    ]


def _concerned(policy: Policy, identity: Identity) -> str:
    """Whose rules were looked at."""
    if identity.method == identities.ANONYMOUS:
        found = ["anonymous"]
    else:
        permitted = identity.name in policy.resources or identity.name in policy.topic_permissions
        found = ["everyone (only those that deny)" if permitted else "everyone", f"user:{identity.name}"]
        if permitted:
            found.append("RabbitMQ's permissions of the user")
        found += [f"group:{group}" for group in policy.groups.get(identity.name, ())]
        if policy.tags and identity.realm == identities.PASSWORD:
            found += [TAG + tag for tag in policy.tags.get(identity.name, ())]
        elif identity.administrator:
            found.append("tag:administrator")
    found += [f"group:{group} (from the token or plug-in)" for group in identity.groups]
    if identity.rules:
        found.append(f"{len(identity.rules)} rules from the token or plug-in")
    if policy.filtered:
        found.append(PATTERN)
    return f"Rules looked at: {', '.join(found)}."


def _unusable(policy: Policy, identity: Identity, client_id: str) -> list[str]:
    """Says which names cannot stand in for a placeholder."""
    names = {"user name": identity.name, "client id": client_id, "common name": identity.common_name}
    wrong = [what for what, name in names.items() if any(each in name for each in "/+#")]
    personal = any("{" in (rule.topics or rule.regexp) for rule in policy.rules)
    if not wrong or not personal or policy.filtered:
        return []
    return [f"Rules with a placeholder for the {', '.join(wrong)} do not apply: it holds one of / + #."]
