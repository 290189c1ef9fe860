"""The page of documentation on `lockwire.toml`, made from the model of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockwire.config.describe import default_of, expected_of
from lockwire.config.keys import field_at, table_name, tables
from lockwire.config.limits import Section

INTRODUCTION: Final = """\
# Configuration: lockwire.toml

<!-- Made by `make docs` from src/lockwire/config; edit it there. -->

`lockwire up` and `lockwire broker` run without a configuration file. With `--config lockwire.toml` they read
one in [TOML](https://toml.io). Every key is optional, unless its text says otherwise.

- Under `lockwire up` the file's listeners replace the two that it has by itself, and every other setting
  overrides one default.
- A listener takes from `[tls]` and `[limits]` what its own `[listener.tls]` and `[listener.limits]` leave
  out.
- Bytes are a whole number, or text with a unit: `"64 KiB"`, `"16 MiB"`, `"1 GiB"` (1,024 each) or `"64 kB"`,
  `"16 MB"`, `"1 GB"` (1,000 each).
- Durations are a number of seconds, or text with a unit: `"500 ms"`, `"10 s"`, `"5 min"`, `"1 h"`, `"7 d"`.
- File names are relative to the folder of `lockwire.toml`.
- A listener needs `authentication`. Whoever wants to let anybody in writes `authentication = ["anonymous"]`.
  Passwords on an unencrypted listener work, and are pointed out at every start.
- An unknown key, a wrong value or a contradiction stops the start (exit status 2), and all of them are listed
  with file, line, what was found and what was expected:

```
lockwire.toml:7: listener[1].prot: unknown key; expected a key of [[listener]]; did you mean port?
```

SIGHUP reads the file again; connections stay.
"""

LISTENER: Final = (
    "One place where clients connect; any number of them. Exactly what its keys say is allowed there."
)

EXAMPLE: Final = """\
# MQTT over TLS for devices, each with a client certificate.
[[listener]]
name = "devices"
transport = "tls"
port = 8883
client_certificates = "required"
authentication = ["certificate"]

# Browsers and people: WebSocket over TLS, with a password or a certificate.
[[listener]]
name = "browsers"
transport = "wss"
port = 9883
client_certificates = "optional"
authentication = ["certificate", "password"]

[listener.websocket]
path = "/mqtt"
origins = ["https://dashboard.example.org"]

# Old devices: TLS 1.2 with suites they know, small records, and smaller limits.
[[listener]]
name = "old-devices"
transport = "tls"
port = 8884
client_certificates = "required"
authentication = ["certificate"]

[listener.tls]
maximum_version = "1.2"
cipher_suites = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
maximum_record_size = "4 KiB"
handshake_timeout = "30 s"

[listener.limits]
packet_size = "256 KiB"
connections = 500

# Programs on this machine, without TLS, by user name and password.
[[listener]]
name = "local"
transport = "unix"
path = "mqtt.sock"
authentication = ["password"]

# For all listeners that have TLS. Under `lockwire up` leave these three out: it has its own.
[tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"

[limits]
connections_per_address = 200
queue_bytes = "4 MiB"
session_expiry_maximum = "7 d"

[log]
level = "info"
format = "json"

[metrics]
enabled = true
port = 9884
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_sections(), "## An example\n", f"```toml\n{EXAMPLE}```", ""])


def _sections() -> Iterator[str]:
    for path, model in sorted(tables().items(), key=lambda item: item[0][0] != "listener"):
        yield f"## {table_name(path)}\n"
        yield f"{LISTENER if path == ('listener',) else field_at(path).description}\n"
        if path == ("listener", "tls"):
            yield "It has the keys of [`[tls]`](#tls).\n"
            continue
        if path == ("listener", "limits"):
            yield "It has these keys of [`[limits]`](#limits): " + _names(model) + ".\n"
            continue
        yield from _table(model)
        yield ""


def _table(model: type[Section]) -> Iterator[str]:
    yield "| key | value | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, field in model.model_fields.items():
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
            cells = (f"`{name}`", expected_of(field), default_of(field), field.description or "")
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _names(model: type[Section]) -> str:
    return ", ".join(f"`{name}`" for name in model.model_fields)
