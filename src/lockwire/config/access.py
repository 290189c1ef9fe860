"""Settings of who clients are: names out of certificates, keys, tokens, plug-ins, the authority."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr

from lockwire.config.limits import Section
from lockwire.config.units import Duration, FileOrUrl, FilePath

UsernameFrom = Literal["cn", "subject", "san-dns", "san-email", "san-uri", "san-ip"]
ClientIdBinding = Literal["free", "same", "prefixed"]
TokenAlgorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"
]


class IdentitySettings(Section):
    """Who a client is on a listener: table `[listener.identity]`."""

    username_from: UsernameFrom = Field(
        default="cn",
        description="Which part of a client certificate is the user name: `cn` the common name, `subject` "
        "the whole subject as RFC 4514 writes it, `san-dns`, `san-email`, `san-uri` or `san-ip` the first "
        "such name of the subject alternative name.",
    )
    client_id: ClientIdBinding = Field(
        default="free",
        description="How the client identifier is bound to who the client is. `free`: any that no other "
        "identity's session has; `same`: the user name itself; `prefixed`: the user name, alone or followed "
        "by `-`, `:`, `.`, `_` or `/` and more.",
    )


class PskSettings(Section):
    """Pre-shared keys of a listener: table `[listener.psk]`, for `authentication = [\"psk\"]`."""

    hint: str = Field(
        default="",
        max_length=128,
        description="The identity hint that clients are sent before they choose a key (RFC 4279).",
    )
    file: FilePath | None = Field(
        default=None,
        description="A file of keys, `identity:key in hexadecimal` a line, as Mosquitto's psk_file. Without "
        "it the identities are those of `lockwire psk`.",
    )


class TokenSettings(Section):
    """Table `[token]`: JSON Web Tokens (RFC 7519) as the password, or in MQTT 5 AUTH (method `JWT`)."""

    algorithms: list[TokenAlgorithm] = Field(
        default=["ES256", "RS256"],
        description="Signature algorithms that are accepted (RFC 7518 section 3.1). HS and the others "
        "cannot be mixed: a public key would pass for a secret.",
    )
    jwks: FileOrUrl = Field(
        default="",
        description="Where the keys are: a file name, or an `https` URL (`http` on loopback only), of a JWK "
        "set (RFC 7517).",
    )
    jwks_ca: FilePath | None = Field(
        default=None,
        description="CA certificates (PEM) that the server of an `https` URL is checked with. "
        "Without it: those of the system.",
    )
    jwks_cache: Duration = Field(
        default=600.0,
        ge=1,
        le=86_400,
        description="Time that keys from a URL are used before they are read again.",
    )
    secret_file: FilePath | None = Field(
        default=None,
        description="The secret of the HS algorithms, 32 bytes or more, in a file for the "
        "broker's user only.",
    )
    issuer: str = Field(default="", description="The `iss` that a token must have. Empty: any.")
    audience: str = Field(default="", description="The `aud` that a token must name. Empty: any, or none.")
    username_claim: str = Field(default="sub", min_length=1, description="The claim that is the user name.")
    groups_claim: str = Field(
        default="groups", description="The claim that lists the client's groups. Empty: none is read."
    )
    permissions_claim: str = Field(
        default="permissions",
        description="The claim that lists permissions of the client's own, as objects like the rules of "
        "`lockwire access export` without `who`. Empty: none is read.",
    )
    leeway: Duration = Field(
        default=30.0, ge=0, le=600, description="How far clocks may differ when `exp` and `nbf` are judged."
    )


class PluginSettings(Section):
    """Table `[plugin]`: a plug-in that decides about clients, for `authentication = [\"plugin\"]`."""

    name: str = Field(
        default="",
        description="The plug-in's name, as it is registered under the entry point `lockwire.authenticator`. "
        "`sql` and `http` come with Lockwire.",
    )
    authorize: bool = Field(
        default=False,
        description="Whether the plug-in also decides what clients may publish and subscribe to, where no "
        "rule of Lockwire's own does.",
    )
    timeout: Duration = Field(
        default=5.0, ge=0.1, le=60, description="Time for one answer; without it the client is refused."
    )
    cache: Duration = Field(
        default=60.0, ge=0, le=86_400, description="Time that an answer is used again; 0: not at all."
    )
    options: dict[str, str | int | float | bool] = Field(
        default={},
        description="What the plug-in wants to know, in table `[plugin.options]`. Relative file names are "
        "relative to this file's folder.",
        json_schema_extra={"expected": "a table of texts, numbers, true or false"},
    )
    _folder: Path = PrivateAttr(default_factory=Path)

    @property
    def folder(self) -> Path:
        """What relative file names among the options are relative to: the configuration's folder."""
        return self._folder

    def read_in(self, folder: Path) -> None:
        """Says which folder the configuration lies in."""
        self._folder = folder


class AuthoritySettings(Section):
    """Table `[authority]`: what the data folder's certificate authority tells the world."""

    crl_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="URL of the revocation list, written into certificates that are issued from then on.",
        json_schema_extra={"expected": "a URL that starts with http://"},
    )
    ocsp_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="URL of the OCSP responder, written into certificates that are issued from then on.",
        json_schema_extra={"expected": "a URL that starts with http://"},
    )
    crl_lifetime: Duration = Field(
        default=604_800.0,
        ge=3600,
        le=31_536_000,
        description="Time from a revocation list to its nextUpdate. It is written anew at half of it.",
    )
    serve: bool = Field(
        default=False,
        description="Whether revocation lists (`/crl.pem`, `/crl.der`), the root (`/ca.pem`, `/ca.der`) and "
        "OCSP (`/ocsp`) are served over HTTP. They are signed, so they need no TLS.",
    )
    address: str = Field(
        default="127.0.0.1",
        pattern=r"^[0-9A-Za-z:._%-]+$",
        json_schema_extra={"expected": "an IP address or host name"},
        description="Address to serve them on.",
    )
    port: int = Field(default=9885, ge=0, le=65_535, description="TCP port; 0 lets the system choose one.")
