"""Where a certificate says that its revocation can be looked up: the list's URL and the OCSP responder's."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from lockwire.pki.authority.issuer import Issuer
from lockwire.pki.errors import MalformedFileError
from lockwire.pki.files import write_public

FILE: Final = "points.json"
ISSUER: Final = "{issuer}"
"""In a URL: stands for the issuer's key identifier, its first 8 hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class RevocationPoints:
    """URLs that are written into certificates, "" for none.

    A list is signed by one issuer; with more than one issuer a URL needs `{issuer}` in it.
    """

    crl_url: str = ""
    ocsp_url: str = ""

    def extensions(
        self, issuer: Issuer
    ) -> list[x509.CRLDistributionPoints | x509.AuthorityInformationAccess]:
        """RFC 5280 sections 4.2.1.13 and 4.2.2.1."""
        found: list[x509.CRLDistributionPoints | x509.AuthorityInformationAccess] = []
        if self.crl_url:
            url = x509.UniformResourceIdentifier(_for_issuer(self.crl_url, issuer))
            point = x509.DistributionPoint([url], None, None, None)
            found.append(x509.CRLDistributionPoints([point]))
        if self.ocsp_url:
            url = x509.UniformResourceIdentifier(_for_issuer(self.ocsp_url, issuer))
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, url)
            found.append(x509.AuthorityInformationAccess([access]))
        return found

    @classmethod
    def read(cls, folder: Path) -> RevocationPoints:
        """Those that the broker's settings named last. Raises MalformedFileError, OSError."""
        path = folder / FILE
        try:
            fields = json.loads(path.read_bytes())
            return cls(str(fields["crl_url"]), str(fields["ocsp_url"]))
        except FileNotFoundError:
            return cls()
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedFileError(
                "This file does not say where revocations are published", "Remove it: it is made anew.", path
            ) from error

    def write(self, folder: Path) -> None:
        """Keeps them, for commands that run while the broker does not."""
        write_public(folder / FILE, json.dumps(asdict(self)).encode() + b"\n")


def _for_issuer(url: str, issuer: Issuer) -> str:
    return url.replace(ISSUER, issuer.identifier[:8])
