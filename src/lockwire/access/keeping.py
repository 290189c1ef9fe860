"""What a session keeps of its identity, so that it is judged as before after the broker was started anew."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from lockwire.access.identity import Identity
from lockwire.access.rights.rules import Rule


def attributes_of(identity: Identity) -> str:
    """What rules look at in an identity beside name and method, as JSON; "" where there is nothing.

    The certificate and the end of validity are left out: they are of a connection, not of a session.
    """
    kept: dict[str, object] = {}
    if identity.common_name:
        kept["common_name"] = identity.common_name
    if identity.groups:
        kept["groups"] = identity.groups
    if identity.rules:
        kept["rules"] = [dataclasses.asdict(rule) for rule in identity.rules]
    if identity.also:
        kept["also"] = identity.also
    return json.dumps(kept, ensure_ascii=False) if kept else ""


def identity_of(name: str, method: str, administrator: bool, attributes: str) -> Identity:
    """The identity whose attributes were kept."""
    kept: dict[str, Any] = json.loads(attributes) if attributes else {}
    return Identity(
        name,
        method,
        administrator,
        common_name=kept.get("common_name", ""),
        groups=tuple(kept.get("groups", ())),
        rules=tuple(Rule(**_tuples(fields)) for fields in kept.get("rules", ())),
        also=tuple(kept.get("also", ())),
    )


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
