"""Who a client is, on a running broker: certificate and password together, tokens that end, better hashes."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from lockwire.access.database.database import AccessDatabase
from lockwire.access.database.users import User
from lockwire.data import DataFolder
from tests.e2e.site import Files, Site
from tests.support import packets
from tests.support.daemon import lockwire
from tests.support.keyserver import KeyServer
from tests.support.packets import (
    ASSIGNED_CLIENT_IDENTIFIER,
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    CONNACK,
    Properties,
)
from tests.support.peers import peer_path
from tests.support.wire import Wire

KEY = ec.generate_private_key(ec.SECP256R1())
RE_AUTHENTICATE = 0x19
NOT_AUTHORIZED = 0x87
CLIENT_IDENTIFIER_NOT_VALID = 0x85

CONFIGURATION = """
[[listener]]
name = "both"
transport = "tls"
address = "127.0.0.1"
port = 0
client_certificates = "required"
authentication = ["certificate", "password"]
authentication_needs = "all"

[[listener]]
name = "bound"
transport = "tls"
address = "127.0.0.1"
port = 0
client_certificates = "required"
authentication = ["certificate"]
[listener.identity]
client_id = "same"

[[listener]]
name = "token"
transport = "tls"
address = "127.0.0.1"
port = 0
authentication = ["token", "password"]

[token]
jwks = "%s"
issuer = "https://issuer.example"
audience = "lockwire"
leeway = 0
"""


def jwks() -> bytes:
    return json.dumps({"keys": [{**ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "1"}]}).encode()


def token(sub: str, expires: float, key: Any = KEY, **claims: Any) -> bytes:
    claims = {"iss": "https://issuer.example", "aud": "lockwire", "sub": sub, "exp": expires, **claims}
    return jwt.encode(claims, key, "ES256", headers={"kid": "1"}).encode()


def in_an_hour() -> float:
    return time.time() + 3600


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with KeyServer(jwks()) as server:
        site = Site(tmp_path_factory.mktemp("identities"), CONFIGURATION % server.url)
        yield site
        site.broker.stop()


def context_of(files: Files, *, present: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files.ca))
    if present:
        context.load_cert_chain(files.certificate, files.key)
    return context


async def open_wire(site: Site, name: str, *, present: bool = False, version: int = 5) -> Wire:
    context = context_of(site.device, present=present)
    return await Wire.open(("127.0.0.1", site.broker.ports[name]), version, context)


@pytest.fixture(scope="module")
def password(site: Site) -> str:
    """That of a user who is called as the device is."""
    done = lockwire("user", "add", "sensor1", "--data", site.data)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(word for word in done.stdout.split() if len(word) == 24)


# --- certificate and password together


async def test_certificate_and_password_must_both_be_there_and_mean_the_same(
    site: Site, password: str
) -> None:
    cases = [
        ("sensor1", password.encode(), 0),
        ("sensor1", b"wrong", 0x86),
        ("sensor1", None, NOT_AUTHORIZED),
        (None, None, NOT_AUTHORIZED),
        ("admin", site.password.encode(), 0x86),
    ]
    for username, secret, reason in cases:
        wire = await open_wire(site, "both", present=True)
        await wire.send(packets.connect("c", username=username, password=secret))
        assert (await wire.expect(CONNACK)).reason == reason
        wire.abort()
    assert "the client lacks user name and password" in site.broker.log
    assert password not in site.broker.log


@pytest.mark.peer("mosquitto_pub")
def test_mosquitto_pub_with_certificate_and_password(site: Site, password: str) -> None:
    files = site.device
    command = [peer_path("mosquitto_pub"), "-h", "localhost", "-p", str(site.broker.ports["both"]), "-V", "5"]
    command += ["--cafile", str(files.ca), "--cert", str(files.certificate), "--key", str(files.key)]
    command += ["-t", "a", "-m", "x", "-q", "1"]
    both = subprocess.run([*command, "-u", "sensor1", "-P", password], capture_output=True, timeout=20)
    assert both.returncode == 0, both.stderr
    one = subprocess.run(command, capture_output=True, timeout=20, text=True)
    assert one.returncode != 0
    assert "Not authorized" in one.stdout + one.stderr


async def test_a_user_that_is_deleted_takes_the_connection_along_that_rests_on_it(
    site: Site, password: str
) -> None:
    wire = await open_wire(site, "both", present=True)
    await wire.connect("c", username="sensor1", password=password.encode())
    done = lockwire("user", "delete", "sensor1", "--data", site.data)
    assert done.returncode == 0, done.stdout + done.stderr
    goodbye = await wire.expect_closed()
    assert goodbye is not None
    assert goodbye.reason == NOT_AUTHORIZED


# --- client identifiers


async def test_a_client_identifier_that_must_be_the_name(site: Site) -> None:
    wire = await open_wire(site, "bound", present=True)
    connack = await wire.connect("")
    assert connack.get(ASSIGNED_CLIENT_IDENTIFIER) == "sensor1"
    await wire.disconnect()
    named = await open_wire(site, "bound", present=True)
    assert (await named.connect("sensor1")).get(ASSIGNED_CLIENT_IDENTIFIER) is None
    await named.disconnect()
    other = await open_wire(site, "bound", present=True)
    await other.send(packets.connect("sensor2"))
    assert (await other.expect(CONNACK)).reason == CLIENT_IDENTIFIER_NOT_VALID
    older = await open_wire(site, "bound", present=True, version=4)
    await older.send(packets.connect("sensor2", 4))
    assert (await older.expect(CONNACK)).reason == 2


# --- tokens


def auth(data: bytes) -> Properties:
    return [(AUTHENTICATION_METHOD, "JWT"), (AUTHENTICATION_DATA, data)]


@pytest.mark.peer("mosquitto_pub")
def test_a_token_as_the_password_of_mosquitto_pub(site: Site) -> None:
    command = [peer_path("mosquitto_pub"), "-h", "localhost", "-p", str(site.broker.ports["token"])]
    command += ["--cafile", str(site.device.ca), "-t", "a", "-m", "x", "-q", "1", "-u", "jo", "-P"]
    good = subprocess.run([*command, token("jo", in_an_hour())], capture_output=True, timeout=20)
    assert good.returncode == 0, good.stderr
    for presented in (
        token("ann", in_an_hour()),
        token("jo", time.time() - 1),
        token("jo", in_an_hour(), aud="another"),
        token("jo", in_an_hour(), key=ec.generate_private_key(ec.SECP256R1())),
        token("jo", in_an_hour())[:-4] + b"AAAA",
    ):
        assert subprocess.run([*command, presented], capture_output=True, timeout=20).returncode != 0
        assert presented.split(b".")[2].decode() not in site.broker.log


async def test_what_a_token_permits_and_denies(site: Site) -> None:
    deny = {"may": ["publish"], "topics": "valve/#", "effect": "deny"}
    wire = await open_wire(site, "token")
    secret = token("jo", in_an_hour(), permissions=[deny])
    await wire.connect("rights", username="jo", password=secret)
    await wire.publish("other/1", b"x", 1)
    packet_id = wire.packet_id()
    await wire.send(packets.publish("valve/1", b"x", 1, packet_id))
    assert (await wire.expect(packets.PUBACK)).reason == NOT_AUTHORIZED
    await wire.disconnect()


async def test_a_token_in_auth_ends_the_connection_when_it_expires_unless_there_is_a_fresh_one(
    site: Site,
) -> None:
    expires = time.time() + 1.5
    values = [(packets.SESSION_EXPIRY_INTERVAL, 600)]
    lasting, ending = await open_wire(site, "token"), await open_wire(site, "token")
    for wire, name in ((lasting, "lasting"), (ending, "ending")):
        await wire.connect(name, clean=False, values=[*values, *auth(token("jo", expires))])
        await wire.subscribe(f"{name}/#", qos=1)
    await lasting.send(packets.auth(RE_AUTHENTICATE, auth(token("jo", in_an_hour()))))
    assert (await lasting.expect(packets.AUTH)).reason == 0

    goodbye = await ending.expect_closed()
    assert goodbye is not None
    assert goodbye.reason in (NOT_AUTHORIZED, 0xA0)
    assert time.time() >= expires
    await lasting.ping()
    await lasting.publish("ending/1", b"kept", 1)

    again = await open_wire(site, "token")
    connack = await again.connect("ending", clean=False, values=[*values, *auth(token("jo", in_an_hour()))])
    assert connack.session_present
    assert (await again.receive()).payload == b"kept"
    for wire in (again, lasting):
        await wire.disconnect()


async def test_a_fresh_token_of_somebody_else_ends_the_connection(site: Site) -> None:
    for presented in (token("ann", in_an_hour()), token("jo", time.time() - 1), b"secret"):
        wire = await open_wire(site, "token")
        await wire.connect("c", values=auth(token("jo", in_an_hour())))
        await wire.send(packets.auth(RE_AUTHENTICATE, auth(presented)))
        goodbye = await wire.expect_closed()
        assert goodbye is not None
        assert goodbye.reason == NOT_AUTHORIZED


def test_keys_that_cannot_be_used_refuse_a_reload_and_change_nothing(site: Site) -> None:
    written = site.configuration.read_text()
    site.configuration.write_text(written.replace("http://127.0.0.1", "http://issuer.example"))
    done = lockwire("reload", "--data", site.data)
    assert done.returncode != 0
    assert "expected https" in done.stdout + done.stderr
    site.configuration.write_text(written)
    assert lockwire("reload", "--data", site.data).returncode == 0


# --- hashes that get better


@pytest.mark.peer("mosquitto_passwd")
async def test_a_hash_of_mosquitto_is_argon2id_on_the_disk_after_a_login(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.touch(0o600)
    subprocess.run([peer_path("mosquitto_passwd"), "-b", file, "jo", "correct horse"], check=True)
    data = DataFolder(tmp_path / "data")
    site = Site(tmp_path, CONFIGURATION.replace("%s", str(tmp_path / "jwks.json")).replace('"token", ', ""))
    site.broker.stop()
    database = AccessDatabase(data.access_database)
    database.add(User("jo", file.read_text().strip().removeprefix("jo:")))
    database.close()
    site.start()
    try:
        wire = await open_wire(site, "token")
        await wire.connect("c", username="jo", password=b"correct horse")
        while "password hashed anew" not in site.broker.log:
            await wire.ping()
        await wire.disconnect()
    finally:
        site.broker.stop()
    database = AccessDatabase(data.access_database)
    user = database.get("jo")
    assert user is not None
    assert user.password.startswith("$argon2id$")
    database.close()
    assert "correct horse" not in site.broker.log
