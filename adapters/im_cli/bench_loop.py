"""Runs a module with the event loop that a benchmark asks for.

    python -m im_cli.bench_loop asyncio|uvloop MODULE …

uvicorn takes uvloop wherever it is installed. With "asyncio" nothing in this process finds it; with
"uvloop" `asyncio.run()` takes it too.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
import warnings


def main() -> None:
    """Run the module in this process."""
    loop, *sys.argv = sys.argv[1:]
    if loop == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment] # as importlib documents it
    else:
        import uvloop

        with warnings.catch_warnings():  # Python 3.14 would like it to be said at each run
            warnings.simplefilter("ignore", DeprecationWarning)
            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
