"""`im backup`: a copy of the messages, beside a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from .common import fail


def backup(
    target: Annotated[Path, typer.Argument(metavar="PATH", help="The file to make.")],
    database: Annotated[
        str, typer.Option(help="sqlite:///PATH, the server's.", envvar="IM_DATABASE")
    ] = "sqlite:///im.db",
) -> None:
    """Copy the messages to a new file; the server may go on meanwhile.

    A server that is started on the copy tells every client that messages may be missing.
    """
    try:
        from im_server.backup import back_up
        from im_server.store import StoreError
    except ImportError as error:
        fail(f"the server is not installed ({error.name})", 'pip install "im-proto[server,cli]"')
    columns = ("copying", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("copy", total=None)

            def tell(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            back_up(database, target, tell)
    except StoreError as error:
        fail(str(error))
    print(f"{target}: {target.stat().st_size} bytes")  # noqa: T201
