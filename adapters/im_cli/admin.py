"""`im admin`: looks into a running server, kicks and revokes, by HTTP with a token of the role
`admin`."""

from __future__ import annotations

import http.client
import json as jsons
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode, urlsplit

import typer
from rich.console import Console
from rich.table import Table

from im_proto.errors import printable

from .common import DEFAULT_URL, Secret, Url, fail, sign

app = typer.Typer(
    name="admin",
    help="See who is online, look into a mailbox or at sessions, kick, and revoke tokens.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_TIMEOUT: Final = 15.0
#: Bytes of an answer.
_MAX_ANSWER: Final = 16 * 1024 * 1024

Json = Annotated[bool, typer.Option("--json", help="The answer as JSON, nothing else.")]
Who = Annotated[str, typer.Argument(metavar="USER", help="A number or a name.")]
AdminToken = Annotated[
    str,
    typer.Option(
        "--token",
        help="A token with the role admin. Without one it is signed with --secret, or dev:admin is "
        "used, which a server with --dev takes.",
        envvar="IM_TOKEN",
        show_envvar=True,
    ),
]


@app.command()
def online(
    url: Url = DEFAULT_URL, token: AdminToken = "", secret: Secret = "", json: Json = False
) -> None:
    """Who is logged in, with how many connections."""
    data = _ask(url, token, secret, "GET", "online", {})
    _show(data, json, "nobody is online", ("user", "connections"))


@app.command()
def mailbox(
    user: Who,
    after: Annotated[int, typer.Option(help="Entries behind this number.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="The most entries.", min=1, max=1000)] = 50,
    url: Url = DEFAULT_URL,
    token: AdminToken = "",
    secret: Secret = "",
    json: Json = False,
) -> None:
    """What a user's mailbox holds, without what was written."""
    params = {"user": user, "after": after, "limit": limit}
    data = _ask(url, token, secret, "GET", "mailbox", params)
    if json or not isinstance(data, dict):
        _show(data, json, "", ())
        return
    columns = ("seq", "kind", "fromUser", "toUser", "msgId", "sessionId", "characters", "timestamp")
    _show(data.get("entries"), False, "nothing there", columns)
    Console().print(f"the newest is number {data.get('head')}", style="dim")


@app.command()
def sessions(
    user: Who,
    url: Url = DEFAULT_URL,
    token: AdminToken = "",
    secret: Secret = "",
    json: Json = False,
) -> None:
    """A user's sessions."""
    data = _ask(url, token, secret, "GET", "sessions", {"user": user})
    columns = ("id", "bookId", "buyerId", "sellerId", "sessionStatus", "expireTime", "createTime")
    _show(data, json, "no sessions", columns)


@app.command()
def kick(
    user: Who,
    device: Annotated[str, typer.Option(help="This device alone.")] = "",
    reason: Annotated[str, typer.Option(help="What the client is told.")] = "kicked",
    reconnect: Annotated[
        bool, typer.Option("--reconnect", help="The client may come back by itself.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: AdminToken = "",
    secret: Secret = "",
    json: Json = False,
) -> None:
    """End a user's connections. Whoever has a good token may log in again."""
    params = {"user": user, "device": device, "reason": reason, "reconnect": reconnect}
    data = _ask(url, token, secret, "POST", "kick", params)
    if json:
        _show(data, json, "", ())
    else:
        print(f"{data['kicked']} connections were ended")  # noqa: T201


@app.command()
def revoke(
    user: Who,
    url: Url = DEFAULT_URL,
    token: AdminToken = "",
    secret: Secret = "",
    json: Json = False,
) -> None:
    """Refuse all tokens of a user that were made by now, and end the connections."""
    data = _ask(url, token, secret, "POST", "revoke", {"user": user})
    if json:
        _show(data, json, "", ())
    else:
        print(f"revoked; {data['ended']} connections were ended")  # noqa: T201


def _ask(
    url: str, token: str, secret: str, method: str, what: str, params: Mapping[str, Any]
) -> Any:
    """Ask the server; ends the command if it refuses."""
    if not token:
        token = sign("admin", secret, 60.0, ["admin"]) if secret else "dev:admin"
    try:
        answer = _call(url, token, method, f"/im/admin/{what}", params)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        fail(f"no answer from {_base(url)[1]}: {why}", "is the server running? im serve --dev")
    except ValueError as error:
        fail(str(error), "im admin online --url http://127.0.0.1:8080")
    if answer.get("code") != 0:
        hint = "use --secret, or --token of: im token USER --role admin"
        fail(
            f"{printable(str(answer.get('message')))} ({answer.get('code')})",
            hint if answer.get("code") in (401, 403, 40100, 40101) else "",
        )
    return answer.get("data")


def _call(
    url: str, token: str, method: str, path: str, params: Mapping[str, Any]
) -> dict[str, Any]:
    """One request; no redirect is followed, and no proxy of the environment is asked.

    Raises:
        ValueError: the URL is none, or the answer is not of our server.
        OSError, HTTPException: there is no answer.
    """
    scheme, base = _base(url)
    parts = urlsplit(f"//{base}")
    target, body = parts.path + path, None
    if method == "GET":
        target += f"?{urlencode(params)}"
    else:
        body = jsons.dumps(params)
    host = parts.hostname or ""
    connection = (
        http.client.HTTPSConnection(
            host, parts.port, timeout=_TIMEOUT, context=ssl.create_default_context()
        )
        if scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=_TIMEOUT)
    )
    try:
        connection.request(method, target, body, {"satoken": token})
        response = connection.getresponse()
        text = response.read(_MAX_ANSWER)
    finally:
        connection.close()
    try:
        answer = jsons.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "code" not in answer:
        raise ValueError(f"{base} is no server of ours: it answered {response.status}")
    return answer


def _base(url: str) -> tuple[str, str]:
    """The scheme of the HTTP calls, and host, port and path before `/im/…`. The URL of the
    WebSocket will do: it is beside them.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    schemes = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError("the URL is http://… or ws://…")
    path = parts.path.rstrip("/")
    if parts.scheme in ("ws", "wss"):
        path = path.rpartition("/")[0]
    return schemes[parts.scheme], parts.netloc.rpartition("@")[2] + path


def _show(data: Any, as_json: bool, nothing: str, columns: Sequence[str]) -> None:
    if as_json:
        print(jsons.dumps(data, ensure_ascii=False))  # noqa: T201
        return
    if not data:
        print(nothing)  # noqa: T201
        return
    table = Table()
    for column in columns:
        table.add_column(column)
    for row in data:
        table.add_row(*(_cell(column, row.get(column)) for column in columns))
    Console(highlight=False).print(table, markup=False)


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column in ("timestamp", "expireTime", "createTime") and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000).astimezone().isoformat(" ", "seconds")
    return printable(str(value))
