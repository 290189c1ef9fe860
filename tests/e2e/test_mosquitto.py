"""mosquitto_pub and mosquitto_sub, as people and scripts use them."""

from __future__ import annotations

import subprocess

import pytest

from tests.e2e.site import Channel, Site
from tests.support.peers import peer_path

pytestmark = pytest.mark.peer("mosquitto_pub", "mosquitto_sub")

VERSIONS = ("mqttv31", "mqttv311", "mqttv5")
CHANNELS = ("plain", "tls12", "tls13", "mutual", "ipv6", "unix")
"""These clients speak no WebSocket."""

everywhere = pytest.mark.parametrize(
    ("name", "version"), [(name, version) for name in CHANNELS for version in VERSIONS]
)


def arguments_of(channel: Channel) -> list[str]:
    """What these programs need to connect there."""
    words = (
        ["--unix", channel.host]
        if channel.transport == "unix"
        else ["-h", channel.host, "-p", str(channel.port)]
    )
    if channel.tls:
        words += ["--cafile", str(channel.files.ca), "--tls-version", f"tlsv{channel.tls}"]
    if channel.username is not None:
        return [*words, "-u", channel.username, "-P", channel.password or ""]
    return [*words, "--cert", str(channel.files.certificate), "--key", str(channel.files.key)]


def run(program: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run one of them to its end."""
    return subprocess.run(
        [peer_path(program), *words], input=stdin, capture_output=True, timeout=20, check=False
    )


@everywhere
def test_a_session_keeps_messages_until_mosquitto_sub_comes_back(
    site: Site, name: str, version: str, unique: str
) -> None:
    channel = site.channel(name)
    words = [*arguments_of(channel), "-V", version]
    session = ["-i", unique, "-c", "-q", "2", "-t", f"{unique}/#"]
    if version == "mqttv5":
        session += ["-x", "300"]
    subscribed = run("mosquitto_sub", *words, *session, "-E")
    assert subscribed.returncode == 0, subscribed.stderr
    for qos in "12":
        sent = run("mosquitto_pub", *words, "-t", f"{unique}/{qos}", "-q", qos, "-l", stdin=b"one\ntwo\n")
        assert sent.returncode == 0, sent.stderr
    got = run("mosquitto_sub", *words, *session, "-C", "4", "-W", "10", "-F", "%t %q %p")
    assert got.returncode == 0, got.stderr
    assert sorted(got.stdout.decode().splitlines()) == [
        f"{unique}/1 1 one", f"{unique}/1 1 two", f"{unique}/2 2 one", f"{unique}/2 2 two",
    ]  # fmt: skip


@everywhere
def test_a_retained_message_at_qos_0(site: Site, name: str, version: str, unique: str) -> None:
    words = [*arguments_of(site.channel(name)), "-V", version]
    sent = run("mosquitto_pub", *words, "-t", unique, "-m", "kept", "-r")
    assert sent.returncode == 0, sent.stderr
    got = run("mosquitto_sub", *words, "-t", unique, "-C", "1", "-W", "10", "-F", "%r %q %p")
    assert got.stdout == b"1 0 kept\n", got.stderr


def test_properties_arrive(site: Site, unique: str) -> None:
    words = [*arguments_of(site.channel("mutual")), "-V", "mqttv5"]
    given = ["content-type text/plain", "response-topic back", "correlation-data 42", "user-property a 1"]
    options = [word for each in given for word in ("-D", "publish", *each.split())]
    sent = run("mosquitto_pub", *words, "-t", unique, "-m", "m", "-r", *options)
    assert sent.returncode == 0, sent.stderr
    got = run("mosquitto_sub", *words, "-t", unique, "-C", "1", "-W", "10", "-F", "%C|%R|%D|%P|%p")
    assert got.stdout == b"text/plain|back|42|a:1|m\n", got.stderr


def test_a_mebibyte_from_standard_input(site: Site, unique: str) -> None:
    words = arguments_of(site.channel("mutual"))
    payload = bytes(range(1, 256)) * 4112
    sent = run("mosquitto_pub", *words, "-t", unique, "-s", "-r", "-q", "1", stdin=payload)
    assert sent.returncode == 0, sent.stderr
    got = run("mosquitto_sub", *words, "-t", unique, "-C", "1", "-W", "10", "-N")
    assert got.stdout == payload


def test_an_unknown_authority_is_noticed_by_the_client(site: Site, unique: str) -> None:
    channel = site.channel("tls")
    sent = run(
        "mosquitto_pub", "-h", "127.0.0.1", "-p", str(channel.port), "--capath", "/nonexistent",
        "-u", "admin", "-P", site.password, "-t", unique, "-m", "m",
    )  # fmt: skip
    assert sent.returncode != 0


def test_without_a_certificate_mutual_tls_is_refused(site: Site, unique: str) -> None:
    channel = site.channel("mutual")
    before = site.broker.log.count("handshake refused")
    sent = run(
        "mosquitto_pub", "-h", "127.0.0.1", "-p", str(channel.port), "--cafile", str(channel.files.ca),
        "-u", "admin", "-P", site.password, "-t", unique, "-m", "m",
    )  # fmt: skip
    assert sent.returncode != 0
    assert site.broker.log.count("handshake refused") == before + 1


def test_a_wrong_password_is_refused(site: Site, unique: str) -> None:
    channel = site.channel("plain")
    sent = run(
        "mosquitto_pub", "-h", "127.0.0.1", "-p", str(channel.port), "-u", "admin", "-P", "wrong",
        "-t", unique, "-m", "m", "-V", "mqttv311",
    )  # fmt: skip
    assert sent.returncode != 0
    assert b"not authorised" in sent.stderr.lower() or b"bad user name" in sent.stderr.lower()
