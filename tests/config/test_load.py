"""lockwire.toml: what it may say, what it means, and how a mistake in it is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lockwire.config import (
    LimitSettings,
    ListenerSettings,
    Problem,
    Settings,
    SettingsError,
    load,
)
from lockwire.config.addresses import ipv6_available
from lockwire.config.documentation import EXAMPLE
from lockwire.config.keys import tables
from tests.config.files import TCP, Write, problems_of


class TestAFileThatIsRight:
    def test_says_only_what_differs_from_the_defaults(self, write: Write) -> None:
        settings = load(write(TCP))
        (listener,) = settings.listeners
        assert (listener.transport, listener.address, listener.port) == ("tcp", "127.0.0.1", 1883)
        assert listener.name == "tcp-1883"
        assert listener.authentication == ["password"]
        assert settings.limits == LimitSettings()
        assert settings.sys.readers == "administrator"

    @pytest.mark.parametrize(
        ("transport", "port"), [("tcp", 1883), ("tls", 8883), ("ws", 9001), ("wss", 9883)]
    )
    def test_leaves_the_port_to_the_transport(self, transport: str, port: int, write: Write) -> None:
        text = f'[[listener]]\ntransport = "{transport}"\nauthentication = ["password"]\n'
        listener = load(write(text), Settings.for_up(Path("data"))).listeners[0]
        assert listener.port == port

    def test_opens_an_encrypted_listener_everywhere_and_a_plain_one_on_loopback(self) -> None:
        everywhere = "::" if ipv6_available() else "0.0.0.0"
        assert ListenerSettings(transport="wss").address == everywhere
        assert ListenerSettings(transport="ws").address == "127.0.0.1"

    def test_names_files_relative_to_its_own_folder(self, write: Write, tmp_path: Path) -> None:
        text = """
            [[listener]]
            authentication = ["certificate"]
            client_certificates = "required"
            tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
            [log]
            file = "/var/log/lockwire.log"
        """
        settings = load(write(text))
        assert settings.listeners[0].tls.certificate == tmp_path / "server.pem"
        assert settings.log.file == Path("/var/log/lockwire.log")

    @pytest.mark.parametrize("jwks", ["https://issuer.example/jwks.json", "/etc/jwks.json", ""])
    def test_leaves_urls_and_absolute_names_as_they_are(self, write: Write, jwks: str) -> None:
        assert load(write(f'{TCP}[token]\njwks = "{jwks}"\n')).token.jwks == jwks

    def test_names_a_file_of_keys_relative_to_its_own_folder(self, write: Write, tmp_path: Path) -> None:
        settings = load(write(f'{TCP}[token]\njwks = "jwks.json"\n'))
        assert settings.token.jwks == str(tmp_path / "jwks.json")

    def test_gives_bytes_and_durations_as_numbers_or_with_units(self, write: Write) -> None:
        text = (
            TCP
            + """
            [limits]
            packet_size = "64 KiB"
            connect_bytes = 4096
            connect_timeout = "5 min"
            keep_alive_maximum = 90
            handshake_time_per_tick = "2 ms"
        """
        )
        limits = load(write(text)).limits
        assert (limits.packet_size, limits.connect_bytes) == (65_536, 4096)
        assert (limits.connect_timeout, limits.keep_alive_maximum) == (300, 90)
        assert limits.handshake_time_per_tick == pytest.approx(0.002)

    def test_passes_tls_and_limits_on_to_the_listeners_that_do_not_set_them(self, write: Write) -> None:
        text = """
            [tls]
            certificate = "server.pem"
            key = "server.key"
            minimum_version = "1.3"
            [limits]
            packet_size = 1000
            receive_maximum = 7
            [[listener]]
            name = "own"
            authentication = ["password"]
            [listener.tls]
            minimum_version = "1.2"
            [listener.limits]
            packet_size = 2000
            [[listener]]
            name = "shared"
            port = 0
            authentication = ["password"]
        """
        own, shared = load(write(text)).listeners
        assert (own.tls.minimum_version, shared.tls.minimum_version) == ("1.2", "1.3")
        assert own.tls.certificate == shared.tls.certificate
        assert (own.limits.packet_size, shared.limits.packet_size) == (2000, 1000)
        assert (own.limits.receive_maximum, shared.limits.receive_maximum) == (7, 7)
        assert own.limits.model_fields_set == {"packet_size"}

    def test_may_say_that_anybody_may_connect(self, write: Write) -> None:
        settings = load(write(TCP.replace("password", "anonymous")))
        assert settings.listeners[0].authentication == ["anonymous"]

    def test_defines_a_unix_socket_by_its_path(self, write: Write, tmp_path: Path) -> None:
        text = '[[listener]]\ntransport = "unix"\npath = "mqtt.sock"\nauthentication = ["password"]\n'
        (listener,) = load(write(text)).listeners
        assert listener.path == tmp_path / "mqtt.sock"
        assert (listener.name, listener.endpoint) == ("unix", f"unix {tmp_path / 'mqtt.sock'}")

    def test_has_one_port_for_different_addresses(self, write: Write) -> None:
        text = TCP + TCP.replace("[[listener]]", '[[listener]]\naddress = "127.0.0.2"\nname = "second"')
        assert [listener.port for listener in load(write(text)).listeners] == [1883, 1883]


MISTAKES: list[tuple[str, str, int, str]] = [
    # what is written, the key in question, its line, what the message says
    ("[limits]\npacket_sise = 5", "limits.packet_sise", 2, "unknown key; .* did you mean packet_size"),
    ("[limit]\npacket_size = 5", "limit", 1, r"unknown key; .*\[limits\].* did you mean limits"),
    ("[[listener]]\nprot = 5", "listener[1].prot", 2, "did you mean port"),
    (
        "[[listener]]\ncertificate = 'a'",
        "listener[1].certificate",
        2,
        "did you mean listener.tls.certificate",
    ),
    ("certificate = 'a'", "certificate", 1, "unknown key; .* did you mean tls.certificate"),
    ("[limits]\nzzzzzz = 5", "limits.zzzzzz", 2, r"unknown key; expected a key of \[limits\]$"),
    ("[limits]\nconnections = '5'", "limits.connections", 2, '"5"; expected an integer from 1 to 10000000'),
    ("[limits]\nconnections = true", "limits.connections", 2, "true; expected an integer"),
    ("[limits]\nconnections = 0", "limits.connections", 2, "0; expected an integer from 1"),
    ("[limits]\nreceive_maximum = 65536", "limits.receive_maximum", 2, "65536; expected .* from 1 to 65535"),
    (
        "[limits]\npacket_size = '5 apples'",
        "limits.packet_size",
        2,
        "5 apples.*expected bytes .* from 256 B to",
    ),
    ("[limits]\npacket_size = '1 GiB'", "limits.packet_size", 2, "1 GiB.*expected bytes"),
    ("[limits]\npacket_size = 1.5", "limits.packet_size", 2, "1.5; expected bytes"),
    ("[limits]\nconnect_timeout = '1 week'", "limits.connect_timeout", 2, "expected seconds .* to 1 h"),
    ("[limits]\nconnect_timeout = nan", "limits.connect_timeout", 2, "nan; expected seconds"),
    ("[limits]\nconnect_timeout = 1979-05-27", "limits.connect_timeout", 2, "1979-05-27; expected seconds"),
    ("limits = 5", "limits", 1, "5; expected a table"),
    ("[limits.packet_size]\na = 1", "limits.packet_size", 1, "a table; expected bytes"),
    ("[listener]\nport = 1", "listener", 1, r"expected a table \[\[listener\]\] for each"),
    ("listener = [1]", "listener[1]", 1, "1; expected a table"),
    ("[log]\nlevel = 'loud'", "log.level", 2, '"loud"; expected "debug", "info", "warning" or "error"'),
    ("[log]\nfile = ''", "log.file", 2, "expected a file name"),
    ("[metrics]\nenabled = 1", "metrics.enabled", 2, "1; expected true or false"),
    ("[tls]\nalpn = ['mqtt', 3]", "tls.alpn", 2, "3; expected a list of texts"),
    ("[tls]\nalpn = ['']", "tls.alpn", 2, "a protocol name of 0 bytes"),
    ("[tls]\ncertificate = 'no.pem'\nkey = 'server.key'", "tls.certificate", 2, "there is no file"),
    ("[tls]\ncertificate = 'server.pem'", "tls.key", 1, "certificate without key"),
    ("[tls]\nkey = 'server.key'", "tls.certificate", 1, "key without certificate"),
    ("[tls]\nminimum_version = '1.1'", "tls.minimum_version", 2, 'expected "auto", "1.2" or "1.3"'),
    (
        "[tls]\nminimum_version = '1.3'\nmaximum_version = '1.2'",
        "tls.minimum_version",
        2,
        "above maximum_version",
    ),
]


@pytest.mark.parametrize(("text", "key", "line", "message"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_named_with_line_key_and_what_was_expected(
    text: str, key: str, line: int, message: str, write: Write
) -> None:
    found = problems_of(write(text), Settings.for_trying())
    assert (line, key) in [(where, name) for where, name, _ in found]
    text_of = {name: said for _, name, said in found}
    assert re.search(message, text_of[key]), text_of[key]


LISTENER_MISTAKES: list[tuple[str, str, str]] = [
    # what the listener says, the key in question, what the message says
    ("transport = 'tcp'", "authentication", r'no authentication; .*\["anonymous"\]'),
    ("transport = 'tcp'\nauthentication = []", "authentication", "no authentication"),
    ("authentication = ['passwort']", "authentication", '"passwort"; expected a list of "certificate"'),
    ("authentication = ['password', 'password']", "authentication", '"password" twice'),
    ("transport = 'tcp'\nauthentication = ['certificate']", "authentication", "on a tcp listener"),
    (
        "client_certificates = 'none'\nauthentication = ['certificate']",
        "authentication",
        'expected client_certificates = "optional" or "required"',
    ),
    ("authentication = ['password']", "tls.certificate", "no certificate; expected certificate and key"),
    (
        "client_certificates = 'optional'\nauthentication = ['password']",
        "tls.client_ca",
        'no client_ca; .* client_certificates is "optional"',
    ),
    (
        "transport = 'tcp'\nauthentication = ['password']\ntls = { session_tickets = false }",
        "tls",
        "TLS settings on a tcp listener",
    ),
    (
        "transport = 'ws'\nauthentication = ['password']\nclient_certificates = 'required'",
        "client_certificates",
        '"required" on a ws listener',
    ),
    (
        "transport = 'tcp'\nauthentication = ['password']\nwebsocket.path = '/a'",
        "websocket",
        "WebSocket settings on a tcp listener",
    ),
    (
        "transport = 'ws'\nauthentication = ['password']\npath = '/mqtt'",
        "path",
        "a path in the URL is websocket.path",
    ),
    (
        "transport = 'ws'\nauthentication = ['password']\nwebsocket.path = 'mqtt'",
        "websocket.path",
        "starts with /",
    ),
    ("transport = 'unix'\nauthentication = ['password']", "path", "no path"),
    (
        "transport = 'unix'\npath = 's'\nport = 1\nauthentication = ['password']",
        "port",
        "port on a unix listener",
    ),
    ("transport = 'udp'", "transport", 'expected "tcp", "tls", "ws", "wss" or "unix"'),
    ("name = 'a b'", "name", "without spaces"),
    ("address = 'tcp://0.0.0.0'", "address", "an IP address or host name"),
    ("port = 65536", "port", "65536; expected an integer from 0 to 65535"),
    ("limits = { sessions = 5 }", "limits.sessions", "unknown key; .* did you mean limits.sessions"),
]


@pytest.mark.parametrize(
    ("text", "key", "message"), LISTENER_MISTAKES, ids=[case[0] for case in LISTENER_MISTAKES]
)
def test_a_listener_that_contradicts_itself_is_refused(
    text: str, key: str, message: str, write: Write
) -> None:
    texts = {name: said for _, name, said in problems_of(write(f"[[listener]]\n{text}\n"))}
    assert re.search(message, texts[f"listener[1].{key}"]), texts


class TestAFileWithMistakes:
    def test_tells_all_of_them_at_once_in_the_order_of_their_lines(self, write: Write) -> None:
        path = write(
            """# several mistakes
[limits]
packet_sise = 5
connections = 0

[[listener]]
transport = "tcp"
prot = 5

[[listener]]
transport = "tcp"
port = true
authentication = ["password"]
name = "b"
"""
        )
        with pytest.raises(SettingsError) as refusal:
            load(path)
        assert str(refusal.value).splitlines() == [
            f"{path}:3: limits.packet_sise: unknown key; expected a key of [limits]; "
            "did you mean packet_size?",
            f"{path}:4: limits.connections: 0; expected an integer from 1 to 10000000",
            f"{path}:6: listener[1].authentication: no authentication; expected one or more of "
            '"certificate", "password", "scram"; or ["anonymous"] where anybody may connect',
            f"{path}:8: listener[1].prot: unknown key; expected a key of [[listener]]; did you mean port?",
            f"{path}:12: listener[2].port: true; expected an integer from 0 to 65535",
        ]
        assert (refusal.value.line, refusal.value.key) == (3, ("limits", "packet_sise"))

    def test_is_not_blamed_for_what_follows_from_a_mistake_already_named(self, write: Write) -> None:
        text = """
            [[listener]]
            transport = "tsl"
            authentication = ["certificate"]
            [[listener]]
            transport = "tcp"
            port = "1883"
            authentication = ["passwrd"]
            [[listener]]
            transport = "tcp"
            authentication = ["password"]
        """
        keys = [key for _, key, _ in problems_of(write(text))]
        assert keys == ["listener[1].transport", "listener[2].port", "listener[2].authentication"]

    @pytest.mark.parametrize(
        ("text", "line", "found"),
        [
            ("[limits]\npacket_size = = 5\n", 2, '"packet_size = = 5": invalid value'),
            ("[limits]\n\n[limits]\n", 3, "cannot declare"),
            ("[log]\nlevel = 'info\n", 2, '"level = \'info"'),
            ("[log\n", 1, '"[log"'),
            ("[limits]\nconnections = 1\nconnections = 2\n", 3, "cannot overwrite"),
        ],
    )
    def test_that_is_no_toml_is_told_with_the_line(
        self, text: str, line: int, found: str, write: Write
    ) -> None:
        with pytest.raises(SettingsError) as refusal:
            load(write(text))
        assert refusal.value.line == line
        assert found in refusal.value.found
        assert refusal.value.expected == "TOML"

    def test_that_is_not_utf8_is_told_with_the_line(self, tmp_path: Path) -> None:
        path = tmp_path / "lockwire.toml"
        path.write_bytes(b"# fine\n# caf\xe9\n")
        assert problems_of(path) == [(2, "the file", "the file: bytes that are not UTF-8; expected UTF-8")]

    def test_that_does_not_exist_is_told(self, tmp_path: Path) -> None:
        assert [line for line, _, _ in problems_of(tmp_path / "none.toml")] == [0]
        with pytest.raises(SettingsError, match="No such file or directory; expected a readable file"):
            load(tmp_path / "none.toml")

    def test_needs_a_listener_where_nothing_else_gives_one(self, write: Write) -> None:
        ((_, key, text),) = problems_of(write("[log]\nlevel = 'info'\n"))
        assert key == "listener"
        assert "no listener" in text

    def test_cannot_give_two_listeners_one_name_or_one_place(self, write: Write) -> None:
        text = TCP + TCP + TCP.replace('"tcp"', '"ws"\naddress = "0.0.0.0"\nport = 1883\nname = "ws"')
        found = [(line, key) for line, key, _ in problems_of(write(text))]
        assert (6, "listener[2].name") in found
        assert (6, "listener[2].port") in found
        assert (13, "listener[3].port") in found

    @pytest.mark.parametrize(
        ("first", "second", "clash"),
        [
            ("::", "127.0.0.1", True),
            ("0.0.0.0", "192.0.2.1", True),
            ("0.0.0.0", "::1", False),
            ("127.0.0.1", "::1", False),
            ("127.0.0.1", "127.0.0.1", True),
        ],
    )
    def test_sees_that_an_address_is_part_of_another(
        self, first: str, second: str, clash: bool, write: Write
    ) -> None:
        text = "".join(
            TCP.replace("[[listener]]", f'[[listener]]\nname = "n{index}"\naddress = "{address}"')
            for index, address in enumerate((first, second))
        )
        if clash:
            assert [key for _, key, _ in problems_of(write(text))] == ["listener[2].port"]
        else:
            assert len(load(write(text)).listeners) == 2

    def test_is_also_told_what_only_another_part_can_see(self, write: Write) -> None:
        def check(settings: Settings) -> list[Problem]:
            assert settings.tls.groups == ["P-255"]
            return [Problem(("tls", "groups"), '"P-255"', "a group that OpenSSL has")]

        with pytest.raises(SettingsError) as refusal:
            load(write(TCP + '[tls]\nsession_tickets = true\ngroups = ["P-255"]\n'), check=check)
        assert (refusal.value.line, refusal.value.found) == (7, '"P-255"')


NAMES = sorted({name for model in tables().values() for name in model.model_fields})
VALUES = st.one_of(
    st.booleans().map(lambda value: str(value).lower()),
    st.integers(min_value=-(1 << 62), max_value=1 << 62).map(str),
    st.floats().map(str),
    st.sampled_from(["''", "[]", "{}", "[[1]]", "{ port = 1 }", "1979-05-27", "'::'", "['password']"]),
)
LINES = st.one_of(
    st.sampled_from(EXAMPLE.splitlines()),
    st.tuples(
        st.sampled_from(sorted({name for model in tables().values() for name in model.model_fields})), VALUES
    ).map(" = ".join),
    st.sampled_from([f"[{'.'.join(path)}]" for path in tables()] + ["[[listener]]", "[[tls]]", "[a.b]"]),
)


def problems_in(path: Path) -> tuple[Problem, ...]:
    """What is wrong with a file; nothing where it loads."""
    try:
        load(path, Settings.for_trying())
    except SettingsError as refusal:
        return refusal.problems
    return ()


@given(st.lists(LINES, max_size=30))
@hypothesis_settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_taken_or_refused_with_its_lines(write: Write, lines: list[str]) -> None:
    path = write("\n".join(lines))
    assert all(1 <= problem.line <= len(lines) for problem in problems_in(path))
