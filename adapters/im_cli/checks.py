"""What can be known of a server before it serves: `im serve --check`, and the start of `im serve`,
which takes those that cost nothing and refuses in the same words."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sqlite3
import ssl
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from im_proto.errors import printable
from im_runtime import FileLock, LockHeldError
from im_server import DevAuthenticator, JWTAuthenticator
from im_server.app import listen
from im_server.database import path_of
from im_server.failures import StoreError, short
from im_server.settings import Loaded, ServerSettings, SettingsError
from im_server.tables import SCHEMA_VERSION
from im_server.tls import server_context

from .certificate import SOON, read_certificate

__all__ = [
    "Authenticator",
    "Found",
    "authenticator",
    "checks",
    "files_needed",
    "place",
    "quick_checks",
]

Authenticator = DevAuthenticator | JWTAuthenticator
#: Files of a server beside its connections: the database, the log, webhooks, its listener.
_OTHER_FILES: Final = 64
#: A random secret in any usual form has more different characters.
_FEW_CHARACTERS: Final = 8
_MAKE: Final = "openssl rand -hex 32 > im.secret && chmod 600 im.secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check has found; with "error" the server doesn't start."""

    what: str
    level: Literal["ok", "warning", "error"]
    said: str
    advice: str = ""


def checks(loaded: Loaded) -> Iterator[Found]:
    """All of them. The database is neither made nor brought up to date."""
    yield from quick_checks(loaded)
    used = False
    for found in _database(loaded.settings.database):
        used = used or "in use" in found.said
        yield found
    yield _port(loaded.settings, used)


def quick_checks(loaded: Loaded) -> Iterator[Found]:
    """Those that touch neither the database nor the network."""
    yield from _credential(loaded)
    yield from _tls(loaded)
    yield from _web(loaded.settings)
    yield from _files(loaded.settings)


# ---------------------------------------------------------------- who checks tokens


def authenticator(loaded: Loaded) -> Authenticator:
    """Who checks tokens.

    Raises:
        SettingsError: nobody, or the secret or the keys are not good.
    """
    credential = loaded.credential
    if credential is None:
        raise SettingsError(
            "the server needs a secret to check tokens with",
            f"{_MAKE}, then im serve --secret-file im.secret; or to try things out: im serve --dev",
        )
    host = loaded.settings.host
    where = loaded.where(credential.setting)
    if credential.kind == "dev":
        if not loopback(host):
            raise SettingsError(
                f"--dev lets anybody be anybody, so it listens on this machine only, not on {host}",
                "use --secret-file, or --host 127.0.0.1",
            )
        return DevAuthenticator()
    audience, issuer = loaded.settings.audience, loaded.settings.issuer
    try:
        if credential.kind == "jwks":
            path = Path(credential.value)
            return JWTAuthenticator.from_jwks(path, audience=audience, issuer=issuer)
        return JWTAuthenticator(credential.value, audience=audience, issuer=issuer)
    except (ValueError, ImportError) as error:
        hint = _MAKE if credential.kind == "secret" else "a JSON Web Key Set of public keys"
        raise SettingsError(f"{where}: {printable(str(error))}", hint) from None


def loopback(host: str) -> bool:
    """Is it an address of this machine, for this machine?"""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _credential(loaded: Loaded) -> Iterator[Found]:
    try:
        authenticator(loaded)
        credential = loaded.credential
    except SettingsError as error:
        yield Found(what="tokens", level="error", said=str(error), advice=error.hint)
        return
    assert credential is not None
    where = loaded.where(credential.setting)
    if credential.kind == "dev":
        yield Found(
            what="tokens",
            level="warning",
            said="--dev: anybody on this machine can be anybody, administrators too",
        )
        return
    if credential.kind == "secret" and len(set(credential.value)) < _FEW_CHARACTERS:
        yield Found(
            what="tokens",
            level="warning",
            said=f"{where}: has few different characters and may be guessed",
            advice=_MAKE,
        )
    if where == "--secret":
        yield Found(
            what="tokens",
            level="warning",
            said="--secret stands in the list of processes, for everybody on this machine",
            advice="IM_SECRET, or --secret-file",
        )
    if credential.setting == "secret_file":
        yield from _private(loaded.settings.secret_file, where, "tokens")
    yield Found(what="tokens", level="ok", said=f"checked with what {where} gives")


def _private(path: Path | None, where: str, what: str) -> Iterator[Found]:
    """A file with a secret that others can read is warned of: the mounts of containers often are
    so, and a refusal would help nobody there."""
    if path is None or sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield Found(
                what=what,
                level="warning",
                said=f"{where}: others on this machine may read {path} (mode {mode:04o})",
                advice=f"chmod 600 {path}",
            )


# ---------------------------------------------------------------- TLS


def _tls(loaded: Loaded) -> Iterator[Found]:
    settings = loaded.settings
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None:
        alone = ("tls_key", "tls_key_password", "tls_key_password_file")
        given = [name for name in alone if getattr(settings, name) is not None]
        if given:
            what = "a key" if given[0] == "tls_key" else "the password of a key"
            yield Found(
                what="TLS",
                level="error",
                said=f"{loaded.where(given[0])}: {what} without a certificate",
                advice="--tls-certificate FILE",
            )
        elif not loopback(settings.host) and not settings.trusted_proxies:
            yield Found(
                what="TLS",
                level="warning",
                said=f"tokens and messages reach {settings.host} in clear text, unless a proxy in "
                "front has TLS",
                advice="--tls-certificate and --tls-key; or name that proxy: "
                "--set trusted_proxies=ADDRESS",
            )
        return
    where = loaded.where("tls_certificate")
    try:
        server_context(certificate, key, loaded.tls_key_password)
        found = read_certificate(ssl.PEM_cert_to_DER_cert(_first(certificate)))
    except SettingsError as error:
        yield Found(what="TLS", level="error", said=str(error), advice=error.hint)
        return
    except OSError as error:
        said = f"{error.filename or certificate} can't be read ({error.strerror})"
        yield Found(what="TLS", level="error", said=said, advice=_PEM)
        return
    except ValueError as error:
        yield Found(what="TLS", level="error", said=printable(str(error)), advice=_PEM)
        return
    yield from _private(
        key or certificate, loaded.where("tls_key" if key else "tls_certificate"), "TLS"
    )
    days = found.days_left(time.time())
    until = f"{found.ends:%Y-%m-%d}"
    level: Literal["ok", "warning", "error"] = "ok"
    advice, said = "", f"{where}: for {', '.join(found.names) or 'no name'}, until {until}"
    if days <= 0:
        level, said, advice = "error", f"{where}: has ended on {until}", "renew the certificate"
    elif found.begins.timestamp() > time.time():
        said = f"{where}: is not good before {found.begins:%Y-%m-%d %H:%M} UTC"
        level, advice = "warning", "is the clock of this machine right?"
    elif days < SOON:
        said, advice = f"{where}: ends in {days:.0f} days", "renew it"
        level = "warning"
    elif not found.names:
        level, advice = "warning", "clients look for the server's name in it (subjectAltName)"
    elif found.own:
        said = f"{where}: nobody vouches for it but itself"
        level, advice = "warning", "clients must be told to trust it"
    yield Found(what="TLS", level=level, said=said, advice=advice)


_PEM: Final = (
    "--tls-certificate is a PEM file with the server's certificate and those that lead to the "
    "root, --tls-key one with its key"
)


def _first(path: Path) -> str:
    """The server's own of the certificates in a file."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    body = path.read_text("ascii", "replace").partition(begin)[2].partition(end)[0]
    return begin + body + end


# ---------------------------------------------------------------- who may connect


def _web(settings: ServerSettings) -> Iterator[Found]:
    if "*" in settings.origins:
        yield Found(
            what="origins",
            level="warning",
            said="pages of any site may connect",
            advice="name the sites: --origin https://shop.example",
        )
    for proxy in settings.trusted_proxies:
        if ipaddress.ip_network(proxy).prefixlen == 0:
            yield Found(
                what="proxies",
                level="warning",
                said=f"{proxy} is every address: anybody may say to be any address",
                advice="name the proxy: --set trusted_proxies=10.0.0.2",
            )


# ---------------------------------------------------------------- what the machine gives


def files_needed(settings: ServerSettings) -> int:
    """Open files, when all connections are taken."""
    return settings.connections + _OTHER_FILES


def _files(settings: ServerSettings) -> Iterator[Found]:
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = files_needed(settings)
    if most != resource.RLIM_INFINITY and most < needed:
        yield Found(
            what="open files",
            level="warning",
            said=f"connections is {settings.connections}, which takes {needed} open files; this "
            f"process may have {most}",
            advice=f"ulimit -Hn {needed}, LimitNOFILE={needed} of systemd, or "
            f"--set connections={max(1, most - _OTHER_FILES)}",
        )
    else:
        yield Found(what="open files", level="ok", said=f"{needed} are possible")


def place(settings: ServerSettings) -> str:
    """Where it listens, in words."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def _port(settings: ServerSettings, database_used: bool) -> Found:
    where = place(settings)
    try:
        listen(settings.host, settings.port).close()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        return Found(
            what="address",
            # the server that runs now has both: so it is before each restart
            level="warning" if database_used else "error",
            said=f"can't listen on {where}: {why}",
            advice="choose another --host or --port",
        )
    return Found(what="address", level="ok", said=f"{where} is free")


def _database(url: str) -> Iterator[Found]:
    try:
        name, path = path_of(url)
        said = _database_file(name, path)
    except StoreError as error:
        yield Found(what="database", level="error", said=str(error))
        return
    lock = Path(f"{path}.lock")
    if lock.exists():
        try:
            held = FileLock(lock)
            held.acquire()
            held.release()
        except LockHeldError as error:
            yield Found(
                what="database",
                level="warning",
                said=f"database {name} is in use by another server ({error.holder})",
                advice="that one must end before this one starts",
            )
            return
        except OSError as error:
            yield Found(
                what="database",
                level="error",
                said=f"database {name} can't be written ({error.strerror})",
                advice="give this user write permission for the file and its directory",
            )
            return
    yield Found(what="database", level="ok", said=f"database {name} {said}")


def _database_file(name: str, path: Path) -> str:
    """What is there, in words.

    Raises:
        StoreError: it can't be used.
    """
    if not path.parent.is_dir():
        raise StoreError(
            f"the directory of database {name} doesn't exist: create it, or choose another path"
        )
    if path.is_dir():
        raise StoreError(f"database {name} is a directory: name a file in it")
    places = [path.parent, path] if path.exists() else [path.parent]
    if not all(os.access(place, os.W_OK) for place in places):
        raise StoreError(
            f"database {name} can't be written: give this user write permission for the file and "
            "its directory, or choose another path"
        )
    if not path.exists():
        return "will be made"
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
            connection.execute("PRAGMA query_only = ON")
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if not tables:
                return "is empty, and its tables will be made"
            known = (
                dict(connection.execute("SELECT key, value FROM meta")) if "meta" in tables else {}
            )
    except sqlite3.Error as error:
        raise StoreError(f"database {name} can't be read ({short(error)})") from None
    version = str(known.get("schema_version", ""))
    if known.get("application") != "im-proto" or not version.isdecimal():
        raise StoreError(
            f"database {name} holds the tables of another program: choose another path"
        )
    if int(version) > SCHEMA_VERSION:
        raise StoreError(
            f"database {name} was made by a newer im-proto (its schema is version {version}, this "
            f"one knows {SCHEMA_VERSION}): upgrade im-proto, or choose another path"
        )
    if int(version) < SCHEMA_VERSION:
        return f"will be brought from schema version {version} to {SCHEMA_VERSION}: copy it before"
    return f"is there, schema version {version}"
