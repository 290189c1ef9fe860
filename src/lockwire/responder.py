"""What the data folder's authority tells the world: revocation lists kept fresh, and HTTP for who asks.

/crl.pem                  every issuer's list, in PEM
/crl.der, /crl-ID.der     one list in DER: of the one that issues now; of the one whose identifier begins so
/ca.pem, /ca.der          the root that devices install; /ca-rsa.pem where there is an RSA chain
/ocsp                     OCSP: POST, and GET with the request behind it (RFC 6960 appendix A.1)

All of it is signed, so it needs no TLS, and a client that checks a certificate could not have TLS before.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from cryptography.hazmat.primitives.serialization import Encoding
from structlog.typing import FilteringBoundLogger

from lockwire.config.access import AuthoritySettings
from lockwire.http import HttpServer, Request, Response, method_not_allowed, plain
from lockwire.pki.authority.authority import Authority
from lockwire.pki.revocation import ocsp
from lockwire.pki.revocation.publishing import (
    CRL_DER,
    CRL_PEM,
    Published,
    der_file,
    published,
    status_of,
    why_due,
    write_crls,
)

CHECK_INTERVAL: Final = 300.0
"""Seconds between two looks at whether a list is due."""
SIGNING_SHARE: Final = 0.05
"""The part of a core that OCSP answers may take; who asks beyond it is told to try later."""

_PEM: Final = "application/x-pem-file"
_CRL: Final = "application/pkix-crl"
_CERTIFICATE: Final = "application/pkix-cert"
_OCSP: Final = "application/ocsp-response"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Settings that can be used: an address that changed is open already.

    server: None where nothing is served, or the one from before goes on (`same`).
    """

    settings: AuthoritySettings
    server: HttpServer | None
    endpoint: str
    same: bool

    async def discard(self) -> None:
        """Closes what was opened."""
        if self.server is not None:
            await self.server.stop()


class Responder:
    """Keeps the authority's revocation lists fresh, and serves them.

    Args:
        authority: whose lists these are.
        changing: held while the authority's folder is changed.
        log: where new lists and failures are noted.
    """

    def __init__(self, authority: Authority, changing: asyncio.Lock, log: FilteringBoundLogger) -> None:
        self._authority = authority
        self._changing = changing
        self._log = log
        self._settings = AuthoritySettings()
        self._lists: tuple[Published, ...] = ()
        self._failure = ""
        self._server: HttpServer | None = None
        self._endpoint = ""
        self._timer: asyncio.Task[None] | None = None
        self._answers = OcspAnswers(authority)

    async def start(self, settings: AuthoritySettings) -> None:
        """Writes lists that are due, and serves where that is asked for. Raises OSError for the address."""
        await self.adopt(await self.prepare(settings))
        self._timer = asyncio.create_task(self._keep_fresh())

    async def prepare(self, settings: AuthoritySettings) -> Prepared:
        """Opens the address of other settings, where it is another. Raises OSError."""
        if _place(settings) == _place(self._settings):
            return Prepared(settings, None, "", same=True)
        if not settings.serve:
            return Prepared(settings, None, "", same=False)
        server = HttpServer(settings.address, settings.port, self._answer, maximum_body=ocsp.MAXIMUM_REQUEST)
        port = await server.start()
        host = f"[{settings.address}]" if ":" in settings.address else settings.address
        self._log.info("revocation served", address=settings.address, port=port)
        return Prepared(settings, server, f"http://{host}:{port}", same=False)

    async def adopt(self, prepared: Prepared) -> None:
        """Goes on with other settings; `changing` is held."""
        self._settings = prepared.settings
        if not prepared.same:
            if self._server is not None:
                await self._server.stop()
            self._server, self._endpoint = prepared.server, prepared.endpoint
        await self.refresh()

    async def stop(self) -> None:
        """Stops serving and keeping fresh."""
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def refresh(self) -> None:
        """Writes the lists where they are due, and knows what is in them; `changing` is held.

        A disk that refuses is told, in the log and in `status`: the lists that are there last for a while.
        """
        lifetime = datetime.timedelta(seconds=int(self._settings.crl_lifetime))
        try:
            self._lists, reason = await asyncio.to_thread(_refreshed, self._authority, lifetime)
        except OSError as error:
            self._failure = f"the revocation lists cannot be written: {error}"
            self._log.error("revocation lists not written", error=str(error))
            return
        self._failure = ""
        if reason is not None:
            due = min(one.next_update for one in self._lists)
            self._log.info("revocation lists written", reason=reason, next_update=f"{due:%Y-%m-%d %H:%M} UTC")

    def problems(self) -> list[str]:
        """What is wrong with the lists, a sentence each without a full stop."""
        now = datetime.datetime.now(datetime.UTC)
        found = [self._failure] if self._failure else []
        found += [
            f"the revocation list of {one.issuer} ended on {one.next_update:%Y-%m-%d %H:%M} UTC, "
            "and whoever checks certificates with it refuses them all"
            for one in self._lists
            if one.next_update <= now
        ]
        return found

    def status(self) -> dict[str, object]:
        """The lists with when the next is due, in seconds since 1970, and where they are served."""
        return {
            "lists": [
                {
                    "issuer": one.issuer,
                    "identifier": one.identifier,
                    "number": one.number,
                    "next_update": one.next_update.timestamp(),
                    "revoked": one.revoked,
                }
                for one in self._lists
            ],
            "problems": len(self.problems()),
            "served": self._endpoint,
            "ocsp_answers": self._answers.answered,
            "ocsp_put_off": self._answers.put_off,
        }

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            now = datetime.datetime.now(datetime.UTC)
            if self._failure or any(one.refresh_at <= now or one.this_update > now for one in self._lists):
                try:
                    async with self._changing:
                        await self.refresh()
                except Exception as error:
                    # The outermost edge: nobody else would hear of it, and the next look may find it gone.
                    self._failure = f"the revocation lists cannot be made: {error}"
                    self._log.exception("revocation lists not written")

    # -- HTTP

    async def _answer(self, request: Request) -> Response:
        if request.path == "/ocsp" or request.path.startswith("/ocsp/"):
            return self._answer_ocsp(request)
        found = self._resource(request.path)
        if found is None:
            return plain(HTTPStatus.NOT_FOUND, "There is /crl.pem, /crl.der, /ca.pem, /ca.der and /ocsp.")
        if request.method not in ("GET", "HEAD"):
            return method_not_allowed("GET")
        read, content_type = found
        try:
            return Response(HTTPStatus.OK, content_type, await asyncio.to_thread(read))
        except FileNotFoundError:
            return plain(HTTPStatus.NOT_FOUND, "There is none yet.")

    def _answer_ocsp(self, request: Request) -> Response:
        if request.method == "POST":
            asked = request.body
        elif request.method == "GET":
            try:
                asked = base64.b64decode(unquote(request.path.removeprefix("/ocsp/")), validate=True)
            except (binascii.Error, ValueError):
                asked = b""
        else:
            return method_not_allowed("GET", "POST")
        # A status may change at any time: nobody on the way keeps it.
        headers = {"Cache-Control": "no-store"}
        return Response(HTTPStatus.OK, _OCSP, self._answers.respond(asked), headers)

    def _resource(self, path: str) -> tuple[Callable[[], bytes], str] | None:
        """How to read what is at a path, and its media type; None for nothing."""
        authority = self._authority
        files = {
            f"/{CRL_PEM}": (authority.folder / CRL_PEM, _PEM),
            f"/{CRL_DER}": (authority.folder / CRL_DER, _CRL),
            "/ca.pem": (authority.device_ca, _PEM),
            "/ca-rsa.pem": (authority.rsa_device_ca, _PEM),
        }
        for issuer in authority.issuers:
            file = der_file(authority, issuer)
            files[f"/{file.name}"] = file, _CRL
        if path == "/ca.der":
            return partial(authority.root.public_bytes, Encoding.DER), _CERTIFICATE
        found = files.get(path)
        return None if found is None else (found[0].read_bytes, found[1])


class OcspAnswers:
    """Answers OCSP requests with a bounded part of a core: nobody proves who they are before asking."""

    def __init__(self, authority: Authority, clock: Callable[[], float] = time.perf_counter) -> None:
        self._authority = authority
        self._clock = clock
        self._second = 0.0
        self._spent = 0.0
        self.answered = 0
        self.put_off = 0

    def respond(self, request: bytes) -> bytes:
        """The answer to a request, both in DER; `tryLater` where this second's time is used up."""
        begin = self._clock()
        if begin - self._second >= 1.0:
            self._second, self._spent = begin, 0.0
        if self._spent >= SIGNING_SHARE:
            self.put_off += 1
            return ocsp.refusal(ocsp.ResponseStatus.TRY_LATER)
        answer = ocsp.respond(request, self._authority.issuers, partial(status_of, self._authority))
        self._spent += self._clock() - begin
        self.answered += 1
        return answer


def _place(settings: AuthoritySettings) -> tuple[str, int] | None:
    return (settings.address, settings.port) if settings.serve else None


def _refreshed(
    authority: Authority, lifetime: datetime.timedelta
) -> tuple[tuple[Published, ...], str | None]:
    """The lists as they have to be, and why they were written anew, None where they were not."""
    reason = why_due(authority, lifetime)
    return (published(authority) if reason is None else write_crls(authority, lifetime)), reason
