"""TlsPolicy: what can be written, what is refused and how it says so, and that OpenSSL does what it says."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from lockwire.tls import libssl, suites
from lockwire.tls.policy import DEFAULT_TLS13_SUITES, TlsPolicy, TlsPolicyError
from tests.tls.certificates import TestPki
from tests.tls.conftest import MakeContext
from tests.tls.peers import TLS12, TLS13, Client, client_context, shake_hands

# The ten suites of an MCU stack without elliptic curves (mbed TLS).
STATIC_RSA = (
    "AES256-GCM-SHA384", "AES256-CCM", "AES256-SHA256", "AES256-SHA", "AES256-CCM8",
    "AES128-GCM-SHA256", "AES128-CCM", "AES128-SHA256", "AES128-SHA", "AES128-CCM8",
)  # fmt: skip


def offered(context: ssl.SSLContext) -> list[str]:
    return [cipher["name"] for cipher in context.get_ciphers()]


def test_default_is_forward_secret_aead_of_1_2_and_1_3(server_context: MakeContext) -> None:
    context = server_context().handshake
    assert (context.minimum_version, context.maximum_version) == (TLS12, TLS13)
    for name in offered(context):
        suite = suites.BY_NAME[name]
        assert suite.is_tls13 or suite.iana.startswith("TLS_ECDHE_")
        assert "_GCM_" in suite.iana or "_CHACHA20_" in suite.iana
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


@pytest.mark.parametrize(
    ("minimum", "maximum", "versions"),
    [
        ("auto", "auto", (TLS12, TLS13)),
        ("1.2", "1.2", (TLS12, TLS12)),
        ("1.3", "auto", (TLS13, TLS13)),
        ("auto", "1.2", (TLS12, TLS12)),
    ],
)
def test_versions(minimum: str, maximum: str, versions: tuple[ssl.TLSVersion, ssl.TLSVersion]) -> None:
    assert TlsPolicy(minimum_version=minimum, maximum_version=maximum).versions == versions


def test_suites_by_iana_or_openssl_name_in_the_order_given(server_context: MakeContext) -> None:
    context = server_context(
        cipher_suites=("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256")
    )
    assert offered(context.handshake) == [
        *DEFAULT_TLS13_SUITES, "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256",
    ]  # fmt: skip


def test_each_certificate_suite_of_the_table_is_openssls(server_context: MakeContext) -> None:
    usable = [s for s in suites.SUITES if not (s.is_tls13 or s.is_unsafe or s.needs_psk)]
    context = server_context(cipher_suites=tuple(s.iana for s in usable), maximum_version="1.2")
    known = {cipher["name"]: cipher["id"] & 0xFFFF for cipher in context.handshake.get_ciphers()}
    for suite in usable:
        if suite.openssl in known:  # builds leave some out
            assert known[suite.openssl] == suite.code
    assert len(known) > 50


def test_static_rsa_suites_of_small_devices_can_be_chosen(server_context: MakeContext) -> None:
    context = server_context(cipher_suites=STATIC_RSA)
    assert [name for name in offered(context.handshake) if not name.startswith("TLS_")] == list(STATIC_RSA)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"minimum_version": "1.1"}, "minimum_version: '1.1' is refused: versions below TLS 1.2"),
        ({"maximum_version": "TLSv1.0"}, "maximum_version: 'TLSv1.0' is refused"),
        ({"minimum_version": "1.4"}, "is not a version"),
        ({"minimum_version": "1.3", "maximum_version": "1.2"}, "1.3 is above maximum_version 1.2"),
        ({"cipher_suites": ("ECDHE-ECDSA-AES128-GCM",)}, "not a cipher suite; near it: ECDHE-ECDSA-AES128"),
        ({"cipher_suites": ("TLS_AES_128_GCM_SHA265",)}, "near it: TLS_AES_128_GCM_SHA256"),
        ({"cipher_suites": ("🔒",)}, "see `openssl ciphers -stdname`"),
        ({"cipher_suites": ("AECDH-AES128-SHA",)}, "does not authenticate"),
        ({"cipher_suites": ("TLS_RSA_WITH_NULL_SHA256",)}, "does not encrypt"),
        ({"cipher_suites": ("PSK-AES128-GCM-SHA256",)}, "pre-shared key"),
        ({"groups": ("P-255",)}, "groups: 'P-255' is not a key exchange group; known are P-256"),
        ({"alpn": ("",)}, "alpn"),
        ({"handshake_timeout": 0.0}, "handshake_timeout"),
        ({"client_certificates": "maybe"}, "none, optional, required"),
        ({"maximum_record_size": 100}, "maximum_record_size: 100"),
    ],
)  # fmt: skip
def test_refused_with_what_was_expected(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(TlsPolicyError) as caught:
        TlsPolicy(**fields)
    assert words in str(caught.value)
    assert caught.value.field in fields


@pytest.mark.parametrize("name", ["X25519", "P-256", "secp384r1", "prime256v1", "x448"])
def test_one_group_is_used(server_context: MakeContext, pki: TestPki, name: str) -> None:
    context = server_context(groups=(name,))
    client = Client(client_context(pki.root_pem, TLS13))
    assert shake_hands(context, client).established


def can_reach_libssl() -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        libssl.set_groups(context, ("P-256", "X25519"))
    except TlsPolicyError:
        return False
    return True


needs_libssl = pytest.mark.skipif(not can_reach_libssl(), reason="ssl is not linked to a shared OpenSSL")


@needs_libssl
def test_a_list_of_groups_is_used(server_context: MakeContext, pki: TestPki) -> None:
    context = server_context(groups=("P-384", "P-256"))
    for curve, ends in (("secp384r1", True), ("prime256v1", True), ("X25519", False)):
        config = client_context(pki.root_pem, TLS13)
        config.set_ecdh_curve(curve)
        assert shake_hands(context, Client(config)).established is ends


@needs_libssl
def test_tls13_suites_are_used(server_context: MakeContext, pki: TestPki) -> None:
    context = server_context(cipher_suites=("TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"))
    session = shake_hands(context, Client(client_context(pki.root_pem, TLS13)))
    assert session.cipher_suite == "TLS_CHACHA20_POLY1305_SHA256"
    assert "TLS_AES_256_GCM_SHA384" not in offered(context.handshake)
    tls12 = shake_hands(context, Client(client_context(pki.root_pem, TLS12)))
    assert tls12.cipher_suite == "ECDHE-ECDSA-AES128-GCM-SHA256"


@needs_libssl
def test_what_this_openssl_lacks_is_refused(server_context: MakeContext) -> None:
    with pytest.raises(TlsPolicyError, match="refuses"):
        libssl.set_groups(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ("P-256", "brainpool-none"))
    with pytest.raises(TlsPolicyError, match="refuses"):
        libssl.set_tls13_suites(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ("TLS_AES_512_NONE",))


def test_a_context_that_is_not_what_it_says_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(ssl.SSLContext):
        options = 0  # type: ignore[assignment]

    with pytest.raises(TlsPolicyError, match="beyond this Python's ssl module"):
        libssl.set_groups(Other(ssl.PROTOCOL_TLS_SERVER), ("P-256", "X25519"))
    monkeypatch.setattr(libssl, "_VERIFIED_PYTHONS", ())
    with pytest.raises(TlsPolicyError, match="is not one where a way was verified"):
        libssl.set_groups(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ("P-256", "X25519"))


def test_default_tls13_suites_need_no_libssl(
    server_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libssl, "_VERIFIED_PYTHONS", ())
    assert server_context(cipher_suites=DEFAULT_TLS13_SUITES).handshake is not None
