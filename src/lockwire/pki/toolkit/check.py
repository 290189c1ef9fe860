"""Whether a certificate file will work: everything that `checks` looks for, the heaviest first."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from lockwire.families import Family
from lockwire.pki.errors import MalformedFileError
from lockwire.pki.paths import find_path
from lockwire.pki.reading import public_key_of
from lockwire.pki.toolkit.checks.chain import check_order, check_path, check_times
from lockwire.pki.toolkit.checks.constraints import check_constraints
from lockwire.pki.toolkit.checks.family import check_family
from lockwire.pki.toolkit.checks.finding import Finding, Weight
from lockwire.pki.toolkit.checks.keys import check_key, check_serial, check_strength, check_version
from lockwire.pki.toolkit.checks.names import check_names, check_request
from lockwire.pki.toolkit.checks.question import Question, Use, leaf_of, use_of
from lockwire.pki.toolkit.checks.usage import check_extensions, check_usage
from lockwire.pki.toolkit.content import Content, Item

__all__ = ["Finding", "Question", "Use", "Weight", "ask", "check"]

_CHECKS: Final[tuple[Callable[[Question], Iterator[Finding]], ...]] = (
    check_times,
    check_path,
    check_constraints,
    check_order,
    check_key,
    check_names,
    check_request,
    check_usage,
    check_extensions,
    check_strength,
    check_version,
    check_serial,
    check_family,
)


def ask(
    content: Content,
    at: datetime.datetime,
    *,
    use: Use | None = None,
    key: Content | None = None,
    anchors: Content | None = None,
    request: Content | None = None,
    host: str | None = None,
    family: Family | None = None,
) -> Question:
    """Puts together what a check is asked.

    content: the file. at: the time that counts. use: what it is for; told from the certificate where None.
    key: the file with its private key, where it is not in the same one. anchors: the CAs that clients trust.
    request: the request it was made from. host: the name or address that clients connect to.
    Raises MalformedFileError where one of the files does not hold what it should.
    """
    if not content.certificates:
        raise _lacks(content, "certificate")
    if anchors is not None and not anchors.certificates:
        raise _lacks(anchors, "certificate")
    if request is not None and not request.requests:
        raise _lacks(request, "certificate request")
    trusted = None if anchors is None else tuple(anchors.certificates)
    leaf = leaf_of(content.certificates)
    return Question(
        content,
        use or use_of(content.certificates, host),
        at,
        find_path(leaf, content.certificates, trusted or (), at),
        *_key_of(content, key, leaf),
        anchors=trusted,
        anchor_file=None if anchors is None else anchors.path,
        request=None if request is None else request.requests[0],
        host=host,
        family=family,
    )


def check(question: Question) -> list[Finding]:
    """Every finding, the heaviest first."""
    found = [finding for part in _CHECKS for finding in part(question)]
    return sorted(found, key=lambda finding: finding.weight)


def _key_of(content: Content, key: Content | None, leaf: x509.Certificate) -> tuple[Item | None, Path | None]:
    if key is not None and not key.keys:
        raise _lacks(key, "private key")
    holder = key if key is not None else content if content.keys else None
    if holder is None:
        return None, None
    fitting = [item for item in holder.keys if item.key and item.key.public_key() == public_key_of(leaf)]
    return (fitting or holder.keys)[0], holder.path


def _lacks(content: Content, what: str) -> MalformedFileError:
    held = ", ".join(dict.fromkeys(item.kind for item in content.items)) or "nothing of use"
    return MalformedFileError(
        f"There is no {what} in this file; it holds: {held}", "Give another file.", content.path
    )
