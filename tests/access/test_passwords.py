"""Password hashes that say what they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import argon2
import pytest

from lockwire.access.errors import PasswordHashError
from lockwire.access.methods.passwords import (
    ALPHABET,
    check_stored,
    generate_password,
    hash_chosen,
    hash_generated,
    is_slow,
    needs_rehash,
    verify,
)
from tests.support.peers import peer_path


def test_a_chosen_password_is_hashed_with_argon2id_19_mib_two_passes_one_lane() -> None:
    stored = hash_chosen("Straße".encode())
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify(stored, "Straße".encode())
    assert not verify(stored, b"Strasse")
    assert is_slow(stored)
    assert hash_chosen(b"x") != hash_chosen(b"x")


def test_argon2_hashes_of_other_costs_are_verified() -> None:
    stored = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=2).hash(b"x")
    check_stored(stored)
    assert verify(stored, b"x")
    assert not verify(stored, b"y")


def test_a_generated_secret_is_hashed_with_salted_sha256() -> None:
    secret = generate_password().encode()
    stored = hash_generated(secret)
    assert stored.startswith("$sha256$")
    assert verify(stored, secret)
    assert not verify(stored, secret + b"x")
    assert not verify(stored, b"")
    assert not is_slow(stored)
    assert hash_generated(secret) != stored


def test_generated_passwords_have_128_bits_and_no_characters_that_look_alike() -> None:
    passwords = {generate_password() for _ in range(200)}
    assert len(passwords) == 200
    assert all(len(password) >= 20 and len(ALPHABET) ** len(password) >= 2**128 for password in passwords)
    assert not set("".join(passwords)) & set("0Oo1Il")
    assert len(set(ALPHABET)) == len(ALPHABET)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "secret",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$argon2i$v=19$m=1024,t=1,p=1$c29tZXNhbHQ$AAAA",
        "$argon2id$broken",
        "$sha256$",
        "$sha256$AAAA",
        "$sha256$AAAA$AAAA",
        "$sha256$?$?",
        "$sha256$AAAA$AAAA$AAAA",
        "$sha256$$47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "$6$AAAA$AAAA",
        "$6$AAAA",
        "$7$101$AAAA$AAAA",
        "$7$$AAAA$AAAA",
        "$7$0$AAAA$AAAA",
        "$7$2000001$AAAA$AAAA",
        "$7$\N{SUPERSCRIPT TWO}$AAAA$AAAA",
    ],
)
def test_a_hash_of_an_unknown_form_is_an_error_that_does_not_show_it(stored: str) -> None:
    for call in (lambda: check_stored(stored), lambda: verify(stored, b"x")):
        with pytest.raises(PasswordHashError) as caught:
            call()
        assert "secret" not in str(caught.value)
        assert "AAAA" not in str(caught.value)


@pytest.mark.peer("mosquitto_passwd")
@pytest.mark.parametrize(("option", "prefix"), [("sha512", "$6$"), ("sha512-pbkdf2", "$7$")])
@pytest.mark.parametrize("password", ["correct horse", "Straße:$7$x"])
def test_what_mosquitto_passwd_writes_is_verified(
    tmp_path: Path, option: str, prefix: str, password: str
) -> None:
    file = tmp_path / "passwords"
    file.touch(0o600)
    subprocess.run([peer_path("mosquitto_passwd"), "-H", option, "-b", file, "jo", password], check=True)
    stored = file.read_text().strip().removeprefix("jo:")
    assert stored.startswith(prefix)
    check_stored(stored)
    assert verify(stored, password.encode())
    assert not verify(stored, password.encode() + b"x")
    assert not verify(stored, b"")
    assert is_slow(stored)


@pytest.mark.peer("mosquitto_passwd")
def test_a_plain_password_file_that_mosquitto_passwd_took_over_is_verified(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text("jo:correct horse\n")
    file.chmod(0o600)
    subprocess.run([peer_path("mosquitto_passwd"), "-U", file], check=True)
    assert verify(file.read_text().strip().removeprefix("jo:"), b"correct horse")


def test_what_is_cheaper_to_try_out_than_our_argon2id_is_hashed_anew() -> None:
    def argon2id(passes: int, memory: int) -> str:
        return argon2.PasswordHasher(passes, memory, 1).hash(b"x")

    cheaper = ["$6$AAAA$AAAA", "$7$101$AAAA$AAAA", argon2id(1, 1024), argon2id(1, 19_456)]
    assert all(needs_rehash(stored) for stored in cheaper)
    enough = [hash_chosen(b"x"), hash_generated(b"x"), argon2id(3, 16_384), argon2id(1, 38_912)]
    assert not any(needs_rehash(stored) for stored in enough)
