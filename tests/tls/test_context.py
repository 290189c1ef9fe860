"""ServerContext: files that cannot be used, and reloading."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.tls import loading
from lockwire.tls.context import ServerContext
from lockwire.tls.errors import TlsFileError
from lockwire.tls.loading import ServerFiles, read
from lockwire.tls.policy import TlsPolicy, TlsPolicyError
from lockwire.tls.session import Session
from tests.tls.certificates import Pair, TestPki, make, make_crl
from tests.tls.peers import TLS12, TLS13, Client, client_context, shake_hands

BOTH = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
REQUIRED = TlsPolicy(client_certificates="required")


class Files:
    """A folder with a server's files, to be changed under the feet of a ServerContext."""

    def __init__(self, folder: Path, pki: TestPki) -> None:
        self.pki = pki
        self.folder = folder
        self.certificate, self.key = pki.server.write(folder, "server")
        self.client_ca = Path(shutil.copy(pki.ca_pem, folder / "client-ca.pem"))
        self.crl = folder / "crl.pem"
        self.crl.write_bytes(make_crl(pki.issuing))

    def context(self, policy: TlsPolicy = REQUIRED) -> ServerContext:
        own = loading.Pair(self.certificate, self.key)
        return ServerContext(policy, ServerFiles(own, client_ca=self.client_ca, crl=self.crl))

    def renew(self, **fields: str) -> Pair:
        above = (self.pki.issuing.certificate,)
        renewed = make("renewed", self.pki.issuing, chain=above, **fields)  # type: ignore[arg-type]
        renewed.write(self.folder, "server")
        return renewed


@pytest.fixture
def files(tmp_path: Path, pki: TestPki) -> Files:
    return Files(tmp_path, pki)


def device(pki: TestPki, version: ssl.TLSVersion | None = None, who: Pair | None = None) -> ssl.SSLContext:
    return client_context(pki.root_pem, version, who or pki.device)


def served(client: Client) -> str:
    """The common name in the certificate that the server showed."""
    der = client.tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


def write(name: str, data: bytes) -> Callable[[Files], Path]:
    def change(files: Files) -> Path:
        path = files.folder / name
        path.write_bytes(data)
        return path

    return change


def missing(name: str) -> Callable[[Files], Path]:
    def change(files: Files) -> Path:
        path = files.folder / name
        path.unlink()
        return path

    return change


def another_key(files: Files) -> Path:
    return make("another").write(files.folder, "another")[1].rename(files.key)


def encrypted_key(files: Files) -> Path:
    return files.pki.server.write(files.folder, "server", password=b"secret")[1]


def weak_certificate(files: Files) -> Path:
    return make("weak", kind="RSA-1024").write(files.folder, "server")[0]


BROKEN = pytest.mark.parametrize(
    ("change", "words"),
    [
        (missing("server.pem"), "cannot be read: No such file"),
        (missing("server.key"), "cannot be read: No such file"),
        (missing("client-ca.pem"), "cannot be read: No such file"),
        (missing("crl.pem"), "cannot be read: No such file"),
        (write("server.pem", b"rubbish"), "is not a PEM certificate chain"),
        (write("server.key", b"rubbish"), "is not a PEM private key"),
        (write("server.key", b""), "is not a PEM private key"),
        (another_key, "is not the key of the certificate in"),
        (encrypted_key, "the key is encrypted"),
        (weak_certificate, "its key is too small"),
        (write("client-ca.pem", b"rubbish"), "has no CA certificate in PEM or DER"),
        (write("client-ca.pem", b"-----BEGIN CERTIFICATE-----\nrubbish"), "a PEM block in it is cut short"),
        (write("crl.pem", b"rubbish"), "is no revocation list, neither PEM nor DER"),
        (write("crl.pem", b""), "This file is empty"),
    ],
)  # fmt: skip


@BROKEN
def test_a_broken_file_is_named_with_the_cause(
    files: Files, change: Callable[[Files], Path], words: str
) -> None:
    path = change(files)
    with pytest.raises(TlsFileError) as caught:
        files.context()
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


@BROKEN
def test_a_broken_file_at_reload_leaves_the_old_in_use(
    files: Files, pki: TestPki, change: Callable[[Files], Path], words: str
) -> None:
    context = files.context()
    before = context.handshake
    change(files)
    with pytest.raises(TlsFileError, match=words.split(":")[0]):
        context.reload()
    assert context.handshake is before
    client = Client(device(pki))
    assert shake_hands(context, client).established
    assert served(client) == "CN=server"


def test_a_ca_certificate_in_the_place_of_the_crl(files: Files) -> None:
    shutil.copy(files.client_ca, files.crl)
    with pytest.raises(TlsFileError, match="no revocation list in this file, it holds: certificate"):
        files.context()


def test_client_certificates_need_a_ca(files: Files) -> None:
    with pytest.raises(TlsPolicyError, match="needs client_ca"):
        ServerContext(REQUIRED, ServerFiles(loading.Pair(files.certificate, files.key)))


@BOTH
def test_a_renewed_certificate_is_served_and_tickets_stay(
    files: Files, pki: TestPki, version: ssl.TLSVersion
) -> None:
    context = files.context()
    config = device(pki, version)
    first = Client(config)
    shake_hands(context, first)
    files.renew()
    context.reload()

    fresh = Client(config)
    assert shake_hands(context, fresh).established
    assert served(fresh) == "CN=renewed"
    assert shake_hands(context, Client(config, session=first.tls.session)).resumed


@pytest.mark.parametrize("change", ["certificate", "key"])
def test_files_that_change_between_reading_and_use_leave_a_pair_that_works(
    files: Files, pki: TestPki, change: str
) -> None:
    context = files.context()
    files.renew()
    material = context.prepare()
    later = make("later", pki.issuing, chain=(pki.issuing.certificate,))
    later.write(files.folder, "later")
    changed = getattr(files, change)
    shutil.copy(files.folder / f"later{changed.suffix}", changed)
    assert context.adopt(material)

    client = Client(device(pki))
    assert shake_hands(context, client).established
    assert served(client) == "CN=renewed"


def test_a_certificate_of_another_kind_replaces_the_old_one(files: Files, pki: TestPki) -> None:
    """One SSLContext holds a certificate of each kind of key; the old one must not live on beside the new."""
    context = files.context()
    files.renew(kind="RSA-2048")
    context.reload()
    client = Client(device(pki))
    shake_hands(context, client)
    assert served(client) == "CN=renewed"


@BOTH
def test_revocation_reaches_full_and_resumed_handshakes(
    files: Files, pki: TestPki, version: ssl.TLSVersion
) -> None:
    context = files.context()
    config = device(pki, version)
    first = Client(config)
    shake_hands(context, first)
    files.crl.write_bytes(make_crl(pki.issuing, (pki.device,)))
    context.reload()

    for client in (Client(config), Client(config, session=first.tls.session)):
        session = shake_hands(context, client)
        assert session.failure is not None
        assert session.failure.cause == "revoked"


def test_a_removed_client_ca_reaches_everyone(files: Files, pki: TestPki) -> None:
    context = files.context(TlsPolicy(client_certificates="required"))
    config = device(pki)
    first = Client(config)
    shake_hands(context, first)
    other = make("Other CA", ca=True)
    files.client_ca.write_bytes(other.certificate.public_bytes(Encoding.PEM))
    files.crl.write_bytes(make_crl(other))
    context.reload()

    session = shake_hands(context, Client(config, session=first.tls.session))
    assert session.failure is not None
    assert session.failure.cause == "unknown_ca"
    newcomer = Client(device(pki, who=make("newcomer", other)))
    assert shake_hands(context, newcomer).established


def test_an_established_session_outlives_every_reload(files: Files, pki: TestPki) -> None:
    context = files.context()
    client = Client(device(pki))
    session = shake_hands(context, client)
    files.renew()
    files.crl.write_bytes(make_crl(pki.issuing, (pki.device,)))
    context.reload()
    assert session.receive(client.send(b"still here")) == [b"still here"]
    assert session.peer_certificate == pki.device.der


def test_a_handshake_begun_before_a_reload_ends_well(files: Files, pki: TestPki) -> None:
    context = files.context()
    client = Client(device(pki))
    session = Session(context)
    session.receive(client.exchange())
    files.crl.write_bytes(make_crl(pki.issuing, days=(-2, 20)))
    context.reload()
    session.receive(client.exchange(session.pending_output()))
    assert session.established


def test_reload_without_change_changes_nothing(files: Files) -> None:
    context = files.context()
    before = context.handshake
    context.reload()
    assert context.handshake is before


@BOTH
def test_new_ticket_keys_end_resumption(files: Files, pki: TestPki, version: ssl.TLSVersion) -> None:
    context = files.context()
    config = device(pki, version)
    first = Client(config)
    shake_hands(context, first)
    context.new_ticket_keys()
    session = shake_hands(context, Client(config, session=first.tls.session))
    assert session.established
    assert not session.resumed


def test_ca_and_crl_in_der(files: Files, pki: TestPki) -> None:
    files.client_ca.write_bytes(pki.issuing.certificate.public_bytes(Encoding.DER))
    crl = x509.load_pem_x509_crl(make_crl(pki.issuing, (pki.device,)))
    files.crl.write_bytes(crl.public_bytes(Encoding.DER))
    session = shake_hands(files.context(), Client(device(pki)))
    assert session.failure is not None
    assert session.failure.cause == "revoked"


def test_comments_in_the_ca_bundle(files: Files, pki: TestPki) -> None:
    files.client_ca.write_bytes("# Größere CA\n".encode() + pki.ca_pem.read_bytes())
    assert shake_hands(files.context(), Client(device(pki))).established


def test_no_beginning_of_a_file_passes_for_the_whole(files: Files) -> None:
    """OpenSSL takes the first certificates of a bundle that is being written, and says nothing."""
    data = files.client_ca.read_bytes()
    first = data.index(b"-----END CERTIFICATE-----") + len(b"-----END CERTIFICATE-----\n")
    for end in range(first - 20, len(data) - 1):
        files.client_ca.write_bytes(data[:end])
        if end in (first - 1, first):
            continue  # nobody can tell that there was to be more
        with pytest.raises(TlsFileError):
            read(files.client_ca)
