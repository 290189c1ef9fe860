"""Operations of `lockwire access learn`."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Final

from lockwire.access.learning.proposal import Fact, Proposal, propose
from lockwire.access.rights.rules import Rule, parse_rules, rule_fields, rules_text
from lockwire.control import Arguments, ControlError
from lockwire.household import Household
from lockwire.operations.arguments import flag, integers, text
from lockwire.operations.outcome import AccessChanged, LearningChanged, Operation, Outcome
from lockwire.pki.authority.profiles import CLIENT

SHOWN: Final = 100
"""Facts and names of each kind that an answer lists."""


def start(household: Household, arguments: Arguments) -> Outcome:
    """Begins to learn, or goes on: fresh (what was seen before is forgotten); gives how much was seen."""
    learning = household.learning
    learning.start(flag(arguments, "fresh"))
    return Outcome(_state(household), (LearningChanged(),), log="learning started")


def stop(household: Household, arguments: Arguments) -> Outcome:
    """Ends learning; what was seen stays."""
    household.learning.stop()
    return Outcome(_state(household), (LearningChanged(),), log="learning stopped")


def show(household: Household, arguments: Arguments) -> Outcome:
    """Gives the proposal: keep (numbers of rules that stay), narrow."""
    proposal = _proposal(household, arguments)
    return Outcome({**_state(household), **_fields(proposal)})


def apply(household: Household, arguments: Arguments) -> Outcome:
    """Does what was shown, in one transaction: rules and replaced, as texts of `show`."""
    added = parse_rules(Path("the proposal"), text(arguments, "rules").encode())
    gone = parse_rules(Path("the proposal"), text(arguments, "replaced").encode())
    numbers = {rule: number for number, rule in household.access.rules.items()}
    missing = [rule for rule in gone if rule not in numbers]
    if missing:
        raise ControlError(
            "the rules have changed since the proposal was made",
            "Look at it again: lockwire access learn show",
            bad_input=True,
        )
    household.access.merge(rules=added, without=[numbers[rule] for rule in gone])
    counts = (("added", len(added)), ("removed", len(gone)))
    return Outcome(dict(counts), (AccessChanged(),), log="learned rules applied", fields=counts)


def _proposal(household: Household, arguments: Arguments) -> Proposal:
    keep = integers(arguments, "keep")
    access = household.access
    for number in keep:
        if number not in access.rules:
            raise ControlError(
                f"there is no rule {number}", "lockwire access rules lists them", bad_input=True
            )
    return propose(
        household.learning.recorder.snapshot(),
        access.rules,
        household.policy(),
        names=_names(household),
        keep=keep,
        narrow=flag(arguments, "narrow"),
    )


def _names(household: Household) -> list[str]:
    """Everybody who may connect, as far as the data folder knows."""
    users = [user.name for user in household.access]
    issued = household.authority.ledger.current(datetime.datetime.now(datetime.UTC))
    devices = {entry.name for entry in issued if entry.profile == CLIENT.name}
    return [*users, *household.access.psk_identities, *devices]


def _state(household: Household) -> dict[str, object]:
    learning = household.learning
    return {
        "running": learning.running,
        "seconds": round(time.time() - learning.started) if learning.started else None,
        "identities": len(learning.recorder),
    }


def _fields(proposal: Proposal) -> dict[str, object]:
    return {
        "rules": [rule_fields(rule) for rule in proposal.rules],
        "replaced": [{"id": number, **rule_fields(rule)} for number, rule in proposal.replaced.items()],
        "denied": [_fact(fact) for fact in proposal.denied[:SHOWN]],
        "denied_count": len(proposal.denied),
        "unseen": list(proposal.unseen[:SHOWN]),
        "unseen_count": len(proposal.unseen),
        "wider": [
            {"who": who, "topics": topics, "received": list(received)}
            for who, topics, received in proposal.wider[:SHOWN]
        ],
        "texts": {"rules": rules_text(proposal.rules), "replaced": rules_text(_rules(proposal))},
    }


def _rules(proposal: Proposal) -> list[Rule]:
    return list(proposal.replaced.values())


def _fact(fact: Fact) -> dict[str, str]:
    return {"who": fact.who, "action": fact.action, "topic": fact.topic}


OPERATIONS: Final[dict[str, Operation]] = {
    "learn.start": start,
    "learn.stop": stop,
    "learn.show": show,
    "learn.apply": apply,
}
