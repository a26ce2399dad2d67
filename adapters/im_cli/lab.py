"""`im lab`: two chat windows on one page, and everything that can go wrong between them."""

from __future__ import annotations

import asyncio
import json as jsons
import os
import sys
import webbrowser
from typing import Annotated

import typer

from .common import fail
from .proof import until_terminated


def lab(
    port: Annotated[
        int, typer.Option(help="Of the page; 0 takes a free one.", min=0, max=65_535)
    ] = 0,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Print the address, and open no browser.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object, once it runs, and nothing else.")
    ] = False,
) -> None:
    """Break a chat by hand, and watch it recover.

    A page with two chat windows, and between each of them and a real server a network that you
    make as bad as you like: latency, loss, cuts, a black hole. Kill the server, start it again,
    let the log-in expire. What was accepted is counted in the server's own database.

    On this machine only, and only for who has the address that is printed. Ctrl-C ends it, and
    leaves nothing behind.
    """
    try:
        from im_web import NotBuiltError

        from .demo_server import DemoError
        from .lab_serving import running
    except ImportError as error:
        fail(f"the server is not installed ({error.name})", 'pip install "im-proto[server,cli]"')

    async def run() -> None:
        async with running(port) as (app, it):
            if json:
                print(jsons.dumps({"url": app.url, "server": it.server.as_dict()}), flush=True)  # noqa: T201
            else:
                print(f"the lab is at {app.url}\nCtrl-C ends it", flush=True)  # noqa: T201
            if not no_open and _has_browser():
                await asyncio.to_thread(webbrowser.open, app.url)
            await asyncio.Event().wait()

    try:
        asyncio.run(until_terminated(run()))
    except KeyboardInterrupt:  # which is how it ends
        pass
    except (DemoError, NotBuiltError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"can't listen on 127.0.0.1:{port}: {error.strerror or error}", "im lab --port 0")


def _has_browser() -> bool:
    """One with windows: one of text would take the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
