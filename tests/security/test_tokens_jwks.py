"""A file of keys: which of them are taken, by which name, and what is done when it changes."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from im_server import JWTAuthenticator, TokenKey
from im_server.keys import KeyFile, algorithms, read_jwks
from security.tokens_kit import (
    EC_KEY,
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
