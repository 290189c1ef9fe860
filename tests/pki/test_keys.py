"""Private keys in every form that OpenSSL writes, and those that are refused as weak."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa

from lockwire.pki.errors import MalformedFileError, PasswordError, WeakKeyError
from lockwire.pki.keys import (
    KeyKind,
    check_public_key,
    generate_key,
    is_encrypted,
    key_pem,
    leaf_kind,
    load_key,
)
from tests.support.openssl import openssl

pytestmark = pytest.mark.peer("openssl")

PLAIN = {
    "PKCS#1": ("rsa", "-traditional"),
    "SEC1": ("ec",),
    "PKCS#8": ("pkcs8", "-topk8", "-nocrypt"),
    "PKCS#8 DER": ("pkcs8", "-topk8", "-nocrypt", "-outform", "DER"),
    "SEC1 DER": ("ec", "-outform", "DER"),
}
ENCRYPTED = {
    "PKCS#1, 3DES": ("rsa", "-traditional", "-des3"),
    "PKCS#1, AES-128": ("rsa", "-traditional", "-aes128"),
    "PKCS#1, AES-256": ("rsa", "-traditional", "-aes256"),
    "SEC1, 3DES": ("ec", "-des3"),
    "PKCS#8, AES-256": ("pkcs8", "-topk8", "-v2", "aes-256-cbc"),
    "PKCS#8, 3DES": ("pkcs8", "-topk8", "-v2", "des3"),
    "PKCS#8, scrypt": ("pkcs8", "-topk8", "-scrypt"),
    "PKCS#8 DER": ("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-outform", "DER"),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    openssl("genrsa", "-out", folder / "rsa.pem", "2048")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", folder / "ec.pem")
    return {"rsa": folder / "rsa.pem", "ec": folder / "ec.pem", "pkcs8": folder / "ec.pem"}


def public(data: bytes, passphrase: bytes | None = None) -> object:
    return load_key(data, passphrase, Path("k")).public_key()


@pytest.mark.parametrize("form", PLAIN)
def test_a_key_in_any_form_is_read(originals: dict[str, Path], tmp_path: Path, form: str) -> None:
    tool, *options = PLAIN[form]
    openssl(tool, *options, "-in", originals[tool], "-out", tmp_path / "key")
    data = (tmp_path / "key").read_bytes()
    assert public(data) == public(originals[tool].read_bytes())
    assert not is_encrypted(data, Path("k"))
    assert public(data, b"a passphrase that is not needed") == public(data)


@pytest.mark.parametrize("form", ENCRYPTED)
def test_an_encrypted_key_in_any_form_is_opened(
    originals: dict[str, Path], tmp_path: Path, form: str
) -> None:
    tool, *options = ENCRYPTED[form]
    openssl(tool, *options, "-in", originals[tool], "-passout", "pass:secret!", "-out", tmp_path / "key")
    data = (tmp_path / "key").read_bytes()
    assert is_encrypted(data, Path("k"))
    assert public(data, b"secret!") == public(originals[tool].read_bytes())
    for wrong in (None, b"wrong"):
        with pytest.raises(PasswordError):
            load_key(data, wrong, Path("k"))


def test_parameters_before_the_key_do_no_harm(originals: dict[str, Path]) -> None:
    data = originals["ec"].read_bytes()
    assert data.startswith(b"-----BEGIN EC PARAMETERS-----")
    assert isinstance(public(data), ec.EllipticCurvePublicKey)


@pytest.mark.parametrize("data", [b"", b"hello", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(MalformedFileError):
        load_key(data, None, Path("k"))


@pytest.mark.parametrize("kind", KeyKind)
def test_openssl_opens_what_we_encrypt(tmp_path: Path, kind: KeyKind) -> None:
    key = generate_key(kind)
    (tmp_path / "key").write_bytes(key_pem(key, b"correct horse"))
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in (tmp_path / "key").read_bytes()
    opened = openssl("pkey", "-in", tmp_path / "key", "-passin", "pass:correct horse", "-pubout")
    assert serialization.load_pem_public_key(opened.encode()) == key.public_key()
    assert "AES" not in opened
    described = openssl("asn1parse", "-in", tmp_path / "key")
    assert "aes-256-cbc" in described
    assert "hmacWithSHA256" in described
    assert ":0927C0" in described  # 600,000 rounds
    assert public((tmp_path / "key").read_bytes(), b"correct horse") == key.public_key()


def test_a_leafs_key_is_of_a_kind_that_whoever_knows_the_issuer_verifies() -> None:
    kinds = {KeyKind.P256: KeyKind.P256, KeyKind.P384: KeyKind.P256, KeyKind.ED25519: KeyKind.ED25519}
    for issuer, leaf in {**kinds, KeyKind.RSA_3072: KeyKind.RSA_2048}.items():
        assert leaf_kind(generate_key(issuer)) is leaf


def test_weak_keys_are_refused_with_the_reason() -> None:
    weak = {
        "RSA with 1024 bits": rsa.generate_private_key(65537, 1024).public_key(),
        "RSA exponent 3": rsa.generate_private_key(3, 2048).public_key(),
        "secp256k1": ec.generate_private_key(ec.SECP256K1()).public_key(),
        "Ed448": ed448.Ed448PrivateKey.generate().public_key(),
        "DSA": dsa.generate_parameters(1024).generate_private_key().public_key(),
    }
    for reason, key in weak.items():
        with pytest.raises(WeakKeyError, match=f"The key of x.*{reason}"):
            check_public_key(key, "The key of x")
    for kind in (KeyKind.P256, KeyKind.P384, KeyKind.RSA_2048, KeyKind.ED25519):
        key = generate_key(kind).public_key()
        assert check_public_key(key, "The key of x") == key
