"""Builds the hot modules with mypyc where a C compiler is at hand; without one they run interpreted.

`LOCKWIRE_PURE=1` at install time leaves compilation out; at run time it selects the interpreted source.
"""

from __future__ import annotations

import os
import sys

from setuptools import setup

COMPILED = [
    *(
        f"src/lockwire/mqtt/{name}.py"
        for name in (
            "reasons",
            "errors",
            "packets",
            "reader",
            "properties",
            "bodies",
            "decoder",
            "encoder",
            "topics",
            "message",
        )
    ),
    "src/lockwire/tls/clienthello.py",
    *(
        f"src/lockwire/access/rights/{name}.py"
        for name in ("masks", "placeholders", "regexp", "evaluator", "coverage")
    ),
    "src/lockwire/access/authorizer.py",
    "src/lockwire/access/observer.py",
    "src/lockwire/tls/session.py",
    "src/lockwire/store/interface.py",
    "src/lockwire/store/memory.py",
    *(
        f"src/lockwire/broker/{name}.py"
        for name in (
            "counters",
            "wheel",
            "lifetime",
            "commit",
            "topictree",
            "core",
            "listener",
            "link",
            "replaying",
            "routes",
            "router",
            "session",
            "retained",
            "hub",
            "registry",
            "connecting",
            "subscribing",
            "publishing",
            "connection",
        )
    ),
]


def extensions() -> list[object]:
    if os.environ.get("LOCKWIRE_PURE") == "1":
        return []
    try:
        from mypyc.build import mypycify
    except ImportError:
        print("lockwire: mypyc is missing, the hot modules will run interpreted", file=sys.stderr)
        return []
    modules = mypycify(["--strict", *COMPILED], opt_level="3", debug_level="0")
    for module in modules:
        module.optional = True
    return modules


setup(ext_modules=extensions())
