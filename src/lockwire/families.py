"""What device families can and cannot do: one table for TLS policies, certificate checks, doctor and kits.

None stands for what nobody has found out; an empty tuple for "none". Nothing here is guessed: `source` names
where a family's facts are from. "Measured" are facts seen on the library itself: mbed TLS 2.28, BearSSL 0.6,
Python's ssl and Node.js with OpenSSL 3, Mosquitto 2.0's clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, Literal

KeyKind = Literal["RSA", "EC", "Ed25519", "Ed448"]
FileForm = Literal["PEM", "DER", "header"]
"""How a file with certificates or keys must look; "header": compiled into the program, as text or bytes."""
NameField = Literal["dNSName", "iPAddress", "commonName"]


class UnknownFamilyError(ValueError):
    """A name that is no device family's; the message names those that are."""


@dataclass(frozen=True, slots=True)
class KeyLimit:
    """One kind of key and its lengths in bits: the modulus of RSA, the field of an elliptic curve.

    minimum, maximum: what works; None where no limit is known.
    recommended: the longest that works at a pace one can live with.
    """

    kind: KeyKind
    minimum: int | None = None
    maximum: int | None = None
    recommended: int | None = None

    def takes(self, kind: str, bits: int) -> bool:
        """Whether a key fits as far as is known."""
        return kind == self.kind and (self.minimum or 0) <= bits <= (self.maximum or bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The limits of one family.

    name: as `--for` takes it. title: as people call it. role: what it is to a broker.
    library: the TLS library inside.
    tls_versions: what it can speak, "1.0" to "1.3".
    cipher_suites: all that it can use up to TLS 1.2, in its order, by IANA name.
    seen_cipher_suites: those that a source saw in use, where the full list is not known.
    groups: for key exchange with elliptic curves; empty where it cannot do that at all.
    signature_algorithms: those it verifies, by their names in RFC 8446 (TLS 1.2's own spelt alike).
    hashes: of certificates' signatures, fastest first.
    server_keys: keys of server certificates that it can use; authority_keys: of the CAs above.
    client_certificates: whether it can present one. client_keys: keys for that.
    sends_chain: whether it sends an intermediate along with its own certificate.
    certificate_forms, key_forms: how files must look. key_passwords: whether a key may be encrypted.
    file_size: bytes that one file may have, as it is stored. store_size: bytes for all trusted certificates.
    chain_size: bytes of DER that a server's chain should not pass; advice, not a limit.
    receive_buffer: bytes of plaintext in the largest record it can take without negotiation.
    fragment_lengths: bytes that it may ask for by the maximum fragment length extension (RFC 6066 section 4).
    record_size: bytes of plaintext that a record sent to it should not pass.
    handshake_seconds: how long a full handshake can take it.
    needs_clock: whether it must know the time before it connects. clock: how it gets it.
    address_fields: where it finds the IP address it connects to: any one suffices, the common name only where
        there is no alternative name.
    session_tickets: whether it resumes by ticket (RFC 5077). psk_size: bytes that a pre-shared key may have.
    traps: what goes wrong, a sentence each. source: where this is from.
    """

    name: str
    title: str
    role: Literal["device", "program", "broker"]
    source: str
    library: str | None = None
    tls_versions: tuple[str, ...] | None = None
    cipher_suites: tuple[str, ...] | None = None
    seen_cipher_suites: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    signature_algorithms: tuple[str, ...] | None = None
    hashes: tuple[str, ...] | None = None
    server_keys: tuple[KeyLimit, ...] | None = None
    authority_keys: tuple[KeyLimit, ...] | None = None
    client_certificates: bool | None = None
    client_keys: tuple[KeyLimit, ...] | None = None
    sends_chain: bool | None = None
    certificate_forms: tuple[FileForm, ...] | None = None
    key_forms: tuple[FileForm, ...] | None = None
    key_passwords: bool | None = None
    file_size: int | None = None
    store_size: int | None = None
    chain_size: int | None = None
    receive_buffer: int | None = None
    fragment_lengths: tuple[int, ...] | None = None
    record_size: int = 16_384
    handshake_seconds: float | None = None
    needs_clock: bool | None = None
    clock: str | None = None
    address_fields: tuple[NameField, ...] | None = None
    session_tickets: bool | None = None
    psk_size: int | None = None
    traps: tuple[str, ...] = ()


_SMALL_RECORD: Final = 4096
_SHORT_CHAIN: Final = 3072
_NO_EDWARDS: Final = (KeyLimit("RSA"), KeyLimit("EC"))
"""mbed TLS 2.28 refuses a certificate with an Ed25519 key (-0x262E, measured); BearSSL has none either."""
_ADDRESS_AS_NAME: Final[tuple[NameField, ...]] = ("dNSName", "commonName")
"""mbed TLS 2.28 and BearSSL 0.6 do not read iPAddress entries. Measured."""

_ARDUINO_UNO_WIFI: Final = Family(
    name="arduino-uno-wifi",
    title="Arduino UNO WiFi Rev2, MKR WiFi 1010 and others with WiFiNINA",
    role="device",
    library="mbed TLS",
    tls_versions=("1.2",),
    seen_cipher_suites=("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",),
    server_keys=_NO_EDWARDS,
    authority_keys=_NO_EDWARDS,
    client_certificates=False,
    certificate_forms=("DER", "PEM"),
    store_size=0x20000,
    chain_size=_SHORT_CHAIN,
    record_size=_SMALL_RECORD,
    address_fields=_ADDRESS_AS_NAME,
    traps=(
        "It can hold CA certificates only: it has no client certificate, so the listener must not require "
        "one.",
        "The tool arduino-fwuploader rewrites the whole store: every CA that is needed has to be named each "
        "time.",
        "Older versions of arduino-fwuploader take DER only; newer ones tell .cer (DER) from .pem by the "
        "file's name.",
        "With -u, arduino-fwuploader flashes the last certificate that a server sends, which may be an "
        "intermediate, "
        "without verifying anything: give the root with -f.",
        "It sends the server's IP address as SNI, which TLS does not allow.",
        "A listener for TLS 1.3 only refuses it with the alert protocol_version.",
    ),
    source="Università di Salerno, Securing MQTT using TLS; arduino-fwuploader; measured on mbed TLS 2.28",
)

_ARDUINO_NANO: Final = Family(
    name="arduino-nano",
    title="Arduino Nano 33 IoT with SSLClient",
    role="device",
    library="BearSSL",
    tls_versions=("1.2",),
    server_keys=_NO_EDWARDS,
    authority_keys=_NO_EDWARDS,
    client_certificates=True,
    client_keys=_NO_EDWARDS,
    sends_chain=False,
    certificate_forms=("header",),
    key_forms=("header",),
    chain_size=_SHORT_CHAIN,
    record_size=_SMALL_RECORD,
    handshake_seconds=15.0,
    needs_clock=False,
    clock="the program may give a time; without one no validity is checked",
    address_fields=_ADDRESS_AS_NAME,
    traps=(
        "Trust anchors are compiled in, as the CA's name and key only: a CA renewed with the same name and "
        "key "
        "goes on working, one with another name does not.",
        "SSLClient can present a client certificate (setMutualAuthParams), but only the one, without its "
        "intermediate: the broker must have the intermediate among its trusted CAs.",
        "Connecting takes 5 to 15 seconds, and a resumed session less than one: the handshake's time limit "
        "must "
        "allow for it.",
        "A refused certificate ends the connection without an alert.",
    ),
    source="Università di Salerno, Securing MQTT using TLS; SSLClient's own pages; measured on BearSSL 0.6",
)

_ESP8266: Final = Family(
    name="esp8266",
    title="ESP8266 with the Arduino core",
    role="device",
    library="BearSSL",
    tls_versions=("1.0", "1.1", "1.2"),
    server_keys=_NO_EDWARDS,
    authority_keys=_NO_EDWARDS,
    client_certificates=True,
    client_keys=_NO_EDWARDS,
    certificate_forms=("PEM", "DER", "header"),
    key_forms=("PEM", "DER", "header"),
    chain_size=_SHORT_CHAIN,
    receive_buffer=16_384,
    fragment_lengths=(512, 1024, 2048, 4096),
    record_size=_SMALL_RECORD,
    needs_clock=True,
    clock="SNTP or setX509Time",
    address_fields=_ADDRESS_AS_NAME,
    traps=(
        "There are about 40 KB of heap, and one connection takes 22 KB of it and 6 KB of stack, unless a "
        "smaller "
        "fragment length is negotiated (probeMaxFragmentLength, setBufferSizes).",
        "Without the time every certificate counts as not yet valid.",
        "A key exchange takes seconds, also at 160 MHz; a resumed session saves 3 to 4 of them.",
        "The objects with certificates and keys must outlive the client that uses them.",
        "A certificate pinned by SHA-1 (setFingerprint) stops working when it is renewed; setInsecure "
        "checks nothing.",
        "A refused certificate ends the connection without an alert.",
    ),
    source="ESP8266 Arduino core, BearSSL::WiFiClientSecure; measured on BearSSL 0.6",
)

_ESP32: Final = Family(
    name="esp32",
    title="ESP32 with the Arduino core or ESP-IDF",
    role="device",
    library="mbed TLS",
    tls_versions=("1.2",),
    server_keys=_NO_EDWARDS,
    authority_keys=_NO_EDWARDS,
    client_certificates=True,
    client_keys=_NO_EDWARDS,
    certificate_forms=("PEM", "header"),
    key_forms=("PEM", "header"),
    key_passwords=False,
    store_size=64 * 1024,
    chain_size=_SHORT_CHAIN,
    receive_buffer=16_384,
    record_size=_SMALL_RECORD,
    address_fields=_ADDRESS_AS_NAME,
    psk_size=32,
    traps=(
        "A connection takes about 40 KB of heap; -0x7F00 (also shown as -0x10 or -16256) is out of memory.",
        "Client certificates with RSA keys fail more often than those with P-256 keys, for want of memory.",
        "The text of a certificate or key must stay in memory as long as the client.",
        "ESP-IDF takes DER too; PEM there must end in a zero byte that counts in its length.",
    ),
    source="arduino-esp32, NetworkClientSecure; ESP-IDF; measured on mbed TLS 2.28",
)

_NETCONTROL: Final = Family(
    name="netcontrol",
    title="NetControl with MQTTs",
    role="device",
    library="mbed TLS 2.28",
    tls_versions=("1.2",),
    cipher_suites=(
        "TLS_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_RSA_WITH_AES_256_CCM",
        "TLS_RSA_WITH_AES_256_CBC_SHA256",
        "TLS_RSA_WITH_AES_256_CBC_SHA",
        "TLS_RSA_WITH_AES_256_CCM_8",
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_AES_128_CCM",
        "TLS_RSA_WITH_AES_128_CBC_SHA256",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_AES_128_CCM_8",
    ),
    groups=(),
    signature_algorithms=(
        "ecdsa_secp521r1_sha512",
        "rsa_pkcs1_sha512",
        "ecdsa_secp384r1_sha384",
        "rsa_pkcs1_sha384",
        "ecdsa_secp256r1_sha256",
        "rsa_pkcs1_sha256",
        "ecdsa_sha224",
        "rsa_pkcs1_sha224",
        "ecdsa_sha1",
        "rsa_pkcs1_sha1",
    ),
    hashes=("sha256", "sha1", "sha384", "sha512"),
    server_keys=(KeyLimit("RSA", minimum=2048),),
    authority_keys=(KeyLimit("RSA", minimum=2048), KeyLimit("EC", minimum=256, maximum=521)),
    client_certificates=True,
    client_keys=(KeyLimit("RSA", minimum=1024, maximum=2048, recommended=1024),),
    certificate_forms=("PEM",),
    key_forms=("PEM",),
    key_passwords=False,
    file_size=4096,
    chain_size=_SHORT_CHAIN,
    record_size=_SMALL_RECORD,
    handshake_seconds=6.0,
    needs_clock=True,
    clock="SNTP; TLS starts only once the clock is set",
    address_fields=_ADDRESS_AS_NAME,
    session_tickets=True,
    traps=(
        "Its ten cipher suites are all static RSA: the server needs an RSA certificate whose key usage has "
        "keyEncipherment, also where the CA above it is P-256.",
        "Its maker recommends a client key of 1,024 bits (1.4 s a handshake; 6 s with 2,048), but brokers "
        "with "
        "OpenSSL's security level 2 refuse keys below 2,048 bits.",
        "RSA keys of 4,096 bits have not been tested by its maker.",
        "TLS starts only after the clock is set by SNTP.",
        "A firmware update and a restore of the factory IP settings delete the certificates, and saved "
        "configurations do not hold them.",
        "The common name of the server's certificate must be the address that the device uses, or the "
        "address "
        "must stand in the alternative name as a DNS name.",
        "With use_identity_as_username, the common name of the client certificate is the user.",
    ),
    source="NetControl & MQTT over TLS (MQTTs), Application Note 1.0; measured on mbed TLS 2.28",
)

_WILOW: Final = Family(
    name="wilow",
    title="BeanDevice Wilow",
    role="device",
    client_certificates=False,
    certificate_forms=("DER",),
    chain_size=_SHORT_CHAIN,
    record_size=_SMALL_RECORD,
    traps=(
        "The CA certificate must be a binary (DER) file; PEM is not taken.",
        "It takes a CA certificate only, no client certificate: the listener must not require one.",
        "Its form for the protocol version shows SSLv3; choose the automatic one.",
        "It shows the validity of the CA file before it sends it: a CA that has ended is turned away there.",
    ),
    source="Beanair TN-RF-021, SSL/TLS encryption for MQTT, V1.0",
)

_TELTONIKA: Final = Family(
    name="teltonika",
    title="Teltonika RUT240 or RUT950, as broker",
    role="broker",
    certificate_forms=("PEM",),
    key_forms=("PEM",),
    traps=(
        "It takes three files, of the CA that issued its clients' certificates, its own certificate and its "
        "key; "
        "the intermediate goes into the file with its own certificate.",
        "TLS 1.0 and 1.1 stay open where the TLS version is set to 'Support all'.",
    ),
    source="Beanair TN-RF-021, SSL/TLS encryption for MQTT, V1.0, section 6.5 (file sizes are those of PEM)",
)

_NODE_RED: Final = Family(
    name="node-red",
    title="Node-RED",
    role="program",
    library="OpenSSL",
    tls_versions=("1.2", "1.3"),
    client_certificates=True,
    certificate_forms=("PEM",),
    key_forms=("PEM",),
    key_passwords=True,
    sends_chain=True,
    address_fields=("iPAddress",),
    traps=(
        "It finds an IP address only as an iPAddress in the alternative name: neither the common name nor a "
        "DNS "
        "name will do.",
        "Without the CA certificate in its TLS configuration it refuses the server with the alert "
        "bad_certificate.",
        "A flow that still has port 1883 sends everything readable, whatever the broker offers on 8883.",
    ),
    source="Università di Salerno, Securing MQTT using TLS; measured on Node.js",
)

_PYTHON: Final = Family(
    name="python",
    title="Python's ssl, as paho-mqtt and aiomqtt use it",
    role="program",
    library="OpenSSL",
    tls_versions=("1.2", "1.3"),
    client_certificates=True,
    certificate_forms=("PEM",),
    key_forms=("PEM",),
    key_passwords=True,
    sends_chain=True,
    address_fields=("iPAddress",),
    traps=(
        "It finds an IP address only as an iPAddress in the alternative name: neither the common name nor a "
        "DNS "
        "name will do.",
        "A DNS name is found in the common name, too, but only where there is no DNS name in the alternative "
        "name.",
    ),
    source="measured on CPython 3.11 with OpenSSL 3.0",
)

_MOSQUITTO: Final = Family(
    name="mosquitto",
    title="Mosquitto: its clients, and another broker as bridge",
    role="program",
    library="OpenSSL",
    tls_versions=("1.2", "1.3"),
    client_certificates=True,
    certificate_forms=("PEM",),
    key_forms=("PEM",),
    sends_chain=True,
    address_fields=("iPAddress", "dNSName", "commonName"),
    traps=(
        "An unknown CA, an ended and a revoked certificate all look the same in its log: 'certificate verify "
        "failed', then 'Protocol error'.",
        "SIGHUP reloads certfile and keyfile; a changed cafile needs a restart in most set-ups.",
    ),
    source="Mosquitto 2.0 and 2.1, sources; measured on mosquitto_pub 2.0",
)

_GENERIC: Final = Family(
    name="generic",
    title="a client of which nothing is known",
    role="device",
    chain_size=_SHORT_CHAIN,
    record_size=_SMALL_RECORD,
    traps=("Small clients want TLS 1.2 beside 1.3, a short chain, and the address in every form.",),
    source="what small clients have in common",
)

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        family.name: family
        for family in (
            _ARDUINO_UNO_WIFI,
            _ARDUINO_NANO,
            _ESP8266,
            _ESP32,
            _NETCONTROL,
            _WILOW,
            _TELTONIKA,
            _NODE_RED,
            _PYTHON,
            _MOSQUITTO,
            _GENERIC,
        )
    }
)


def find_family(name: str) -> Family:
    """The family of that name, in any case. Raises UnknownFamilyError."""
    found = FAMILIES.get(name.lower())
    if found is not None:
        return found
    near = get_close_matches(name.lower(), FAMILIES, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UnknownFamilyError(f"{name!r} is not a device family; {hint}known are {', '.join(FAMILIES)}")
