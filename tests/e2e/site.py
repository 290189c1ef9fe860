"""One `lockwire up` with a listener of every kind, and what a client needs to reach it."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.daemon import Lockwire, lockwire

LISTENERS = """
[[listener]]
name = "plain"
transport = "tcp"
port = 0
authentication = ["password", "scram"]

[[listener]]
name = "ipv6"
transport = "tcp"
address = "::1"
port = 0
authentication = ["password"]

[[listener]]
name = "unix"
transport = "unix"
path = "mqtt.sock"
authentication = ["password"]

[[listener]]
name = "ws"
transport = "ws"
port = 0
authentication = ["password"]

[[listener]]
name = "tls"
transport = "tls"
address = "127.0.0.1"
port = 0
client_certificates = "optional"
authentication = ["certificate", "password", "scram"]

[[listener]]
name = "tls12"
transport = "tls"
address = "127.0.0.1"
port = 0
client_certificates = "optional"
authentication = ["certificate", "password"]
[listener.tls]
maximum_version = "1.2"

[[listener]]
name = "tls13"
transport = "tls"
address = "127.0.0.1"
port = 0
client_certificates = "optional"
authentication = ["certificate", "password"]
[listener.tls]
minimum_version = "1.3"

[[listener]]
name = "mutual"
transport = "tls"
address = "127.0.0.1"
port = 0
client_certificates = "required"
authentication = ["certificate"]

[[listener]]
name = "wss"
transport = "wss"
address = "127.0.0.1"
port = 0
client_certificates = "optional"
authentication = ["certificate", "password"]

[limits]
packet_size = "4 MiB"
"""


@dataclass(frozen=True)
class Files:
    """What `lockwire device add` wrote."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Channel:
    """A way to connect: a listener, and how the client says who it is there.

    host, port: where; for the transport "unix" the host is the path. tls: the TLS version, "" for none.
    files: the device's; its certificate is presented where `username` is None.
    """

    name: str
    host: str
    port: int
    tls: str
    transport: Literal["tcp", "websockets", "unix"]
    files: Files
    username: str | None
    password: str | None

    @property
    def mutual(self) -> bool:
        """Whether the client says by its certificate who it is."""
        return self.username is None

    def context(self) -> ssl.SSLContext | None:
        """What Python's clients need for TLS here; None without it."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=str(self.files.ca))
        if self.mutual:
            context.load_cert_chain(self.files.certificate, self.files.key)
        return context


CHANNELS = ("plain", "tls12", "tls13", "mutual", "ws", "wss")
"""Those that every kind of client is tried on, as far as it speaks them."""


class Site:
    """A running broker with its data folder, administrator and one device."""

    def __init__(self, folder: Path, configuration: str = LISTENERS) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.configuration = folder / "lockwire.toml"
        self.configuration.write_text(configuration)
        self.password = ""
        self.start()
        self.device = self.add_device("sensor1")

    def start(self) -> None:
        """Start the broker, the first time or again."""
        self.broker = Lockwire(
            self.folder, "up", "--data", self.data, "--config", self.configuration, ready="Ctrl-C stops"
        )
        made = re.search(r"user admin, password (\S+)", self.broker.output)
        if made is not None:
            self.password = made[1]

    def add_device(self, name: str) -> Files:
        """`lockwire device add`, by the running broker."""
        out = self.folder / "devices" / name
        done = lockwire("device", "add", name, "--out", out, "--data", self.data)
        assert done.returncode == 0, done.stdout + done.stderr
        return Files(out / "ca.pem", out / f"{name}.pem", out / f"{name}.key")

    def channel(self, name: str) -> Channel:
        """The way through the listener of this name, or by certificate through `mutual`."""
        tls = {"tls": "1.3", "tls12": "1.2", "tls13": "1.3", "mutual": "1.3", "wss": "1.3"}.get(name, "")
        host = {"ipv6": "::1", "unix": str(self.folder / "mqtt.sock")}.get(name, "127.0.0.1")
        transport: Literal["tcp", "websockets", "unix"] = "tcp"
        if name in ("ws", "wss"):
            transport = "websockets"
        elif name == "unix":
            transport = "unix"
        with_certificate = name == "mutual"
        return Channel(
            name,
            host,
            self.broker.ports[name] or 1883,
            tls,
            transport,
            self.device,
            None if with_certificate else "admin",
            None if with_certificate else self.password,
        )
