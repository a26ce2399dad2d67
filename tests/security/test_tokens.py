"""Tokens that somebody made up, bent or kept, and keys that don't fit: each has one answer."""

from __future__ import annotations

import base64
import json
import logging
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from im_proto.wire import codes
from im_server import JWTAuthenticator, TokenKey, TokenRefusedError, make_token, verify_webhook
from im_server.keys import KeyFile, algorithms, read_jwks
from im_server.signing import SignatureError
from im_server.tokens import LEEWAY

SECRET = "a secret of tests that has more than 32 bytes"
OTHER = "another secret of tests with more than 32 bytes"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
PRIVATE = {"RS256": RSA_KEY, "ES256": EC_KEY, "EdDSA": ED_KEY}


def pem(private: Any) -> str:
    """The public key of a private one."""
    return (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: Any, key: Any = SECRET, alg: str = "HS256", **header: Any) -> str:
    """A token with a good signature; claims may be a text, which need be no JSON."""
    payload = claims if isinstance(claims, str) else json.dumps({"sub": "1"} | claims)
    head = b64(json.dumps({"alg": alg, "typ": "JWT"} | header).encode())
    body = f"{head}.{b64(payload.encode())}"
    algorithm = jwt.get_algorithm_by_name(alg)
    return f"{body}.{b64(algorithm.sign(body.encode(), algorithm.prepare_key(key)))}"


def reason(token: str, checks: JWTAuthenticator | None = None) -> str:
    """Why it is refused. Nothing of the token is in the error, nor in what it came from."""
    with pytest.raises(TokenRefusedError) as caught:
        (checks or JWTAuthenticator(SECRET)).authenticate(token)
    error = caught.value
    assert error.code == codes.TOKEN_INVALID
    for part in (part for part in token.split(".") if len(part) > 3):
        assert part not in repr(error) and part not in str(error)
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)
    return error.reason


NOT_VALID = "the token is not valid"
EXPIRED = "the token has expired"
TOO_EARLY = "the token is not valid yet"
UNKNOWN_KEY = "the token is signed with a key that is not known here"

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


# ---------------------------------------------------------------- a file of keys


def jwk(alg: str | None, key: Any, **more: Any) -> dict[str, Any]:
    """A key as it stands in a file."""
    if isinstance(key, str):
        made = {"kty": "oct", "k": b64(key.encode())}
    else:
        kinds = {"RS": jwt.algorithms.RSAAlgorithm, "ES": jwt.algorithms.ECAlgorithm}
        kind = kinds.get((alg or "")[:2], jwt.algorithms.OKPAlgorithm)
        made = json.loads(kind.to_jwk(key))
        made.pop("key_ops", None)
    return made | ({"alg": alg} if alg else {}) | more


ALL = [
    *(jwk(alg, key.public_key(), kid=alg, use="sig") for alg, key in PRIVATE.items()),
    jwk("HS256", SECRET, kid="HS256"),
]


def write(path: Path, *keys: object, text: str | None = None) -> Path:
    """A file of keys, as a deployment writes it: another file in its place."""
    new = path.with_name("new")
    new.write_text(json.dumps({"keys": keys}) if text is None else text)
    return new.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jwks.json"


def test_a_file_of_keys(path) -> None:
    checks = JWTAuthenticator.from_jwks(write(path, *ALL))
    for alg, key in {**PRIVATE, "HS256": SECRET}.items():
        assert checks.authenticate(signed({}, key, alg, kid=alg)).user == 1
        assert reason(signed({}, key, alg), checks) == UNKNOWN_KEY
        assert reason(signed({}, key, alg, kid="x"), checks) == UNKNOWN_KEY
    assert reason(signed({}, OTHER, kid="HS256"), checks) == NOT_VALID
    assert reason(signed({}, SECRET, kid="RS256"), checks) == NOT_VALID


def test_the_only_key_or_the_one_without_a_name_is_for_tokens_that_name_none(path) -> None:
    only = JWTAuthenticator.from_jwks(write(path, jwk("HS256", SECRET, kid="a")))
    assert only.authenticate(signed({})).user == 1
    assert only.authenticate(signed({}, kid="a")).user == 1
    two = (jwk("HS256", SECRET, kid="a"), jwk("HS256", OTHER))
    checks = JWTAuthenticator.from_jwks(write(path, *two))
    assert checks.authenticate(signed({}, OTHER)).user == 1
    assert reason(signed({}), checks) == NOT_VALID
    for twice in ({}, {"kid": "a"}):
        write(path, jwk("HS256", SECRET, **twice), jwk("HS256", OTHER, **twice))
        with pytest.raises(ValueError, match="two keys have the kid"):
            JWTAuthenticator.from_jwks(path)


def test_an_algorithm_may_be_left_out_where_there_is_only_one(path) -> None:
    ec_jwk, ed_jwk = jwk("ES256", EC_KEY.public_key()), jwk("EdDSA", ED_KEY.public_key())
    for key, private, alg in ((ec_jwk, EC_KEY, "ES256"), (ed_jwk, ED_KEY, "EdDSA")):
        del key["alg"]
        checks = JWTAuthenticator.from_jwks(write(path, key))
        assert checks.authenticate(signed({}, private, alg)).user == 1
    for unclear in (jwk("RS256", RSA_KEY.public_key()), jwk("HS256", SECRET)):
        del unclear["alg"]
        with pytest.raises(ValueError, match='has no "alg", which may be'):
            JWTAuthenticator.from_jwks(write(path, unclear))


BAD_KEYS = {
    "for encryption": jwk("HS256", SECRET, use="enc"),
    "for signing alone": jwk("HS256", SECRET, key_ops=["sign"]),
    "private": jwk("RS256", RSA_KEY),
    "of another algorithm": jwk("RS256", RSA_KEY.public_key()) | {"alg": "ES256"},
    "of none": jwk("none", SECRET),
    "of a curve that is not its algorithm's": jwk("ES256", EC_KEY.public_key(), crv="P-384"),
    "short": jwk("HS256", "short"),
    "without a secret": {"kty": "oct", "alg": "HS256"},
    "of a kind of numbers": {"kty": "oct", "alg": "HS256", "k": 5},
    "of an unknown kind": {"kty": "AKP", "alg": "ML-DSA-44"},
    "of a list": {"kty": ["oct"], "crv": [], "alg": "HS256"},
    "of no kind": {},
    "not whole": {"kty": "RSA", "alg": "RS256", "n": "AQAB"},
    "weak": jwk("RS256", rsa.generate_private_key(65537, 1024).public_key()),
    "a name of numbers": jwk("HS256", SECRET, kid=5),
    "text": "key",
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_key_that_is_not_for_this_is_passed_over(path, name, caplog) -> None:
    bad = BAD_KEYS[name]
    checks = JWTAuthenticator.from_jwks(write(path, bad, jwk("HS256", OTHER, kid="good")))
    assert checks.authenticate(signed({}, OTHER, kid="good")).user == 1
    with pytest.raises(ValueError, match="key") as caught:
        JWTAuthenticator.from_jwks(write(path, bad))
    said = caplog.text + str(caught.value)
    assert b64(SECRET.encode()) not in said and SECRET not in said
    if isinstance(bad, dict) and "d" in bad:
        assert bad["d"] not in said


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"keys": {}}', '{"keys": []}', "[" * 100_000, "\x00", "{}"]
)
def test_a_file_that_is_no_set_of_keys_is_refused(path, text) -> None:
    with pytest.raises(ValueError, match=r"jwks\.json: it (is|has) no"):
        JWTAuthenticator.from_jwks(write(path, text=text))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="no JSON"):
        JWTAuthenticator.from_jwks(path)
    path.write_bytes(b" " * 1_048_577)
    with pytest.raises(ValueError, match="larger"):
        JWTAuthenticator.from_jwks(path)
    with pytest.raises(OSError, match="nowhere"):
        JWTAuthenticator.from_jwks(path.with_name("nowhere"))


def test_keys_are_exchanged_while_the_server_runs(path, caplog) -> None:
    checks = JWTAuthenticator.from_jwks(write(path, jwk("HS256", SECRET, kid="1")))
    old, new = signed({}, SECRET, kid="1"), signed({}, OTHER, kid="2")
    assert checks.authenticate(old).user == 1
    assert reason(new, checks) == UNKNOWN_KEY
    write(path, jwk("HS256", SECRET, kid="1"), jwk("HS256", OTHER, kid="2"))
    assert checks.authenticate(old).user == checks.authenticate(new).user == 1
    write(path, jwk("HS256", OTHER, kid="2"))
    assert reason(old, checks) == UNKNOWN_KEY
    assert checks.authenticate(new).user == 1
    assert caplog.text == ""


@pytest.mark.parametrize("breaks", ["half", "gone", "empty"])
def test_a_new_file_that_makes_no_sense_leaves_the_keys_as_they_were(path, breaks, caplog) -> None:
    checks = JWTAuthenticator.from_jwks(write(path, jwk("HS256", SECRET, kid="1")))
    if breaks == "gone":
        path.unlink()
    else:
        write(path, text='{"keys": [{' if breaks == "half" else '{"keys": []}')
    for _ in range(3):
        assert checks.authenticate(signed({}, kid="1")).user == 1
    (told,) = caplog.records
    assert told.levelno == logging.ERROR and "checked with the keys of before" in told.message
    write(path, jwk("HS256", OTHER, kid="2"))
    assert checks.authenticate(signed({}, OTHER, kid="2")).user == 1
    assert len(caplog.records) == 1


def test_a_file_that_changes_while_it_is_read_is_read_again(path, monkeypatch) -> None:
    keys = KeyFile(write(path, jwk("HS256", SECRET, kid="1")))
    write(path, jwk("HS256", OTHER, kid="2"))
    real = KeyFile._read

    def slow(self):
        found = real(self)
        monkeypatch.undo()
        write(path, jwk("HS256", SECRET, kid="third"))
        return found

    monkeypatch.setattr(KeyFile, "_read", slow)
    assert keys.find("2") is not None
    assert keys.find("third") is not None and keys.find("2") is None


def test_without_cryptography_it_is_said_what_to_install(path, monkeypatch) -> None:
    monkeypatch.setattr(algorithms, "has_crypto", False)
    for use in (
        lambda: TokenKey("RS256", pem(RSA_KEY)),
        lambda: read_jwks(json.dumps({"keys": [ALL[1]]})),
        lambda: JWTAuthenticator.from_jwks(write(path, ALL[2])),
    ):
        with pytest.raises(ModuleNotFoundError, match=r"im-proto\[jwks\]"):
            use()
    assert JWTAuthenticator(SECRET).authenticate(signed({})).user == 1


# ---------------------------------------------------------------- constant time


@pytest.mark.parametrize("given_by_peer", ["é", "\ud800", "…" * 100, "\x00", "t=1,v1=\udcff"])
def test_what_is_compared_with_a_secret_may_be_any_text(given_by_peer: str) -> None:
    """`hmac.compare_digest` raises TypeError for a text that is no ASCII: bytes are compared."""
    for header in (given_by_peer, f"t=1700000000,v1={given_by_peer}"):
        with pytest.raises(SignatureError):
            verify_webhook(SECRET, header, b"{}", now=1_700_000_000)
    assert reason(f"{signed({}).rpartition('.')[0]}.{given_by_peer}") == NOT_VALID
