"""The seam between the broker and whoever decides what a client may do, and the rules' answers to it.

`Authorizer` is the seam. `AccessAuthorizer` answers from a policy: of the rules that apply to a client, one
that denies beats every one that allows, and what none allows is refused (docs/permissions.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import mypyc_attr

from lockwire.access import identity as identities
from lockwire.access.errors import RuleError
from lockwire.access.identity import Identity
from lockwire.access.rights import rules as words
from lockwire.access.rights.coverage import Cover, cover
from lockwire.access.rights.evaluator import Found, Subject, Topic
from lockwire.access.rights.masks import (
    EVERY_PUBLISH,
    EVERYTHING,
    RECEIVE,
    highest_qos,
    is_refused,
    publish_bit,
    subscription_bits,
)
from lockwire.access.rights.placeholders import Template, Values, values_of
from lockwire.access.rights.policy import Policy
from lockwire.access.rights.rabbitmq import check_resources, check_topics, rules_of, subscribable
from lockwire.access.rights.rules import Rule, describe_rule
from lockwire.mqtt.topics import matches, parse_shared

__all__ = [
    "ASK",
    "EVERY_PUBLISH",
    "NO_PUBLISH",
    "REFUSED",
    "AccessAuthorizer",
    "Authorizer",
    "Inquiry",
    "publish_bit",
]

NO_PUBLISH: Final = 0
ASK: Final = -1
REFUSED: Final = -2

LARGEST_EXPRESSIONS: Final = 20_000
"""How large the regular expressions for one user, group or tag may be together (`regexp_syntax.size`)."""
PRESENTED: Final = 1024
"""Sets of rules from tokens and plug-ins that are kept ready for use."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Authorizer:
    """Decides what an identity may do. The base class refuses everything."""

    revision: int
    """Changes whenever an answer given earlier may have become wrong: whoever caches answers compares it."""

    def __init__(self) -> None:
        self.revision = 0

    def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
        """What may be published to a topic: bit `qos + 3 * retain` set where allowed; -1: ask `decide`."""
        return NO_PUBLISH

    def decide(
        self,
        identity: Identity,
        client_id: str,
        topic: bytes,
        qos: int,
        retain: bool,
        done: Callable[[bool], None],
    ) -> None:
        """Decides about one PUBLISH where `publish_mask` answered -1; calls `done` exactly once."""
        done(False)

    def granted_qos(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> int:
        """The highest QoS, `qos` at most, that a subscription may be made with; REFUSED; ASK:
        `decide_subscription` knows.

        topic_filter: valid; a shared one with its `$share/name/`. It is granted only if every topic that the
            filter can match may be subscribed to and received.
        """
        return REFUSED

    def decide_subscription(
        self, identity: Identity, client_id: str, topic_filter: str, qos: int, done: Callable[[bool], None]
    ) -> None:
        """Decides about one subscription where `granted_qos` answered ASK; calls `done` exactly once."""
        done(False)

    def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
        """Whether a message of this topic may be delivered, asked for queued ones and wills once more."""
        return False

    def refusal(
        self, identity: Identity, client_id: str, action: str, topic: str, qos: int, retain: bool
    ) -> str:
        """Why a "publish" or "subscribe" was refused, for the record of it; "" where that is not known."""
        return ""


class Inquiry:
    """A decision and what made it.

    rule: the one that allows or denies; None: no rule allows it. qos: what a SUBSCRIBE gets, or REFUSED.
    witness: a topic that the filter of a SUBSCRIBE matches and for which it is refused, or its QoS lowered.
    exhausted: it would have taken too much work to tell.
    """

    def __init__(self, allowed: bool, rule: Rule | None) -> None:
        self.allowed = allowed
        self.rule = rule
        self.qos: int = REFUSED
        self.witness: str | None = None
        self.exhausted: bool = False


class AccessAuthorizer(Authorizer):
    """Answers from a policy, with what changes of it rebuilt alone."""

    def __init__(self, policy: Policy | None = None) -> None:
        """Raises RuleError as `set_policy`."""
        super().__init__()
        self.policy: Policy = Policy()
        self._subjects: dict[str, Subject] = {}
        self._everyone_denies: Subject = Subject(())
        self._permitted: dict[tuple[str, tuple[int, ...]], Subject] = {}
        self._presented: dict[tuple[Rule, ...], Subject] = {}
        self._topic: Topic = Topic(b"")
        if policy is not None:
            self.set_policy(policy)

    def set_policy(self, policy: Policy) -> None:
        """Puts a policy in force at once; `revision` changes.

        Raises RuleError, and leaves everything as it was, where a regular expression cannot be used.
        """
        by_who: dict[str, list[Rule]] = {}
        for rule in policy.rules:
            by_who.setdefault(rule.who, []).append(rule)
        subjects: dict[str, Subject] = {}
        for who, rules in by_who.items():
            subjects[who] = _subject(who, tuple(rules), self._subjects.get(who))
        self._check_permissions(policy)
        everyone = by_who.get(words.EVERYONE, [])
        denies = tuple([rule for rule in everyone if rule.effect == words.DENY])
        self._everyone_denies = _subject(words.EVERYONE, denies, self._everyone_denies)
        self._subjects = subjects
        self._permitted = {}
        self.policy = policy
        self.revision += 1

    def _check_permissions(self, policy: Policy) -> None:
        before = self.policy
        for name, permission in policy.resources.items():
            if before.resources.get(name) != permission:
                check_resources(permission)
        for name, permissions in policy.topic_permissions.items():
            if before.topic_permissions.get(name) != permissions:
                for each in permissions:
                    check_topics(each)

    # -- the broker's questions --------------------------------------------------------------------

    def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
        if topic.startswith(b"$"):
            return NO_PUBLISH
        return self._allowed(identity, client_id, topic) & EVERY_PUBLISH

    def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
        return self._allowed(identity, client_id, topic) & RECEIVE != 0

    def granted_qos(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> int:
        if self.policy.filtered:
            return qos
        found = self._cover(identity, client_id, topic_filter, qos)
        return REFUSED if is_refused(found.granted) else highest_qos(found.granted)

    def _cover(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> Cover:
        shared = parse_shared(topic_filter)
        inner = topic_filter if shared is None else shared[1]
        subjects = self._subjects_of(identity, client_id, True)
        return cover(subjects, inner, values_of(identity, client_id), subscription_bits(qos))

    def _allowed(self, identity: Identity, client_id: str, name: bytes) -> int:
        topic = self._topic
        if topic.name != name:
            topic = Topic(name)
            self._topic = topic
        found = Found(False)
        values = values_of(identity, client_id)
        for subject in self._subjects_of(identity, client_id, False):
            subject.judge(topic, values, found)
        allowed = found.allow & ~found.deny
        if not self.policy.filtered:
            return allowed
        undecided = EVERYTHING & ~(found.allow | found.deny)
        if not undecided:
            return allowed
        found = Found(False)
        self._judge_patterns(identity, client_id, topic, values, found)
        return allowed | (undecided & found.allow & ~found.deny)

    # -- who the rules apply to --------------------------------------------------------------------

    def _subjects_of(self, identity: Identity, client_id: str, to_subscribe: bool) -> list[Subject]:
        """The rules that apply to a client. to_subscribe: with those for SUBSCRIBE of RabbitMQ's kind."""
        policy = self.policy
        found: list[Subject] = []
        if identity.method == identities.ANONYMOUS:
            self._join(found, words.ANONYMOUS)
        else:
            name = identity.name
            if name in policy.resources or name in policy.topic_permissions:
                found.append(self._everyone_denies)
                found.append(self._permitted_to(name, client_id, to_subscribe))
            else:
                self._join(found, words.EVERYONE)
            self._join(found, words.USER + name)
            for group in policy.groups.get(name, ()):
                self._join(found, words.GROUP + group)
            for tag in self._tags_of(identity):
                self._join(found, words.TAG + tag)
        for group in identity.groups:
            self._join(found, words.GROUP + group)
        if identity.rules:
            found.append(self._presented_by(identity.rules))
        return found

    def _join(self, found: list[Subject], who: str) -> None:
        subject = self._subjects.get(who)
        if subject is not None:
            found.append(subject)

    def _tags_of(self, identity: Identity) -> tuple[str, ...]:
        """Tags are a user's: a device that has the name of one has none."""
        tags = self.policy.tags
        if tags and identity.realm == identities.PASSWORD:
            return tags.get(identity.name, ())
        return _ADMINISTRATOR if identity.administrator else ()

    def _permitted_to(self, name: str, client_id: str, to_subscribe: bool) -> Subject:
        """What RabbitMQ's permissions of a user amount to."""
        permission = self.policy.resources.get(name)
        qos: tuple[int, ...] = ()
        if to_subscribe and permission is not None:
            qos = subscribable(permission, client_id)
        subject = self._permitted.get((name, qos))
        if subject is None:
            topics = self.policy.topic_permissions.get(name, ())
            subject = Subject(rules_of(name, permission, topics, qos))
            self._permitted[(name, qos)] = subject
        return subject

    def _presented_by(self, rules: tuple[Rule, ...]) -> Subject:
        """The rules that came with a token or from a plug-in; unusable ones deny everything."""
        subject = self._presented.get(rules)
        if subject is None:
            try:
                subject = _subject("a token or plug-in", rules, None)
            except RuleError:
                subject = Subject(())
                subject.denies = EVERYTHING
            if len(self._presented) >= PRESENTED:
                self._presented.clear()
            self._presented[rules] = subject
        return subject

    def _judge_patterns(
        self, identity: Identity, client_id: str, topic: Topic, values: Values, found: Found
    ) -> None:
        """The second tier of a Mosquitto ACL.

        A name with a wildcard gets nothing from it; one with `/` makes several levels, as in Mosquitto.
        """
        subject = self._subjects.get(words.PATTERN)
        if subject is None:
            return
        username = "" if identity.method == identities.ANONYMOUS else identity.name
        names = username + client_id
        if "+" in names or "#" in names:
            return
        if "/" not in names:
            subject.judge(topic, values, found)
            return
        name = topic.name.decode()
        for rule in subject.rules:
            expanded = Template(rule.topics).expand([username, client_id, identity.common_name])
            if expanded is None or (topic.dollar and not rule.topics.startswith("$")):
                continue
            if matches(expanded, name):
                found.add(rule)

    # -- explanations ------------------------------------------------------------------------------

    def inquire(
        self, identity: Identity, client_id: str, action: str, topic: str, qos: int, retain: bool
    ) -> Inquiry:
        """The decision about one action, and the rule that made it; slower than the broker's questions.

        action: "publish", "subscribe" or "receive". topic: a topic filter, for "subscribe".
        """
        if action == words.SUBSCRIBE:
            return self._inquire_subscription(identity, client_id, topic, qos)
        bit = RECEIVE if action == words.RECEIVE else publish_bit(qos, retain)
        name = topic.encode()
        if action == words.PUBLISH:
            allowed = self.publish_mask(identity, client_id, name) & bit != 0
        else:
            allowed = self.may_receive(identity, client_id, name)
        if action == words.PUBLISH and topic.startswith("$"):
            return Inquiry(False, None)
        return Inquiry(allowed, self._decisive(identity, client_id, topic, bit, allowed, False))

    def refusal(
        self, identity: Identity, client_id: str, action: str, topic: str, qos: int, retain: bool
    ) -> str:
        found = self.inquire(identity, client_id, action, topic, qos, retain)
        if action == words.PUBLISH and topic.startswith("$"):
            return "nobody publishes to topics that begin with $"
        if found.exhausted:
            return "the filter and the rules take too much work to compare"
        also = ""
        if found.witness is not None and found.witness != topic:
            also = f" {found.witness!r}, which the filter matches"
        if found.rule is None:
            return f"no rule allows{also or ' it'}"
        return f"a rule denies{also or ' it'}: {describe_rule(found.rule)}"

    def _inquire_subscription(
        self, identity: Identity, client_id: str, topic_filter: str, qos: int
    ) -> Inquiry:
        if self.policy.filtered:
            found = Inquiry(True, None)
            found.qos = qos
            return found
        cover = self._cover(identity, client_id, topic_filter, qos)
        allowed = not is_refused(cover.granted)
        sample = _sample(topic_filter) if allowed else cover.witness
        wanted = subscription_bits(qos)
        rule: Rule | None = None
        if sample is not None:
            rule = self._decisive(identity, client_id, sample, wanted, allowed, True)
        found = Inquiry(allowed, rule)
        found.qos = highest_qos(cover.granted) if allowed else REFUSED
        found.witness = cover.witness
        found.exhausted = cover.exhausted
        return found

    def _decisive(
        self, identity: Identity, client_id: str, topic: str, bits: int, allowed: bool, to_subscribe: bool
    ) -> Rule | None:
        """The first rule that allows, or denies, some of the bits; None where no rule did."""
        parsed = Topic(topic.encode(errors="replace"))
        values = values_of(identity, client_id)
        found = Found(True)
        for subject in self._subjects_of(identity, client_id, to_subscribe):
            subject.judge(parsed, values, found)
        rule = found.first(bits, allowed)
        if rule is None and self.policy.filtered:
            found = Found(True)
            self._judge_patterns(identity, client_id, parsed, values, found)
            rule = found.first(bits, allowed)
        return rule


_ADMINISTRATOR: Final = ("administrator",)


def _sample(topic_filter: str) -> str:
    """A topic that a filter matches."""
    shared = parse_shared(topic_filter)
    inner = topic_filter if shared is None else shared[1]
    return "/".join(["x" if level in ("+", "#") else level for level in inner.split("/")])


def _subject(who: str, rules: tuple[Rule, ...], before: Subject | None) -> Subject:
    """The subject of these rules: the one that there is, where they are the same."""
    if before is not None and before.rules == rules:
        return before
    subject = Subject(rules)
    if subject.size > LARGEST_EXPRESSIONS:
        raise RuleError(
            f"the regular expressions for {who} are too large together",
            "topic filters instead of some of them",
        )
    return subject
