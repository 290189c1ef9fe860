"""What is done to a data folder by whoever holds its lock: the running broker, or a command without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lockwire.access.database.database import AccessDatabase, create_database
from lockwire.access.database.takeover import take_over
from lockwire.access.database.users import ADMINISTRATOR as ADMINISTRATOR_TAG
from lockwire.access.database.users import make_user
from lockwire.access.errors import AccessFileError
from lockwire.access.learning.memory import Learning
from lockwire.access.methods.passwords import generate_password
from lockwire.access.rights.policy import Policy
from lockwire.access.rights.rules import DEFAULT_RULES, Rule
from lockwire.control import ControlError
from lockwire.data import DataFolder
from lockwire.pki.authority import profiles
from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.hosts import host_addresses, host_names
from lockwire.pki.authority.server import CERTIFICATE, ensure_server_certificate
from lockwire.pki.pem import read_certificate

ADMINISTRATOR: Final = "admin"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a device needs to connect.

    ca: PEM, what it checks the broker with. chain: PEM, its certificate with the intermediate.
    key: PEM, for a 0600 file. until: the date on which the certificate ends.
    """

    ca: bytes
    chain: bytes
    key: bytes
    until: str

    def to_answer(self) -> dict[str, str]:
        """As the control socket carries it."""
        return {
            "ca": self.ca.decode("ascii"),
            "chain": self.chain.decode("ascii"),
            "key": self.key.decode("ascii"),
            "until": self.until,
        }

    @classmethod
    def from_answer(cls, answer: object) -> Credentials:
        """The reverse. Raises ControlError where it is something else."""
        if isinstance(answer, dict):
            values = [answer.get(name) for name in ("ca", "chain", "key", "until")]
            if all(isinstance(value, str) for value in values):
                ca, chain, key, until = map(str, values)
                return cls(ca.encode("ascii"), chain.encode("ascii"), key.encode("ascii"), until)
        raise ControlError(
            "the broker's answer is not understood", "Are broker and command the same version?"
        )


class Household:
    """The authority and the access database of one data folder.

    taken_over: whether users and rules have just been brought in from an older folder's files.
    configured_rules: those that the running broker's configuration adds.
    plugin_decides: whether the running broker asks a plug-in where no rule decides.
    """

    def __init__(
        self, data: DataFolder, authority: Authority, access: AccessDatabase, taken_over: bool = False
    ) -> None:
        self.data: Final = data
        self.authority: Final = authority
        self.access: Final = access
        self.taken_over: Final = taken_over
        self.configured_rules: tuple[Rule, ...] = ()
        self.plugin_decides: bool = False

    @cached_property
    def learning(self) -> Learning:
        """What clients do, as far as it is recorded. Raises AccessFileError for a damaged file, OSError."""
        return Learning(self.data.learning)

    @classmethod
    def open(cls, data: DataFolder) -> Household:
        """Opens a folder that `lockwire up` filled.

        Raises:
            PkiError, AccessError: its files are damaged or missing.
            OSError: they cannot be read.
        """
        authority = Authority.open(data.ca)
        taken_over = take_over(data.access_database, data.old_users, data.old_rules)
        if not data.access_database.exists():
            raise AccessFileError(
                data.access_database, 0, "it is missing", "a backup of it; lockwire up makes a new one"
            )
        return cls(data, authority, AccessDatabase(data.access_database), taken_over)

    @classmethod
    def found(cls, data: DataFolder, make_authority: Callable[[Path], object]) -> Household:
        """Makes what a folder needs for issuing: an authority, by `make_authority`, and the access database.

        Administrator and server certificate come with `prepare`. Raises PkiError, AccessError, OSError.
        """
        taken_over = take_over(data.access_database, data.old_users, data.old_rules)
        if not data.access_database.exists():
            create_database(data.access_database, DEFAULT_RULES)
        make_authority(data.ca)  # last: it marks the folder as filled
        return cls(data, Authority.open(data.ca), AccessDatabase(data.access_database), taken_over)

    @classmethod
    def prepare(cls, data: DataFolder) -> tuple[Household, str | None]:
        """As `open`, and makes what is not there yet: authority, administrator, rules.

        Gives the administrator's password where one was made; nobody can read it again later.

        Raises:
            PkiError, AccessError: what is there is damaged.
            OSError: the disk refuses.
        """
        authority = Authority.open(data.ca) if data.initialised else Authority.create(data.ca)
        taken_over = take_over(data.access_database, data.old_users, data.old_rules)
        if not data.access_database.exists():
            create_database(data.access_database, DEFAULT_RULES)
        household = cls(data, authority, AccessDatabase(data.access_database), taken_over)
        password = None
        if len(household.access) == 0:
            password = generate_password()
            household.access.add(
                make_user(ADMINISTRATOR, password, generated=True, tags=[ADMINISTRATOR_TAG], with_scram=True)
            )
        return household, password

    def ensure_server_certificate(self) -> str | None:
        """Issues the server's certificate anew where it ends soon or the host's names or addresses changed.

        Gives why, None where the one that is there stays. May wait a second for the system's resolver.

        Raises:
            PkiError: the files there are not ours.
            OSError: the disk refuses.
        """
        return ensure_server_certificate(self.authority, self.data.server, host_names(), host_addresses())

    def server_certificate(self) -> x509.Certificate:
        """The certificate that the server presents. Raises PkiError."""
        return read_certificate(self.data.server / CERTIFICATE, "Start the broker with lockwire up.")

    def fingerprint(self) -> str:
        """The SHA-256 fingerprint of the root, AA:BB:..., as OpenSSL writes it."""
        return self.authority.root.fingerprint(hashes.SHA256()).hex(":").upper()

    def add_device(self, name: str, replace: bool = False, by: str = "") -> Credentials:
        """Issues a client certificate, asked for by `by`. Raises PkiError where it cannot be had, OSError."""
        issued = self.authority.issue_client(name, replace, by=by)
        return Credentials(
            self.authority.device_ca.read_bytes(),
            issued.chain,
            issued.key,
            f"{issued.certificate.not_valid_after_utc:%Y-%m-%d}",
        )

    def has_device(self, name: str) -> bool:
        """Whether a client certificate was issued for this name."""
        return self.authority.ledger.latest(profiles.CLIENT.name, name) is not None

    def holders(self, name: str, but: str = "") -> list[str]:
        """Who is called so: "a user", "a device", "a pre-shared key"; rules for a name mean all of them.

        but: without this one.
        """
        found = {
            "user": self.access.get(name) is not None,
            "device": self.has_device(name),
            "pre-shared key": self.access.psk_key(name) is not None,
        }
        return [f"a {kind}" for kind, there in found.items() if there and kind != but]

    def policy(self) -> Policy:
        """What clients may do: what the access database says, and the configuration beside it."""
        policy = self.access.policy()
        return replace(policy, rules=(*policy.rules, *self.configured_rules))
