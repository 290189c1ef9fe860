"""`lockwire access learn`, with a running broker that is stopped and killed meanwhile, and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockwire.access.database.users import make_user
from lockwire.data import DataFolder
from lockwire.household import Household
from tests.cli.quick import done, quickly, refused
from tests.support import packets
from tests.support.daemon import Lockwire
from tests.support.wire import Wire

CONFIGURATION = """\
[[listener]]
name = "plain"
transport = "tcp"
address = "127.0.0.1"
port = 0
authentication = ["password"]
"""
PASSWORDS = {"pump-1": "one", "pump-2": "two"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with two users, and a configuration."""
    data = DataFolder(tmp_path / "lockwire-data")
    data.create()
    household, _ = Household.prepare(data)
    for name, password in PASSWORDS.items():
        household.access.add(make_user(name, password, generated=True))
    household.access.close()
    (tmp_path / "lockwire.toml").write_text(CONFIGURATION)
    return tmp_path


@pytest.fixture
def brokers() -> Iterator[list[Lockwire]]:
    """Brokers that a test started; they end with it."""
    started: list[Lockwire] = []
    yield started
    for broker in started:
        broker.stop()


def serve(folder: Path, brokers: list[Lockwire]) -> Lockwire:
    brokers.append(Lockwire(folder, "broker", "--config", "lockwire.toml", "--data", "lockwire-data"))
    return brokers[-1]


async def connect(broker: Lockwire, name: str) -> Wire:
    wire = await Wire.open(("127.0.0.1", broker.ports["plain"]))
    await wire.connect(f"c-{name}", username=name, password=PASSWORDS[name].encode())
    return wire


async def work(broker: Lockwire) -> None:
    """What the two pumps do all day."""
    for name in PASSWORDS:
        wire = await connect(broker, name)
        await wire.subscribe(f"pump/{name}/command/#")
        await wire.publish(f"pump/{name}/state", b"on", 1)
        wire.abort()


async def test_learning_goes_on_through_a_restart_and_its_rules_count_at_once(
    folder: Path, brokers: list[Lockwire]
) -> None:
    broker = serve(folder, brokers)
    assert done("access", "learn", "start", cwd=folder).startswith(
        "Learning. In 0 seconds 0 identities were seen."
    )
    await work(broker)
    broker.stop()

    shown = done("access", "learn", "show", cwd=folder)
    assert "allow everyone subscribe, receive pump/{username}/command/#" in shown
    assert "allow everyone publish pump/{username}/state (without RETAIN)" in shown
    assert "rule 1: allow everyone publish, subscribe, receive #" in shown
    assert "Of what was seen, they would refuse nothing." in shown
    assert "Not seen, and with fewer rights then: admin." in shown

    broker = serve(folder, brokers)
    assert "learning what clients do identities=2" in broker.log
    one = await connect(broker, "pump-1")
    await one.publish("pump/pump-1/alarm", b"", 1)
    applied = done("access", "learn", "apply", "--yes", cwd=folder)
    assert "allow user:pump-1 publish pump/{username}/alarm (without RETAIN)" in applied
    assert applied.endswith("Added 3 rules, removed 1. They count now.\n")
    await one.send(packets.publish("pump/pump-2/state", b"", 1, 77, version=5))
    assert (await one.expect(packets.PUBACK)).reason == 0x87
    await one.publish("pump/pump-1/state", b"", 1)
    one.abort()
    assert done("access", "learn", "stop", cwd=folder).startswith("No longer learning. In ")
    two = await connect(broker, "pump-2")
    await two.publish("pump/pump-2/state", b"", 1)
    two.abort()
    again = done("access", "learn", "apply", "--yes", cwd=folder)
    assert "The rules that are there are as narrow as what was seen." in again


async def test_a_crash_costs_what_was_not_yet_written(folder: Path, brokers: list[Lockwire]) -> None:
    done("access", "learn", "start", cwd=folder)
    broker = serve(folder, brokers)
    await work(broker)
    record = folder / "lockwire-data" / "access" / "learning.json"
    broker.kill()
    assert json.loads(record.read_text())["running"], "it was whole before, and still is"
    broker = serve(folder, brokers)
    await work(broker)
    broker.stop()
    assert len(json.loads(record.read_text())["records"]) == 2
    done("access", "learn", "start", "--fresh", cwd=folder)
    assert json.loads(record.read_text())["records"] == []


async def test_a_damaged_record_keeps_nobody_out(folder: Path, brokers: list[Lockwire]) -> None:
    record = folder / "lockwire-data" / "access" / "learning.json"
    record.write_text("{")
    broker = serve(folder, brokers)
    (await connect(broker, "pump-1")).abort()
    assert "what was learned cannot be read" in broker.log
    assert "delete it" in refused("access", "learn", "show", cwd=folder)
    assert record.read_text() == "{"


def test_without_a_record_there_is_nothing_to_propose(folder: Path) -> None:
    assert done("access", "learn", "show", cwd=folder) == "Nothing was recorded yet.\n"
    assert done("access", "learn", "apply", cwd=folder) == "Nothing was recorded yet.\n"
    assert "there is no rule 99" in refused("access", "learn", "show", "--keep", "99", cwd=folder)


async def test_nothing_is_applied_without_a_word(folder: Path, brokers: list[Lockwire]) -> None:
    done("access", "learn", "start", cwd=folder)
    broker = serve(folder, brokers)
    await work(broker)
    ended = quickly("access", "learn", "apply", cwd=folder)
    assert ended.returncode == 2
    assert "nobody is there to confirm it" in ended.stderr
    rules = done("access", "rules", cwd=folder)
    assert "learned" not in rules
    assert "#" in rules
    shown = json.loads(done("access", "learn", "show", "--json", cwd=folder))
    assert len(shown["rules"]) == 2
