"""The table of device families, and what can be tried of it on the libraries themselves."""

from __future__ import annotations

import dataclasses
import ssl

import pytest

from lockwire.families import FAMILIES, Family, KeyLimit, UnknownFamilyError, find_family
from lockwire.tls.suites import BY_NAME

ASKED_FOR = (
    "arduino-uno-wifi arduino-nano esp8266 esp32 netcontrol wilow teltonika node-red python mosquitto generic"
)


def test_has_every_family() -> None:
    assert list(FAMILIES) == ASKED_FOR.split()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
class TestEveryFamily:
    def test_says_where_its_facts_are_from(self, family: Family) -> None:
        assert family.source
        assert family.title

    def test_has_traps_that_are_sentences(self, family: Family) -> None:
        assert family.traps
        assert all(trap[0].isupper() and trap.endswith(".") for trap in family.traps)

    def test_names_suites_that_there_are(self, family: Family) -> None:
        for name in [*(family.cipher_suites or ()), *family.seen_cipher_suites]:
            assert name in BY_NAME
            assert not BY_NAME[name].is_tls13

    def test_has_sizes_that_tls_allows(self, family: Family) -> None:
        assert 512 <= family.record_size <= 16_384
        assert set(family.fragment_lengths or ()) <= {512, 1024, 2048, 4096}

    def test_has_client_keys_only_where_it_has_client_certificates(self, family: Family) -> None:
        assert family.client_keys is None or family.client_certificates

    def test_cannot_be_changed(self, family: Family) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            family.record_size = 1  # type: ignore[misc]


def test_netcontrol_has_the_ten_suites_of_its_application_note_and_openssl_has_them_too() -> None:
    suites = FAMILIES["netcontrol"].cipher_suites or ()
    assert len(suites) == 10
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(":".join(BY_NAME[name].openssl for name in suites))
    offered = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"}
    assert offered == {BY_NAME[name].openssl for name in suites}


def test_a_key_limit_takes_what_lies_within() -> None:
    limit = KeyLimit("RSA", minimum=2048)
    assert limit.takes("RSA", 2048)
    assert limit.takes("RSA", 8192)
    assert not limit.takes("RSA", 1024)
    assert not limit.takes("EC", 2048)
    assert not KeyLimit("RSA", maximum=2048).takes("RSA", 4096)


def test_finds_a_family_by_name() -> None:
    assert find_family("NetControl") is FAMILIES["netcontrol"]
    with pytest.raises(UnknownFamilyError, match=r"'esp82' is not a device family; did you mean esp8266\?"):
        find_family("esp82")
    with pytest.raises(UnknownFamilyError, match="known are arduino-uno-wifi, "):
        find_family("")
