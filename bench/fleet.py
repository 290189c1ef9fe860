"""A data folder with many users, the broker on it, and a certificate revoked among many that live."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.brokers import Broker, BrokerError, Lockwire, Security
from bench.certificates import Certificates
from bench.delay import INTERVAL
from bench.generator import Generator, GeneratorError, Result
from lockwire.access.database.users import User
from lockwire.access.methods.passwords import hash_chosen, hash_generated
from lockwire.data import DataFolder
from lockwire.household import Household

PASSWORD = "CorrectHorseBatteryStaple"
"""Of every user: each has a salt, and so a hash, of their own."""
USERNAME = "user-%u"
"""As the load generator counts them."""
VICTIM = "victim"


@dataclass(frozen=True)
class Fleet:
    """What is in the data folder.

    users: how many, called as USERNAME says.
    chosen: their passwords are hashed like what people choose (argon2id), not like generated ones (SHA-256).
    """

    users: int = 0
    chosen: bool = False


class FleetLockwire(Lockwire):
    """`lockwire up` on a data folder with a fleet; clients without a user name are anonymous."""

    def __init__(self, peer: Lockwire, fleet: Fleet) -> None:
        self.program = peer.program
        self._fleet = fleet

    def command(self, folder: Path, certificates: Certificates, ports: Mapping[Security, int]) -> list[str]:
        data = DataFolder(folder / "data")
        data.create()
        household, _ = Household.prepare(data)
        hash_password = hash_chosen if self._fleet.chosen else hash_generated
        secret = PASSWORD.encode()
        users = (
            User(USERNAME.replace("%u", str(n)), hash_password(secret)) for n in range(self._fleet.users)
        )
        household.access.put((user, ()) for user in users)
        device = household.add_device(VICTIM)
        for name, content in (("ca", device.ca), ("chain", device.chain), ("key", device.key)):
            (folder / f"{VICTIM}-{name}.pem").write_bytes(content)
        trusted = folder / "trusted.pem"
        trusted.write_bytes(certificates.ca.read_bytes() + household.authority.client_ca.read_bytes())
        household.access.close()
        (folder / "lockwire.toml").write_text(self._settings(certificates, trusted, ports))
        return [*self.program, "up", "--data", str(data.path), "--config", str(folder / "lockwire.toml")]

    def _settings(self, certificates: Certificates, trusted: Path, ports: Mapping[Security, int]) -> str:
        lines = [
            '[log]\nlevel = "warning"',
            f'[sys]\ninterval = {INTERVAL}\nreaders = "everyone"',
            f'[tls]\ncertificate = "{certificates.server}"\nkey = "{certificates.server_key}"\n'
            f'client_ca = "{trusted}"',
        ]
        for security, port in ports.items():
            mutual = security is Security.MUTUAL
            methods = '"certificate"' if mutual else '"password", "anonymous"'
            lines.append(
                f"[[listener]]\n"
                f'transport = "{"tcp" if security is Security.PLAIN else "tls"}"\n'
                f'address = "127.0.0.1"\nport = {port}\n'
                f'client_certificates = "{"required" if mutual else "none"}"\n'
                f"authentication = [{methods}]"
            )
        return "\n\n".join(lines) + "\n"


@dataclass(frozen=True)
class Setting:
    """What a step that is not the load generator's alone works with.

    folder: where the broker's data folder `data` is.
    """

    peer: Lockwire
    broker: Broker
    folder: Path
    generator: Generator
    fleet: Fleet

    def run(self, *words: str) -> float:
        """Runs a `lockwire` command on the data folder; how many seconds it took. Raises BrokerError."""
        began = time.monotonic()
        command = [*self.peer.program, *words, "--data", str(self.folder / "data")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise BrokerError(f"{' '.join(words)} failed: {done.stdout}{done.stderr}".strip())
        return time.monotonic() - began


def issue_many(setting: Setting, options: Mapping[str, object]) -> Result:
    """Issues certificates with keys for as many devices as `connections` says, by the running broker."""
    count = int(str(options["connections"]))
    table = setting.folder / "devices.csv"
    table.write_text("\n".join(["name", *(f"device-{number}" for number in range(count))]) + "\n")
    before = _cpu_seconds(setting.broker.process)
    seconds = setting.run("cert", "bulk", str(table), "--out", str(setting.folder / "kits"))
    return {"certificates": count, "seconds": seconds, "cpu": _cpu_seconds(setting.broker.process) - before}


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def revoke_one(setting: Setting, options: Mapping[str, object]) -> Result:
    """Revokes the certificate of one client among many that are connected; how long until it is cut off.

    options: of the load generator's mode idle; its connections have other certificates.
    """
    peer, broker, folder = setting.peer, setting.broker, setting.folder
    held: Result = {}

    def while_they_live() -> None:
        with _connected_victim(broker.ports[Security.MUTUAL], folder) as victim:
            command = [*peer.program, "cert", "revoke", VICTIM, "--yes", "--data", str(folder / "data")]
            began = time.monotonic()
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            goodbye = victim.recv(4096)
            held["seconds_from_command"] = time.monotonic() - began
            printed, _ = process.communicate(timeout=60)
            held["command_seconds"] = time.monotonic() - began
            if process.returncode != 0 or goodbye[:1] != b"\xe0":
                raise GeneratorError(f"revoking answered {goodbye!r} and printed: {printed.strip()}")

    numbers = setting.generator.run_beside("idle", options, _all_connected(broker, options), while_they_live)
    return {**numbers, **held}


def _all_connected(broker: Broker, options: Mapping[str, object]) -> Callable[[], bool]:
    """Whether as many sockets of the broker's as there are connections are open."""
    wanted = int(str(options["connections"]))

    def reached() -> bool:
        return len(os.listdir(f"/proc/{broker.process}/fd")) > wanted

    return reached


def _connected_victim(port: int, folder: Path) -> ssl.SSLSocket:
    """An MQTT 5 client with the certificate that will be revoked; its CONNACK has come."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(folder / f"{VICTIM}-chain.pem", folder / f"{VICTIM}-key.pem")
    plain = socket.create_connection(("127.0.0.1", port), timeout=60)
    victim = context.wrap_socket(plain)
    client_id = VICTIM.encode()
    body = b"\0\4MQTT\5\2\0\0\0" + len(client_id).to_bytes(2, "big") + client_id
    victim.sendall(bytes((0x10, len(body))) + body)
    connack = victim.recv(4096)
    if not re.match(rb"\x20.\x00\x00", connack, re.DOTALL):
        raise GeneratorError(f"the client to be revoked was answered {connack!r}")
    return victim
