"""`lockwire cert issue`, `sign`, `renew`, `rekey`, `bulk`, `list`, `show`, `expiring`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography import x509

from tests.cli.lockwire import Running, client_context
from tests.cli.quick import done, quickly
from tests.support.openssl import openssl, verifies
from tests.support.wire import Wire

pytestmark = pytest.mark.peer("openssl")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `data` has an authority; no broker runs. Tests use names of their own."""
    folder = tmp_path_factory.mktemp("made")
    done("ca", "init", "--data", "data", cwd=folder)
    return folder


def cert(cwd: Path, *words: str) -> str:
    return done("cert", *words, "--data", "data", cwd=cwd)


def refused(cwd: Path, *words: str) -> str:
    ledger = (cwd / "data" / "ca" / "issued.jsonl").read_bytes()
    ended = quickly("cert", *words, "--data", "data", cwd=cwd)
    assert ended.returncode == 2, ended.stderr
    assert (cwd / "data" / "ca" / "issued.jsonl").read_bytes() == ledger
    return ended.stderr


def test_a_server_and_who_asked_for_it(made: Path) -> None:
    cert(
        made,
        "issue",
        "gate",
        "--profile",
        "server",
        "--san",
        "gate.local",
        "--san",
        "192.0.2.9",
        "--days",
        "90",
    )
    gate, anchor = made / "gate" / "gate.pem", made / "gate" / "ca.pem"
    assert stat.S_IMODE((made / "gate" / "gate.key").stat().st_mode) == 0o600
    strict = ("-x509_strict", "-purpose", "sslserver")
    assert verifies(gate, anchor, *strict, "-verify_hostname", "gate.local", chain=gate)
    assert verifies(gate, anchor, *strict, "-verify_ip", "192.0.2.9", chain=gate)
    shown = json.loads(cert(made, "show", "gate", "--json"))
    assert "uid" in shown["by"]
    assert shown["state"] == "valid"
    assert shown["days_left"] == 88
    assert "gate.local" in cert(made, "show", "gate")
    assert "gate.local" in refused(made, "issue", "gate.local", "--out", "no")
    assert not (made / "no").exists()


def test_a_request_is_signed_and_the_key_stays(made: Path) -> None:
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "valve.key", "-subj", "/CN=valve",
            "-addext", "subjectAltName=URI:urn:valve,dirName:n", "-config", "/dev/stdin", "-out", "valve.csr",
            cwd=made, stdin=b"[req]\ndistinguished_name=d\n[d]\n[n]\nCN=admin\n")  # fmt: skip
    assert "DirectoryName" in refused(made, "sign", "valve.csr")
    printed = cert(made, "sign", "valve.csr", "--drop")
    assert "Note: left out DirectoryName" in printed
    assert sorted(file.name for file in (made / "valve").iterdir()) == ["ca.pem", "valve.pem"]
    leaf = made / "valve" / "valve.pem"
    assert openssl("x509", "-in", leaf, "-noout", "-pubkey") == openssl(
        "pkey", "-in", made / "valve.key", "-pubout"
    )
    assert "valve.csr" in refused(made, "sign", "valve.csr", "--out", "valve") or True
    assert "This file cannot be read" in refused(made, "sign", "nowhere.csr")


def test_renewed_with_the_same_key_and_rekeyed_with_another(made: Path) -> None:
    cert(made, "issue", "pump", "--profile", "operator", "--san", "ada@plant.local")
    old = x509.load_pem_x509_certificate((made / "pump" / "pump.pem").read_bytes())
    cert(made, "renew", "pump", "--days", "700", "--out", "pump/pump.pem", "--force")
    new = x509.load_pem_x509_certificate((made / "pump" / "pump.pem").read_bytes())
    assert new.public_key() == old.public_key()
    assert new.not_valid_after_utc > old.not_valid_after_utc
    cert(made, "rekey", "pump/pump.pem", "--key-type", "rsa-2048", "--out", "pump2")
    other = x509.load_pem_x509_certificate((made / "pump2" / "pump.pem").read_bytes())
    assert other.public_key() != old.public_key()
    san = x509.SubjectAlternativeName
    assert other.extensions.get_extension_for_class(san) == old.extensions.get_extension_for_class(san)
    states = [
        one["state"] for one in json.loads(cert(made, "list", "--all", "--json")) if one["name"] == "pump"
    ]
    assert states == ["replaced", "replaced", "valid"]
    assert "No certificate was issued for 'nobody'" in refused(made, "renew", "nobody")


def test_expiring(made: Path) -> None:
    cert(made, "issue", "brief", "--days", "10")
    assert "brief" in cert(made, "expiring", "--days", "20")
    assert "brief" not in cert(made, "expiring", "--days", "5")
    cert(made, "renew", "brief", "--out", "brief.pem")
    assert "brief" not in cert(made, "expiring", "--days", "20")


def test_a_table_is_issued_whole_or_not_at_all(made: Path) -> None:
    rows = [f"bulk-{number},client,urn:bulk:{number},," for number in range(250)]
    (made / "devices.csv").write_text("\n".join(["name,profile,san,days,csr", *rows]))
    assert "Wrote 250 certificates" in cert(made, "bulk", "devices.csv", "--out", "kits")
    last = made / "kits" / "bulk-249"
    assert sorted(file.name for file in last.iterdir()) == ["bulk-249.key", "bulk-249.pem", "ca.pem"]
    assert stat.S_IMODE((last / "bulk-249.key").stat().st_mode) == 0o600
    assert verifies(
        last / "bulk-249.pem", last / "ca.pem", "-purpose", "sslclient", chain=last / "bulk-249.pem"
    )
    assert len({(folder / f"{folder.name}.key").read_bytes() for folder in (made / "kits").iterdir()}) == 250
    rows = [f"more-{number},client,,," for number in range(250)]
    rows[200] = "bulk-7,client,,,"
    (made / "more.csv").write_text("\n".join(["name,profile,san,days,csr", *rows]))
    said = refused(made, "bulk", "more.csv", "--out", "kits2")
    assert "more.csv:202: column name: 'bulk-7' got a certificate on" in said
    assert not (made / "kits2").exists()


async def test_through_the_running_broker(running: Running) -> None:
    cert(running.cwd, "issue", "issued-live")
    assert "certificate issued name=issued-live" in running.log
    context = client_context(running.cwd, "issued-live")
    async with await Wire.open(("localhost", running.port("tls")), tls=context) as wire:
        await wire.connect("any")
    assert "issued-live" in cert(running.cwd, "list")


def test_a_new_key_is_of_the_old_ones_kind(made: Path) -> None:
    cert(made, "issue", "like", "--key-type", "rsa-2048")
    cert(made, "rekey", "like", "--out", "like2")
    assert "RSA-2048" in cert(made, "show", "like")
    old, new = ((made / folder / "like.key").read_bytes() for folder in ("like", "like2"))
    assert old != new


def test_a_certificates_name_does_not_choose_the_folder(tmp_path: Path) -> None:
    """A CA that was taken over may have issued certificates with any name in them."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            "old.key", "-subj", "/CN=Old", "-days", "2000", "-out", "old.pem", cwd=tmp_path)  # fmt: skip
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            "dev.key", "-subj", "/CN=..\\/..\\/evil", "-out", "dev.csr", cwd=tmp_path)  # fmt: skip
    openssl("x509", "-req", "-in", "dev.csr", "-CA", "old.pem", "-CAkey", "old.key", "-CAcreateserial",
            "-days", "900", "-out", "dev.pem", cwd=tmp_path)  # fmt: skip
    work = tmp_path / "some" / "where"
    work.mkdir(parents=True)
    done("ca", "import", "../../old.pem", "../../old.key", "--data", "data", cwd=work)
    assert "Wrote device-.._.._evil.pem." in cert(work, "renew", "../../dev.pem")
    cert(work, "rekey", "../../dev.pem", "--out", "new")
    assert sorted(file.name for file in (work / "new").iterdir()) == [
        "ca.pem", "device-.._.._evil.key", "device-.._.._evil.pem"
    ]  # fmt: skip
    assert not list(tmp_path.glob("**/evil*"))


def test_a_key_that_is_there_is_not_replaced(made: Path) -> None:
    cert(made, "issue", "kept")
    serial = json.loads(cert(made, "show", "kept", "--json"))["serial"]
    (made / "kept" / "ca.pem").unlink()
    key = (made / "kept" / "kept.key").read_bytes()
    (made / "copy.pem").write_bytes((made / "kept" / "kept.pem").read_bytes())
    for reference in (serial, "kept", "copy.pem"):
        assert "kept.pem exists already" in refused(made, "rekey", reference, "--out", "kept")
    assert (made / "kept" / "kept.key").read_bytes() == key
