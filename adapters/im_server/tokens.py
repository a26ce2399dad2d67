"""Who is it? Tokens and the interface behind which they are checked."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, Self

import jwt
from jwt.utils import base64url_decode

from im_proto.wire import UserId, codes, user_id
from im_proto.wire.types import MAX_TOKEN

from .keys import KeyFile, Keys, TokenKey, signatures

ALGORITHM: Final = "HS256"
#: Seconds by which the clocks of who signs and who checks may differ: far above what NTP leaves and
#: below the shortest life that is worth giving a token.
LEEWAY: Final = 10.0
#: What `im serve --dev` takes for a token: this and a user id, no secret.
DEV_PREFIX = "dev:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a token belongs to.

    Attributes:
        user: the user's id.
        username: the name that the client is told; None: the id.
        roles: `broadcast` may write to everybody who is online, `admin` may use `im admin`.
        expires_in: seconds until the token is no longer good; None for never.
        issued_at: when the token was made, in milliseconds since 1970. None: it doesn't say, and
            `IMServer.revoke` means every such token, of today and later.
        show_last_seen: others may learn when this user was here last.
    """

    user: UserId
    username: str | None = None
    roles: frozenset[str] = frozenset()
    expires_in: float | None = None
    issued_at: int | None = None
    show_last_seen: bool = True


class TokenRefusedError(Exception):
    """A token is not good.

    Attributes:
        code: of protocol.md section 1, what AUTH_RESPONSE says.
        reason: for the user; holds nothing of the token.
    """

    def __init__(self, reason: str, code: int = codes.TOKEN_INVALID) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Authenticator(Protocol):
    """Checks tokens. Give your own to `IMServer` to use your site's.

    A method that is not async is called in a thread, where it may block, unless the object says
    `quick = True`: it computes and waits for nothing.
    """

    def authenticate(self, token: str) -> Identity | Awaitable[Identity]:
        """Say whose token it is.

        Raises:
            TokenRefusedError: it is not good.
        """


#: What `IMServer(authenticate=…)` takes: one of those, or a function. A function that is not async
#: is called in a thread, where it may block.
Authenticate = Authenticator | Callable[[str], Identity | Awaitable[Identity]]


class JWTAuthenticator:
    """JSON Web Tokens (RFC 7519), signed with a shared secret or with somebody's private key.

    The claim `sub` is the user id. Optional are `name`, the user's name; `roles`, a list of texts;
    `exp`, `nbf` and `iat`, numbers. `iat` may have a fraction, and a token without it can't be told
    from those that `IMServer.revoke` means. A token names its key by `kid`; nothing else in its
    header counts, the algorithm is the key's.

    Args:
        secret: for tokens without `kid`: HS256, 32 bytes or more.
        keys: for tokens with `kid`, by that; a text is a secret for HS256. Give the new and the
            old key while tokens of both are about.
        leeway: seconds by which the clocks of who signs and who checks may differ: a token is good
            for so much longer, and so much earlier.
        audience: `aud` must name this. None: a token that is for somebody in particular is not for
            us (RFC 7519, section 4.1.3).
        issuer: `iss` must be this; None: anything.

    Raises:
        ValueError: there is no key, or a key is too short or of the wrong kind.
        ModuleNotFoundError: the algorithm needs `pip install "im-proto[jwks]"`.
    """

    quick: ClassVar = True

    def __init__(
        self,
        secret: str | None = None,
        *,
        keys: Mapping[str, TokenKey | str] | KeyFile | None = None,
        leeway: float = LEEWAY,
        audience: str | None = None,
        issuer: str | None = None,
    ) -> None:
        self._keys: Keys | KeyFile
        if isinstance(keys, KeyFile):
            if secret is not None:
                raise ValueError("a secret beside a file of keys: put it into the file")
            self._keys = keys
        else:
            if secret is None and not keys:
                raise ValueError("there is no key to check tokens with")
            named = {
                kid: TokenKey(ALGORITHM, key) if isinstance(key, str) else key
                for kid, key in (keys or {}).items()
            }
            self._keys = Keys(named, None if secret is None else TokenKey(ALGORITHM, secret))
        self._leeway = leeway
        self._audience = audience
        self._issuer = issuer
        self._jws = signatures()

    @classmethod
    def from_jwks(
        cls,
        path: str | Path,
        *,
        leeway: float = LEEWAY,
        audience: str | None = None,
        issuer: str | None = None,
    ) -> Self:
        """With the keys of a file, a JWK Set (RFC 7517), which is read again when it changes.

        A new file that makes no sense changes nothing; the log says so.

        Raises:
            OSError: the file can't be read.
            ValueError: it holds no key that can be used; says why.
            ModuleNotFoundError: its keys need `pip install "im-proto[jwks]"`.
        """
        return cls(keys=KeyFile(path), leeway=leeway, audience=audience, issuer=issuer)

    def authenticate(self, token: str) -> Identity:
        """See `Authenticator`."""
        claims = _Claims(self._verified(token))
        now = time.time()
        expires, begins = claims.time("exp"), claims.time("nbf")
        issued = claims.time("iat")
        if expires is not None and expires + self._leeway <= now:
            raise TokenRefusedError("the token has expired")
        if max(begins or 0.0, issued or 0.0) - self._leeway > now:
            raise TokenRefusedError("the token is not valid yet")
        if self._audience not in claims.audience():
            raise TokenRefusedError("the token is for another server")
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise TokenRefusedError("the token is of another issuer")
        name, roles = claims.get("name"), claims.get("roles")
        return Identity(
            user=claims.user(),
            username=name if isinstance(name, str) else None,
            roles=frozenset(r for r in roles if isinstance(r, str))
            if isinstance(roles, list)
            else frozenset(),
            expires_in=None if expires is None else expires + self._leeway - now,
            issued_at=None if issued is None else math.floor(issued * 1000),
        )

    def _verified(self, token: str) -> bytes:
        """What a good signature is over."""
        # before anything looks into it, and as bytes, which nothing behind here can choke on
        if len(token) > MAX_TOKEN or not token.isascii():
            raise _bad()
        key = self._keys.find(_kid(token.partition(".")[0]))
        if key is None:
            raise TokenRefusedError("the token is signed with a key that is not known here")
        try:
            found = self._jws.decode_complete(token, key.key, algorithms=[key.algorithm])
        except jwt.PyJWTError:
            raise _bad() from None
        payload: bytes = found["payload"]
        return payload


class _Claims:
    """What a token says, once its signature is good."""

    def __init__(self, payload: bytes) -> None:
        try:
            claims = _read(payload.decode())
        except (ValueError, RecursionError):
            raise _bad() from None
        if not isinstance(claims, dict):
            raise _bad()
        self._claims: dict[str, Any] = claims

    def get(self, name: str) -> Any:
        """One of them; None if it isn't there."""
        return self._claims.get(name)

    def user(self) -> UserId:
        """Of whom it is."""
        subject = self._claims.get("sub")
        try:
            if isinstance(subject, str):
                return user_id(subject)
        except ValueError:
            pass
        raise TokenRefusedError("the token names no user") from None

    def time(self, name: str) -> float | None:
        """A time in seconds since 1970. One that is no such number makes the token bad: who reads
        it otherwise may read another time."""
        if name not in self._claims:
            return None
        given = self._claims[name]
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise _bad()
        if not 0 <= given <= _LATEST:
            raise _bad()
        return float(given)

    def audience(self) -> list[Any]:
        """For whom it is; [None] for anybody."""
        given = self._claims.get("aud")
        return given if isinstance(given, list) else [given]


#: No time is later, in seconds since 1970: in the year 9999.
_LATEST: Final = 253_402_300_799


def _kid(head: str) -> str | None:
    """The key that a token's head names. PyJWT's own `get_unverified_header` decodes all of the
    token, which it does once more when it looks at the signature, and then judges the header as
    well."""
    try:
        kid = json.loads(base64url_decode(head)).get("kid")
    except (ValueError, AttributeError, RecursionError):
        raise _bad() from None
    if not isinstance(kid, str | None):
        raise _bad()
    return kid


def _bad() -> TokenRefusedError:
    return TokenRefusedError("the token is not valid")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two claims with one name another reader may take the other (RFC 7519, section 4)."""
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _no_number(_: str) -> float:
    raise ValueError("NaN and Infinity are no JSON")


#: Made once: `json.loads` makes a decoder for each call, unless it is told nothing.
_read: Final = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_number).decode


class DevAuthenticator:
    """Takes `dev:USER` for a token of that user: for trying things out on one machine.

    Whoever can be anybody is an `admin` too.
    """

    quick: ClassVar = True

    def authenticate(self, token: str) -> Identity:
        """See `Authenticator`."""
        if not token.startswith(DEV_PREFIX):
            raise TokenRefusedError(f"a server with --dev takes '{DEV_PREFIX}USER' for a token")
        try:
            user = user_id(token.removeprefix(DEV_PREFIX))
        except ValueError as error:
            raise TokenRefusedError(str(error)) from None
        return Identity(user=user, roles=frozenset({"admin"}))


def make_token(
    user: UserId,
    secret: str,
    *,
    expires_in: float | None = 86_400.0,
    roles: Iterable[str] = (),
    name: str | None = None,
    kid: str | None = None,
) -> str:
    """Sign a token that `JWTAuthenticator(secret)` takes.

    Args:
        user: whose it is.
        secret: what it is signed with, 32 bytes or more.
        expires_in: seconds until it is no longer good; None for never.
        roles: see `Identity`.
        name: the user's name.
        kid: of `JWTAuthenticator(keys=…)`, which key this is.

    Raises:
        ValueError: the secret has fewer than 32 bytes, or `user` is no user id.
    """
    key = TokenKey(ALGORITHM, secret)
    now = time.time()
    # to the millisecond, so that a token is told from one that was revoked in the same second
    claims: dict[str, object] = {"sub": str(user_id(user)), "iat": math.floor(now * 1000) / 1000}
    if expires_in is not None:
        claims["exp"] = int(now + expires_in)
    if roles:
        claims["roles"] = sorted(roles)
    if name is not None:
        claims["name"] = name
    return jwt.encode(
        claims, key.key, algorithm=ALGORITHM, headers={"kid": kid} if kid is not None else None
    )
