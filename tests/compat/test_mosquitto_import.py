"""`lockwire access import-mosquitto`, with files that the real mosquitto_passwd wrote."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lockwire.access.methods.passwords import verify
from lockwire.access.rights.rules import DEFAULT_RULES, Rule
from lockwire.compat.mosquitto.lines import Source
from lockwire.compat.mosquitto.passwords import read_passwords
from lockwire.compat.mosquitto.psk import read_psk
from lockwire.data import DataFolder
from lockwire.household import Household
from tests.cli.quick import done, refused
from tests.support import packets
from tests.support.daemon import Lockwire
from tests.support.peers import peer_path
from tests.support.wire import Wire

ACL = """\
user kim
topic read hall/#
topic write $app/x
pattern write from/%u/#
pattern deny closed/#
"""
PSK = "dev1:00112233445566778899aabbccddeeff\n# a remark\ndev2: FFeeddccbbaa99887766554433221100 \n"


def mosquitto_passwd(file: Path, users: dict[str, str], *options: str) -> None:
    """Has Mosquitto's own program write a password file."""
    for number, (name, password) in enumerate(users.items()):
        create = [] if number else ["-c"]
        command = [peer_path("mosquitto_passwd"), "-b", *create, *options, str(file), name, password]
        subprocess.run(command, check=True, capture_output=True, timeout=30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a data folder in it, as `lockwire up` makes one."""
    data = DataFolder(tmp_path / "lockwire-data")
    data.create()
    household, _ = Household.prepare(data)
    household.access.close()
    return tmp_path


def household(folder: Path) -> Household:
    """What the data folder holds now."""
    return Household.open(DataFolder(folder / "lockwire-data"))


@pytest.mark.peer("mosquitto_passwd")
@pytest.mark.parametrize("options", [(), ("-H", "sha512"), ("-H", "sha512-pbkdf2")])
def test_hashes_of_mosquitto_passwd_are_known(tmp_path: Path, options: tuple[str, ...]) -> None:
    file = tmp_path / "passwd"
    mosquitto_passwd(file, {"kim": "correct horse", "jo with spaces": "p:w$x"}, *options)
    source = Source("passwd", file.read_bytes())
    kim, jo = read_passwords(source)
    assert source.problems == []
    assert (kim.name, jo.name, jo.line) == ("kim", "jo with spaces", 2)
    assert verify(kim.password, b"correct horse")
    assert verify(jo.password, b"p:w$x")
    assert not verify(kim.password, b"wrong")


def test_everything_that_is_wrong_with_a_password_file_is_found_and_no_password_shown() -> None:
    text = "kim:geheim1\nno colon\n:$7$x\njo:\njo2:$7$101$AAAA$geheim2\n"
    text += "kim3:$6$AAAA\n\n# remark\nanonymous:$7$1\n"
    source = Source("passwd", text.encode())
    assert read_passwords(source) == []
    said = "\n".join(map(str, source.problems))
    assert [problem.line for problem in source.problems] == [1, 2, 3, 3, 4, 5, 6, 9, 9]
    assert "make it one: mosquitto_passwd -U passwd" in said
    assert "geheim" not in said


def test_a_user_that_is_there_twice_is_said_with_both_lines() -> None:
    line = "kim:$6$AAAA$" + "A" * 86 + "==\n"
    source = Source("passwd", (line + line).encode())
    assert len(read_passwords(source)) == 1
    assert str(source.problems[0]) == "passwd:2: the user 'kim' is there in line 1 too; remove one"


def test_everything_that_is_wrong_with_a_key_file_is_found_and_no_key_shown() -> None:
    key = "00112233445566778899aabbccddeeff"
    text = f"dev1:{key}\ndev1:{key}\ndev2\n:{key}\ndev3:cafe\n"
    text += f"dev4:{key[:-1]}\ndev5:{key}:{key}\ndev6:{key} {key}\n"
    source = Source("psk", text.encode())
    assert [line.identity for line in read_psk(source)] == ["dev1"]
    assert [problem.line for problem in source.problems] == [2, 3, 4, 5, 6, 7, 8]
    assert "has 2 bytes, expected 16 to 64" in str(source.problems[3])
    assert not any(key[:8] in str(problem) or "cafe" in str(problem) for problem in source.problems)


@pytest.mark.peer("mosquitto_passwd")
def test_files_are_taken_in_at_once(folder: Path) -> None:
    mosquitto_passwd(folder / "passwd", {"kim": "correct horse", "jo": "battery"})
    (folder / "acl").write_text(ACL)
    (folder / "psk").write_text(PSK)
    command = ("access", "import-mosquitto", "--passwords", "passwd", "--acl", "acl", "--psk", "psk")
    tried = done(*command, "--dry-run", cwd=folder)
    assert tried.startswith("Would take 2 users, 4 rules, 2 pre-shared keys.\nWould remove allow everyone")
    assert tried.endswith("Nothing was changed.\n")
    before = household(folder)
    assert [user.name for user in before.access] == ["admin"]
    before.access.close()

    said = done(*command, cwd=folder)
    assert said.startswith("Took 2 users, 4 rules, 2 pre-shared keys.\nRemoved allow everyone")
    assert "Left out: acl:3: publishing to $app/x" in said
    assert "Note: A denial counts for every client it names" in said
    after = household(folder)
    kim = after.access.get("kim")
    assert kim is not None
    assert verify(kim.password, b"correct horse")
    assert kim.tags == ()
    assert list(after.access.rules.values()) == [
        DEFAULT_RULES[1],
        Rule("user:kim", ("subscribe", "receive"), "hall/#"),
        Rule("everyone", ("publish",), "from/{username}/#"),
        Rule("everyone", ("publish", "subscribe", "receive"), "closed/#", effect="deny"),
        Rule("anonymous", ("publish", "subscribe", "receive"), "closed/#", effect="deny"),
    ]
    assert after.access.psk_key("dev2") == bytes.fromhex("ffeeddccbbaa99887766554433221100")
    after.access.close()

    again = done(*command, cwd=folder)
    assert again.startswith(
        "Took 0 users, 0 rules, 0 pre-shared keys.\nThere already: kim, jo, dev1, dev2 and 4 rules.\n"
    )
    assert "These rules allow clients more" not in again, "the list's own rules are not beside it"


@pytest.mark.peer("mosquitto_passwd")
def test_one_mistake_anywhere_and_nothing_is_taken(folder: Path) -> None:
    mosquitto_passwd(folder / "passwd", {"kim": "x", "admin": "y"})
    (folder / "acl").write_text("topic reed x\n")
    (folder / "psk").write_text("dev1:cafe\n")
    said = refused(
        "access", "import-mosquitto", "--passwords", "passwd", "--acl", "acl", "--psk", "psk", cwd=folder
    )
    assert "passwd:2: there is a user 'admin' already, with another password" in said
    assert "acl:1: the access is 'reed'" in said
    assert "psk:1: the key of 'dev1' has 2 bytes" in said
    after = household(folder)
    assert [user.name for user in after.access] == ["admin"]
    assert tuple(after.access.rules.values()) == DEFAULT_RULES
    after.access.close()


def test_a_file_that_is_not_there_or_none_at_all(folder: Path) -> None:
    assert "there is no file to import" in refused("access", "import-mosquitto", cwd=folder)


@pytest.mark.peer("mosquitto_passwd")
async def test_a_running_broker_takes_them_at_once(folder: Path) -> None:
    mosquitto_passwd(folder / "passwd", {"kim": "correct horse"})
    (folder / "acl").write_text(ACL)
    (folder / "lockwire.toml").write_text(
        '[[listener]]\nname = "plain"\ntransport = "tcp"\naddress = "127.0.0.1"\nport = 0\n'
        'authentication = ["password"]\n'
    )
    broker = Lockwire(folder, "broker", "--config", "lockwire.toml", "--data", "lockwire-data")
    try:
        said = done("access", "import-mosquitto", "--passwords", "passwd", "--acl", "acl", cwd=folder)
        assert said.startswith("Took 1 user, 4 rules, 0 pre-shared keys.")
        async with await Wire.open(("127.0.0.1", broker.ports["plain"])) as kim:
            await kim.connect("c1", username="kim", password=b"correct horse")
            await kim.send(packets.subscribe(1, [("hall/#", 0), ("other/#", 0)], 5))
            assert (await kim.expect(packets.SUBACK)).reasons == [0, 0x87]
            await kim.publish("from/kim/x", b"", 1)
            await kim.send(packets.publish("hall/x", b"", 1, 9, version=5))
            assert (await kim.expect(packets.PUBACK)).reason == 0x87
    finally:
        broker.stop()
