"""A change of authorities: who trusts what in each phase, and crashes in between."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509

from lockwire.pki.authority import branches, rollover
from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.branches import RootKey
from lockwire.pki.authority.founding import NewAuthority
from lockwire.pki.authority.importing import KeptKey, assess, found
from lockwire.pki.authority.profiles import CLIENT
from lockwire.pki.authority.requests import make_request
from lockwire.pki.authority.server import ensure_server_certificate
from lockwire.pki.errors import PasswordError, RolloverError
from lockwire.pki.keys import KeyKind
from lockwire.pki.toolkit.content import read_content
from tests.support.crash import killed_at
from tests.support.openssl import openssl, verifies

pytestmark = pytest.mark.peer("openssl")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


HOST = (["plant.local"], ["192.0.2.7"])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca")


def start(authority: Authority, source: RootKey | None = None) -> rollover.Started:
    return rollover.start(authority, KeyKind.P256, source or RootKey(), now())


def leaf(authority: Authority, folder: Path, name: str, branch: str | None = None) -> Path:
    file = folder / f"{name}.pem"
    file.write_bytes(authority.issue([make_request(name, CLIENT)], branch=branch)[0].chain)
    return file


def server(authority: Authority, folder: Path) -> Path:
    ensure_server_certificate(authority, folder, *HOST)
    return folder / "server.pem"


def test_a_device_with_either_root_accepts_the_server_all_the_time(
    authority: Authority, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.pem", tmp_path / "second.pem"
    shutil.copy(authority.device_ca, first)
    strict = ("-x509_strict", "-purpose", "sslserver")
    present = server(authority, tmp_path / "server")
    assert verifies(present, first, *strict, chain=present)
    key = (tmp_path / "server" / "server.key").read_bytes()
    start(authority)
    shutil.copy(authority.folder / "next-root.pem", second)
    assert server(authority, tmp_path / "server") == present
    assert (tmp_path / "server" / "server.key").read_bytes() == key
    for step in (None, rollover.switch):
        if step is not None:
            step(authority, now())
            server(authority, tmp_path / "server")
        for anchor in (first, second, authority.device_ca):
            assert verifies(present, anchor, *strict, chain=present)
    assert (tmp_path / "server" / "server.key").read_bytes() != key
    rollover.finish(authority, now())
    server(authority, tmp_path / "server")
    assert verifies(present, second, *strict, chain=present)
    assert not verifies(present, first, *strict, chain=present)
    assert present.read_text().count("BEGIN") == 2


def test_the_broker_trusts_clients_of_both_until_the_end(authority: Authority, tmp_path: Path) -> None:
    old = leaf(authority, tmp_path, "old")
    start(authority)
    still = leaf(authority, tmp_path, "still-old")
    asked = leaf(authority, tmp_path, "asked-for", branches.NEXT)
    assert x509.load_pem_x509_certificates(authority.device_ca.read_bytes()) == [
        authority.root,
        authority.branches[branches.NEXT].root,
    ]
    rollover.switch(authority, now())
    new = leaf(authority, tmp_path, "new")
    for file in (old, still, asked, new):
        assert verifies(file, authority.client_ca, "-purpose", "sslclient")
    assert [entry.name for entry in rollover.left_behind(authority, now())] == ["old", "still-old"]
    with pytest.raises(RolloverError, match=r"are still valid \(2\): old, still-old"):
        rollover.finish(authority, now())
    for name in ("old", "still-old"):
        certificate = authority.ledger.certificate(int(authority.ledger.find(name).serial, 16))
        assert certificate is not None
        (tmp_path / f"{name}.pem").write_bytes(authority.renew(certificate, CLIENT).chain)
    assert rollover.finish(authority, now()) == ()
    for file in (old, still, asked, new):
        assert verifies(file, authority.client_ca, "-purpose", "sslclient")


def test_what_is_dropped_stands_in_the_ledger_as_revoked(authority: Authority) -> None:
    lost = authority.issue_client("lost").certificate
    start(authority)
    rollover.switch(authority, now())
    kept = authority.issue_client("kept").certificate
    assert [entry.name for entry in rollover.finish(authority, now(), force=True, by="ada")] == ["lost"]
    revocation = authority.ledger.revocation(lost.serial_number)
    assert revocation is not None
    assert revocation.reason is x509.ReasonFlags.cessation_of_operation
    assert revocation.by == "ada"
    assert authority.ledger.revocation(kept.serial_number) is None
    assert [entry.name for entry in authority.ledger.current(now())] == ["kept"]


def test_each_step_has_its_time(authority: Authority) -> None:
    assert rollover.phase(authority) == "none"
    for step in (rollover.switch, rollover.finish):
        with pytest.raises(RolloverError, match="No change"):
            step(authority, now())
    start(authority)
    assert rollover.phase(Authority.open(authority.folder)) == "started"
    with pytest.raises(RolloverError, match="does not issue yet"):
        start(authority)
    with pytest.raises(RolloverError, match="does not issue yet"):
        rollover.finish(authority, now())
    rollover.switch(authority, now())
    assert rollover.phase(Authority.open(authority.folder)) == "switched"
    with pytest.raises(RolloverError, match="issues already"):
        rollover.switch(authority, now())
    rollover.finish(authority, now())
    again = Authority.open(authority.folder)
    assert rollover.phase(again) == "none"
    start(again)


def test_files_end_where_they_began(authority: Authority) -> None:
    before = sorted(file.name for file in authority.folder.iterdir())
    start(authority)
    rollover.switch(authority, now())
    rollover.finish(authority, now())
    assert sorted(file.name for file in authority.folder.iterdir()) == before


def test_an_encrypted_root_is_opened_by_its_passphrase(tmp_path: Path) -> None:
    made = Authority.create(tmp_path / "ca", wanted=NewAuthority(passphrase=b"correct horse"))
    for wrong in (None, b"wrong horse"):
        with pytest.raises(PasswordError):
            start(made, RootKey(passphrase=wrong))
    assert rollover.phase(made) == "none"
    started = rollover.start(
        made, KeyKind.P256, RootKey(passphrase=b"correct horse"), now(), passphrase=b"battery staple"
    )
    assert started.warnings == ()
    openssl("pkey", "-in", made.folder / "next-root.key", "-passin", "pass:battery staple", "-noout")


def test_without_the_old_roots_key_it_works_with_a_warning(authority: Authority, tmp_path: Path) -> None:
    shutil.copy(authority.device_ca, tmp_path / "first.pem")
    (authority.folder / "root.key").rename(tmp_path / "stick.key")
    other = Authority.open(authority.folder)
    assert "Give the key with --root-key" in start(other).warnings[0]
    rollover.switch(other, now())
    present = server(other, tmp_path / "server")
    assert verifies(present, other.device_ca, chain=present)
    assert not verifies(present, tmp_path / "first.pem", chain=present)


def test_the_old_roots_key_from_elsewhere(authority: Authority, tmp_path: Path) -> None:
    data = (authority.folder / "root.key").read_bytes()
    (authority.folder / "root.key").unlink()
    assert start(authority, RootKey(pem=data)).warnings == ()
    assert authority.branches[branches.NEXT].cross is not None


def test_with_an_rsa_chain(tmp_path: Path) -> None:
    made = Authority.create(tmp_path / "ca", wanted=NewAuthority(rsa=KeyKind.RSA_2048))
    rsa = tmp_path / "server" / "server-rsa.pem"
    start(made)
    rollover.switch(made, now())
    rollover.finish(made, now())
    server(made, tmp_path / "server")
    for anchor in (made.device_ca, made.rsa_device_ca):
        assert verifies(rsa, anchor, "-x509_strict", "-purpose", "sslserver", chain=rsa)


def test_an_imported_authority_is_not_dropped_by_accident(tmp_path: Path) -> None:
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k", "-subj", "/CN=Old",
            "-days", "2000", "-out", tmp_path / "c")  # fmt: skip
    taken = assess(read_content(tmp_path / "c").certificates, read_content(tmp_path / "k").keys[0].key, now())
    found(tmp_path / "ca", taken, KeptKey(), now(), "")
    made = Authority.open(tmp_path / "ca")
    start(made)
    rollover.switch(made, now())
    with pytest.raises(RolloverError, match="was imported"):
        rollover.finish(made, now())
    rollover.finish(made, now(), force=True)
    assert made.root.subject.rfc4514_string() != "CN=Old"


@pytest.mark.parametrize("phase", ["start", "switch", "finish"])
def test_a_crash_leaves_one_phase_or_the_next(authority: Authority, tmp_path: Path, phase: str) -> None:
    if phase != "start":
        start(authority)
    if phase == "finish":
        rollover.switch(authority, now())
    before = rollover.phase(authority)
    step, died, seen = 1, True, []
    while died:
        folder = tmp_path / f"ca-{step}"
        shutil.copytree(authority.folder, folder)
        copy = Authority.open(folder)
        actions: dict[str, Callable[[], object]] = {
            "start": partial(start, copy),
            "switch": partial(rollover.switch, copy, now()),
            "finish": partial(rollover.finish, copy, now()),
        }
        died = killed_at(step, actions[phase])
        opened = Authority.open(folder)
        seen.append(rollover.phase(opened) != before)
        file = leaf(opened, tmp_path, "pump")
        assert verifies(file, opened.device_ca, chain=file)
        assert verifies(file, opened.client_ca)
        step += 4
    assert seen == sorted(seen)
    assert not seen[0]
    assert seen[-1]
