"""`im doctor`: why can't a client use this server? From the name to the limits, with advice."""

from __future__ import annotations

import json as jsons
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.console import Console

from im_proto.errors import printable
from im_proto.validation import RULES

from .common import Secret, fail, sign
from .doctor_report import Asked, Step
from .doctor_steps import NOT_REACHED, Doctor

_MARKS: Final = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "-"}
_STYLES: Final = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "dim"}
#: Who logs in where a token can be made for anybody: none that has messages.
_NOBODY: Final = "im-doctor"


def doctor(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="The server's WebSocket: wss://chat.example/ws.", envvar="IM_URL"
        ),
    ],
    token: Annotated[
        str,
        typer.Option(help="Log in with this token.", envvar="IM_TOKEN", show_envvar=True),
    ] = "",
    secret: Secret = "",
    user: Annotated[
        str,
        typer.Option(
            help="Log in as this user. Without --token and --secret as dev:USER, which a server "
            f"with --dev takes. With --secret {_NOBODY} if none is given."
        ),
    ] = "",
    plain: Annotated[
        bool, typer.Option("--plain", help="Log in as strict servers want it: the token alone.")
    ] = False,
    ca: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="PEM: trust this authority, beside those of the system."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for each step.", min=0.1, max=600)] = 10.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, nothing else.")] = False,
) -> None:
    """Find out what is wrong between here and a server, step by step, and what helps.

    The name, the addresses, TLS and its certificate, the upgrade, the log-in, round trips, clocks,
    and what the server grants. Nothing is changed: no redirect is followed, no message sent or
    acknowledged; a log-in is that of a device of its own, im-doctor, and others see its user
    online meanwhile. Exit 0: all is well; 1: a step failed; 2: wrong usage.
    """
    try:
        RULES["ws_url"](url)
        who = RULES["user_id"](user) if user else None
        if not token:
            if secret:
                who = who or _NOBODY
                token = sign(str(who), secret, 60.0)
            elif who is not None:
                token = f"dev:{who}"
        RULES["token"](token or "none")
    except ValueError as error:
        fail(printable(str(error)), "im doctor wss://chat.example/ws --token …", code=2)
    assert who is None or isinstance(who, int | str)
    examination = Doctor(Asked(url=url, token=token, user=who, timeout=timeout, plain=plain, ca=ca))
    console = Console(highlight=False, markup=False, soft_wrap=True)
    steps: list[Step] = []
    try:
        for step in examination.steps():
            steps.append(step)
            if not json and not step.said.startswith(NOT_REACHED):
                _print(console, step)
    finally:
        examination.close()
    failed = [step.name for step in steps if step.state == "failed"]
    missed = [step.name for step in steps if step.said.startswith(NOT_REACHED)]
    if missed and not json:
        console.print(f"- not reached: {', '.join(missed)}", style="dim")
    if json:
        print(jsons.dumps({"ok": not failed, "steps": [_row(step) for step in steps]}))  # noqa: T201
    raise typer.Exit(1 if failed else 0)


def _print(console: Console, step: Step) -> None:
    time = f" ({step.seconds * 1000:.0f} ms)" if step.seconds >= 0.001 else ""
    style = _STYLES[step.state]
    console.print(f"{_MARKS[step.state]} {step.name}: {step.said}{time}", style=style)
    if step.advice:
        console.print(f"  {step.advice}", style="dim" if step.state == "skipped" else "bold")


def _row(step: Step) -> dict[str, object]:
    row = asdict(step)
    row["ms"] = round(row.pop("seconds") * 1000, 3)
    return row
