"""What lives long lets go when it ends: nothing of a broker waits for the garbage collector (rule 11)."""

from __future__ import annotations

import gc
from collections import Counter

from tests.broker.test_commit import KEPT, until
from tests.support.inprocess import Served, serving
from tests.support.packets import Will


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


async def test_connections_and_sessions_leave_no_cycles() -> None:
    async with serving() as served:
        await lives(served)
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await lives(served)
            gc.collect()
            found = Counter(
                type(each).__qualname__ for each in gc.garbage if "lockwire" in type(each).__module__
            )
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert not found
