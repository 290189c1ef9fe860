"""Our revocation lists and OCSP in the hands of others: Mosquitto, and Java's strict path validation."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from lockwire.config.access import AuthoritySettings
from lockwire.log import get_log
from lockwire.pki.authority.authority import Authority
from lockwire.pki.files import write_private, write_public
from lockwire.pki.revocation.publishing import revocation_of, write_crls
from lockwire.responder import Responder
from tests.support.broker import free_port
from tests.support.peers import peer_path
from tests.support.wire import Wire

JAVA = """
import java.io.FileInputStream;
import java.net.URI;
import java.security.cert.*;
import java.util.*;

/** Arguments: CRL or OCSP, where it is, root.pem, then chains. Prints a line for each. */
public class Check {
    public static void main(String[] words) throws Exception {
        CertificateFactory x509 = CertificateFactory.getInstance("X.509");
        X509Certificate root = (X509Certificate) x509.generateCertificate(new FileInputStream(words[2]));
        for (String file : Arrays.copyOfRange(words, 3, words.length)) {
            CertPathValidator validator = CertPathValidator.getInstance("PKIX");
            PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
            EnumSet<PKIXRevocationChecker.Option> options = EnumSet.of(
                PKIXRevocationChecker.Option.ONLY_END_ENTITY, PKIXRevocationChecker.Option.NO_FALLBACK);
            PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
            if (words[0].equals("CRL")) {
                options.add(PKIXRevocationChecker.Option.PREFER_CRLS);
                Collection<? extends CRL> lists = x509.generateCRLs(new FileInputStream(words[1]));
                parameters.addCertStore(
                    CertStore.getInstance("Collection", new CollectionCertStoreParameters(lists)));
            } else {
                checker.setOcspResponder(new URI(words[1]));
            }
            checker.setOptions(options);
            parameters.addCertPathChecker(checker);
            List<Certificate> chain = new ArrayList<>(x509.generateCertificates(new FileInputStream(file)));
            try {
                validator.validate(x509.generateCertPath(chain), parameters);
                System.out.println("VALID");
            } catch (CertPathValidatorException error) {
                System.out.println(error.getReason() + " " + error.getMessage());
            }
        }
    }
}
"""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """With certificates for `gone`, which is revoked, and `here`, and one of a server."""
    authority = Authority.create(tmp_path / "ca")
    server = authority.issue_server(["localhost"], ["127.0.0.1"])
    write_private(authority.folder / "server.key", server.key)
    write_public(authority.folder / "server.pem", server.chain)
    for name in ("gone", "here"):
        issued = authority.issue_client(name)
        write_private(authority.folder / f"{name}.key", issued.key)
        write_public(authority.folder / f"{name}.pem", issued.chain)
    revoke(authority, "gone")
    write_crls(authority)
    return authority


def revoke(authority: Authority, name: str) -> None:
    (entry,) = authority.ledger.named(name)
    reason, now = x509.ReasonFlags.key_compromise, datetime.datetime.now(datetime.UTC)
    authority.ledger.revoke([revocation_of(authority, entry, reason, "ada", now)])


@dataclass(frozen=True, slots=True)
class Mosquitto:
    """Mosquitto as docs/revocation.md sets it up."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture
async def mosquitto(authority: Authority) -> AsyncIterator[Mosquitto]:
    port, folder = free_port(), authority.folder
    configuration = folder / "mosquitto.conf"
    configuration.write_text(
        f"user root\nlistener {port} 127.0.0.1\ncafile {folder}/clients.pem\ncertfile {folder}/server.pem\n"
        f"keyfile {folder}/server.key\ncrlfile {folder}/crl.pem\nrequire_certificate true\n"
        "use_identity_as_username true\nlog_type all\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([peer_path("mosquitto"), "-c", configuration], stdout=log, stderr=log)
    try:
        async with asyncio.timeout(10):
            while not await _listens(port):
                assert process.poll() is None, (folder / "log").read_text()
                await asyncio.sleep(0.02)
        yield Mosquitto(port, process, folder / "log")
    finally:
        process.terminate()
        process.wait(10)


async def _listens(port: int) -> bool:
    try:
        (await Wire.open(("127.0.0.1", port))).abort()
    except OSError:
        return False
    return True


async def _connects(authority: Authority, name: str, port: int) -> bool:
    """Whether a device gets in; False where its certificate is revoked."""
    folder = authority.folder
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # a refusal comes within the handshake
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    try:
        wire = await Wire.open(("127.0.0.1", port), 5, context)
    except ssl.SSLError as error:
        if error.reason != "SSLV3_ALERT_CERTIFICATE_REVOKED":
            raise
        return False
    await wire.connect(name)
    wire.abort()
    return True


@pytest.mark.peer("mosquitto")
async def test_mosquitto_refuses_whom_our_list_names(authority: Authority, mosquitto: Mosquitto) -> None:
    assert await _connects(authority, "here", mosquitto.port)
    assert not await _connects(authority, "gone", mosquitto.port)
    revoke(authority, "here")
    write_crls(authority)
    mosquitto.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(10):
        while b"Reloading config" not in mosquitto.log.read_bytes():
            await asyncio.sleep(0.02)
    assert not await _connects(authority, "here", mosquitto.port)


@pytest.mark.skipif(shutil.which("javac") is None, reason="Java's compiler is not installed")
async def test_java_takes_lists_and_ocsp(authority: Authority, tmp_path: Path) -> None:
    responder = Responder(authority, asyncio.Lock(), get_log())
    await responder.start(AuthoritySettings(serve=True, port=0))
    (tmp_path / "Check.java").write_text(JAVA)
    try:
        url = f"{responder.status()['served']}/ocsp"
        assert await _run(tmp_path, "javac", "Check.java") == ""
        for way, place in (("CRL", str(authority.folder / "crl.pem")), ("OCSP", url)):
            chains = [str(authority.folder / f"{name}.pem") for name in ("here", "gone")]
            said = await _run(tmp_path, "java", "Check", way, place, str(authority.device_ca), *chains)
            valid, revoked = said.splitlines()
            assert valid == "VALID"
            assert revoked.startswith("REVOKED ")
            assert "KEY_COMPROMISE" in revoked
    finally:
        await responder.stop()
    assert responder.status()["ocsp_answers"] == 2


async def _run(folder: Path, program: str, *words: str) -> str:
    done = await asyncio.to_thread(
        subprocess.run,
        [program, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
