"""`lockwire ca`: made, imported, shown, handed out, replaced; with and without a running broker."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.lockwire import Running, client_context, up
from tests.cli.quick import done, quickly
from tests.support.openssl import openssl, verifies
from tests.support.wire import Wire

pytestmark = pytest.mark.peer("openssl")


def shown(cwd: Path) -> dict[str, object]:
    answer = json.loads(done("ca", "show", "--json", "--data", "data", cwd=cwd))
    assert isinstance(answer, dict)
    return answer


def presented(broker: Running, anchor: Path, *options: str) -> str:
    """How OpenSSL, which trusts this anchor, ends a handshake with the broker."""
    ended = subprocess.run(
        ["openssl", "s_client", "-connect", f"localhost:{broker.port('tls')}", "-CAfile", str(anchor),
         "-purpose", "sslserver", *options],
        input="", capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return ended.stdout


class TestInit:
    def test_with_everything(self, tmp_path: Path) -> None:
        (tmp_path / "phrase").write_text("correct horse\n")
        printed = done(
            "ca", "init", "--alternate", "rsa", "--passphrase-file", "phrase", "--data", "data", cwd=tmp_path
        )
        assert "key here, encrypted" in printed
        assert "RSA-2048" in printed
        for key in ("root.key", "rsa-root.key"):
            openssl("pkey", "-in", tmp_path / "data" / "ca" / key, "-passin", "pass:correct horse", "-noout")
        done("cert", "issue", "meter", "--key-type", "rsa-2048", "--data", "data", cwd=tmp_path)
        meter = tmp_path / "meter" / "meter.pem"
        assert verifies(meter, tmp_path / "data" / "ca" / "ca-rsa.pem", "-x509_strict", chain=meter)
        assert (tmp_path / "meter" / "ca.pem").read_text() == (
            tmp_path / "data" / "ca" / "ca-rsa.pem"
        ).read_text()
        again = quickly("ca", "init", "--data", "data", cwd=tmp_path)
        assert again.returncode == 2
        assert "has an authority already" in again.stderr

    def test_the_roots_key_goes_elsewhere_and_comes_back(self, tmp_path: Path) -> None:
        done("ca", "init", "--root-key-out", "stick", "--data", "data", cwd=tmp_path)
        assert not (tmp_path / "data" / "ca" / "root.key").exists()
        assert "key elsewhere" in done("ca", "show", "--data", "data", cwd=tmp_path)
        printed = done(
            "ca", "rollover", "start", "--root-key", "stick/root.key", "--data", "data", cwd=tmp_path
        )
        assert "Note:" not in printed

    def test_a_passphrase_from_the_environment_and_without_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused = quickly("ca", "init", "--encrypt-root", "--data", "data", cwd=tmp_path)
        assert refused.returncode == 2
        assert "no passphrase" in refused.stderr
        assert not (tmp_path / "data").exists()
        monkeypatch.setenv("LOCKWIRE_PASSPHRASE", "horse 123")
        done("ca", "init", "--encrypt-root", "--data", "data", cwd=tmp_path)
        assert shown(tmp_path)["chains"][0]["root_key"] == "here, encrypted"  # type: ignore[index]

    @pytest.mark.parametrize("words", [("--key", "rsa-1024"), ("--alternate", "p-256")])
    def test_kinds_that_are_not_made(self, tmp_path: Path, words: tuple[str, str]) -> None:
        refused = quickly("ca", "init", *words, "--data", "data", cwd=tmp_path)
        assert refused.returncode == 2
        assert words[1] in refused.stderr
        assert not (tmp_path / "data").exists()


class TestImport:
    @pytest.fixture
    def classroom(self, tmp_path: Path) -> Path:
        """A CA as in how-tos, its key encrypted with 3DES, and a device of it."""
        openssl(
            "genrsa",
            "-traditional",
            "-des3",
            "-passout",
            "pass:secret",
            "-out",
            "myCA.key",
            "2048",
            cwd=tmp_path,
        )
        openssl("req", "-x509", "-new", "-key", "myCA.key", "-passin", "pass:secret", "-days", "1825",
                "-subj", "/CN=My CA", "-out", "myCA.pem", cwd=tmp_path)  # fmt: skip
        assert "Proc-Type: 4,ENCRYPTED" in (tmp_path / "myCA.key").read_text()
        (tmp_path / "phrase").write_text("secret")
        return tmp_path

    def test_an_old_authority_with_an_encrypted_key(self, classroom: Path) -> None:
        words = ("ca", "import", "myCA.pem", "myCA.key", "--data", "data")
        refused = quickly(*words, cwd=classroom)
        assert refused.returncode == 2
        assert "myCA.key:1: This private key is encrypted" in refused.stderr
        assert "--password-file" in refused.stderr
        assert not (classroom / "data").exists()
        printed = done(*words, "--password-file", "phrase", cwd=classroom)
        assert "My CA, RSA-2048" in printed
        assert "Note: 'My CA' has no keyUsage" in printed
        kept = classroom / "data" / "ca" / "root.key"
        assert kept.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        openssl("pkey", "-in", kept, "-passin", "pass:secret", "-noout")
        done("cert", "issue", "pump", "--data", "data", cwd=classroom)
        pump = classroom / "pump" / "pump.pem"
        assert verifies(pump, classroom / "myCA.pem", "-purpose", "sslclient", chain=pump)
        with up(classroom) as broker:
            assert "Made an administrator:" in broker.output
            assert "Verify return code: 0 (ok)" in presented(broker, classroom / "myCA.pem")

    def test_in_the_place_of_another_on_the_running_broker(self, classroom: Path) -> None:
        with up(classroom) as broker:
            done("device", "add", "first", "--data", "data", cwd=classroom)
            words = ("ca", "import", "myCA.pem", "myCA.key", "--passphrase-file", "phrase", "--data", "data")
            assert "--replace" in quickly(*words, cwd=classroom).stderr
            refused = quickly(*words, "--replace", cwd=classroom)
            assert refused.returncode == 2
            assert "that is here (1): first" in refused.stderr
            done(*words, "--replace", "--force", cwd=classroom)
            assert "revoked (cessationOfOperation)" in done("cert", "list", "--data", "data", cwd=classroom)
            assert "Verify return code: 0 (ok)" in presented(broker, classroom / "myCA.pem")
            assert "secret" not in broker.log


class TestRollover:
    async def test_on_the_running_broker(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            done("device", "add", "pump", "--data", "data", cwd=tmp_path)
            first = tmp_path / "pump" / "ca.pem"
            done("ca", "rollover", "start", "--data", "data", cwd=tmp_path)
            second = tmp_path / "data" / "ca" / "next-root.pem"
            for anchor in (first, second):
                assert "Verify return code: 0 (ok)" in presented(broker, anchor)
            done("ca", "rollover", "switch", "--data", "data", cwd=tmp_path)
            second = tmp_path / "data" / "ca" / "root.pem"
            for anchor in (first, second):
                assert "Verify return code: 0 (ok)" in presented(broker, anchor)
            async with await Wire.open(
                ("localhost", broker.port("tls")), tls=client_context(tmp_path, "pump")
            ) as wire:
                await wire.connect("pump")
                refused = quickly("ca", "rollover", "finish", "--data", "data", cwd=tmp_path)
                assert refused.returncode == 2
                assert "pump" in refused.stderr
                status = done("ca", "rollover", "status", "--data", "data", cwd=tmp_path)
                assert "  pump (serial " in status
                done("ca", "rollover", "finish", "--force", "--data", "data", cwd=tmp_path)
                await wire.expect_closed()
            assert "Verify return code: 0 (ok)" in presented(broker, second)
            assert "Verify return code: 0 (ok)" not in presented(broker, first)
            assert "Traceback" not in broker.log

    def test_a_fleet_that_is_left_behind_is_counted(self, tmp_path: Path) -> None:
        done("ca", "init", "--data", "data", cwd=tmp_path)
        (tmp_path / "fleet.csv").write_text("name\n" + "".join(f"pump-{n}\n" for n in range(13)))
        done("cert", "bulk", "fleet.csv", "--out", "kits", "--data", "data", cwd=tmp_path)
        done("ca", "rollover", "start", "--data", "data", cwd=tmp_path)
        done("ca", "rollover", "switch", "--data", "data", cwd=tmp_path)
        printed = done("ca", "rollover", "finish", "--force", "--data", "data", cwd=tmp_path)
        assert printed.count("Note: The certificate of pump-") == 10
        assert "Note: Nor do those of 3 others: lockwire cert list --all shows them." in printed
        shown = done("cert", "list", "--all", "--data", "data", cwd=tmp_path)
        assert shown.count("revoked (cessationOfOperation)") == 13
        late = quickly("cert", "renew", "pump-1", "--data", "data", cwd=tmp_path)
        assert re.search(r"was revoked on .* \(cessationOfOperation\).*Issue another one", late.stderr, re.S)


class TestRsa:
    def test_a_chain_is_added_and_presented(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            root = tmp_path / "data" / "ca" / "ca.pem"
            only_rsa = ("-tls1_2", "-cipher", "aRSA")
            assert "Cipher is (NONE)" in presented(broker, root, *only_rsa)
            done("ca", "rsa", "--data", "data", cwd=tmp_path)
            done("reload", "--data", "data", cwd=tmp_path)
            for anchor in (root, root.with_name("ca-rsa.pem")):
                assert "Verify return code: 0 (ok)" in presented(broker, anchor, *only_rsa)
            assert "Peer signature type: ECDSA" in presented(broker, root)


def test_export(tmp_path: Path) -> None:
    done("ca", "init", "--data", "data", cwd=tmp_path)
    root = (tmp_path / "data" / "ca" / "ca.pem").read_text()
    assert done("ca", "export", "--data", "data", cwd=tmp_path) == root
    done("ca", "export", "--form", "der", "--out", "ca.der", "--data", "data", cwd=tmp_path)
    assert openssl("x509", "-inform", "DER", "-in", tmp_path / "ca.der") == root
    assert done("ca", "export", "--form", "chain", "--data", "data", cwd=tmp_path).count("BEGIN") == 2
    assert quickly("ca", "export", "--chain", "rsa", "--data", "data", cwd=tmp_path).returncode == 2
