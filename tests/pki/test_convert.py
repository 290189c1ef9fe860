"""Other forms of certificates and keys: openssl, Java or a C compiler reads each: it is the same thing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.pki.errors import ConversionError, PasswordError
from lockwire.pki.toolkit.content import parse_content, read_content
from lockwire.pki.toolkit.convert import Converted, Target, Wish, convert
from tests.pki.issuing import Signed, issue, openssl

pytestmark = pytest.mark.peer("openssl")


@pytest.fixture(scope="module")
def root() -> Signed:
    return issue("Plant root", ca=True)


@pytest.fixture(scope="module")
def middle(root: Signed) -> Signed:
    return issue("Plant intermediate", root, ca=True)


@pytest.fixture(scope="module")
def leaf(middle: Signed) -> Signed:
    return issue("plant.local", middle, names=["plant.local"], key="RSA-2048")


def converted(data: bytes, target: Target, path: str = "in.pem", **more: object) -> Converted:
    return convert(parse_content(data, Path(path)), Wish(target, **more))  # type: ignore[arg-type]


class TestCertificates:
    def test_pem_and_der_and_back(self, leaf: Signed) -> None:
        der = converted(leaf.pem, "der")
        assert (der.data, der.text, der.private) == (leaf.der, False, False)
        assert converted(der.data, "pem").data == leaf.pem
        assert converted(leaf.pem, "single").data == leaf.pem

    def test_der_has_room_for_one(self, root: Signed, leaf: Signed) -> None:
        both = leaf.pem + root.pem
        with pytest.raises(ConversionError, match=r"in\.pem: DER has room for one thing, and there are 2"):
            converted(both, "der")
        assert converted(both, "der", item=2).data == root.der
        with pytest.raises(ConversionError, match="no thing number 3"):
            converted(both, "der", item=3)

    def test_a_chain_is_put_in_order_without_the_root(
        self, tmp_path: Path, root: Signed, middle: Signed, leaf: Signed
    ) -> None:
        stranger = issue("stranger", ca=True)
        chain = converted(root.pem + stranger.pem + middle.pem + leaf.pem, "chain")
        assert chain.data == leaf.pem + middle.pem
        assert chain.what == "chain of plant.local, Plant intermediate; left out: Plant root, stranger"
        assert converted(root.pem, "chain").data == root.pem

    def test_single_is_the_leaf_wherever_it_stands(self, middle: Signed, leaf: Signed) -> None:
        assert converted(middle.pem + leaf.pem, "single").data == leaf.pem

    def test_nothing_to_convert_is_an_error(self, leaf: Signed) -> None:
        with pytest.raises(ConversionError, match="There is no certificate in this file"):
            converted(leaf.key_pem, "chain")


class TestPkcs12:
    def test_openssl_opens_it_and_finds_everything(
        self, tmp_path: Path, root: Signed, middle: Signed, leaf: Signed
    ) -> None:
        more = [parse_content(leaf.key_pem, Path("k")), parse_content(root.pem, Path("ca"))]
        result = converted(leaf.pem + middle.pem, "p12", others=more, password=b"geheim", name="pump")
        assert (result.private, result.text) == (True, False)
        (tmp_path / "a.p12").write_bytes(result.data)
        shown = openssl(tmp_path, "pkcs12 -in a.p12 -passin pass:geheim -nodes")
        back = parse_content(shown.encode(), Path("shown"))
        assert {each.public_bytes(Encoding.PEM) for each in back.certificates} == {
            leaf.pem,
            middle.pem,
            root.pem,
        }
        assert back.keys[0].key is not None
        assert back.keys[0].key.public_key() == leaf.key.public_key()
        assert "friendlyName: pump" in shown
        info = subprocess.run(
            ["openssl", "pkcs12", "-in", "a.p12", "-passin", "pass:geheim", "-info", "-noout"],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
        assert "AES-256-CBC" in info

    def test_a_key_needs_a_password_and_its_certificate(self, middle: Signed, leaf: Signed) -> None:
        with pytest.raises(ConversionError, match="needs a password"):
            converted(leaf.pem + leaf.key_pem, "p12")
        with pytest.raises(ConversionError, match="No certificate here belongs to the private key"):
            converted(middle.pem + leaf.key_pem, "p12", password=b"x")

    def test_of_several_keys_the_one_with_a_certificate_is_taken(self, middle: Signed, leaf: Signed) -> None:
        made = converted(middle.key_pem + leaf.key_pem + leaf.pem, "p12", password=b"x")
        assert made.what == "1 private key and 1 certificate as PKCS#12; left out: 1 private key"
        (item,) = parse_content(made.data, Path("a.p12"), lambda _: b"x").keys
        assert item.key is not None
        assert item.key.public_key() == leaf.key.public_key()

    def test_certificates_alone_make_a_trust_store(self, tmp_path: Path, root: Signed) -> None:
        (tmp_path / "ca.p12").write_bytes(converted(root.pem, "p12", password=b"x").data)
        assert "BEGIN CERTIFICATE" in openssl(tmp_path, "pkcs12 -in ca.p12 -passin pass:x -nokeys")

    @pytest.mark.skipif(shutil.which("keytool") is None, reason="Java is not installed")
    def test_java_opens_it(self, tmp_path: Path, leaf: Signed) -> None:
        (tmp_path / "a.p12").write_bytes(
            converted(leaf.pem + leaf.key_pem, "p12", password=b"geheim", name="pump").data
        )
        done = subprocess.run(
            ["keytool", "-list", "-keystore", "a.p12", "-storetype", "PKCS12", "-storepass:env", "STORE"],
            cwd=tmp_path, env={"STORE": "geheim", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert "pump" in done.stdout
        assert "PrivateKeyEntry" in done.stdout


class TestKeys:
    @pytest.mark.parametrize(
        ("target", "kind", "label"),
        [
            ("pkcs1", "RSA-2048", b"RSA PRIVATE KEY"),
            ("sec1", "P-256", b"EC PRIVATE KEY"),
            ("pkcs8", "RSA-2048", b"PRIVATE KEY"),
            ("pkcs8", "P-256", b"PRIVATE KEY"),
            ("pkcs8", "Ed25519", b"PRIVATE KEY"),
        ],
    )
    def test_in_each_form(self, tmp_path: Path, target: Target, kind: str, label: bytes) -> None:
        signed = issue("x", key=kind)
        result = converted(signed.key_pem, target)
        assert result.private
        assert result.data.startswith(b"-----BEGIN " + label + b"-----")
        (tmp_path / "k").write_bytes(result.data)
        (tmp_path / "c").write_bytes(signed.pem)
        assert openssl(tmp_path, "pkey -in k -pubout") == openssl(tmp_path, "x509 -in c -pubkey -noout")
        (tmp_path / "k.der").write_bytes(converted(signed.key_pem, target, binary=True).data)
        assert openssl(tmp_path, "pkey -inform DER -in k.der -pubout") == openssl(
            tmp_path, "pkey -in k -pubout"
        )

    def test_old_encryption_becomes_aes_256_or_none(self, tmp_path: Path) -> None:
        openssl(tmp_path, "genrsa -traditional -des3 -passout pass:old -out old.key 2048")
        content = read_content(tmp_path / "old.key", lambda _: b"old")
        new = convert(content, Wish("pkcs8", password=b"new"))
        assert new.what == "RSA-2048 key as PKCS#8 in PEM, encrypted with AES-256"
        (tmp_path / "new.key").write_bytes(new.data)
        (tmp_path / "plain.key").write_bytes(convert(content, Wish("pkcs8")).data)
        expected = openssl(tmp_path, "pkey -in old.key -passin pass:old -pubout")
        assert openssl(tmp_path, "pkey -in new.key -passin pass:new -pubout") == expected
        assert openssl(tmp_path, "pkey -in plain.key -pubout") == expected
        assert read_content(tmp_path / "new.key").items[0].encryption == "AES-256-CBC, PBKDF2"

    def test_what_cannot_be(self, leaf: Signed) -> None:
        encrypted = leaf.encrypted_key_pem(b"x")
        with pytest.raises(PasswordError, match="This private key is encrypted"):
            converted(encrypted, "pkcs8")
        with pytest.raises(
            ConversionError, match="SEC1 is for elliptic curve keys, and this one is RSA-2048"
        ):
            converted(leaf.key_pem, "sec1")
        with pytest.raises(ConversionError, match="old way that is easy to break"):
            converted(leaf.key_pem, "pkcs1", password=b"x")
        with pytest.raises(ConversionError, match="and there is none"):
            converted(leaf.pem, "pkcs8")
        with pytest.raises(ConversionError, match="One private key is needed, and there are 2"):
            converted(leaf.key_pem * 2, "pkcs8")

    def test_a_password_is_in_no_text_of_ours(self, leaf: Signed) -> None:
        wish = Wish("pkcs8", password=b"secret-word")
        assert "secret-word" not in repr(wish)
        result = converted(leaf.key_pem, "pkcs8", password=b"secret-word")
        assert "PRIVATE" not in repr(result)


class TestHeaders:
    def test_a_byte_array_compiles_and_holds_the_der(self, tmp_path: Path, leaf: Signed) -> None:
        header = converted(leaf.pem, "c-array", path="my ca-1.pem")
        assert b"static const unsigned char my_ca_1_der[] = {" in header.data
        program = (
            '#include <stdio.h>\n#include "ca.h"\n'
            "int main(void) { fwrite(my_ca_1_der, 1, my_ca_1_der_len, stdout); return 0; }\n"
        )
        assert self.run(tmp_path, header.data, program, "c") == leaf.der

    def test_a_progmem_string_compiles_and_holds_the_pem(
        self, tmp_path: Path, root: Signed, leaf: Signed
    ) -> None:
        header = converted(leaf.pem + root.pem, "progmem", name="8ca")
        program = (
            '#include <stdio.h>\n#include "ca.h"\n'
            "int main() { fputs(_8ca_1 + 1, stdout); fputs(_8ca_2 + 1, stdout); }\n"
        )
        assert self.run(tmp_path, header.data, program, "c++") == leaf.pem + root.pem

    def run(self, folder: Path, header: bytes, program: str, language: str) -> bytes:
        """What a program prints that includes the header."""
        compiler = shutil.which("g++" if language == "c++" else "gcc")
        if compiler is None:
            pytest.skip("there is no C compiler")
        (folder / "ca.h").write_bytes(header)
        (folder / "main.txt").write_text(program)
        command = [compiler, "-Wall", "-Werror", "-x", language, "main.txt", "-o", "main"]
        subprocess.run(command, cwd=folder, check=True, timeout=30)
        return subprocess.run([folder / "main"], capture_output=True, check=True, timeout=10).stdout

    def test_we_read_it_again(self, leaf: Signed) -> None:
        header = converted(leaf.pem, "progmem")
        again = parse_content(header.data, Path("ca.h"))
        assert (again.form, len(again.certificates)) == ("header", 1)

    def test_a_subject_cannot_leave_its_comment(self) -> None:
        evil = issue("x\nint evil; \\")
        header = converted(evil.pem, "c-array").data.decode()
        assert "\nint evil" not in header
        assert "// certificate of x/nint evil; /" in header

    def test_a_key_in_a_header_is_private(self, leaf: Signed) -> None:
        assert converted(leaf.key_pem, "progmem").private
