"""Keys that tokens are checked with: each for one algorithm, and found by its `kid` alone.

Given one by one, or in a file, a JWK Set (RFC 7517), which is read again when it changes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import jwt
from jwt import algorithms
from jwt.algorithms import HMACAlgorithm

from im_proto.errors import printable

logger = logging.getLogger(__name__)

#: (kty, crv): what such a key may be for. One algorithm a key: whoever signs a token can't choose.
_FOR: Final[Mapping[tuple[object, object], tuple[str, ...]]] = {
    ("oct", None): ("HS256", "HS384", "HS512"),
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
ALGORITHMS: Final = tuple(name for names in _FOR.values() for name in names)
#: Bytes of a secret, at least: as many as the hash has (RFC 7518 section 3.2).
_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
_RSA_BITS: Final = 2048  # RFC 7518 section 3.3
_FILE_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True, eq=False)
class TokenKey:
    """A key, and the one algorithm that it is for.

    Args:
        algorithm: one of RFC 7518: "HS256", "RS256", "ES256" …, or "EdDSA".
        key: of HS256, HS384, HS512 the shared secret, at least as long as the hash; of the others
            the public key, as PEM.

    Raises:
        ValueError: says what is wrong with it; holds nothing of the key.
        ModuleNotFoundError: only the HS… algorithms work without the package `cryptography`.
    """

    algorithm: str
    key: Any = field(repr=False)

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"the algorithm of a key is one of {', '.join(ALGORITHMS)}")
        need_cryptography(self.algorithm)
        try:
            key = jwt.get_algorithm_by_name(self.algorithm).prepare_key(self.key)
        except (jwt.PyJWTError, ValueError, TypeError):
            what = "secret" if self.algorithm in _SECRET_BYTES else "public key (PEM)"
            raise ValueError(f"that is no {what} for {self.algorithm}") from None
        if hasattr(key, "sign"):
            raise ValueError("that is a private key: a server needs the public one, and no more")
        object.__setattr__(self, "key", key)
        least = _SECRET_BYTES.get(self.algorithm)
        if least is not None and len(key) < least:
            raise ValueError(
                f"the secret has fewer than {least} bytes and may be guessed (RFC 7518, section "
                "3.2): make one with openssl rand -hex 32"
            )
        if getattr(key, "key_size", _RSA_BITS) < _RSA_BITS and self.algorithm[0] in "RP":
            raise ValueError(f"an RSA key has at least {_RSA_BITS} bits (RFC 7518, section 3.3)")


class _WithTokenKey(HMACAlgorithm):
    """Takes the secret of a `TokenKey` as it is. PyJWT would ask each time whether it is one, which
    takes longer than to look at the signature."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return cast("bytes", key)


def signatures() -> jwt.PyJWS:
    """What looks at signatures, with the `key` of a `TokenKey`."""
    jws = jwt.PyJWS()
    for name, digest in (
        ("HS256", HMACAlgorithm.SHA256),
        ("HS384", HMACAlgorithm.SHA384),
        ("HS512", HMACAlgorithm.SHA512),
    ):
        jws.unregister_algorithm(name)
        jws.register_algorithm(name, _WithTokenKey(digest))
    return jws


def need_cryptography(algorithm: str) -> None:
    """May this algorithm be used here?

    Raises:
        ModuleNotFoundError: names what to install.
    """
    if algorithm not in _SECRET_BYTES and not algorithms.has_crypto:
        raise ModuleNotFoundError(
            f'{algorithm} needs the package cryptography: pip install "im-proto[jwks]"',
            name="cryptography",
        )


class Keys:
    """Keys by their `kid`, and the one for tokens that name none.

    Args:
        by_kid: those with a name.
        default: for tokens without `kid`; None: they are refused.
    """

    def __init__(self, by_kid: Mapping[str, TokenKey], default: TokenKey | None = None) -> None:
        self._by_kid = dict(by_kid)
        self._default = default

    def find(self, kid: str | None) -> TokenKey | None:
        """The key for a token with this `kid` (None: with none). It is never tried with another."""
        return self._default if kid is None else self._by_kid.get(kid)


class KeyFile:
    """The keys of a file, as it is now.

    A file that can't be read any more, or makes no sense, changes nothing: the keys of before stay,
    and the log says so once.

    Args:
        path: of a JWK Set.

    Raises:
        OSError: the file can't be read.
        ValueError: it holds no key that can be used; says why.
        ModuleNotFoundError: its keys need the package `cryptography`.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._seen = self._look()
        self._keys = self._read()

    def find(self, kid: str | None) -> TokenKey | None:
        """See `Keys.find`."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._keys = self._read()
            except (OSError, ValueError, ModuleNotFoundError) as error:
                logger.error("tokens are checked with the keys of before: %s", error)
        return self._keys.find(kid)

    def _look(self) -> tuple[int, int, int] | None:
        """What changes with the file. Looked at before the file is read: a change in between shows
        at the next look."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> Keys:
        with self._path.open("rb") as file:
            text = file.read(_FILE_BYTES + 1)
        try:
            if len(text) > _FILE_BYTES:
                raise ValueError("it is larger than 1 MiB")
            return read_jwks(text.decode())
        except RecursionError:
            raise ValueError(f"{self._path}: it is no JWK Set") from None
        except ValueError as error:
            # of a decoder the text would quote the file
            why = "it is no JSON" if type(error) is not ValueError else error
            raise ValueError(f"{self._path}: {why}") from None


def read_jwks(text: str) -> Keys:
    """Read a JWK Set (RFC 7517). What is not for signatures or not understood is passed over, as
    section 5 has it, and told to the log.

    A key's `alg` may be left out where its type has only one. Tokens without `kid` are checked with
    the key that has none, or with the only one.

    Raises:
        ValueError: it is no JWK Set, two keys have one `kid`, or none can be used; holds nothing of
            the keys.
        ModuleNotFoundError: a key needs the package `cryptography`.
    """
    found = json.loads(text)
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError('it is no JWK Set: {"keys": […]}')
    keys: dict[str | None, TokenKey] = {}
    passed: list[str] = []
    for number, jwk in enumerate(listed, 1):
        if not _signs(jwk):
            continue
        kid = jwk.get("kid")
        try:
            if not isinstance(kid, str | None):
                raise ValueError("its kid is no text")
            key = _a_key(jwk)
        except ValueError as error:
            passed.append(f"key {number} can't be used: {error}")
            continue
        if kid in keys:
            raise ValueError(f"two keys have the kid {kid and printable(kid)!r}")
        keys[kid] = key
    if not keys:
        raise ValueError("; ".join(passed[:3]) or "it has no key for signatures")
    for reason in passed:
        logger.warning("%s", reason)
    only = next(iter(keys.values())) if len(keys) == 1 else None
    named = {kid: key for kid, key in keys.items() if kid is not None}
    return Keys(named, keys.get(None, only))


def _signs(jwk: object) -> bool:
    """Is it for signatures, as far as it says (RFC 7517 sections 4.2 and 4.3)?"""
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return False
    operations = jwk.get("key_ops")
    return not isinstance(operations, Iterable) or "verify" in operations


def _a_key(jwk: Mapping[str, Any]) -> TokenKey:
    curve = jwk.get("crv")
    may_be = _FOR.get((str(jwk.get("kty")), None if curve is None else str(curve)))
    if may_be is None:
        raise ValueError("its kty and crv are none that is known here")
    algorithm = jwk.get("alg", may_be[0] if len(may_be) == 1 else None)
    if algorithm is None:
        raise ValueError(f'it has no "alg", which may be {", ".join(may_be)}')
    if algorithm not in may_be:
        raise ValueError(f"its alg is none of {', '.join(may_be)}")
    need_cryptography(algorithm)
    try:
        key = jwt.PyJWK(dict(jwk), algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        raise ValueError("it is not whole") from None  # not their text: it quotes the key
    return TokenKey(algorithm, key)
