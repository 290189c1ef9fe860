"""What Java's PKIX says of the chains: it holds to RFC 5280 section 6 where others are lenient."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest

from lockwire.pki.authority import branches, rollover
from lockwire.pki.authority.authority import Authority, Issued
from lockwire.pki.authority.branches import RootKey
from lockwire.pki.authority.founding import NewAuthority
from lockwire.pki.authority.profiles import PROFILES
from lockwire.pki.authority.requests import make_request
from lockwire.pki.keys import KeyKind
from tests.support.peers import peer_path

pytestmark = pytest.mark.peer("java")


def java(*pairs: tuple[Path, Path]) -> list[str]:
    """The verdicts on pairs of an anchor and a chain."""
    files = [str(file) for pair in pairs for file in pair]
    source = Path(__file__).with_name("Verify.java")
    command = [peer_path("java"), "-XX:TieredStopAtLevel=1", "-Xshare:auto", str(source), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def write(folder: Path, name: str, issued: Issued) -> Path:
    (folder / name).write_bytes(issued.chain)
    return folder / name


def test_java_accepts_every_chain_and_refuses_a_strangers(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    made = Authority.create(tmp_path / "ca", wanted=NewAuthority(rsa=KeyKind.RSA_2048))
    pairs = [
        (made.device_ca, write(tmp_path, profile.name, made.issue([make_request(profile.name, profile)])[0]))
        for profile in PROFILES.values()
    ]
    rsa = write(tmp_path, "rsa", made.issue_server(["a"], ["192.0.2.7"], branch=branches.RSA))
    pairs += [(made.rsa_device_ca, rsa), (made.device_ca, rsa)]
    other = Authority.create(tmp_path / "ed25519", wanted=NewAuthority(KeyKind.ED25519))
    pairs.append((other.device_ca, write(tmp_path, "ed", other.issue_server(["a"], []))))
    first = tmp_path / "first.pem"
    shutil.copy(made.device_ca, first)
    rollover.start(made, KeyKind.P256, RootKey(), now)
    second = made.folder / "next-root.pem"
    before = write(tmp_path, "before", made.issue_server(["a"], []))
    pairs += [(first, before), (second, before)]
    shutil.copy(second, tmp_path / "second.pem")
    rollover.switch(made, now)
    after = write(tmp_path, "after", made.issue_server(["a"], []))
    pairs = [(tmp_path / "second.pem" if anchor == second else anchor, chain) for anchor, chain in pairs]
    pairs = [(first if anchor == made.device_ca else anchor, chain) for anchor, chain in pairs]
    pairs += [(first, after), (tmp_path / "second.pem", after)]
    verdicts = java(*pairs, (other.device_ca, after))
    assert [verdict.partition(" ")[0] for verdict in verdicts] == ["OK"] * len(pairs) + ["REFUSED"], verdicts
