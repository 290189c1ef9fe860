"""The users file."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from lockwire.access.errors import AccessFileError, ScramError, UserError
from lockwire.access.passwords import generate_password, verify
from lockwire.access.users import Users, make_user


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access" / "users.json"


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_where_there_is_no_file_there_are_no_users(path: Path) -> None:
    users = Users(path)
    assert len(users) == 0
    assert users.get("admin") is None
    assert not path.exists()


def test_users_are_kept_through_a_restart(path: Path) -> None:
    password = generate_password()
    users = Users(path)
    users.add(make_user("admin", password, generated=True, administrator=True, with_scram=True))
    users.add(make_user("Jürgen", "chosen", generated=False))
    again = Users(path)
    assert list(again) == list(users)
    admin, other = again
    assert (admin.name, admin.administrator, other.name, other.administrator) == (
        "admin",
        True,
        "Jürgen",
        False,
    )
    assert verify(admin.password, password.encode())
    assert verify(other.password, b"chosen")
    assert admin.scram is not None
    assert admin.scram.iterations == 15_000
    assert other.scram is None
    assert again.decoy_key == users.decoy_key


def test_the_file_is_for_its_owner_only_and_holds_no_password(path: Path) -> None:
    password = generate_password()
    Users(path).add(make_user("admin", password, generated=True, with_scram=True))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert password not in path.read_text()
    assert list(path.parent.iterdir()) == [path]


def test_whether_wrong_passwords_take_their_time_depends_on_the_slowest_hash(path: Path) -> None:
    users = Users(path)
    users.add(make_user("fast", generate_password(), generated=True))
    assert not users.has_slow
    users.add(make_user("slow", "chosen", generated=False))
    assert users.has_slow
    assert Users(path).has_slow
    users.remove("slow")
    assert not users.has_slow


def test_users_are_added_once_replaced_and_removed_only_where_they_are(path: Path) -> None:
    users = Users(path)
    users.add(make_user("a", "one", generated=False))
    with pytest.raises(UserError, match="already"):
        users.add(make_user("a", "two", generated=False))
    users.replace(make_user("a", "two", generated=False))
    assert verify(next(iter(Users(path))).password, b"two")
    with pytest.raises(UserError, match="no user 'b'"):
        users.replace(make_user("b", "x", generated=True))
    with pytest.raises(UserError, match="no user 'b'"):
        users.remove("b")
    users.remove("a")
    assert len(Users(path)) == 0


def test_a_change_that_the_disk_refuses_does_not_count(path: Path) -> None:
    users = Users(path)
    users.add(make_user("a", "one", generated=False))
    path.unlink()
    path.mkdir()
    (path / "in the way").touch()
    with pytest.raises(OSError, match="users"):
        users.add(make_user("b", "two", generated=False))
    assert users.get("b") is None
    assert users.get("a") is not None


def test_names_and_passwords_that_cannot_be(path: Path) -> None:
    with pytest.raises(UserError, match="contains '/'"):
        make_user("a/b", "x", generated=True)
    with pytest.raises(UserError, match="reserved"):
        make_user("anonymous", "x", generated=True)
    with pytest.raises(UserError, match="is empty"):
        make_user("a", "", generated=True)
    with pytest.raises(ScramError):
        make_user("a", "\u0007bell", generated=True, with_scram=True)


def test_a_user_shows_no_hash(path: Path) -> None:
    user = make_user("a", "x", generated=True, with_scram=True)
    assert repr(user) == "User(name='a', administrator=False)"


GOOD = '{"name": "a", "password": "$sha256$AAAA$47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}'
KEYS = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def with_scram(verifier: str) -> str:
    return GOOD[:-1] + f', "scram": "{verifier}"}}'


def test_what_people_may_write_by_hand(path: Path) -> None:
    users = Users(put(path, f'\n{{ "users" : [{with_scram("SCRAM-SHA-256$4096:AAAA$" + KEYS)}\n] }}'))
    assert [user.name for user in users] == ["a"]
    assert list(Users(put(path, '{"users": []}'))) == []


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "expected an object"),
        ("\n\n[]", 3, "expected an object"),
        ("{}", 1, "expected"),
        ('{\n"other": 1\n}', 3, "there is no 'users'"),
        ('{"users": []}\n}', 2, "something after the end"),
        ('{"users": [],\n"users": []}', 2, "stands there twice"),
        ('{"users":\n{}}', 2, "expected a list"),
        ('{"users": [\n3]}', 2, "a number in the list; expected an object"),
        (f'{{"users": [\n{GOOD},\n"secret"]}}', 3, "text in the list"),
        (f'{{"users": [\n{GOOD}\n{GOOD}]}}', 3, "expected ',' or ']'"),
        (f'{{"users": [\n{GOOD},\n{GOOD}]}}', 3, "the user 'a' stands there twice"),
        (f'{{"users": [\n{GOOD}\n', 3, "the file ends too early"),
        ('{"users": [\n{"name": "a",\n"password" secret}]}', 3, "expected valid JSON"),
        ('{"users": [\n{"name": "a", "name": "b"}]}', 2, "stands twice"),
        ('{"users": [\n\n{"password": "$sha256$"}]}', 3, "'name' is missing"),
        ('{"users": [\n{"name": 7}]}', 2, "'name' is a number"),
        ('{"users": [\n{"name": "a/b"}]}', 2, "contains '/'"),
        ('{"users": [\n{"name": "a"}]}', 2, "'password' is missing"),
        ('{"users": [\n{"name": "a", "password": "secret"}]}', 2, "expected a hash that begins with"),
        (f'{{"users": [\n{GOOD[:-1]}, "administrator": "secret"}}]}}', 2, "expected true or false"),
        (f'{{"users": [\n{GOOD[:-1]}, "admin": true}}]}}', 2, "'admin' is not known here"),
        (f'{{"users": [\n{with_scram("secret")}]}}', 2, "'scram' is no verifier"),
        (f'{{"users": [\n{with_scram("SCRAM-SHA-1$4096:AAAA$" + KEYS)}]}}', 2, "'scram' is no verifier"),
        (f'{{"users": [\n{with_scram("SCRAM-SHA-256$x:AAAA$" + KEYS)}]}}', 2, "'scram' is no verifier"),
        (
            f'{{"users": [\n{with_scram("SCRAM-SHA-256$4096:AAAA$secret:secret")}]}}',
            2,
            "'scram' is no verifier",
        ),
        (f'{{"users": [\n{with_scram("SCRAM-SHA-256$4095:AAAA$" + KEYS)}]}}', 2, "4096 or more"),
        ('{"users": [], "decoy_key": "c2VjcmV0"}', 0, "'decoy_key' is no key"),
        ('{"users": [], "decoy_key": 7}', 0, "'decoy_key' is no key"),
        ('{"users": [], "groups": []}', 0, "'groups' is not known here"),
        ('{"users": [], 7: 8}', 1, "a number where a name should be"),
        ('{"users": [], "x": ' + "7" * 5000 + "}", 1, "expected plain JSON"),
        ('{"users": [], "x": ' + "[" * 100_000 + "}", 1, "expected plain JSON"),
    ],
)
def test_a_malformed_file_is_named_with_line_and_what_was_expected_and_left_alone(
    path: Path, text: str, line: int, message: str
) -> None:
    with pytest.raises(AccessFileError) as caught:
        Users(put(path, text))
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert path.read_text() == text


def test_bytes_that_are_not_utf8_are_named_with_their_line(path: Path) -> None:
    put(path, "").write_bytes(b'{"users":\n\xff')
    with pytest.raises(AccessFileError, match=r"users\.json:2: a byte that is not UTF-8"):
        Users(path)


def test_a_file_that_others_can_read_is_refused(path: Path) -> None:
    put(path, '{"users": []}').chmod(0o644)
    with pytest.raises(AccessFileError, match=r"mode 0644.*chmod 600"):
        Users(path)


def test_a_reload_takes_what_is_new_and_keeps_the_old_where_the_new_is_broken(path: Path) -> None:
    users = Users(path)
    users.add(make_user("a", generate_password(), generated=True))
    other = Users(path)
    other.add(make_user("b", generate_password(), generated=True))
    users.reload()
    assert [user.name for user in users] == ["a", "b"]
    put(path, json.dumps({"users": [{}]}))
    with pytest.raises(AccessFileError):
        users.reload()
    assert [user.name for user in users] == ["a", "b"]
    assert users.decoy_key == other.decoy_key
