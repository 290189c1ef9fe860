"""`lockwire check`: a configuration tested without a broker, and without a trace."""

from __future__ import annotations

import hashlib
import os
import socket
import sqlite3
from pathlib import Path

import pytest

from lockwire.cli.tls_names import check_tls_names
from lockwire.config import Settings, load
from lockwire.data import DataFolder
from lockwire.household import Household
from lockwire.pki.toolkit.check import Finding, Weight
from lockwire.rehearsal import rehearse
from tests.cli.lockwire import lockwire
from tests.tls.certificates import TestPki, make, make_crl


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> TestPki:
    return TestPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def place(tmp_path: Path, pki: TestPki) -> Path:
    """A folder with a server's files and a CA."""
    certificate, key = pki.server.write(tmp_path, "server")
    assert certificate.name == "server.pem"
    key.chmod(0o600)
    (tmp_path / "ca.pem").write_bytes(pki.ca_pem.read_bytes())
    return tmp_path


LISTENER = """
[[listener]]
name = "devices"
transport = "tls"
address = "127.0.0.1"
port = 0
client_certificates = "required"
authentication = ["certificate"]
[listener.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"
"""


def findings(place: Path, text: str, folder: DataFolder | None = None) -> list[Finding]:
    file = place / "lockwire.toml"
    file.write_text(text)
    base = None if folder is None else Settings.for_up(folder.path)
    return rehearse(load(file, base, check_tls_names), folder)


def codes(found: list[Finding], weight: Weight = Weight.WRONG) -> set[str]:
    return {finding.code for finding in found if finding.weight is weight}


def said(found: list[Finding], code: str) -> str:
    return next(f"{each.about}: {each.text}" for each in found if each.code == code)


def test_a_good_one(place: Path) -> None:
    found = findings(place, LISTENER)
    assert not codes(found)
    assert said(found, "tls").startswith(
        "listener devices: tls 127.0.0.1:0, TLS 1.2 to 1.3, certificate until "
    )


class TestWhatIsWrong:
    def test_a_key_of_another_certificate(self, place: Path) -> None:
        make("another").write(place, "another")[1].replace(place / "server.key")
        found = findings(place, LISTENER)
        assert codes(found) == {"tls"}
        assert "is not the key of the certificate in" in said(found, "tls")

    def test_an_expired_certificate(self, place: Path, pki: TestPki) -> None:
        make("old", pki.issuing, days=(-20, -10), chain=(pki.issuing.certificate,)).write(place, "server")
        found = findings(place, LISTENER)
        assert codes(found) == {"out-of-order"}
        assert "has expired" in said(found, "out-of-order")

    @pytest.mark.parametrize(
        ("days", "words"), [((-20.0, -10.0), "has expired"), (None, "There is no revocation list of")]
    )
    def test_revocation_lists(
        self, place: Path, pki: TestPki, days: tuple[float, float] | None, words: str
    ) -> None:
        crl = make_crl(pki.issuing, days=days) if days else make_crl(pki.root)
        (place / "crl.pem").write_bytes(crl)
        found = findings(place, LISTENER + 'crl = "crl.pem"\n')
        assert "out-of-order" in codes(found)
        assert words in said(found, "out-of-order")

    def test_a_policy_that_the_certificate_does_not_fit(self, place: Path) -> None:
        found = findings(place, LISTENER + 'policy = "netcontrol"\n')
        assert "the policy's cipher suites need one of RSA" in said(found, "tls")

    def test_keys_for_tokens(self, place: Path) -> None:
        (place / "keys.json").write_text("{")
        text = LISTENER.replace('"certificate"]', '"certificate", "token"]')
        found = findings(place, f'{text}\n[token]\njwks = "{place / "keys.json"}"\n')
        assert codes(found) == {"tokens"}
        assert "keys.json" in said(found, "tokens")

    def test_a_plug_in_that_is_not_there(self, place: Path) -> None:
        text = LISTENER.replace('"certificate"]', '"certificate", "plugin"]')
        found = findings(place, f'{text}\n[plugin]\nname = "nobodys"\n')
        assert codes(found) == {"plugin"}
        assert "it is not installed here; there are: http, sql" in said(found, "plugin")

    def test_a_file_of_keys(self, place: Path) -> None:
        (place / "psk").write_text("dev1:0\n")
        found = findings(place, PSK)
        assert "line 1 ('dev1'): the key is not hexadecimal" in said(found, "tls")

    def test_passwords_without_a_folder(self, place: Path) -> None:
        text = '[[listener]]\ntransport = "tcp"\nport = 0\nauthentication = ["password"]\n'
        assert codes(findings(place, text)) == {"no-folder"}

    def test_a_socket_in_a_folder_that_is_not_there(self, place: Path) -> None:
        text = f'[[listener]]\ntransport = "unix"\npath = "{place}/none/x.sock"\n'
        text += 'authentication = ["anonymous"]\n'
        assert codes(findings(place, text)) == {"place"}


PSK = """
[[listener]]
name = "keys"
transport = "tls"
address = "127.0.0.1"
port = 0
authentication = ["psk"]
[listener.psk]
file = "psk"
"""


class TestWhatIsRisky:
    def test_a_certificate_that_ends_soon(self, place: Path, pki: TestPki) -> None:
        make("soon", pki.issuing, days=(-20, 10), chain=(pki.issuing.certificate,)).write(place, "server")
        assert "expires-soon" in codes(findings(place, LISTENER), Weight.RISK)

    def test_a_list_that_ends_soon(self, place: Path, pki: TestPki) -> None:
        (place / "crl.pem").write_bytes(make_crl(pki.issuing, days=(-1, 1)))
        found = findings(place, LISTENER + 'crl = "crl.pem"\n')
        assert said(found, "crl-ends-soon") == "listener devices: a revocation list ends in 24 hours"

    def test_a_ca_that_ends_soon(self, place: Path) -> None:
        ca = make("Short CA", ca=True, days=(-1, 10))
        ca.write(place, "ca")
        assert "Short CA ends in 9 days" in said(findings(place, LISTENER), "ends-soon")

    def test_legacy_tls(self, place: Path) -> None:
        found = findings(place, LISTENER + 'cipher_suites = ["ECDHE-ECDSA-AES128-SHA"]\n')
        assert said(found, "legacy") == "listener devices: legacy TLS, as configured: cipher suites with CBC"

    def test_a_plain_listener(self, place: Path) -> None:
        text = '\n[[listener]]\ntransport = "tcp"\nport = 0\nauthentication = ["anonymous"]\n'
        found = findings(place, LISTENER + text)
        assert not codes(found)
        assert "exposed" in codes(found, Weight.RISK)

    def test_a_short_key_and_a_file_that_anybody_reads(self, place: Path) -> None:
        (place / "psk").write_text("dev1:0011\ndev2:00112233445566778899aabbccddeeff\n")
        (place / "psk").chmod(0o644)
        found = findings(place, PSK)
        assert not codes(found)
        assert codes(found, Weight.RISK) == {"short-key", "open-key"}
        assert "'dev1' has 2 bytes" in said(found, "short-key")
        assert "0011" not in "".join(map(str, found))

    def test_a_port_that_is_taken(self, place: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            text = LISTENER.replace("port = 0", f"port = {taken.getsockname()[1]}")
            found = findings(place, text)
        assert not codes(found)
        assert "cannot listen on tls 127.0.0.1" in said(found, "place")

    def test_a_port_of_the_metrics_that_is_taken(self, place: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            text = f"{LISTENER}\n[metrics]\nenabled = true\nport = {taken.getsockname()[1]}\n"
            assert said(findings(place, text), "place").startswith("[metrics]: ")


class TestADataFolder:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> DataFolder:
        folder = DataFolder(tmp_path / "data")
        folder.create()
        household, _ = Household.prepare(folder)
        household.ensure_server_certificate()
        household.access.close()
        return folder

    def traces(self, folder: DataFolder) -> dict[str, tuple[int, str]]:
        """Every file with its time and content."""
        return {
            str(path): (os.stat(path).st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(folder.path.rglob("*"))
            if path.is_file()
        } | {str(path): (os.stat(path).st_mtime_ns, "") for path in folder.path.rglob("*") if path.is_dir()}

    def test_nothing_is_written(self, folder: DataFolder) -> None:
        before = self.traces(folder)
        found = rehearse(Settings.for_up(folder.path, 0, 0), folder)
        assert not codes(found), found
        assert not codes(found, Weight.RISK), found
        assert self.traces(folder) == before

    def test_a_damaged_database(self, folder: DataFolder) -> None:
        folder.access_database.write_bytes(b"nothing of the kind" * 100)
        found = rehearse(Settings.for_up(folder.path, 0, 0), folder)
        assert codes(found) == {"access"}
        assert str(folder.access_database) in said(found, "access")

    def test_a_database_that_others_read(self, folder: DataFolder) -> None:
        folder.access_database.chmod(0o644)
        found = rehearse(Settings.for_up(folder.path, 0, 0), folder)
        assert f"{folder.access_database}: others on this machine can read it" in said(found, "access")

    def test_a_database_that_a_broker_is_using(self, folder: DataFolder) -> None:
        with sqlite3.connect(folder.access_database) as connection:
            connection.execute("BEGIN IMMEDIATE")
            assert not codes(rehearse(Settings.for_up(folder.path, 0, 0), folder))

    def test_a_damaged_authority(self, folder: DataFolder) -> None:
        (folder.ca / "intermediate.pem").write_text("rubbish")
        found = rehearse(Settings.for_up(folder.path, 0, 0), folder)
        assert "authority" in codes(found)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (("", ""), 0, "Nothing is wrong."),
        (("server.key", "ca.pem"), 1, "1 thing is wrong."),
        (("required", "perhaps"), 2, 'lockwire.toml:7: listener[1].client_certificates: "perhaps"'),
    ],
    ids=["good", "wrong", "contradictory"],
)
def test_the_command(place: Path, change: tuple[str, str], status: int, words: str) -> None:
    file = place / "lockwire.toml"
    file.write_text(LISTENER.replace(*change))
    before = sorted(place.iterdir())
    done = lockwire("check", "--config", file, cwd=place)
    assert done.returncode == status, done.stdout + done.stderr
    assert words in (done.stdout + done.stderr)
    assert sorted(place.iterdir()) == before


def test_a_file_that_is_not_there(place: Path) -> None:
    done = lockwire("check", "--config", "none.toml", cwd=place)
    assert done.returncode == 2
    assert "none.toml" in done.stderr


def test_a_folder_that_up_would_not_take_is_wrong(place: Path) -> None:
    (place / "letters").touch()
    done = lockwire("check", "--data", ".", cwd=place)
    assert done.returncode == 1
    assert "is not empty and not a Lockwire data folder (it holds " in done.stdout


def test_an_empty_place_is_a_folder_to_be_made(place: Path) -> None:
    done = lockwire("check", cwd=place)
    assert done.returncode == 0
    assert "holds nothing yet" in done.stdout
    assert not (place / "lockwire-data").exists()
