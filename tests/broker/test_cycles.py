"""What lives long lets go when it ends: nothing of a broker waits for the garbage collector (rule 11)."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import jwt

from lockwire.access.database.database import AccessDatabase
from lockwire.access.database.users import make_user
from lockwire.access.methods.chain import ChainAuthenticator
from lockwire.access.methods.checker import PasswordChecker
from lockwire.access.methods.passwords import generate_password
from lockwire.access.methods.scram import ScramClient
from lockwire.access.tokens.keysources import Secret
from lockwire.access.tokens.verifier import TokenVerifier
from lockwire.config.access import TokenSettings
from lockwire.mqtt import reasons
from tests.broker.test_commit import KEPT, until
from tests.support import packets
from tests.support.inprocess import Served, serving
from tests.support.packets import AUTH, AUTHENTICATION_DATA, AUTHENTICATION_METHOD, CONNACK, Will


async def lives(served: Served) -> None:
    """Clients of every kind come, do what clients do, and go."""
    keeper = await served.client("keeper", clean=False, values=KEPT, will=Will("gone", b"", 1))
    await keeper.subscribe("a/+", "$share/group/b", qos=2)
    other = await served.client("other", version=4)
    await other.subscribe("a/+", "#", qos=1)
    publisher = await served.client("publisher")
    await publisher.publish("a/1", b"1", qos=2)
    await publisher.publish("a/1", b"retained", qos=1, retain=True)
    successor = await served.client("other")
    await successor.publish("b", b"2", qos=1)
    await successor.disconnect()
    last = await served.client("keeper")
    last.abort()
    refused = await served.open()
    await refused.send(b"GET / HTTP/1.1\r\n\r\n")
    await refused.until_closed()
    served.abort_all()
    await until(lambda: not served.broker.registry.sessions and not served.broker.hub.connected)


async def left_behind(served: Served, live: Callable[[Served], Awaitable[None]]) -> Counter[str]:
    """Lockwire's objects that only the garbage collector gets rid of, by their types."""
    await live(served)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await live(served)
        gc.collect()
        return Counter(type(each).__qualname__ for each in gc.garbage if "lockwire" in type(each).__module__)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_connections_and_sessions_leave_no_cycles() -> None:
    async with serving() as served:
        assert not await left_behind(served, lives)


async def test_logins_leave_no_cycles(tmp_path: Path) -> None:
    password, secret = generate_password(), tmp_path / "secret"
    secret.write_text(generate_password() * 2)
    secret.chmod(0o600)
    users = AccessDatabase(None)
    users.add(make_user("jo", password, generated=True, with_scram=True))
    passwords = PasswordChecker(users)
    tokens = TokenVerifier(TokenSettings(algorithms=["HS256"]), Secret(secret, ("HS256",)))
    token = jwt.encode({"sub": "jo", "exp": time.time() + 60}, secret.read_text(), "HS256").encode()

    async def log_in(served: Served) -> None:
        for method, known in (("SCRAM-SHA-256", True), ("SCRAM-SHA-256", False), ("JWT", True)):
            for finish in (True, False):
                client = ScramClient("jo" if known else "nobody", password)
                values: packets.Properties = [(AUTHENTICATION_METHOD, method)]
                wire = await served.open()
                await wire.send(
                    packets.connect(method, username="jo" if known else None, password=token, values=values)
                )
                await wire.expect(AUTH)
                if not finish:
                    continue
                if method == "JWT":
                    data = token
                else:
                    await wire.send(packets.auth(0x18, [*values, (AUTHENTICATION_DATA, client.first())]))
                    challenge = dict((await wire.expect(AUTH)).properties)[AUTHENTICATION_DATA]
                    assert isinstance(challenge, bytes)
                    data = client.final(challenge)
                await wire.send(packets.auth(0x18, [*values, (AUTHENTICATION_DATA, data)]))
                answer = await wire.expect(CONNACK)
                good = known and (method != "JWT" or not needs_all)
                assert answer.reason == (reasons.SUCCESS if good else reasons.NOT_AUTHORIZED)
        served.abort_all()
        await until(lambda: not served.broker.registry.sessions and not served.broker.hub.connected)

    for needs_all in (False, True):
        chain = ChainAuthenticator(["scram", "token"], passwords, needs_all=needs_all, tokens=tokens)
        async with serving(authenticator=chain) as served:
            assert not await left_behind(served, log_in)
    passwords.close()
