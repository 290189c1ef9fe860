"""The plug-in `http`: another server decides, asked by POST with JSON.

    [plugin.options]
    url = "https://auth.example/mqtt"
    ca_file = "/etc/lockwire/auth-ca.pem"        # without it: the system's certificates
    bearer_file = "/etc/lockwire/auth-token"     # sent as Authorization: Bearer ...

200 allows, 403 (401 and 404 too) refuses, anything else is a failure. docs/plugins.md has the fields.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from lockwire.access.identity import Identity
from lockwire.access.plugins.httpclient import HttpClient, HttpError
from lockwire.access.plugins.protocol import (
    Accepted,
    Action,
    Answer,
    Credentials,
    Options,
    Plugin,
    Refused,
    Unknown,
)

_OK: Final = 200
_REFUSED: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404

Reply = tuple[int, dict[str, object]]


class HttpPlugin(Plugin):
    """Asks a web server.

    Options:
        url: where; `https`, or `http` on loopback only, since passwords go there.
        ca_file: CA certificates (PEM) that the server's certificate is checked with.
        bearer_file: a file of mode 0600 with a token that the server knows the broker by.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        url = _url(options)
        context = _context(options, url)
        headers = [("content-type", "application/json"), ("accept", "application/json")]
        token = options.secret_file("bearer_file")
        if token is not None:
            if not token.isascii() or not token.isprintable() or " " in token:
                raise options.wrong("bearer_file", "the token holds spaces or what is not ASCII")
            headers.append(("authorization", f"Bearer {token}"))
        self._client = HttpClient(url, context, headers)

    async def authenticate(self, credentials: Credentials) -> Answer:
        """200, perhaps with {"name": ..., "groups": [...], "expires": ...}; without a name, the user name."""
        status, reply = await self._post("authenticate", _presented(credentials))
        if status in _REFUSED:
            return Refused(f"http: status {status}")
        if status == _NOT_FOUND:
            return Unknown(f"http: status {status}")
        name = reply.get("name", credentials.username)
        groups = reply.get("groups", [])
        expires = reply.get("expires", 0.0)
        if not isinstance(name, str):
            raise HttpError("the answer has no name, and there was no user name")
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            raise HttpError("groups in the answer is no list of texts")
        if isinstance(expires, bool) or not isinstance(expires, (int, float)):
            raise HttpError("expires in the answer is no time in seconds since 1970")
        return Accepted(name, tuple(groups), expires=float(expires))

    async def authorize(
        self, identity: Identity, client_id: str, action: Action, topic: str, qos: int, retain: bool
    ) -> bool:
        """200 allows, 403 does not."""
        fields: dict[str, object] = {
            "username": identity.name,
            "client_id": client_id,
            "topic": topic,
            "qos": qos,
            "retain": retain,
        }
        status, _ = await self._post(action, fields)
        return status == _OK

    async def psk_key(self, identity: str) -> bytes | None:
        """200 with {"key": "HEX"}; 403 or 404 where there is none."""
        status, reply = await self._post("psk", {"identity": identity})
        if status != _OK:
            return None
        key = reply.get("key")
        try:
            return bytes.fromhex(key if isinstance(key, str) else "-")
        except ValueError:
            raise HttpError("the answer has no key in hexadecimal") from None

    async def close(self) -> None:
        """Closes the connections that are kept open."""
        self._client.close()

    async def _post(self, action: str, fields: Mapping[str, object]) -> Reply:
        status, body = await self._client.post(json.dumps({"action": action, **fields}).encode())
        if status in _REFUSED or status == _NOT_FOUND:
            return status, {}
        if status != _OK:
            raise HttpError(f"status {status}, expected 200 or 403")
        if not body.strip():
            return status, {}
        try:
            reply = json.loads(body)
        except (ValueError, RecursionError):
            raise HttpError("the answer is not JSON") from None
        if not isinstance(reply, dict):
            raise HttpError("the answer is no JSON object")
        return status, reply


def _presented(credentials: Credentials) -> dict[str, object]:
    fields: dict[str, object] = {
        "username": credentials.username,
        "client_id": credentials.client_id,
        "listener": credentials.listener,
        "address": credentials.peer.rpartition(":")[0].strip("[]") or credentials.peer,
        "version": credentials.version,
        "psk_identity": credentials.psk_identity,
    }
    if credentials.password is not None:
        try:
            fields["password"] = credentials.password.decode()
        except UnicodeDecodeError:
            fields["password_base64"] = base64.b64encode(credentials.password).decode()
    if credentials.certificate is not None:
        fields["certificate"] = base64.b64encode(credentials.certificate).decode()
    return fields


def _url(options: Options) -> SplitResult:
    text = options.text("url")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise options.wrong("url", f"it is no URL: {error}") from error
    if "@" in url.netloc:
        raise options.wrong("url", "it holds a user name or password; use bearer_file")
    if url.scheme not in ("http", "https") or not url.hostname or port == 0:
        raise options.wrong("url", f"it is {text!r}, expected https://HOST/PATH")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise options.wrong("url", "it holds characters that a URL cannot have")
    if url.scheme == "http" and not _is_loopback(url.hostname):
        raise options.wrong("url", f"passwords would go to {url.hostname} in the clear, expected https")
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _context(options: Options, url: SplitResult) -> ssl.SSLContext | None:
    ca_file = options.file("ca_file")
    if url.scheme == "http":
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise options.wrong("ca_file", f"{ca_file} holds no certificates in PEM: {error}") from error
