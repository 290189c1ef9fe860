"""What the host is called, and when the server's certificate is issued anew."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from pathlib import Path

import pytest
from cryptography import x509

from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.hosts import host_addresses, host_names, server_certificate_needs_renewal
from lockwire.pki.authority.server import ensure_server_certificate
from lockwire.pki.errors import MalformedFileError, PkiError, UnsafeKeyError

NAMES = ["localhost", "plant"]
ADDRESSES = ["192.0.2.7", "127.0.0.1"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca")


def test_a_host_has_at_least_its_own_names() -> None:
    names = host_names()
    assert names[0] == "localhost"
    assert any(name.endswith(".local") for name in names)
    assert len(names) == len(set(names))
    assert all(name.isascii() for name in names)


def test_the_addresses_of_a_host_can_be_bound_to_and_loopback_comes_last() -> None:
    addresses = [ipaddress.ip_address(address) for address in host_addresses()]
    assert ipaddress.ip_address("127.0.0.1") in addresses
    assert not any(address.is_link_local for address in addresses)
    assert [address.is_loopback for address in addresses] == sorted(
        address.is_loopback for address in addresses
    )
    for address in addresses:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))


def needs(authority: Authority, names: list[str], addresses: list[str], days: int = 0) -> str | None:
    now = datetime.datetime.now(datetime.UTC)
    certificate = authority.issue_server(NAMES, ADDRESSES, now).certificate
    return server_certificate_needs_renewal(
        certificate, names, addresses, authority.intermediate, now + datetime.timedelta(days=days)
    )


def test_a_certificate_stays_while_it_has_every_name_and_address(authority: Authority) -> None:
    assert needs(authority, NAMES, ADDRESSES) is None
    assert needs(authority, NAMES, ["127.0.0.1", "192.0.2.7"]) is None
    assert needs(authority, ["localhost"], ["192.0.2.7"]) is None


@pytest.mark.parametrize(
    ("names", "addresses", "days", "reason"),
    [
        (NAMES, [*ADDRESSES, "198.51.100.1"], 0, "it lacks 198.51.100.1"),
        (NAMES, [*ADDRESSES, "2001:db8::1"], 0, "it lacks 2001:db8::1"),
        ([*NAMES, "plant.example"], ADDRESSES, 0, "it lacks plant.example"),
        (NAMES, ["127.0.0.1"], 0, "the host no longer has the address 192.0.2.7"),
        (NAMES, ADDRESSES, 790, None),
        (NAMES, ADDRESSES, 795, "it ends in 28 days"),
        (NAMES, ADDRESSES, 900, "it ended on"),
        (NAMES, ADDRESSES, -10, "it is not valid before"),
    ],
)
def test_why_a_certificate_is_issued_anew(
    authority: Authority, names: list[str], addresses: list[str], days: int, reason: str | None
) -> None:
    found = needs(authority, names, addresses, days)
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith(reason)


def test_a_certificate_of_another_issuer_is_issued_anew(authority: Authority, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other")
    certificate = other.issue_server(NAMES, ADDRESSES).certificate
    assert server_certificate_needs_renewal(certificate, NAMES, ADDRESSES) is None
    assert (
        server_certificate_needs_renewal(certificate, NAMES, ADDRESSES, authority.intermediate)
        == "another authority issued it"
    )


def test_the_servers_pair_is_made_kept_and_replaced(authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    assert ensure_server_certificate(authority, folder, NAMES, ADDRESSES) == "there was none"
    first = (folder / "server.pem").read_bytes()
    assert len(x509.load_pem_x509_certificates(first)) == 2
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o600
    assert ensure_server_certificate(authority, folder, NAMES, ADDRESSES) is None
    assert (folder / "server.pem").read_bytes() == first
    moved = ["198.51.100.9", "127.0.0.1"]
    assert ensure_server_certificate(authority, folder, NAMES, moved) == "it lacks 198.51.100.9"
    assert (folder / "server.pem").read_bytes() != first


def test_a_pair_left_half_written_by_a_crash_is_replaced(authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    ensure_server_certificate(authority, folder, NAMES, ADDRESSES)
    (folder / "server.key").write_bytes(authority.issue_server(NAMES, ADDRESSES).key)
    assert ensure_server_certificate(authority, folder, NAMES, ADDRESSES) == "its key did not match"
    (folder / "server.pem").unlink()
    assert ensure_server_certificate(authority, folder, NAMES, ADDRESSES) == "server.pem was missing"


def test_files_that_are_not_ours_are_not_overwritten(authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    ensure_server_certificate(authority, folder, NAMES, ADDRESSES)
    foreign = Authority.create(tmp_path / "other").issue_server(NAMES, ADDRESSES)
    (folder / "server.pem").write_bytes(foreign.chain)
    (folder / "server.key").write_bytes(foreign.key)
    with pytest.raises(PkiError, match=r"server\.pem: This certificate does not come from this authority"):
        ensure_server_certificate(authority, folder, NAMES, ADDRESSES)
    assert (folder / "server.pem").read_bytes() == foreign.chain
    (folder / "server.key").chmod(0o644)
    with pytest.raises(UnsafeKeyError):
        ensure_server_certificate(authority, folder, NAMES, ADDRESSES)
    (folder / "server.pem").write_bytes(b"nonsense")
    with pytest.raises(MalformedFileError):
        ensure_server_certificate(authority, folder, NAMES, ADDRESSES)
