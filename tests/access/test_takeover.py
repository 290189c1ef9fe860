"""Users and rules of older data folders."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from lockwire.access.database import takeover
from lockwire.access.database.database import AccessDatabase
from lockwire.access.errors import AccessFileError
from lockwire.access.rights.rules import DEFAULT_RULES, Rule

HASH = "$sha256$AAAA$47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
KEYS = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
GOOD = f'{{"name": "a", "password": "{HASH}"}}'
SCRAM = f"SCRAM-SHA-256$4096:AAAA${KEYS}"
ADMIN = f'{{"name": "admin", "password": "{HASH}", "administrator": true, "scram": "{SCRAM}"}}'
DECOY = b"d" * 32
USERS = f'{{\n "users": [\n{ADMIN},\n{GOOD}\n],\n"decoy_key": "{base64.b64encode(DECOY).decode()}"}}'
RULES = """{"rules": [
    {"who": "devices", "may": ["publish"], "topics": "a/#"},
    {"who": "administrators", "may": ["subscribe", "receive"], "topics": "$SYS/#", "note": "why"},
    {"who": "anonymous", "may": ["receive"], "topics": "b"}
]}"""


class Folder:
    """The folder `access` of a data folder, as an older version wrote it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700)
        self.database, self.users, self.rules = (
            path / name for name in ("access.db", "users.json", "rules.json")
        )

    def put(self, file: Path, text: str | bytes) -> None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        file.chmod(0o600)

    def take_over(self) -> bool:
        return takeover.take_over(self.database, self.users, self.rules)

    def files(self) -> list[str]:
        return sorted(file.name for file in self.path.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "access")


def test_become_a_database_and_the_files_are_kept_under_another_name(folder: Folder) -> None:
    folder.put(folder.users, USERS)
    folder.put(folder.rules, RULES)
    assert folder.take_over()
    assert folder.files() == ["access.db", "rules.json.imported", "users.json.imported"]
    assert (folder.path / "users.json.imported").read_text() == USERS
    database = AccessDatabase(folder.database)
    assert [(user.name, user.password, user.tags) for user in database] == [
        ("a", HASH, ()),
        ("admin", HASH, ("administrator",)),
    ]
    admin = database.get("admin")
    assert admin is not None
    assert admin.scram is not None
    assert admin.scram.iterations == 4096
    assert database.decoy_key == DECOY
    assert database.policy().rules == (
        Rule("everyone", ("publish",), "a/#"),
        Rule("tag:administrator", ("subscribe", "receive"), "$SYS/#", "why"),
        Rule("anonymous", ("receive",), "b"),
    )
    assert not folder.take_over()


def test_without_a_rules_file_the_rules_are_those_of_a_new_folder(folder: Folder) -> None:
    folder.put(folder.users, '{"users": []}')
    assert folder.take_over()
    database = AccessDatabase(folder.database)
    assert database.policy().rules == DEFAULT_RULES
    assert len(database.decoy_key) == 32


def test_without_old_files_there_is_nothing_to_do(folder: Folder) -> None:
    assert not folder.take_over()
    assert folder.files() == []


def test_cut_short_before_the_files_were_renamed_it_is_finished_and_not_done_twice(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put(folder.users, USERS)
    folder.put(folder.rules, RULES)
    with monkeypatch.context() as patched:
        patched.setattr(takeover, "_rename", lambda files: None)
        folder.take_over()
    database = AccessDatabase(folder.database)
    database.delete("a")
    database.close()
    assert not folder.take_over()
    assert folder.files() == ["access.db", "rules.json.imported", "users.json.imported"]
    assert [user.name for user in AccessDatabase(folder.database)] == ["admin"]


def test_a_file_that_comes_later_is_not_ignored_silently(folder: Folder) -> None:
    AccessDatabase(folder.database).close()
    folder.put(folder.users, USERS)
    with pytest.raises(
        AccessFileError, match=r"users\.json: users and rules are in access\.db now"
    ) as caught:
        folder.take_over()
    assert "lockwire user import" in str(caught.value)
    assert folder.files() == ["access.db", "users.json"]


def with_scram(verifier: str) -> str:
    return GOOD[:-1] + f', "scram": "{verifier}"}}'


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
        (f'{{"users": [\n{{"name": " a", "password": "{HASH}"}}]}}', 2, "begins or ends with a space"),
        ('{"users": [\n{"name": "a"}]}', 2, "'password' is missing"),
        ('{"users": [\n{"name": "a", "password": "secret"}]}', 2, "begins with none of"),
        (f'{{"users": [\n{GOOD[:-1]}, "administrator": "secret"}}]}}', 2, "expected true or false"),
        (f'{{"users": [\n{GOOD[:-1]}, "admin": true}}]}}', 2, "'admin' is not known here"),
        (f'{{"users": [\n{with_scram("secret")}]}}', 2, "it is not SCRAM-SHA-256"),
        ('{"users": [], "decoy_key": "c2VjcmV0"}', 0, "'decoy_key' is no key"),
        ('{"users": [], "decoy_key": 7}', 0, "'decoy_key' is no key"),
        ('{"users": [], "groups": []}', 0, "'groups' is not known here"),
        ('{"users": [], 7: 8}', 1, "a number where a name should be"),
        ('{"users": [], "x": ' + "7" * 5000 + "}", 1, "expected plain JSON"),
        ('{"users": [], "x": ' + "[" * 100_000 + "}", 1, "expected plain JSON"),
        (b'{"users":\n\xff', 2, "a byte that is not UTF-8"),
    ],
)
def test_a_malformed_file_is_named_with_line_and_what_was_expected_and_left_alone(
    folder: Folder, text: str | bytes, line: int, message: str
) -> None:
    folder.put(folder.users, text)
    folder.put(folder.rules, RULES)
    before = folder.users.read_bytes()
    with pytest.raises(AccessFileError) as caught:
        folder.take_over()
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{folder.users}:{line}: " if line else f"{folder.users}: ")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert folder.files() == ["rules.json", "users.json"]
    assert folder.users.read_bytes() == before


def test_malformed_rules_leave_the_users_where_they_are(folder: Folder) -> None:
    folder.put(folder.users, USERS)
    folder.put(folder.rules, '{"rules": [\n{"who": "nobody"}]}')
    with pytest.raises(AccessFileError, match=r"rules\.json:2: "):
        folder.take_over()
    assert folder.files() == ["rules.json", "users.json"]


def test_users_that_others_can_read_are_refused(folder: Folder) -> None:
    folder.put(folder.users, USERS)
    folder.users.chmod(0o644)
    with pytest.raises(AccessFileError, match=r"mode 0644.*chmod 600"):
        folder.take_over()
