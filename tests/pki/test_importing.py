"""Authorities that others made, taken over: what they issued stays valid; what is unusable is refused."""

from __future__ import annotations

import datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.importing import (
    Import,
    KeptKey,
    assess,
    branch_of,
    found,
    replace_with,
    was_imported,
)
from lockwire.pki.authority.profiles import CLIENT, SERVER
from lockwire.pki.authority.requests import make_request
from lockwire.pki.errors import AuthorityExistsError, ImportRefusedError, WeakKeyError
from lockwire.pki.keys import KeyKind, is_encrypted
from lockwire.pki.toolkit.content import read_content
from tests.pki.issuing import issue
from tests.support.crash import killed_at
from tests.support.openssl import openssl, verifies

pytestmark = pytest.mark.peer("openssl")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def make_root(folder: Path, *options: object, key: tuple[str, ...] = ("-newkey", "ec", "-pkeyopt",
              "ec_paramgen_curve:P-256")) -> tuple[Path, Path]:  # fmt: skip
    """A root as how-tos make one: `openssl req -x509`."""
    folder.mkdir(exist_ok=True)
    openssl("req", "-x509", *key, "-nodes", "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
            "-subj", "/C=IT/O=Uni/CN=My CA", "-days", "2000", *options)  # fmt: skip
    return folder / "ca.pem", folder / "ca.key"


def sign(folder: Path, ca: Path, key: Path, name: str) -> Path:
    """A device's certificate as how-tos make one: `openssl x509 -req`."""
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"{name}.key",
            "-subj", f"/CN={name}", "-out", folder / f"{name}.csr")  # fmt: skip
    openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", ca, "-CAkey", key, "-CAcreateserial",
            "-days", "900", "-sha256", "-out", folder / f"{name}.crt")  # fmt: skip
    return folder / f"{name}.crt"


def taken(*files: Path) -> Import:
    contents = [read_content(file) for file in files]
    certificates = [one for content in contents for one in content.certificates]
    (key,) = [item.key for content in contents for item in content.keys]
    return assess(certificates, key, now())


def imported(folder: Path, *files: Path, keep: KeptKey | None = None) -> Authority:
    found(folder, taken(*files), keep or KeptKey(), now(), "ada")
    return Authority.open(folder)


def leaf_of(authority: Authority, folder: Path, name: str = "pump") -> Path:
    (folder / "leaf.pem").write_bytes(authority.issue([make_request(name, CLIENT)])[0].chain)
    return folder / "leaf.pem"


def test_devices_of_before_and_of_now_are_verified_alike(tmp_path: Path) -> None:
    root, key = make_root(tmp_path)
    before = sign(tmp_path, root, key, "old-pump")
    authority = imported(tmp_path / "ca", root, key)
    now = leaf_of(authority, tmp_path)
    assert verifies(before, authority.client_ca, "-purpose", "sslclient")
    assert verifies(now, root, "-purpose", "sslclient", chain=now)
    assert authority.device_ca.read_text().strip().endswith(root.read_text().strip())
    assert was_imported(authority.ledger, authority.root)
    assert [entry.profile for entry in authority.ledger.entries()][:2] == ["imported", "intermediate"]
    assert next(authority.ledger.entries()).by == "ada"


def test_a_certificate_of_before_can_be_renewed(tmp_path: Path) -> None:
    root, key = make_root(tmp_path)
    old = x509.load_pem_x509_certificate(sign(tmp_path, root, key, "old-pump").read_bytes())
    authority = imported(tmp_path / "ca", root, key)
    new = authority.renew(old, CLIENT).certificate
    assert new.public_key() == old.public_key()
    assert authority.ledger.find("old-pump").serial == f"{new.serial_number:x}"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (("-newkey", "rsa:2048"), KeyKind.RSA_2048),
        (("-newkey", "rsa:3072"), KeyKind.RSA_3072),
        (("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"), KeyKind.P384),
        (("-newkey", "ed25519"), KeyKind.ED25519),
    ],
)
def test_the_intermediate_is_of_the_roots_kind(tmp_path: Path, key: tuple[str, ...], kind: KeyKind) -> None:
    authority = imported(tmp_path / "ca", *make_root(tmp_path, key=key))
    public = authority.intermediate.public_key()
    assert type(public) is type(authority.root.public_key())
    if kind.is_rsa:
        assert getattr(public, "key_size", 0) == int(kind.value[4:])
    leaf = leaf_of(authority, tmp_path)
    assert verifies(leaf, authority.device_ca, "-purpose", "sslclient", chain=leaf)


def test_a_key_is_kept_encrypted_or_elsewhere_or_not_at_all(tmp_path: Path) -> None:
    files = make_root(tmp_path)
    authority = imported(tmp_path / "a", *files, keep=KeptKey(passphrase=b"correct horse"))
    file = authority.folder / "root.key"
    assert is_encrypted(file.read_bytes(), file)
    openssl("pkey", "-in", file, "-passin", "pass:correct horse", "-noout", "-check")
    authority = imported(tmp_path / "b", *files, keep=KeptKey(folder=tmp_path / "stick"))
    assert not (authority.folder / "root.key").exists()
    assert (tmp_path / "stick" / "root.key").stat().st_mode & 0o077 == 0
    authority = imported(tmp_path / "c", *files, keep=KeptKey(kept=False))
    assert not (authority.folder / "root.key").exists()
    authority.issue_client("pump")


def test_a_root_that_allows_no_intermediate_issues_itself(tmp_path: Path) -> None:
    files = make_root(tmp_path, "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    authority = imported(tmp_path / "ca", *files)
    assert authority.intermediate == authority.root
    leaf = leaf_of(authority, tmp_path)
    assert leaf.read_text().count("BEGIN") == 1
    assert verifies(leaf, authority.device_ca, "-x509_strict", "-purpose", "sslclient")
    server = authority.issue([make_request("plant", SERVER)])[0]
    (tmp_path / "server.pem").write_bytes(server.chain)
    assert verifies(tmp_path / "server.pem", authority.device_ca, "-x509_strict", "-purpose", "sslserver")


def test_an_intermediate_comes_with_its_root(tmp_path: Path) -> None:
    root, key = make_root(tmp_path)
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "sub.key",
            "-subj", "/CN=Sub", "-out", tmp_path / "sub.csr")  # fmt: skip
    (tmp_path / "ext").write_text(
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign,cRLSign\n"
    )
    openssl("x509", "-req", "-in", tmp_path / "sub.csr", "-CA", root, "-CAkey", key, "-CAcreateserial",
            "-days", "1500", "-extfile", tmp_path / "ext", "-out", tmp_path / "sub.pem")  # fmt: skip
    with pytest.raises(ImportRefusedError, match="'Sub' is an intermediate: 'My CA' issued it"):
        taken(tmp_path / "sub.pem", tmp_path / "sub.key")
    authority = imported(tmp_path / "ca", tmp_path / "sub.pem", root, tmp_path / "sub.key")
    assert not (authority.folder / "root.key").exists()
    leaf = leaf_of(authority, tmp_path)
    assert verifies(leaf, root, "-purpose", "sslclient", chain=leaf)


# --- old roots


def test_a_version_1_root_is_taken_with_a_warning(tmp_path: Path) -> None:
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k", "-subj", "/CN=Old",
            "-out", tmp_path / "csr")  # fmt: skip
    openssl("x509", "-req", "-in", tmp_path / "csr", "-signkey", tmp_path / "k", "-days", "2000",
            "-out", tmp_path / "ca.pem")  # fmt: skip
    assert "X.509 version 1" in taken(tmp_path / "ca.pem", tmp_path / "k").warnings[0]
    authority = imported(tmp_path / "ca", tmp_path / "ca.pem", tmp_path / "k")
    leaf = leaf_of(authority, tmp_path)
    assert verifies(leaf, authority.device_ca, "-purpose", "sslclient", chain=leaf)
    assert verifies(leaf, authority.client_ca, "-purpose", "sslclient")


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_an_old_signature_of_a_root_is_harmless_and_said(tmp_path: Path, digest: str) -> None:
    files = make_root(tmp_path, f"-{digest}", key=("-newkey", "rsa:2048"))
    assert f"signed with {digest.upper()}: harmless in a root" in " ".join(taken(*files).warnings)
    authority = imported(tmp_path / "ca", *files)
    leaf = leaf_of(authority, tmp_path)
    assert verifies(leaf, authority.device_ca, "-purpose", "sslclient", chain=leaf)
    assert f"{digest}With" not in openssl("x509", "-in", leaf, "-noout", "-text")


def der_of(file: Path) -> bytes:
    return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(serialization.Encoding.DER)


def test_a_root_whose_signature_is_wrong_is_refused(tmp_path: Path) -> None:
    for digest in ("-sha1", "-sha256"):
        root, key = make_root(tmp_path, digest)
        der = der_of(root)
        assert b"Uni" in der
        root.write_bytes(der.replace(b"Uni", b"Vni"))
        with pytest.raises(ImportRefusedError, match="not signed by its own key"):
            taken(root, key)


def test_a_device_whose_certificate_has_an_old_signature_can_renew_it(tmp_path: Path) -> None:
    root, key = make_root(tmp_path, key=("-newkey", "rsa:2048"))
    sign(tmp_path, root, key, "pump")
    openssl("x509", "-req", "-in", tmp_path / "pump.csr", "-CA", root, "-CAkey", key, "-CAcreateserial",
            "-days", "900", "-sha1", "-out", tmp_path / "pump.crt")  # fmt: skip
    old = x509.load_pem_x509_certificate((tmp_path / "pump.crt").read_bytes())
    authority = imported(tmp_path / "ca", root, key)
    assert authority.renew(old, CLIENT).certificate.public_key() == old.public_key()


def test_a_root_without_identifiers_is_taken_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "c").write_text(
        "[req]\ndistinguished_name=n\nx509_extensions=e\n[n]\n[e]\nsubjectKeyIdentifier=none\nbasicConstraints=CA:TRUE\n"
    )
    files = make_root(tmp_path, "-config", tmp_path / "c")
    said = " ".join(taken(*files).warnings)
    assert "no subjectKeyIdentifier" in said
    assert "no keyUsage" in said
    authority = imported(tmp_path / "ca", *files)
    leaf = leaf_of(authority, tmp_path)
    assert verifies(leaf, authority.device_ca, "-purpose", "sslclient", chain=leaf)


def test_a_root_that_ends_soon_is_taken_with_a_warning(tmp_path: Path) -> None:
    files = make_root(tmp_path, "-days", "100")
    assert "plan lockwire ca rollover" in " ".join(taken(*files).warnings)


# --- refused


@pytest.mark.parametrize(
    ("options", "key", "reason"),
    [
        (["-addext", "basicConstraints=critical,CA:FALSE"], ("-newkey", "rsa:2048"), "is not a CA"),
        (["-addext", "keyUsage=digitalSignature"], ("-newkey", "rsa:2048"), "without keyCertSign"),
        (["-addext", "extendedKeyUsage=codeSigning"], ("-newkey", "rsa:2048"), "other purposes"),
        ([], ("-newkey", "rsa:1024"), "1024 bits"),
        ([], ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"), "secp256k1"),
        ([], ("-newkey", "ed448"), "Ed448"),
    ],
)
def test_what_devices_would_refuse_is_refused_with_the_reason(
    tmp_path: Path, options: list[str], key: tuple[str, ...], reason: str
) -> None:
    files = make_root(tmp_path, *options, key=key)
    with pytest.raises((ImportRefusedError, WeakKeyError), match=reason):
        taken(*files)


def test_what_has_ended_or_not_begun_is_refused(tmp_path: Path) -> None:
    root, key = make_root(tmp_path)
    certificates, private = read_content(root).certificates, read_content(key).keys[0].key
    for moved, reason in ((2001, "ended on"), (-10, "begins on")):
        with pytest.raises(ImportRefusedError, match=reason):
            assess(certificates, private, now() + datetime.timedelta(days=moved))


def test_a_key_of_something_else_is_refused(tmp_path: Path) -> None:
    root, key = make_root(tmp_path)
    sign(tmp_path, root, key, "pump")
    with pytest.raises(ImportRefusedError, match="No certificate was given that belongs to the key"):
        taken(root, tmp_path / "pump.key")
    with pytest.raises(ImportRefusedError, match="'pump' is an intermediate: 'My CA' issued it"):
        taken(tmp_path / "pump.crt", tmp_path / "pump.key")


def test_an_import_never_goes_over_an_authority(tmp_path: Path) -> None:
    Authority.create(tmp_path / "ca")
    with pytest.raises(AuthorityExistsError):
        imported(tmp_path / "ca", *make_root(tmp_path))


# --- in the place of another


def test_an_import_in_the_place_of_another_authority_through_crashes(tmp_path: Path) -> None:
    root, key = make_root(tmp_path)
    given = taken(root, key)
    original = Authority.create(tmp_path / "original")
    files = {file.name: file.read_bytes() for file in original.folder.iterdir()}
    step, died, seen = 1, True, set()
    while died:
        folder = tmp_path / f"ca-{step}"
        folder.mkdir(mode=0o700)
        for name, data in files.items():
            (folder / name).write_bytes(data)
            (folder / name).chmod(0o600)
        died = killed_at(step, partial(replace_with, Authority.open(folder), given, KeptKey(), now(), ""))
        authority = Authority.open(folder)
        assert authority.root in (original.root, given.root)
        seen.add(authority.root == given.root)
        leaf = leaf_of(authority, tmp_path)
        assert verifies(leaf, authority.device_ca, chain=leaf)
        step += 3  # every third: they are many, and test_changes has every one
    assert seen == {False, True}


def test_a_branch_of_an_import_has_a_name_of_its_own(tmp_path: Path) -> None:
    given = taken(*make_root(tmp_path))
    first, second = (branch_of(given, now()).issuer.common_name for _ in range(2))
    assert first != second
    assert first.startswith("Lockwire intermediate ")


def test_nothing_outlives_an_imported_root(tmp_path: Path) -> None:
    """Nor where the intermediate that came with it does."""
    root = issue("Short root", ca=True, days=100, now=now())
    middle = issue("Long intermediate", root, ca=True, days=900, now=now())
    (tmp_path / "ca.pem").write_bytes(middle.pem + root.pem)
    (tmp_path / "ca.key").write_bytes(middle.key_pem)
    authority = imported(tmp_path / "ca", tmp_path / "ca.pem", tmp_path / "ca.key")
    leaf = authority.issue_client("pump").certificate
    assert leaf.not_valid_after_utc == root.certificate.not_valid_after_utc
