"""The settings that Lockwire has by itself, and what it points out."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lockwire.config import (
    LimitSettings,
    ListenerLimitSettings,
    ListenerSettings,
    Settings,
    TlsSettings,
    load,
)
from lockwire.config.addresses import ipv6_available
from tests.config.files import TCP, Write, problems_of


class TestTheListenersOfLockwireUp:
    def test_are_tls_and_websocket_over_tls_for_clients_that_prove_who_they_are(self) -> None:
        settings = Settings.for_up(Path("/data"), tls_port=1, wss_port=2)
        assert [(item.transport, item.port) for item in settings.listeners] == [("tls", 1), ("wss", 2)]
        for listener in settings.listeners:
            assert listener.address == ("::" if ipv6_available() else "0.0.0.0")
            assert listener.client_certificates == "optional"
            assert listener.authentication == ["certificate", "password", "scram"]
            assert listener.tls.certificate == Path("/data/server/server.pem")
            assert listener.tls.key == Path("/data/server/server.key")
            assert listener.tls.client_ca == Path("/data/ca/clients.pem")
        assert settings.sys.readers == "administrator"
        assert settings.warnings() == []

    def test_stay_where_a_file_defines_none(self, write: Write) -> None:
        text = "[limits]\nconnections = 5\n[tls]\nminimum_version = '1.3'\n"
        settings = load(write(text), Settings.for_up(Path("/data")))
        assert [item.transport for item in settings.listeners] == ["tls", "wss"]
        for listener in settings.listeners:
            assert listener.limits.connections == 5
            assert listener.tls.minimum_version == "1.3"
            assert listener.tls.certificate == Path("/data/server/server.pem")

    def test_give_way_to_those_of_a_file_which_still_have_the_folders_certificates(
        self, write: Write
    ) -> None:
        text = "[[listener]]\nport = 1\nclient_certificates = 'required'\nauthentication = ['certificate']\n"
        (listener,) = load(write(text), Settings.for_up(Path("/data"))).listeners
        assert (listener.port, listener.tls.client_ca) == (1, Path("/data/ca/clients.pem"))

    def test_never_have_a_files_certificate_with_the_folders_key(self, write: Write) -> None:
        found = problems_of(write("[tls]\ncertificate = 'server.pem'\n"), Settings.for_up(Path("/data")))
        assert [key for _, key, _ in found] == ["tls.key"]


def test_a_broker_for_trying_serves_this_machine_only() -> None:
    settings = Settings.for_trying(port=1884)
    addresses = ["127.0.0.1", "::1"] if ipv6_available() else ["127.0.0.1"]
    assert [listener.address for listener in settings.listeners] == addresses
    assert {(item.transport, item.port) for item in settings.listeners} == {("tcp", 1884)}
    assert settings.listeners[0].authentication == ["anonymous"]


class TestWarnings:
    def test_point_out_passwords_in_the_clear(self, write: Write) -> None:
        text = TCP.replace("[[listener]]", '[[listener]]\naddress = "192.0.2.1"')
        (warning,) = load(write(text)).warnings()
        assert "tcp 192.0.2.1:1883" in warning
        assert "passwords go in the clear; anyone on the network" in warning

    @pytest.mark.parametrize("method", ["token", "plugin"])
    def test_point_out_other_secrets_that_the_client_sends(self, write: Write, method: str) -> None:
        text = f"{TCP.replace('password', method)}[token]\njwks = 'keys.json'\n[plugin]\nname = 'http'\n"
        (warning,) = load(write(text)).warnings()
        assert "passwords go in the clear" in warning

    def test_point_out_anonymous_clients_behind_tls_too(self, write: Write) -> None:
        text = "[[listener]]\nauthentication = ['anonymous']\n"
        (warning,) = load(write(text), Settings.for_up(Path("/data"))).warnings()
        assert "anybody who reaches it may connect" in warning

    def test_are_silent_about_a_unix_socket(self, write: Write) -> None:
        text = '[[listener]]\ntransport = "unix"\npath = "s"\nauthentication = ["password"]\n'
        assert load(write(text)).warnings() == []


class TestSettingsMadeByAProgram:
    def test_are_checked_like_a_file(self) -> None:
        with pytest.raises(ValidationError, match="no certificate"):
            Settings(listeners=[ListenerSettings(authentication=["password"])])
        with pytest.raises(ValidationError, match=r"listener\[2\].name"):
            Settings(listeners=[ListenerSettings(transport="tcp", port=0, authentication=["password"])] * 2)

    def test_cannot_be_changed(self) -> None:
        settings = Settings()
        with pytest.raises(ValidationError):
            settings.limits = LimitSettings()

    def test_keep_what_a_listener_sets_itself(self) -> None:
        listener = ListenerSettings(
            authentication=["password"],
            tls=TlsSettings(certificate=Path("c"), key=Path("k")),
            limits=ListenerLimitSettings(packet_size=1000),
        )
        settings = Settings(listeners=[listener], limits=LimitSettings(packet_size=2000, connections=3))
        limits = settings.listeners[0].limits
        assert (limits.packet_size, limits.connections) == (1000, 3)
