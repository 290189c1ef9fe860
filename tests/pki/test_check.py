"""What is wrong with a certificate file: each cause set up, named, and compared with openssl's verdict."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import re
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from lockwire.families import FAMILIES, find_family
from lockwire.pki.errors import MalformedFileError, PkiError
from lockwire.pki.toolkit.chain import explain_chain
from lockwire.pki.toolkit.check import Finding, Weight, ask, check
from lockwire.pki.toolkit.checks.names import matches
from lockwire.pki.toolkit.content import Content, parse_content, read_content
from lockwire.pki.toolkit.convert import Wish, convert
from lockwire.pki.toolkit.inspect import inspect
from tests.pki.issuing import CLIENT, NOW, SERVER, Signed, general, issue, name, openssl, rsa_key, usage


@pytest.fixture(scope="module")
def root() -> Signed:
    return issue("Plant root", ca=True, begin=-400, days=7300)


@pytest.fixture(scope="module")
def middle(root: Signed) -> Signed:
    return issue("Plant intermediate", root, ca=True, days=3650, path_length=0)


@pytest.fixture(scope="module")
def server(middle: Signed) -> Signed:
    return issue("plant.local", middle, names=["plant.local", "192.0.2.7", "dns:192.0.2.7"])


def content(*parts: Signed | bytes, path: str = "server.pem") -> Content:
    return parse_content(
        b"".join(part if isinstance(part, bytes) else part.pem for part in parts), Path(path)
    )


def constrained(
    common_name: str,
    issuer: Signed,
    key: ec.EllipticCurvePrivateKey,
    limit: x509.ExtensionType,
    critical: bool,
) -> x509.Certificate:
    """An intermediate CA with one more extension."""
    plain = issue(common_name, issuer, ca=True, key=key).certificate
    builder = (
        x509.CertificateBuilder().subject_name(plain.subject).issuer_name(plain.issuer).serial_number(9)
        .public_key(key.public_key()).not_valid_before(plain.not_valid_before_utc)
        .not_valid_after(plain.not_valid_after_utc).add_extension(limit, critical)
    )  # fmt: skip
    for extension in plain.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(issuer.key, hashes.SHA256())


def findings(held: Content, **more: object) -> list[Finding]:
    family = more.pop("family", None)
    at = more.pop("at", NOW)
    if isinstance(family, str):
        more["family"] = find_family(family)
    return check(ask(held, at, **more))  # type: ignore[arg-type]


def codes(held: Content, **more: object) -> set[str]:
    return {finding.code for finding in findings(held, **more)}


def wrong(held: Content, **more: object) -> set[str]:
    return {finding.code for finding in findings(held, **more) if finding.weight is Weight.WRONG}


def test_nothing_is_found_where_everything_is_well(root: Signed, middle: Signed, server: Signed) -> None:
    held = content(server, middle)
    assert findings(held, anchors=content(root), host="plant.local", key=content(server.key_pem)) == []
    assert findings(held, anchors=content(root), host="192.0.2.7") == []
    assert findings(held, anchors=content(root)) == []


def test_a_file_without_a_certificate_is_an_error(server: Signed) -> None:
    with pytest.raises(
        MalformedFileError, match=r"server\.pem: There is no certificate .* holds: private key"
    ):
        ask(content(server.key_pem), NOW)
    with pytest.raises(MalformedFileError, match=r"key\.pem: There is no private key .* holds: certificate"):
        ask(content(server), NOW, key=content(server, path="key.pem"))


class TestTime:
    @pytest.mark.parametrize(
        ("days", "expected"),
        [(-11, {"not-yet-valid"}), (0, set()), (340, {"expires-soon"}), (400, {"expired"})],
    )
    def test_the_time_given_counts(
        self, root: Signed, middle: Signed, server: Signed, days: int, expected: set[str]
    ) -> None:
        held, at = content(server, middle), NOW + datetime.timedelta(days=days)
        found = codes(held, anchors=content(root), at=at)
        assert expected <= found
        assert ("expired" in found) == ("expired" in expected)

    def test_an_issuer_that_ended_ends_everything_below_it(self) -> None:
        old = issue("Old CA", ca=True, begin=-400, days=390)
        leaf = issue("plant.local", old, names=["plant.local"])
        assert wrong(content(leaf), anchors=content(old)) == {"issuer-expired"}

    def test_a_leaf_that_outlives_its_issuer_is_a_risk(self) -> None:
        short = issue("Short CA", ca=True, days=100)
        leaf = issue("plant.local", short, names=["plant.local"], days=365)
        (finding,) = findings(content(leaf), anchors=content(short))
        assert (finding.weight, finding.code) == (Weight.RISK, "outlives-issuer")
        assert "ends on 2027-05-22, after its issuer Short CA, which ends on 2026-08-30" in finding.text


def test_an_extension_that_is_there_twice_is_a_finding() -> None:
    leaf = issue("plant.local", names=["plant.local"])
    twice = leaf.der.replace(bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d11"))
    held = parse_content(twice, Path("x.der"))
    assert "extensions" in wrong(held)
    assert dict(inspect(held, NOW)[0].lines)["extensions"].startswith("cannot be read (Duplicate")


@pytest.mark.peer("openssl")
class TestPath:
    """Beside `openssl verify`, at the same time, with the same CA trusted and the same file untrusted."""

    def agree(self, folder: Path, held: list[Signed], anchors: list[Signed], expected: str) -> None:
        """Both find it wrong, or neither; we name `expected`."""
        (folder / "ca.pem").write_bytes(b"".join(each.pem for each in anchors))
        (folder / "leaf.pem").write_bytes(held[0].pem)
        (folder / "rest.pem").write_bytes(b"".join(each.pem for each in held) or b"")
        done = subprocess.run(
            ["openssl", "verify", "-attime", str(int(NOW.timestamp())), "-no-CApath", "-no-CAstore",
             "-CAfile", "ca.pem", "-untrusted", "rest.pem", "leaf.pem"],
            cwd=folder, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        found = wrong(content(*held), anchors=content(*anchors, path="ca.pem"))
        assert found == ({expected} if expected else set())
        assert (done.returncode == 0) == (not found), done.stderr

    def test_the_whole_chain(self, tmp_path: Path, root: Signed, middle: Signed, server: Signed) -> None:
        self.agree(tmp_path, [server, middle], [root], "")

    def test_a_ca_renewed_with_its_key_beside_its_earlier_certificate(self, tmp_path: Path) -> None:
        old = issue("Plant root", ca=True, begin=-400, days=390)
        new = issue("Plant root", key=old.key, ca=True)
        self.agree(tmp_path, [issue("plant.local", new, names=["plant.local"])], [old, new], "")
        ended = issue("Issuer", new, ca=True, begin=-40, days=20)
        renewed = issue("Issuer", new, key=ended.key, ca=True)
        self.agree(tmp_path, [issue("plant.local", renewed, names=["a"]), ended, renewed], [new], "")

    def test_an_issuer_that_is_identified_by_its_serial_number(self, tmp_path: Path) -> None:
        """As openssl's authorityKeyIdentifier=issuer:always has it: a renewed CA is not found any more."""
        (tmp_path / "x.cnf").write_text("[x]\nauthorityKeyIdentifier=issuer:always\n")
        old = issue("Plant root", ca=True)
        new = issue("Plant root", key=old.key, ca=True)
        leaf = issue("plant.local", old, names=["plant.local"])
        (tmp_path / "old.pem").write_bytes(old.pem)
        (tmp_path / "old.key").write_bytes(old.key_pem)
        (tmp_path / "server.key").write_bytes(leaf.key_pem)
        openssl(tmp_path, "req -new -key server.key -subj /CN=plant.local -out server.csr")
        openssl(tmp_path, "x509 -req -in server.csr -CA old.pem -CAkey old.key -CAcreateserial -days 3000 "
                          "-extfile x.cnf -extensions x -out server.pem")  # fmt: skip
        certificate = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
        at = certificate.not_valid_before_utc + datetime.timedelta(seconds=1)
        for anchor, expected in ((old, set()), (new, {"key-identifier"})):
            (tmp_path / "ca.pem").write_bytes(anchor.pem)
            done = subprocess.run(
                ["openssl", "verify", "-attime", str(int(at.timestamp())), "-CAfile", "ca.pem", "server.pem"],
                cwd=tmp_path, capture_output=True, timeout=30,
            )  # fmt: skip
            assert (done.returncode == 0) == (not expected)
            held = content((tmp_path / "server.pem").read_bytes())
            assert wrong(held, anchors=content(anchor), at=at) == expected

    def test_a_ca_that_is_for_something_else(self, tmp_path: Path, root: Signed) -> None:
        """OpenSSL looks at a CA's extended key usage as well."""
        for purposes, good in (([CLIENT], False), ([SERVER, CLIENT], True)):
            key = ec.generate_private_key(ec.SECP256R1())
            middle = Signed(
                constrained("Clients", root, key, x509.ExtendedKeyUsage(purposes), critical=False), key
            )
            leaf = issue("plant.local", middle, names=["plant.local"])
            found = wrong(content(leaf, middle), anchors=content(root))
            assert found == (set() if good else {"issuer-purpose"})
            accepted = self.accepts(tmp_path, leaf, middle, root, "-purpose", "sslserver")
            assert accepted == good

    @pytest.mark.parametrize(
        ("names", "good"),
        [
            (["plant.local", "a.PLANT.local", "192.0.2.4"], True),
            (["*.plant.local"], True),
            (["a.other.local"], False),
            (["xplant.local"], False),
            (["q.bad.plant.local"], False),
            (["plant.local", "198.51.100.4"], False),
            (["192.0.2.4", "dns:192.0.2.4"], False),
        ],
    )
    def test_names_that_a_ca_may_not_issue(
        self, tmp_path: Path, root: Signed, names: list[str], good: bool
    ) -> None:
        network = x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))
        constraints = x509.NameConstraints(
            [x509.DNSName("plant.local"), network], [x509.DNSName("bad.plant.local")]
        )
        key = ec.generate_private_key(ec.SECP256R1())
        middle = Signed(constrained("Plant only", root, key, constraints, critical=True), key)
        leaf = issue("a server", middle, names=names)
        found = wrong(content(leaf, middle), anchors=content(root))
        assert found == (set() if good else {"name-constraints"})
        assert self.accepts(tmp_path, leaf, middle, root) == good

    def accepts(self, folder: Path, leaf: Signed, middle: Signed, root: Signed, *options: str) -> bool:
        for file, one in (("leaf.pem", leaf), ("middle.pem", middle), ("root.pem", root)):
            (folder / file).write_bytes(one.pem)
        done = subprocess.run(
            ["openssl", "verify", *options, "-attime", str(int(NOW.timestamp())), "-CAfile", "root.pem",
             "-untrusted", "middle.pem", "leaf.pem"],
            cwd=folder, capture_output=True, timeout=30,
        )  # fmt: skip
        return done.returncode == 0

    def test_an_issuer_with_a_dsa_key_did_sign(self, tmp_path: Path) -> None:
        key = dsa.generate_private_key(2048)
        root = issue("Old CA", key=key, ca=True)
        (found,) = [
            one
            for one in findings(content(issue("plant.local", root, names=["a"])), anchors=content(root))
            if one.weight is Weight.WRONG
        ]
        assert (found.code, found.text) == ("weak-key", "has a DSA key")

    def test_a_curve_that_is_described_instead_of_named(self, tmp_path: Path) -> None:
        openssl(tmp_path, "ecparam -name prime256v1 -genkey -noout -param_enc explicit -out ca.key")
        openssl(tmp_path, "req -x509 -new -key ca.key -subj /CN=CA -days 9 -out ca.pem")
        held = read_content(tmp_path / "ca.pem")
        at = held.certificates[0].not_valid_before_utc
        assert wrong(held, use="authority", at=at) == {"explicit-curve"}

    def test_an_intermediate_that_is_not_sent(
        self, tmp_path: Path, root: Signed, middle: Signed, server: Signed
    ) -> None:
        self.agree(tmp_path, [server], [root], "issuer-missing")

    def test_the_intermediate_among_the_trusted(
        self, tmp_path: Path, root: Signed, middle: Signed, server: Signed
    ) -> None:
        self.agree(tmp_path, [server], [root, middle], "")

    def test_another_ca(self, tmp_path: Path, middle: Signed, server: Signed) -> None:
        self.agree(tmp_path, [server, middle], [issue("Another", ca=True)], "issuer-missing")

    def test_a_ca_made_again_under_the_same_name(self, tmp_path: Path) -> None:
        before, after = (issue("My CA", ca=True, strict=False) for _ in range(2))
        leaf = issue("plant.local", before, names=["plant.local"], strict=False)
        self.agree(tmp_path, [leaf], [after], "issuer-regenerated")

    def test_a_self_signed_certificate(self, tmp_path: Path, root: Signed) -> None:
        self.agree(tmp_path, [issue("plant.local", names=["plant.local"])], [root], "untrusted")

    def test_a_server_that_issues(self, tmp_path: Path, root: Signed) -> None:
        no_ca = issue("not a CA", root)
        leaf = issue("plant.local", no_ca, names=["plant.local"])
        self.agree(tmp_path, [leaf, no_ca], [root], "issuer-no-ca")

    def test_a_ca_that_may_not_sign(self, tmp_path: Path, root: Signed) -> None:
        middle = issue("crl only", root, ca=True, key_usage=usage("crl_sign"))
        leaf = issue("plant.local", middle, names=["plant.local"])
        self.agree(tmp_path, [leaf, middle], [root], "issuer-key-usage")

    def test_one_ca_too_many(self, tmp_path: Path, root: Signed, middle: Signed) -> None:
        lower = issue("lower", middle, ca=True)
        leaf = issue("plant.local", lower, names=["plant.local"])
        self.agree(tmp_path, [leaf, lower, middle], [root], "path-too-long")

    def test_a_key_identifier_of_another(self, tmp_path: Path, root: Signed) -> None:
        leaf = issue("plant.local", root, names=["plant.local"], identifier=b"x" * 20)
        self.agree(tmp_path, [leaf], [root], "key-identifier")

    def test_two_cas_of_one_name_of_which_one_signed(self, tmp_path: Path) -> None:
        before, after = (issue("My CA", ca=True) for _ in range(2))
        leaf = issue("plant.local", before, names=["plant.local"])
        self.agree(tmp_path, [leaf], [after, before], "")

    def test_an_intermediate_alone_as_ca_is_not_enough_for_openssl(
        self, tmp_path: Path, middle: Signed, server: Signed
    ) -> None:
        assert codes(content(server), anchors=content(middle)) == {"anchor-not-root"}

    def test_a_server_certificate_as_ca(self, root: Signed, server: Signed) -> None:
        leaf = issue("x.local", root, names=["x.local"])
        assert "not-a-ca" in wrong(content(leaf), anchors=content(server))

    def test_without_a_ca_nothing_is_claimed(self, server: Signed, middle: Signed) -> None:
        (finding,) = findings(content(server, middle))
        assert (finding.weight, finding.code) == (Weight.NOTE, "not-compared")


class TestOrder:
    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            ("server middle", set()),
            ("middle server", {"leaf-not-first"}),
            ("server root middle", {"order", "root-sent"}),
            ("server middle root", {"root-sent"}),
            ("server middle middle", {"twice"}),
            ("server middle stranger", {"stranger"}),
        ],
    )
    def test_leaf_first_then_each_issuer(
        self, root: Signed, middle: Signed, server: Signed, order: str, expected: set[str]
    ) -> None:
        known = {"root": root, "middle": middle, "server": server, "stranger": issue("stranger", ca=True)}
        held = content(*(known[each] for each in order.split()))
        assert codes(held, anchors=content(root)) == expected


class TestKey:
    def test_another_key(self, root: Signed, middle: Signed, server: Signed) -> None:
        held = content(server, middle)
        assert wrong(held, anchors=content(root), key=content(middle.key_pem)) == {"key-mismatch"}
        assert "key-mismatch" in wrong(content(server, middle.key_pem))
        assert "key-mismatch" not in wrong(content(server, middle.key_pem, server.key_pem))

    def test_a_key_that_others_can_read(self, tmp_path: Path, root: Signed, server: Signed) -> None:
        (tmp_path / "k.pem").write_bytes(server.key_pem)
        for mode, expected in ((0o600, False), (0o640, True)):
            (tmp_path / "k.pem").chmod(mode)
            found = codes(content(server), key=read_content(tmp_path / "k.pem"))
            assert ("key-readable" in found) is expected

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("RSA-1024", {"weak-key"}),
            ("RSA-2048", set()),
            ("P-192", {"weak-key"}),
            ("P-384", set()),
            ("secp256k1", {"rare-curve"}),
            ("Ed25519", {"edwards-key"}),
        ],
    )
    def test_its_kind_and_length(self, root: Signed, kind: str, expected: set[str]) -> None:
        leaf = issue("plant.local", root, key=kind, names=["plant.local"])
        assert codes(content(leaf), anchors=content(root)) == expected

    def test_an_encrypted_one_is_mentioned(self, root: Signed, server: Signed) -> None:
        encrypted = server.encrypted_key_pem(b"x")
        held = parse_content(server.pem + encrypted, Path("server.pem"), lambda _: b"x")
        assert "key-encrypted" in codes(held)
        assert "key-mismatch" not in codes(held)


class TestNames:
    @pytest.mark.parametrize(
        ("names", "common_name", "host", "expected"),
        [
            (["plant.local"], "x", "plant.local", set()),
            (["plant.local"], "x", "PLANT.local", set()),
            (["plant.local"], "x", "plant.local.", {"host-dot"}),
            (["plant.local."], "x", "plant.local", {"name", "name-form"}),
            (["*.plant.local"], "x", "a.plant.local", set()),
            (["*.plant.local"], "x", "a.b.plant.local", {"name"}),
            (["*.plant.local"], "x", "plant.local", {"name"}),
            (["other.local"], "plant.local", "plant.local", {"name"}),
            ([], "plant.local", "plant.local", {"common-name-only"}),
            (["192.0.2.1"], "plant.local", "plant.local", {"common-name-only"}),
            (["192.0.2.1", "dns:192.0.2.1"], "x", "192.0.2.1", set()),
            (["2001:db8::1", "dns:2001:db8::1"], "x", "2001:DB8:0::1", set()),
            (["192.0.2.1"], "x", "192.0.2.1", {"address-not-as-name"}),
            (["192.0.2.1"], "192.0.2.1", "192.0.2.1", {"address-not-as-name"}),
            (["dns:192.0.2.1"], "x", "192.0.2.1", {"address-not-as-address"}),
            ([], "192.0.2.1", "192.0.2.1", {"address-not-as-address"}),
            (["192.0.2.2"], "x", "192.0.2.1", {"name"}),
            (["192.0.2.1"], "x", None, {"address-not-as-name"}),
            ([], "192.0.2.1", None, {"address-not-as-address", "no-alternative-name"}),
            (["dns:mqtts://plant.local:8883"], "x", None, {"name-form"}),
            (["plant.*"], "x", None, {"wildcard"}),
        ],
    )
    def test_a_host_is_found_where_clients_look(
        self, root: Signed, names: list[str], common_name: str, host: str | None, expected: set[str]
    ) -> None:
        leaf = issue(common_name, root, names=names)
        assert codes(content(leaf), anchors=content(root), host=host, use="server") == expected

    @pytest.mark.parametrize("names", [("plant.local", "plant"), ("plant", "plant.local")])
    def test_each_of_several_common_names_counts(self, names: tuple[str, str]) -> None:
        """As for OpenSSL and mbed TLS."""
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one) for one in names])
        certificate = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(subject).serial_number(7)
            .public_key(own.public_key()).not_valid_before(NOW).not_valid_after(NOW.replace(year=2027))
            .sign(own, hashes.SHA256())
        )  # fmt: skip
        held = content(Signed(certificate, own))
        assert codes(held, host="plant.local") == {"common-name-only", "not-compared"}
        (found,) = [one for one in findings(held, host="gate.local") if one.code == "name"]
        assert "it is for plant" in found.text

    @pytest.mark.parametrize(
        ("names", "common_name", "family", "fine"),
        [
            (["192.0.2.1"], "x", "python", True),
            (["192.0.2.1"], "x", "esp32", False),
            (["192.0.2.1"], "192.0.2.1", "netcontrol", False),
            (["dns:192.0.2.1"], "x", "esp8266", True),
            (["dns:192.0.2.1"], "x", "node-red", False),
            ([], "192.0.2.1", "arduino-uno-wifi", True),
            ([], "192.0.2.1", "python", False),
            ([], "192.0.2.1", "mosquitto", True),
        ],
    )
    def test_an_address_as_each_family_looks_for_it(
        self, root: Signed, names: list[str], common_name: str, family: str, fine: bool
    ) -> None:
        leaf = issue(common_name, root, names=names, key=rsa_key(2048))
        found = wrong(content(leaf), anchors=content(root), host="192.0.2.1", family=family)
        assert found == (set() if fine else {"address-field"})

    def test_names_lost_in_signing(self, root: Signed, server: Signed) -> None:
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(name("plant.local"))
            .add_extension(x509.SubjectAlternativeName([general("plant.local"), general("192.0.2.1")]), False)
            .sign(server.key, hashes.SHA256())
        )
        held = content(request.public_bytes(serialization.Encoding.PEM), path="server.csr")
        leaf = issue("plant.local", root, key=server.key, names=["plant.local"])
        (finding,) = findings(content(leaf), anchors=content(root), request=held)
        assert (finding.weight, finding.code) == (Weight.WRONG, "names-lost")
        assert "IP 192.0.2.1" in finding.text
        assert wrong(content(issue("x", root, names=["x.local"])), request=held) == {"request-key"}

    @given(host=st.from_regex(r"\A[a-z]{1,5}(\.[a-z]{1,5}){2}\Z"))
    def test_a_wildcard_covers_exactly_one_part(self, host: str) -> None:
        assert matches(host, host.upper())
        assert matches("*." + host.partition(".")[2], host)
        assert not matches("*." + host, host)
        assert not matches("*." + host.rpartition(".")[2], host)


class TestUsage:
    def test_a_client_certificate_for_a_server(self, root: Signed) -> None:
        leaf = issue("plant.local", root, names=["plant.local"], purposes=[CLIENT])
        assert wrong(content(leaf), anchors=content(root), host="plant.local") == {"extended-key-usage"}
        assert wrong(content(leaf), anchors=content(root)) == set()
        server = issue("pump-7", root, purposes=[SERVER])
        assert wrong(content(server), anchors=content(root), use="client") == {"extended-key-usage"}

    def test_key_usage_without_digital_signature(self, root: Signed) -> None:
        leaf = issue("plant.local", root, names=["plant.local"], key_usage=usage("key_agreement"))
        assert wrong(content(leaf), anchors=content(root)) == {"no-digital-signature"}

    def test_an_rsa_server_without_key_encipherment(self, root: Signed) -> None:
        leaf = issue(
            "plant.local", root, names=["plant.local"], key="RSA-2048", key_usage=usage("digital_signature")
        )
        (finding,) = findings(content(leaf), anchors=content(root))
        assert (finding.weight, finding.code) == (Weight.RISK, "no-key-encipherment")
        assert wrong(content(leaf), anchors=content(root), family="netcontrol") == {"no-key-encipherment"}

    def test_a_ca_as_server(self) -> None:
        both = usage("key_cert_sign", "digital_signature")
        leaf = issue("plant.local", ca=True, names=["plant.local"], key_usage=both)
        assert codes(content(leaf), anchors=content(leaf)) == {"leaf-is-ca"}

    def test_a_server_as_ca(self, server: Signed) -> None:
        assert "not-a-ca" in wrong(content(server), use="authority")

    @pytest.mark.peer("openssl")
    @pytest.mark.parametrize(("ca_strict", "leaf_strict"), [(True, True), (True, False), (False, True)])
    def test_strict_is_what_openssl_calls_strict(
        self, tmp_path: Path, ca_strict: bool, leaf_strict: bool
    ) -> None:
        """Python 3.13's create_default_context sets VERIFY_X509_STRICT."""
        ca = issue("CA", ca=True, strict=ca_strict)
        leaf = issue("plant.local", ca, names=["plant.local"], strict=leaf_strict)
        (tmp_path / "ca.pem").write_bytes(ca.pem)
        (tmp_path / "leaf.pem").write_bytes(leaf.pem)
        command = f"verify -x509_strict -attime {int(NOW.timestamp())} -CAfile ca.pem leaf.pem"
        verdict = subprocess.run(["openssl", *command.split()], cwd=tmp_path, capture_output=True, timeout=30)
        assert ("strict" in codes(content(leaf), anchors=content(ca))) == (verdict.returncode != 0)

    def test_an_old_style_certificate_lacks_what_strict_clients_want(self) -> None:
        old = issue("CA", ca=True, strict=False)
        leaf = issue("plant.local", old, names=["plant.local"], strict=False)
        found = {finding.text.partition(":")[0] for finding in findings(content(leaf), anchors=content(old))}
        assert found == {
            "lacks an authority key identifier",
            "lacks criticality of its basic constraints and a key usage and a subject key identifier",
        }


@pytest.mark.peer("openssl")
class TestMadeByHand:
    """As how-to pages make them."""

    def test_version_1_without_the_names_of_the_request(self, tmp_path: Path) -> None:
        for command in (
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=myCA -days 30",
            "req -new -newkey rsa:2048 -nodes -keyout broker.key -out broker.csr -subj /CN=192.0.2.9"
            " -addext subjectAltName=IP:192.0.2.9",
            "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out broker.crt -days 20",
        ):
            openssl(tmp_path, command)
        found = codes(
            read_content(tmp_path / "broker.crt"),
            anchors=read_content(tmp_path / "ca.pem"),
            request=read_content(tmp_path / "broker.csr"),
            at=datetime.datetime.now(datetime.UTC),
        )
        assert found >= {"version-1", "names-lost", "no-alternative-name", "address-not-as-address"}

    def test_sha_1(self, tmp_path: Path) -> None:
        for command in (
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=myCA -days 3650 -sha1",
            "req -new -newkey rsa:2048 -nodes -keyout b.key -out b.csr -subj /CN=b.local",
            "x509 -req -in b.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out b.crt -days 3650 -sha1",
        ):
            openssl(tmp_path, command)
        found = [
            finding
            for finding in check(
                ask(
                    read_content(tmp_path / "b.crt"),
                    read_content(tmp_path / "b.crt").certificates[0].not_valid_before_utc,
                    anchors=read_content(tmp_path / "ca.pem"),
                )
            )
            if finding.weight is Weight.WRONG
        ]
        assert [finding.code for finding in found] == ["weak-signature"]
        assert found[0].about == "certificate 1 (b.local)"


class TestFamilies:
    def test_no_client_certificate_where_the_device_has_none(self, root: Signed) -> None:
        leaf = issue("pump-7", root, purposes=[CLIENT])
        for family in ("arduino-uno-wifi", "wilow"):
            assert wrong(content(leaf), anchors=content(root), family=family) == {"no-client-certificates"}
        assert wrong(content(leaf), anchors=content(root), family="esp32") == set()

    def test_an_elliptic_curve_where_only_rsa_is_spoken(self, root: Signed) -> None:
        ec_leaf = issue("plant.local", root, names=["plant.local"])
        rsa_leaf = issue("plant.local", root, names=["plant.local"], key="RSA-2048")
        assert wrong(content(ec_leaf), anchors=content(root), family="netcontrol") == {"family-key"}
        assert wrong(content(rsa_leaf), anchors=content(root), family="netcontrol") == set()

    def test_ed25519_where_the_library_has_none(self, root: Signed) -> None:
        leaf = issue("plant.local", root, names=["plant.local"], key="Ed25519")
        for family, expected in (("esp32", {"family-key"}), ("esp8266", {"family-key"}), ("python", set())):
            assert wrong(content(leaf), anchors=content(root), family=family) == expected

    def test_the_form_of_files_that_go_on_the_device(self, root: Signed) -> None:
        pem, der = content(root, path="ca.pem"), content(root.der, path="ca.der")
        header = content(b'const char ca[] = R"(\n' + root.pem + b')";', path="ca.h")
        assert wrong(pem, family="wilow") == {"file-form"}
        assert wrong(der, family="wilow") == set()
        assert wrong(der, family="netcontrol") == {"file-form"}
        assert wrong(pem, family="arduino-nano") == {"file-form"}
        assert wrong(header, family="arduino-nano") == set()

    def test_files_that_are_too_large(self, root: Signed) -> None:
        leaf = issue("pump-7", root, purposes=[CLIENT], key="RSA-2048")
        padded = content(b"x" * 4000 + b"\n", leaf, path="pump-7.pem")
        assert wrong(padded, family="netcontrol") == {"file-size"}
        assert "slow-key" in codes(content(leaf), family="netcontrol")

    def test_an_encrypted_key_for_a_device_that_cannot_ask(self, root: Signed) -> None:
        leaf = issue("pump-7", root, purposes=[CLIENT], key="RSA-2048")
        encrypted = leaf.encrypted_key_pem(b"x")
        key = parse_content(encrypted, Path("pump-7.key"), lambda _: b"x")
        assert wrong(content(leaf), key=key, family="netcontrol") == {"key-password"}
        assert wrong(content(leaf), key=key, family="python") == set()

    def test_a_chain_that_fills_small_memories(self, root: Signed) -> None:
        names = [f"host-{number}.of-a-plant-with-a-long-name.example" for number in range(60)]
        leaf = issue("plant.local", root, names=names)
        assert "chain-size" in codes(content(leaf), family="esp8266")
        assert "chain-size" not in codes(content(leaf), family="python")

    def test_an_intermediate_that_the_device_does_not_send(self, root: Signed, middle: Signed) -> None:
        leaf = issue("pump-7", middle, purposes=[CLIENT])
        held = content(b'const char c[] = "\n' + leaf.pem + middle.pem, path="c.h")
        assert "chain-not-sent" in codes(held, anchors=content(root), family="arduino-nano")


@pytest.fixture(scope="module")
def targets(root: Signed) -> list[bytes]:
    """Certificates to damage."""
    rsa_too = issue("r.local", root, key="RSA-2048", names=["r.local"])
    return [root.der, issue("plant.local", root, names=["plant.local", "192.0.2.1"]).der, rsa_too.der]


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_certificate_is_too_broken_to_be_judged(
    root: Signed, targets: list[bytes], data: st.DataObject
) -> None:
    """What can be read is inspected, checked, converted and explained, or refused with an error of ours."""
    damaged = bytearray(data.draw(st.sampled_from(targets)))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PkiError):
        held = content(bytes(damaged))
        family = data.draw(st.sampled_from([None, *FAMILIES]))
        host = data.draw(st.sampled_from([None, "plant.local", "192.0.2.1"]))
        use = data.draw(st.sampled_from([None, "server", "client", "authority"]))
        assert inspect(held, NOW)
        findings(held, anchors=content(root), host=host, use=use, family=family)
        explain_chain(held.certificates, NOW, public=[root.certificate], fetch=None)
        for target in ("pem", "der", "chain", "single", "c-array", "progmem", "p12"):
            assert convert(held, Wish(target)).data


@pytest.mark.peer("openssl")
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_serial_number_of_0(tmp_path: Path) -> None:
    openssl(tmp_path, "req -x509 -newkey rsa:2048 -nodes -keyout k -out c -subj /CN=x -set_serial 0")
    openssl(tmp_path, "req -x509 -key k -out d -subj /CN=x -set_serial 1")
    assert "serial" in codes(read_content(tmp_path / "c"))
    assert "serial" not in codes(read_content(tmp_path / "d"))


def test_the_manual_lists_every_finding_and_no_other() -> None:
    repository = Path(__file__).parents[2]
    sources = (repository / "src" / "lockwire" / "pki" / "toolkit" / "checks").glob("*.py")
    there = {
        code
        for source in sources
        for call in re.findall(
            r"\b(?:wrong|risk|note|weigh)\((.{0,60})", source.read_text(encoding="utf-8"), re.DOTALL
        )
        for pair in re.findall(r'^\s*"([a-z0-9-]+)"(?: if is_leaf else "([a-z-]+)")?', call)
        for code in pair
        if code
    }
    page = (repository / "docs" / "certificate-files.md").read_text(encoding="utf-8")
    table = page.partition("### Every finding")[2].partition("\n\nIP addresses")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    listed = {code for row in rows for code in re.findall(r"`(.+?)`", row)}
    assert listed == there


def test_the_heaviest_come_first(root: Signed) -> None:
    leaf = issue("192.0.2.1", issue("x", ca=True), begin=-400, days=390)
    weights = [finding.weight for finding in findings(content(leaf), anchors=content(root), use="server")]
    assert weights == sorted(weights)
    assert len(set(weights)) > 1
