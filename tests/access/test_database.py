"""The access database: what is kept, what a crash leaves, what a damaged file gets."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lockwire.access.database import storage
from lockwire.access.database.database import AccessDatabase, Removal
from lockwire.access.database.users import User, make_user
from lockwire.access.errors import AccessFileError, RuleError, UserError
from lockwire.access.methods.passwords import generate_password, hash_chosen
from lockwire.access.rights.policy import ResourcePermission, TopicPermission
from lockwire.access.rights.rules import Rule
from tests.access import changes

ADMIN = make_user("admin", generate_password(), generated=True, tags=["administrator"], with_scram=True)
JO = User("jo", ADMIN.password)
READ = Rule("user:jo", ("subscribe", "receive"), "hall/#")
WRITE = Rule("group:pumps", ("publish",), "pump/{client_id}/#", "a note", "deny", (0, 1), "never")
PATTERN = Rule("everyone", ("publish",), "", regexp=r"^iot\.kitchen\.")
RESOURCE = ResourcePermission(".*", "^amq", "")
TOPICS = (TopicPermission("amq.topic", "^a", "^b"), TopicPermission("other", "", ""))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access" / "access.db"


@pytest.fixture
def database(path: Path) -> AccessDatabase:
    return AccessDatabase(path)


def again(database: AccessDatabase) -> AccessDatabase:
    """What the next start finds."""
    assert database.path is not None
    database.close()
    return AccessDatabase(database.path)


class TestKept:
    def test_everything_through_a_restart(self, database: AccessDatabase) -> None:
        database.add(ADMIN, ["operators"])
        database.add(JO, ["pumps", "hall"])
        database.change_groups("a-device", ["pumps"])
        assert database.add_rules([READ, WRITE, PATTERN]) == [1, 2, 3]
        database.set_permissions("jo", RESOURCE, TOPICS)
        database.add_psk("meter", bytes(range(32)))
        decoy_key = database.decoy_key
        found = again(database)
        assert list(found) == [ADMIN, JO]
        assert found.decoy_key == decoy_key
        assert found.rules == {1: READ, 2: WRITE, 3: PATTERN}
        assert found.groups == {"hall": ["jo"], "operators": ["admin"], "pumps": ["a-device", "jo"]}
        assert found.psk_identities == ["meter"]
        assert found.psk_key("meter") == bytes(range(32))
        policy = found.policy()
        assert policy.rules == (READ, WRITE, PATTERN)
        assert policy.groups == {"admin": ("operators",), "jo": ("hall", "pumps"), "a-device": ("pumps",)}
        assert policy.tags == {"admin": ("administrator",)}
        assert policy.resources == {"jo": RESOURCE}
        assert policy.topic_permissions == {"jo": TOPICS}

    def test_for_the_owner_only_and_without_passwords(self, path: Path) -> None:
        password = generate_password()
        database = AccessDatabase(path)
        database.add(make_user("admin", password, generated=True, with_scram=True))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert list(path.parent.iterdir()) == [path]
        assert password.encode() not in path.read_bytes()

    def test_the_journal_of_a_change_is_for_the_owner_only_too(self, path: Path) -> None:
        AccessDatabase(path).close()
        file = storage.Storage(path)
        with file.transaction() as connection:
            connection.execute("INSERT INTO memberships VALUES ('a', 'b')")
            journal = path.with_name("access.db-journal")
            assert stat.S_IMODE(journal.stat().st_mode) == 0o600
        assert not journal.exists()
        file.close()

    def test_nowhere_without_a_path(self) -> None:
        database = AccessDatabase(None)
        database.add(JO)
        database.adopt(database.read_again())
        assert list(database) == [JO]
        assert database.decoy_key != AccessDatabase(None).decoy_key

    def test_what_another_file_in_its_place_says_after_a_reload(
        self, database: AccessDatabase, path: Path
    ) -> None:
        database.add(JO)
        backup = path.read_bytes()
        database.delete("jo")
        path.write_bytes(backup)
        assert database.get("jo") is None
        assert database.adopt(database.read_again()) == []
        assert database.get("jo") == JO
        database.add(ADMIN)
        database.add_psk("meter", bytes(16))
        path.write_bytes(backup)
        assert database.adopt(database.read_again()) == [("admin", "password"), ("meter", "psk")]
        path.write_bytes(b"nonsense")
        with pytest.raises(AccessFileError):
            database.adopt(database.read_again())
        assert database.get("jo") == JO


class TestUsers:
    def test_are_added_once_replaced_and_deleted_only_where_they_are(self, database: AccessDatabase) -> None:
        database.add(JO)
        with pytest.raises(UserError, match="'jo' already"):
            database.add(JO)
        database.replace(changed := User("jo", hash_chosen(b"two"), ("monitoring",)))
        assert database.get("jo") == changed
        for change in (database.replace, lambda user: database.delete(user.name)):
            with pytest.raises(UserError, match="no user 'admin'"):
                change(ADMIN)
        with pytest.raises(UserError, match="no user 'admin'"):
            database.set_tags("admin", [])
        database.delete("jo")
        assert len(again(database)) == 0

    def test_whether_wrong_passwords_take_their_time_depends_on_the_slowest_hash(
        self, database: AccessDatabase
    ) -> None:
        database.add(ADMIN)
        assert not database.has_slow
        database.add(User("slow", hash_chosen(b"x")))
        assert database.has_slow
        database = again(database)
        assert database.has_slow
        database.delete("slow")
        assert not database.has_slow

    def test_a_hash_is_made_anew_only_while_it_is_the_same(self, database: AccessDatabase) -> None:
        database.add(ADMIN)
        new = hash_chosen(b"the same")
        assert not database.rehash("admin", "another", new)
        assert not database.rehash("nobody", "another", new)
        assert database.rehash("admin", ADMIN.password, new)
        found = again(database).get("admin")
        assert found == User("admin", new, ADMIN.tags, ADMIN.scram)

    def test_take_their_rules_memberships_and_permissions_along(self, database: AccessDatabase) -> None:
        database.add(ADMIN)
        database.add(JO, ["pumps", "hall"])
        database.add_rules([READ, WRITE])
        database.set_permissions("jo", RESOURCE, TOPICS)
        assert database.delete("jo") == Removal(rules=1, memberships=2, permissions=3)
        for found in (database, again(database)):
            assert found.rules == {2: WRITE}
            assert found.groups == {}
            assert not found.resources
            assert not found.topic_permissions

    def test_leave_them_to_another_identity_of_the_name(self, database: AccessDatabase) -> None:
        database.add(JO, ["pumps"])
        database.add_rules([READ])
        assert database.delete("jo", keep_rights=True) == Removal()
        assert database.rules == {1: READ}
        assert database.groups_of("jo") == ("pumps",)

    def test_the_last_administrator_stays_unless_it_is_meant(self, database: AccessDatabase) -> None:
        database.add(ADMIN)
        database.add(JO)
        for change in (
            lambda: database.delete("admin"),
            lambda: database.set_tags("admin", ["monitoring"]),
            lambda: database.put([(User("admin", JO.password), [])]),
        ):
            with pytest.raises(UserError, match=r"'admin' is the last administrator.*--force"):
                change()
            assert database.get("admin") == ADMIN
        database.set_tags("jo", ["administrator"])
        database.set_tags("admin", ["monitoring"])
        database.delete("jo", force=True)
        assert [user.tags for user in database] == [("monitoring",)]
        database.delete("admin")

    def test_many_are_put_at_once_or_not_at_all(self, database: AccessDatabase) -> None:
        database.add(ADMIN, ["old"])
        with pytest.raises(UserError, match="group name"):
            database.put([(JO, ["new"]), (User("x", JO.password), [""])])
        assert list(database) == [ADMIN]
        database.put([(JO, ["new"]), (ADMIN, ["new"])])
        for found in (database, again(database)):
            assert list(found) == [ADMIN, JO]
            assert found.groups == {"new": ["admin", "jo"]}


class TestGroups:
    def test_any_name_may_be_in_them(self, database: AccessDatabase) -> None:
        assert database.change_groups("pump-7", ["pumps", "hall"]) == ("hall", "pumps")
        assert database.change_groups("pump-7", ["pumps"], ["hall"]) == ("pumps",)
        assert again(database).groups == {"pumps": ["pump-7"]}

    def test_names_that_cannot_be_and_groups_that_it_is_not_in(self, database: AccessDatabase) -> None:
        with pytest.raises(UserError, match="not in the group 'pumps'"):
            database.change_groups("pump-7", ["hall"], ["pumps"])
        with pytest.raises(UserError, match="group name ' ' begins or ends with a space"):
            database.change_groups("pump-7", [" "])
        assert database.groups == {}


class TestRules:
    def test_have_numbers_that_are_never_used_again(self, database: AccessDatabase) -> None:
        assert database.add_rules([READ, WRITE]) == [1, 2]
        assert database.add_rules([WRITE, PATTERN, PATTERN]) == [2, 3, 3]
        assert database.remove_rules([3]) == [PATTERN]
        assert database.add_rules([PATTERN]) == [4]
        database = again(database)
        assert database.rules == {1: READ, 2: WRITE, 4: PATTERN}
        assert database.replace_rules([PATTERN, READ]) == [5, 6]
        assert again(database).rules == {5: PATTERN, 6: READ}

    def test_are_removed_all_or_none(self, database: AccessDatabase) -> None:
        database.add_rules([READ])
        with pytest.raises(UserError, match="no rule 7"):
            database.remove_rules([1, 7])
        assert database.rules == {1: READ}

    def test_regular_expressions_that_cannot_be_are_refused_before_they_are_stored(
        self, database: AccessDatabase
    ) -> None:
        with pytest.raises(RuleError):
            database.add_rules([Rule("everyone", ("publish",), "", regexp="(a")])
        with pytest.raises(RuleError, match="'write'"):
            database.set_permissions("jo", ResourcePermission("", "(a", ""), [])
        with pytest.raises(RuleError, match="'read'"):
            database.set_permissions("jo", None, [TopicPermission("amq.topic", "", "(a")])
        database = again(database)
        assert not database.rules
        assert not database.resources
        assert not database.topic_permissions

    def test_that_cannot_be_are_refused_all_together(self, database: AccessDatabase) -> None:
        with pytest.raises(RuleError, match="a/#/b"):
            database.add_rules([READ, Rule("everyone", ("publish",), "a/#/b")])
        assert not again(database).rules


class TestPreSharedKeys:
    def test_are_added_once_and_take_their_rules_along(self, database: AccessDatabase) -> None:
        database.add_psk("meter", b"k" * 16)
        database.add_rules([Rule("user:meter", ("publish",), "meter/#")])
        with pytest.raises(UserError, match="has a key already"):
            database.add_psk("meter", b"q" * 16)
        assert again(database).psk_key("meter") == b"k" * 16
        assert database.psk_key("other") is None

    def test_deleted(self, database: AccessDatabase) -> None:
        database.add_psk("meter", b"k" * 16)
        database.add_rules([Rule("user:meter", ("publish",), "meter/#")])
        assert database.delete_psk("meter") == Removal(rules=1)
        with pytest.raises(UserError, match="no PSK identity 'meter'"):
            database.delete_psk("meter")
        assert again(database).psk_identities == []

    @pytest.mark.parametrize(
        ("identity", "key", "message"),
        [
            ("meter", b"k" * 15, "has 15 bytes. Choose 16 to 64"),
            ("meter", b"k" * 65, "has 65 bytes"),
            ("x" * 129, b"k" * 16, "more than 128 bytes"),
            ("", b"k" * 16, "PSK identity '' is empty"),
        ],
    )
    def test_that_cannot_be(self, database: AccessDatabase, identity: str, key: bytes, message: str) -> None:
        with pytest.raises(UserError, match=message) as caught:
            database.add_psk(identity, key)
        assert "kkk" not in str(caught.value)
        assert database.psk_identities == []

    def test_are_not_shown(self, database: AccessDatabase) -> None:
        database.add_psk("meter", b"k" * 16)
        assert "kkkk" not in repr(database._contents)


class TestCrash:
    def test_killed_at_any_point_everything_reported_is_there_and_nothing_half_done(self, path: Path) -> None:
        dice = random.Random(20)
        AccessDatabase(path).close()
        expected = AccessDatabase(None)
        applied = done = 0
        for _ in range(8):
            done = self._changed_until_killed(path, done, dice)
            database = AccessDatabase(path)
            found = changes.shown(database)
            database.close()
            for number in range(applied, done):
                changes.change(expected, number)
            if found != changes.shown(expected):
                # The change that was under way was on the disk, though not yet reported.
                changes.change(expected, done)
                done += 1
            assert found == changes.shown(expected)
            applied = done
        assert done > 100

    @staticmethod
    def _changed_until_killed(path: Path, begin: int, dice: random.Random) -> int:
        """Runs a process that changes and reports, kills it at a random moment; gives the next change."""
        command = [sys.executable, "-m", "tests.access.changes", str(path), str(begin)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(dice.randint(1, 100)):
                begin = int(process.stdout.readline()) + 1
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(dice.random() * 0.02)
            process.kill()
            remains = process.stdout.read().splitlines()
        return int(remains[-1]) + 1 if remains else begin

    def test_what_a_first_start_left_half_way_is_no_hindrance(self, path: Path) -> None:
        path.parent.mkdir()
        for name in (".access.db.new", ".access.db.new-journal"):
            (path.parent / name).write_bytes(b"half")
        assert len(AccessDatabase(path)) == 0
        assert list(path.parent.iterdir()) == [path]

    def test_a_change_that_the_disk_refuses_does_not_count(self, database: AccessDatabase) -> None:
        database.add(ADMIN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            with pytest.raises(OSError, match=r"access\.db"):
                database.put((User(f"user{number}", JO.password), ["g"]) for number in range(500))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert list(database) == [ADMIN]
        database.add(JO)
        assert list(again(database)) == [ADMIN, JO]

    def test_readers_see_the_whole_of_a_change_or_nothing_of_it(self, database: AccessDatabase) -> None:
        sets = [tuple(Rule("everyone", ("publish",), f"{word}/{n}") for n in range(50)) for word in "ab"]
        ended = threading.Event()

        def work() -> None:
            for number in range(12):
                database.replace_rules(sets[number % 2])
            ended.set()

        database.replace_rules(sets[0])
        writer = threading.Thread(target=work)
        writer.start()
        seen = set()
        while not ended.is_set():
            rules = database.policy().rules
            assert rules in sets
            seen.add(rules)
        writer.join()
        assert len(seen) == 2


def spoil(path: Path, position: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(data)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4096)


class TestDamaged:
    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda path: path.write_bytes(b""), "it is not an access database"),
            (lambda path: path.write_bytes(b"#" * 5000), "the file is damaged .*not a database"),
            (truncate, "the file is damaged"),
            (lambda path: spoil(path, 4096, bytes(4096)), "the file is damaged"),
            (lambda path: spoil(path, 8192, b"\xff" * 4096), "the file is damaged"),
            (lambda path: path.chmod(0o640), r"others .* can read it \(mode 0640\); expected chmod 600"),
        ],
    )
    def test_is_reported_and_left_alone(
        self, database: AccessDatabase, path: Path, damage: Callable[[Path], None], message: str
    ) -> None:
        database.put((User(f"user{number}", JO.password), ["g"]) for number in range(200))
        database.close()
        damage(path)
        before = path.read_bytes()
        with pytest.raises(AccessFileError, match=message) as caught:
            AccessDatabase(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        ("statement", "message"),
        [
            ("PRAGMA user_version = 99", "its version 99 is a newer Lockwire's; expected version 1 at most"),
            ("PRAGMA application_id = 1", "another program's"),
            ("DROP TABLE rules", "the file is damaged .no such table: rules"),
            ("DELETE FROM meta", "the decoy key is missing"),
            ("UPDATE users SET password = 'secret'", "the user 'jo': the password hash begins with"),
            ("UPDATE users SET password = x'00'", "not text where text should be"),
            ("UPDATE users SET scram = 'secret'", "the user 'jo': it is not SCRAM-SHA-256"),
            ("UPDATE users SET name = ''", "the user '': The user name '' is empty"),
            ("INSERT INTO tags VALUES ('jo', 'king')", "the user 'jo': There is no tag 'king'"),
            ("UPDATE rules SET topics = 'a/#/b'", "rule 1: 'topics' is 'a/#/b'"),
            ("UPDATE rules SET qos = 'x'", "rule 1: "),
            ("UPDATE rules SET topics = '', regexp = '(a'", "regular expression"),
            ("INSERT INTO psk VALUES ('meter', 'secret')", "a pre-shared key is not bytes"),
        ],
    )
    def test_contents_that_cannot_be_are_named(
        self, database: AccessDatabase, path: Path, statement: str, message: str
    ) -> None:
        database.add(JO)
        database.add_rules([READ])
        database.close()
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute(statement)
        connection.close()
        with pytest.raises(AccessFileError, match=message) as caught:
            AccessDatabase(path)
        assert "secret" not in str(caught.value)

    def test_a_database_of_something_else_is_refused(self, path: Path) -> None:
        path.parent.mkdir()
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE letters (text)")
        connection.close()
        path.chmod(0o600)
        with pytest.raises(AccessFileError, match="it is not an access database"):
            AccessDatabase(path)

    def test_a_file_that_somebody_else_holds_is_an_error_of_the_system(
        self, database: AccessDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storage, "BUSY_TIMEOUT", 0.01)
        database = again(database)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match="locked"):
            database.add(JO)
        other.execute("ROLLBACK")
        other.close()
        database.add(JO)


class TestMigration:
    STEP = ("ALTER TABLE psk ADD COLUMN comment TEXT NOT NULL DEFAULT ''",)

    def test_an_older_file_is_brought_up_to_date_and_keeps_what_it_holds(
        self, database: AccessDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database.add(JO, ["pumps"])
        monkeypatch.setattr(storage, "MIGRATIONS", (*storage.MIGRATIONS, self.STEP))
        database = again(database)
        assert database.get("jo") == JO
        assert database.groups_of("jo") == ("pumps",)
        database.close()
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT comment FROM psk").fetchall() == []
        connection.close()

    def test_one_that_fails_leaves_the_file_as_it_was(
        self, database: AccessDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database.add(JO)
        database.close()
        before = path.read_bytes()
        broken = (*self.STEP, "ALTER TABLE letters ADD COLUMN x")
        with monkeypatch.context() as patched:
            patched.setattr(storage, "MIGRATIONS", (*storage.MIGRATIONS, broken))
            with pytest.raises(AccessFileError, match="no such table"):
                AccessDatabase(path)
        assert path.read_bytes() == before
        assert AccessDatabase(path).get("jo") == JO


def test_ten_thousand_users_and_rules(database: AccessDatabase) -> None:
    database.put((User(f"user{number}", JO.password), [f"g{number % 100}"]) for number in range(10_000))
    database.add_rules(Rule(f"user:user{number}", ("publish",), f"a/{number}") for number in range(10_000))
    database.delete("user77")
    found = again(database)
    assert (len(found), len(found.rules), len(found.groups)) == (9_999, 9_999, 100)
