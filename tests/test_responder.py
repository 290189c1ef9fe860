"""What the authority serves over HTTP, fetched and checked by openssl and urllib."""

from __future__ import annotations

import asyncio
import base64
import datetime
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from lockwire.config.access import AuthoritySettings
from lockwire.log import get_log
from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.ledger import Revocation
from lockwire.pki.revocation.publishing import write_crls
from lockwire.responder import OcspAnswers, Responder

SERVED = AuthoritySettings(serve=True, port=0)


@dataclass(frozen=True, slots=True)
class Served:
    """A responder at work."""

    authority: Authority
    responder: Responder

    @property
    def url(self) -> str:
        return str(self.responder.status()["served"])

    async def fetch(self, path: str, data: bytes | None = None) -> tuple[str, bytes]:
        """Media type and content of a path."""

        def run() -> tuple[str, bytes]:
            with urllib.request.urlopen(self.url + path, data, timeout=10) as response:
                return response.headers["Content-Type"], response.read()

        return await asyncio.to_thread(run)

    async def openssl(self, *arguments: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run, ["openssl", *arguments], capture_output=True, text=True, timeout=30
        )
        return str(done.stdout + done.stderr)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    authority = Authority.create(tmp_path / "ca")
    responder = Responder(authority, asyncio.Lock(), get_log())
    await responder.start(SERVED)
    yield Served(authority, responder)
    await responder.stop()


def issue(authority: Authority, name: str, revoked: bool = False) -> x509.Certificate:
    certificate = authority.issue_client(name).certificate
    (authority.folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    if revoked:
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        entry = authority.ledger.by_serial(certificate.serial_number)
        assert entry is not None
        reason = x509.ReasonFlags.key_compromise
        authority.ledger.revoke(
            [Revocation(now, entry.serial, reason, "ada", entry.authority, name, entry.not_after)]
        )
    return certificate


async def test_lists_and_root_in_both_forms(served: Served) -> None:
    gone = issue(served.authority, "gone", revoked=True)
    write_crls(served.authority)
    content_type, pem = await served.fetch("/crl.pem")
    assert content_type == "application/x-pem-file"
    crl = x509.load_pem_x509_crl(pem)
    assert crl.get_revoked_certificate_by_serial_number(gone.serial_number) is not None
    content_type, der = await served.fetch("/crl.der")
    assert content_type == "application/pkix-crl"
    assert x509.load_der_x509_crl(der) == crl
    identifier = served.authority.issuers[0].identifier[:8]
    assert (await served.fetch(f"/crl-{identifier}.der"))[1] == der
    assert x509.load_pem_x509_certificate((await served.fetch("/ca.pem"))[1]) == served.authority.root
    content_type, der = await served.fetch("/ca.der")
    assert content_type == "application/pkix-cert"
    assert x509.load_der_x509_certificate(der) == served.authority.root


@pytest.mark.parametrize("path", ["/", "/root.key", "/../ca/root.key", "/crl-00000000.der", "/ca-rsa.pem"])
async def test_nothing_else_is_served(served: Served, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        await served.fetch(path)
    assert caught.value.code == 404
    caught.value.close()


async def test_openssl_asks_for_several_certificates(served: Served) -> None:
    issue(served.authority, "here")
    issue(served.authority, "gone", revoked=True)
    folder = served.authority.folder
    said = await served.openssl(
        *("ocsp", "-url", f"{served.url}/ocsp", "-issuer", str(folder / "intermediate.pem")),
        *("-CAfile", str(folder / "clients.pem"), "-serial", "0x1234"),
        *("-cert", str(folder / "here.pem"), "-cert", str(folder / "gone.pem")),
    )
    assert "Response verify OK" in said
    assert "nonce" not in said
    assert "here.pem: good" in said
    assert "gone.pem: revoked" in said
    assert "Reason: keyCompromise" in said
    assert "0x1234: unknown" in said
    assert served.responder.status()["ocsp_answers"] == 1


async def test_a_request_in_the_url(served: Served) -> None:
    """RFC 6960 appendix A.1."""
    certificate, issuer = issue(served.authority, "here"), served.authority.intermediate
    built = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256()).build()
    asked = base64.b64encode(built.public_bytes(Encoding.DER)).decode()
    for encoded in (quote(asked, safe=""), asked):
        content_type, answer = await served.fetch(f"/ocsp/{encoded}")
        assert content_type == "application/ocsp-response"
        assert ocsp.load_der_ocsp_response(answer).certificate_status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize(
    ("path", "body"), [("/ocsp", b"junk"), ("/ocsp", b""), ("/ocsp/%%%", None), ("/ocsp", None)]
)
async def test_what_is_no_request_is_malformed(served: Served, path: str, body: bytes | None) -> None:
    answer = ocsp.load_der_ocsp_response((await served.fetch(path, body))[1])
    assert answer.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


async def test_lists_are_there_from_the_start_and_said_to_be(served: Served) -> None:
    status = served.responder.status()
    one = x509.load_pem_x509_crl((await served.fetch("/crl.pem"))[1])
    assert one.next_update_utc is not None
    assert status["problems"] == 0
    lists = status["lists"]
    assert isinstance(lists, list)
    assert lists[0]["next_update"] == one.next_update_utc.timestamp()
    assert lists[0]["revoked"] == 0


async def test_other_settings_move_it_and_change_the_lifetime(served: Served) -> None:
    before = served.url
    await served.responder.adopt(await served.responder.prepare(SERVED))
    assert served.url == before
    shorter = AuthoritySettings(serve=True, address="localhost", port=0, crl_lifetime=3600)
    await served.responder.adopt(await served.responder.prepare(shorter))
    assert served.url != before
    crl = x509.load_pem_x509_crl((await served.fetch("/crl.pem"))[1])
    assert crl.next_update_utc is not None
    left = crl.next_update_utc - datetime.datetime.now(datetime.UTC)
    assert left <= datetime.timedelta(hours=1)
    await served.responder.adopt(await served.responder.prepare(AuthoritySettings()))
    assert served.url == ""


async def test_an_address_that_is_taken_changes_nothing(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    other = Responder(served.authority, asyncio.Lock(), get_log())
    with pytest.raises(OSError, match="address already in use"):
        await other.start(AuthoritySettings(serve=True, port=port))
    assert await served.fetch("/crl.pem")


async def test_lists_that_cannot_be_written_are_a_problem_until_they_can(served: Served) -> None:
    file = served.authority.folder / "crl.pem"
    file.unlink()
    file.mkdir()
    await served.responder.refresh()
    (problem,) = served.responder.problems()
    assert "cannot be written" in problem
    file.rmdir()
    await served.responder.refresh()
    assert served.responder.problems() == []


async def test_a_flood_is_put_off_and_served_again_in_the_next_second(served: Served) -> None:
    certificate = issue(served.authority, "here")
    built = ocsp.OCSPRequestBuilder().add_certificate(
        certificate, served.authority.intermediate, hashes.SHA1()
    )
    asked = built.build().public_bytes(Encoding.DER)
    moments = iter([10.0, 10.03, 10.1, 10.13, 10.2, 11.0, 11.01])
    answers = OcspAnswers(served.authority, lambda: next(moments))
    statuses = [ocsp.load_der_ocsp_response(answers.respond(asked)).response_status.name for _ in range(4)]
    assert statuses == ["SUCCESSFUL", "SUCCESSFUL", "TRY_LATER", "SUCCESSFUL"]
    assert (answers.answered, answers.put_off) == (3, 1)
