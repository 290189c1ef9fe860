"""Policies by name: what each stands for, what counts beside it, and that weak ones say so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lockwire.broker.opening import policy_of
from lockwire.cli.tls_names import check_tls_names
from lockwire.config import Settings, SettingsError, load
from lockwire.families import FAMILIES
from lockwire.tls import loading
from lockwire.tls.context import ServerContext
from lockwire.tls.errors import TlsFileError, TlsPolicyError
from lockwire.tls.loading import ServerFiles
from lockwire.tls.named import POLICIES, find_policy
from lockwire.tls.policy import TlsPolicy
from tests.tls.certificates import TestPki, make
from tests.tls.peers import TLS12, TLS13, Client, client_context, shake_hands


def listener_with(tmp_path: Path, tables: str) -> Settings:
    for name in ("a.pem", "a.key"):
        (tmp_path / name).write_text("stands for a file")
    text = f'[tls]\ncertificate = "a.pem"\nkey = "a.key"\n{tables}'
    (tmp_path / "lockwire.toml").write_text(text)
    return load(tmp_path / "lockwire.toml", check=check_tls_names)


LISTENER = '\n[[listener]]\ntransport = "tls"\nport = 0\nauthentication = ["anonymous"]\n'


def effective(tmp_path: Path, general: str = "", own: str = "", listener: str = LISTENER) -> TlsPolicy:
    table = f"[listener.tls]\n{own}\n" if own else ""
    return policy_of(listener_with(tmp_path, general + listener + table).listeners[0])


@pytest.mark.parametrize("name", list(POLICIES))
def test_every_policy_can_be_used(name: str, pki: TestPki, tmp_path: Path) -> None:
    rsa = make("rsa", pki.issuing, kind="RSA-2048").write(tmp_path, "rsa")
    files = ServerFiles(loading.Pair(pki.server_pem, pki.server_key), loading.Pair(*rsa))
    assert ServerContext(find_policy(name).policy, files).handshake.get_ciphers()


def test_there_is_one_for_every_family() -> None:
    assert set(POLICIES) == {"modern", "intermediate", *FAMILIES}


def test_the_manuals_table_is_this_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tls.md").read_text(encoding="utf-8")
    written = re.findall(
        r"^\| `([\w-]+)` \| (.+?) \| ([\d., ]+) \| ([\d,]+) \| (\d+) s \| (.*?) ?\|$", page, re.MULTILINE
    )
    found = []
    for named in POLICIES.values():
        policy = named.policy
        versions = [version.name.removeprefix("TLSv").replace("_", ".") for version in policy.versions]
        size = f"{policy.maximum_record_size:,}"
        seconds = f"{policy.handshake_timeout:.0f}"
        shown = ", ".join(dict.fromkeys(versions))
        found.append((named.name, named.purpose, shown, size, seconds, ", ".join(policy.weaknesses)))
    assert written == found


def test_only_these_are_weak() -> None:
    weak = {name: policy.policy.weaknesses for name, policy in POLICIES.items() if policy.policy.weaknesses}
    assert weak == {
        "arduino-uno-wifi": ("cipher suites with CBC",),
        "netcontrol": (
            "cipher suites without forward secrecy",
            "cipher suites with CBC",
            "cipher suites with a tag of 8 bytes",
            "client keys of 1,024 bits",
        ),
    }


def test_modern_is_tls_1_3(pki: TestPki) -> None:
    context = ServerContext(
        find_policy("modern").policy, ServerFiles(loading.Pair(pki.server_pem, pki.server_key))
    )
    assert shake_hands(context, Client(client_context(pki.root_pem, TLS13))).established
    refused = shake_hands(context, Client(client_context(pki.root_pem, TLS12)))
    assert refused.failure is not None
    assert refused.failure.cause == "protocol_version"


def test_netcontrols_ten_suites_in_its_order() -> None:
    policy = find_policy("NetControl").policy
    assert policy.versions == (TLS12, TLS12)
    assert policy.cipher_string == (
        "AES256-GCM-SHA384:AES256-CCM:AES256-SHA256:AES256-SHA:AES256-CCM8:"
        "AES128-GCM-SHA256:AES128-CCM:AES128-SHA256:AES128-SHA:AES128-CCM8:@SECLEVEL=1"
    )
    assert (policy.maximum_record_size, policy.handshake_timeout) == (4096, 12.0)


def test_a_policy_that_no_certificate_here_fits_is_refused_at_once(pki: TestPki) -> None:
    """Rather than every handshake later: NetControl's suites need an RSA certificate."""
    with pytest.raises(TlsFileError, match="has an EC key, and the policy's cipher suites need one of RSA"):
        ServerContext(
            find_policy("netcontrol").policy, ServerFiles(loading.Pair(pki.server_pem, pki.server_key))
        )


def test_weak_client_keys_are_let_in_by_that_policy_alone(pki: TestPki, tmp_path: Path) -> None:
    rsa = loading.Pair(*make("rsa", pki.issuing, kind="RSA-2048").write(tmp_path, "rsa"))
    files = ServerFiles(loading.Pair(pki.server_pem, pki.server_key), rsa, pki.ca_pem)
    config = client_context(pki.root_pem, TLS12)
    config.set_ciphers("AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0")
    config.load_cert_chain(*make("weak", pki.issuing, kind="RSA-1024").write(tmp_path, "weak"))
    named = find_policy("netcontrol")
    weak = TlsPolicy(
        cipher_suites=named.cipher_suites, security_level=named.security_level, client_certificates="required"
    )
    assert shake_hands(ServerContext(weak, files), Client(config)).established
    strong = TlsPolicy(cipher_suites=named.cipher_suites, client_certificates="required")
    refused = shake_hands(ServerContext(strong, files), Client(config))
    assert refused.failure is not None
    assert refused.failure.cause == "weak_key"


def test_a_weak_key_of_our_own_is_let_in_by_none(pki: TestPki, tmp_path: Path) -> None:
    weak = make("weak", pki.issuing, kind="RSA-1024").write(tmp_path, "own")
    with pytest.raises(TlsFileError, match="RSA below 2048 bits"):
        ServerContext(find_policy("netcontrol").policy, ServerFiles(loading.Pair(*weak)))


def test_suites_written_by_hand_are_weak_as_well() -> None:
    assert TlsPolicy(cipher_suites=("AES128-SHA",)).weaknesses == (
        "cipher suites without forward secrecy",
        "cipher suites with CBC",
    )
    assert TlsPolicy(psk=True).weaknesses == ()
    assert TlsPolicy().weaknesses == ()


class TestInAConfiguration:
    def test_a_name_sets_what_the_family_needs(self, tmp_path: Path) -> None:
        policy = effective(tmp_path, own='policy = "esp8266"')
        assert policy.versions == (TLS12, TLS12)
        assert policy.maximum_record_size == 4096

    def test_what_is_written_beside_it_counts_more(self, tmp_path: Path) -> None:
        own = 'policy = "esp8266"\nmaximum_record_size = "16 KiB"\nhandshake_timeout = "20 s"'
        policy = effective(tmp_path, own=own)
        assert (policy.maximum_record_size, policy.handshake_timeout) == (16_384, 20.0)
        assert policy.versions == (TLS12, TLS12)

    def test_so_does_what_is_written_beside_it_for_all_listeners(self, tmp_path: Path) -> None:
        policy = effective(tmp_path, 'policy = "esp8266"\nmaximum_record_size = "16 KiB"\n')
        assert policy.maximum_record_size == 16_384

    def test_a_listeners_policy_counts_more_than_what_is_written_for_all(self, tmp_path: Path) -> None:
        policy = effective(tmp_path, 'minimum_version = "1.3"\n', 'policy = "esp8266"')
        assert policy.versions == (TLS12, TLS12)

    def test_and_a_listeners_setting_more_than_the_policy_for_all(self, tmp_path: Path) -> None:
        policy = effective(tmp_path, 'policy = "modern"\n', 'minimum_version = "1.2"')
        assert policy.versions == (TLS12, TLS13)

    def test_without_a_name_nothing_changes(self, tmp_path: Path) -> None:
        assert effective(tmp_path) == TlsPolicy()

    @pytest.mark.parametrize("place", ["[tls]", "[listener.tls]"])
    def test_an_unknown_name_gets_the_known_ones_and_its_line(self, tmp_path: Path, place: str) -> None:
        written = 'policy = "ESP82"\n'
        with pytest.raises(SettingsError) as caught:
            effective(tmp_path, written if place == "[tls]" else "", written if place != "[tls]" else "")
        assert len(caught.value.problems) == 1
        line = 4 if place == "[tls]" else 10
        assert str(caught.value).startswith(f"{tmp_path / 'lockwire.toml'}:{line}: ")
        assert "'ESP82' is not a TLS policy; did you mean esp8266? known are modern, " in str(caught.value)

    def test_a_setting_that_contradicts_the_policy(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"minimum_version: 1\.3 is above maximum_version 1\.2"):
            effective(tmp_path, own='policy = "esp8266"\nminimum_version = "1.3"')

    def test_pre_shared_keys_take_sizes_and_times_of_a_family_but_not_its_suites(
        self, tmp_path: Path
    ) -> None:
        listener = LISTENER.replace('"anonymous"', '"psk"')
        policy = effective(tmp_path, own='policy = "netcontrol"', listener=listener)
        assert policy.cipher_string == TlsPolicy(psk=True).cipher_string
        assert policy.maximum_record_size == 4096

    def test_suites_for_all_listeners_do_not_disturb_one_with_pre_shared_keys(self, tmp_path: Path) -> None:
        general = 'cipher_suites = ["ECDHE-RSA-AES128-GCM-SHA256"]\n'
        psk = LISTENER.replace('"anonymous"', '"psk"').replace("port = 0", 'port = 0\nname = "keys"')
        settings = listener_with(tmp_path, general + LISTENER + psk)
        assert policy_of(settings.listeners[0]).cipher_string.startswith("ECDHE-RSA-AES128-GCM-SHA256:@")
        assert policy_of(settings.listeners[1]).cipher_string == TlsPolicy(psk=True).cipher_string

    def test_tls_1_3_with_pre_shared_keys(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"safe with TLS 1\.2 only"):
            effective(tmp_path, own='policy = "modern"', listener=LISTENER.replace('"anonymous"', '"psk"'))


def test_the_name_of_no_policy() -> None:
    with pytest.raises(TlsPolicyError, match="known are modern, intermediate, arduino-uno-wifi"):
        find_policy("best")
