"""The chain of a server is fetched whole, in both versions, also from one that refuses us."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockwire.pki.errors import UnreachableError
from lockwire.pki.toolkit.presented import fetch_presented, parse_certificate_message
from tests.pki.issuing import Signed, issue
from tests.pki.serving import plain_server, tls_server

VERSIONS = pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)


@pytest.fixture(scope="module")
def root() -> Signed:
    return issue("Plant root", ca=True)


@pytest.fixture(scope="module")
def chain(root: Signed) -> list[Signed]:
    middle = issue("Plant intermediate", root, ca=True)
    return [issue("localhost", middle, names=["localhost"]), middle, root]


@VERSIONS
def test_the_whole_chain_in_the_order_sent(
    tmp_path: Path, chain: list[Signed], version: ssl.TLSVersion, name: str
) -> None:
    with tls_server(tmp_path, chain, version) as port:
        presented = fetch_presented("127.0.0.1", port)
    assert list(presented.certificates) == [each.der for each in chain]
    assert (presented.version, presented.complaint) == (name, "")
    assert presented.cipher_suite


@VERSIONS
def test_also_from_a_server_that_wants_a_client_certificate(
    tmp_path: Path, root: Signed, chain: list[Signed], version: ssl.TLSVersion, name: str
) -> None:
    with tls_server(tmp_path, chain, version, client_ca=root) as port:
        presented = fetch_presented("127.0.0.1", port)
    assert list(presented.certificates) == [each.der for each in chain]
    # TLS 1.3 refuses a client only after its side of the handshake is done.
    assert bool(presented.complaint) == (name == "TLSv1.2")


def test_a_weak_one_is_fetched_all_the_same(tmp_path: Path) -> None:
    weak = issue("localhost", key="RSA-1024")
    with tls_server(tmp_path, [weak], ssl.TLSVersion.TLSv1_2) as port:
        assert fetch_presented("127.0.0.1", port).certificates == (weak.der,)


def test_the_name_asked_for_chooses_the_chain(tmp_path: Path, chain: list[Signed]) -> None:
    other = issue("other.local", names=["other.local"])
    with tls_server(tmp_path, chain, alternatives={"other.local": [other]}) as port:
        assert fetch_presented("127.0.0.1", port).certificates[0] == chain[0].der
        assert fetch_presented("127.0.0.1", port, "other.local").certificates == (other.der,)


class TestWhatCannotBeReached:
    def test_a_port_where_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with pytest.raises(
            UnreachableError, match=rf"127\.0\.0\.1:{port} cannot be reached \(Connection refused\)"
        ):
            fetch_presented("127.0.0.1", port)

    def test_a_name_that_does_not_exist(self) -> None:
        with pytest.raises(UnreachableError, match=r"nowhere\.invalid:8883 cannot be reached"):
            fetch_presented("nowhere.invalid", 8883)

    def test_a_port_for_plain_mqtt_that_closes(self) -> None:
        with plain_server() as port, pytest.raises(UnreachableError, match="before it sent a certificate"):
            fetch_presented("127.0.0.1", port)

    def test_a_port_that_speaks_something_else(self) -> None:
        with (
            plain_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
            pytest.raises(UnreachableError, match="does not speak TLS"),
        ):
            fetch_presented("127.0.0.1", port)

    def test_one_that_says_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            began = time.monotonic()
            with pytest.raises(UnreachableError, match=r"did not answer in 0\.2 seconds"):
                fetch_presented("127.0.0.1", silent.getsockname()[1], seconds=0.2)
            assert time.monotonic() - began < 5


class TestCertificateMessage:
    def test_tls_12_and_13(self) -> None:
        old = bytes.fromhex("0b000000 000009 000002 aabb 000001 cc".replace(" ", ""))
        new = bytes.fromhex("0b000000 00 00000d 000002 aabb 0000 000001 cc 0000".replace(" ", ""))
        assert parse_certificate_message(old, 0x0303) == (b"\xaa\xbb", b"\xcc")
        assert parse_certificate_message(new, 0x0304) == (b"\xaa\xbb", b"\xcc")

    @given(message=st.binary(max_size=60), version=st.sampled_from([0x0303, 0x0304]))
    def test_anything_else_is_a_value_error_or_certificates(self, message: bytes, version: int) -> None:
        try:
            found = parse_certificate_message(message, version)
        except ValueError:
            return
        assert sum(map(len, found)) <= len(message)
