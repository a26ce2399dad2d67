"""What several commands have in common: their options, how they fail, how a token is signed."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer
from rich.console import Console

errors = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(text: str, hint: str = "", code: int = 1) -> NoReturn:
    """End with an error and what to do about it."""
    errors.print(f"error: {text}", style="red", markup=False)
    if hint:
        errors.print(hint, style="dim", markup=False)
    raise typer.Exit(code)


Url = Annotated[
    str, typer.Option("--url", help="The server's WebSocket.", envvar="IM_URL", show_envvar=True)
]
User = Annotated[str, typer.Option("--user", help="Who logs in: a number or a name.")]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        help="The access token. Without one, and without --secret, dev:USER is used, "
        "which a server with --dev takes.",
        envvar="IM_TOKEN",
        show_envvar=True,
    ),
]
Secret = Annotated[
    str,
    typer.Option(
        "--secret",
        help="The server's secret: signs a token.",
        envvar="IM_SECRET",
        show_envvar=True,
    ),
]
Proxy = Annotated[
    str,
    typer.Option(
        "--proxy",
        help="Connect through this HTTP proxy: http://\\[user:password@]host\\[:port].",
        envvar="IM_PROXY",
        show_envvar=True,
    ),
]
DEFAULT_URL = "ws://127.0.0.1:8080/ws"


def sign(
    user: str,
    secret: str,
    expires_in: float | None = 3600.0,
    roles: list[str] | tuple[str, ...] = (),
    name: str | None = None,
) -> str:
    """Sign a token; ends the command if it can't be."""
    try:
        from im_server.tokens import make_token
    except ImportError as error:
        fail(f"tokens are not installed ({error.name})", 'pip install "im-proto[server,cli]"')
    try:
        return make_token(user, secret, expires_in=expires_in, roles=roles, name=name)
    except ValueError as error:
        fail(str(error))
