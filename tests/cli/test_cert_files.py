"""`lockwire cert inspect, check, convert, chain`: what they print, their exit status, their files."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.lockwire import COMMAND, environment
from tests.cli.quick import done, quickly, refused
from tests.pki.issuing import CLIENT, Signed, issue, openssl
from tests.pki.serving import tls_server

TODAY = datetime.now(UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A root, a server's certificate of it with its key, the same key encrypted, a password file."""
    root = issue("Plant root", ca=True, days=7300, now=TODAY)
    server = issue("plant.local", root, names=["plant.local"], now=TODAY)
    (tmp_path / "ca.pem").write_bytes(root.pem)
    (tmp_path / "server.pem").write_bytes(server.pem)
    (tmp_path / "server.key").write_bytes(server.key_pem)
    (tmp_path / "locked.key").write_bytes(server.encrypted_key_pem(b"correct horse"))
    (tmp_path / "password").write_text("correct horse\n")
    (tmp_path / "wrong").write_text("battery staple\n")
    for key in ("server.key", "locked.key"):
        (tmp_path / key).chmod(0o600)
    return tmp_path


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


class TestInspect:
    def test_says_what_a_file_holds_in_plain_words(self, folder: Path) -> None:
        printed = done("cert", "inspect", "server.pem", cwd=folder)
        assert printed.startswith("server.pem: PEM, ")
        assert "1. certificate of a TLS server (line 1)\n" in printed
        for line in ("subject      CN=plant.local", "key          P-256", "signature    ECDSA with SHA-256",
                     "names        DNS plant.local", "used as      TLS server"):  # fmt: skip
            assert f"   {line}\n" in printed
        assert "days left\n" in printed

    @pytest.mark.peer("openssl")
    def test_has_the_fingerprints_and_the_serial_number_of_openssl(self, folder: Path) -> None:
        printed = done("cert", "inspect", "server.pem", cwd=folder)
        for digest in ("sha256", "sha1"):
            theirs = openssl(folder, f"x509 -in server.pem -noout -fingerprint -{digest}").strip()
            assert theirs.partition("=")[2] in printed
        serial = openssl(folder, "x509 -in server.pem -noout -serial").strip().partition("=")[2]
        assert serial in printed.replace(":", "")

    def test_lists_each_thing_as_json(self, folder: Path) -> None:
        (folder / "all").write_bytes(
            (folder / "server.pem").read_bytes() + (folder / "locked.key").read_bytes()
        )
        answer = json.loads(
            done("cert", "inspect", "all", "--json", "--password-file", "password", cwd=folder)
        )
        certificate, key = answer["items"]
        assert (certificate["kind"], certificate["role"]) == ("certificate", "certificate of a TLS server")
        assert certificate["names"] == ["DNS plant.local"]
        assert certificate["valid_now"] is True
        assert (key["kind"], key["key"], key["encryption"]) == ("private key", "P-256", "AES-256-CBC, PBKDF2")
        assert "PRIVATE" not in json.dumps(answer)

    def test_an_encrypted_key_is_shown_as_far_as_it_goes(self, folder: Path) -> None:
        printed = done("cert", "inspect", "locked.key", cwd=folder)
        assert "private key, which its password would open" in printed
        assert "PKCS#8, encrypted (AES-256-CBC, PBKDF2)" in printed
        assert "does not open the private key" in refused(
            "cert", "inspect", "locked.key", "--password-file", "wrong", cwd=folder
        )

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (None, "broken: This file cannot be read (No such file or directory)"),
            (b"", "broken: This file is empty"),
            (
                b"-----BEGIN CERTIFICATE-----\nMIIB\n",
                "broken:1: The block CERTIFICATE that begins here has no",
            ),
            (b"\x30\x82\x05\x00", "should have 1284 bytes and has 4"),
        ],
    )
    def test_a_broken_file_gives_status_2_and_the_cause(
        self, tmp_path: Path, data: bytes | None, message: str
    ) -> None:
        if data is not None:
            (tmp_path / "broken").write_bytes(data)
        assert message in refused("cert", "inspect", "broken", cwd=tmp_path)

    def test_reads_from_a_pipe(self, folder: Path) -> None:
        ended = subprocess.run(
            [*COMMAND, "cert", "inspect", "/dev/stdin"],
            input=(folder / "server.pem").read_bytes(), capture_output=True, env=environment(), timeout=30,
        )  # fmt: skip
        assert b"certificate of a TLS server" in ended.stdout

    def test_text_from_a_certificate_cannot_control_the_terminal(self, tmp_path: Path) -> None:
        (tmp_path / "evil.pem").write_bytes(issue("x\x1b[2J\ny", names=["a"], now=TODAY).pem)
        printed = done("cert", "inspect", "evil.pem", cwd=tmp_path)
        assert "\x1b" not in printed
        assert "CN=x\\x1b[2J\\ny" in printed


class TestCheck:
    def test_nothing_wrong_is_status_0(self, folder: Path) -> None:
        printed = done("cert", "check", "server.pem", "--ca", "ca.pem", "--key", "server.key", "--host",
                       "plant.local", cwd=folder)  # fmt: skip
        assert printed.splitlines()[1:] == ["Nothing is wrong."]

    def test_something_wrong_is_status_1_and_one_line_with_its_remedy(self, folder: Path) -> None:
        ended = quickly("cert", "check", "server.pem", "--ca", "ca.pem", "--host", "other.local", cwd=folder)
        assert ended.returncode == 1
        assert ended.stdout.splitlines()[1:] == [
            "wrong  certificate 1 (plant.local): is not for other.local; it is for DNS plant.local. "
            "Connect by one of its names, or issue it with DNS:other.local in the alternative name.",
            "1 thing is wrong.",
        ]

    @pytest.mark.parametrize("host", ["mqtts://plant.local:8883", "plant.local:8883"])
    def test_a_host_as_clients_have_it_in_their_settings(self, folder: Path, host: str) -> None:
        assert "Nothing is wrong." in done("cert", "check", "server.pem", "--host", host, cwd=folder)
        ended = quickly("cert", "check", "server.pem", "--host", "[2001:db8::1]:8883", cwd=folder)
        assert "is not for 2001:db8::1;" in ended.stdout

    def test_at_another_time_as_json(self, folder: Path) -> None:
        ended = quickly(
            "cert", "check", "server.pem", "--ca", "ca.pem", "--at", "2100-01-01", "--json", cwd=folder
        )
        assert ended.returncode == 1
        answer = json.loads(ended.stdout)
        assert (answer["wrong"], answer["at"]) == (True, "2100-01-01T00:00:00+00:00")
        assert {found["code"] for found in answer["findings"]} == {"expired", "issuer-expired"}

    def test_for_a_device(self, folder: Path) -> None:
        ended = quickly("cert", "check", "server.pem", "--for", "netcontrol", cwd=folder)
        assert ended.returncode == 1
        assert "has a P-256 key, which netcontrol cannot use. Use RSA of 2048 bits or more." in ended.stdout
        assert "'esp23' is not a device family; did you mean esp32?" in refused(
            "cert", "check", "server.pem", "--for", "esp23", cwd=folder
        )

    def test_a_request_beside_it_is_found(self, folder: Path) -> None:
        openssl(folder, "req -new -key server.key -subj /CN=plant.local -out server.csr"
                " -addext subjectAltName=DNS:plant.local,IP:192.0.2.1")  # fmt: skip
        ended = quickly("cert", "check", "server.pem", cwd=folder)
        assert ended.returncode == 1
        assert "lacks names that the request asked for: IP 192.0.2.1" in ended.stdout

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("server.key",), "There is no certificate in this file; it holds: private key"),
            (("server.pem", "--key", "locked.key"), "This private key is encrypted (AES-256-CBC, PBKDF2)"),
            (("server.pem", "--key", "ca.pem"), "There is no private key in this file"),
            (("server.pem", "--at", "tomorrow"), "--at tomorrow: not a time"),
            (("server.pem", "--at", "9999-12-31T23:59:59-14:00"), "not a time"),
            (("server.pem", "--host", "plant.local:mqtt"), "'plant.local:mqtt' is no server"),
            (("server.pem", "--use", "toy"), "--use toy: none of server, client, authority"),
        ],
    )
    def test_bad_input_is_status_2(self, folder: Path, words: tuple[str, ...], message: str) -> None:
        assert message in refused("cert", "check", *words, cwd=folder)

    def test_an_encrypted_key_is_compared_with_its_password(self, folder: Path) -> None:
        printed = done("cert", "check", "server.pem", "--ca", "ca.pem", "--key", "locked.key",
                       "--password-file", "password", cwd=folder)  # fmt: skip
        assert "key-mismatch" not in printed
        assert "is encrypted" in printed


class TestConvert:
    def test_a_certificate_for_everyone_and_a_key_for_its_owner_only(self, folder: Path) -> None:
        done("cert", "convert", "ca.pem", "--to", "der", "--out", "ca.der", cwd=folder)
        printed = done("cert", "convert", "locked.key", "--to", "pkcs8", "--out", "open.key",
                       "--password-file", "password", cwd=folder)  # fmt: skip
        assert (mode(folder / "ca.der"), mode(folder / "open.key")) == (0o644, 0o600)
        assert (folder / "open.key").read_bytes() == (folder / "server.key").read_bytes()
        assert "P-256 key as PKCS#8 in PEM, not encrypted" in printed
        assert "readable by its owner only" in printed

    def test_text_without_a_key_is_printed_where_no_file_is_named(self, folder: Path) -> None:
        assert done("cert", "convert", "ca.pem", "--to", "pem", cwd=folder) == (folder / "ca.pem").read_text()
        assert "static const char ca_pem[] PROGMEM" in done(
            "cert", "convert", "ca.pem", "--to", "progmem", cwd=folder
        )
        assert "A private key is not printed" in refused(
            "cert", "convert", "server.key", "--to", "pem", cwd=folder
        )
        assert "binary and is not printed" in refused("cert", "convert", "ca.pem", "--to", "der", cwd=folder)

    def test_nothing_is_overwritten_without_force(self, folder: Path) -> None:
        words = ("cert", "convert", "ca.pem", "--to", "der", "--out", "server.pem")
        before = (folder / "server.pem").read_bytes()
        assert "server.pem exists already" in refused(*words, cwd=folder)
        assert (folder / "server.pem").read_bytes() == before
        done(*words, "--force", cwd=folder)
        assert (folder / "server.pem").read_bytes()[:1] == b"\x30"

    def test_a_failure_leaves_nothing_behind(self, folder: Path) -> None:
        before = sorted(folder.iterdir())
        refused("cert", "convert", "server.key", "--to", "der", "--out", "new", "--item", "9", cwd=folder)
        refused("cert", "convert", "locked.key", "--to", "pkcs8", "--out", "new", cwd=folder)
        refused("cert", "convert", "ca.pem", "--to", "tar", "--out", "new", cwd=folder)
        refused("cert", "convert", "ca.pem", "--to", "der", "--out", "absent/new", cwd=folder)
        assert sorted(folder.iterdir()) == before

    @pytest.mark.peer("openssl")
    def test_pkcs12_from_certificate_and_key(self, folder: Path) -> None:
        words = ("cert", "convert", "server.pem", "--with", "server.key", "--with", "ca.pem", "--to", "p12",
                 "--out", "server.p12")  # fmt: skip
        assert "needs a password" in refused(*words, cwd=folder)
        done(*words, "--new-password-file", "password", cwd=folder)
        assert mode(folder / "server.p12") == 0o600
        shown = subprocess.run(
            ["openssl", "pkcs12", "-in", "server.p12", "-passin", "file:password", "-nodes"],
            cwd=folder, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert shown.count("BEGIN CERTIFICATE") == 2
        assert "BEGIN PRIVATE KEY" in shown

    def test_a_password_is_never_an_argument(self, folder: Path) -> None:
        (folder / "empty").touch()
        assert "should be a password of 1 to 1024 bytes" in refused(
            "cert", "convert", "locked.key", "--to", "pem", "--password-file", "empty", cwd=folder
        )
        assert quickly("cert", "convert", "locked.key", "--password", "x", cwd=folder).returncode == 2


class TestChain:
    @pytest.fixture
    def chain(self) -> list[Signed]:
        root = issue("Plant root", ca=True, days=7300, now=TODAY)
        middle = issue("Plant intermediate", root, ca=True, days=3650, now=TODAY)
        return [issue("localhost", middle, names=["localhost"], now=TODAY), middle, root]

    def test_explains_each_certificate_and_saves_the_root(self, tmp_path: Path, chain: list[Signed]) -> None:
        with tls_server(tmp_path, chain) as port:
            printed = done("cert", "chain", f"localhost:{port}", "--out", "saved", cwd=tmp_path)
        assert f"localhost:{port} sends 3 certificates (TLSv1.3, " in printed
        assert "2. An intermediate. Its CA replaces it whenever it likes: do not install it.\n" in printed
        assert "Install the root Plant root. The server sends it.\n" in printed
        assert "wrong" not in printed
        assert (tmp_path / "saved" / "ca.pem").read_bytes() == chain[2].pem
        assert (tmp_path / "saved" / "ca.der").read_bytes() == chain[2].der
        assert (tmp_path / "saved" / "chain.pem").read_bytes() == b"".join(each.pem for each in chain)

    def test_a_private_root_that_is_not_sent_is_asked_for_or_given(
        self, tmp_path: Path, chain: list[Signed]
    ) -> None:
        (tmp_path / "roots.pem").write_bytes(chain[2].pem)
        with tls_server(tmp_path, chain[:2]) as port:
            without = done("cert", "chain", f"localhost:{port}", "--out", "saved", cwd=tmp_path)
            given = done("cert", "chain", f"localhost:{port}", "--ca", "roots.pem", "--json", cwd=tmp_path)
        assert "The root was not found: Plant intermediate was issued by CN=Plant root" in without
        assert sorted(file.name for file in (tmp_path / "saved").iterdir()) == ["chain.pem"]
        answer = json.loads(given)
        assert [each["source"] for each in answer["certificates"]] == ["sent", "sent", "the CAs given"]
        assert answer["install"] == answer["certificates"][2]["sha256"]
        assert answer["findings"] == []

    def test_says_what_is_wrong_with_it_too(self, tmp_path: Path, chain: list[Signed]) -> None:
        leaf = issue("other.local", chain[1], names=["other.local"], purposes=[CLIENT], now=TODAY)
        with tls_server(tmp_path, [leaf, *chain[1:]]) as port:
            printed = done("cert", "chain", f"127.0.0.1:{port}", "--offline", cwd=tmp_path)
        assert "wrong  certificate 1 (other.local): is not for 127.0.0.1" in printed
        assert "wrong  certificate 1 (other.local): is for TLS client, not for a TLS server" in printed

    def test_a_server_that_cannot_be_reached_is_status_1(self, tmp_path: Path) -> None:
        ended = quickly("cert", "chain", "127.0.0.1:1", "--out", "saved", cwd=tmp_path)
        assert ended.returncode == 1
        assert "127.0.0.1:1 cannot be reached (Connection refused)" in ended.stderr
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("server", ["", ":8883", "host:port", "host:0", "host:65536", "[::1]:x"])
    def test_a_server_written_wrong_is_status_2(self, tmp_path: Path, server: str) -> None:
        assert "Write it as HOST, HOST:PORT or [IPv6]:PORT." in refused("cert", "chain", server, cwd=tmp_path)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("broker.local", ("broker.local", 8883)),
            ("broker.local:1", ("broker.local", 1)),
            ("mqtts://broker.local:2/", ("broker.local", 2)),
            ("[2001:db8::1]:3", ("2001:db8::1", 3)),
            ("2001:db8::1", ("2001:db8::1", 8883)),
        ],
    )
    def test_a_server_is_written_in_many_ways(self, text: str, expected: tuple[str, int]) -> None:
        from lockwire.cli.cert_chain import parse_server

        assert parse_server(text) == expected

    def test_files_there_already_stay(self, tmp_path: Path, chain: list[Signed]) -> None:
        (tmp_path / "saved").mkdir()
        (tmp_path / "saved" / "ca.pem").write_text("mine")
        assert "saved/ca.pem exists already" in refused(
            "cert", "chain", "localhost:1", "--out", "saved", cwd=tmp_path
        )
        with tls_server(tmp_path, chain) as port:
            done("cert", "chain", f"localhost:{port}", "--out", "saved", "--force", cwd=tmp_path)
        assert (tmp_path / "saved" / "ca.pem").read_bytes() == chain[2].pem


def test_a_terminal_is_asked_for_the_password(folder: Path) -> None:
    """On a real terminal: the question is there, the password is not."""
    pty = pytest.importorskip("pty")
    import os

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lockwire.cli", "cert", "inspect", "locked.key"],
        cwd=folder,
        env=environment(),
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown = b""
    while b"Password" not in shown:
        shown += os.read(master, 1024)
    os.write(master, b"correct horse\n")
    output, _ = process.communicate(timeout=30)
    os.close(master)
    assert process.returncode == 0
    assert b"Password of the private key in locked.key, line 1: " in shown
    assert b"horse" not in shown + output
    assert b"P-256" in output
