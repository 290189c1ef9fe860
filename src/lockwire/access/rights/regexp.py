"""Finite automata for regular expressions and topic filters: what matches, and what is covered by what.

Several expressions run as one: Thompson's construction, and states of a deterministic automaton made when
they are first needed (as in RE2). Time is linear in the text; states and the work on one text are bounded.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mypy_extensions import mypyc_attr

from lockwire.access.rights import regexp_syntax as syntax
from lockwire.access.rights.masks import is_refused
from lockwire.access.rights.placeholders import NAMES

STATES: Final = 2000
"""States kept; one more, and they are made anew as they are needed."""
WORK: Final = 100_000
"""Steps that making states for one text may take. One that needs more is judged as if every refusal matched
it, and no permission."""

_SLASH: Final = 1 << 0x2F
_DOT: Final = 1 << 0x2E
_ALPHABET: Final = syntax.ALL & ~(1 | 1 << 0x2B | 1 << 0x23)
"""What a topic is made of: neither U+0000 nor a wildcard."""
_READABLE: Final = b"xyzabcdefghijklmnopqrstuvwABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/.-_ "

_BYTES: Final = 0
_SPLIT: Final = 1
_START: Final = 2
_END: Final = 3
_ACCEPT: Final = 4


@mypyc_attr(acyclic=True)
class State:
    """A set of places in the expressions, at which the text read so far may have arrived.

    allow, deny: of the expressions that match whatever follows. final_allow, final_deny: of those that match
        where the text ends here. live_allow, live_deny: of those that may match some continuation.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.members: list[int] = []
        self.targets: list[int] = []
        self.accepted: list[int] = []
        self.next: dict[int, State] = {}
        self.allow: int = 0
        self.deny: int = 0
        self.final_allow: int = 0
        self.final_deny: int = 0
        self.live_allow: int = 0
        self.live_deny: int = 0


class Automaton:
    """Expressions, each with what it allows and denies where it matches; `add`, then `run` or `covered`."""

    def __init__(self) -> None:
        self.work: int = 0
        self.size: int = 0
        self._kinds: list[int] = []
        self._sets: list[int] = []
        self._outs: list[list[int]] = []
        self._owners: list[int] = []
        self._first: list[int] = []
        self._allow: list[int] = []
        self._deny: list[int] = []
        self._states: dict[tuple[int, ...], State] = {}
        self._numbered: int = 0
        self._initial: State | None = None
        self._restart: list[int] = []

    # -- making it ---------------------------------------------------------------------------------

    def add(self, tree: object, allow: int, deny: int, values: list[str], dotted: bool) -> None:
        """Adds an expression, found anywhere in the text.

        tree: of `regexp_syntax.parse`. values: of the placeholders; "" makes one match nothing. dotted: it is
        about the topic with `.` for `/`, while `run` reads the topic itself.
        """
        owner = len(self._allow)
        self._allow.append(allow)
        self._deny.append(deny)
        end = self._place(_ACCEPT, owner)
        self._first.append(self._build(tree, end, owner, values, dotted))
        self.size = len(self._kinds)
        self._initial = None
        self._states = {}

    def _place(self, kind: int, owner: int) -> int:
        self._kinds.append(kind)
        self._sets.append(0)
        self._outs.append([])
        self._owners.append(owner)
        return len(self._kinds) - 1

    def _build(self, tree: object, follow: int, owner: int, values: list[str], dotted: bool) -> int:
        """Makes the places of a part; returns its first one. `follow`: where it goes on."""
        if isinstance(tree, syntax.Bytes):
            return self._one_of(tree.members, follow, owner, dotted)
        if isinstance(tree, syntax.Sequence):
            for part in reversed(tree.parts):
                follow = self._build(part, follow, owner, values, dotted)
            return follow
        if isinstance(tree, syntax.Choice):
            split = self._place(_SPLIT, owner)
            for branch in tree.branches:
                self._outs[split].append(self._build(branch, follow, owner, values, dotted))
            return split
        if isinstance(tree, syntax.Repeat):
            return self._repeat(tree, follow, owner, values, dotted)
        if isinstance(tree, syntax.Value):
            return self._value(tree, follow, owner, values, dotted)
        place = self._place(_START if isinstance(tree, syntax.Start) else _END, owner)
        self._outs[place].append(follow)
        return place

    def _one_of(self, members: int, follow: int, owner: int, dotted: bool) -> int:
        place = self._place(_BYTES, owner)
        if dotted:
            members = members & ~_SLASH | (_SLASH if members & _DOT else 0)
        self._sets[place] = members
        self._outs[place].append(follow)
        return place

    def _repeat(self, tree: syntax.Repeat, follow: int, owner: int, values: list[str], dotted: bool) -> int:
        if tree.most is None:
            loop = self._place(_SPLIT, owner)
            self._outs[loop].append(self._build(tree.part, loop, owner, values, dotted))
            self._outs[loop].append(follow)
            first = loop
        else:
            first = follow
            for _ in range(tree.most - tree.least):
                split = self._place(_SPLIT, owner)
                self._outs[split].append(self._build(tree.part, first, owner, values, dotted))
                self._outs[split].append(follow)
                first = split
        for _ in range(tree.least):
            first = self._build(tree.part, first, owner, values, dotted)
        return first

    def _value(self, tree: syntax.Value, follow: int, owner: int, values: list[str], dotted: bool) -> int:
        text = values[NAMES.index(tree.name)] if tree.name in NAMES else ""
        if not text:
            return self._one_of(0, follow, owner, False)
        for byte in reversed(text.encode()):
            members = 1 << byte
            if tree.fold:
                letter = bytes([byte])
                members = 1 << letter.lower()[0] | 1 << letter.upper()[0]
            follow = self._one_of(members, follow, owner, dotted)
        return follow

    # -- its states --------------------------------------------------------------------------------

    def initial(self) -> State:
        """The state before the first byte."""
        if self._initial is None:
            self._restart = self._closure(self._first, False, False)
            self._initial = self._state(self._closure(self._first, True, False), True)
        return self._initial

    def step(self, state: State, byte: int) -> State:
        """The state after one more byte."""
        found = state.next.get(byte)
        if found is not None:
            return found
        sets = self._sets
        targets: list[int] = []
        bit = 1 << byte
        for index, member in enumerate(state.members):
            if sets[member] & bit:
                targets.append(state.targets[index])
        self.work += len(state.members)
        places = self._closure(targets, False, False)
        places.extend(self._restart)
        places.extend(state.accepted)
        found = self._state(places, False)
        state.next[byte] = found
        return found

    def _closure(self, places: list[int], at_start: bool, at_end: bool) -> list[int]:
        """The places that read a byte, wait for the end, or have matched, reached without reading."""
        seen: set[int] = set()
        found: list[int] = []
        stack = list(places)
        while stack:
            place = stack.pop()
            if place in seen:
                continue
            seen.add(place)
            kind = self._kinds[place]
            if kind == _SPLIT or (kind == _START and at_start) or (kind == _END and at_end):
                stack.extend(self._outs[place])
            elif kind != _START and not (kind == _BYTES and not self._sets[place]):
                found.append(place)
        self.work += len(seen)
        return found

    def _state(self, places: list[int], at_start: bool) -> State:
        kinds = self._kinds
        owners = self._owners
        matched: set[int] = set()
        for place in places:
            if kinds[place] == _ACCEPT:
                matched.add(owners[place])
        # What has matched already needs no further look.
        kept = {place for place in places if kinds[place] == _ACCEPT or owners[place] not in matched}
        key = tuple(sorted(kept))
        state = self._states.get(key)
        if state is not None and not at_start:
            return state
        state = State(self._numbered)
        self._numbered += 1
        self._fill(state, key, at_start)
        if not at_start:
            if len(self._states) >= STATES:
                for old in self._states.values():
                    old.next = {}
                self._states = {}
            self._states[key] = state
        self.work += len(key)
        return state

    def _fill(self, state: State, places: tuple[int, ...], at_start: bool) -> None:
        ends: list[int] = []
        for place in places:
            kind = self._kinds[place]
            owner = self._owners[place]
            state.live_allow |= self._allow[owner]
            state.live_deny |= self._deny[owner]
            if kind == _BYTES:
                state.members.append(place)
                state.targets.append(self._outs[place][0])
            elif kind == _ACCEPT:
                state.accepted.append(place)
                state.allow |= self._allow[owner]
                state.deny |= self._deny[owner]
            else:
                ends.append(place)
        state.final_allow = state.allow
        state.final_deny = state.deny
        for place in self._closure(ends, at_start, True):
            if self._kinds[place] == _ACCEPT:
                state.final_allow |= self._allow[self._owners[place]]
                state.final_deny |= self._deny[self._owners[place]]

    # -- what it is for ----------------------------------------------------------------------------

    def run(self, text: bytes) -> State | None:
        """The state at the end of a text, whose `final_allow` and `final_deny` are the answer.

        None: it would take more than WORK.
        """
        state = self.initial()
        limit = self.work + WORK
        for byte in text:
            state = self.step(state, byte)
            if self.work > limit:
                return None
        return state

    def sets_of(self, state: State) -> set[int]:
        """The sets of bytes that its places read."""
        return {self._sets[member] for member in state.members}


@mypyc_attr(acyclic=True)
class Coverage:
    """What `covered` found.

    granted: the bits that every topic has. witness: a topic that lacks one of the others, None: none does.
    exhausted: it took too much work, and nothing is granted.
    """

    def __init__(self) -> None:
        self.granted: int = 0
        self.witness: bytes | None = None
        self.exhausted: bool = False


@mypyc_attr(acyclic=True)
class _Pair:
    """A text, by the states that it leads both automata to, and how it got there."""

    def __init__(self, inner: State, outer: State, before: _Pair | None, byte: int) -> None:
        self.inner = inner
        self.outer = outer
        self.before = before
        self.byte = byte

    def text(self) -> bytes:
        """The text that leads here."""
        found: list[int] = []
        pair = self
        while pair.before is not None:
            found.append(pair.byte)
            pair = pair.before
        return bytes(reversed(found))


def covered(inner: Automaton, outer: Automaton, wanted: int, budget: int, tolerant: bool) -> Coverage:
    """Which of the `wanted` bits `outer` allows, and does not deny, for every topic that `inner` matches.

    budget: steps at most. tolerant: a topic that `inner` does not give the bit 1 need not be allowed; it must
        not be denied.
    """
    found = Coverage()
    found.granted = wanted
    steps = 0
    limit = inner.work + outer.work + budget
    first = _Pair(inner.initial(), outer.initial(), None, 0)
    queue = deque([first])
    seen = {(first.inner.number, first.outer.number)}
    while queue:
        pair = queue.popleft()
        _settle(pair, found, tolerant)
        if is_refused(found.granted):
            break
        if _is_settled(pair, found.granted):
            continue
        if inner.work + outer.work + steps > limit:
            found.granted = 0
            found.exhausted = True
            break
        sets = inner.sets_of(pair.inner) | outer.sets_of(pair.outer)
        choices = _choices(sets)
        steps += len(choices) + len(choices) * len(sets) // 4
        for byte in choices:
            after = inner.step(pair.inner, byte)
            if not after.live_allow:
                continue
            other = outer.step(pair.outer, byte)
            key = (after.number, other.number)
            if key not in seen:
                seen.add(key)
                queue.append(_Pair(after, other, pair, byte))
    return found


def _settle(pair: _Pair, found: Coverage, tolerant: bool) -> None:
    """Counts the text itself, where `inner` matches it. No topic is empty."""
    if pair.before is None or not pair.inner.final_allow:
        return
    spared = tolerant and not pair.inner.final_allow & 1
    result = ~pair.outer.final_deny if spared else pair.outer.final_allow & ~pair.outer.final_deny
    if found.granted & ~result:
        found.witness = pair.text()
        found.granted &= result


def _is_settled(pair: _Pair, granted: int) -> bool:
    """Whether nothing that follows can change the outcome."""
    return not granted & ~pair.outer.allow and not granted & pair.outer.live_deny


def _choices(sets: set[int]) -> list[int]:
    """One byte for each kind of bytes that the sets tell apart, the more readable ones first."""
    kinds = [_ALPHABET & ~_DOT & ~_SLASH, _SLASH, _DOT]
    for members in sets:
        finer: list[int] = []
        for kind in kinds:
            inside = kind & members
            if inside and inside != kind:
                finer.append(inside)
                finer.append(kind & ~inside)
            else:
                finer.append(kind)
        kinds = finer
    found: list[int] = []
    for kind in kinds:
        found.append(_readable(kind))
    return found


def _readable(kind: int) -> int:
    for byte in _READABLE:
        if kind >> byte & 1:
            return byte
    return (kind & -kind).bit_length() - 1
