"""What a TLS listener offers and asks for: versions, cipher suites, groups, ALPN, client certificates."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from difflib import get_close_matches

from lockwire.tls import groups as known_groups
from lockwire.tls import suites as known_suites
from lockwire.tls.errors import TlsPolicyError

__all__ = ["CLIENT_CERTIFICATES", "CRL_FAILURES", "DEFAULT_TLS13_SUITES", "TlsPolicy", "TlsPolicyError"]

CLIENT_CERTIFICATES = ("none", "optional", "required")
CRL_FAILURES = ("refuse", "serve")

# Forward secrecy and AEAD only (RFC 9325 section 4.2). AES-128 first: what a device's hardware has.
DEFAULT_TLS12_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
# With forward secrecy first; then what devices have, AEAD before CBC. DHE_PSK needs parameters that nobody
# sets, RSA_PSK a certificate.
DEFAULT_PSK_SUITES = (
    "ECDHE-PSK-CHACHA20-POLY1305",
    "ECDHE-PSK-AES128-CBC-SHA256",
    "ECDHE-PSK-AES256-CBC-SHA384",
    "ECDHE-PSK-AES128-CBC-SHA",
    "ECDHE-PSK-AES256-CBC-SHA",
    "PSK-AES128-GCM-SHA256",
    "PSK-AES256-GCM-SHA384",
    "PSK-CHACHA20-POLY1305",
    "PSK-AES128-CCM",
    "PSK-AES256-CCM",
    "PSK-AES128-CCM8",
    "PSK-AES128-CBC-SHA256",
    "PSK-AES256-CBC-SHA384",
    "PSK-AES128-CBC-SHA",
    "PSK-AES256-CBC-SHA",
)
# OpenSSL's own default and order.
DEFAULT_TLS13_SUITES = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
)

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_OLD_VERSIONS = ("1.0", "1.1", "1", "ssl3", "sslv3", "ssl2", "sslv2")


@dataclass(frozen=True)
class TlsPolicy:
    """The TLS settings of one listener, checked when made.

    minimum_version, maximum_version: "auto" (1.2 and 1.3), "1.2" or "1.3".
    cipher_suites: IANA or OpenSSL names in order of preference; empty for the default (ECDHE with AEAD).
        TLS 1.3 suites are chosen apart: where none is named, OpenSSL's three stay.
    groups: key exchange groups in order of preference ("X25519", "P-256", ...); empty for OpenSSL's default.
    alpn: the protocols that this listener speaks (RFC 7301); a client that offers others only still connects.
    session_tickets: whether clients can resume (RFC 5077, RFC 8446 section 4.6.1).
    handshake_timeout: seconds that a handshake may take; the listener enforces it.
    client_certificates: "none", "optional" or "required".
    maximum_record_size: bytes of plaintext in one record sent, 512 to 16,384 (RFC 8446 section 5.1); small
        devices hold one record in memory.
    psk: whether keys are pre-shared (RFC 4279) instead of certified; then TLS 1.2 only, and no resumption.
    security_level: OpenSSL's, 1 or 2. 2 refuses RSA and DH below 2,048 bits, 1 below 1,024.
    crl_failure: what happens to client certificates without a valid CRL: "refuse" or "serve".

    Raises TlsPolicyError, with the field and what was expected.
    """

    minimum_version: str = "auto"
    maximum_version: str = "auto"
    cipher_suites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ("mqtt",)
    session_tickets: bool = True
    handshake_timeout: float = 10.0
    client_certificates: str = "none"
    maximum_record_size: int = 16_384
    psk: bool = False
    security_level: int = 2
    crl_failure: str = "refuse"

    def __post_init__(self) -> None:
        low, high = self.versions
        if self.psk and low > ssl.TLSVersion.TLSv1_2:
            raise TlsPolicyError(
                "minimum_version", "1.3 with pre-shared keys, which are safe with TLS 1.2 only; leave it out"
            )
        if low > high:
            raise TlsPolicyError(
                "minimum_version", f"{self.minimum_version} is above maximum_version {self.maximum_version}"
            )
        for name in self.cipher_suites:
            _suite(name, self.psk)
        for name in self.groups:
            _group(name)
        for protocol in self.alpn:
            if not 0 < len(protocol.encode()) < 256:
                raise TlsPolicyError(
                    "alpn", f"{protocol!r} is not 1 to 255 bytes long (RFC 7301 section 3.1)"
                )
        if self.handshake_timeout <= 0:
            raise TlsPolicyError(
                "handshake_timeout", f"{self.handshake_timeout} is not a number of seconds above 0"
            )
        if self.client_certificates not in CLIENT_CERTIFICATES:
            raise TlsPolicyError(
                "client_certificates",
                f"{self.client_certificates!r} is none of {', '.join(CLIENT_CERTIFICATES)}",
            )
        if self.psk and self.client_certificates != "none":
            raise TlsPolicyError("client_certificates", "none can be asked for beside pre-shared keys")
        if self.security_level not in (1, 2):
            raise TlsPolicyError("security_level", f"{self.security_level} is neither 1 nor 2")
        if self.crl_failure not in CRL_FAILURES:
            raise TlsPolicyError("crl_failure", f"{self.crl_failure!r} is none of {', '.join(CRL_FAILURES)}")
        if not 512 <= self.maximum_record_size <= 16_384:
            raise TlsPolicyError(
                "maximum_record_size", f"{self.maximum_record_size} is not within 512 and 16384"
            )

    @property
    def versions(self) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
        """The lowest and the highest version, as the ssl module names them."""
        low = _version("minimum_version", self.minimum_version, "1.2")
        high = _version("maximum_version", self.maximum_version, "1.3")
        return low, ssl.TLSVersion.TLSv1_2 if self.psk else high

    @property
    def server_keys(self) -> frozenset[str]:
        """The kinds of key ("RSA", "EC") that the server's certificate may have; empty where any will do."""
        if self.psk or self.versions[1] > ssl.TLSVersion.TLSv1_2:
            return frozenset()
        suites = self._suites() or [_suite(name, False) for name in DEFAULT_TLS12_SUITES]
        return frozenset(suite.certificate_key for suite in suites if not suite.is_tls13)

    @property
    def weaknesses(self) -> tuple[str, ...]:
        """What in this policy is weaker than it would have to be, a phrase each; empty for a good one.

        Nobody gets these by default: someone named a device family or cipher suites that need them.
        Pre-shared keys are no weakness by themselves, though most of their suites have no forward secrecy.
        """
        found = []
        older = [] if self.psk else [suite for suite in self._suites() if not suite.is_tls13]
        if self.versions[0] > ssl.TLSVersion.TLSv1_2:
            older = []
        if any(not suite.has_forward_secrecy for suite in older):
            found.append("cipher suites without forward secrecy")
        if any("_CBC_" in suite.iana for suite in older):
            found.append("cipher suites with CBC")
        if any(suite.iana.endswith("_CCM_8") for suite in older):
            found.append("cipher suites with a tag of 8 bytes")
        if self.security_level < 2:
            found.append("client keys of 1,024 bits")
        return tuple(found)

    @property
    def cipher_string(self) -> str:
        """The suites up to TLS 1.2 in OpenSSL's form."""
        chosen = [suite.openssl for suite in self._suites() if not suite.is_tls13]
        default = DEFAULT_PSK_SUITES if self.psk else DEFAULT_TLS12_SUITES
        # The level is named because builds differ.
        return f"{':'.join(chosen or default)}:@SECLEVEL={self.security_level}"

    @property
    def tls13_suites(self) -> tuple[str, ...]:
        """The TLS 1.3 suites in order, OpenSSL's default where the policy names none."""
        chosen = tuple(suite.openssl for suite in self._suites() if suite.is_tls13)
        return chosen or DEFAULT_TLS13_SUITES

    @property
    def group_names(self) -> tuple[str, ...]:
        """The groups as OpenSSL names them; empty for its default."""
        return tuple(_group(name).openssl for name in self.groups)

    def _suites(self) -> list[known_suites.CipherSuite]:
        return [_suite(name, self.psk) for name in self.cipher_suites]


def _version(field: str, text: str, automatic: str) -> ssl.TLSVersion:
    if text in _VERSIONS or text == "auto":
        return _VERSIONS[automatic if text == "auto" else text]
    plain = text.lower().removeprefix("tls").lstrip(" v")
    if plain in _OLD_VERSIONS:
        raise TlsPolicyError(
            field,
            f"{text!r} is refused: versions below TLS 1.2 are deprecated (RFC 8996) and broken; "
            'use "1.2", "1.3" or "auto"',
        )
    raise TlsPolicyError(field, f'{text!r} is not a version; use "1.2", "1.3" or "auto" (both)')


def _suite(name: str, psk: bool) -> known_suites.CipherSuite:
    suite = known_suites.BY_NAME.get(name) or known_suites.BY_NAME.get(name.upper())
    if suite is None:
        near = get_close_matches(name.upper(), known_suites.BY_NAME, n=3, cutoff=0.6)
        hint = f"near it: {', '.join(near)}" if near else "see `openssl ciphers -stdname`"
        raise TlsPolicyError("cipher_suites", f"{name!r} is not a cipher suite; {hint}")
    if suite.is_unsafe:
        raise TlsPolicyError(
            "cipher_suites", f"{name!r} is refused: it does not encrypt, or does not authenticate"
        )
    if suite.needs_psk and not psk:
        raise TlsPolicyError(
            "cipher_suites",
            f"{name!r} needs a pre-shared key or an SRP password; this listener has a certificate",
        )
    if psk and not suite.iana.startswith(("TLS_PSK_WITH_", "TLS_ECDHE_PSK_")):
        raise TlsPolicyError(
            "cipher_suites",
            f"{name!r} is not for this listener, which has pre-shared keys: TLS_PSK_... or TLS_ECDHE_PSK_...",
        )
    return suite


def _group(name: str) -> known_groups.Group:
    group = known_groups.BY_NAME.get(name.lower())
    if group is None:
        usual = ", ".join(known.aliases[0] if known.aliases else known.iana for known in known_groups.GROUPS)
        raise TlsPolicyError("groups", f"{name!r} is not a key exchange group; known are {usual}")
    return group
