"""`lockwire cert revoke` and `unrevoke`: what is meant by a name, what is said, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.pki.authority.authority import Authority
from tests.cli.lockwire import Running
from tests.cli.quick import done, quickly, refused


def serial_of(file: Path) -> str:
    return f"{x509.load_pem_x509_certificate(file.read_bytes()).serial_number:x}"


@pytest.fixture
def folder(running: Running) -> Path:
    return running.cwd


def add(folder: Path, name: str, out: str = "", *options: str) -> str:
    """Issues a device's certificate; gives the serial number."""
    done("device", "add", name, *options, "--out", out or name, "--data", "data", cwd=folder)
    return serial_of(folder / (out or name) / f"{name}.pem")


def revoke(folder: Path, *words: str) -> str:
    return done("cert", "revoke", *words, "--yes", "--data", "data", cwd=folder)


def ledger(folder: Path) -> list[dict[str, str]]:
    lines = (folder / "data" / "ca" / "issued.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_name_means_all_its_certificates(folder: Path) -> None:
    serials = [add(folder, "pump"), add(folder, "pump", "pump-2", "--replace")]
    printed = revoke(folder, "pump", "--reason", "cessationOfOperation")
    for serial in serials:
        assert serial in printed
    assert "Revoked: 2 certificates." in printed
    for line, serial in zip(ledger(folder)[-2:], serials, strict=True):
        assert (line["event"], line["serial"]) == ("revoked", serial)
        assert line["reason"] == "cessationOfOperation"
        assert line["by"]


def test_a_serial_number_is_taken_as_people_copy_it(folder: Path) -> None:
    first, second = add(folder, "valve"), add(folder, "valve", "valve-2", "--replace")
    colons = ":".join(f"{first:0>32}".upper()[place : place + 2] for place in range(0, 32, 2))
    printed = revoke(folder, colons)
    assert first in printed
    assert second not in printed
    assert "Revoked: 1 certificate." in printed


def test_revoking_twice_changes_nothing_and_says_so(folder: Path) -> None:
    serial = add(folder, "twice")
    revoke(folder, "twice", "--reason", "superseded")
    before = ledger(folder)
    printed = revoke(folder, "twice", "--reason", "keyCompromise")
    assert printed == f"{serial} of twice is revoked already (superseded).\n"
    assert ledger(folder) == before


def test_a_hold_can_become_final(folder: Path) -> None:
    add(folder, "stolen")
    revoke(folder, "stolen", "--reason", "certificateHold")
    revoke(folder, "stolen", "--reason", "keyCompromise")
    assert ledger(folder)[-1]["reason"] == "keyCompromise"
    said = refused("cert", "unrevoke", "stolen", "--data", "data", cwd=folder)
    assert "Nothing of 'stolen' is on hold" in said


def test_a_file_of_a_certificate_means_that_one(folder: Path) -> None:
    serial = add(folder, "lamp")
    assert serial in revoke(folder, "--file", "lamp/lamp.pem")


def test_a_server_certificate_is_replaced_when_it_is_revoked(folder: Path, running: Running) -> None:
    file = folder / "data" / "server" / "server.pem"
    serial = serial_of(file)
    revoke(folder, serial)
    assert serial_of(file) != serial


def test_a_server_certificate_that_cannot_be_replaced_is_said_and_revoked_all_the_same(
    folder: Path, running: Running
) -> None:
    file = folder / "data" / "server" / "server.pem"
    serial, whole = serial_of(file), file.read_bytes()
    revoked, said = len(ledger(folder)), running.log.count("certificates revoked")
    file.write_text("damaged")
    try:
        ended = quickly("cert", "revoke", serial, "--yes", "--data", "data", cwd=folder)
        assert ended.returncode == 1
        assert "The server's certificate could not be issued anew" in ended.stderr
        assert str(file) in ended.stderr
        assert len(ledger(folder)) == revoked + 1
        assert running.log.count("certificates revoked") == said + 1
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("punp-7",), "Did you mean pump-7 or"),
        (("123456789abcdef",), "none has this serial number"),
        ((), "a name or a serial number, or --file FILE"),
        (("pump-7", "--file", "x.pem"), "a name or a serial number, or --file FILE"),
        (("--file", "nowhere.pem"), "nowhere.pem"),
        (("--file", "stranger.pem"), "does not come from this authority"),
        (("--file", "data/lockwire.toml"), "lockwire.toml"),
    ],
)
def test_what_cannot_be_revoked_is_refused(folder: Path, words: tuple[str, ...], says: str) -> None:
    if not (folder / "stranger.pem").exists():
        add(folder, "pump-7")
        issued = Authority.create(folder / "stranger").issue_client("stranger").certificate
        (folder / "stranger.pem").write_bytes(issued.public_bytes(Encoding.PEM))
        shutil.rmtree(folder / "stranger")
    before = ledger(folder)
    assert says in refused("cert", "revoke", *words, "--yes", "--data", "data", cwd=folder)
    assert ledger(folder) == before


def test_the_authority_itself_is_not_revoked(folder: Path) -> None:
    serial = serial_of(folder / "data" / "ca" / "intermediate.pem")
    said = refused("cert", "revoke", serial, "--yes", "--data", "data", cwd=folder)
    assert "is a certificate of the authority itself" in said


def test_nobody_to_ask_is_no_yes(folder: Path) -> None:
    add(folder, "careful")
    before = ledger(folder)
    ended = quickly("cert", "revoke", "careful", "--data", "data", cwd=folder)
    assert ended.returncode == 2
    assert "Add --yes" in ended.stderr
    assert ledger(folder) == before
