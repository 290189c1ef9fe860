"""What a connection costs in memory; OpenSSL's own part is most of it."""

from __future__ import annotations

import ctypes
import gc
import sys

import pytest

from lockwire.tls.session import Session
from tests.tls.certificates import TestPki
from tests.tls.conftest import MakeContext
from tests.tls.peers import TLS13, Client, client_context, shake_hands


class Mallinfo(ctypes.Structure):
    """struct mallinfo2 of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def heap_in_use() -> int:
    """Bytes that malloc has handed out, OpenSSL's included."""
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is None:
        pytest.skip("needs glibc 2.33")
    mallinfo.restype = Mallinfo
    now = mallinfo()
    return int(now.uordblks + now.hblkhd)


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
@pytest.mark.parametrize(("mode", "limit"), [("none", 16_000), ("required", 25_000)])
def test_memory_of_an_idle_session(server_context: MakeContext, pki: TestPki, mode: str, limit: int) -> None:
    """The broker's 20 KB and 26 KB for a whole connection leave this much for TLS."""
    context = server_context(client_certificates=mode)
    config = client_context(pki.root_pem, TLS13, pki.device)
    shake_hands(context, Client(config))
    gc.collect()
    before = heap_in_use()
    sessions = [shake_hands(context, Client(config)) for _ in range(100)]
    gc.collect()
    assert (heap_in_use() - before) / len(sessions) < limit
    assert all(session.established for session in sessions)


def test_sessions_leave_nothing_behind(server_context: MakeContext, pki: TestPki) -> None:
    """No cycles: with the collector off, dropping a session frees all of it."""
    context = server_context(client_certificates="required")
    good = client_context(pki.root_pem, TLS13, pki.device)
    bad = client_context(pki.root_pem, TLS13)

    def round_trip() -> None:
        session = shake_hands(context, Client(good))
        session.send(b"x" * 70_000)
        session.close()
        assert shake_hands(context, Client(bad)).failure is not None
        Session(context).abandon()

    for _ in range(20):
        round_trip()
    gc.collect()
    gc.disable()
    try:
        before = heap_in_use()
        for _ in range(100):
            round_trip()
        assert heap_in_use() - before < 20_000
    finally:
        gc.enable()
