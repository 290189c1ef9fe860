"""Users: names, passwords, tags."""

from __future__ import annotations

import pytest

from lockwire.access.database.users import (
    TAGS,
    User,
    check_name,
    make_user,
    parse_verifier,
    sorted_tags,
    verifier_text,
)
from lockwire.access.errors import ScramError, UserError
from lockwire.access.methods.passwords import generate_password, verify
from lockwire.access.methods.scram import derive_verifier

KEYS = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_a_new_user_has_no_tags_and_no_verifier() -> None:
    password = generate_password()
    user = make_user("pump-7", password, generated=True)
    assert (user.name, user.tags, user.administrator, user.scram) == ("pump-7", (), False, None)
    assert verify(user.password, password.encode())


def test_generated_passwords_are_hashed_quickly_and_chosen_ones_slowly() -> None:
    assert make_user("a", generate_password(), generated=True).password.startswith("$sha256$")
    assert make_user("a", "chosen", generated=False).password.startswith("$argon2id$")


def test_a_user_shows_no_hash() -> None:
    user = make_user("a", "x", generated=True, tags=["administrator"], with_scram=True)
    assert repr(user) == "User(name='a', tags=('administrator',))"


def test_tags_are_kept_in_one_order_each_once() -> None:
    assert sorted_tags(["management", "administrator", "management"]) == ("administrator", "management")
    assert sorted_tags(TAGS) == tuple(TAGS)
    assert User("a", "", ("monitoring",)).administrator is False
    with pytest.raises(UserError, match=r"no tag 'admin'. There are: administrator, monitoring, policymaker"):
        sorted_tags(["admin"])


@pytest.mark.parametrize(
    "name",
    [
        "pump-7",
        "jo@example.org",
        "Jürgen Groß",
        "site1/pump",
        "DOMAIN\\jo",
        "+4930123",
        "ca",
        "x" * 255,
        "泵",
    ],
)
def test_names_of_other_brokers_and_of_people_are_possible(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is empty"),
        ("x" * 256, "has 256 characters"),
        ("line\nbreak", r"invisible character U\+000A"),
        ("right\u202eleft", r"invisible character U\+202E"),
        ("nul\0", r"invisible character U\+0000"),
        (" a", "begins or ends with a space"),
        ("a ", "begins or ends with a space"),
        ("-x", "begins with a dash"),
        ("Ju\u0308rgen", "is not in Unicode normal form C"),
        ("Anonymous", "is reserved"),
    ],
)
def test_names_that_cannot_be(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_name(name)
    with pytest.raises(UserError, match=message):
        make_user(name, "x", generated=True)


def test_passwords_that_cannot_be() -> None:
    with pytest.raises(UserError, match="is empty"):
        make_user("a", "", generated=True)
    with pytest.raises(ScramError):
        make_user("a", "\u0007bell", generated=True, with_scram=True)


def test_a_verifier_is_written_as_postgresql_does_and_read_again() -> None:
    verifier = derive_verifier("secret")
    text = verifier_text(verifier)
    assert text.startswith("SCRAM-SHA-256$15000:")
    assert parse_verifier(text) == verifier


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("secret", "it is not SCRAM-SHA-256"),
        (f"SCRAM-SHA-1$4096:AAAA${KEYS}", "it is not SCRAM-SHA-256"),
        (f"SCRAM-SHA-256$x:AAAA${KEYS}", "it is not SCRAM-SHA-256"),
        (f"SCRAM-SHA-256$4096:${KEYS}", "it is not SCRAM-SHA-256"),
        ("SCRAM-SHA-256$4096:AAAA$secret:secret", "it is not SCRAM-SHA-256"),
        ("SCRAM-SHA-256$4096:AAAA$c2VjcmV0:c2VjcmV0", "it is not SCRAM-SHA-256"),
        (f"SCRAM-SHA-256$4095:AAAA${KEYS}", "it has 4095 iterations, 4096 is the least"),
    ],
)
def test_a_verifier_that_is_none_is_refused_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_verifier(text)
    assert "secret" not in str(caught.value)
