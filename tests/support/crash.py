"""A process that is killed, as by kill -9, before each of its changes of the disk in turn."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

CHANGES = ("write", "fsync", "replace", "rename", "unlink", "rmdir", "mkdir")


def killed_at(step: int, action: Callable[[], object]) -> bool:
    """Runs `action` in a child that dies at its change number `step`, from 1; a write is cut in half then.

    Gives whether it died; False: it had fewer changes, and is done.
    """
    child = os.fork()
    if child == 0:
        try:
            _die_at(step)
            action()
        except BaseException:
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the action failed in the child"
    return False


def _die_at(step: int) -> None:
    left = [step]

    def dying(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def change(*arguments: Any, **keywords: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                if name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        return change

    for name in CHANGES:
        setattr(os, name, dying(name))
