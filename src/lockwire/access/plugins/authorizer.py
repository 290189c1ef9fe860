"""Rules first, then a plug-in: the authorizer where `[plugin] authorize` is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lockwire.access.authorizer import (
    ASK,
    EVERY_PUBLISH,
    NO_PUBLISH,
    REFUSED,
    AccessAuthorizer,
    Authorizer,
    publish_bit,
)
from lockwire.access.identity import Identity
from lockwire.access.plugins.cache import Cache
from lockwire.access.plugins.calls import Calls, Failure
from lockwire.access.plugins.protocol import Action, Plugin
from lockwire.access.rights.rules import PUBLISH, RECEIVE, SUBSCRIBE

REFUSAL_SECONDS: Final = 5.0
"""Refusals are used again no longer than this: whoever was just given a right need not wait."""

Question = tuple[Identity, str, Action, str, int, bool]


class PluginAuthorizer(Authorizer):
    """Asks the rules, and a plug-in about what no rule decides.

    A rule that denies always wins, for deliveries too. What no rule decides is the plug-in's at PUBLISH and
    SUBSCRIBE; a subscription that it granted stands, since a delivery cannot wait for it: messages of topics
    that no rule decides about go to whoever is subscribed.

    rules: asked first. plugin, calls, seconds: as for PluginAuthenticator.
    """

    def __init__(self, rules: AccessAuthorizer, plugin: Plugin, calls: Calls, seconds: float) -> None:
        super().__init__()
        self.rules = rules
        self._asked_of = rules.revision
        self._answers: Cache[Question, bool] = Cache()
        self.use(plugin, calls, seconds)

    def use(self, plugin: Plugin, calls: Calls, seconds: float) -> None:
        """Asks another plug-in from now on; no answer of the last one is used again."""
        self._plugin: Plugin | None = plugin
        self._calls = calls
        self._seconds = seconds
        self.forget()

    def rest(self) -> None:
        """Asks no plug-in any more: the rules decide alone."""
        self._plugin = None
        self.forget()

    def forget(self) -> None:
        """No answer is used again that was given up to now."""
        self._answers.clear()
        self.revision += 1

    def publish_mask(self, identity: Identity, client_id: str, topic: bytes) -> int:
        mask = self.rules.publish_mask(identity, client_id, topic)
        if mask == EVERY_PUBLISH or self._plugin is None:
            return mask
        return NO_PUBLISH if topic.startswith(b"$") else ASK

    def decide(
        self,
        identity: Identity,
        client_id: str,
        topic: bytes,
        qos: int,
        retain: bool,
        done: Callable[[bool], None],
    ) -> None:
        question: Question = (identity, client_id, "publish", topic.decode(), qos, retain)
        answer = self._remembered(question)
        if answer is None:
            if self.rules.publish_mask(identity, client_id, topic) & publish_bit(qos, retain):
                answer = True
            elif self.rules.inquire(identity, client_id, PUBLISH, question[3], qos, retain).rule is not None:
                answer = False
        if answer is None:
            self._ask(question, done)
        else:
            done(answer)

    def granted_qos(self, identity: Identity, client_id: str, topic_filter: str, qos: int) -> int:
        granted = self.rules.granted_qos(identity, client_id, topic_filter, qos)
        if granted != REFUSED or self._plugin is None:
            return granted
        found = self.rules.inquire(identity, client_id, SUBSCRIBE, topic_filter, qos, False)
        return REFUSED if found.rule is not None or found.exhausted else ASK

    def decide_subscription(
        self, identity: Identity, client_id: str, topic_filter: str, qos: int, done: Callable[[bool], None]
    ) -> None:
        question: Question = (identity, client_id, "subscribe", topic_filter, qos, False)
        answer = self._remembered(question)
        if answer is None:
            self._ask(question, done)
        else:
            done(answer)

    def may_receive(self, identity: Identity, client_id: str, topic: bytes) -> bool:
        if self.rules.may_receive(identity, client_id, topic):
            return True
        if self.rules.policy.filtered or self._plugin is None:
            return False
        return self.rules.inquire(identity, client_id, RECEIVE, topic.decode(), 0, False).rule is None

    def refusal(
        self, identity: Identity, client_id: str, action: str, topic: str, qos: int, retain: bool
    ) -> str:
        found = self.rules.inquire(identity, client_id, action, topic, qos, retain)
        if self._plugin is None or found.rule is not None or found.exhausted or topic.startswith("$"):
            return self.rules.refusal(identity, client_id, action, topic, qos, retain)
        return "neither a rule nor the plug-in allows it"

    def _remembered(self, question: Question) -> bool | None:
        if self._asked_of != self.rules.revision:
            self._asked_of = self.rules.revision
            self._answers.clear()
        return self._answers.get(question)

    def _ask(self, question: Question, done: Callable[[bool], None]) -> None:
        plugin = self._plugin
        if plugin is None:
            done(False)
            return
        revision = self.revision, self.rules.revision

        def answered(answer: bool | Failure) -> None:
            allowed = answer is True
            if isinstance(answer, bool) and revision == (self.revision, self.rules.revision):
                self._answers.put(
                    question, allowed, self._seconds if allowed else min(self._seconds, REFUSAL_SECONDS)
                )
            done(allowed)

        identity, client_id, action, topic, qos, retain = question
        self._calls.ask(lambda: plugin.authorize(identity, client_id, action, topic, qos, retain), answered)
