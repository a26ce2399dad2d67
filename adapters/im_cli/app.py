"""The commands of `im`. Each is thin: what it does is in the libraries beside it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError
from typer.core import TyperCommand

from im_proto import ClientConfig, IMError

from . import admin, backup, bench, chatting, doctor, lab, protocol, serve
from .common import DEFAULT_URL, Proxy, Secret, Token, Url, User, fail, sign

app = typer.Typer(
    name="im",
    help="Chat that does not lose or repeat a message: server, clients and a demonstration.",
    epilog="Start here: [bold]im demo[/]. Then [bold]im serve --dev[/] in one terminal and "
    "[bold]im chat --user 1 --to 2[/] in two others.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # locals hold tokens
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(admin.app, name="admin")
app.command()(serve.serve)
app.command()(doctor.doctor)
app.command()(backup.backup)
app.command()(bench.bench)
app.command()(protocol.protocol)
app.command()(lab.lab)


@app.command()
def token(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose token: a number or a name.")],
    secret: Secret = "",
    expires_in: Annotated[
        float,
        typer.Option(help="Seconds until it is no longer good; 0 for never.", min=0, max=1e10),
    ] = 86_400.0,
    role: Annotated[
        list[str] | None, typer.Option(help="A role, e.g. broadcast. May be given again.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The user's name.")] = None,
) -> None:
    """Print an access token for USER, alone on the last line."""
    if not secret:
        fail(
            "a token is signed with the server's secret", "im token USER --secret … (or IM_SECRET)"
        )
    print(sign(user, secret, expires_in or None, role or (), name))  # noqa: T201


def _token_for(user: str, token: str, secret: str) -> str:
    if token:
        return token
    return sign(user, secret) if secret else f"dev:{user}"


def _config(
    url: str, user: str, token: str, secret: str, proxy: str, device: str | None = None
) -> ClientConfig:
    try:
        return chatting.config(url, user, _token_for(user, token, secret), proxy, device)
    except ValidationError as error:  # its own text has many lines
        fail(
            "; ".join(found["msg"].removeprefix("Value error, ") for found in error.errors()),
            code=2,
        )


def _run(work: chatting.Work) -> None:
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except IMError as error:
        fail(str(error), chatting.hint(error))
    except BrokenPipeError:
        # nobody reads any more; Python would say so once more when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except OSError as error:
        fail(f"can't write: {error.strerror or error}")


@app.command()
def chat(
    user: User,
    to: Annotated[str, typer.Option("--to", help="Whom to talk to: a number or a name.")],
    url: Url = DEFAULT_URL,
    token: Token = "",
    secret: Secret = "",
    proxy: Proxy = "",
) -> None:
    """Talk to somebody, line by line. Ctrl-D ends it; what is unsent then is told."""
    config = _config(url, user, token, secret, proxy, device="im-chat")
    _run(chatting.chat(config, to))


@app.command()
def send(
    user: User,
    to: Annotated[str, typer.Option("--to", help="Whom to write to.")],
    text: Annotated[
        list[str] | None,
        typer.Argument(help="The message. Without one, each line of the standard input is one."),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    secret: Secret = "",
    proxy: Proxy = "",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for acceptance.", min=0)] = 30.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a message.")] = False,
) -> None:
    """Send a message, and return when the server has accepted it."""
    config = _config(url, user, token, secret, proxy)
    lines = [" ".join(text)] if text else [line.rstrip("\n") for line in sys.stdin]
    lines = [line for line in lines if line.strip()]
    if not lines:
        fail("there is nothing to send", "im send --user 1 --to 2 hello", code=2)
    _run(chatting.send(config, to, lines, timeout, json))


@app.command()
def listen(
    user: User,
    url: Url = DEFAULT_URL,
    token: Token = "",
    secret: Secret = "",
    proxy: Proxy = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object a message.")] = False,
    count: Annotated[
        int, typer.Option(help="End after so many messages; 0 goes on for ever.", min=0)
    ] = 0,
) -> None:
    """Print what comes in. A message is acknowledged once it is printed."""
    config = _config(url, user, token, secret, proxy, device="im-listen")
    _run(chatting.listen(config, json, count))


@app.command()
def demo(
    messages: Annotated[
        int, typer.Option(help="Each way; ten cuts need some 300.", min=1, max=1_000_000)
    ] = 2000,
    kills: Annotated[int, typer.Option(help="SIGKILLs of the server.", min=0)] = 2,
    cuts: Annotated[int, typer.Option(help="Cut connections.", min=0)] = 10,
    seed: Annotated[int, typer.Option(help="Of the plan of faults.")] = 1,
    durability: Annotated[
        Literal["power", "process"], typer.Option(help="As of im serve.")
    ] = "power",
    sabotage: Annotated[
        Literal["dedupe", "resume", "fence"] | None,
        typer.Option("--break", help="Break a part of the engine: the demo must then fail."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Leave logs and database in this new directory.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, nothing else.")] = False,
) -> None:
    """Watch the promise being kept while the server is killed.

    A real server, two clients over real sockets, messages both ways; meanwhile the server is
    killed and restarted and the connections are cut. Exit 0: nothing lost, duplicated or out of
    order. Exit 1: something was. Exit 2: the faults hit nothing, so nothing was proved.
    """
    from .demo import DemoOptions, demo_command

    raise typer.Exit(
        demo_command(
            DemoOptions(
                messages=messages,
                kills=kills,
                cuts=cuts,
                seed=seed,
                durability=durability,
                sabotage=sabotage,
                keep=keep,
                json=json,
            )
        )
    )


@app.command()
def audit(
    directory: Annotated[
        Path, typer.Argument(help="What `im demo --keep` or `im soak --keep` left.")
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object, nothing else.")] = False,
) -> None:
    """Recompute the verdict of a demo or soak from its files alone, without the engine."""
    from .audit import audit_command

    raise typer.Exit(audit_command(directory, json))


@app.command()
def soak(
    kills: Annotated[
        str, typer.Option(help="Rounds of each kind; both: a client and the server together.")
    ] = "client=50,server=50,both=50",
    minutes: Annotated[
        float | None,
        typer.Option(help="Go on for so long instead, a round of each kind in turn.", min=0.01),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the plan of kills.")] = 1,
    broken: Annotated[
        Literal["cursor", "journal", "flag"] | None,
        typer.Option("--break", help="Break a part of the clients: the soak must then fail."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Leave logs and files in this new directory.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, nothing else.")] = False,
) -> None:
    """Kill clients and server at named points, over and over, and audit what is left.

    A real server and two applications with storage that write to each other; one handles messages
    in transactions, one by auto acknowledgement. Exit 0: nothing lost, and no repeat without a
    word. Exit 1: something was. Exit 2: the kills hit too little, so nothing was proved.
    """
    from .soak import SoakOptions, soak_command
    from .soak_result import parse_kills

    try:
        rounds = parse_kills(kills)
    except ValueError as error:
        fail(str(error), "im soak --kills client=5,server=5,both=5", code=2)
    raise typer.Exit(
        soak_command(
            SoakOptions(
                kills=rounds, minutes=minutes, seed=seed, broken=broken, keep=keep, json=json
            )
        )
    )


class _SimulateCommand(TyperCommand):
    """Its help lists the faults, which are imported only when somebody reads it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from .simulate import HELP

        self.help = HELP
        super().format_help(ctx, formatter)


@app.command(cls=_SimulateCommand)
def simulate(
    seeds: Annotated[int, typer.Option(help="How many worlds.", min=1)] = 100,
    clients: Annotated[int, typer.Option(help="In each.", min=1, max=1000)] = 5,
    minutes: Annotated[
        float, typer.Option(help="Of virtual time, before it heals.", min=0.01, max=1e6)
    ] = 10.0,
    faults: Annotated[
        str, typer.Option(help="all, or names of the list above with commas between.")
    ] = "all",
    jobs: Annotated[int, typer.Option(help="Processes; 0: one a core.", min=0, max=1024)] = 0,
    first_seed: Annotated[int, typer.Option(help="The seeds count from here.", min=0)] = 0,
    seed: Annotated[int | None, typer.Option(help="Run this seed alone.", min=0)] = None,
    trace: Annotated[
        Path | None, typer.Option(help="With --seed: write its history to this file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, nothing else.")] = False,
) -> None:
    """Live through years of bad luck in virtual time, and check every promise."""
    from .simulate import SimulateOptions, simulate_command

    if trace is not None and seed is None:
        fail("--trace writes the history of one seed", "im simulate --seed 1 --trace FILE", code=2)
    options = SimulateOptions(
        seeds=seeds,
        first_seed=first_seed,
        clients=clients,
        minutes=minutes,
        faults=faults,
        jobs=jobs,
        seed=seed,
        trace=trace,
        json=json,
    )
    try:
        code = simulate_command(options)
    except ValueError as error:
        fail(str(error), "im simulate --help lists them", code=2)
    except OSError as error:
        fail(f"can't write {trace}: {error.strerror or error}")
    raise typer.Exit(code)
