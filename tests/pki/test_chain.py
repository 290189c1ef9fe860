"""A chain explained: which certificate to install, where missing ones are found, what cross-signing is."""

from __future__ import annotations

import pytest
from cryptography import x509

from lockwire.pki.errors import UnreachableError
from lockwire.pki.toolkit.chain import Explained, explain_chain, public_roots
from lockwire.pki.toolkit.fetching import MAXIMUM_SIZE, fetch_certificates
from tests.pki.issuing import NOW, Signed, issue
from tests.pki.serving import http_server, slow_server


@pytest.fixture(scope="module")
def root() -> Signed:
    return issue("Plant root", ca=True, days=7300)


@pytest.fixture(scope="module")
def middle(root: Signed) -> Signed:
    return issue("Plant intermediate", root, ca=True, days=3650)


@pytest.fixture(scope="module")
def leaf(middle: Signed) -> Signed:
    return issue("plant.local", middle, names=["plant.local"])


def explain(*sent: Signed, public: tuple[Signed, ...] = (), trusted: tuple[Signed, ...] = ()) -> Explained:
    return explain_chain(
        [each.certificate for each in sent],
        NOW,
        [each.certificate for each in trusted],
        [each.certificate for each in public],
    )


def meanings(explained: Explained) -> list[str]:
    return [link.meaning.partition(".")[0] for link in explained.links]


class TestWhatToInstall:
    def test_the_root_that_is_sent(self, root: Signed, middle: Signed, leaf: Signed) -> None:
        explained = explain(leaf, middle, root)
        assert explained.advice.certificate == root.certificate
        assert explained.advice.text == "Install the root Plant root. The server sends it."
        assert meanings(explained) == [
            "The server's own certificate",
            "An intermediate",
            "A root: it stays for many years",
        ]

    def test_the_root_that_the_public_ones_have(self, root: Signed, middle: Signed, leaf: Signed) -> None:
        explained = explain(leaf, middle, public=(issue("Another", ca=True), root))
        assert explained.advice.certificate == root.certificate
        assert [link.source for link in explained.links] == ["sent", "sent", "the public roots (certifi)"]

    def test_the_root_that_was_given(self, root: Signed, middle: Signed, leaf: Signed) -> None:
        explained = explain(leaf, middle, trusted=(root,))
        assert explained.advice.text == "Install the root Plant root. It is from the CAs given."

    def test_never_an_intermediate(self, root: Signed, middle: Signed, leaf: Signed) -> None:
        explained = explain(leaf, middle)
        assert explained.advice.certificate is None
        assert (
            "Plant intermediate was issued by CN=Plant root, which is neither sent nor"
            in explained.advice.text
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(root.key.public_key()).digest.hex(":").upper()
        assert f"(its key id is {identifier})" in explained.advice.text

    def test_a_self_signed_one_is_all_there_is(self) -> None:
        alone = issue("plant.local", names=["plant.local"])
        explained = explain(alone)
        assert explained.advice.certificate == alone.certificate
        assert "self-signed. Every renewal has to reach every device" in explained.advice.text
        assert meanings(explained) == ["The server's own certificate, self-signed: there is no CA above it"]

    def test_a_ca_made_again_is_not_taken_for_the_root(self, middle: Signed, leaf: Signed) -> None:
        again = issue("Plant root", ca=True)
        explained = explain(leaf, middle, public=(again,))
        assert explained.advice.certificate is None
        assert "made again under the same name" in explained.advice.text

    def test_a_root_that_ended_is_said_so(self) -> None:
        old = issue("Old root", ca=True, begin=-900, days=800)
        explained = explain(issue("plant.local", old, names=["plant.local"]), old)
        assert "It ended on 2026-02-21" in explained.advice.text

    def test_what_has_nothing_to_do_there(self, root: Signed, middle: Signed, leaf: Signed) -> None:
        strange = issue("Strange CA", issue("x", ca=True), ca=True)
        explained = explain(leaf, issue("stranger"), strange, middle, root)
        assert meanings(explained)[1].startswith("No CA certificate, and not the server's own")
        assert meanings(explained)[2] == "A CA certificate that is not on the way to the root"


class TestCrossSigned:
    """As Let's Encrypt's in 2021: leaf, R3, ISRG Root X1 signed by DST Root CA X3, which has ended since."""

    old_root = issue("DST Root CA X3", ca=True, begin=-9000, days=8000)
    new_root = issue("ISRG Root X1", ca=True, begin=-4000, days=9000)
    crossed = issue("ISRG Root X1", old_root, ca=True, key=new_root.key, begin=-1900, days=1300)
    r3 = issue("R3", new_root, ca=True, days=900)
    leaf = issue("test.mosquitto.org", r3, names=["test.mosquitto.org"], days=90)

    def test_the_new_root_is_the_one_to_install(self) -> None:
        explained = explain(self.leaf, self.r3, self.crossed, public=(self.new_root,))
        assert explained.advice.certificate == self.new_root.certificate
        assert explained.links[2].meaning == (
            "The root ISRG Root X1 in another form: signed by CN=DST Root CA X3, for clients that have only "
            "that one. "
            "(Cross-signed.)"
        )
        assert explained.links[3].source == "the public roots (certifi)"

    def test_also_where_the_old_one_is_still_trusted(self) -> None:
        explained = explain(self.leaf, self.r3, self.crossed, public=(self.old_root, self.new_root))
        assert explained.advice.certificate == self.new_root.certificate

    def test_the_old_one_only_where_there_is_no_other(self) -> None:
        explained = explain(self.leaf, self.r3, self.crossed, public=(self.old_root,))
        assert explained.advice.certificate == self.old_root.certificate
        assert "It ended on" in explained.advice.text

    def test_a_private_one_whose_old_root_is_sent(self) -> None:
        explained = explain(self.leaf, self.r3, self.crossed, self.new_root)
        assert explained.advice.certificate == self.new_root.certificate
        assert explained.links[2].meaning.startswith("The root ISRG Root X1 in another form")


class TestFetching:
    def test_a_missing_intermediate_and_its_root_are_fetched(self, root: Signed) -> None:
        files: dict[str, bytes] = {}
        with http_server(files) as (address, asked):
            middle = issue("Fetched CA", root, ca=True, issuer_at=f"{address}/root.crt")
            leaf = issue("plant.local", middle, names=["plant.local"], issuer_at=f"{address}/ca.der")
            files.update({"/ca.der": middle.der, "/root.crt": root.pem})
            explained = explain(leaf)
        assert asked == ["/ca.der", "/root.crt"]
        assert explained.advice.certificate == root.certificate
        assert [link.source for link in explained.links] == [
            "sent",
            f"{address}/ca.der",
            f"{address}/root.crt",
        ]
        assert "It came over plain http: compare its fingerprint" in explained.advice.text

    def test_nothing_is_fetched_where_nothing_is_missing(self, root: Signed) -> None:
        with http_server({}) as (address, asked):
            leaf = issue("plant.local", root, names=["plant.local"], issuer_at=f"{address}/root")
            explain(leaf, public=(root,))
            explain_chain([leaf.certificate], NOW, public=[], fetch=None)
        assert asked == []

    def test_what_goes_wrong_is_told(self, root: Signed) -> None:
        with http_server({"/junk": b"<html>"}) as (address, _):
            absent = issue("a.local", root, issuer_at=f"{address}/absent")
            junk = issue("b.local", root, issuer_at=f"{address}/junk")
            assert explain(absent).notes == (f"{address}/absent answers 404 Not Found. Fetch it by hand.",)
            assert "holds no certificate" in explain(junk).notes[0]

    def test_a_circle_ends(self) -> None:
        with http_server({}) as (address, asked):
            root = issue("Nobody", ca=True)
            leaf = issue("plant.local", root, issuer_at=f"{address}/self")
        with http_server({"/self": leaf.der}) as (address, asked):
            again = issue("plant.local", root, issuer_at=f"{address}/self")
            assert explain(again).advice.certificate is None
        assert asked == ["/self"]

    def test_pkcs7_is_read_too(self, root: Signed) -> None:
        from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

        bundle = pkcs7.serialize_certificates([root.certificate], Encoding.DER)
        with http_server({"/x.p7c": bundle}) as (address, _):
            assert fetch_certificates(f"{address}/x.p7c", 5) == [root.certificate]

    @pytest.mark.parametrize(
        ("address", "message"),
        [
            ("ldap://ca.example/cn", "is no http address"),
            ("https://ca.example/x", "is no http address"),
            ("http://", "is no http address"),
            ("http://127.0.0.1:1/x", "Connection refused"),
            ("http://[::1", "cannot be fetched"),
        ],
    )
    def test_an_address_of_no_use(self, address: str, message: str) -> None:
        with pytest.raises(UnreachableError, match=message):
            fetch_certificates(address, 2)

    def test_an_answer_without_end_is_cut(self) -> None:
        with (
            http_server({"/huge": b"\0" * (MAXIMUM_SIZE + 1)}) as (address, _),
            pytest.raises(UnreachableError, match="larger than 64 KiB"),
        ):
            fetch_certificates(f"{address}/huge", 5)

    def test_an_answer_that_trickles_is_cut(self) -> None:
        with slow_server() as port, pytest.raises(UnreachableError, match="too slow"):
            fetch_certificates(f"http://127.0.0.1:{port}/x", 0.3)


def test_the_public_roots_are_there() -> None:
    names = {certificate.subject.rfc4514_string() for certificate in public_roots()}
    assert any("ISRG Root X1" in name for name in names)
