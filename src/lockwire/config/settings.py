"""The settings of a broker: one typed model, every default in one place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import Field, PrivateAttr, model_validator

from lockwire.config.access import (
    AuthoritySettings,
    IdentitySettings,
    PluginSettings,
    PskSettings,
    TokenSettings,
)
from lockwire.config.addresses import any_address, ipv6_available, is_loopback
from lockwire.config.checks import check_settings
from lockwire.config.limits import LimitSettings, ListenerLimitSettings, Section
from lockwire.config.units import ByteCount, Duration, FilePath

Transport = Literal["tcp", "tls", "ws", "wss", "unix"]
ClientCertificates = Literal["none", "optional", "required"]
AuthenticationMethod = Literal["certificate", "password", "scram", "psk", "token", "plugin", "anonymous"]
Needs = Literal["any", "all"]
TlsVersion = Literal["auto", "1.2", "1.3"]

PORTS: Final = {"tcp": 1883, "tls": 8883, "ws": 9001, "wss": 9883, "unix": 0}

AnySection = TypeVar("AnySection", bound=Section)


class TlsSettings(Section):
    """TLS of a listener: table `[listener.tls]`; what it leaves out comes from table `[tls]`."""

    policy: str = Field(
        default="",
        description="A named policy: `modern`, `intermediate`, or a family of devices such as `esp8266` or "
        "`netcontrol`, which sets versions, cipher suites, groups and record size as those need them. What "
        "is written beside it counts more. Empty: TLS 1.2 and 1.3 with forward secrecy.",
    )
    minimum_version: TlsVersion = Field(
        default="auto",
        description="Oldest TLS version accepted. `auto` is 1.2; older ones are never accepted.",
    )
    maximum_version: TlsVersion = Field(
        default="auto", description="Newest TLS version accepted. `auto` is the newest that OpenSSL has."
    )
    cipher_suites: list[str] = Field(
        default=[],
        description="Cipher suites by IANA name (`TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`) or OpenSSL name "
        "(`ECDHE-ECDSA-AES128-GCM-SHA256`), the preferred first. Empty: a good choice for the versions "
        "accepted.",
    )
    groups: list[str] = Field(
        default=[],
        description="Groups for the key exchange (`X25519`, `P-256`, ...), the preferred first. Empty: "
        "OpenSSL's choice.",
    )
    certificate: FilePath | None = Field(
        default=None,
        description="The server's certificate (PEM) with its intermediates behind it. Under `lockwire up` "
        "the data folder's own, where nothing is written.",
    )
    key: FilePath | None = Field(default=None, description="The private key of `certificate` (PEM).")
    alternate_certificate: FilePath | None = Field(
        default=None,
        description="A second certificate (PEM) with another kind of key, for clients that cannot verify "
        "the first: RSA beside ECDSA.",
    )
    alternate_key: FilePath | None = Field(
        default=None, description="The private key of `alternate_certificate` (PEM)."
    )
    client_ca: FilePath | None = Field(
        default=None,
        description="The CA certificates (PEM) that client certificates are checked against. Under "
        "`lockwire up` the data folder's own, where nothing is written.",
    )
    crl: FilePath | None = Field(
        default=None, description="Certificate revocation lists (PEM) for client certificates."
    )
    crl_failure: Literal["refuse", "serve"] = Field(
        default="refuse",
        description="What happens to client certificates while a list of `crl` has expired or one is missing "
        "for a CA: `refuse` them all, or `serve` on with what the lists last said. Both are reported as the "
        "broker's own fault, in the log, in `lockwire status` and in the metrics.",
    )
    alpn: list[str] = Field(
        default=["mqtt"],
        description="Application protocols (ALPN) that the listener speaks, the preferred first. A client "
        "that offers none, or only others, still connects.",
    )
    session_tickets: bool = Field(
        default=True,
        description="Whether a client that comes back may resume its TLS session, which is much cheaper than "
        "a full handshake.",
    )
    maximum_record_size: ByteCount = Field(
        default=16_384,
        ge=512,
        le=16_384,
        description="Most bytes of plaintext in one TLS record that the broker sends. Small devices hold a "
        "record in memory: 4 KiB serves them.",
    )
    handshake_timeout: Duration = Field(
        default=10.0, ge=0.1, le=600, description="Time for the TLS handshake; then the connection is closed."
    )

    _beside_policy: frozenset[str] | None = PrivateAttr(default=None)

    @property
    def beside_policy(self) -> frozenset[str]:
        """The names of what was written as near as `policy` or nearer to the listener: it counts more."""
        written = self._beside_policy
        return frozenset(self.model_fields_set) if written is None else written


class WebSocketSettings(Section):
    """WebSocket of a `ws` or `wss` listener: table `[listener.websocket]`."""

    path: str = Field(
        default="/mqtt",
        pattern=r"^(/[^\s?#]*)?$",
        description="Path that clients must ask for in the URL. Empty: any.",
        json_schema_extra={"expected": "a path that starts with /"},
    )
    origins: list[str] = Field(
        default=[],
        description="Web pages whose scripts may connect, as `https://host` or `https://host:port`. Empty: "
        "pages of the host that the request itself names; `*`: every page. Programs that are no browser name "
        "no page and may always connect.",
    )


class ListenerSettings(Section):
    """One place where clients connect: a table `[[listener]]` each."""

    transport: Transport = Field(
        default="tls",
        description="`tcp`: MQTT without encryption; `tls`: MQTT over TLS; `ws`: MQTT over WebSocket, "
        "without encryption; `wss`: MQTT over WebSocket over TLS; `unix`: a socket in the file system.",
    )
    address: str = Field(
        default_factory=lambda data: default_address(data),
        pattern=r"^[0-9A-Za-z:._%-]+$",
        json_schema_extra={
            "default": "`tls`, `wss`: every address; `tcp`, `ws`: `127.0.0.1`",
            "expected": "an IP address or host name",
        },
        description="IP address or host name to listen on. `::` is every address, IPv6 and IPv4, and "
        "`0.0.0.0` every IPv4 address.",
    )
    port: int = Field(
        default_factory=lambda data: PORTS.get(data.get("transport", ""), 0),
        ge=0,
        le=65_535,
        description="TCP port; 0 lets the system choose a free one.",
        json_schema_extra={"default": "`tcp` 1883, `tls` 8883, `ws` 9001, `wss` 9883"},
    )
    name: str = Field(
        default_factory=lambda data: default_name(data),
        pattern=r"^[^\s/+#]{1,64}$",
        description="Name for logs, metrics and commands; every listener has its own.",
        json_schema_extra={
            "default": "transport and port, as in `tls-8883`",
            "expected": "up to 64 characters without spaces, /, + and #",
        },
    )
    path: FilePath | None = Field(
        default=None, description="File name of the socket; for transport `unix`, which needs it."
    )
    client_certificates: ClientCertificates = Field(
        default="none",
        description="Whether clients present a certificate in the TLS handshake: not asked for, asked for, "
        "or refused without one.",
    )
    authentication: list[AuthenticationMethod] = Field(
        default=[],
        description="How clients may prove who they are, asked in this order. `certificate`: a client "
        "certificate; `password`: user name and password; `scram`: SCRAM-SHA-256 (MQTT 5); `psk`: a "
        "pre-shared key, alone on a listener of its own; `token`: a JSON Web Token as the password or in "
        "AUTH; `plugin`: what the plug-in of `[plugin]` says; `anonymous`: anybody may connect. Must be "
        "written: there is no default.",
    )
    authentication_needs: Needs = Field(
        default="any",
        description="Whether `any` one of the methods is enough, or `all` of them must succeed and agree on "
        "the user name (a certificate and its user's password, for example).",
    )
    identity: IdentitySettings = Field(
        default_factory=IdentitySettings, description="Who a client is on one listener."
    )
    psk: PskSettings = Field(
        default_factory=PskSettings, description="Pre-shared keys of one listener, for authentication `psk`."
    )
    tls: TlsSettings = Field(
        default_factory=TlsSettings, description="TLS of one listener, for transports `tls` and `wss`."
    )
    websocket: WebSocketSettings = Field(
        default_factory=WebSocketSettings,
        description="WebSocket of one listener, for transports `ws` and `wss`.",
    )
    limits: ListenerLimitSettings = Field(
        default_factory=ListenerLimitSettings, description="Limits of one listener."
    )

    @property
    def encrypted(self) -> bool:
        """Whether TLS protects what goes over this listener."""
        return self.transport in ("tls", "wss")

    @property
    def uses_psk(self) -> bool:
        """Whether clients prove themselves with pre-shared keys here, and certificates play no part."""
        return "psk" in self.authentication

    @property
    def has_websocket(self) -> bool:
        """Whether MQTT goes over WebSocket here."""
        return self.transport in ("ws", "wss")

    @property
    def endpoint(self) -> str:
        """Where the listener is, for people: `tls [::]:8883`, `unix /run/mqtt.sock`."""
        if self.transport == "unix":
            return f"unix {self.path}"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.transport} {host}:{self.port}"


class LogSettings(Section):
    """Table `[log]`."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important records that are written."
    )
    format: Literal["text", "json"] = Field(
        default="text", description="`text` for people, `json` (one object a line) for programs."
    )
    file: FilePath | None = Field(
        default=None, description="File that records are appended to. Without it: standard error."
    )


class MetricsSettings(Section):
    """Table `[metrics]`: counters for Prometheus over HTTP."""

    enabled: bool = Field(default=False, description="Whether metrics are served.")
    address: str = Field(
        default="127.0.0.1",
        pattern=r"^[0-9A-Za-z:._%-]+$",
        json_schema_extra={"expected": "an IP address or host name"},
        description="IP address to serve them on. They are neither encrypted nor protected by a password.",
    )
    port: int = Field(default=9884, ge=0, le=65_535, description="TCP port; 0 lets the system choose one.")


class StoreSettings(Section):
    """Table `[store]`: where sessions, retained messages and what waits for clients are kept."""

    engine: Literal["memory"] = Field(default="memory", description="`memory`: gone when the broker stops.")


class SysSettings(Section):
    """Table `[sys]`: the topics under `$SYS` by which the broker tells about itself."""

    interval: Duration = Field(
        default=10.0, ge=0, le=86_400, description="Time between two publications; 0 turns them off."
    )
    readers: Literal["administrator", "everyone"] = Field(
        default="administrator", description="Who may read them."
    )


class Settings(Section):
    """Everything that can be set.

    After validation each listener's `tls` and `limits` are complete: what the listener did not set has the
    value of `tls` and `limits` here. Their `model_fields_set` still says what the listener itself set.
    Contradictions (see `lockwire.config.checks`) are refused with pydantic's ValidationError.
    """

    listeners: list[ListenerSettings] = Field(default=[], description="Where clients connect.")
    tls: TlsSettings = Field(default_factory=TlsSettings, description="TLS of every listener that has it.")
    limits: LimitSettings = Field(
        default_factory=LimitSettings,
        description="The defaults of every listener's limits, and the limits of the whole broker.",
    )
    log: LogSettings = Field(default_factory=LogSettings, description="The log.")
    metrics: MetricsSettings = Field(
        default_factory=MetricsSettings, description="Counters for Prometheus over HTTP."
    )
    store: StoreSettings = Field(
        default_factory=StoreSettings,
        description="Where sessions, retained messages and what waits for clients are kept.",
    )
    token: TokenSettings = Field(
        default_factory=TokenSettings, description="JSON Web Tokens, for authentication `token`."
    )
    plugin: PluginSettings = Field(
        default_factory=PluginSettings, description="The plug-in, for authentication `plugin`."
    )
    authority: AuthoritySettings = Field(
        default_factory=AuthoritySettings,
        description="What the data folder's certificate authority tells the world.",
    )
    sys: SysSettings = Field(
        default_factory=SysSettings,
        description="The topics under `$SYS`, by which the broker tells about itself.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        self.__dict__["listeners"] = [
            complete(listener, self.tls, self.limits) for listener in self.listeners
        ]
        problems = check_settings(self)
        if problems:
            raise ValueError("; ".join(str(problem) for problem in problems))
        return self

    def warnings(self) -> list[str]:
        """What is allowed here but should be known: what goes in the clear, who may come unknown."""
        return [warning for listener in self.listeners for warning in _warnings_of(listener)]

    @classmethod
    def for_up(cls, data: Path, tls_port: int = 8883, wss_port: int = 9883) -> Settings:
        """The settings of `lockwire up`: TLS and WebSocket over TLS on every address, nobody anonymous.

        `data` is the data folder, whose certificates are used.
        """
        listeners = [
            ListenerSettings(
                name=transport,
                transport=transport,
                address=any_address(),
                port=port,
                client_certificates="optional",
                authentication=["certificate", "password", "scram"],
            )
            for transport, port in _up_ports(tls_port, wss_port)
        ]
        tls = TlsSettings(
            certificate=data / "server" / "server.pem",
            key=data / "server" / "server.key",
            client_ca=data / "ca" / "clients.pem",
        )
        if os.path.exists(data / "ca" / "rsa-root.pem"):  # not Path.exists, which raises without permission
            rsa = {
                "alternate_certificate": data / "server" / "server-rsa.pem",
                "alternate_key": data / "server" / "server-rsa.key",
            }
            tls = tls.model_copy(update=rsa)
        return cls(listeners=listeners, tls=tls)

    @classmethod
    def for_trying(cls, port: int = 1883) -> Settings:
        """The settings of a bare `lockwire broker`: plain MQTT on loopback only, for everybody."""
        addresses = ["127.0.0.1", "::1"] if ipv6_available() else ["127.0.0.1"]
        listeners = [
            ListenerSettings(
                name=f"tcp-{address}",
                transport="tcp",
                address=address,
                port=port,
                authentication=["anonymous"],
            )
            for address in addresses
        ]
        return cls(listeners=listeners, sys=SysSettings(readers="everyone"))


def inherit(specific: AnySection, general: Section) -> AnySection:
    """A section with what it does not set itself taken from a more general one.

    An alternate certificate goes with the certificate to which it is one.
    """
    own = set(specific.model_fields_set)
    if "certificate" in own:
        own |= {"alternate_certificate", "alternate_key"}
    values: dict[str, Any] = {
        name: getattr(specific if name in own else general, name) for name in type(specific).model_fields
    }
    return type(specific).model_construct(_fields_set=set(specific.model_fields_set), **values)


def complete(listener: ListenerSettings, tls: TlsSettings, limits: LimitSettings) -> ListenerSettings:
    """A listener whose `tls` and `limits` have what it leaves out from the settings for all listeners."""
    update: dict[str, Section] = {"limits": inherit(listener.limits, limits)}
    if listener.encrypted:
        own = listener.tls.model_fields_set
        inherited = inherit(listener.tls, tls)
        inherited._beside_policy = frozenset(own if "policy" in own else own | tls.model_fields_set)
        update["tls"] = inherited
    completed = listener.model_copy(update=update)
    completed.model_fields_set.intersection_update(listener.model_fields_set)
    return completed


CLEAR_SECRETS: Final = frozenset({"password", "token", "plugin"})
"""Methods whose secret the client sends as it is."""


def default_address(data: dict[str, Any]) -> str:
    """Every address where TLS protects the listener, this machine alone where nothing does."""
    return any_address() if data.get("transport") in ("tls", "wss") else "127.0.0.1"


def default_name(data: dict[str, Any]) -> str:
    """Transport and port, as in `tls-8883`."""
    transport = data.get("transport", "listener")
    return "unix" if transport == "unix" else f"{transport}-{data.get('port', 0)}"


def _up_ports(tls_port: int, wss_port: int) -> list[tuple[Literal["tls", "wss"], int]]:
    return [("tls", tls_port), ("wss", wss_port)]


def _warnings_of(listener: ListenerSettings) -> list[str]:
    found = []
    where = f"listener {listener.name} ({listener.endpoint})"
    reach = "programs of this machine" if is_loopback(listener.address) else "anyone on the network between"
    if listener.transport in ("tcp", "ws"):
        if CLEAR_SECRETS & set(listener.authentication):
            found.append(
                f"{where}: user names and passwords go in the clear; {reach} can read them. Use TLS."
            )
        else:
            found.append(f"{where}: messages go in the clear; {reach} can read and change them.")
    if "anonymous" in listener.authentication:
        found.append(f"{where}: anybody who reaches it may connect without proving who they are.")
    return found
