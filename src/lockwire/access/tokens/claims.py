"""What the claims of a well-signed token mean (RFC 7519 section 4): who, until when, with what rights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

from lockwire.access.errors import RuleError, TokenError
from lockwire.access.identity import TOKEN, Identity
from lockwire.access.methods.naming import problem_with, shown
from lockwire.access.rights.rules import ALLOW, ANY_RETAIN, EVERY_QOS, RIGHTS, USER, Rule, check_rule
from lockwire.config.access import TokenSettings

MAXIMUM_GROUPS: Final = 64
MAXIMUM_RULES: Final = 256
LATEST: Final = 253_402_300_799.0  # the last second of the year 9999

Claims = Mapping[str, object]

_RULE_FIELDS: Final = ("may", "topics", "regexp", "effect", "qos", "retain", "note")


def read_claims(payload: bytes) -> Claims:
    """The claims of a token. Raises TokenError: they are no JSON object, or a name stands there twice."""
    try:
        claims = json.loads(payload, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise TokenError("its claims are no plain JSON") from error
    if not isinstance(claims, dict):
        raise TokenError("its claims are no JSON object")
    return claims


def identity_of(claims: Claims, settings: TokenSettings, now: float) -> Identity:
    """Whom a token with these claims makes of a client.

    now: a time of `time.time()`. The identity expires with the token, after the leeway.

    Raises TokenError with what is in the token, what was expected and what to do.
    """
    _check_issuer(claims, settings.issuer)
    _check_audience(claims, settings.audience)
    expires = _check_times(claims, settings.leeway, now)
    name = _name(claims, settings.username_claim)
    return Identity(
        name,
        TOKEN,
        groups=_groups(claims, settings.groups_claim),
        rules=_rules(claims, settings.permissions_claim, name),
        expires=expires + settings.leeway,
    )


def _check_issuer(claims: Claims, issuer: str) -> None:
    if issuer and claims.get("iss") != issuer:
        raise TokenError(f"its issuer (iss) is {_shown(claims.get('iss'))}, [token] issuer is {issuer!r}")


def _check_audience(claims: Claims, audience: str) -> None:
    found = claims.get("aud")
    named = found if isinstance(found, list) else [found]
    if audience and audience not in named:
        raise TokenError(f"its audience (aud) is {_shown(found)}, [token] audience is {audience!r}")


def _check_times(claims: Claims, leeway: float, now: float) -> float:
    """Gives when the token expires."""
    expires = _time(claims, "exp")
    if expires is None:
        raise TokenError("it never expires; have it issued with an expiration time (exp)")
    if now >= expires + leeway:
        raise TokenError(f"it expired {now - expires:.0f} s ago; have the client fetch a new one")
    begins = _time(claims, "nbf")
    if begins is not None and now < begins - leeway:
        raise TokenError(f"it is valid only {begins - now:.0f} s from now (nbf); compare the clocks")
    issued = _time(claims, "iat")
    if issued is not None and issued > now + leeway:
        raise TokenError(f"it is issued {issued - now:.0f} s from now (iat); compare the clocks")
    if issued is not None and issued > expires:
        raise TokenError("it expired before it was issued (exp before iat); correct the issuer")
    return expires


def _time(claims: Claims, name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2)."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LATEST:
        raise TokenError(f"its {name} is {_shown(value)}; expected seconds since 1970")
    return float(value)


def _name(claims: Claims, claim: str) -> str:
    name = _find(claims, claim)
    if not isinstance(name, str):
        raise TokenError(
            f"its claim {claim!r}, which is the user name, is {_shown(name)}; expected text, "
            "or another [token] username_claim"
        )
    problem = problem_with(name)
    if problem:
        raise TokenError(f"its claim {claim!r}, {shown(name)}, {problem}, so it cannot be the user name")
    return name


def _groups(claims: Claims, claim: str) -> tuple[str, ...]:
    """The groups: a list of names, or names with spaces between them, as OAuth writes scopes."""
    found = _find(claims, claim) if claim else None
    if found is None:
        return ()
    names = found.split() if isinstance(found, str) else found
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TokenError(f"its claim {claim!r} is {_shown(found)}; expected a list of groups' names")
    if len(names) > MAXIMUM_GROUPS:
        raise TokenError(f"its claim {claim!r} lists {len(names)} groups; expected {MAXIMUM_GROUPS} at most")
    for name in names:
        if not name or not name.isprintable():
            raise TokenError(f"its claim {claim!r} lists {shown(name)}, which cannot be a group's name")
    return tuple(dict.fromkeys(names))


def _rules(claims: Claims, claim: str, name: str) -> tuple[Rule, ...]:
    found = _find(claims, claim) if claim else None
    if found is None:
        return ()
    if not isinstance(found, list) or len(found) > MAXIMUM_RULES:
        raise TokenError(
            f"its claim {claim!r} is {_shown(found)}; expected a list of up to {MAXIMUM_RULES} rules"
        )
    rules = []
    for number, entry in enumerate(found, 1):
        try:
            rules.append(_rule(entry, name))
        except RuleError as error:
            raise TokenError(f"rule {number} in its claim {claim!r}: {error}") from error
    return tuple(rules)


def _rule(entry: object, name: str) -> Rule:
    """One rule for the token's own client, whoever it names."""
    if not isinstance(entry, dict):
        raise RuleError("no object", '{"may": ["publish"], "topics": "sensor/#"}')
    for unknown in entry:
        if unknown not in _RULE_FIELDS:
            raise RuleError(f"{shown(unknown)} is not known here", f"only {', '.join(_RULE_FIELDS)}")
    may, qos = entry.get("may"), entry.get("qos", list(EVERY_QOS))
    if not isinstance(may, list) or not all(isinstance(right, str) for right in may):
        raise RuleError("'may' is not a list of rights", f"some of {json.dumps(RIGHTS)}")
    if not isinstance(qos, list) or not all(type(level) is int for level in qos):
        raise RuleError("'qos' is not a list of QoS levels", "some of [0, 1, 2]")
    texts = {
        field: entry.get(field, default)
        for field, default in (("topics", ""), ("regexp", ""), ("effect", ALLOW), ("retain", ANY_RETAIN))
    }
    for field, value in texts.items():
        if not isinstance(value, str):
            raise RuleError(f"{field!r} is not text", f'text, as in "{field}": "..."')
    rule = Rule(
        who=f"{USER}{name}",
        may=tuple(may),
        topics=str(texts["topics"]),
        effect=str(texts["effect"]),
        qos=tuple(sorted(set(qos))),
        retain=str(texts["retain"]),
        regexp=str(texts["regexp"]),
    )
    check_rule(rule)
    return rule


def _find(claims: Claims, path: str) -> object:
    """A claim by its name, or one inside others: `realm_access.roles`."""
    if path in claims:
        return claims[path]
    value: object = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _shown(value: object) -> str:
    """A claim for the log: short, and never more than one line."""
    if value is None:
        return "missing"
    if isinstance(value, float) and not math.isfinite(value):
        return "no number"
    try:
        return shown(value) if isinstance(value, str) else shown(json.dumps(value)).strip("'")
    except RecursionError:  # it could just be read, and cannot be written
        return "too deep"


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return fields


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
