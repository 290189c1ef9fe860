"""Whatever a plug-in does, each CONNECT gets one decision and the broker goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from lockwire.access.authenticator import Credentials, Decision
from lockwire.access.identity import PLUGIN
from lockwire.access.plugins.authenticator import PluginAuthenticator
from lockwire.access.plugins.calls import Calls
from lockwire.access.plugins.options import Options
from lockwire.access.plugins.protocol import Accepted, Answer, Plugin, Refused, Unknown
from lockwire.access.rights.rules import Rule
from lockwire.mqtt import reasons
from tests.support.inprocess import serving
from tests.support.wire import Wire

Behaviour = Callable[[Credentials], Awaitable[Answer]]
KIM = Credentials("plain", "127.0.0.1:50000", "c1", "kim", b"secret")


class Scripted(Plugin):
    """Does what the test says, and counts how often it was asked."""

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__(Options("scripted", {}))
        self.behaviour = behaviour
        self.asked = 0

    async def authenticate(self, credentials: Credentials) -> Answer:
        self.asked += 1
        return await self.behaviour(credentials)


async def by_password(credentials: Credentials) -> Answer:
    """Knows kim, whose password is "secret"."""
    if credentials.username != "kim":
        return Unknown()
    return Accepted("kim", ("people",)) if credentials.password == b"secret" else Refused("wrong")


@pytest.fixture(autouse=True)
async def loop_errors() -> AsyncIterator[list[object]]:
    """What reached the event loop's exception handler; a test ends with nothing there."""
    found: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    yield found
    assert found == []


def authenticator(
    behaviour: Behaviour, seconds: float = 60.0, timeout: float = 5.0, **limits: int
) -> tuple[PluginAuthenticator, Scripted, Calls]:
    """The adapter around a scripted plug-in."""
    plugin = Scripted(behaviour)
    calls = Calls("scripted", timeout, structlog.get_logger(), **limits)
    return PluginAuthenticator(plugin, calls, seconds), plugin, calls


async def decide(adapter: PluginAuthenticator, credentials: Credentials = KIM) -> Decision:
    """The one decision about some credentials; a second one fails the test."""
    decisions: list[Decision] = []
    came = asyncio.Event()

    def done(decision: Decision) -> None:
        decisions.append(decision)
        came.set()

    adapter.authenticate(credentials, done)
    await came.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(decisions) == 1
    return decisions[0]


async def test_the_answer_becomes_the_identity() -> None:
    adapter, _, _ = authenticator(by_password)
    decision = await decide(adapter)
    assert decision.identity is not None
    assert (decision.identity.name, decision.identity.method) == ("kim", PLUGIN)
    assert decision.identity.groups == ("people",)
    assert not decision.identity.administrator


async def test_a_wrong_password_and_an_unknown_user_look_the_same_to_the_client() -> None:
    adapter, _, _ = authenticator(by_password)
    wrong = await decide(adapter, replace(KIM, password=b"guess"))
    unknown = await decide(adapter, replace(KIM, username="jo"))
    assert wrong.reason == unknown.reason == reasons.BAD_USER_NAME_OR_PASSWORD
    assert (wrong.unknown, unknown.unknown) == (False, True)


async def test_who_presents_nothing_is_not_authorized() -> None:
    adapter, _, _ = authenticator(by_password)
    decision = await decide(adapter, replace(KIM, username=None, password=None))
    assert decision.reason == reasons.NOT_AUTHORIZED


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError(1), SystemExit(3), KeyboardInterrupt()])
async def test_an_exception_refuses_and_is_logged_with_its_traceback_once(
    error: BaseException, loop_errors: list[object]
) -> None:
    async def broken(credentials: Credentials) -> Answer:
        raise error

    adapter, plugin, _ = authenticator(broken)
    with capture_logs() as log:
        first, second = await decide(adapter), await decide(adapter)
    assert first.reason == second.reason == reasons.SERVER_UNAVAILABLE
    assert first.detail == f"the plug-in scripted failed: {type(error).__name__}"
    assert plugin.asked == 2, "failures are not used again"
    assert [entry["event"] for entry in log] == ["plug-in failed"]
    assert log[0]["exc_info"][1] is error


async def test_a_failure_after_an_answer_is_logged_again() -> None:
    async def up_and_down(credentials: Credentials) -> Answer:
        if plugin.asked % 2:
            raise OSError("down")
        return Accepted("kim")

    adapter, plugin, _ = authenticator(up_and_down, seconds=0)
    with capture_logs() as log:
        decisions = [await decide(adapter) for _ in range(4)]
    assert [decision.identity is not None for decision in decisions] == [False, True, False, True]
    assert len(log) == 2


async def test_a_plugin_that_takes_too_long_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def slow(credentials: Credentials) -> Answer:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError("never")

    adapter, _, calls = authenticator(slow, timeout=0.02)
    with capture_logs() as log:
        decision = await decide(adapter)
    assert decision.reason == reasons.SERVER_UNAVAILABLE
    assert cancelled.is_set()
    assert calls.running == 0
    assert len(log) == 1


async def test_a_plugin_that_ignores_its_cancellation_keeps_its_place_until_it_ends() -> None:
    release = asyncio.Event()

    async def stubborn(credentials: Credentials) -> Answer:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Accepted("kim")

    adapter, plugin, calls = authenticator(stubborn, timeout=0.02, at_once=1)
    assert (await decide(adapter)).reason == reasons.SERVER_UNAVAILABLE
    assert calls.running == 1
    # The next one waits for that place, and in vain: its plug-in is never asked.
    assert (await decide(adapter)).reason == reasons.SERVER_BUSY
    assert plugin.asked == 1
    release.set()
    while calls.running:
        await asyncio.sleep(0)
    assert (await decide(adapter)).identity is not None


async def test_a_plugin_that_cancels_itself_refuses() -> None:
    async def suicidal(credentials: Credentials) -> Answer:
        raise asyncio.CancelledError

    adapter, _, calls = authenticator(suicidal)
    assert (await decide(adapter)).reason == reasons.SERVER_UNAVAILABLE
    assert calls.running == 0


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        Accepted(""),
        Accepted("anonymous"),
        Accepted("two\nlines"),
        Accepted("kim", groups=["people"]),  # type: ignore[arg-type]
        Accepted("kim", expires="soon"),  # type: ignore[arg-type]
        Accepted("kim", expires=float("inf")),
        Accepted("kim", expires=float("nan")),
        Accepted("kim", expires=10**400),
        Accepted("kim", expires=-1.0),
        Accepted("kim", rules=(Rule("everyone", ("fly",), "#"),)),
        Refused(None),  # type: ignore[arg-type]
    ],
)
async def test_what_is_no_answer_refuses(answer: object) -> None:
    async def odd(credentials: Credentials) -> Answer:
        return answer  # type: ignore[return-value]

    adapter, plugin, _ = authenticator(odd)
    assert (await decide(adapter)).reason == reasons.IMPLEMENTATION_SPECIFIC_ERROR
    await decide(adapter)
    assert plugin.asked == 2, "it is not used again"


async def test_a_name_that_cannot_be_one_fills_no_log() -> None:
    """A server that says 200 to everybody gives the client the user name that it sent."""

    async def careless(credentials: Credentials) -> Answer:
        return Accepted(credentials.username or "")

    adapter, _, _ = authenticator(careless)
    with capture_logs() as log:
        decision = await decide(adapter, replace(KIM, username="\u200b" * 20_000))
    assert decision.reason == reasons.IMPLEMENTATION_SPECIFIC_ERROR
    assert "is empty, reserved, too long, or does not print" in decision.detail
    assert len(decision.detail) < 1000
    assert len(str(log)) < 1000


async def test_a_method_that_is_not_async_refuses() -> None:
    class Plain(Plugin):
        def authenticate(self, credentials: Credentials) -> Answer:  # type: ignore[override]
            return Accepted("kim")

    adapter = PluginAuthenticator(
        Plain(Options("plain", {})), Calls("plain", 5.0, structlog.get_logger()), 60.0
    )
    assert (await decide(adapter)).reason == reasons.SERVER_UNAVAILABLE


async def test_so_many_are_asked_at_once_and_so_many_wait() -> None:
    release = asyncio.Event()
    most = 0

    async def gathering(credentials: Credentials) -> Answer:
        nonlocal most
        most = max(most, calls.running)
        await release.wait()
        return Accepted(credentials.client_id)

    adapter, plugin, calls = authenticator(gathering, at_once=2, waiting=3)
    questions = [asyncio.create_task(decide(adapter, replace(KIM, client_id=f"c{n}"))) for n in range(6)]
    while not any(task.done() for task in questions):
        await asyncio.sleep(0)
    assert plugin.asked == 2
    release.set()
    decisions = [await task for task in questions]
    assert [decision.reason for decision in decisions] == [reasons.SUCCESS] * 5 + [reasons.SERVER_BUSY]
    assert calls.counts() == {"plugin_asked": 6, "plugin_failed": 0, "plugin_turned_away": 1}
    assert most == 2


async def test_closing_answers_everybody_once() -> None:
    async def never(credentials: Credentials) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    adapter, _, calls = authenticator(never, at_once=1)
    questions = [asyncio.create_task(decide(adapter)) for _ in range(3)]
    while calls.running == 0:
        await asyncio.sleep(0)
    calls.close()
    assert {(await task).reason for task in questions} == {reasons.SERVER_UNAVAILABLE}
    assert (await decide(adapter)).reason == reasons.SERVER_UNAVAILABLE


async def test_an_answer_is_used_again_for_the_same_credentials_only() -> None:
    adapter, plugin, _ = authenticator(by_password)
    for port in range(3):
        await decide(adapter, replace(KIM, peer=f"127.0.0.1:{50000 + port}"))
    assert plugin.asked == 1
    others = [
        replace(KIM, password=b"secret2"),
        replace(KIM, username="kim2"),
        replace(KIM, client_id="c2"),
        replace(KIM, listener="other"),
        replace(KIM, peer="127.0.0.2:50000"),
        replace(KIM, password=None),
        replace(KIM, password=b""),
        replace(KIM, psk_identity="kim"),
        replace(KIM, assigned=True),
    ]
    for credentials in others:
        await decide(adapter, credentials)
    assert plugin.asked == 1 + len(others)


async def test_nothing_is_used_again_where_the_cache_is_off() -> None:
    adapter, plugin, _ = authenticator(by_password, seconds=0)
    await decide(adapter)
    await decide(adapter)
    assert plugin.asked == 2


async def test_what_has_expired_is_refused_and_not_used_again() -> None:
    async def past(credentials: Credentials) -> Answer:
        return Accepted("kim", expires=time.time() - 1)

    adapter, plugin, _ = authenticator(past)
    assert (await decide(adapter)).reason == reasons.NOT_AUTHORIZED
    await decide(adapter)
    assert plugin.asked == 2


async def test_a_password_is_not_kept_in_the_cache() -> None:
    adapter, _, _ = authenticator(by_password)
    await decide(adapter)
    assert b"secret" not in repr(vars(adapter._answers)).encode()


async def test_a_slow_plugin_parks_its_client_and_nobody_else() -> None:
    release = asyncio.Event()

    async def slow_for_jo(credentials: Credentials) -> Answer:
        if credentials.username == "jo":
            await release.wait()
        return Accepted(credentials.username or "")

    adapter, _, calls = authenticator(slow_for_jo)
    async with serving(authenticator=adapter) as served:
        waiting = asyncio.create_task(served.client("c-jo", username="jo"))
        while calls.running == 0:
            await asyncio.sleep(0)
        kim: Wire = await served.client("c-kim", username="kim")
        await kim.ping()
        assert not waiting.done()
        release.set()
        await waiting
