"""Any file is read by its content: each form as openssl writes it, and all that can be wrong with it."""

from __future__ import annotations

import base64
import datetime
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockwire.pki.errors import MalformedFileError, MissingFileError, PasswordError, PkiError
from lockwire.pki.toolkit.content import AskPassword, Content, parse_content, private_key_of, read_content
from lockwire.pki.toolkit.inspect import inspect

pytestmark = pytest.mark.peer("openssl")
PASSWORD = "correct-horse"


def openssl(folder: Path, command: str) -> str:
    """Runs openssl in a folder; gives what it printed."""
    done = subprocess.run(
        ["openssl", *command.split()], cwd=folder, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def knows(password: str) -> AskPassword:
    return lambda _purpose: password.encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, its certificate, a request and a revocation list, in every form openssl has."""
    here = tmp_path_factory.mktemp("forms")
    (here / "index").touch()
    (here / "ca.cnf").write_text(
        "[ca]\ndefault_ca=x\n[x]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=7\n"
    )
    for command in (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 30"
        " -subj /O=Plant/CN=pump-7 -addext subjectAltName=DNS:pump.local,IP:192.0.2.7",
        "x509 -in c.pem -outform der -out c.der",
        "x509 -in c.pem -addtrust serverAuth -trustout -out trusted.pem",
        "req -new -key k.pem -subj /CN=pump-7 -out r.csr",
        "req -in r.csr -outform der -out r.der",
        "pkcs8 -topk8 -nocrypt -in k.pem -outform der -out pkcs8.der",
        "ec -in k.pem -out sec1.pem",
        "ec -in k.pem -outform der -out sec1.der",
        "genrsa -traditional -out rsa.pem 2048",
        "rsa -in rsa.pem -traditional -outform der -out rsa.der",
        "rsa -in rsa.pem -RSAPublicKey_out -out rsapub.pem",
        "pkey -in k.pem -pubout -out pub.pem",
        f"pkey -in k.pem -aes256 -passout pass:{PASSWORD} -out enc.pem",
        f"pkcs8 -topk8 -in k.pem -v2 aes-256-cbc -passout pass:{PASSWORD} -outform der -out enc.der",
        f"rsa -in rsa.pem -traditional -des3 -passout pass:{PASSWORD} -out des3.pem",
        f"pkcs12 -export -in c.pem -inkey k.pem -name pump -passout pass:{PASSWORD} -out c.p12",
        "pkcs12 -export -in c.pem -nokeys -passout pass: -out open.p12",
        "crl2pkcs7 -nocrl -certfile c.pem -outform der -out c.p7b",
        "crl2pkcs7 -nocrl -certfile c.pem -out p7.pem",
        "ca -config ca.cnf -gencrl -cert c.pem -keyfile k.pem -out crl.pem",
        "crl -in crl.pem -outform der -out crl.der",
    ):
        openssl(here, command)
    return here


@pytest.mark.parametrize(
    ("name", "form", "kind", "item_form"),
    [
        ("c.pem", "PEM", "certificate", "X.509"),
        ("c.der", "DER", "certificate", "X.509"),
        ("trusted.pem", "PEM", "certificate", "X.509"),
        ("r.csr", "PEM", "certificate request", "PKCS#10"),
        ("r.der", "DER", "certificate request", "PKCS#10"),
        ("crl.pem", "PEM", "revocation list", "X.509"),
        ("crl.der", "DER", "revocation list", "X.509"),
        ("k.pem", "PEM", "private key", "PKCS#8"),
        ("pkcs8.der", "DER", "private key", "PKCS#8"),
        ("sec1.pem", "PEM", "private key", "SEC1"),
        ("sec1.der", "DER", "private key", "SEC1"),
        ("rsa.pem", "PEM", "private key", "PKCS#1"),
        ("rsa.der", "DER", "private key", "PKCS#1"),
        ("pub.pem", "PEM", "public key", "SubjectPublicKeyInfo"),
        ("rsapub.pem", "PEM", "public key", "PKCS#1"),
        ("c.p7b", "PKCS#7", "certificate", "X.509"),
        ("p7.pem", "PEM", "certificate", "X.509"),
        ("open.p12", "PKCS#12", "certificate", "X.509"),
    ],
)
def test_the_form_is_told_from_the_content(
    folder: Path, tmp_path: Path, name: str, form: str, kind: str, item_form: str
) -> None:
    misleading = tmp_path / "file.txt"
    misleading.write_bytes((folder / name).read_bytes())
    content = read_content(misleading)
    assert content.form == form
    assert [(item.kind, item.form) for item in content.items] == [(kind, item_form)]


@pytest.mark.parametrize(
    ("name", "encryption"),
    [
        ("enc.pem", "AES-256-CBC, PBKDF2"),
        ("enc.der", "AES-256-CBC, PBKDF2"),
        ("des3.pem", "DES-EDE3-CBC, derived by MD5"),
    ],
)
class TestEncryptedKeys:
    def test_open_with_their_password(self, folder: Path, name: str, encryption: str) -> None:
        (item,) = read_content(folder / name, knows(PASSWORD)).items
        plain = read_content(folder / ("rsa.pem" if name == "des3.pem" else "k.pem")).items[0]
        assert item.encryption == encryption
        assert item.key is not None
        assert plain.key is not None
        assert item.key.public_key() == plain.key.public_key()

    def test_stay_closed_without_it(self, folder: Path, name: str, encryption: str) -> None:
        (item,) = read_content(folder / name).items
        assert (item.key, item.encryption) == (None, encryption)
        with pytest.raises(PasswordError, match=rf"{name}.*This private key is encrypted.*--password-file"):
            private_key_of(item, folder / name)

    def test_say_when_it_is_another_one(self, folder: Path, name: str, encryption: str) -> None:
        with pytest.raises(PasswordError, match=rf"{name}.*This password does not open the private key"):
            read_content(folder / name, knows("wrong"))


def test_pkcs12_gives_key_and_certificate_with_its_password_only(folder: Path) -> None:
    content = read_content(folder / "c.p12", knows(PASSWORD))
    assert [(item.kind, item.alias) for item in content.items] == [
        ("private key", ""),
        ("certificate", "pump"),
    ]
    with pytest.raises(PasswordError, match="This PKCS#12 file is encrypted"):
        read_content(folder / "c.p12")
    with pytest.raises(PasswordError, match="This password does not open the PKCS#12 file"):
        read_content(folder / "c.p12", knows("wrong"))


def test_nothing_is_asked_for_where_nothing_is_encrypted_and_once_where_two_things_are(folder: Path) -> None:
    asked: list[str] = []

    def ask(purpose: str) -> bytes:
        asked.append(purpose)
        return PASSWORD.encode()

    read_content(folder / "c.pem", ask)
    assert asked == []
    twice = (folder / "enc.pem").read_bytes() * 2
    content = parse_content(twice, Path("two.pem"), ask)
    assert len(content.keys) == 2
    assert asked == ["the private key in two.pem, line 1"]


class TestPem:
    """As it is found in the field."""

    def certificates(self, text: str | bytes) -> Content:
        return parse_content(text.encode() if isinstance(text, str) else text, Path("file"))

    def test_many_things_with_text_between_them_and_their_lines(self, folder: Path) -> None:
        pem, key = (folder / "c.pem").read_text(), (folder / "k.pem").read_text()
        content = self.certificates(f"subject=CN = x\n\n{pem}and then\n{key}{pem}")
        assert [item.kind for item in content.items] == ["certificate", "private key", "certificate"]
        second = 4 + pem.count("\n")
        assert [item.line for item in content.items] == [3, second, second + key.count("\n")]

    def test_inside_the_source_of_a_sketch(self, folder: Path) -> None:
        lines = (folder / "c.pem").read_text().splitlines()
        strings = "".join(f'    "{line}\\n" \\\n' for line in lines)
        sketch = f"const unsigned char cert[] = \\\n{strings};\n"
        raw = 'static const char ca[] PROGMEM = R"EOF(\n' + "\n".join(lines) + '\n)EOF";\n'
        expected = read_content(folder / "c.pem").certificates
        assert self.certificates(sketch).certificates == expected
        assert self.certificates(sketch).form == self.certificates(raw).form == "header"
        assert self.certificates(raw).certificates == expected

    def test_from_windows(self, folder: Path) -> None:
        text = (folder / "c.pem").read_text().replace("\n", "\r\n")
        assert len(self.certificates(text.encode("utf-16")).certificates) == 1
        assert len(self.certificates(b"\xef\xbb\xbf" + text.encode()).certificates) == 1

    def test_base64_alone(self, folder: Path) -> None:
        content = self.certificates(base64.encodebytes((folder / "c.der").read_bytes()))
        assert content.form == "base64"
        assert len(content.certificates) == 1

    def test_parameters_are_left_out_and_mentioned(self, folder: Path) -> None:
        text = openssl(folder, "ecparam -name prime256v1") + (folder / "sec1.pem").read_text()
        content = self.certificates(text)
        assert [item.kind for item in content.items] == ["private key"]
        assert content.notes == ("line 1: EC PARAMETERS, which is neither a certificate nor a key",)

    def test_der_may_come_in_a_row_and_end_in_a_zero(self, folder: Path) -> None:
        der = (folder / "c.der").read_bytes()
        assert len(self.certificates(der + der).certificates) == 2
        assert len(self.certificates(der + b"\0").certificates) == 1


class TestBrokenFiles:
    """Each gets an error that names the file, the line where there are lines, and the cause."""

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", r"^broken: This file is empty"),
            (b" \n\n", "This file is empty"),
            (b"\x00\x01\x02garbage", r"neither PEM .* nor DER"),
            (b"\x7fELF\x02\x01\x01", "a program or an archive"),
            (b"\xfe\xed\xfe\xed\0\0\0\2", "Java keystore; keytool -importkeystore"),
            (b"<html>404</html>", "HTML"),
            (b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ", "a public key for SSH"),
            (b"x\n-----BEGIN CERTIFICATE-----\nMIIB\n", r"^broken:2: .*no line -----END CERTIFICATE-----"),
            (
                b"-----BEGIN CERTIFICATE-----\nMI!B\n-----END CERTIFICATE-----\n",
                r"^broken:2: This line in the block CERTIFICATE is no base64",
            ),
            (b"-----BEGIN CERTIFICATE-----\nMIIBa\n-----END CERTIFICATE-----\n", r"^broken:1: .*missing"),
            (b"-----BEGIN CERT", r"^broken:1: This line should read -----BEGIN NAME-----"),
            (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", r"^broken:1: .*empty"),
            (
                b"-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n",
                r"^broken:1: This DER is cut off or damaged: the data should have 260 bytes and has 6",
            ),
            (
                b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
                "OPENSSH PRIVATE KEY, which TLS does not use",
            ),
            (b"\x30\x03\x02\x01\x01", "neither a certificate nor a key"),
        ],
    )
    def test_say_what_is_wrong(self, data: bytes, message: str) -> None:
        with pytest.raises(MalformedFileError, match=message):
            parse_content(data, Path("broken"))

    def test_truncated_der_says_how_much_is_missing(self, folder: Path) -> None:
        der = (folder / "c.der").read_bytes()
        with pytest.raises(MalformedFileError, match=f"should have {len(der)} bytes and has {len(der) - 9}"):
            parse_content(der[:-9], Path("c.der"))

    def test_something_after_der_is_an_error(self, folder: Path) -> None:
        der = (folder / "c.der").read_bytes()
        with pytest.raises(MalformedFileError, match=f"After byte {len(der)} there is no DER"):
            parse_content(der + b"\x99\x99", Path("c.der"))

    def test_missing_and_unreadable_ones_too(self, tmp_path: Path) -> None:
        with pytest.raises(MissingFileError, match=r"absent: This file cannot be read \(No such file"):
            read_content(tmp_path / "absent")
        with pytest.raises(MissingFileError, match="Is a directory"):
            read_content(tmp_path)

    def test_a_huge_one_is_refused_without_reading_all_of_it(self, tmp_path: Path) -> None:
        huge = tmp_path / "huge.pem"
        with huge.open("wb") as file:
            file.truncate(100 << 20)
        with pytest.raises(MalformedFileError, match="larger than 16 MiB"):
            read_content(huge)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_damaged_gives_an_error_of_ours_or_is_read(folder: Path, data: st.DataObject) -> None:
    """Bytes of real files, some changed and the end cut off."""
    names = ["c.pem", "c.der", "crl.der", "r.csr", "rsa.der", "c.p12", "c.p7b", "enc.pem"]
    name = data.draw(st.sampled_from(names))
    damaged = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        content = parse_content(cut, Path(name), knows(PASSWORD))
    except PkiError as error:
        explained = str(error).startswith(name)
    else:
        explained = bool(content.items or content.notes)
        reports = inspect(content, datetime.datetime.now(datetime.UTC))
        assert len(reports) == len(content.items)
    assert explained


@given(garbage=st.binary(max_size=300))
def test_garbage_gives_an_error_of_ours(garbage: bytes) -> None:
    for data in (garbage, b"\x30" + garbage, b"-----BEGIN CERTIFICATE-----\n" + garbage):
        with pytest.raises(PkiError, match=r"^garbage"):
            parse_content(data, Path("garbage"))


def test_a_certificate_comes_out_as_openssl_wrote_it(folder: Path) -> None:
    (certificate,) = read_content(folder / "c.der").certificates
    assert certificate.public_bytes(Encoding.PEM) == (folder / "c.pem").read_bytes()


def test_pkcs7_in_ber_as_streams_have_it(folder: Path) -> None:
    openssl(folder, "smime -sign -signer c.pem -inkey k.pem -in c.pem -outform DER -stream -nodetach "
                    "-out open.p7")  # fmt: skip
    assert (folder / "open.p7").read_bytes()[:2] == b"\x30\x80"
    content = read_content(folder / "open.p7")
    assert content.form == "PKCS#7"
    assert content.certificates == read_content(folder / "c.pem").certificates


def test_other_ber_is_named() -> None:
    with pytest.raises(MalformedFileError, match="This is BER with open lengths"):
        parse_content(b"\x30\x80\x02\x01\x03" + bytes(40), Path("store.p12"))


def test_a_cipher_that_is_not_known_is_no_wrong_password(folder: Path) -> None:
    openssl(folder, f"pkcs8 -topk8 -in k.pem -passout pass:{PASSWORD} -v2 camellia-128-cbc -out camellia.pem")
    with pytest.raises(MalformedFileError, match="encrypted in a way unknown here"):
        read_content(folder / "camellia.pem", knows(PASSWORD))


def test_what_is_in_a_certificate_controls_no_terminal() -> None:
    address = x509.UniformResourceIdentifier("http://a/\x1b[31m\nFORGED")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a\x1b")])
    now = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(7)
        .public_key(key.public_key()).not_valid_before(now).not_valid_after(now.replace(year=2027))
        .add_extension(x509.CRLDistributionPoints([
            x509.DistributionPoint([address], None, None, None)
        ]), False)
        .add_extension(x509.AuthorityInformationAccess([
            x509.AccessDescription(method, address)
            for method in (AuthorityInformationAccessOID.CA_ISSUERS, AuthorityInformationAccessOID.OCSP)
        ]), False)
    )  # fmt: skip
    certificate = builder.sign(key, hashes.SHA256())
    stored = pkcs12.serialize_key_and_certificates(
        b"a\x1b", key, certificate, None, BestAvailableEncryption(PASSWORD.encode())
    )
    content = parse_content(stored, Path("x.p12"), knows(PASSWORD))
    shown = [text for report in inspect(content, now) for _, text in report.lines]
    assert sum("FORGED" in text for text in shown) == 3
    assert all(text.isprintable() for text in shown)
