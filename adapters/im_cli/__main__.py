"""The entry point of `im`: says what to install if the extra is not there."""

from __future__ import annotations

import importlib.util
import sys

_NEEDED = ("typer", "rich")


def main() -> None:
    """Run the command line; exit 1 with the install line if typer or rich is missing."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(  # noqa: T201 - there is nothing else to say it with
            f"im needs {' and '.join(missing)}. Install the command line and the server with:\n"
            '    pip install "im-proto[server,cli]"',
            file=sys.stderr,
        )
        raise SystemExit(1)
    try:
        from .app import app

        app()
    except KeyboardInterrupt:  # before a command could take it
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
