"""OpenSSL's command, for making what others make and judging what we make."""

from __future__ import annotations

import subprocess
from pathlib import Path


def openssl(*arguments: object, cwd: Path | None = None, stdin: bytes = b"") -> str:
    """Run it, and give what it prints; it must succeed."""
    done = subprocess.run(
        ["openssl", *map(str, arguments)], cwd=cwd, input=stdin, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, (done.stderr + done.stdout).decode(errors="replace")
    return done.stdout.decode(errors="replace")


def verifies(leaf: Path, anchor: Path, *options: object, chain: Path | None = None) -> bool:
    """Whether `openssl verify` accepts a certificate under a trust anchor; `chain` is what comes along."""
    untrusted = [] if chain is None else ["-untrusted", chain]
    command = ["openssl", "verify", *options, "-CAfile", anchor, *untrusted, leaf]
    done = subprocess.run([*map(str, command)], capture_output=True, timeout=60, check=False)
    return done.returncode == 0
