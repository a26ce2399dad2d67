"""`im serve`: the settings, a look at them, and the server."""

from __future__ import annotations

import gc
import json as jsons
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from rich.console import Console
from rich.table import Table

from .common import errors, fail
from .safe_log import start_logging

if TYPE_CHECKING:
    from im_server.settings import Loaded

    from .checks import Found

_WHO: Final = "Who checks tokens (one of them)"
_TLS: Final = "TLS"
_MORE: Final = "All other settings"
_LOOK: Final = "Look, and don't serve"
_MARKS: Final = {"ok": "✓", "warning": "!", "error": "✗"}
_STYLES: Final = {"ok": "green", "warning": "yellow", "error": "red"}


def serve(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. \\[127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="0 takes a free one. \\[8080]", min=0, max=65_535)
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="sqlite:///PATH; a server has it for itself. \\[sqlite:///im.db]"),
    ] = None,
    durability: Annotated[
        Literal["power", "process"] | None,
        typer.Option(
            help="What an acknowledged message survives: 'power', a power cut; 'process', a "
            "killed process (the last moments may be lost at a power cut). \\[power]"
        ),
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the secret that tokens are signed with, at least 32 bytes, and "
            "nothing else.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            help="The secret itself. Others on this machine see it here: better in IM_SECRET.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    jwks: Annotated[
        Path | None,
        typer.Option(
            help="A file with the public keys (JSON Web Key Set) of whoever signs the tokens.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    dev: Annotated[
        bool,
        typer.Option(
            "--dev",
            help="Take dev:USER for a token. On this machine only, and under its own names only.",
            rich_help_panel=_WHO,
        ),
    ] = False,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            help="PEM: the server's certificate, and those between it and the root.",
            rich_help_panel=_TLS,
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="PEM: its key.", rich_help_panel=_TLS)
    ] = None,
    page: Annotated[
        bool | None,
        typer.Option(
            "--page/--no-page",
            help="Show the chat's page at /. \\[--page]",
            rich_help_panel=_MORE,
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Pages of this other site may connect: https://shop.example. May be given again.",
            rich_help_panel=_MORE,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML: lines such as messages_per_second = 200. Or IM_CONFIG.",
            rich_help_panel=_MORE,
        ),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any setting, all limits among them: --limits lists them. May be given again.",
            rich_help_panel=_MORE,
        ),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option(help="To standard error. \\[warning]", rich_help_panel=_MORE),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="--log-level debug.", rich_help_panel=_MORE),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Say what would be used and what is wrong with it. Exit 0: it would start; 1: "
            "it would not.",
            rich_help_panel=_LOOK,
        ),
    ] = False,
    limits: Annotated[
        bool,
        typer.Option(
            "--limits", help="List every limit, its value and its reason.", rich_help_panel=_LOOK
        ),
    ] = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="These two as JSON, nothing else.", rich_help_panel=_LOOK),
    ] = False,
) -> None:
    """Run the server: the chat's page at /, WebSocket at /ws, HTTP calls under /im, /healthz.

    Each setting has a name, such as tls_key. A flag (--tls-key, or --set) counts
    before the environment (IM_TLS_KEY), that before the file of --config.

    SIGTERM ends it in good order: everybody is told, nothing accepted is lost, exit 0.
    """
    try:
        from im_server.settings import SettingsError, load
    except ImportError as error:
        fail(f"the server is not installed ({error.name})", 'pip install "im-proto[server,cli]"')
    if json and not (check or limits):
        fail("--json is for --check and --limits", "im serve --check --json", 2)
    flags: Mapping[str, object] = {
        "host": host,
        "port": port,
        "database": database,
        "durability": durability,
        "secret_file": secret_file,
        "secret": secret or None,
        "jwks": jwks,
        "dev": dev or None,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "page": page,
        "origins": tuple(origin) if origin else None,
        "log_level": "debug" if verbose else log_level,
    }
    try:
        loaded = load(flags, config, sets or ())
        if limits:
            from .limits_table import print_limits

            print_limits(loaded, json)
            return
    except SettingsError as error:
        if check:
            from .checks import Found

            found = Found(what="settings", level="error", said=str(error), advice=error.hint)
            _show(None, [found], json)
            raise typer.Exit(1) from None
        fail(str(error), error.hint, 2)
    if check:
        from .checks import checks

        results = list(checks(loaded))
        _show(loaded, results, json)
        raise typer.Exit(any(found.level == "error" for found in results))
    _serve(loaded)


#: Seconds for which a thread may keep the others waiting. SQLite gives its turn away at each
#: statement and row, and a commit has ten or more: while the loop is busy it waits this long at
#: each, with Python's own setting 5 ms.
_SWITCH = 0.0001


def _settle_down() -> None:
    """What is loaded stays until the end: else Python looks through these 100,000 objects now and
    then, and nobody is served for 0.1 s. And the threads take turns quickly."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH)


def _serve(loaded: Loaded) -> None:
    from im_server import IMServer, StoreError
    from im_web import NotBuiltError

    from .checks import authenticator, files_needed, place, quick_checks

    settings = loaded.settings
    start_logging(settings.log_level)
    warnings = []
    for found in quick_checks(loaded):
        if found.level == "error":
            fail(found.said, found.advice)
        if found.level == "warning":
            advice = f" ({found.advice})" if found.advice else ""
            warnings.append(f"warning: {found.said}{advice}")

    def ready(url: str) -> None:
        _settle_down()
        for warning in warnings:
            errors.print(warning, style="yellow", markup=False)
        # The first line is what scripts wait for; one that reads no more must not end us by that.
        page = f"\nthe page is at {url}/" if settings.page else ""
        print(f"listening on {url}{page}", flush=True)  # noqa: T201

    _allow_files(files_needed(settings))
    try:
        server = IMServer(
            store=settings.database,
            authenticate=authenticator(loaded),
            durability=settings.durability,
            config=loaded.config(),
            page=settings.page,
        )
        server.run(
            host=settings.host,
            port=settings.port,
            tls_certificate=settings.tls_certificate,
            tls_key=settings.tls_key,
            tls_key_password=loaded.tls_key_password,
            ready=ready,
        )
    except StoreError as error:
        fail(str(error))
    except NotBuiltError as error:
        fail(str(error), "im serve --no-page does without it")
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        fail(
            f"can't listen on {place(settings)}: {why}",
            "choose another --host or --port",
        )


def _allow_files(needed: int) -> None:
    """A shell gives 1024 open files, and lets a process ask for more."""
    if sys.platform == "win32":
        return
    import resource

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now != resource.RLIM_INFINITY and now < needed:
        wanted = needed if most == resource.RLIM_INFINITY else min(needed, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, wanted), most))


# ---------------------------------------------------------------- --check


def _show(loaded: Loaded | None, results: list[Found], as_json: bool) -> None:
    settings = _settings(loaded) if loaded is not None else {}
    if as_json:
        answer = {
            "ok": all(found.level != "error" for found in results),
            "settings": {
                name: {"value": value, "from": where}
                for name, (value, where, _) in settings.items()
            },
            "checks": [
                {
                    "what": found.what,
                    "level": found.level,
                    "said": found.said,
                    "advice": found.advice,
                }
                for found in results
            ],
        }
        print(jsons.dumps(answer))  # noqa: T201
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if loaded is not None:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("setting", "value", "from"):
            table.add_column(column, overflow="fold")
        for name, (value, where, shown) in settings.items():
            if shown:
                table.add_row(name, value, where)
        console.print(table)
        rest = sum(not shown for _, _, shown in settings.values())
        console.print(f"… and {rest} defaults: im serve --limits\n", style="dim")
    for found in results:
        style = _STYLES[found.level]
        console.print(f"{_MARKS[found.level]} {found.what}: {found.said}", style=style)
        if found.advice:
            console.print(f"  {found.advice}", style="dim")


def _settings(loaded: Loaded) -> dict[str, tuple[str, str, bool]]:
    """Each setting's value in words, where it comes from, and whether people want to see it."""
    from im_proto.config import ServerConfig

    config = loaded.config()
    found = {}
    engines = ServerConfig.model_fields
    for name in sorted(type(loaded.settings).model_fields, key=engines.__contains__):
        engine = name in engines
        value = getattr(config if engine else loaded.settings, name)
        given = loaded.sources[name] != "default"
        text = "(hidden)" if name in ("secret", "tls_key_password") and value else _text(value)
        if name == "database":  # a mistaken one may be that of another kind, with a password
            text = re.sub(r"//[^/]*@", "//(hidden)@", text)
        where = loaded.where(name) if given else "default"
        if not given and engine and value != getattr(loaded.settings, name):
            given, where = True, "because of --dev"
        found[name] = (text, where, given or (not engine and value is not None))
    return found


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)
