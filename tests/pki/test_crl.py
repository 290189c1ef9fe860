"""Files of revocation lists: what is read, what is refused, what is wrong."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lockwire.pki.authority.issuer import SigningKey, hash_for
from lockwire.pki.certificate import certificate_key
from lockwire.pki.errors import MalformedFileError, MissingFileError
from lockwire.pki.revocation.crl import CrlProblemKind, denied_keys, health, read_crls, to_pem, verified

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Ca:
    """A CA to make lists with."""

    certificate: x509.Certificate
    key: SigningKey

    def crl(
        self,
        *serials: int,
        begin: datetime.datetime = NOW - DAY,
        end: datetime.datetime = NOW + DAY,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    ) -> x509.CertificateRevocationList:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(begin)
            .next_update(end)
        )
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(begin).build()
            builder = builder.add_revoked_certificate(entry)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hash_for(self.key))


def make_ca(name: str, issuer: Ca | None = None, crl_sign: bool = True, key: SigningKey | None = None) -> Ca:
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = key if issuer is None else issuer.key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(False, False, False, False, False, True, crl_sign, False, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 30 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(signer, hash_for(signer))
    )
    return Ca(certificate, key)


WORKS = make_ca("Works CA")
OTHER = make_ca("Other CA")
Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes lists into a file, in PEM or DER, with other bytes in front."""

    def write(
        *lists: x509.CertificateRevocationList, form: Encoding = Encoding.PEM, front: bytes = b""
    ) -> Path:
        path = tmp_path / "lists"
        path.write_bytes(front + b"".join(one.public_bytes(form) for one in lists))
        return path

    return write


@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
def test_lists_are_told_by_their_content_whatever_the_form(put: Put, form: Encoding) -> None:
    first, second = read_crls(put(WORKS.crl(5, 0xAB), OTHER.crl(), form=form))
    assert (first.place, second.place) == (1, 2)
    assert first.issuer == WORKS.certificate.subject
    assert first.next_update == NOW + DAY
    assert {key.rpartition(":")[2] for key in first.keys} == {"5", "ab"}
    assert second.keys == frozenset()


def test_certificates_and_text_between_lists_are_passed_over(put: Put) -> None:
    front = b"The works' CA:\n" + WORKS.certificate.public_bytes(Encoding.PEM)
    assert len(read_crls(put(WORKS.crl(), front=front))) == 1


def test_a_list_in_der_becomes_pem_that_openssl_takes(put: Put) -> None:
    lists = read_crls(put(WORKS.crl(7), form=Encoding.DER))
    assert x509.load_pem_x509_crl(to_pem(lists)) == lists[0].crl


@pytest.mark.parametrize(
    ("content", "says", "line"),
    [
        (b"", "empty", 0),
        (b"junk", "no revocation list, neither PEM nor DER", 0),
        (WORKS.certificate.public_bytes(Encoding.PEM), "no revocation list in this file, it holds: cert", 0),
        (WORKS.certificate.public_bytes(Encoding.DER), "no revocation list, neither PEM nor DER", 0),
        (WORKS.crl().public_bytes(Encoding.PEM)[:-30], "a block in it is cut short", 0),
        (WORKS.crl().public_bytes(Encoding.DER)[:-30], "no revocation list, neither PEM nor DER", 0),
        (WORKS.crl().public_bytes(Encoding.DER) + b"\n", "no revocation list, neither PEM nor DER", 0),
        (
            b"# ours\n" + WORKS.crl().public_bytes(Encoding.PEM).replace(b"\nMI", b"\nAA", 1),
            "damaged",
            2,
        ),
    ],
)
def test_what_is_no_list_is_never_taken_for_an_empty_one(
    tmp_path: Path, content: bytes, says: str, line: int
) -> None:
    path = tmp_path / "lists"
    path.write_bytes(content)
    with pytest.raises(MalformedFileError, match=says) as caught:
        read_crls(path)
    assert caught.value.file == path
    assert caught.value.line == line


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nowhere\.pem"):
        read_crls(tmp_path / "nowhere.pem")


def problems(path: Path, *cas: Ca) -> list[tuple[CrlProblemKind, str]]:
    found = health(read_crls(path), [ca.certificate for ca in cas])
    return [(problem.kind, problem.ca) for problem in found]


def test_current_lists_of_every_ca_are_all_well(put: Put) -> None:
    assert problems(put(WORKS.crl(1), OTHER.crl()), WORKS, OTHER) == []


def test_a_ca_without_a_list_locks_its_clients_out(put: Put) -> None:
    assert problems(put(WORKS.crl()), WORKS, OTHER) == [(CrlProblemKind.MISSING, "Other CA")]


def test_a_root_needs_no_list_where_its_intermediate_has_one(put: Put) -> None:
    intermediate = make_ca("Works intermediate", WORKS)
    assert problems(put(intermediate.crl()), WORKS, intermediate) == []
    assert problems(put(WORKS.crl()), WORKS, intermediate) == [(CrlProblemKind.MISSING, "Works intermediate")]


@pytest.mark.parametrize(
    ("begin", "end", "kind"),
    [
        (NOW - 2 * DAY, NOW - DAY, CrlProblemKind.EXPIRED),
        (NOW + DAY, NOW + 2 * DAY, CrlProblemKind.NOT_YET_VALID),
    ],
)
def test_a_list_out_of_its_time(
    put: Put, begin: datetime.datetime, end: datetime.datetime, kind: CrlProblemKind
) -> None:
    path = put(WORKS.crl(begin=begin, end=end))
    assert problems(path, WORKS) == [(kind, "Works CA")]
    (problem,) = health(read_crls(path), [WORKS.certificate])
    assert problem.locks_out
    assert f"{path} (list 1)" in str(problem)


def test_the_newest_list_of_a_ca_counts(put: Put) -> None:
    old = WORKS.crl(begin=NOW - 3 * DAY, end=NOW - 2 * DAY)
    assert problems(put(old, WORKS.crl()), WORKS) == []


def test_a_list_of_a_ca_with_the_same_name_and_another_key(put: Put) -> None:
    impostor = make_ca("Works CA")
    path = put(impostor.crl(9))
    assert problems(path, WORKS) == [(CrlProblemKind.BAD_SIGNATURE, "Works CA")]
    assert denied_keys(read_crls(path), [WORKS.certificate]) == frozenset()


@pytest.mark.peer("openssl")
def test_each_of_two_cas_of_one_name_needs_its_list(put: Put, tmp_path: Path) -> None:
    """A CA with a new key beside its old one: OpenSSL refuses the clients of the one without a list."""
    old, new = make_ca("Plant"), make_ca("Plant")
    path = put(new.crl())
    (problem,) = health(read_crls(path), [old.certificate, new.certificate], NOW)
    assert problem.kind is CrlProblemKind.MISSING
    assert health(read_crls(path), [new.certificate], NOW) == ()
    pems = [one.certificate.public_bytes(Encoding.PEM) for one in (old, new, make_ca("pump", old))]
    (tmp_path / "cas.pem").write_bytes(pems[0] + pems[1])
    (tmp_path / "pump.pem").write_bytes(pems[2])
    arguments = ["-CAfile", "cas.pem", "-CRLfile", str(path), "pump.pem"]
    for check, accepted in ([], True), (["-crl_check"], False):
        done = subprocess.run(
            ["openssl", "verify", *check, *arguments], cwd=tmp_path, capture_output=True, timeout=30
        )
        assert (done.returncode == 0) == accepted, done.stderr


def test_a_list_of_somebody_else_has_no_effect_and_locks_nobody_out(put: Put) -> None:
    lists = read_crls(put(WORKS.crl(3), OTHER.crl(4)))
    (problem,) = health(lists, [WORKS.certificate])
    assert problem.kind is CrlProblemKind.STRANGER
    assert not problem.locks_out
    assert verified(lists, [WORKS.certificate]) == lists[:1]
    assert {key.rpartition(":")[2] for key in denied_keys(lists, [WORKS.certificate])} == {"3"}


def test_a_ca_that_may_not_sign_lists(put: Put) -> None:
    forbidden = make_ca("Forbidden CA", crl_sign=False)
    assert problems(put(forbidden.crl()), forbidden) == [(CrlProblemKind.NO_CRL_SIGN, "Forbidden CA")]


@pytest.mark.parametrize(
    ("extension", "says"),
    [
        (x509.DeltaCRLIndicator(1), "is a delta"),
        (
            x509.IssuingDistributionPoint(None, None, False, True, None, False, False),
            "leaves client certificates out",
        ),
        (
            x509.IssuingDistributionPoint(None, None, False, False, None, True, False),
            "speaks for other CAs",
        ),
        (
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"),
            "critical extension that is not known (1.3.6.1.4.1.99999.1)",
        ),
    ],
)
def test_lists_that_openssl_would_not_use(put: Put, extension: x509.ExtensionType, says: str) -> None:
    (problem,) = health(read_crls(put(WORKS.crl(extensions=((extension, True),)))), [WORKS.certificate])
    assert problem.kind is CrlProblemKind.UNSUPPORTED
    assert says in problem.text


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-384", "RSA-2048", "Ed25519"],
)
def test_signatures_of_every_kind_of_key(put: Put, key: SigningKey) -> None:
    ca = make_ca("Works CA", key=key)
    assert problems(put(ca.crl(5)), ca) == []
    damaged = bytearray(ca.crl(5).public_bytes(Encoding.DER))
    damaged[damaged.index(b"\x02\x01\x05") + 2] = 6  # another serial number
    path = put()
    path.write_bytes(damaged)
    assert problems(path, ca) == [(CrlProblemKind.BAD_SIGNATURE, "Works CA")]


def test_a_list_as_openssl_ca_writes_it(tmp_path: Path) -> None:
    """A CA run by hand with `openssl ca`: its list names the certificate that it revoked."""
    configuration = tmp_path / "ca.cnf"
    configuration.write_text(
        "[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n"
        "default_days=30\ndefault_crl_days=3\nunique_subject=no\npolicy=p\ncertificate=ca.pem\n"
        "private_key=ca.key\ncrlnumber=crlnumber\n[p]\ncommonName=supplied\n"
    )
    (tmp_path / "index.txt").touch()
    (tmp_path / "serial").write_text("1000\n")
    (tmp_path / "crlnumber").write_text("01\n")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, check=True, timeout=30)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/O=Works/CN=By hand")
    openssl(*new, "-keyout", "dev.key", "-out", "dev.csr", "-subj", "/CN=pump-7")
    openssl("ca", "-batch", "-config", "ca.cnf", "-in", "dev.csr", "-out", "dev.pem", "-notext")
    openssl("ca", "-config", "ca.cnf", "-revoke", "dev.pem", "-crl_reason", "keyCompromise")
    openssl("ca", "-config", "ca.cnf", "-gencrl", "-out", "crl.pem")
    ca = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    device = x509.load_pem_x509_certificate((tmp_path / "dev.pem").read_bytes())
    lists = read_crls(tmp_path / "crl.pem")
    assert lists[0].number == 1
    assert health(lists, [ca]) == ()
    assert denied_keys(lists, [ca]) == {certificate_key(device.public_bytes(Encoding.DER))}
