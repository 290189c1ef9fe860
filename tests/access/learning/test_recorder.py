"""What clients do is recorded as shapes of bounded number, and nothing that was seen is forgotten."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockwire.access.errors import AccessFileError
from lockwire.access.identity import ANONYMOUS_IDENTITY, CERTIFICATE, PASSWORD, Identity
from lockwire.access.learning.memory import Learning
from lockwire.access.learning.recorder import LEAST_SHAPES, SHAPES, Recorder
from lockwire.access.learning.shapes import LONGEST, Shapes, note, readable, shape_of
from lockwire.access.rights.placeholders import Values, values_of
from lockwire.access.rights.rules import covers
from lockwire.mqtt.topics import validate_topic_filter

PUMP = Identity("pump-7", CERTIFICATE, common_name="pump-7")
KIM = Identity("kim", PASSWORD)


@pytest.mark.parametrize(
    ("topic", "shape"),
    [
        ("pump/pump-7/state", "pump/{username}/state"),
        ("pump/c-11/state", "pump/{client_id}/state"),
        ("pump/x-pump-7-y/state", "pump/x-{username}-y/state"),
        ("pump/xpump-7/state", "pump/xpump-7/state"),
        ("/pump-7", "/{username}"),
        ("a/{username}/b", "a/+/b"),
        ("a//b", "a//b"),
        ("$SYS/broker/#", "$SYS/broker/#"),
        ("/".join("abcdefghijklmnopqrst"), "/".join("abcdefghijklmno") + "/#"),
        ("a/" + "x" * LONGEST, "a/#"),
    ],
)
def test_a_clients_own_names_become_placeholders(topic: str, shape: str) -> None:
    assert shape_of(topic, values_of(PUMP, "c-11")) == shape


def test_a_short_name_is_no_part_of_a_level() -> None:
    assert shape_of("a-b/a", values_of(Identity("a", PASSWORD), "c")) == "a-b/{username}"


def test_the_names_of_an_anonymous_client_are_its_client_identifier() -> None:
    assert shape_of("anonymous/c-11", values_of(ANONYMOUS_IDENTITY, "c-11")) == "anonymous/{client_id}"


def test_a_level_that_varies_becomes_a_plus() -> None:
    shapes: Shapes = {}
    for number in range(20):
        note(shapes, f"data/{number}/temperature", 1, 10)
    note(shapes, "data/alarm", 2, 10)
    assert shapes == {"data/+/temperature": 1, "data/alarm": 2}


def test_tails_that_vary_become_a_hash() -> None:
    shapes: Shapes = {}
    for number in range(30):
        note(shapes, "log/" + "/".join(str(number + level) for level in range(number % 5 + 1)), 1, 4)
    assert len(shapes) <= 4
    assert all(shape.startswith("log/") for shape in shapes)


def test_own_names_are_not_mixed_with_those_of_others() -> None:
    shapes = {"pump/{username}/state": 1, **{f"pump/{n}/state": 1 for n in range(12)}}
    assert readable(shapes, 8) == {"pump/+/state": 1}
    few = {"pump/{username}/state": 1, **{f"pump/{n}/state": 1 for n in range(3)}}
    assert readable(few, 8) == few


LEVEL = st.sampled_from(["", "a", "b", "c", "1", "2", "3", "4", "kim", "+", "{username}", "$a"])
FILTERS = st.tuples(st.lists(LEVEL, min_size=1, max_size=5), st.booleans()).map(
    lambda parts: "/".join([*parts[0], "#"] if parts[1] else parts[0])
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FILTERS.filter(bool), max_size=40), st.integers(1, 8))
def test_what_was_seen_stays_covered(filters: list[str], limit: int) -> None:
    shapes: Shapes = {}
    values = Values("kim", "c1", "")
    for number, topic_filter in enumerate(filters):
        note(shapes, shape_of(topic_filter, values), 1 << number % 6, limit)
    for seen in (shapes, readable(shapes, 2)):
        for number, topic_filter in enumerate(filters):
            shape = shape_of(topic_filter, values)
            bits = [each for wider, each in seen.items() if wider == shape or covers(wider, shape)]
            assert any(each & 1 << number % 6 for each in bits)
        for wider in seen:
            validate_topic_filter(wider)
    assert len([shape for shape in shapes if not shape.startswith("$")]) <= limit


def test_the_same_facts_in_any_order_of_clients_give_the_same_record() -> None:
    facts = [(Identity(f"d{n}", PASSWORD), f"c{n}", f"from/d{n}/x".encode()) for n in range(20)]
    recorders = []
    for seed in range(2):
        recorder = Recorder()
        shuffled = facts.copy()
        random.Random(seed).shuffle(shuffled)
        for identity, client_id, topic in shuffled:
            recorder.published(identity, client_id, topic, 0, False)
        recorders.append(recorder.snapshot())
    assert recorders[0] == recorders[1]
    assert all(record.published == {"from/{username}/x": 1} for record in recorders[0])


def test_qos_and_retain_are_kept_and_shared_subscriptions_are_their_filters() -> None:
    recorder = Recorder()
    recorder.published(KIM, "c1", b"a", 1, False)
    recorder.published(KIM, "c1", b"a", 2, True)
    recorder.subscribed(KIM, "c1", "$share/group/b/#", 1)
    recorder.received(KIM, "c1", b"b/c")
    (record,) = recorder.snapshot()
    assert record.published == {"a": 0b100010}
    assert record.subscribed == {"b/#": 0b010}
    assert record.received == {"b/c": 1}
    before = recorder.changes
    recorder.published(KIM, "c1", b"a", 1, False)
    assert recorder.changes == before, "nothing new"


def test_memory_is_bounded_in_identities_and_in_shapes() -> None:
    recorder = Recorder(identities=50)
    for number in range(80):
        for topic in range(200):
            recorder.published(
                Identity(f"d{number}", PASSWORD), "c", f"x/{number}/{topic}".encode(), 0, False
            )
    recorder.published(ANONYMOUS_IDENTITY, "c", b"y", 0, False)
    records = recorder.snapshot()
    assert len(records) == 52
    assert {record.who for record in records} >= {"everyone", "anonymous", "user:d0"}
    assert all(LEAST_SHAPES <= SHAPES and len(record.published) <= SHAPES for record in records)
    others = next(record for record in records if record.who == "everyone")
    assert all(
        any(covers(shape, f"x/{n}/{t}") for shape in others.published) for n in (50, 79) for t in (0, 199)
    )


def test_what_cannot_be_recorded_is_counted_and_disturbs_nobody() -> None:
    recorder = Recorder()
    recorder.published(KIM, "c1", b"\xff", 0, False)
    assert recorder.failures == 1
    assert recorder.snapshot() == []


def test_the_record_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "access" / "learning.json"
    learning = Learning(path)
    assert not path.exists()
    learning.start(fresh=False)
    learning.recorder.published(PUMP, "c-11", b"pump/pump-7/state", 1, True)
    learning.recorder.subscribed(ANONYMOUS_IDENTITY, "c-12", "a/#", 0)
    learning.save()
    assert path.stat().st_mode & 0o777 == 0o600
    written = path.stat().st_mtime_ns
    learning.save()
    assert path.stat().st_mtime_ns == written, "nothing new, nothing written"
    again = Learning(path)
    assert again.running
    assert again.started == learning.started
    assert again.recorder.snapshot() == learning.recorder.snapshot()
    again.stop()
    again.recorder.published(PUMP, "c-11", b"pump/pump-7/other", 1, True)
    assert not Learning(path).running
    again.start(fresh=True)
    assert Learning(path).recorder.snapshot() == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"version": 2}',
        '{"version": 1, "running": true, "started": 0, "records": [{}]}',
        "[" * 9999,
    ],
)
def test_a_damaged_record_is_said_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "learning.json"
    path.write_text(content)
    with pytest.raises(AccessFileError, match="delete it"):
        Learning(path)
    assert path.read_text() == content
