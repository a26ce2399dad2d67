"""Tokens that somebody made up, bent or kept, and keys that don't fit: each has one answer."""

from __future__ import annotations

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from im_server import JWTAuthenticator, TokenKey, TokenRefusedError, make_token, verify_webhook
from im_server.signing import SignatureError
from im_server.tokens import LEEWAY
from security.tokens_kit import (
    ED_KEY,
    NOT_VALID,
    OTHER,
    PRIVATE,
    RSA_KEY,
    SECRET,
    UNKNOWN_KEY,
    b64,
    pem,
    reason,
    signed,
)

EXPIRED = "the token has expired"
TOO_EARLY = "the token is not valid yet"

# ---------------------------------------------------------------- who chooses the algorithm


def test_a_token_without_a_signature_is_refused() -> None:
    for alg in ("none", "None", "NONE", "nOnE", ""):
        head, body = (b64(json.dumps(part).encode()) for part in ({"alg": alg}, {"sub": "1"}))
        assert reason(f"{head}.{body}.") == NOT_VALID
        assert reason(f"{head}.{body}.{b64(b'x')}") == NOT_VALID
    assert reason(f"{b64(b'{}')}.{b64(b'{}')}.") == NOT_VALID


@pytest.mark.parametrize("alg", PRIVATE)
def test_a_public_key_is_no_secret(alg: str) -> None:
    """Whoever knows the public key, which is everybody, signs with it as if it were a secret."""
    public = pem(PRIVATE[alg])
    checks = JWTAuthenticator(keys={"k": TokenKey(alg, public)})
    assert checks.authenticate(signed({}, PRIVATE[alg], alg, kid="k")).user == 1
    head = b64(json.dumps({"alg": "HS256", "kid": "k"}).encode())
    claims = b64(json.dumps({"sub": "1"}).encode())
    body = f"{head}.{claims}"
    for key in (public, public.strip(), public.encode().strip() + b"\n"):
        data = key if isinstance(key, bytes) else key.encode()
        signature = jwt.get_algorithm_by_name("HS256").sign(body.encode(), data)
        assert reason(f"{body}.{b64(signature)}", checks) == NOT_VALID
    with pytest.raises(ValueError, match="no secret for HS256"):
        JWTAuthenticator(public)


@pytest.mark.parametrize("alg", ["HS384", "HS512", "RS256", "ES256"])
def test_the_algorithm_is_that_of_the_key_and_not_of_the_header(alg: str) -> None:
    key = PRIVATE.get(alg, SECRET * 2)
    checks = JWTAuthenticator(SECRET * 2, keys={"k": TokenKey("EdDSA", pem(ED_KEY))})
    assert reason(signed({}, key, alg), checks) == NOT_VALID
    assert reason(signed({}, key, alg, kid="k"), checks) == NOT_VALID


# ---------------------------------------------------------------- which key


def test_a_key_is_found_by_its_name_and_no_other_is_tried() -> None:
    checks = JWTAuthenticator(SECRET, keys={"new": OTHER})
    assert checks.authenticate(make_token(1, SECRET)).user == 1
    assert checks.authenticate(make_token(1, OTHER, kid="new")).user == 1
    assert reason(make_token(1, OTHER), checks) == NOT_VALID
    assert reason(make_token(1, SECRET, kid="new"), checks) == NOT_VALID
    assert reason(make_token(1, SECRET, kid="old"), checks) == UNKNOWN_KEY
    assert reason(make_token(1, SECRET, kid="")) == UNKNOWN_KEY
    named = JWTAuthenticator(keys={"new": OTHER})
    assert reason(make_token(1, OTHER), named) == UNKNOWN_KEY


@pytest.mark.parametrize(
    "kid", ["../../etc/passwd", "/dev/null", "k' OR '1'='1", "k\x00", "http://evil/k", "%00", "*"]
)
def test_the_name_of_a_key_is_looked_up_and_nothing_else(kid: str) -> None:
    for secret in (SECRET, "\0" * 64):
        assert reason(signed({}, secret, kid=kid), JWTAuthenticator(keys={"k": SECRET})) == (
            UNKNOWN_KEY
        )


@pytest.mark.parametrize("kid", [1, None, [], {}, True])
def test_the_name_of_a_key_is_a_text(kid: object) -> None:
    assert reason(signed({}, kid=kid)) == NOT_VALID


def test_keys_and_addresses_in_the_header_count_for_nothing(monkeypatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("somebody went to the network")

    monkeypatch.setattr("socket.socket.connect", connect)
    own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key()))
    header = {"jwk": own, "jku": "http://127.0.0.1:1/k", "x5u": "http://127.0.0.1:1/k"}
    header |= {"x5c": ["MII="], "x5t": "x"}
    checks = JWTAuthenticator(SECRET, keys={"k": TokenKey("RS256", pem(RSA_KEY))})
    stranger = rsa.generate_private_key(65537, 2048)
    header["jwk"] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key()))
    assert reason(signed({}, stranger, "RS256", **header), checks) == NOT_VALID
    assert reason(signed({}, stranger, "RS256", kid="k", **header), checks) == NOT_VALID
    assert checks.authenticate(signed({}, RSA_KEY, "RS256", kid="k", **header)).user == 1


def test_what_a_header_says_is_critical_must_be_understood() -> None:
    for critical in (["x"], [], "b64", ["b64"], [1]):
        assert reason(signed({}, crit=critical, x=1)) == NOT_VALID
    assert reason(signed({}, crit=["b64"], b64=False)) == NOT_VALID


# ---------------------------------------------------------------- the form


def test_a_huge_token_is_refused_before_anything_looks_into_it(monkeypatch) -> None:
    checks = JWTAuthenticator(SECRET)
    good = make_token(1, SECRET, name="x" * 5000)
    assert checks.authenticate(good).username == "x" * 5000
    longest = "x" * 8193
    monkeypatch.setattr(jwt.PyJWS, "get_unverified_header", lambda *_: pytest.fail("it looked"))
    assert reason(make_token(1, SECRET, name="x" * 7000), checks) == NOT_VALID
    assert reason(longest, checks) == NOT_VALID


@pytest.mark.parametrize("token", ["é", "\ud800", "a.b.\N{FULLWIDTH DIGIT ONE}", "\x00", "…" * 900])
def test_a_token_that_is_no_ascii_is_refused(token: str) -> None:
    assert reason(token) == NOT_VALID
    assert reason(make_token(1, SECRET) + token) == NOT_VALID


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: f"{b64(b)}.{b64(b)}.{b64(b)}"))
def test_whatever_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenRefusedError):
        JWTAuthenticator(SECRET).authenticate(token)


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(st.data())
def test_no_character_of_a_token_can_be_changed(data: st.DataObject) -> None:
    token = signed({"exp": 2_000_000_000})
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_.=+/ "))
    if token[place] != letter:
        with pytest.raises(TokenRefusedError):
            JWTAuthenticator(SECRET).authenticate(token[:place] + letter + token[place + 1 :])


@settings(derandomize=True, database=None, deadline=None, max_examples=500)
@given(st.data())
def test_no_form_is_taken_that_pyjwt_alone_would_refuse(data: st.DataObject) -> None:
    """Also what has a good signature and another form."""
    pieces = st.text("ABCxyz019-_.=+/ ", max_size=3)
    body, _, signature = signed({}).rpartition(".")
    body = body[: data.draw(st.integers(0, len(body)))] + data.draw(pieces) + data.draw(pieces)
    if data.draw(st.booleans()):
        algorithm = jwt.get_algorithm_by_name("HS256")
        signature = b64(algorithm.sign(body.encode(), algorithm.prepare_key(SECRET)))
    token = f"{body}.{signature}{data.draw(st.sampled_from(['', '=', '==', 'A']))}"
    try:
        user = JWTAuthenticator(SECRET).authenticate(token).user
    except TokenRefusedError:
        return
    assert jwt.decode(token, SECRET, algorithms=["HS256"])["sub"] == str(user)


@pytest.mark.parametrize(
    "payload",
    [
        "", "null", "[]", '"1"', "1", "{", '{"sub": "1",}', "[" * 3000, '{"sub": "1"} x',
        '{"sub": "1", "n": ' + "9" * 5000 + "}", '{"sub": "1", "x": NaN}',
        '{"sub": "1", "x": -Infinity}', '{"sub": "1", "sub": "2"}',
        '{"sub": "1", "exp": 2000000000, "exp": 1}', '{"sub": "1", "x": {"a": 1, "a": 1}}',
        '{"sub": "1", "s\\u0075b": "2"}',
    ],
)  # fmt: skip
def test_claims_that_two_readers_could_read_otherwise_are_refused(payload: str) -> None:
    assert reason(signed(payload)) == NOT_VALID


# ---------------------------------------------------------------- times


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [
        "NaN", "Infinity", "-Infinity", "1e400", "-1e400", '"2000000000"', "true", "false", "null",
        "[]", "{}", "-1", "1e18", "9" * 400, '""', "253402300800",
    ],
)  # fmt: skip
def test_a_time_that_is_none_makes_a_token_bad(claim: str, value: str) -> None:
    assert reason(signed(f'{{"sub": "1", "{claim}": {value}}}')) == NOT_VALID


@pytest.mark.parametrize("value", [2e9, 2_000_000_000, 2_000_000_000.75, 253_402_300_799])
def test_a_time_may_have_a_fraction(value: float) -> None:
    left = JWTAuthenticator(SECRET).authenticate(signed({"exp": value})).expires_in
    assert left == pytest.approx(value + LEEWAY - time.time(), abs=5)


def test_clocks_may_differ_a_little(monkeypatch) -> None:
    """By the leeway, 10 s by default: and what is said of its end agrees with it."""
    now = 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    check = JWTAuthenticator(SECRET).authenticate
    assert check(signed({"exp": now - LEEWAY + 0.5})).expires_in == pytest.approx(0.5)
    assert reason(signed({"exp": now - LEEWAY})) == EXPIRED
    assert reason(signed({"exp": 0})) == EXPIRED
    for claim in ("nbf", "iat"):
        assert check(signed({claim: now + LEEWAY})).user == 1
        assert reason(signed({claim: now + LEEWAY + 0.5})) == TOO_EARLY
    exact = JWTAuthenticator(SECRET, leeway=0)
    assert reason(signed({"exp": now}), exact) == EXPIRED
    assert reason(signed({"iat": now + 0.5}), exact) == TOO_EARLY
    assert check(signed({})).expires_in is None


def test_it_is_known_to_the_millisecond_when_a_token_was_made() -> None:
    before = int(time.time() * 1000)
    identity = JWTAuthenticator(SECRET).authenticate(make_token(1, SECRET))
    assert identity.issued_at is not None
    assert before <= identity.issued_at <= int(time.time() * 1000)
    for iat, issued_at in ((17, 17_000), (17.25, 17_250), (17.9999, 17_999), (0, 0)):
        assert JWTAuthenticator(SECRET).authenticate(signed({"iat": iat})).issued_at == issued_at
    assert JWTAuthenticator(SECRET).authenticate(signed({})).issued_at is None


# ---------------------------------------------------------------- for whom, by whom, about whom


def test_a_token_for_somebody_else_is_refused() -> None:
    other = "the token is for another server"
    ours = JWTAuthenticator(SECRET, audience="chat")
    for aud in ("chat", ["chat"], ["shop", "chat"]):
        assert ours.authenticate(signed({"aud": aud})).user == 1
        assert reason(signed({"aud": aud})) == other
    for aud in ("shop", ["shop"], [], "", {"chat": 1}, 1, None, "CHAT"):
        assert reason(signed({"aud": aud}), ours) == other
    assert reason(signed({}), ours) == other
    assert JWTAuthenticator(SECRET).authenticate(signed({})).user == 1


def test_a_token_of_another_issuer_is_refused() -> None:
    ours = JWTAuthenticator(SECRET, issuer="https://id.example")
    assert ours.authenticate(signed({"iss": "https://id.example"})).user == 1
    for claims in ({}, {"iss": "https://id.example/"}, {"iss": ["https://id.example"]}):
        assert reason(signed(claims), ours) == "the token is of another issuer"


@pytest.mark.parametrize("sub", [1, 0, "", "0\x00", "x" * 200, "\ud800", None, True, [], "\u202e"])
def test_a_token_names_a_user(sub: object) -> None:
    assert reason(signed({"sub": sub})) == "the token names no user"
    assert reason(signed('{"name": "x"}')) == "the token names no user"


def test_roles_and_names_that_are_none_are_none() -> None:
    check = JWTAuthenticator(SECRET).authenticate
    for roles in ("admin", {"admin": 1}, [["admin"]], True, None, [1]):
        assert check(signed({"roles": roles})).roles == frozenset()
    assert check(signed({"name": 1})).username is None


# ---------------------------------------------------------------- secrets and keys


@pytest.mark.parametrize("secret", ["", "short", "x" * 31])
def test_a_short_secret_is_refused_with_what_to_do(secret: str) -> None:
    for use in (
        JWTAuthenticator,
        lambda key: make_token(1, key),
        lambda key: JWTAuthenticator(keys={"k": key}),
    ):
        with pytest.raises(ValueError, match="secret") as caught:
            use(secret)
        assert not secret or secret not in str(caught.value)
    if secret:
        assert "fewer than 32 bytes" in str(caught.value) and "openssl rand" in str(caught.value)


def test_a_secret_is_as_long_as_the_hash_in_bytes() -> None:
    assert JWTAuthenticator("é" * 16).authenticate(make_token(1, "é" * 16)).user == 1
    TokenKey("HS384", "x" * 48)
    TokenKey("HS512", "x" * 64)
    for alg, length in (("HS384", 47), ("HS512", 63)):
        with pytest.raises(ValueError, match=f"fewer than {length + 1} bytes"):
            TokenKey(alg, "x" * length)


def test_a_server_takes_no_key_that_could_sign_or_is_weak_or_of_another_kind() -> None:
    private = RSA_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    with pytest.raises(ValueError, match="private key") as caught:
        TokenKey("RS256", private)
    assert private[40:80] not in str(caught.value)
    with pytest.raises(ValueError, match="2048 bits"):
        TokenKey("RS256", pem(rsa.generate_private_key(65537, 1024)))
    with pytest.raises(ValueError, match="public key"):
        TokenKey("ES256", pem(RSA_KEY))
    with pytest.raises(ValueError, match="public key"):
        TokenKey("ES256", pem(ec.generate_private_key(ec.SECP384R1())))
    for alg in ("none", "", "HS1", "RS1"):
        with pytest.raises(ValueError, match="one of HS256"):
            TokenKey(alg, SECRET)
    assert SECRET not in repr(TokenKey("HS256", SECRET))
    with pytest.raises(ValueError, match="no key"):
        JWTAuthenticator()


# ---------------------------------------------------------------- constant time


@pytest.mark.parametrize("given_by_peer", ["é", "\ud800", "…" * 100, "\x00", "t=1,v1=\udcff"])
def test_what_is_compared_with_a_secret_may_be_any_text(given_by_peer: str) -> None:
    """`hmac.compare_digest` raises TypeError for a text that is no ASCII: bytes are compared."""
    for header in (given_by_peer, f"t=1700000000,v1={given_by_peer}"):
        with pytest.raises(SignatureError):
            verify_webhook(SECRET, header, b"{}", now=1_700_000_000)
    assert reason(f"{signed({}).rpartition('.')[0]}.{given_by_peer}") == NOT_VALID
