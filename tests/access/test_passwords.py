"""Password hashes that say what they are."""

from __future__ import annotations

import argon2
import pytest

from lockwire.access.errors import PasswordHashError
from lockwire.access.passwords import (
    ALPHABET,
    check_stored,
    generate_password,
    hash_chosen,
    hash_generated,
    is_slow,
    verify,
)


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
    ],
)
def test_a_hash_of_an_unknown_form_is_an_error_that_does_not_show_it(stored: str) -> None:
    for call in (lambda: check_stored(stored), lambda: verify(stored, b"x")):
        with pytest.raises(PasswordHashError) as caught:
            call()
        assert "secret" not in str(caught.value)
        assert "AAAA" not in str(caught.value)
