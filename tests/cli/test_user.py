"""`lockwire user` and `lockwire psk`, with a running broker and real clients."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from lockwire.access.database.database import AccessDatabase
from lockwire.access.methods.passwords import verify
from tests.cli.lockwire import COMMAND, Running, client_context, environment, succeeded, up
from tests.cli.quick import done, quickly, refused
from tests.support import packets
from tests.support.wire import Wire

DATA = ("--data", "data")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `data` a broker has filled; it runs no more."""
    folder = tmp_path_factory.mktemp("stopped")
    with up(folder) as broker:
        assert broker.stop() == 0
    return folder


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A broker on which nobody may do anything but by rules of the test."""
    with up(tmp_path_factory.mktemp("closed")) as broker:
        done("access", "remove", "1", *DATA, cwd=broker.cwd)
        yield broker
        assert "Traceback" not in broker.log


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with a chosen password."""
    file = tmp_path / "secret"
    file.write_text("correct horse\n")
    return file


def password_of(printed: str) -> bytes:
    found = re.search(r"password ([A-Za-z0-9]{24})\nIt is shown only now\.\n", printed)
    assert found, printed
    return found[1].encode()


def users_of(folder: Path) -> AccessDatabase:
    return AccessDatabase(folder / "data" / "access" / "access.db")


async def connected(broker: Running, client_id: str, username: str, password: bytes) -> Wire:
    wire = await Wire.open(("localhost", broker.port("tls")), tls=client_context(broker.cwd))
    await wire.connect(client_id, username=username, password=password)
    return wire


async def reason_of(broker: Running, username: str, password: bytes) -> int:
    """What a CONNECT is answered."""
    async with await Wire.open(("localhost", broker.port("tls")), tls=client_context(broker.cwd)) as wire:
        await wire.send(packets.connect("try", 5, username=username, password=password))
        return (await wire.expect(packets.CONNACK)).reason


class TestAdd:
    async def test_a_generated_password_is_printed_once_and_works_at_once(self, running: Running) -> None:
        printed = done("user", "add", "jo", *DATA, cwd=running.cwd)
        assert printed.startswith("Added user jo, password ")
        async with await connected(running, "c", "jo", password_of(printed)) as wire:
            await wire.ping()
        assert "user added user=jo tags=none" in running.log
        assert password_of(printed).decode() not in running.log

    async def test_a_chosen_one_comes_from_a_file_and_is_hashed_with_argon2id(
        self, running: Running, secret: Path
    ) -> None:
        printed = done("user", "add", "kim", "--password-file", secret, *DATA, cwd=running.cwd)
        assert printed == "Added user kim.\n"
        assert await reason_of(running, "kim", b"correct horse") == 0
        assert await reason_of(running, "kim", b"correct horse\n") == 0x86
        user = users_of(running.cwd).get("kim")
        assert user is not None
        assert user.password.startswith("$argon2id$")
        assert user.scram is None

    def test_a_chosen_one_comes_from_standard_input(self, stopped: Path) -> None:
        words = ("user", "add", "lee", "--password-file", "-", "--scram", *DATA)
        printed = done(*words, cwd=stopped, stdin=b"short\n")
        assert "Note: The password has fewer than 8 characters" in printed
        user = users_of(stopped).get("lee")
        assert user is not None
        assert verify(user.password, b"short")
        assert user.scram is not None

    def test_a_chosen_one_is_asked_for_twice_on_the_terminal(self, stopped: Path) -> None:
        ours, theirs = pty.openpty()
        command = [*COMMAND, "user", "add", "ann", "--prompt", *DATA]
        with subprocess.Popen(
            command,
            cwd=stopped,
            env=environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            shown = b""
            for prompt in (b"Password of ann: ", b"Repeat for confirmation: "):
                while prompt not in shown:
                    shown += os.read(ours, 1000)
                os.write(ours, b"correct horse\n")
            while b"Added user ann." not in shown:
                shown += os.read(ours, 1000)
            assert process.wait(10) == 0
        os.close(ours)
        assert b"correct horse" not in shown
        user = users_of(stopped).get("ann")
        assert user is not None
        assert verify(user.password, b"correct horse")

    def test_tags_and_groups(self, stopped: Path) -> None:
        words = ("--tag", "monitoring", "--tag", "impersonator", "--group", "a", "--group", "b")
        printed = done("user", "add", "max", *words, *DATA, cwd=stopped)
        assert "Note: The tag impersonator is kept, and has no effect." in printed
        listed = json.loads(done("user", "list", "--json", *DATA, cwd=stopped))
        assert {
            "name": "max",
            "tags": ["monitoring", "impersonator"],
            "groups": ["a", "b"],
            "password": "generated",
            "scram": True,
        } in listed

    def test_what_cannot_be(self, stopped: Path, secret: Path, tmp_path: Path) -> None:
        before = [user.name for user in users_of(stopped)]
        two = tmp_path / "two"
        two.write_text("one\ntwo\n")
        for words, message in (
            (("admin",), "There is a user 'admin' already."),
            (("new", "--tag", "king"), "There is no tag 'king'. There are: administrator, "),
            (("new", "--group", ""), "The group name '' is empty"),
            ((" new",), "begins or ends with a space"),
            (("new", "--password-file", two), "two has more than one line"),
            (("new", "--password-file", "/dev/null"), "/dev/null is empty"),
            (("new", "--prompt", "--password-file", secret), "exclude each other"),
        ):
            assert message in refused("user", "add", *words, *DATA, cwd=stopped)
        assert [user.name for user in users_of(stopped)] == before


class TestCrash:
    def test_what_a_killed_broker_had_reported_is_there(self, tmp_path: Path) -> None:
        with up(tmp_path) as broker:
            done("user", "add", "jo", "--group", "g", *DATA, cwd=tmp_path)
            done("user", "allow", "jo", "publish", "a/#", *DATA, cwd=tmp_path)
            broker.stop(signal.SIGKILL)
        with up(tmp_path) as broker:
            shown = done("user", "show", "jo", *DATA, cwd=tmp_path)
            assert "a/#" in shown
            assert re.search(r"^groups +g$", shown, re.MULTILINE)


class TestPasswd:
    async def test_the_old_password_ends_and_connections_stay(self, running: Running, secret: Path) -> None:
        old = password_of(done("user", "add", "mia", *DATA, cwd=running.cwd))
        async with await connected(running, "c", "mia", old) as wire:
            new = password_of(done("user", "passwd", "mia", *DATA, cwd=running.cwd))
            assert await reason_of(running, "mia", old) == 0x86
            assert await reason_of(running, "mia", new) == 0
            words = ("user", "passwd", "mia", "--password-file", secret, *DATA)
            assert "no longer works with SCRAM-SHA-256" in done(*words, cwd=running.cwd)
            assert await reason_of(running, "mia", b"correct horse") == 0
            await wire.ping()

    def test_of_nobody(self, stopped: Path) -> None:
        assert "There is no user 'nobody'." in refused("user", "passwd", "nobody", *DATA, cwd=stopped)


class TestTags:
    async def test_count_at_once_for_who_is_connected(self, running: Running) -> None:
        password = password_of(done("user", "add", "ada", *DATA, cwd=running.cwd))
        async with await connected(running, "c", "ada", password) as wire:
            await wire.send(packets.subscribe(7, [("$SYS/broker/version", 0)]))
            assert (await wire.expect(packets.SUBACK)).reasons == [0x87]
            done("user", "tag", "ada", "administrator", "management", *DATA, cwd=running.cwd)
            await wire.subscribe("$SYS/broker/version")
            assert (await wire.receive("$SYS/broker/version")).payload
            assert "tags: none" in done("user", "tag", "ada", "--none", *DATA, cwd=running.cwd)
            await wire.send(packets.subscribe(8, [("$SYS/broker/version", 0)]))
            assert (await wire.expect(packets.SUBACK)).reasons == [0x87]

    def test_the_last_administrator_is_not_lost_by_accident(self, stopped: Path) -> None:
        for words in (("tag", "admin", "--none"), ("tag", "admin", "management"), ("delete", "admin")):
            said = refused("user", *words, *DATA, cwd=stopped)
            assert "'admin' is the last administrator" in said
            assert "--force" in said
        done("user", "tag", "admin", "--none", "--force", *DATA, cwd=stopped)
        done("user", "tag", "admin", "administrator", *DATA, cwd=stopped)

    def test_neither_or_both(self, stopped: Path) -> None:
        assert "neither tags nor --none" in refused("user", "tag", "admin", *DATA, cwd=stopped)
        assert "both" in refused("user", "tag", "admin", "management", "--none", *DATA, cwd=stopped)


class TestGroups:
    async def test_rules_of_a_group_count_as_soon_as_somebody_is_in_it(self, running: Running) -> None:
        password = password_of(done("user", "add", "ben", *DATA, cwd=running.cwd))
        printed = done("access", "deny", "group:muted", "publish", "loud/#", *DATA, cwd=running.cwd)
        assert "Note: Nobody is in the group 'muted' yet." in printed
        async with await connected(running, "c", "ben", password) as wire:
            await wire.publish("loud/a", qos=1)
            assert (
                done("user", "group", "ben", "--add", "muted", *DATA, cwd=running.cwd)
                == "ben, groups: muted\n"
            )
            await wire.send(packets.publish("loud/a", qos=1, packet_id=9))
            assert (await wire.expect(packets.PUBACK)).reason == 0x87
            done("user", "group", "ben", "--remove", "muted", "--add", "other", *DATA, cwd=running.cwd)
            await wire.publish("loud/a", qos=1)

    def test_of_a_device_and_of_nobody_yet(self, stopped: Path) -> None:
        succeeded("device", "add", "lamp", *DATA, cwd=stopped)
        assert (
            done("user", "group", "lamp", "--add", "lights", *DATA, cwd=stopped) == "lamp, groups: lights\n"
        )
        printed = done("user", "group", "nobody", "--add", "lights", *DATA, cwd=stopped)
        assert "Note: Nobody is called 'nobody' yet" in printed
        assert re.search(
            r"^lights +lamp, nobody +0$", done("access", "groups", *DATA, cwd=stopped), re.MULTILINE
        )
        assert "not in the group 'x'" in refused("user", "group", "lamp", "--remove", "x", *DATA, cwd=stopped)
        assert "Say what to change" in refused("user", "group", "lamp", *DATA, cwd=stopped)


class TestDelete:
    async def test_ends_the_connection_at_once_and_for_good(self, running: Running) -> None:
        password = password_of(done("user", "add", "eve", "--group", "g", *DATA, cwd=running.cwd))
        done("user", "allow", "eve", "publish", "eve/#", *DATA, cwd=running.cwd)
        async with (
            await connected(running, "evil", "eve", password) as wire,
            await connected(running, "good", "admin", running.password().encode()) as other,
        ):
            assert done("user", "delete", "eve", *DATA, cwd=running.cwd) == (
                "Deleted user eve, with 1 rule, 1 membership.\n"
            )
            goodbye = await wire.expect_closed()
            assert goodbye is not None
            assert goodbye.reason == 0x87
            await other.ping()
        assert await reason_of(running, "eve", password) == 0x86
        assert "user:eve" not in done("access", "rules", *DATA, cwd=running.cwd)

    def test_a_real_client_is_told_and_cannot_come_back(self, running: Running) -> None:
        password = password_of(done("user", "add", "pat", *DATA, cwd=running.cwd))
        reasons: list[str] = []
        client = paho.Client(CallbackAPIVersion.VERSION2, "paho", protocol=paho.MQTTv5)
        client.username_pw_set("pat", password.decode())
        client.tls_set_context(client_context(running.cwd))
        client.reconnect_delay_set(1, 1)

        def connected(
            client: paho.Client, data: object, flags: object, reason: object, values: object
        ) -> None:
            reasons.append(str(reason))
            if len(reasons) == 1:
                done("user", "delete", "pat", *DATA, cwd=running.cwd)
            else:
                client.disconnect()

        client.on_connect = connected
        client.on_disconnect = lambda client, data, flags, reason, values: reasons.append(str(reason))
        client.connect("localhost", running.port("tls"))
        client.loop_forever(timeout=0.2)
        assert reasons[:3] == ["Success", "Not authorized", "Bad user name or password"]

    def test_leaves_the_rules_to_a_device_of_the_name(self, stopped: Path) -> None:
        succeeded("device", "add", "twin", *DATA, cwd=stopped)
        printed = done("user", "add", "twin", *DATA, cwd=stopped)
        assert "Note: There is a device of that name as well" in printed
        done("user", "deny", "twin", "publish", "valve/#", *DATA, cwd=stopped)
        printed = done("user", "delete", "twin", *DATA, cwd=stopped)
        assert printed == (
            "Deleted user twin; its rules and groups stay, since there is a device of that name.\n"
        )
        assert "deny     user:twin" in done("access", "rules", *DATA, cwd=stopped)
        shown = done("user", "show", "twin", *DATA, cwd=stopped)
        assert re.search(r"^known as +a device$", shown, re.MULTILINE)
        assert "valve/#" in shown


class TestAllowAndDeny:
    async def test_a_message_passes_as_soon_as_it_is_allowed_and_no_more_once_it_is_denied(
        self, closed: Running
    ) -> None:
        passwords = {
            name: password_of(done("user", "add", name, *DATA, cwd=closed.cwd)) for name in ("out", "in")
        }
        async with (
            await connected(closed, "out", "out", passwords["out"]) as out,
            await connected(closed, "in", "in", passwords["in"]) as into,
        ):
            await out.send(packets.publish("hall/t", b"0", 1, 1))
            assert (await out.expect(packets.PUBACK)).reason == 0x87
            await into.send(packets.subscribe(1, [("hall/#", 1)]))
            assert (await into.expect(packets.SUBACK)).reasons == [0x87]
            printed = done("user", "allow", "out", "publish", "hall/+", "--qos", "1", *DATA, cwd=closed.cwd)
            assert re.fullmatch(r"Rule \d+: allow user:out publish hall/\+ \(QoS 1\)\n", printed)
            printed = done("user", "allow", "in", "subscribe", "hall/#", *DATA, cwd=closed.cwd)
            assert "allow user:in subscribe, receive hall/#" in printed
            await into.subscribe("hall/#", qos=1)
            await out.publish("hall/t", b"1", qos=1)
            await into.receive("hall/t", b"1")
            await out.send(packets.publish("hall/t", b"2", 2, 2))
            assert (await out.expect(packets.PUBREC)).reason == 0x87
            done("user", "deny", "in", "receive", "hall/t", *DATA, cwd=closed.cwd)
            await out.publish("hall/t", b"3", qos=1)
            await out.publish("hall/u", b"4", qos=1)
            await into.receive("hall/u", b"4")

    def test_the_same_rule_twice_is_one(self, closed: Running) -> None:
        words = ("user", "allow", "same", "all", "a/#", "--note", "why", *DATA)
        first, second = done(*words, cwd=closed.cwd), done(*words, cwd=closed.cwd)
        number = first.split(":")[0].removeprefix("Rule ")
        assert second.startswith(
            f"There already: rule {number}: allow user:same publish, subscribe, receive a/#"
        )

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("fly", "a"), "There is no right 'fly'"),
            (("publish", "a/#/b"), "'topics' is 'a/#/b'"),
            (("publish", "{name}"), "{name} is no placeholder"),
            (("publish", "$SYS/x"), "publishing to topics that begin with $"),
            (("publish", "a", "--retain", "often"), "'retain' is 'often'"),
            (("publish", "(a", "--regexp"), "regular expression"),
            (("publish", "a", "--qos", "3"), "'--qos'"),
        ],
    )
    def test_what_cannot_be(self, stopped: Path, words: tuple[str, ...], message: str) -> None:
        before = dict(users_of(stopped).rules)
        assert message in refused("user", "allow", "x", *words, *DATA, cwd=stopped)
        assert users_of(stopped).rules == before


class TestFiles:
    def test_an_export_is_imported_elsewhere(self, stopped: Path, running: Running, tmp_path: Path) -> None:
        done("user", "add", "mover", "--tag", "monitoring", "--group", "g", *DATA, cwd=stopped)
        file = tmp_path / "users.json"
        assert done("user", "export", "--with-hashes", file, *DATA, cwd=stopped) == f"Wrote {file}.\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        records = json.loads(file.read_text())["users"]
        file.write_text(json.dumps({"users": [one for one in records if one["name"] == "mover"]}))
        printed = done("user", "import", file, *DATA, cwd=running.cwd)
        assert printed == "Added 1 users, changed 0.\n"
        moved, original = users_of(running.cwd), users_of(stopped)
        assert moved.get("mover") == original.get("mover")
        assert moved.groups_of("mover") == ("g",)

    def test_without_hashes_it_changes_only_tags_and_groups(self, stopped: Path, tmp_path: Path) -> None:
        done("user", "add", "kept", "--group", "g", *DATA, cwd=stopped)
        before = users_of(stopped).get("kept")
        printed = done("user", "export", *DATA, cwd=stopped)
        assert "$sha256$" not in printed
        (tmp_path / "one.json").write_text('{"users": [{"name": "kept", "tags": ["management"]}]}')
        assert "changed 1" in done("user", "import", tmp_path / "one.json", *DATA, cwd=stopped)
        after = users_of(stopped)
        user = after.get("kept")
        assert before is not None
        assert user is not None
        assert (user.password, user.scram, user.tags) == (before.password, before.scram, ("management",))
        assert after.groups_of("kept") == ("g",)

    @pytest.mark.parametrize(
        ("record", "message"),
        [
            ('{"name": "new"}', "'password' is missing"),
            ('{"name": "new", "password": "plain"}', "the password hash begins with none of"),
            ('{"name": "new", "pasword": "x"}', "'pasword' is not known here"),
            ('{"name": "admin", "tags": ["king"]}', "There is no tag 'king'"),
            ('{"name": "admin", "tags": "administrator"}', "'tags' is text; expected a list of texts"),
            ('{"name": "admin", "groups": [""]}', "The group name '' is empty"),
            ('{"name": "good"', "expected valid JSON"),
        ],
    )
    def test_a_bad_record_is_named_with_its_line_and_nothing_is_changed(
        self, stopped: Path, tmp_path: Path, record: str, message: str
    ) -> None:
        done("user", "export", "--with-hashes", tmp_path / "all.json", *DATA, cwd=stopped)
        good = json.loads((tmp_path / "all.json").read_text())["users"][0] | {"name": "fine"}
        file = tmp_path / "bad.json"
        file.write_text(f'{{"users": [\n{json.dumps(good)},\n{record}\n]}}')
        said = refused("user", "import", file, *DATA, cwd=stopped)
        assert f"{file}:3: " in said or "Expecting" in said
        assert message in said
        assert "plain" not in said
        assert users_of(stopped).get("fine") is None

    def test_one_that_leaves_no_administrator_needs_force(self, stopped: Path, tmp_path: Path) -> None:
        file = tmp_path / "users.json"
        file.write_text('{"users": [{"name": "admin", "tags": []}]}')
        assert "last administrator" in refused("user", "import", file, *DATA, cwd=stopped)

    def test_no_file_and_no_text(self, stopped: Path, tmp_path: Path) -> None:
        missing = quickly("user", "import", tmp_path / "none", *DATA, cwd=stopped)
        assert missing.returncode == 1
        assert "none: No such file" in missing.stderr
        (tmp_path / "bytes").write_bytes(b'{"users":\n\xff')
        assert "bytes:2: a byte that is not UTF-8" in refused(
            "user", "import", tmp_path / "bytes", cwd=stopped
        )


class TestPsk:
    def test_a_generated_key_is_printed_once(self, stopped: Path) -> None:
        printed = done("psk", "add", "meter", *DATA, cwd=stopped)
        found = re.fullmatch(
            r"Added PSK identity meter, key ([0-9a-f]{64})\nIt is shown only now\.\n", printed
        )
        assert found
        assert users_of(stopped).psk_key("meter") == bytes.fromhex(found[1])
        listed = done("psk", "list", *DATA, cwd=stopped)
        assert re.search(r"^meter +32 bytes$", listed, re.MULTILINE)
        assert found[1] not in listed
        assert done("psk", "delete", "meter", *DATA, cwd=stopped) == "Deleted PSK identity meter.\n"
        assert users_of(stopped).psk_key("meter") is None

    def test_a_given_one_comes_from_a_file(self, stopped: Path, tmp_path: Path) -> None:
        file = tmp_path / "key"
        file.write_text("000102030405060708090A0B0C0D0E0F\n")
        printed = done("psk", "add", "pump", "--key-file", file, *DATA, cwd=stopped)
        assert printed == "Added PSK identity pump.\n"
        assert users_of(stopped).psk_key("pump") == bytes(range(16))

    @pytest.mark.peer("mosquitto_sub", "mosquitto_pub")
    def test_deleted_it_ends_its_connections_at_once_and_for_good(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "lockwire.toml").write_text(
            '[[listener]]\nname = "psk"\nport = 0\nauthentication = ["psk"]\n'
        )
        with Running("up", *DATA, cwd=tmp_path, last="Ctrl-C stops") as broker:
            key = re.search("key ([0-9a-f]{64})", done("psk", "add", "meter", *DATA, cwd=tmp_path))
            assert key
            who = ["-h", "localhost", "-p", str(broker.port("tls"))]
            who += ["--psk-identity", "meter", "--psk", key[1]]
            publish = ["mosquitto_pub", *who, "-t", "a", "-m", "b"]
            assert subprocess.run(publish, capture_output=True, timeout=10).returncode == 0
            subscribe = ["stdbuf", "-oL", "mosquitto_sub", *who, "-V", "5", "-d", "-t", "a", "-W", "15"]
            with subprocess.Popen(subscribe, stdout=subprocess.PIPE, text=True) as client:
                assert client.stdout is not None
                said = iter(client.stdout)
                assert any("received SUBACK" in line for line in said)
                done("psk", "delete", "meter", *DATA, cwd=tmp_path)
                assert any("Received DISCONNECT (135)" in line for line in said)
                client.kill()
            assert subprocess.run(publish, capture_output=True, timeout=10).returncode != 0

    @pytest.mark.peer("openssl")
    def test_deleted_it_is_nothing_to_who_has_shown_it_and_not_yet_said_connect(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "lockwire.toml").write_text(
            '[[listener]]\nname = "psk"\nport = 0\nauthentication = ["psk"]\n'
        )
        with Running("up", *DATA, cwd=tmp_path, last="Ctrl-C stops") as broker:
            for deleted in (False, True):
                key = re.search("key ([0-9a-f]{64})", done("psk", "add", "meter", *DATA, cwd=tmp_path))
                assert key
                command = ["openssl", "s_client", "-connect", f"localhost:{broker.port('tls')}", "-tls1_2"]
                command += ["-psk_identity", "meter", "-psk", key[1]]
                with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
                    assert client.stdin is not None
                    assert client.stdout is not None
                    assert any(b"Verify return code" in line for line in client.stdout)
                    assert any(line == b"---\n" for line in client.stdout)
                    if deleted:
                        done("psk", "delete", "meter", *DATA, cwd=tmp_path)
                    client.stdin.write(packets.connect("late", 4))
                    client.stdin.flush()
                    said = client.stdout.read(4)
                    client.kill()
                assert said == (b"\x20\x02\x00\x05" if deleted else b"\x20\x02\x00\x00")
                if not deleted:
                    done("psk", "delete", "meter", *DATA, cwd=tmp_path)

    def test_what_cannot_be(self, stopped: Path) -> None:
        for key, message in (
            (b"abc\n", "not hexadecimal"),
            (b"abcd\n", "has 2 bytes"),
            (b"\xff\n", "not UTF-8"),
        ):
            words = ("psk", "add", "bad", "--key-file", "-", *DATA)
            said = refused(*words, cwd=stopped, stdin=key)
            assert message in said
            assert "abc" not in said
        assert "There is no PSK identity 'bad'." in refused("psk", "delete", "bad", *DATA, cwd=stopped)
