"""`lockwire cert`: the group. Its commands are in modules of their own, which add themselves to `app`."""

from __future__ import annotations

from lockwire.cli.options import group

app = group("Certificates and keys: issued here, or any file of yours or others.")
