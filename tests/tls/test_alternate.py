"""Two certificates on one listener: ECDSA, and RSA for those that can do nothing else."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from lockwire.tls import loading
from lockwire.tls.context import ServerContext
from lockwire.tls.errors import TlsFileError
from lockwire.tls.loading import ServerFiles
from lockwire.tls.policy import TlsPolicy
from tests.tls.certificates import Pair, TestPki, make
from tests.tls.peers import TLS12, TLS13, Client, client_context, shake_hands


class Dual:
    """A listener with an ECDSA chain and an RSA chain."""

    def __init__(self, folder: Path, pki: TestPki) -> None:
        self.folder = folder
        self.pki = pki
        self.rsa_root = make("RSA Root", ca=True, kind="RSA-2048")
        self.rsa_issuing = make("RSA Issuing", self.rsa_root, ca=True, kind="RSA-2048")
        self.ecdsa = loading.Pair(*pki.server.write(folder, "ecdsa"))
        self.rsa = self.issue_rsa("server-rsa")
        self.roots = pki.bundle("roots.pem", pki.root, self.rsa_root)

    def issue_rsa(self, name: str) -> loading.Pair:
        pair = make(name, self.rsa_issuing, kind="RSA-2048", usage=ExtendedKeyUsageOID.SERVER_AUTH,
                    chain=(self.rsa_issuing.certificate,))  # fmt: skip
        return loading.Pair(*pair.write(self.folder, "rsa"))

    def context(self, alternate: loading.Pair | None = None) -> ServerContext:
        return ServerContext(TlsPolicy(), ServerFiles(self.ecdsa, alternate or self.rsa))


@pytest.fixture
def dual(tmp_path: Path, pki: TestPki) -> Dual:
    return Dual(tmp_path, pki)


def shown(dual: Dual, context: ServerContext, version: ssl.TLSVersion, ciphers: str = "") -> str:
    """The name in the certificate that a client gets, which verifies the whole chain."""
    config = client_context(dual.roots, version)
    if ciphers:
        config.set_ciphers(ciphers)
    client = Client(config)
    session = shake_hands(context, client)
    assert session.established, client.error
    der = client.tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


def test_each_client_gets_the_one_that_it_can_verify(dual: Dual) -> None:
    context = dual.context()
    assert shown(dual, context, TLS12, "ECDHE-RSA-AES128-GCM-SHA256") == "CN=server-rsa"
    assert shown(dual, context, TLS12) == "CN=server"
    assert shown(dual, context, TLS13) == "CN=server"


def test_both_are_renewed_and_tickets_stay(dual: Dual) -> None:
    context = dual.context()
    config = client_context(dual.roots, TLS12)
    first = Client(config)
    shake_hands(context, first)
    dual.issue_rsa("renewed-rsa")
    renewed = make("renewed", dual.pki.issuing, chain=(dual.pki.issuing.certificate,))
    renewed.write(dual.folder, "ecdsa")
    context.reload()
    assert shown(dual, context, TLS12, "ECDHE-RSA-AES128-GCM-SHA256") == "CN=renewed-rsa"
    assert shown(dual, context, TLS13) == "CN=renewed"
    assert shake_hands(context, Client(config, session=first.tls.session)).resumed


@pytest.mark.parametrize("end", ["own", "alternate"])
def test_the_wrong_pair_is_named(dual: Dual, end: str) -> None:
    wrong = make("another", kind="P-256" if end == "own" else "RSA-2048")
    name = "ecdsa" if end == "own" else "rsa"
    wrong.write(dual.folder, "another")[1].rename(dual.folder / f"{name}.key")
    with pytest.raises(TlsFileError, match="is not the key of the certificate in") as caught:
        dual.context()
    assert caught.value.path == dual.folder / f"{name}.key"
    assert str(dual.folder / f"{name}.pem") in str(caught.value)


def test_two_of_the_same_kind(dual: Dual) -> None:
    second: Pair = make("second", dual.pki.issuing)
    pair = loading.Pair(*second.write(dual.folder, "second"))
    with pytest.raises(TlsFileError, match="has the same kind of key as") as caught:
        dual.context(pair)
    assert caught.value.path == pair.certificate


def test_a_broken_alternate_at_reload_leaves_both_in_use(dual: Dual) -> None:
    context = dual.context()
    dual.rsa.certificate.write_text("rubbish")
    with pytest.raises(TlsFileError) as caught:
        context.reload()
    assert caught.value.path == dual.rsa.certificate
    assert shown(dual, context, TLS12, "ECDHE-RSA-AES128-GCM-SHA256") == "CN=server-rsa"
