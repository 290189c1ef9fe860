"""A certificate is revoked by the command while its device is connected, and what becomes of it then."""

from __future__ import annotations

import datetime
import json
import re
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from lockwire.mqtt import reasons
from lockwire.pki.revocation.publishing import BACKDATED
from tests.cli.quick import done
from tests.e2e.site import Site
from tests.support import packets
from tests.support.packets import CONNACK, DISCONNECT, PINGRESP, SUBACK, Packet

LISTENERS = """
[authority]
serve = true
port = 0

[[listener]]
name = "tls12"
transport = "tls"
address = "127.0.0.1"
port = 0
client_certificates = "required"
authentication = ["certificate"]
[listener.tls]
maximum_version = "1.2"

[[listener]]
name = "tls13"
transport = "tls"
address = "127.0.0.1"
port = 0
client_certificates = "required"
authentication = ["certificate"]
[listener.tls]
minimum_version = "1.3"
"""
KEPT = [(packets.SESSION_EXPIRY_INTERVAL, 3600)]


class Device:
    """A device with its files, which connects with MQTT 5 and keeps its session."""

    def __init__(self, site: Site, name: str, folder: str = "") -> None:
        self.site = site
        self.name = name
        files = site.folder / (folder or name)
        replace = ["--replace"] if folder else []
        done("device", "add", name, *replace, "--out", files, "--data", site.data, cwd=site.folder)
        self.certificate = files / f"{name}.pem"
        self.context = ssl.create_default_context(cafile=str(files / "ca.pem"))
        self.context.load_cert_chain(self.certificate, files / f"{name}.key")

    @property
    def serial(self) -> str:
        return f"{x509.load_pem_x509_certificate(self.certificate.read_bytes()).serial_number:x}"

    def connect(self, listener: str, session: ssl.SSLSession | None = None) -> Connection:
        port = self.site.broker.ports[listener]
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        tls = self.context.wrap_socket(plain, server_hostname="localhost", session=session)
        tls.sendall(packets.connect(f"{self.name}-{listener}", 5, clean=False, values=KEPT))
        return Connection(tls)


class Connection:
    """What a device has open, its CONNACK read."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self.tls = tls
        self._stream = tls.makefile("rb")
        self.connack = self.read()
        assert self.connack.type == CONNACK

    def read(self) -> Packet:
        head, length, shift = self._stream.read(1)[0], 0, 0
        while True:
            digit = self._stream.read(1)[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return packets.parse(head, self._stream.read(length), 5)

    def ask(self, request: bytes, kind: int) -> Packet:
        """Sends a packet, and gives the answer, which is of this type."""
        self.tls.sendall(request)
        answer = self.read()
        assert answer.type == kind
        return answer

    def at_end(self) -> bool:
        return self._stream.read(1) == b""

    def close(self) -> None:
        self._stream.close()
        self.tls.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("revocation"), LISTENERS)
    yield site
    site.broker.stop()


def lockwire(site: Site, *words: str | Path) -> str:
    return done(*words, "--data", site.data, cwd=site.folder)


@pytest.mark.parametrize("listener", ["tls12", "tls13"])
def test_a_revoked_device_is_out_at_once_and_its_new_certificate_brings_it_back(
    site: Site, listener: str
) -> None:
    pump, valve = Device(site, f"pump-{listener}"), Device(site, f"valve-{listener}")
    connected, beside = pump.connect(listener), valve.connect(listener)
    assert connected.ask(packets.subscribe(1, [(f"devices/{pump.name}/#", 1)]), SUBACK).reasons == [1]
    ticket = connected.tls.session

    printed = lockwire(site, "cert", "revoke", pump.name, "--reason", "keyCompromise", "--yes")
    assert pump.serial in printed
    assert "Revoked: 1 certificate." in printed

    goodbye = connected.read()
    assert (goodbye.type, goodbye.reason) == (DISCONNECT, reasons.NOT_AUTHORIZED)
    assert connected.at_end()
    connected.close()

    full = pump.connect(listener)
    assert not full.tls.session_reused
    assert full.connack.reason == reasons.NOT_AUTHORIZED
    assert full.at_end()
    resumed = pump.connect(listener, ticket)
    assert resumed.tls.session_reused
    assert resumed.connack.reason == reasons.NOT_AUTHORIZED
    assert resumed.at_end()

    beside.ask(packets.packet(packets.PINGREQ, 0, b""), PINGRESP)
    replaced = Device(site, pump.name, f"{pump.name}-new")
    back = replaced.connect(listener)
    assert back.connack.reason == 0
    assert back.connack.session_present, "the session is the device's, not the certificate's"
    for connection in (full, resumed, back, beside):
        connection.close()


def test_a_hold_keeps_a_device_out_until_it_is_taken_back(site: Site) -> None:
    device = Device(site, "held")
    lockwire(site, "cert", "revoke", device.serial, "--reason", "certificateHold", "--yes")
    refused = device.connect("tls13")
    assert refused.connack.reason == reasons.NOT_AUTHORIZED
    refused.close()
    assert "Valid again: 1 certificate." in lockwire(site, "cert", "unrevoke", "held")
    accepted = device.connect("tls13")
    assert accepted.connack.reason == 0
    accepted.close()


def test_the_world_is_told_by_list_and_ocsp(site: Site) -> None:
    device = Device(site, "told")
    lockwire(site, "cert", "revoke", "told", "--yes")
    found = re.search(r"revocation served address=\S+ port=(\d+)", site.broker.log)
    assert found is not None
    url = f"http://127.0.0.1:{found[1]}"
    with urllib.request.urlopen(f"{url}/crl.pem", timeout=10) as answer:
        (site.folder / "fetched.pem").write_bytes(answer.read())
    ca = site.data / "ca"
    verified = openssl(
        *("verify", "-crl_check", "-CAfile", ca / "clients.pem"),
        *("-CRLfile", site.folder / "fetched.pem", device.certificate),
    )
    assert "certificate revoked" in verified
    asked = openssl(
        *("ocsp", "-url", f"{url}/ocsp", "-issuer", ca / "intermediate.pem", "-CAfile", ca / "ca.pem"),
        *("-cert", device.certificate),
    )
    assert "Response verify OK" in asked
    assert f"{device.certificate}: revoked" in asked


def test_an_mqtt_3_client_is_closed_and_refused_too(site: Site) -> None:
    device = Device(site, "old")
    port = site.broker.ports["tls12"]
    answers = []
    for _ in range(2):
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        with device.context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(packets.connect("old", 4))
            answers.append(tls.recv(4))
            lockwire(site, "cert", "revoke", "old", "--yes")
            assert tls.recv(1) == b""
    assert answers == [b"\x20\x02\x00\x00", b"\x20\x02\x00\x05"]


def test_a_reload_changes_lifetime_and_service(site: Site) -> None:
    before = site.configuration.read_text()
    site.configuration.write_text(before.replace("serve = true", 'crl_lifetime = "1 h"'))
    lockwire(site, "reload")
    crl = x509.load_pem_x509_crl((site.data / "ca" / "crl.pem").read_bytes())
    assert crl.next_update_utc is not None
    assert crl.next_update_utc - crl.last_update_utc == datetime.timedelta(hours=1) + BACKDATED
    status = json.loads(lockwire(site, "status", "--json"))["revocation"]
    assert status["served"] == ""
    assert status["problems"] == 0
    assert status["lists"][0]["next_update"] == crl.next_update_utc.timestamp()
    site.configuration.write_text(before)
    lockwire(site, "reload")
    assert json.loads(lockwire(site, "status", "--json"))["revocation"]["served"].startswith("http://")


def test_what_is_revoked_stays_so_after_a_restart(site: Site) -> None:
    device = Device(site, "again")
    assert site.broker.stop() == 0
    lockwire(site, "cert", "revoke", "again", "--yes")  # no broker runs: done in the folder itself
    site.start()
    refused = device.connect("tls13")
    assert refused.connack.reason == reasons.NOT_AUTHORIZED
    refused.close()
    assert "again" in (site.data / "ca" / "issued.jsonl").read_text().splitlines()[-1]


def openssl(*arguments: str | Path) -> str:
    ended = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False
    )
    return ended.stdout + ended.stderr
