"""The server of `im soak`: `im serve` in a process that dies where it is told to.

python -m im_cli.soak_server        its orders come on the standard input
"""

from __future__ import annotations

import sys

from .soak_points import Orders
from .soak_seams import watch_server


def main() -> None:
    """Serve until it is killed."""
    from .__main__ import main as run

    orders = Orders()
    watch_server(orders.points)
    orders.obey(lambda: None)
    database = (orders.directory / "im.db").as_posix()
    sys.argv = [
        *("im", "serve", "--dev", "--host", "127.0.0.1", "--port", str(orders.given["port"])),
        *("--database", f"sqlite:///{database}", "--durability", "process"),
    ]
    run()


if __name__ == "__main__":
    main()
