"""`ServerSettings`: all that `im serve` is told, by flags, the environment, a file, or not at all.

A flag beats the environment (IM_…), that beats the file (TOML), that beats the default. Whoever
starts the server in a program gives `ServerConfig` to `IMServer` instead.
"""

from __future__ import annotations

import difflib
import functools
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from im_proto.config import ServerConfig
from im_proto.errors import printable

from .database import Durability

__all__ = [
    "LOOPBACK_HOSTS",
    "PREFIX",
    "Credential",
    "Loaded",
    "ServerSettings",
    "SettingsError",
    "Source",
    "load",
    "read_secret",
]

PREFIX: Final = "IM_"
#: Where a value comes from, the strongest first.
Source = Literal["flag", "environment", "file", "default"]
#: Of these one says who checks tokens.
_CREDENTIALS: Final = ("dev", "secret", "secret_file", "jwks")
#: May stand in no file that is copied, kept in a repository, or shown to others.
_SECRETS: Final = ("secret", "tls_key_password")
_LISTS: Final = ("origins", "hosts", "trusted_proxies")
#: Variables of clients and of the command line, which look like ours and are none.
_OF_OTHERS: Final = frozenset(
    {"IM_URL", "IM_TOKEN", "IM_PROXY", "IM_LOG", "IM_LOG_CONTENT", "IM_CONFIG"}
)
#: The names of this machine, for `hosts` with --dev: a page of another site, whose name was made
#: to lead here, still sends its own name.
LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
_MAX_SECRET: Final = 65_536
#: A variable so much like one of ours is a slip of the pen.
_SLIP: Final = 0.85


class SettingsError(Exception):
    """A setting is wrong. Says which, and where it stands; `hint` says what to do."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class ServerSettings(ServerConfig, BaseSettings):
    """What `im serve` is told, beside `ServerConfig`. Made by `load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, enable_decoding=False
    )

    #: the address to listen on
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    #: 0 takes a free one
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    #: sqlite:///PATH; a server has it for itself
    database: str = "sqlite:///im.db"
    #: what an acknowledged message survives: "power" a power cut, "process" a killed process
    durability: Durability = "power"
    #: what tokens are signed with (HS256), at least 32 bytes; not in a file of settings
    secret: SecretStr | None = None
    #: a file that holds it, and nothing else
    secret_file: Path | None = None
    #: a file with the public keys (JSON Web Key Set, RFC 7517) of whoever signs the tokens
    jwks: Path | None = None
    #: whom a token must be for (its claim `aud`); None: one that names somebody is refused
    audience: str | None = None
    #: who must have made a token (its claim `iss`); None: anybody with the key
    issuer: str | None = None
    #: take dev:USER for a token; on this machine only
    dev: bool = False
    #: show the chat's page at /
    page: bool = True
    #: a PEM file with the server's certificate and those between it and the root
    tls_certificate: Path | None = None
    #: a PEM file with its key; None: it is in the file of the certificate
    tls_key: Path | None = None
    #: of the key, if it is encrypted; not in a file of settings
    tls_key_password: SecretStr | None = None
    #: a file that holds it, and nothing else
    tls_key_password_file: Path | None = None
    #: what is logged to standard error, and what is worse
    log_level: Literal["debug", "info", "warning", "error"] = "warning"

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: object, info: ValidationInfo) -> object:
        """Text from a flag, a variable or a file: "none" is None, lists have commas."""
        if not isinstance(value, str):
            return value
        if value.strip().lower() == "none":
            return None
        if info.field_name in _LISTS:
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, the environment, the file; no .env file, which nobody would look for here."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Who checks tokens: `kind` is "dev", "secret" or "jwks", `value` the secret or the path."""

    kind: Literal["dev", "secret", "jwks"]
    value: str = field(repr=False)
    setting: str


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Settings, and where each comes from. `where` says it in words."""

    settings: ServerSettings
    sources: Mapping[str, Source]
    file: Path | None
    set_by: frozenset[str] = frozenset()

    def where(self, name: str) -> str:
        """How whoever gave this setting calls it: "--port", "IM_PORT", "port in im.toml"."""
        return _where(name, self.sources[name], self.file, self.set_by)

    def config(self) -> ServerConfig:
        """What the engine is told; with --dev and without `hosts` only by names of this machine."""
        given = {name: getattr(self.settings, name) for name in ServerConfig.model_fields}
        config = ServerConfig(**given)
        if self._credentials() != ["dev"] or self.sources["hosts"] != "default":
            return config
        host = self.settings.host.lower()
        host = f"[{host}]" if ":" in host else host
        return ServerConfig(**given | {"hosts": tuple(dict.fromkeys((*LOOPBACK_HOSTS, host)))})

    @functools.cached_property  # what comes through a pipe can be read once
    def credential(self) -> Credential | None:
        """Who checks tokens; None: nothing says it.

        Raises:
            SettingsError: two say it in one place, or the file of the secret can't be read.
        """
        given = self._credentials()
        if len(given) > 1:
            names = " and ".join(self.where(name) for name in given)
            raise SettingsError(f"{names}: each says who checks tokens", "give one of them")
        if not given:
            return None
        (name,) = given
        settings = self.settings
        if name == "dev":
            return Credential(kind="dev", value="", setting=name)
        if name == "jwks":
            return Credential(kind="jwks", value=str(settings.jwks), setting=name)
        if settings.secret_file is not None and name == "secret_file":
            secret = read_secret(settings.secret_file, self.where(name))
            return Credential(kind="secret", value=secret, setting=name)
        assert settings.secret is not None
        return Credential(kind="secret", value=settings.secret.get_secret_value(), setting=name)

    def _credentials(self) -> list[str]:
        """The settings that say who checks tokens, at the strongest place where one does."""
        for source in ("flag", "environment", "file"):
            given = [
                name
                for name in _CREDENTIALS
                if self.sources[name] == source and getattr(self.settings, name)
            ]
            if given:
                return given
        return []

    @functools.cached_property
    def tls_key_password(self) -> str | None:
        """Of the key.

        Raises:
            SettingsError: its file can't be read.
        """
        settings = self.settings
        if settings.tls_key_password is not None:
            return settings.tls_key_password.get_secret_value()
        if settings.tls_key_password_file is None:
            return None
        return read_secret(settings.tls_key_password_file, self.where("tls_key_password_file"))


def load(flags: Mapping[str, object], file: Path | None = None, sets: Iterable[str] = ()) -> Loaded:
    """Put together what is told in all places.

    Args:
        flags: settings by name; one that is None was not given.
        file: TOML with settings at its top; None: `IM_CONFIG`, or none.
        sets: `NAME=VALUE`, the settings that have no flag of their own.

    Raises:
        SettingsError: one is wrong, or not known, or the file can't be read.
    """
    if file is None and os.environ.get(f"{PREFIX}CONFIG"):
        file = Path(os.environ[f"{PREFIX}CONFIG"])
    told: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    pairs = _pairs(sets)
    told |= pairs
    _check_environment()
    in_file = _read(file) if file is not None else {}

    class Told(ServerSettings):
        model_config = SettingsConfigDict(toml_file=file)

    in_environment = EnvSettingsSource(Told)()
    sources: dict[str, Source] = {
        name: "flag"
        if name in told
        else "environment"
        if name in in_environment
        else "file"
        if name in in_file
        else "default"
        for name in ServerSettings.model_fields
    }
    try:
        settings = Told(**told)
    except ValidationError as error:
        words = [
            f"{_where(name, sources[name], file, pairs.keys())}: {_message(found)}"
            for found in error.errors(include_url=False)
            for name in [str(found["loc"][0])]
        ]
        hint = "im serve --limits lists names and defaults; im serve --help has the rest"
        values = (os.environ.get(f"{PREFIX}PORT", ""), os.environ.get(f"{PREFIX}HOST", ""))
        if any(value.startswith("tcp://") for value in values):
            hint = "Kubernetes sets IM_PORT for a service named im: enableServiceLinks: false"
        raise SettingsError("; ".join(words[:5]), hint) from None
    return Loaded(settings=settings, sources=sources, file=file, set_by=frozenset(pairs))


def read_secret(path: Path, where: str) -> str:
    """What a file holds, without the end of its line.

    Raises:
        SettingsError: it can't be read, is empty, or no secret of a sane length.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_SECRET + 1)
        text = raw.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingsError(f"{where}: {path} can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{where}: {path} is no text in UTF-8") from None
    if not text or len(raw) > _MAX_SECRET:
        what = "holds nothing" if not text else "is too large for a secret"
        raise SettingsError(f"{where}: {path} {what}", f"openssl rand -hex 32 > {path}")
    return text


def _pairs(sets: Iterable[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in sets:
        name, equals, value = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise SettingsError(
                f"--set {printable(name)}: no value", "--set messages_per_second=200"
            )
        _check_name(name, f"--set {printable(name, 64)}")
        if name in _SECRETS:
            raise SettingsError(
                f"--set {name}: `ps` would show it to everybody on this machine",
                f"IM_{name.upper()}, or --{name.replace('_', '-')}-file",
            )
        found[name] = value
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            found = tomllib.load(opened)
    except OSError as error:
        raise SettingsError(f"{file} can't be read ({error.strerror})", "--config FILE") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{file} is no TOML: {printable(str(error))}", "write lines such as: port = 8080"
        ) from None
    for name, value in found.items():
        if isinstance(value, dict):
            where = f"{printable(name, 64)!r} in {file}"
            raise SettingsError(f"{where} is a table", "all settings stand at the top")
        _check_name(name, f"{printable(name, 64)!r} in {file}")
        if name in _SECRETS:
            # such files are copied, kept in repositories, and shown with a question about them
            raise SettingsError(
                f"{name} does not belong into {file}, which others get to see",
                f'put it into a file of its own: {name}_file = "/run/secrets/im", or IM_'
                f"{name.upper()}",
            )
    return found


def _check_name(name: str, where: str) -> None:
    if name in ServerSettings.model_fields:
        return
    near = difflib.get_close_matches(name, ServerSettings.model_fields, 1, 0.6)
    raise SettingsError(
        f"{where}: there is no such setting" + (f"; {near[0]} is one" if near else ""),
        "im serve --limits lists the names; im serve --help has the rest",
    )


def _check_environment() -> None:
    """A variable that is nearly one of ours is an error: it would be passed over in silence."""
    ours = {f"{PREFIX}{name.upper()}" for name in ServerSettings.model_fields}
    for variable in sorted(os.environ):
        upper = variable.upper()
        if not upper.startswith(PREFIX) or upper in ours or upper in _OF_OTHERS:
            continue
        near = difflib.get_close_matches(upper, ours, 1, _SLIP)
        if near:
            raise SettingsError(
                f"{printable(variable)} in the environment is no setting; {near[0]} is one",
                "rename it, or unset it",
            )


def _where(name: str, source: Source, file: Path | None, set_by: Iterable[str]) -> str:
    if source == "flag":
        flag = "origin" if name == "origins" else name.replace("_", "-")
        return f"--set {name}" if name in set_by else f"--{flag}"
    if source == "environment":
        return f"{PREFIX}{name.upper()}"
    return f"{name} in {file}" if source == "file" else f"{name} (default)"


def _message(found: Any) -> str:
    return printable(str(found["msg"]).removeprefix("Value error, "), 300)
