"""Tokens with any claims, signed with keys of tests, and why they are refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from im_proto.wire import codes
from im_server import JWTAuthenticator, TokenRefusedError

SECRET = "a secret of tests that has more than 32 bytes"
OTHER = "another secret of tests with more than 32 bytes"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
#: Private keys, by their algorithms.
PRIVATE = {"RS256": RSA_KEY, "ES256": EC_KEY, "EdDSA": ED_KEY}


def pem(private: Any) -> str:
    """The public key of a private one."""
    return (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def b64(data: bytes) -> str:
    """As the parts of a token are written."""
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


#: Two of the reasons.
NOT_VALID = "the token is not valid"
UNKNOWN_KEY = "the token is signed with a key that is not known here"
