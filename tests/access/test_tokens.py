"""JSON Web Tokens: which are good, whom they name, and that nothing in a forged one decides anything."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from lockwire.access.errors import KeySetError, TokenError
from lockwire.access.identity import TOKEN, Identity
from lockwire.access.rights.rules import Rule
from lockwire.access.tokens.jwks import parse_jwks
from lockwire.access.tokens.keysources import FileKeys, Found, KeySource, Secret, key_source
from lockwire.access.tokens.verifier import MAXIMUM_BYTES, TokenVerifier, is_token
from lockwire.config.access import TokenSettings

NOW = 1_800_000_000
LOG = structlog.get_logger()
ISSUER = "https://issuer.example"
AUDIENCE = "lockwire"

EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_EC_KEY = ec.generate_private_key(ec.SECP256R1())
P384_KEY = ec.generate_private_key(ec.SECP384R1())
P521_KEY = ec.generate_private_key(ec.SECP521R1())
RSA_KEY = rsa.generate_private_key(65_537, 2048)
SECRET = "a secret that is long enough for each of the three HS algorithms!"

CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "pump-7", "exp": NOW + 3600, "iat": NOW}


def jwk(key: Any, **fields: object) -> dict[str, object]:
    """The public half of a key, as a JWK."""
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **fields}


def token(key: Any = EC_KEY, algorithm: str = "ES256", kid: str | None = None, **claims: Any) -> bytes:
    """A token with `CLAIMS`, some of them replaced, those that are None left out."""
    kept = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(kept, key, algorithm, headers=headers).encode()


def part(fields: object) -> bytes:
    data = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed(header: object, claims: object, sign: Callable[[bytes], bytes]) -> bytes:
    """A token made by hand, of anything."""
    body = part(header) + b"." + part(claims)
    return body + b"." + part(sign(body))


def with_secret(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda body: hmac.digest(secret, body, hashlib.sha256)


@pytest.fixture
def keys(tmp_path: Path) -> FileKeys:
    file = tmp_path / "jwks.json"
    entries = [jwk(EC_KEY, kid="ec"), jwk(P384_KEY), jwk(P521_KEY), jwk(RSA_KEY, kid="rsa")]
    file.write_text(json.dumps({"keys": entries}))
    return FileKeys(file, LOG)


ASYMMETRIC: Any = [f"{kind}{size}" for kind in ("RS", "PS", "ES") for size in (256, 384, 512)]


@pytest.fixture
def verifier(keys: FileKeys) -> TokenVerifier:
    settings = TokenSettings(
        algorithms=ASYMMETRIC,
        issuer=ISSUER,
        audience=AUDIENCE,
        leeway=30.0,
    )
    return TokenVerifier(settings, keys, lambda: NOW)


def judge(verifier: TokenVerifier, presented: bytes) -> Identity | TokenError:
    answers: list[Identity | TokenError] = []
    verifier.verify(presented, answers.append)
    assert len(answers) == 1
    return answers[0]


def refusal(verifier: TokenVerifier, presented: bytes) -> str:
    """Why a token is refused; the reason never holds it."""
    answer = judge(verifier, presented)
    assert isinstance(answer, TokenError)
    for piece in presented.split(b"."):
        assert len(piece) < 8 or piece.decode() not in answer.detail
    assert answer.detail.isprintable()
    return answer.detail


class OneKey(KeySource):
    """No file: for properties that are tried with many tokens."""

    def find(self, identifier: str | None, algorithm: str, done: Found) -> None:
        done(parse_jwks(json.dumps(jwk(EC_KEY)).encode(), "here").keys)


OPEN = TokenVerifier(TokenSettings(), OneKey(), lambda: NOW)
GOOD = token()


# --- signatures


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_every_algorithm_of_the_list_is_verified(verifier: TokenVerifier, algorithm: str) -> None:
    curves = {"ES256": EC_KEY, "ES384": P384_KEY, "ES512": P521_KEY}
    answer = judge(verifier, token(curves.get(algorithm, RSA_KEY), algorithm))
    assert answer == Identity("pump-7", TOKEN, expires=NOW + 3630.0)


RFC_CLAIMS = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
RFC_RSA = {
    "kty": "RSA",
    "e": "AQAB",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-y"
    "RT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo"
    "7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91"
    "kzk2PAcDTW9gb54h4FRWyuXpoQ",
}
RFC_EC = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
RFC_RS256 = (
    "eyJhbGciOiJSUzI1NiJ9",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU"
    "Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d"
    "O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig"
    "cN_IoypGlUPQGe77Rw",
)
RFC_ES256 = (
    "eyJhbGciOiJFUzI1NiJ9",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
)


@pytest.mark.parametrize(("key", "parts"), [(RFC_RSA, RFC_RS256), (RFC_EC, RFC_ES256)])
def test_the_examples_of_rfc_7515(tmp_path: Path, key: dict[str, str], parts: tuple[str, str]) -> None:
    """RFC 7515 appendices A.2 and A.3, whose key stands alone and not in a set."""
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key))
    settings = TokenSettings(username_claim="iss")
    one = TokenVerifier(settings, FileKeys(file, LOG), lambda: 1_300_819_379.0)
    presented = f"{parts[0]}.{RFC_CLAIMS}.{parts[1]}".encode()
    assert judge(one, presented) == Identity("joe", TOKEN, expires=1_300_819_410.0)
    assert "is not that of the key" in refusal(one, presented[:-3] + b"AAA")


def test_the_secret_of_rfc_7515(tmp_path: Path) -> None:
    """RFC 7515 appendix A.1, HS256."""
    secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    file = tmp_path / "secret"
    file.write_bytes(base64.urlsafe_b64decode(secret))
    file.chmod(0o600)
    settings = TokenSettings(username_claim="iss", algorithms=["HS256"], secret_file=file)
    one = TokenVerifier(settings, key_source(settings, LOG), lambda: 1_300_819_379.0)
    presented = (
        f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{RFC_CLAIMS}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    assert judge(one, presented.encode()) == Identity("joe", TOKEN, expires=1_300_819_410.0)


def test_none_is_no_signature(verifier: TokenVerifier) -> None:
    """RFC 7519 section 6.1."""
    assert "'none'" in refusal(verifier, f"eyJhbGciOiJub25lIn0.{RFC_CLAIMS}.".encode())
    for none in ("none", "None", "NONE", "nOnE", ""):
        assert "algorithms are" in refusal(verifier, signed({"alg": none}, CLAIMS, lambda _: b""))


def public_texts(key: Any) -> list[bytes]:
    """Everything that an attacker may take for the "secret" of a public key."""
    public = key.public_key()
    texts = [public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)]
    texts.append(texts[0].strip())
    texts.append(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    texts.append(json.dumps(jwk(key)).encode())
    return texts


@pytest.mark.parametrize("key", [EC_KEY, RSA_KEY])
def test_a_public_key_is_never_taken_for_a_secret(verifier: TokenVerifier, key: Any) -> None:
    """RFC 8725 section 2.1: the algorithm of a token decides nothing."""
    for text in public_texts(key):
        for algorithm in ("HS256", "RS256", "ES256"):
            header = {"alg": algorithm, "kid": "ec" if key is EC_KEY else "rsa"}
            assert refusal(verifier, signed(header, CLAIMS, with_secret(text)))


def test_a_key_is_used_with_its_own_algorithms_alone(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    entries = [jwk(RSA_KEY, kid="rsa", alg="PS256"), jwk(P384_KEY, kid="p384")]
    file.write_text(json.dumps({"keys": entries}))
    settings = TokenSettings(algorithms=ASYMMETRIC)
    one = TokenVerifier(settings, FileKeys(file, LOG), lambda: NOW)
    assert isinstance(judge(one, token(RSA_KEY, "PS256", "rsa")), Identity)
    assert "has none for RS256" in refusal(one, token(RSA_KEY, "RS256", "rsa"))
    assert "has none for ES256" in refusal(one, token(EC_KEY, "ES256", "p384"))


def test_an_algorithm_that_is_not_on_the_list_is_refused(keys: FileKeys) -> None:
    one = TokenVerifier(TokenSettings(algorithms=["ES256"]), keys, lambda: NOW)
    assert isinstance(judge(one, token()), Identity)
    assert "'RS256', [token] algorithms are ES256" in refusal(one, token(RSA_KEY, "RS256"))


def test_another_key_is_refused_and_counts_as_forged(verifier: TokenVerifier) -> None:
    answer = judge(verifier, token(OTHER_EC_KEY, kid="ec"))
    assert isinstance(answer, TokenError)
    assert answer.forged
    assert isinstance(judge(verifier, token(kid="ec")), Identity)
    assert "names the key (kid) 'rsa'" in refusal(verifier, token(kid="rsa"))
    assert "names the key (kid) 'gone'" in refusal(verifier, token(kid="gone"))


def test_a_changed_claim_is_refused(verifier: TokenVerifier) -> None:
    header, _, signature = token().split(b".")
    forged = b".".join([header, part({**CLAIMS, "sub": "admin"}), signature])
    assert "is not that of the key" in refusal(verifier, forged)


@pytest.mark.parametrize(
    "presented",
    [
        b"",
        b"secret",
        b"..",
        b"a.b.c",
        b"ey.ey.ey",
        b"\xff\xfe.\x00.\x01",
        part({"alg": "ES256"}) + b".",
        part({"alg": "ES256"}) + b"...",
        part({"alg": 7}) + b".e30.AA",
        part({"typ": "JWT"}) + b".e30.AA",
        part({"alg": "ES256", "kid": ["ec"]}) + b".e30.AA",
        part(b"[" * 9000) + b".e30.AA",
        part({"alg": "ES256"}) + b"." + b"A" * MAXIMUM_BYTES + b".AA",
        part({"alg": "ES256"}) + b".e30.!!",
        part({"alg": "ES256"}) + b".e30." + part(b"\0" * 64),
        part({"alg": "ES256"}) + b".e30." + part(b"\xff" * 64),
        part({"alg": "RSA-OAEP", "enc": "A256GCM"}) + b".a.b.c.d",
    ],
)
def test_what_is_no_token_is_refused(verifier: TokenVerifier, presented: bytes) -> None:
    answer = judge(verifier, presented)
    assert isinstance(answer, TokenError)
    assert answer.forged


@given(st.binary(max_size=200))
def test_no_bytes_are_a_token_by_chance_and_none_raise(data: bytes) -> None:
    for presented in (data, b"ey" + data, b".".join([part({"alg": "ES256"}), part(data), part(data)])):
        is_token(presented)
        assert isinstance(judge(OPEN, presented), TokenError)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_token_with_one_byte_changed_is_refused(position: int, change: int) -> None:
    """Base64url has spare bits at the end of a part, which change nothing that is signed."""
    good = bytearray(GOOD)
    position %= len(good)
    good[position] ^= change
    answer = judge(OPEN, bytes(good))
    before = [decoded(piece) for piece in GOOD.split(b".")]
    same = [decoded(piece) for piece in bytes(good).split(b".")] == before
    assert isinstance(answer, TokenError) or same


def decoded(piece: bytes) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(piece + b"=" * (-len(piece) % 4))
    except ValueError:
        return None


def test_critical_extensions_are_refused(verifier: TokenVerifier) -> None:
    """RFC 7515 section 4.1.11, RFC 7797 (b64)."""
    presented = jwt.encode(CLAIMS, EC_KEY, "ES256", headers={"crit": ["x"], "x": 1}).encode()
    assert "critical extensions" in refusal(verifier, presented)
    assert "critical extensions" in refusal(
        verifier, signed({"alg": "ES256", "b64": False, "crit": ["b64"]}, CLAIMS, lambda _: b"")
    )


@pytest.mark.parametrize(
    "header", [{"jwk": jwk(OTHER_EC_KEY)}, {"jku": "http://127.0.0.1/"}, {"x5c": ["AA"]}]
)
def test_a_key_that_a_token_brings_along_is_not_used(verifier: TokenVerifier, header: dict[str, Any]) -> None:
    """RFC 8725 section 3.10."""
    presented = jwt.encode(CLAIMS, OTHER_EC_KEY, "ES256", headers=header).encode()
    assert "is not that of the key" in refusal(verifier, presented)


# --- claims


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": NOW - 30}, "expired 30 s ago"),
        ({"exp": None}, "never expires"),
        ({"exp": "tomorrow"}, "its exp is 'tomorrow'"),
        ({"exp": True}, "its exp is true"),
        ({"exp": 1e300}, "its exp is 1e+300"),
        ({"exp": -1}, "its exp is -1"),
        ({"nbf": NOW + 31}, "31 s from now (nbf)"),
        ({"nbf": [NOW]}, "its nbf is"),
        ({"iat": NOW + 31}, "31 s from now (iat)"),
        ({"iat": NOW + 20, "exp": NOW + 10}, "exp before iat"),
        ({"iss": "https://other.example"}, "'https://other.example', [token] issuer is"),
        ({"iss": None}, "(iss) is missing"),
        ({"aud": "other"}, "'other', [token] audience is 'lockwire'"),
        ({"aud": ["a", "b"]}, "[token] audience"),
        ({"aud": None}, "(aud) is missing"),
        ({"aud": {"lockwire": 1}}, "[token] audience"),
        ({"sub": None}, "'sub', which is the user name, is missing"),
        ({"sub": ""}, "is empty"),
        ({"sub": "$SYS"}, "begins with $"),
        ({"sub": "pump\n7"}, "do not print"),
        ({"sub": "anonymous"}, "without a name"),
        ({"groups": 7}, "'groups' is 7"),
        ({"groups": ["a", 7]}, "expected a list of groups"),
        ({"groups": ["a\nb"]}, "cannot be a group's name"),
        ({"groups": [f"g{number}" for number in range(65)]}, "lists 65 groups"),
        ({"permissions": {}}, "expected a list of up to 256 rules"),
        ({"permissions": ["x"]}, "rule 1 in its claim 'permissions': no object"),
        ({"permissions": [{"may": ["publish"], "topics": "a/#/b"}]}, "rule 1"),
        ({"permissions": [{"may": ["fly"], "topics": "a"}]}, "'may' is not a list of rights"),
        ({"permissions": [{"may": ["publish"]}]}, "'topics' is missing"),
        (
            {"permissions": [{"who": "everyone", "may": ["publish"], "topics": "a"}]},
            "'who' is not known here",
        ),
        ({"permissions": [{"may": ["publish"], "topics": "a", "qos": [True]}]}, "'qos'"),
        ({"permissions": [{"may": ["publish"], "topics": 7}]}, "'topics' is not text"),
    ],
)
def test_claims_that_do_not_fit_are_refused(
    verifier: TokenVerifier, claims: dict[str, Any], reason: str
) -> None:
    answer = refusal(verifier, signed_anyhow(claims))
    assert reason in answer


def signed_anyhow(claims: dict[str, Any]) -> bytes:
    """Claims that PyJWT would refuse to write, well signed."""
    kept = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.api_jws.encode(json.dumps(kept).encode(), EC_KEY, "ES256").encode()


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"7", b"{", b'{"exp": NaN}', b'{"sub": "a", "sub": "admin"}', b"[" * 5000, b"\xff"],
)
def test_claims_that_are_no_plain_object_are_refused(verifier: TokenVerifier, payload: bytes) -> None:
    assert "its claims are no" in refusal(verifier, jwt.api_jws.encode(payload, EC_KEY, "ES256").encode())


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 29, "iat": None},
        {"nbf": NOW + 30},
        {"iat": NOW + 30},
        {"aud": ["x", AUDIENCE]},
        {"exp": NOW + 0.5},
    ],
)
def test_clocks_may_differ_by_the_leeway(verifier: TokenVerifier, claims: dict[str, Any]) -> None:
    answer = judge(verifier, signed_anyhow(claims))
    assert isinstance(answer, Identity)
    assert answer.expires == claims.get("exp", CLAIMS["exp"]) + 30


def test_claims_become_groups_and_rules_of_the_client_alone(verifier: TokenVerifier) -> None:
    permissions = [
        {"may": ["publish"], "topics": "pump/{username}/#", "qos": [1, 0], "retain": "never"},
        {"may": ["subscribe", "receive"], "regexp": "^cmd\\.", "note": "for people"},
        {"may": ["publish"], "topics": "pump/+/stop", "effect": "deny"},
    ]
    answer = judge(verifier, token(groups=["pumps", "north", "pumps"], permissions=permissions))
    assert isinstance(answer, Identity)
    assert answer.groups == ("pumps", "north")
    assert answer.rules == (
        Rule("user:pump-7", ("publish",), "pump/{username}/#", qos=(0, 1), retain="never"),
        Rule("user:pump-7", ("subscribe", "receive"), "", regexp="^cmd\\."),
        Rule("user:pump-7", ("publish",), "pump/+/stop", effect="deny"),
    )
    assert not answer.administrator


def test_claims_have_the_names_that_the_issuer_gives_them(keys: FileKeys) -> None:
    settings = TokenSettings(username_claim="preferred_username", groups_claim="realm_access.roles")
    one = TokenVerifier(settings, keys, lambda: NOW)
    answer = judge(one, token(preferred_username="jo", realm_access={"roles": ["ops"]}, permissions=[]))
    assert answer == Identity("jo", TOKEN, groups=("ops",), expires=NOW + 3630.0)
    literal = judge(one, token(preferred_username="jo", **{"realm_access.roles": "ops dev"}))
    assert isinstance(literal, Identity)
    assert literal.groups == ("ops", "dev")


def test_claims_that_nobody_asks_for_are_not_read(keys: FileKeys) -> None:
    one = TokenVerifier(TokenSettings(groups_claim="", permissions_claim=""), keys, lambda: NOW)
    answer = judge(one, token(groups=7, permissions=7, aud=None, iss=None))
    assert answer == Identity("pump-7", TOKEN, expires=NOW + 3630.0)


# --- passwords that are tokens


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        (token(), True),
        (token(kid="gone"), True),
        (signed({"alg": "none"}, {}, lambda _: b""), True),
        (part({"alg": "RSA-OAEP"}) + b".a.b.c.d", True),
        (b"eyes.wide.shut", False),
        (b"ey..", False),
        (part({"typ": "JWT"}) + b".a.b", False),
        (part({"alg": "ES256"}), False),
        (b"", False),
        (b"\xff" * 100, False),
    ],
)
def test_a_token_is_told_from_a_password(password: bytes, expected: bool) -> None:
    assert is_token(password) == expected


# --- secrets


def secret_file(tmp_path: Path, secret: bytes, mode: int = 0o600) -> Path:
    file = tmp_path / "secret"
    file.write_bytes(secret)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_hs_takes_the_secret_of_a_file(tmp_path: Path, algorithm: Any, ending: str) -> None:
    file = secret_file(tmp_path, (SECRET + ending).encode())
    settings = TokenSettings(algorithms=[algorithm], secret_file=file)
    one = TokenVerifier(settings, key_source(settings, LOG), lambda: NOW)
    assert isinstance(judge(one, token(SECRET, algorithm)), Identity)
    assert isinstance(judge(one, token(SECRET, algorithm, kid="any")), Identity)
    assert "is not that of the key" in refusal(one, token(SECRET + "x", algorithm))
    assert "algorithms are" in refusal(one, token(EC_KEY, "ES256"))


def test_a_secret_that_can_be_guessed_or_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeySetError, match=r"31 bytes; expected 32 to 4096"):
        Secret(secret_file(tmp_path, b"x" * 31), ("HS256",))
    with pytest.raises(KeySetError, match=r"32 bytes; expected 64 to 4096 for HS256, HS512"):
        Secret(secret_file(tmp_path, b"x" * 32), ("HS256", "HS512"))
    with pytest.raises(KeySetError, match="chmod 600") as caught:
        Secret(secret_file(tmp_path, SECRET.encode(), 0o640), ("HS256",))
    assert SECRET not in str(caught.value)
    with pytest.raises(KeySetError, match="No such file"):
        Secret(tmp_path / "nothing", ("HS256",))


@pytest.mark.parametrize("key", [EC_KEY, RSA_KEY])
def test_a_key_that_the_world_knows_is_no_secret(tmp_path: Path, key: Any) -> None:
    for text in public_texts(key):
        if text.startswith((b"-----BEGIN", b"ssh-", b"ecdsa-")):
            with pytest.raises(KeySetError, match="a public key or a certificate; expected a secret"):
                Secret(secret_file(tmp_path, text), ("HS256",))
