"""The programs of others that tests talk to, and where they are."""

from __future__ import annotations

import shutil
from pathlib import Path

NODE_FOLDER = Path(__file__).parents[1] / "e2e" / "node"
"""Where `scripts/peers` installs MQTT.js: run node there, so that it finds it."""


def find_peer(name: str) -> str | None:
    """The path of a program, also in /usr/sbin, or of a C header; for `mqtt.js` node's, if it has MQTT.js."""
    if name == "mqtt.js":
        return shutil.which("node") if (NODE_FOLDER / "node_modules" / "mqtt").is_dir() else None
    if name in ("initdb", "postgres"):
        # Debian keeps them out of the PATH.
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        return str(found[-1]) if found else shutil.which(name)
    if name.endswith(".h"):
        header = Path("/usr/include", name)
        return str(header) if header.exists() else None
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def peer_path(name: str) -> str:
    """As `find_peer`, in a test marked `peer(name)`, which does not run without it."""
    path = find_peer(name)
    if path is None:
        raise LookupError(f"{name} is not installed; is the test marked pytest.mark.peer({name!r})?")
    return path
