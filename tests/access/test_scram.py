"""SCRAM-SHA-256: the vector of RFC 7677, another implementation on either side, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
import scramp  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from lockwire.access.errors import ScramError
from lockwire.access.methods.scram import (
    ITERATIONS,
    ScramClient,
    ScramServer,
    ScramVerifier,
    derive_verifier,
    saslprep,
)

DECOY_KEY = b"a secret of this server, 32 bytes"
PENCIL = derive_verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
NONCE = "rOprNGfwEbeRWgbNEkqO" + SERVER_NONCE
SERVER_FIRST = f"r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()
CLIENT_FINAL = f"c=biws,r={NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def lookup(username: str) -> ScramVerifier | None:
    return PENCIL if username == "user" else None


def server() -> ScramServer:
    return ScramServer(lookup, DECOY_KEY, SERVER_NONCE)


def started() -> ScramServer:
    one = server()
    one.start(CLIENT_FIRST)
    return one


# --- the vector of RFC 7677 section 3


def test_the_server_answers_as_in_rfc_7677() -> None:
    one = server()
    assert one.start(CLIENT_FIRST) == SERVER_FIRST
    assert one.finish(CLIENT_FINAL) == (SERVER_FINAL, "user")


def test_the_client_answers_as_in_rfc_7677() -> None:
    client = ScramClient("user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    assert client.first() == CLIENT_FIRST
    assert client.final(SERVER_FIRST) == CLIENT_FINAL
    client.verify(SERVER_FINAL)


# --- another implementation on the other side

LOGINS = [
    ("user", "pencil"),
    ("pump-7", "a password, with = and commas"),
    ("a=b,c", "x"),
    ("Süd", "Straße \N{SNOWMAN}"),
    ("user", "soft\u00adhyphen and \u2168"),  # SASLprep: dropped, and IX
]


@pytest.mark.parametrize(("username", "password"), LOGINS)
def test_scramp_logs_in_here(username: str, password: str) -> None:
    verifier = derive_verifier(password)
    client = scramp.ScramClient(["SCRAM-SHA-256"], username, password)
    one = ScramServer(lambda name: verifier if name == username else None, DECOY_KEY)
    client.set_server_first(one.start(client.get_client_first().encode()).decode())
    final, name = one.finish(client.get_client_final().encode())
    client.set_server_final(final.decode())
    assert name == username


@pytest.mark.parametrize(("username", "password"), LOGINS)
def test_our_client_logs_in_at_scramp(username: str, password: str) -> None:
    mechanism = scramp.ScramMechanism("SCRAM-SHA-256")
    information = mechanism.make_auth_info(password, iteration_count=5000)
    other = mechanism.make_server(lambda _: information)
    client = ScramClient(username, password)
    other.set_client_first(client.first().decode())
    other.set_client_final(client.final(other.get_server_first().encode()).decode())
    client.verify(other.get_server_final().encode())


@settings(max_examples=25, deadline=None)
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
    st.binary(max_size=9),
)
def test_our_client_and_our_server_agree(username: str, salt: bytes) -> None:
    verifier = derive_verifier("pencil", salt + b"!", 4096)
    client = ScramClient(username, "pencil")
    one = ScramServer(lambda _: verifier, DECOY_KEY)
    final, name = one.finish(client.final(one.start(client.first())))
    client.verify(final)
    assert name == username


# --- what is refused


def refuses(one: ScramServer, data: bytes, reason: str) -> None:
    with pytest.raises(ScramError) as caught:
        one.start(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "other-error"),
        (b"n,,", "other-error"),
        (b"n,,n=user", "other-error"),
        (b"n,,r=abc,n=user", "other-error"),
        (b"n,,n=,r=abc", "invalid-username-encoding"),
        (b"n,,n=us=er,r=abc", "invalid-username-encoding"),
        (b"n,,n=us=2cer,r=abc", "invalid-username-encoding"),
        (b"n,,n=us\x07er,r=abc", "invalid-username-encoding"),
        (b"n,,n=user,r=", "other-error"),
        (b"n,,n=user,r=a b", "other-error"),
        (b"n,,n=user,r=a\xc3\xa9", "other-error"),
        (b"n,,m=ext,n=user,r=abc", "extensions-not-supported"),
        (b"n,a=admin,n=user,r=abc", "other-error"),
        (b"n,admin,n=user,r=abc", "other-error"),
        (b"x,,n=user,r=abc", "other-error"),
        (b"p=tls-exporter,,n=user,r=abc", "channel-binding-not-supported"),
        (b"n,,n=user\xff,r=abc", "invalid-encoding"),
        (b"n,,n=us\0er,r=abc", "invalid-encoding"),
        (b"n,,n=user,r=" + b"a" * 5000, "other-error"),
    ],
)
def test_a_first_message_that_is_none_is_refused(data: bytes, reason: str) -> None:
    refuses(server(), data, reason)


@pytest.mark.parametrize("header", [b"n,,", b"y,,", b"n,a=user,"])
def test_headers_without_channel_binding_are_taken_and_checked_again_at_the_end(header: bytes) -> None:
    one = server()
    challenge = one.start(header + b"n=user,r=abc,x=ignored")
    assert challenge.startswith(b"r=abc%hv")
    other = b"n,," if header == b"y,," else b"y,,"
    final = b"c=" + base64.b64encode(other) + b",r=abc" + SERVER_NONCE.encode() + b",p=AAAA"
    with pytest.raises(ScramError) as caught:
        one.finish(final)
    assert caught.value.reason == "channel-bindings-dont-match"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "other-error"),
        (b"c=biws,p=AAAA", "other-error"),
        (CLIENT_FINAL.replace(b",p=", b",q="), "other-error"),
        (CLIENT_FINAL.replace(b"%hv", b"%hw"), "other-error"),
        (CLIENT_FINAL.replace(b"biws", b"eSws"), "channel-bindings-dont-match"),
        (CLIENT_FINAL.replace(b"dHzb", b"eHzb"), "invalid-proof"),
        (CLIENT_FINAL[:-8], "invalid-proof"),
        (CLIENT_FINAL[:-1], "invalid-encoding"),
        (CLIENT_FINAL.replace(b"dHzb", "dHz\u00e9".encode()), "invalid-encoding"),
    ],
)
def test_a_final_message_that_is_none_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ScramError) as caught:
        started().finish(data)
    assert caught.value.reason == reason


def test_an_exchange_is_finished_once() -> None:
    one = started()
    one.finish(CLIENT_FINAL)
    with pytest.raises(ScramError):
        one.finish(CLIENT_FINAL)
    with pytest.raises(ScramError):
        server().finish(CLIENT_FINAL)


def test_a_wrong_password_and_an_unknown_user_look_the_same() -> None:
    failures = []
    for username, password in (("user", "wrong"), ("nobody", "pencil")):
        client = ScramClient(username, password)
        one = ScramServer(lookup, DECOY_KEY)
        with pytest.raises(ScramError) as caught:
            one.finish(client.final(one.start(client.first())))
        failures.append(str(caught.value))
    assert failures[0] == failures[1]


def test_an_unknown_user_has_the_same_salt_each_time_and_another_than_the_next() -> None:
    def salt(username: str, key: bytes = DECOY_KEY) -> bytes:
        return ScramServer(lookup, key).start(f"n,,n={username},r=abc".encode()).split(b",")[1]

    assert salt("nobody") == salt("nobody")
    assert salt("nobody") != salt("somebody")
    assert salt("nobody") != salt("nobody", b"the secret of another server")
    challenge = server().start(b"n,,n=nobody,r=abc")
    assert challenge.endswith(f",i={ITERATIONS}".encode())
    assert len(base64.b64decode(salt("nobody")[2:])) == len(derive_verifier("x").salt)


def test_the_decoys_keys_open_nothing() -> None:
    one = server()
    challenge = one.start(b"n,,n=nobody,r=abc").decode()
    # the best an attacker who knows the whole verifier of a decoy could do is still refused
    decoy = one._decoy()
    without_proof = f"c=biws,r=abc{SERVER_NONCE}"
    signed = f"n=nobody,r=abc,{challenge},{without_proof}".encode()
    proof = hmac.digest(decoy.stored_key, signed, "sha256")
    with pytest.raises(ScramError, match="invalid-proof"):
        one.finish(f"{without_proof},p={base64.b64encode(proof).decode()}".encode())


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"r=abc,s=AAAA",
        b"r=other,s=AAAA,i=4096",
        b"r=abc,s=AAAA,i=4096",  # adds nothing to our nonce
        b"r=abcd,s=AAAA,i=4095",
        b"r=abcd,s=AAAA,i=1000001",
        b"r=abcd,s=AAAA,i=-1",
        b"r=abcd,s=AAAA,i=x",
        b"r=abcd,s=?,i=4096",
    ],
)
def test_the_client_refuses_a_bad_challenge(challenge: bytes) -> None:
    with pytest.raises(ScramError):
        ScramClient("user", "pencil", "abc").final(challenge)


def test_the_client_refuses_a_server_that_does_not_know_the_password() -> None:
    client = ScramClient("user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    with pytest.raises(ScramError):
        client.verify(SERVER_FINAL)  # before the challenge
    client.final(SERVER_FIRST)
    for final in (b"e=invalid-proof", b"", b"v=AAAA", SERVER_FINAL.replace(b"6rri", b"7rri")):
        with pytest.raises(ScramError):
            client.verify(final)


# --- SASLprep


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("", ""),
        ("\u0627\u0628", "\u0627\u0628"),
    ],
)
def test_saslprep_as_in_rfc_4013(text: str, expected: str) -> None:
    assert saslprep(text) == expected


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "\u0627a\u0627", "\ue000", "\ufffd", "\u0221"])
def test_saslprep_prohibits_what_rfc_4013_prohibits(text: str) -> None:
    with pytest.raises(ScramError):
        saslprep(text)


def test_a_verifier_shows_no_secret() -> None:
    shown = repr(PENCIL)
    assert shown == "ScramVerifier(iterations=4096)"
    assert hashlib.sha256(b"").hexdigest() not in shown


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_bytes_do_anything_but_be_refused(first: bytes, final: bytes) -> None:
    with pytest.raises(ScramError):
        server().start(first)
    with pytest.raises(ScramError):
        started().finish(final)
