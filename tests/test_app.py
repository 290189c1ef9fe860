"""The application inside a test's own event loop: what takes time outside is brought about here."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from cryptography import x509

from lockwire import app
from lockwire.access.database.database import AccessDatabase
from lockwire.access.database.users import make_user
from lockwire.app import Application, raise_file_limit
from lockwire.broker.broker import ListenError
from lockwire.collector import ENOUGH, Collector
from lockwire.config import ListenerSettings, Settings
from lockwire.control import ControlError
from lockwire.data import DataFolder
from lockwire.household import Household
from lockwire.operations.outcome import Outcome, TrustChanged
from lockwire.operations.table import perform
from lockwire.pki.authority.hosts import host_addresses
from lockwire.pki.certificate import alternative_names


@pytest.fixture
def household_on_disk(tmp_path: Path) -> Household:
    data = DataFolder(tmp_path / "data")
    data.create()
    made, password = Household.prepare(data)
    assert password is not None
    assert made.ensure_server_certificate() == "there was none"
    return made


@pytest.fixture
async def application(
    household_on_disk: Household, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Application]:
    monkeypatch.setattr(app, "ADDRESS_INTERVAL", 0.05)
    application = Application(Settings.for_up(household_on_disk.data.path, 0, 0), household_on_disk, None)
    await application.start()
    yield application
    await application.stop()
    structlog.reset_defaults()


async def test_a_new_address_of_the_host_gets_into_the_certificate_while_running(
    application: Application, household_on_disk: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = host_addresses()
    reloaded = asyncio.Event()
    reload = application._broker.reload

    async def tell(settings: Settings) -> None:
        await reload(settings)
        reloaded.set()

    monkeypatch.setattr(application._broker, "reload", tell)
    monkeypatch.setattr("lockwire.household.host_addresses", lambda: [*addresses, "192.0.2.77"])
    async with asyncio.timeout(10):
        await reloaded.wait()
    assert "192.0.2.77" in alternative_names(household_on_disk.server_certificate())[1]


async def test_a_reload_that_fails_changes_no_user_either(
    application: Application, household_on_disk: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = household_on_disk.data.access_database
    other = path.with_name("other.db")
    shutil.copy(path, other)
    database = AccessDatabase(other)
    database.add(make_user("late", "a password", generated=True))
    database.close()
    other.replace(path)

    async def fail(settings: Settings) -> None:
        raise ListenError("the port is taken")

    with monkeypatch.context() as patched:
        patched.setattr(application._broker, "reload", fail)
        with pytest.raises(ControlError, match="nothing was changed: the port is taken"):
            await application.reload()
    assert household_on_disk.access.get("late") is None
    await application.reload()
    assert household_on_disk.access.get("late") is not None


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("broken", ["points", "metrics", "listener"])
async def test_a_reload_that_fails_changes_nothing(
    household_on_disk: Household, broken: str, port: int
) -> None:
    points = household_on_disk.data.ca / "points.json"
    settings = Settings.for_up(household_on_disk.data.path, 0, 0)
    plain = ListenerSettings(
        transport="tcp", address="127.0.0.1", port=port, name="plain", authentication=["anonymous"]
    )
    authority = settings.authority.model_copy(update={"crl_url": "http://crl.example/{issuer}.crl"})
    metrics = settings.metrics.model_copy(update={"enabled": True, "port": 0})
    changed = {"authority": authority, "metrics": metrics, "listeners": [*settings.listeners, plain]}
    application = Application(settings, household_on_disk, lambda: settings.model_copy(update=changed))
    await application.start()
    before = application.status()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        if broken == "points":
            points.mkdir()
        elif broken == "metrics":
            changed["metrics"] = metrics.model_copy(update={"port": taken.getsockname()[1]})
        else:
            changed["listeners"] = [plain.model_copy(update={"port": taken.getsockname()[1]})]
        with pytest.raises(ControlError, match="nothing was changed"):
            await application.reload()
        after = application.status()
        assert after["listeners"] == before["listeners"]
        assert application.settings is settings
        assert application._metrics is None
        assert household_on_disk.authority.points.crl_url == ""
    if broken == "points":
        points.rmdir()
    changed |= {"metrics": metrics, "listeners": [*settings.listeners, plain]}
    await application.reload()
    assert household_on_disk.authority.points.crl_url == "http://crl.example/{issuer}.crl"
    assert [name for name, _, _ in application._broker.endpoints()] == ["tls", "wss", "plain"]
    await application.stop()
    structlog.reset_defaults()


async def test_what_was_revoked_stays_out_though_another_listener_s_file_is_broken(
    household_on_disk: Household, tmp_path: Path
) -> None:
    data = household_on_disk.data
    settings = Settings.for_up(data.path, 0, 0)
    copy = Path(shutil.copy(data.server_certificate, tmp_path / "copy.pem"))
    first = settings.listeners[0]
    tls = first.tls.model_copy(update={"certificate": copy})
    other = first.model_copy(update={"name": "other", "tls": tls})
    settings = settings.model_copy(update={"listeners": [*settings.listeners, other]})
    application = Application(settings, household_on_disk, None)
    await application.start()
    try:
        copy.write_text("cut short")
        serial = x509.load_pem_x509_certificate(data.server_certificate.read_bytes()).serial_number
        arguments = {"serials": [f"{serial:x}"], "by": "a test"}
        outcome = await asyncio.to_thread(perform, household_on_disk, "cert.revoke", arguments)
        assert TrustChanged() in outcome.effects
        await application.apply(Outcome(effects=(TrustChanged(),)))
        assert len(application._broker.hub.deny_list) == 1
    finally:
        await application.stop()
        structlog.reset_defaults()


async def test_what_lives_at_the_start_is_out_of_the_collectors_sight(application: Application) -> None:
    assert gc.get_freeze_count() > 1000
    await application.stop()
    assert gc.get_freeze_count() == 0


def test_a_full_collection_waits_for_a_quiet_moment_but_not_for_ever() -> None:
    collector = Collector(lambda: 0.0)
    assert not collector.is_due(0.0, 0)
    assert collector.is_due(0.0, 1)
    assert not collector.is_due(50_000.0, ENOUGH - 1)
    assert collector.is_due(50_000.0, ENOUGH)


def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before), hard))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def test_runs_without_uvloop(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError\n")
    code = (
        "import asyncio\n"
        "from lockwire.app import run\n"
        "from lockwire.config import Settings\n"
        "def ready(status):\n"
        "    print(type(asyncio.get_running_loop()).__module__)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "import signal\n"
        "run(Settings.for_trying(0), ready)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("asyncio.")
