"""The example of docs/plugins.md, installed by pip as its reader would, in a broker of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockwire.data import DataFolder
from lockwire.household import Household
from lockwire.mqtt import reasons
from tests.cli.quick import done, quickly
from tests.support import packets
from tests.support.daemon import Lockwire
from tests.support.wire import Wire

PAGE = Path(__file__).parents[3] / "docs" / "plugins.md"


def block(language: str, having: str) -> str:
    """The block of the page in a language that holds a text."""
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return next(text for text in found if having in text)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lockwire]:
    """A broker with the page's plug-in and its configuration, on a free port, and no rules."""
    folder = tmp_path_factory.mktemp("porter")
    source, installed = folder / "source", folder / "installed"
    source.mkdir()
    (source / "porter.py").write_text(block("python", "class Porter"))
    (source / "pyproject.toml").write_text(block("text", "entry-points"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
    ]
    subprocess.run([*pip, "--target", installed, source], check=True, timeout=60)
    (folder / "words.json").write_text(json.dumps({"kim": "open sesame"}))
    (folder / "lockwire.toml").write_text(block("toml", '"porter"').replace("port = 1883", "port = 0"))
    data = DataFolder(folder / "data")
    data.create()
    household, _ = Household.prepare(data)
    household.access.replace_rules([])
    household.access.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(installed))
        running = Lockwire(folder, "broker", "--config", "lockwire.toml", "--data", "data")
    yield running
    running.stop()


def test_the_example_has_twenty_lines() -> None:
    lines = [line for line in block("python", "class Porter").splitlines() if line]
    assert len(lines) <= 20


async def connect(broker: Lockwire, username: str | None, password: bytes | None) -> tuple[Wire, int]:
    """A client, and the reason code of its CONNACK."""
    wire = await Wire.open(("127.0.0.1", broker.ports["hall"]))
    await wire.send(packets.connect("c1", 5, username=username, password=password))
    return wire, (await wire.expect(packets.CONNACK)).reason


@pytest.mark.parametrize(
    ("username", "password", "reason"),
    [
        ("kim", b"open sesame", reasons.SUCCESS),
        ("kim", b"open barley", reasons.BAD_USER_NAME_OR_PASSWORD),
        ("jo", b"open sesame", reasons.BAD_USER_NAME_OR_PASSWORD),
        (None, None, reasons.NOT_AUTHORIZED),
    ],
)
async def test_it_says_who_may_come_in(
    broker: Lockwire, username: str | None, password: bytes | None, reason: int
) -> None:
    wire, code = await connect(broker, username, password)
    wire.abort()
    assert code == reason


async def test_it_says_what_they_may_do(broker: Lockwire) -> None:
    wire, _ = await connect(broker, "kim", b"open sesame")
    await wire.send(packets.subscribe(1, [("hall/#", 0), ("cellar/#", 0)], 5))
    assert (await wire.expect(packets.SUBACK)).reasons == [0, reasons.NOT_AUTHORIZED]
    await wire.send(packets.publish("hall/lamp", b"on", version=5))
    assert (await wire.receive()).payload == b"on"
    await wire.send(packets.publish("cellar/lamp", b"on", 1, 2, version=5))
    assert (await wire.expect(packets.PUBACK)).reason == reasons.NOT_AUTHORIZED
    wire.abort()


async def test_a_reload_loads_it_anew_or_leaves_everything_as_it_was(broker: Lockwire) -> None:
    file = broker.folder / "lockwire.toml"
    before = file.read_text()
    file.write_text(before.replace('name = "porter"', 'name = "portier"'))
    refusal = quickly("reload", "--data", "data", cwd=broker.folder)
    assert refusal.returncode != 0
    assert "the plug-in 'portier': it is not installed here; there are: http, porter, sql" in refusal.stderr
    wire, code = await connect(broker, "kim", b"open sesame")
    assert code == reasons.SUCCESS
    (broker.folder / "other.json").write_text(json.dumps({"jo": "open barley"}))
    file.write_text(before.replace("words.json", "other.json"))
    done("reload", "--data", "data", cwd=broker.folder)
    await wire.ping()
    wire.abort()
    for username, password, expected in [
        ("kim", b"open sesame", reasons.BAD_USER_NAME_OR_PASSWORD),
        ("jo", b"open barley", reasons.SUCCESS),
    ]:
        wire, code = await connect(broker, username, password)
        wire.abort()
        assert code == expected
