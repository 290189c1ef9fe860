"""Builds the hot modules with mypyc where a C compiler is at hand; without one they run interpreted.

`LOCKWIRE_PURE=1` at install time leaves compilation out; at run time it selects the interpreted source.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import setup

COMPILED = [
    *(f"src/lockwire/mqtt/{name}.py" for name in ("reasons", "errors", "packets", "reader", "properties", "bodies", "decoder", "encoder", "topics")),
    "src/lockwire/tls/session.py",
    *(f"src/lockwire/broker/{name}.py" for name in (
        "frames", "message", "link", "outbox", "connection", "session", "router", "topictree", "wheel", "counters",
    )),
]


def extensions() -> list[object]:
    if os.environ.get("LOCKWIRE_PURE") == "1":
        return []
    try:
        from mypyc.build import mypycify
    except ImportError:
        print("lockwire: mypyc is missing, the hot modules will run interpreted", file=sys.stderr)
        return []
    sources = [path for path in COMPILED if Path(path).exists()]
    modules = mypycify(["--strict", *sources], opt_level="3", debug_level="0")
    for module in modules:
        module.optional = True
    return modules


setup(ext_modules=extensions())
