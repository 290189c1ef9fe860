"""Revocation lists that end, or are missing: the broker's own fault, said so, and what becomes of clients."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockwire.pki.certificate import certificate_key
from lockwire.tls import loading
from lockwire.tls.context import ServerContext
from lockwire.tls.loading import ServerFiles
from lockwire.tls.policy import TlsPolicy, TlsPolicyError
from lockwire.tls.session import Session
from tests.tls.certificates import Pair, TestPki, make, make_crl
from tests.tls.conftest import MakeContext
from tests.tls.peers import TLS12, TLS13, Client, client_context, shake_hands

BOTH = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
DAY = 86_400.0


@pytest.fixture
def crl(tmp_path: Path) -> Path:
    return tmp_path / "crl.pem"


def cause(session: Session) -> str:
    return session.failure.cause if session.failure is not None else ""


@BOTH
@pytest.mark.parametrize(
    ("failure", "expected"), [("refuse", "crl_expired"), ("serve", "")], ids=["refuse", "serve"]
)
def test_an_expired_list(
    server_context: MakeContext, pki: TestPki, crl: Path, version: object, failure: str, expected: str
) -> None:
    crl.write_bytes(make_crl(pki.issuing, days=(-20, -10)))
    context = server_context(crl=crl, client_certificates="required", crl_failure=failure)
    session = shake_hands(context, Client(client_context(pki.root_pem, version, pki.device)))  # type: ignore[arg-type]
    assert cause(session) == expected
    assert context.checks_crl is (failure == "refuse")
    assert len(context.problems) == 1
    assert f"The revocation list of Test Issuing CA in {crl} (list 1) has expired" in context.problems[0]


@BOTH
@pytest.mark.parametrize(
    ("failure", "expected"), [("refuse", "crl_missing"), ("serve", "")], ids=["refuse", "serve"]
)
def test_a_missing_list(
    server_context: MakeContext, pki: TestPki, crl: Path, version: object, failure: str, expected: str
) -> None:
    crl.write_bytes(make_crl(pki.root))
    context = server_context(crl=crl, client_certificates="required", crl_failure=failure)
    session = shake_hands(context, Client(client_context(pki.root_pem, version, pki.device)))  # type: ignore[arg-type]
    assert cause(session) == expected
    assert "There is no revocation list of Test Issuing CA" in context.problems[0]


def test_serving_on_keeps_what_the_list_last_said(
    server_context: MakeContext, pki: TestPki, crl: Path
) -> None:
    """TLS lets the revoked device in; the deny-list, which knows it, does not."""
    crl.write_bytes(make_crl(pki.issuing, (pki.device,), days=(-20, -10)))
    context = server_context(crl=crl, client_certificates="required", crl_failure="serve")
    session = shake_hands(context, Client(client_context(pki.root_pem, TLS13, pki.device)))
    assert session.peer_certificate is not None
    assert context.denied == {certificate_key(pki.device.der)}
    assert certificate_key(session.peer_certificate) in context.denied


@pytest.mark.parametrize("failure", ["refuse", "serve"])
def test_a_list_in_order_is_asked_under_both(
    server_context: MakeContext, pki: TestPki, crl: Path, failure: str
) -> None:
    crl.write_bytes(make_crl(pki.issuing, (pki.device,)))
    context = server_context(crl=crl, client_certificates="required", crl_failure=failure)
    assert not context.problems
    assert context.checks_crl
    session = shake_hands(context, Client(client_context(pki.root_pem, TLS13, pki.device)))
    assert cause(session) == "revoked"


@pytest.mark.parametrize("failure", ["refuse", "serve"])
def test_a_list_ends_by_itself(server_context: MakeContext, pki: TestPki, crl: Path, failure: str) -> None:
    now = time.time()
    crl.write_bytes(make_crl(pki.issuing, days=(-1, 1)))
    context = server_context(crl=crl, client_certificates="required", crl_failure=failure)
    assert context.crl_ends == pytest.approx(now + DAY, abs=5)
    assert not context.judge(now + 0.9 * DAY)
    assert context.checks_crl
    assert context.judge(now + 1.1 * DAY)
    assert "has expired" in context.problems[0]
    assert context.checks_crl is (failure == "refuse")
    assert not context.judge(now + 1.2 * DAY), "it is said once"


def test_a_new_list_puts_it_in_order(server_context: MakeContext, pki: TestPki, crl: Path) -> None:
    crl.write_bytes(make_crl(pki.issuing, days=(-20, -10)))
    context = server_context(crl=crl, client_certificates="required", crl_failure="serve")
    crl.write_bytes(make_crl(pki.issuing))
    context.reload()
    assert not context.problems
    assert context.checks_crl


def test_a_list_that_is_not_valid_yet_locks_out_until_it_is(
    server_context: MakeContext, pki: TestPki, crl: Path
) -> None:
    now = time.time()
    crl.write_bytes(make_crl(pki.issuing, days=(1, 10)))
    context = server_context(crl=crl, client_certificates="required", crl_failure="serve")
    assert "begins on" in context.problems[0]
    assert not context.checks_crl
    assert context.judge(now + 1.1 * DAY)
    assert not context.problems
    assert context.checks_crl


def test_certificates_in_the_file_of_lists_are_not_trusted(
    server_context: MakeContext, pki: TestPki, crl: Path
) -> None:
    other = make("Other CA", ca=True)
    bundle = pki.bundle("other.pem", other).read_bytes()
    crl.write_bytes(bundle + make_crl(pki.issuing))
    context = server_context(crl=crl, client_certificates="required")
    stranger = make("stranger", other)
    session = shake_hands(context, Client(client_context(pki.root_pem, TLS13, stranger)))
    assert cause(session) == "unknown_ca"


def test_without_lists_there_is_nothing_to_say(server_context: MakeContext) -> None:
    context = server_context(client_certificates="required")
    assert not context.problems
    assert context.crl_ends is None
    assert not context.denied
    assert not context.checks_crl


def test_a_policy_for_lists_that_there_is_not() -> None:
    with pytest.raises(TlsPolicyError, match="'ignore' is none of refuse, serve"):
        TlsPolicy(crl_failure="ignore")


@pytest.mark.parametrize(
    ("days", "words"),
    [((-20, -10), "has expired on"), ((5, 10), "is not valid before")],
    ids=["expired", "early"],
)
def test_our_own_certificate_is_out_of_its_time(
    pki: TestPki, tmp_path: Path, days: tuple[float, float], words: str
) -> None:
    server = make("server", pki.issuing, days=days, chain=(pki.issuing.certificate,))
    context = ServerContext(TlsPolicy(), ServerFiles(loading.Pair(*server.write(tmp_path, "server"))))
    assert len(context.problems) == 1
    assert f"certificate CN=server {words}" in context.problems[0]
    assert context.certificate_ends == server.certificate.not_valid_after_utc.timestamp()


def test_our_own_certificate_ends_while_we_run(pki: TestPki, tmp_path: Path) -> None:
    server: Pair = make("server", pki.issuing, days=(-1, 1))
    context = ServerContext(TlsPolicy(), ServerFiles(loading.Pair(*server.write(tmp_path, "server"))))
    assert not context.problems
    assert context.judge(datetime.now(UTC).timestamp() + 1.1 * DAY)
    assert "has expired on" in context.problems[0]
