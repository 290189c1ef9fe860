"""`lockwire access`: rules of everybody, files of them, groups; and what older folders had."""

from __future__ import annotations

import json
import re
import shutil
import signal
import stat
from pathlib import Path

import pytest

from lockwire.access.database.database import AccessDatabase
from lockwire.access.methods.passwords import hash_generated
from lockwire.access.rights.rules import DEFAULT_RULES, Rule
from tests.cli.lockwire import Running, client_context, lockwire, up
from tests.cli.quick import done, quickly, refused
from tests.support import packets
from tests.support.wire import Wire

DATA = ("--data", "data")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `data` a broker has filled; it runs no more."""
    folder = tmp_path_factory.mktemp("filled")
    with up(folder) as broker:
        assert broker.stop() == 0
    return folder


@pytest.fixture
def stopped(filled: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(filled / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.sock"))
    return tmp_path


def rules_of(folder: Path) -> list[Rule]:
    database = AccessDatabase(folder / "data" / "access" / "access.db")
    found = list(database.rules.values())
    database.close()
    return found


async def administrator(broker: Running, client_id: str = "c") -> Wire:
    wire = await Wire.open(("localhost", broker.port("tls")), tls=client_context(broker.cwd))
    await wire.connect(client_id, username="admin", password=broker.password().encode())
    return wire


class TestRules:
    def test_of_a_new_folder_are_stored_and_said(self, stopped: Path, running: Running) -> None:
        assert tuple(rules_of(stopped)) == DEFAULT_RULES
        assert "Every client may use every topic (rule 1)" in running.output
        assert "lockwire.cli access learn start --data data" in running.output
        printed = done("access", "rules", *DATA, cwd=stopped)
        assert re.search(
            r"^1 +allow +everyone +publish, subscribe, receive +# +Everyone", printed, re.MULTILINE
        )

    async def test_of_everyone_count_at_once(self, running: Running) -> None:
        async with await administrator(running) as wire:
            await wire.subscribe("secret/#", "open/#")
            printed = done("access", "deny", "everyone", "all", "secret/#", *DATA, cwd=running.cwd)
            number = re.match(r"Rule (\d+): deny everyone publish, subscribe, receive secret/#\n$", printed)
            assert number
            await wire.send(packets.publish("secret/a", b"", 1, 5))
            assert (await wire.expect(packets.PUBACK)).reason == 0x87
            printed = done("access", "remove", number[1], *DATA, cwd=running.cwd)
            assert (
                printed == f"Removed rule {number[1]}: deny everyone publish, subscribe, receive secret/#\n"
            )
            await wire.send(packets.publish("secret/a", b"x", 1, 6))
            answers = [await wire.read(), await wire.read()]
            assert sorted(answer.type for answer in answers) == [packets.PUBLISH, packets.PUBACK]

    def test_with_conditions_placeholders_and_regular_expressions(self, stopped: Path) -> None:
        words: tuple[str, ...] = (
            "group:pumps",
            "publish",
            "pump/{client_id}/#",
            "--qos",
            "1",
            "--qos",
            "0",
            "--retain",
            "never",
        )
        assert "(QoS 0, 1, without RETAIN)" in done("access", "allow", *words, *DATA, cwd=stopped)
        words = ("tag:monitoring", "receive", r"^iot\.kitchen\.", "--regexp", "--note", "as before")
        assert r"allow tag:monitoring receive regexp ^iot\.kitchen\." in done(
            "access", "allow", *words, *DATA, cwd=stopped
        )
        words = ("user:jo", "subscribe", "a/#", "--qos", "2")
        assert "deny user:jo subscribe a/# (QoS 2)" in done("access", "deny", *words, *DATA, cwd=stopped)
        assert rules_of(stopped)[2:] == [
            Rule("group:pumps", ("publish",), "pump/{client_id}/#", qos=(0, 1), retain="never"),
            Rule("tag:monitoring", ("receive",), "", "as before", regexp=r"^iot\.kitchen\."),
            Rule("user:jo", ("subscribe",), "a/#", effect="deny", qos=(2,)),
        ]
        only = done("access", "rules", "--who", "user:jo", *DATA, cwd=stopped)
        assert only.count("\n") == 2

    def test_what_cannot_be(self, stopped: Path) -> None:
        for words, message in (
            (("allow", "jo", "publish", "a"), "'who' is 'jo'"),
            (("allow", "everyone", "publish", "a/#/b"), "'topics' is 'a/#/b'"),
            (("allow", "everyone", "publish", "not UTF-8: \udcff"), "'topics' holds what is no text"),
            (("remove", "1", "77"), "There is no rule 77."),
        ):
            assert message in refused("access", *words, *DATA, cwd=stopped)
        assert tuple(rules_of(stopped)) == DEFAULT_RULES
        printed = done("access", "allow", "tag:king", "publish", "a", *DATA, cwd=stopped)
        assert "Note: There is no tag 'king'" in printed


class TestFiles:
    def test_what_was_exported_is_imported(self, stopped: Path) -> None:
        file = stopped / "rules.json"
        done("access", "deny", "user:jo", "publish", "a/#", *DATA, cwd=stopped)
        before = rules_of(stopped)
        assert done("access", "export", file, *DATA, cwd=stopped) == f"Wrote {file}.\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert done("access", "export", *DATA, cwd=stopped) == file.read_text()
        done("access", "remove", "1", "2", *DATA, cwd=stopped)
        assert "Added 2 rules, removed 0." in done("access", "import", file, *DATA, cwd=stopped)
        assert sorted(map(repr, rules_of(stopped))) == sorted(map(repr, before))
        assert "Added 3 rules, removed 3." in done("access", "import", "--replace", file, *DATA, cwd=stopped)
        assert rules_of(stopped) == before

    @pytest.mark.parametrize(
        ("record", "message"),
        [
            ('{"who": "everyone", "may": ["publish"], "topics": "a/#/b"}', "'topics' is 'a/#/b'"),
            ('{"who": "nobody", "may": ["publish"], "topics": "a"}', "'who' is 'nobody'"),
            ('{"who": "everyone", "topics": "a"}', "'may' is not a list of rights"),
            ('{"who": "everyone", "may": ["publish"], "topic": "a"}', "'topic' is not known here"),
        ],
    )
    def test_a_bad_rule_is_named_with_its_line_and_nothing_is_changed(
        self, stopped: Path, record: str, message: str
    ) -> None:
        file = stopped / "rules.json"
        good = '{"who": "everyone", "may": ["publish"], "topics": "good"}'
        file.write_text(f'{{"rules": [\n{good},\n{good},\n{record}]}}')
        said = refused("access", "import", "--replace", file, *DATA, cwd=stopped)
        assert f"{file}:4: " in said
        assert message in said
        assert tuple(rules_of(stopped)) == DEFAULT_RULES

    def test_ten_thousand_rules_go_through_the_running_broker(self, running: Running, tmp_path: Path) -> None:
        rules = [
            {"who": f"user:u{number}", "may": ["publish"], "topics": f"plant/{number}/{'x' * 100}/#"}
            for number in range(10_000)
        ]
        file = tmp_path / "rules.json"
        file.write_text(json.dumps({"rules": rules}))
        assert file.stat().st_size > 1 << 20
        assert "Added 10000 rules" in done("access", "import", file, *DATA, cwd=running.cwd)
        exported = json.loads(done("access", "export", *DATA, cwd=running.cwd))["rules"]
        assert [rule for rule in exported if rule["who"].startswith("user:u")] == rules
        numbers = [line.split()[0] for line in done("access", "rules", *DATA, cwd=running.cwd).splitlines()]
        done("access", "remove", *numbers[-10_000:], *DATA, cwd=running.cwd)


class TestOlderFolders:
    RULES = '{"rules": [{"who": "devices", "may": ["publish", "subscribe", "receive"], "topics": "old/#"}]}'

    @pytest.fixture
    def old(self, stopped: Path) -> Path:
        """A folder as the version before wrote it, with the administrator's password "known"."""
        access = stopped / "data" / "access"
        (access / "access.db").unlink()
        admin = {"name": "admin", "password": hash_generated(b"known"), "administrator": True}
        for name, text in (("users.json", json.dumps({"users": [admin]})), ("rules.json", self.RULES)):
            (access / name).write_text(text)
            (access / name).chmod(0o600)
        return stopped

    async def test_are_taken_over_by_the_first_start(self, old: Path) -> None:
        with up(old) as broker:
            assert "Took over the users and rules" in broker.output
            assert "password" not in broker.output
            assert "Every client may use every topic" not in broker.output
            assert "Who may do what: " in broker.output
            assert re.search(
                r"user allow sensor1 all hello/sensor1 --data data\n  mosquitto_sub .* -t hello/sensor1 -v\n",
                broker.output,
            ), "a command that the rules refuse is not shown"
            wire = await Wire.open(("localhost", broker.port("tls")), tls=client_context(old))
            async with wire:
                await wire.connect("c", username="admin", password=b"known")
                await wire.subscribe("old/#")
                await wire.send(packets.subscribe(3, [("new/#", 0)]))
                assert (await wire.expect(packets.SUBACK)).reasons == [0x87]
            names = sorted(path.name for path in (old / "data" / "access").iterdir())
            assert names == ["access.db", "rules.json.imported", "users.json.imported"]
            assert broker.stop() == 0
        with up(old) as broker:
            assert "Took over" not in broker.output

    def test_are_taken_over_by_a_command_too(self, old: Path) -> None:
        assert "everyone" in done("access", "rules", *DATA, cwd=old)
        assert not (old / "data" / "access" / "users.json").exists()

    def test_that_are_damaged_are_named_and_left_alone(self, old: Path) -> None:
        rules = old / "data" / "access" / "rules.json"
        rules.write_text('{"rules": [\n{"who": "devices"}]}')
        ended = lockwire("up", *DATA, cwd=old)
        assert ended.returncode == 1
        assert f"{rules}:2: 'may' is not a list of rights" in ended.stderr
        assert not (old / "data" / "access" / "access.db").exists()
        assert (old / "data" / "access" / "users.json").exists()


class TestDatabase:
    def test_a_missing_one_is_said_and_made_only_by_up(self, stopped: Path) -> None:
        database = stopped / "data" / "access" / "access.db"
        database.unlink()
        ended = quickly("access", "rules", *DATA, cwd=stopped)
        assert ended.returncode == 1
        assert f"{database}: it is missing" in ended.stderr
        assert not database.exists()

    async def test_who_is_not_in_one_that_was_put_back_is_disconnected(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            database = tmp_path / "data" / "access" / "access.db"
            backup = database.read_bytes()
            printed = done("user", "add", "jo", *DATA, cwd=tmp_path)
            address = ("localhost", broker.port("tls"))
            async with (
                await administrator(broker, "stays") as stays,
                await Wire.open(address, tls=client_context(tmp_path)) as leaves,
            ):
                await leaves.connect("c", username="jo", password=printed.split()[4].encode())
                database.write_bytes(backup)
                done("reload", *DATA, cwd=tmp_path)
                goodbye = await leaves.expect_closed()
                assert goodbye is not None
                assert goodbye.reason == 0x87
                await stays.ping()

    async def test_one_put_back_from_a_backup_counts_after_a_reload(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            database = tmp_path / "data" / "access" / "access.db"
            backup = database.read_bytes()
            done("access", "deny", "everyone", "publish", "a", *DATA, cwd=tmp_path)
            async with await administrator(broker) as wire:
                await wire.send(packets.publish("a", b"", 1, 1))
                assert (await wire.expect(packets.PUBACK)).reason == 0x87
                database.write_bytes(backup)
                done("reload", *DATA, cwd=tmp_path)
                await wire.publish("a", qos=1)
                database.write_bytes(b"nonsense")
                ended = quickly("reload", *DATA, cwd=tmp_path)
                assert ended.returncode == 1
                assert "the file is damaged" in ended.stderr
                await wire.publish("a", qos=1)
                broker.process.send_signal(signal.SIGTERM)
                await wire.expect_closed()


class TestCheck:
    @pytest.fixture(scope="class")
    @classmethod
    def household(cls, filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A folder with a user jo, a device lamp, a PSK identity meter and rules for them."""
        folder = tmp_path_factory.mktemp("check")
        shutil.copytree(filled / "data", folder / "data", ignore=shutil.ignore_patterns("*.sock"))
        for words in (
            ("user", "add", "jo", "--tag", "monitoring", "--group", "hall"),
            ("device", "add", "lamp"),
            ("psk", "add", "meter"),
            ("user", "deny", "jo", "publish", "valve/+/set"),
            ("access", "remove", "1"),
            ("access", "allow", "group:hall", "all", "hall/#"),
            ("access", "allow", "everyone", "publish", "own/{username}/{cn}", "--qos", "1"),
            ("access", "allow", "user:meter", "publish", "meters/{client_id}", "--retain", "never"),
            ("access", "allow", "tag:administrator", "all", "admin/#"),
            ("access", "allow", "anonymous", "subscribe", "public/#"),
        ):
            done(*words, *DATA, cwd=folder)
        return folder

    @pytest.mark.parametrize(
        ("words", "status", "said"),
        [
            (("jo", "publish", "valve/3/set"), 1, "That rule is number 3."),
            (("jo", "publish", "hall/light"), 0, "allow group:hall publish, subscribe, receive hall/#"),
            (("jo", "subscribe", "hall/#", "--qos", "2"), 0, "may subscribe to 'hall/#' with QoS 2"),
            (("jo", "subscribe", "#"), 1, "The filter also matches"),
            (("jo", "subscribe", "$share/g/hall/+"), 0, "Allowed"),
            (("jo", "receive", "hall/x"), 0, "may receive messages of 'hall/x'"),
            (("jo", "publish", "other"), 1, "No rule that concerns this client allows it."),
            (("lamp", "publish", "own/lamp/lamp", "--qos", "1"), 0, "allow everyone publish own/"),
            (("lamp", "publish", "own/lamp/lamp"), 1, "Refused"),
            (("jo", "publish", "own/jo/jo", "--qos", "1"), 1, "Refused"),
            (("jo", "publish", "own/jo/x", "--qos", "1", "--cn", "x"), 0, "Allowed"),
            (("meter", "publish", "meters/m1", "--client-id", "m1"), 0, "with client id 'm1'"),
            (("meter", "publish", "meters/m1", "--client-id", "m1", "--retain"), 1, "and RETAIN"),
            (("admin", "publish", "admin/x"), 0, "tag:administrator"),
            (("admin", "publish", "admin/x", "--device"), 1, "Refused"),
            (("anonymous", "receive", "public/x"), 0, "The anonymous client"),
            (("anonymous", "receive", "hall/x"), 1, "Rules looked at: anonymous."),
            (("stranger", "receive", "hall/x"), 1, "Note: Nobody is called 'stranger' yet"),
        ],
    )
    def test_says_whether_and_which_rule_decides(
        self, household: Path, words: tuple[str, ...], status: int, said: str
    ) -> None:
        ended = quickly("access", "check", *words, *DATA, cwd=household)
        assert said in ended.stdout
        assert ended.stdout.startswith("Refused: " if status else "Allowed: ")
        assert (ended.returncode, ended.stderr) == (status, "")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("jo", "read", "a"), "There is no right 'read'"),
            (("jo", "publish", "a/#"), "wildcard"),
            (("jo", "publish", "a/#"), "Name one topic; filters with + and # are for subscribe"),
            (("jo", "subscribe", "a/#/b"), "'a/#/b' is no filter"),
            (("jo", "publish", "\udcff"), "'\\udcff' is no topic"),
        ],
    )
    def test_what_cannot_be(self, household: Path, words: tuple[str, ...], message: str) -> None:
        assert message in refused("access", "check", *words, *DATA, cwd=household)

    async def test_knows_what_the_configuration_adds(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "lockwire.toml").write_text('[sys]\nreaders = "everyone"\n')
        with up(tmp_path) as broker:
            words = ("access", "check", "jo", "subscribe", "$SYS/#")
            assert "Allowed" in done(*words, *DATA, cwd=broker.cwd)

    async def test_says_what_the_broker_does(self, running: Running) -> None:
        done("access", "deny", "user:admin", "publish", "checked/+", "--qos", "1", *DATA, cwd=running.cwd)
        async with await administrator(running, "checking") as wire:
            for qos, expected in ((1, 1), (2, 0)):
                words = ("admin", "publish", "checked/a", "--qos", str(qos), "--client-id", "checking")
                ended = quickly("access", "check", *words, *DATA, cwd=running.cwd)
                assert ended.returncode == expected
                await wire.send(packets.publish("checked/a", b"", qos, 1))
                answer = await wire.expect(packets.PUBACK if qos == 1 else packets.PUBREC)
                assert (answer.reason == 0x87) is bool(expected)


class TestRabbitMq:
    ALL = ("--configure", ".*", "--write", ".*", "--read", ".*")

    async def test_permissions_count_at_once(self, running: Running) -> None:
        words = (
            "access",
            "rabbitmq",
            "admin",
            *self.ALL,
            "--topic-write",
            r"^iot\.",
            "--topic-read",
            r"^iot\.hall\.",
        )
        printed = done(*words, *DATA, cwd=running.cwd)
        assert r"topic write '^iot\.'" in printed
        assert "  publish: iot/#" in printed
        assert "  subscribe: iot/hall/#" in printed
        async with await administrator(running) as wire:
            await wire.send(packets.publish("other", b"", 1, 1))
            assert (await wire.expect(packets.PUBACK)).reason == 0x87
            await wire.publish("iot/x", qos=1)
            await wire.subscribe("iot/hall/#")
            await wire.send(packets.subscribe(9, [("iot/#", 0)]))
            assert (await wire.expect(packets.SUBACK)).reasons == [0x87]
            printed = done("access", "rabbitmq", "admin", "--remove", *DATA, cwd=running.cwd)
            assert printed == "admin has no permissions of RabbitMQ's kind: the rules decide.\n"
            await wire.publish("other", qos=1)

    def test_what_is_not_said_stays_and_everybody_is_listed(self, stopped: Path) -> None:
        done("access", "rabbitmq", "admin", *self.ALL, *DATA, cwd=stopped)
        printed = done("access", "rabbitmq", "admin", "--topic-read", "iot.kitchen.*", *DATA, cwd=stopped)
        assert "it is found anywhere in a topic" in printed
        assert r"write ^iot\.kitchen\..*$" in printed
        listed = done("access", "rabbitmq", *DATA, cwd=stopped)
        assert re.search(r"^admin +'\.\*' +'\.\*' +'\.\*' +'\.\*' +'iot\.kitchen\.\*'$", listed, re.MULTILINE)
        shown = done("access", "rabbitmq", "admin", *DATA, cwd=stopped)
        assert shown == printed

    def test_ones_that_allow_nothing_or_no_subscription_are_said(self, stopped: Path) -> None:
        printed = done("access", "rabbitmq", "admin", "--topic-write", "^a", *DATA, cwd=stopped)
        assert "They allow nothing: --write and --read must admit amq.topic." in printed
        printed = done("access", "rabbitmq", "admin", "--read", "^amq", *DATA, cwd=stopped)
        assert "It cannot subscribe" in printed
        assert "mqtt-subscription-adminqos0" in printed

    def test_what_cannot_be(self, stopped: Path) -> None:
        for words, message in (
            (("admin", "--write", "(a"), "'write': regular expression '(a'"),
            (("admin", "--remove"), "'admin' has no permissions of RabbitMQ's kind."),
            (("admin", "--remove", "--read", "a"), "exclude each other"),
            (("--read", "a"), "no USER"),
        ):
            assert message in refused("access", "rabbitmq", *words, *DATA, cwd=stopped)


def test_a_plugin_that_is_asked_where_no_rule_decides_is_mentioned(stopped: Path) -> None:
    (stopped / "data" / "lockwire.toml").write_text(
        '[[listener]]\nname = "hall"\ntransport = "tcp"\naddress = "127.0.0.1"\nport = 0\n'
        'authentication = ["plugin"]\n'
        '[plugin]\nname = "http"\nauthorize = true\n[plugin.options]\nurl = "http://127.0.0.1:9/"\n'
    )
    done("access", "remove", "1", *DATA, cwd=stopped)
    done("access", "deny", "everyone", "publish", "closed", *DATA, cwd=stopped)
    with Running("up", *DATA, cwd=stopped, last="Ctrl-C stops") as broker:
        assert "(not encrypted, passwords in the clear)" in broker.output
        said = quickly("access", "check", "admin", "publish", "hall/x", *DATA, cwd=stopped).stdout
        assert "Note: No rule decides it, so the broker asks the plug-in" in said
        said = quickly("access", "check", "admin", "publish", "closed", *DATA, cwd=stopped).stdout
        assert "plug-in" not in said
